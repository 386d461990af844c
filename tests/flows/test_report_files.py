"""The files of `report_dir` as later steps find them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import StepResult, interrupt
from tests.scenes import CAMPAIGN, SECRET, Scene, step

POLICY = ".github/sepurux-gate.yml"


def report_of(result: StepResult, workspace: Path) -> dict[str, Any]:
    """Return the report that the output names, after a check that the summary is there as a file too."""
    path = workspace / result.outputs["report_path"]
    assert path.name == "report.json"
    assert (path.parent / "report.md").read_text(encoding="utf-8") == result.summary
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert report["schema"] == "sepurux-gate/report@2"
    return report


def test_a_run_writes_its_report_and_names_it_in_every_output(tmp_path: Path) -> None:
    with sound_backend(**{"GET /v1/ci/batch/*": backend.json(decided(run_ids=[backend.RUN_ID]))}) as sepurux:
        result = step(sepurux, tmp_path, report_dir="build/sepurux")
    assert (result.exit_code, result.outputs["report_path"]) == (1, "build/sepurux/report.json")
    report = report_of(result, tmp_path)
    (gate,) = report["gates"]
    assert (report["decision"], gate["run_ids"]) == ("fail", [backend.RUN_ID])
    junit = JUnitXml.fromfile(str(tmp_path / "build" / "sepurux" / "junit.xml"))
    failed = [each["recordings"] for each in gate["scenarios"] if each["failed"]]
    assert [recording["run_id"] for (recording,) in failed] == [backend.RUN_ID]
    assert (junit.tests, junit.failures, junit.errors) == (1, 1, 0)
    assert json.loads(result.outputs["gates"])[0]["report_path"] == "build/sepurux/report.json"
    assert result.messages("warning") == []


def test_without_report_dir_nothing_is_written_or_removed(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("of someone else")
    with sound_backend() as sepurux:
        result = step(sepurux, tmp_path)
    assert (result.outputs["report_path"], list(tmp_path.iterdir())) == ("", [tmp_path / "report.json"])
    assert (tmp_path / "report.json").read_text() == "of someone else"


def test_the_folder_of_the_policy_overrides_the_input_with_invalid_settings_too(scene: Scene) -> None:
    scene.repository.commit("main", {POLICY: "campaign: core-reliability\nreport_dir: of-policy\n"})
    scene.pull = scene.repository.pull("mona", head="feature-2")
    result = scene.run(report_dir="of-input")
    assert (result.exit_code, result.outputs["report_path"]) == (0, "of-policy/report.json")
    assert result.outputs["comment_url"], "both are outputs although the comment comes later"
    assert "the policy file overrides these inputs: report_dir" in result.log
    bad = scene.run(report_dir="of-input", timeout="2 weeks")
    assert (bad.exit_code, bad.outputs["report_path"]) == (2, "of-policy/report.json")
    report = report_of(bad, scene.workspace)
    assert (report["decision"], [each["setting"] for each in report["problems"]]) == ("error", ["input timeout"])
    assert not (scene.workspace / "of-input").exists()


@pytest.mark.parametrize("policy", ["", "campaign: core-reliability\nreport_dir: build\n"])
def test_the_report_of_an_earlier_run_does_not_remain_if_the_step_is_killed(policy: str, tmp_path: Path) -> None:
    """A pull request may also have committed such a file."""
    inputs = {**CAMPAIGN, **({} if policy else {"report_dir": "build"})}
    files = {f"build/{name}": "" for name in ("report.md", "junit.xml", "mine")}
    files |= {"build/report.json": '{"decision": "pass"}', **({POLICY: policy} if policy else {})}
    with sound_backend(**{"GET /v1/ci/batch/*": backend.hang()}) as sepurux:
        inputs["base_url"] = sepurux.url
        interrupt("started batch", signal.SIGKILL, workspace=tmp_path, inputs=inputs, files=files, process=True)
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["mine"]


def test_a_secret_that_the_backend_echoes_is_redacted_everywhere(scene: Scene) -> None:
    key = 'made"up\\secret<&>0123456789'
    scene.answers(top_failing_tools=[{"tool": f"tool {key}", "count": 1}], dashboard_url=f"https://x.example/?{SECRET}")
    echo = backend.json([{"type": key, "severity": "high", "description": f"key={SECRET}", "mutation": key}])
    scene.sepurux.script("GET /v1/campaigns/*/failures", echo)
    result = scene.run(report_dir="build", api_key=key)
    report = report_of(result, scene.workspace)
    assert report["gates"][0]["tools"] == [{"tool": "tool ***", "count": 1}]
    assert json.loads(result.outputs["top_failing_tools"]) == [{"tool": "tool ***", "count": 1}]
    assert f"::add-mask::{SECRET}" in result.raw_log
    assert scene.ours
    files = [path.read_text(encoding="utf-8") for path in (scene.workspace / "build").iterdir()]
    unmasked = [line for line in result.raw_log.splitlines() if not line.startswith("::add-mask::")]
    sent = [f"{request.headers} {request.body.decode()}" for request in scene.github.requests]
    for text in (*files, *unmasked, *sent, result.summary, json.dumps(result.outputs)):
        assert "0123456789" not in text
