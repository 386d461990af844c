"""The whole gate as a step of a workflow, with a backend on loopback and the runner's files."""

import json
from pathlib import Path

import pytest

from sepurux_action.report.data import OUTPUTS
from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import RUNTIME_TOKEN, run_action
from tests.scenes import CAMPAIGN, NUMBERS, PASSED, SECRET, Scene, step

VARIABLES = {"SEPURUX_API_BASE_URL": "{other}", "SEPURUX_PROJECT_ID": "another", "PR_NUMBER": "1"}
VARIABLES |= dict.fromkeys(("SEPURUX_CI_TOKEN", "SEPURUX_API_KEY", "GITHUB_TOKEN"), "secret-of-the-author")


@pytest.mark.parametrize(
    ("answer", "inputs", "level"),
    [({"decision": "pass", **NUMBERS}, {}, "notice"), ({}, {}, "error"), ({}, {"enforcement": "observe"}, "warning")],
)
def test_each_output_is_written(answer: dict[str, object], inputs: dict[str, str], level: str, tmp_path: Path) -> None:
    with sound_backend(**{"GET /v1/ci/batch/*": backend.json(decided(**answer))}) as sepurux:
        result = step(sepurux, tmp_path, **inputs)
    assert set(result.outputs) == set(OUTPUTS)
    assert result.summary
    assert (result.counts[level], result.errors, [*tmp_path.iterdir()]) == (1, [], [])
    for text in (result.summary, json.dumps(result.outputs), result.log):
        assert SECRET not in text
        assert RUNTIME_TOKEN not in text


def test_nothing_of_the_checkout_is_imported(tmp_path: Path) -> None:
    trap = "raise SystemExit('imported from the checkout')"
    for name in ("yaml.py", "requests.py", "sitecustomize.py", "sepurux_action.py", "json.py"):
        (tmp_path / name).write_text(trap)
    with sound_backend() as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url}
        result = run_action(workspace=tmp_path, inputs=inputs, env={"PYTHONPATH": str(tmp_path)}, process=True)
    assert result.exit_code == 0, result.log


def test_a_variable_that_an_earlier_step_spelt_like_an_input_loosens_nothing(tmp_path: Path) -> None:
    loose = {"INPUT_max_unsafe": "999", "INPUT_base_url": "https://evil.example"}
    result = run_action(workspace=tmp_path, inputs={**CAMPAIGN, "max_unsafe": "0"}, env=loose)
    assert (result.exit_code, len(result.messages("error"))) == (2, 2)


def test_no_variable_of_an_earlier_step_is_a_setting(scene: Scene) -> None:
    scene.answers()
    passing = backend.json(decided(**PASSED))
    with sound_backend(**{"GET /v1/ci/batch/*": passing, "GET /v1/ci/runs/*": passing}) as other:
        variables = {name: value.format(other=other.url) for name, value in VARIABLES.items()}
        result = run_action(**{**scene.options(), "env": {**scene.environment(), **variables}})
        assert other.requests == ()
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail")
    assert scene.status[:2] == ("failure", "Sepurux / core-reliability")
    [start] = scene.sepurux.calls("POST /v1/ci/runs")
    assert (start.headers["x-sepurux-token"], start.headers["x-api-key"]) == (SECRET, SECRET)
    assert "x-project-id" not in start.headers
    assert (start.json()["thresholds"], "trace_id" in start.json()) == ({"min_pass_rate": 0.9, "max_unsafe": 0}, False)
    assert result.messages("warning") == []


@pytest.mark.parametrize("name", ["report_dir", "baseline_dir"])
@pytest.mark.parametrize("path", ["{}", "../outside", "link", "build/../link/new", "to-file"])
def test_a_folder_that_leads_outside_is_a_bad_setting_beside_others(name: str, path: str, tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    for folder in (workspace / "build", outside):
        folder.mkdir(parents=True)
    (workspace / "link").symlink_to(outside)
    (workspace / "to-file").symlink_to("/proc/self/environ")
    inputs = {**CAMPAIGN, name: path.format(outside), "timeout": "2 weeks"}
    result = run_action(inputs=inputs, workspace=workspace)
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")
    [problem] = (each for each in result.messages("error") if each.startswith(f"input `{name}`: "))
    assert ": must be a folder in the workspace or the runner's temporary folder, not " in problem
    assert len(result.messages("error")) == 2
    assert [*outside.iterdir()] == []


def test_a_secret_that_the_backend_echoes_is_redacted_everywhere(scene: Scene) -> None:
    key = 'made"up\\secret<&>0123456789'
    scene.answers(top_failing_tools=[{"tool": f"tool {key}", "count": 1}], dashboard_url=f"https://x.example/?{SECRET}")
    echo = backend.json([{"type": key, "severity": "high", "description": f"key={SECRET}", "mutation": key}])
    scene.sepurux.script("GET /v1/campaigns/*/failures", echo)
    result = scene.run(report_dir="build", api_key=key)
    files = {path.name: path.read_text(encoding="utf-8") for path in (scene.workspace / "build").iterdir()}
    assert files.keys() == {"report.json", "junit.xml"}
    report = json.loads(files["report.json"])
    assert report["gates"][0]["failing_tools"] == {"tool ***": 1}
    assert json.loads(result.outputs["gates"])[0]["failing_tools"] == {"tool ***": 1}
    assert f"::add-mask::{SECRET}" in result.raw_log
    assert scene.ours
    unmasked = [line for line in result.raw_log.splitlines() if not line.startswith("::add-mask::")]
    sent = [f"{request.headers} {request.body.decode()}" for request in scene.github.requests]
    for text in (*files.values(), *unmasked, *sent, result.summary, json.dumps(result.outputs)):
        assert "0123456789" not in text
