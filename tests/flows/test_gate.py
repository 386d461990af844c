"""The whole gate as a step of a workflow, with a backend on loopback and the runner's files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sepurux_action.report.outputs import OUTPUTS
from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import RUNTIME_TOKEN, pull_request_event, run_action
from tests.scenes import CAMPAIGN, NUMBERS, SECRET, step, visible


@dataclass(frozen=True, kw_only=True)
class Case:
    """A backend's responses, and the decision and exit status that follow."""

    title: str
    decision: str
    exit_code: int
    poll: dict[str, object] | None = None
    routes: dict[str, backend.Answer] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    says: str = ""


CASES = [
    Case(title="pass", decision="pass", exit_code=0, poll={"decision": "pass", **NUMBERS}),
    Case(title="fail", decision="fail", exit_code=1, poll={}, says="Pass rate 72.0% is below the required 90.0%"),
    Case(
        title="timeout",
        decision="pending",
        exit_code=2,
        poll={"status": "running", "decision": "pending"},
        inputs={"timeout": "0.5"},
        says="No decision after 0.5 s",
    ),
    Case(
        title="status error with pass",
        decision="error",
        exit_code=2,
        poll={"status": "error", "decision": "pass", **NUMBERS},
        says="evaluation itself failed",
    ),
    Case(
        title="campaign that is not there",
        decision="error",
        exit_code=2,
        inputs={"campaign": "refunds", "project": "my-agent"},
        says='ampaign "refunds" was not found in project "my-agent".',
    ),
    Case(
        title="422 with a list of details",
        decision="error",
        exit_code=2,
        routes={
            "POST /v1/ci/runs": backend.json(
                {
                    "detail": [
                        {"loc": ["body", "thresholds", "max_unsafe"], "msg": "too small", "type": "x"},
                        {"loc": ["body", "trace_id"], "msg": "no uuid", "type": "y"},
                    ]
                },
                422,
            )
        },
        says="body.thresholds.max_unsafe: too small; body.trace_id: no uuid",
    ),
    Case(
        title="no secret",
        decision="error",
        exit_code=2,
        inputs={"token": ""},
        says="`token` and `api_key` are both empty",
    ),
    Case(
        title="a redirect",
        decision="error",
        exit_code=2,
        routes={"GET /v1/campaigns": backend.redirect("https://elsewhere.example/login")},
        says="(HTTP 307) to https://elsewhere.example/login",
    ),
    Case(
        title="observe with a fail",
        decision="fail",
        exit_code=0,
        poll={},
        inputs={"enforcement": "observe"},
        says="72.0%",
    ),
]


def routes(case: Case) -> dict[str, backend.Answer]:
    if case.poll is None:
        return case.routes
    return {"GET /v1/ci/batch/*": backend.json(decided(run_ids=[backend.RUN_ID], **case.poll)), **case.routes}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_each_case_has_its_decision_and_its_exit_status(case: Case, tmp_path: Path) -> None:
    with sound_backend(**routes(case)) as sepurux:
        result = step(sepurux, tmp_path, **case.inputs)
    assert (result.outputs["decision"], result.exit_code) == (case.decision, case.exit_code), result.log
    assert result.outputs["conclusion"] == ("failure" if case.exit_code else "success")
    assert case.says in result.outputs["reason"]
    assert set(result.outputs) == set(OUTPUTS)
    assert result.summary.startswith("## ")
    assert result.errors == ()
    assert "Traceback" not in result.raw_log
    level = "error" if case.exit_code else "notice" if case.decision == "pass" else "warning"
    assert result.counts[level] >= 1
    for text in (result.summary, json.dumps(result.outputs), result.log):
        assert SECRET not in text
        assert RUNTIME_TOKEN not in text


def test_three_invalid_inputs_are_three_annotations_with_setting_and_value(tmp_path: Path) -> None:
    with sound_backend() as sepurux:
        result = step(sepurux, tmp_path, min_pass_rate="eighty", timeout="2 weeks", enforcement="strict")
        assert sepurux.requests == ()
    errors = result.messages("error")
    assert len(errors) == 3
    for name, value, accepted in [
        ("min_pass_rate", "eighty", "0.85"),
        ("enforcement", "strict", "observe"),
        ("timeout", "2 weeks", "1h30m"),
    ]:
        assert any(name in error and f'"{value}"' in error and accepted in error for error in errors)
        assert name in visible(result.summary)


def test_invalid_settings_block_in_every_stage(tmp_path: Path) -> None:
    with sound_backend() as sepurux:
        result = step(sepurux, tmp_path, enforcement="observe", max_unsafe="-1")
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (2, "error", "failure")


def test_without_a_secret_nothing_is_asked_of_the_backend(tmp_path: Path) -> None:
    with sound_backend() as sepurux:
        step(sepurux, tmp_path, token="")
        assert sepurux.requests == ()


def test_the_body_of_the_run_says_where_it_comes_from_and_what_is_asked(tmp_path: Path) -> None:
    with sound_backend() as sepurux:
        step(
            sepurux, tmp_path, max_failures="3", min_reliability_score="80", mutation_pack="pack-1", trace_id="trace-1"
        )
        [created] = sepurux.calls("POST /v1/ci/runs")
    assert created.json() == {
        "campaign_id": backend.CAMPAIGN_ID,
        "trace_id": "trace-1",
        "mutation_pack_id": "pack-1",
        "thresholds": {"max_unsafe": 0, "max_failures": 3, "min_reliability_score": 80.0},
        "repo": "octo-org/agents",
        "pull_request_number": 42,
    }
    assert created.headers["x-sepurux-token"] == SECRET
    assert created.headers["x-api-key"] == SECRET
    assert "authorization" not in created.headers


def test_the_vendors_earlier_actions_inputs_go_on_working(tmp_path: Path) -> None:
    (tmp_path / "trace.json").write_text('{"trace_version": "0.1", "events": []}')
    with sound_backend() as sepurux:
        result = run_action(
            workspace=tmp_path,
            inputs={
                "base_url": sepurux.url,
                "token": SECRET,
                "github_token": "",
                "project_id": "my-agent",
                "trace_file": "trace.json",
                "campaign_name": "core-reliability",
                "min_pass_rate": "0.8",
            },
        )
        assert {call.headers["x-project-id"] for call in sepurux.requests} == {"my-agent"}
        [uploaded] = sepurux.calls("POST /v1/traces")
    assert result.exit_code == 0
    assert uploaded.json() == {"trace_version": "0.1", "events": []}
    for name in ("run_id", "trace_id", "campaign_id", "decision", "dashboard_url"):
        assert result.outputs[name]


def test_a_trace_that_is_no_json_is_named_with_its_place_and_nothing_is_uploaded(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"events": [,]}')
    with sound_backend() as sepurux:
        result = step(sepurux, tmp_path, trace_file="bad.json\nmissing.json")
        assert sepurux.requests == ()
    assert result.exit_code == 2
    assert len(result.messages("error")) == 2
    assert '"bad.json" is not valid JSON: line 1, column 13' in result.messages("error")[0]
    assert '"missing.json" was not found' in result.messages("error")[1]


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


def test_a_secret_that_the_backend_echoes_is_redacted_everywhere(tmp_path: Path) -> None:
    answer = decided(
        top_failing_tools=[{"tool": f"tool {SECRET}", "count": 1}], dashboard_url=f"https://x.example/?{SECRET}"
    )
    echo = backend.json([{"type": SECRET, "severity": "high", "description": f"key={SECRET}", "mutation": ""}])
    with sound_backend(**{"GET /v1/ci/batch/*": backend.json(answer), "GET /v1/campaigns/*/failures": echo}) as sepurux:
        result = step(sepurux, tmp_path)
    unmasked = "\n".join(line for line in result.raw_log.splitlines() if not line.startswith("::add-mask::"))
    for text in (unmasked, result.summary, json.dumps(result.outputs)):
        assert SECRET not in text
    assert json.loads(result.outputs["top_failing_tools"]) == [{"tool": "tool ***", "count": 1}]


def test_a_pull_request_number_against_the_event_is_ignored_with_a_warning(tmp_path: Path) -> None:
    with sound_backend() as sepurux:
        result = run_action(
            workspace=tmp_path,
            inputs={**CAMPAIGN, "base_url": sepurux.url, "pr_number": "7"},
            event=pull_request_event(number=42),
        )
        [created] = sepurux.calls("POST /v1/ci/runs")
    assert created.json()["pull_request_number"] == 42
    assert "7" in result.messages("warning")[0]


def test_nothing_of_the_checkout_is_imported(tmp_path: Path) -> None:
    trap = "raise SystemExit('imported from the checkout')"
    for name in ("yaml.py", "jinja2.py", "requests.py", "sitecustomize.py", "sepurux_action.py", "json.py"):
        (tmp_path / name).write_text(trap)
    with sound_backend() as sepurux:
        result = run_action(
            workspace=tmp_path,
            inputs={**CAMPAIGN, "base_url": sepurux.url},
            env={"PYTHONPATH": str(tmp_path)},
            process=True,
        )
    assert result.exit_code == 0, result.log


def test_files_that_cannot_be_written_cause_a_warning_and_change_no_decision(tmp_path: Path) -> None:
    nowhere = {
        "GITHUB_OUTPUT": str(tmp_path / "no" / "out"),
        "GITHUB_STEP_SUMMARY": "",
        "GITHUB_EVENT_PATH": "/nowhere",
    }
    with sound_backend(**{"GET /v1/ci/batch/*": backend.json(decided())}) as sepurux:
        result = run_action(workspace=tmp_path, inputs={**CAMPAIGN, "base_url": sepurux.url}, env=nowhere)
    assert result.exit_code == 1
    assert len(result.messages("warning")) >= 3


def test_a_variable_that_an_earlier_step_spelt_like_an_input_loosens_nothing(tmp_path: Path) -> None:
    loose = {"INPUT_max_unsafe": "999", "INPUT_base_url": "https://evil.example"}
    with sound_backend(**{"GET /v1/ci/batch/*": backend.json(decided(decision="pass", unsafe_attempts=7))}) as sepurux:
        result = run_action(
            workspace=tmp_path, inputs={**CAMPAIGN, "base_url": sepurux.url, "max_unsafe": "0"}, env=loose
        )
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")
    assert len(result.messages("error")) == 2


def test_a_secret_given_as_a_name_is_rejected_because_reports_show_names(tmp_path: Path) -> None:
    with sound_backend() as sepurux:
        result = step(sepurux, tmp_path, project=SECRET, name=f"gate {SECRET}")
        assert sepurux.requests == ()
    assert result.exit_code == 2
    assert len(result.messages("error")) == 2
    assert SECRET not in visible(result.summary)
