"""The whole gate as a step of a workflow, with a backend on loopback and the runner's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sepurux_action.report.outputs import OUTPUTS
from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import RUNTIME_TOKEN, pull_request_event, run_action
from tests.scenes import CAMPAIGN, NUMBERS, SECRET, step

PASS = {"decision": "pass", **NUMBERS}


@pytest.mark.parametrize(
    ("answer", "inputs", "expected", "says"),
    [
        (PASS, {}, ("pass", 0), ""),
        ({}, {}, ("fail", 1), "Pass rate 72.0% is below the required 90.0%"),
        ({}, {"enforcement": "observe"}, ("fail", 0), "72.0%"),
        ({"status": "running", "decision": "pending"}, {"timeout": "0.1"}, ("pending", 2), "No decision after 0.1 s"),
        ({**PASS, "status": "error"}, {}, ("error", 2), "evaluation itself failed"),
        (PASS, {"token": ""}, ("error", 2), "`token` and `api_key` are both empty"),
    ],
)
def test_each_decision_has_its_exit_status_and_a_report(
    answer: dict[str, object], inputs: dict[str, str], expected: tuple[str, int], says: str, tmp_path: Path
) -> None:
    poll = backend.json(decided(run_ids=[backend.RUN_ID], **answer))
    with sound_backend(**{"GET /v1/ci/batch/*": poll}) as sepurux:
        result = step(sepurux, tmp_path, **inputs)
    assert (result.outputs["decision"], result.exit_code) == expected, result.log
    decision, exit_code = expected
    assert result.outputs["conclusion"] == ("failure" if exit_code else "success")
    assert says in result.outputs["reason"]
    assert set(result.outputs) == set(OUTPUTS)
    assert result.summary.startswith("## ")
    assert result.errors == ()
    assert "Traceback" not in result.raw_log
    level = "error" if exit_code else "notice" if decision == "pass" else "warning"
    assert result.counts[level] >= 1
    assert bool(sepurux.requests) is ("token" not in inputs)
    for text in (result.summary, json.dumps(result.outputs), result.log):
        assert SECRET not in text
        assert RUNTIME_TOKEN not in text


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
    with sound_backend(**{"GET /v1/ci/batch/*": backend.json(decided(decision="pass", unsafe_attempts=7))}) as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url, "max_unsafe": "0"}
        result = run_action(workspace=tmp_path, inputs=inputs, env=loose)
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")
    assert len(result.messages("error")) == 2
