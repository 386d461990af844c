"""The whole gate as a step of a workflow, with a backend on loopback and the runner's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sepurux_action.report.outputs import OUTPUTS
from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import RUNTIME_TOKEN, pull_request_event, run_action
from tests.scenes import CAMPAIGN, NUMBERS, PASSED, SECRET, Scene, step


@pytest.mark.parametrize(
    ("answer", "inputs", "level"),
    [({"decision": "pass", **NUMBERS}, {}, "notice"), ({}, {}, "error"), ({}, {"enforcement": "observe"}, "warning")],
)
def test_a_step_writes_every_output_a_summary_and_an_annotation_and_no_secret(
    answer: dict[str, object], inputs: dict[str, str], level: str, tmp_path: Path
) -> None:
    with sound_backend(**{"GET /v1/ci/batch/*": backend.json(decided(**answer))}) as sepurux:
        result = step(sepurux, tmp_path, **inputs)
    assert set(result.outputs) == set(OUTPUTS)
    assert result.summary.startswith("## ")
    assert (result.counts[level], result.errors) == (1, ())
    for text in (result.summary, json.dumps(result.outputs), result.log):
        assert SECRET not in text
        assert RUNTIME_TOKEN not in text


def test_a_response_without_end_does_not_delay_the_exit(tmp_path: Path) -> None:
    with sound_backend(**{"POST /v1/ci/runs": backend.drip_headers(0.1)}) as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url, "timeout": "0.5"}
        result = run_action(workspace=tmp_path, inputs=inputs, process=True, timeout=20)
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")


HOSTILE = "::error::boo\r::add-mask::pass\n##[set-env name=PATH]x\u202e::stop-commands::x\n<script>@octocat #1"


def test_hostile_text_of_the_backend_is_no_command_output_or_markup(tmp_path: Path) -> None:
    answer = decided(
        status="done",
        top_failing_tools=[{"tool": HOSTILE, "count": 3}],
        dashboard_url="javascript:alert(1)",
        mutation_categories=[HOSTILE],
    )
    failures = [{"type": HOSTILE, "severity": HOSTILE, "description": HOSTILE, "mutation": HOSTILE}]
    answers: dict[str, list[backend.Answer]] = {
        "GET /v1/ci/batch/*": [backend.json(decided(status=HOSTILE, decision=HOSTILE)), backend.json(answer)],
        "GET /v1/campaigns/*/failures": [backend.json(failures)],
    }
    with sound_backend(**answers) as sepurux:
        result = step(sepurux, tmp_path)
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail")
    assert result.outputs["dashboard_url"] == ""
    assert result.errors == ()
    assert set(result.outputs) == set(OUTPUTS)
    assert "pass" not in result.masks
    assert "boo" not in [message.strip() for message in result.messages("error")]
    assert "<script>" not in result.summary
    assert "@octocat" not in result.summary


def test_a_pull_request_number_against_the_event_is_ignored_with_a_warning(tmp_path: Path) -> None:
    with sound_backend() as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url, "pr_number": "7"}
        result = run_action(workspace=tmp_path, inputs=inputs, event=pull_request_event(number=42))
        [created] = sepurux.calls("POST /v1/ci/runs")
    assert created.json()["pull_request_number"] == 42
    assert "7" in result.messages("warning")[0]


def test_nothing_of_the_checkout_is_imported(tmp_path: Path) -> None:
    trap = "raise SystemExit('imported from the checkout')"
    for name in ("yaml.py", "jinja2.py", "requests.py", "sitecustomize.py", "sepurux_action.py", "json.py"):
        (tmp_path / name).write_text(trap)
    with sound_backend() as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url}
        result = run_action(workspace=tmp_path, inputs=inputs, env={"PYTHONPATH": str(tmp_path)}, process=True)
    assert result.exit_code == 0, result.log


def test_files_that_cannot_be_written_cause_a_warning_and_change_no_decision(tmp_path: Path) -> None:
    nowhere = {"GITHUB_OUTPUT": f"{tmp_path}/no/out", "GITHUB_STEP_SUMMARY": "", "GITHUB_EVENT_PATH": "/nowhere"}
    with sound_backend(**{"GET /v1/ci/batch/*": backend.json(decided())}) as sepurux:
        result = run_action(workspace=tmp_path, inputs={**CAMPAIGN, "base_url": sepurux.url}, env=nowhere)
    assert result.exit_code == 1
    assert len(result.messages("warning")) >= 3


def test_a_variable_that_an_earlier_step_spelt_like_an_input_loosens_nothing(tmp_path: Path) -> None:
    loose = {"INPUT_max_unsafe": "999", "INPUT_base_url": "https://evil.example"}
    result = run_action(workspace=tmp_path, inputs={**CAMPAIGN, "max_unsafe": "0"}, env=loose)
    assert (result.exit_code, len(result.messages("error"))) == (2, 2)


IGNORED = "These environment variables are ignored, because an earlier step can set them. Use the inputs in parentheses"


def test_no_variable_of_an_earlier_step_is_a_setting_and_one_warning_names_them_and_their_inputs(scene: Scene) -> None:
    scene.answers()
    passing = backend.json(decided(**PASSED))
    with sound_backend(**{"GET /v1/ci/batch/*": passing, "GET /v1/ci/runs/*": passing}) as other:
        variables = {
            "SEPURUX_API_BASE_URL": other.url,
            "SEPURUX_API_KEY": "key-of-the-author",
            "SEPURUX_CI_TOKEN": "token-of-the-author",
            "SEPURUX_PROJECT_ID": "another",
            "SEPURUX_CAMPAIGN_ID": "easy",
            "SEPURUX_TRACE_ID": "sound-trace",
            "SEPURUX_MIN_PASS_RATE": "0",
            "SEPURUX_MAX_UNSAFE": "99",
            "SEPURUX_ENFORCEMENT": "observe",
            "SEPURUX_TIMEOUT_SECONDS": "not a time",
            "GITHUB_TOKEN": "ghs_of_the_author",
            "PR_NUMBER": "1",
            "SEPURUX_MUTATION_PACK": " ",
            "SEPURUX_ANYTHING": "else",
        }
        result = run_action(**{**scene.options(), "env": {**scene.environment(), **variables}})
        assert other.requests == ()
    assert (result.exit_code, result.outputs["decision"], result.outputs["enforcement"]) == (1, "fail", "hard")
    assert scene.status[:2] == ("failure", "Sepurux / core-reliability")
    [start] = scene.sepurux.calls("POST /v1/ci/runs")
    assert (start.headers["x-sepurux-token"], start.headers["x-api-key"]) == (SECRET, SECRET)
    assert "x-project-id" not in start.headers
    assert (start.json()["thresholds"], "trace_id" in start.json()) == ({"min_pass_rate": 0.9, "max_unsafe": 0}, False)
    [warning] = result.messages("warning")
    assert warning == (
        f"{IGNORED}: `SEPURUX_CI_TOKEN` (`token`), `SEPURUX_API_KEY` (`api_key`), `SEPURUX_API_BASE_URL` (`base_url`), "
        "`SEPURUX_PROJECT_ID` (`project`), `SEPURUX_CAMPAIGN_ID` (`campaign`), `SEPURUX_TRACE_ID` (`trace_id`), "
        "`SEPURUX_MIN_PASS_RATE` (`min_pass_rate`), `SEPURUX_MAX_UNSAFE` (`max_unsafe`), "
        "`SEPURUX_ENFORCEMENT` (`enforcement`), `SEPURUX_TIMEOUT_SECONDS` (`timeout`)."
    )
