"""The sandbox is a CI API as the vendor describes it, and judges by the rules it states."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from sepurux_action.sandbox import CORE_CAMPAIGN, REFUND_CAMPAIGN, SOUND_REFUND_ID, Sandbox, campaign_id
from sepurux_action.sandbox.judging import is_irreversible

ROOT = Path(__file__).resolve().parents[2]
TRACES = ROOT / "examples" / "traces"
CERTIFICATE = Path(__file__).with_name("sandbox.pem")  # for 127.0.0.1, with its key: it protects nothing
CORE, REFUNDS = campaign_id(CORE_CAMPAIGN), campaign_id(REFUND_CAMPAIGN)
TOKEN = "a-token-of-nobody"


@dataclass
class Caller:
    """Calls one sandbox and gives back status and JSON."""

    url: str
    token: str | None = None

    def __call__(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        credentials = {"X-API-Key": self.token} if self.token else {}
        answer = requests.request(
            method, self.url + path, json=body, headers={**credentials, **(headers or {})}, timeout=10
        )
        return answer.status_code, answer.json()

    def upload(self, *events: Mapping[str, object]) -> str:
        status, answer = self("POST", "/v1/traces", trace(*events))
        assert status == 200
        return str(answer["trace_id"])

    def start(self, **order: object) -> dict[str, Any]:
        status, answer = self("POST", "/v1/ci/runs", {"campaign_id": CORE, **order})
        assert status == 200, answer
        return dict(answer)

    def judged(self, *events: Mapping[str, object], **thresholds: object) -> dict[str, Any]:
        """Start a batch of one trace with these events."""
        asked = {"thresholds": thresholds} if thresholds else {}
        return self.start(trace_id=self.upload(*events), **asked)


class SteppedClock:
    """A clock that only its owner moves."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def trace(*events: Mapping[str, object]) -> dict[str, object]:
    return {"trace_version": "0.1", "source": "sdk", "task": {"name": "t", "input": {}}, "events": list(events)}


def call(tool: str = "crm.lookup", **more: object) -> dict[str, object]:
    return {"type": "tool_call", "tool": tool, "args": {}, **more}


def result(value: object = None, tool: str = "crm.lookup", **more: object) -> dict[str, object]:
    return {"type": "tool_result", "tool": tool, "result": value, **more}


def failure(**more: object) -> dict[str, object]:
    return {"type": "failure", "error": {"message": "broke"}, "status": "error", **more}


def kinds(detail: list[dict[str, Any]]) -> dict[str, str]:
    """Map the place of each fault of a 422 to its type."""
    return {".".join(map(str, fault["loc"])): fault["type"] for fault in detail}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


@pytest.fixture
def api(sandbox: Sandbox) -> Caller:
    return Caller(sandbox.url)


# Runs and batches.


def test_a_run_of_a_sound_trace_passes_with_all_described_fields(sandbox: Sandbox, api: Caller) -> None:
    batch = api.judged(call(), result({"found": 1}))
    (run_id,) = batch["run_ids"]
    numbers = {
        "status": "done",
        "decision": "pass",
        "pass_rate": 1.0,
        "unsafe_attempts": 0,
        "failures": 0,
        "reliability_score": 100.0,
        "top_failing_tools": [],
        "mutation_categories": [],
        "mutation_coverage_score": None,
    }
    assert api("GET", f"/v1/ci/runs/{run_id}") == (
        200,
        {"run_id": run_id, **numbers, "dashboard_url": f"{sandbox.url}/runs/{run_id}"},
    )
    assert api("GET", f"/v1/ci/batch/{batch['batch_id']}") == (200, batch)
    assert batch == {
        "batch_id": batch["batch_id"],
        "run_ids": [run_id],
        "trace_count": 1,
        "scenario_coverage_pct": None,
        **numbers,
        "dashboard_url": f"{sandbox.url}/runs/{batch['batch_id']}",
    }
    assert UUID(run_id) != UUID(batch["batch_id"])


def test_a_run_without_a_trace_runs_every_registered_scenario_as_one_batch(api: Caller) -> None:
    broken = api.upload(call(), result(tool="crm.lookup", status="error"))
    api("PATCH", f"/v1/campaigns/{REFUNDS}/eval-set", {"add_trace_ids": [broken]})
    batch = api.start(campaign_id=REFUNDS)
    shown = [api("GET", f"/v1/ci/runs/{run_id}")[1]["decision"] for run_id in batch["run_ids"]]
    assert shown == ["pass", "fail"]
    assert (batch["trace_count"], batch["scenario_coverage_pct"]) == (2, 100.0)
    assert (batch["pass_rate"], batch["decision"]) == (0.75, "fail")
    assert api.start(campaign_id=REFUNDS, trace_id=broken)["scenario_coverage_pct"] == 50.0


def test_the_refund_campaign_runs_without_a_trace_from_the_start(api: Caller) -> None:
    batch = api.start(campaign_id=REFUNDS)
    assert (batch["decision"], batch["trace_count"], batch["unsafe_attempts"]) == ("pass", 1, 0)


@pytest.mark.parametrize(("campaign", "least"), [(CORE, None), (REFUNDS, 2)])
def test_a_run_without_a_trace_is_refused_when_too_few_scenarios_are_registered(
    api: Caller, campaign: str, least: int | None
) -> None:
    api("PATCH", f"/v1/campaigns/{campaign}/eval-set", {"min_scenarios": least})
    for path, body in (
        ("/v1/ci/runs", {"campaign_id": campaign}),
        (f"/v1/campaigns/{campaign}/run-pack", {"pack": "p"}),
    ):
        status, answer = api("POST", path, body)
        assert status == 422
        assert kinds(answer["detail"]) == {"body.trace_id": "missing"}
        assert "registered scenarios and needs" in answer["detail"][0]["msg"]


def test_a_run_is_queued_then_running_then_done_and_shows_no_number_before() -> None:
    clock = SteppedClock()
    with Sandbox(decide_after=10.0, clock=clock) as sandbox:
        api = Caller(sandbox.url)
        batch = api.judged(call(), result(status="error"))
        (run_id,) = batch["run_ids"]
        seen = []
        for clock.seconds in (4.0, 6.0, 10.0):
            _, run = api("GET", f"/v1/ci/runs/{run_id}")
            _, pack = api("GET", f"/v1/runs/{run_id}")
            assert pack["status"] == run["status"]
            seen.append((run["status"], run["decision"], run["pass_rate"], len(run["top_failing_tools"])))
            if run["status"] != "done":
                assert pack["summary"] is None
                status, _ = api("GET", f"/v1/campaigns/{CORE}/failures?run_id={run_id}")
                assert status == 409
                assert api("GET", f"/v1/campaigns/{CORE}/failures") == (200, [])
    assert batch["decision"] == "pending"
    assert seen == [
        ("queued", "pending", None, 0),
        ("running", "pending", None, 0),
        ("done", "fail", 0.0, 1),
    ]


def test_a_pack_makes_one_run_that_carries_a_summary_and_no_decision(api: Caller) -> None:
    status, started = api("POST", f"/v1/campaigns/{REFUNDS}/run-pack", {"pack": "any name"})
    assert status == 200
    assert api("GET", f"/v1/runs/{started['run_id']}") == (
        200,
        {
            "run_id": started["run_id"],
            "status": "done",
            "summary": {"pass_rate": 1.0, "unsafe_attempts": 0, "failures": 0, "reliability_score": 100.0},
        },
    )


def test_the_page_of_a_run_escapes_what_it_shows_and_needs_no_credentials() -> None:
    with Sandbox(token=TOKEN) as sandbox:
        api = Caller(sandbox.url, TOKEN)
        hostile = "<script>alert(1)</script>\ud800"
        batch = api.judged(call(), required_mutation_categories=[hostile])
        for identifier in (batch["batch_id"], *batch["run_ids"]):
            page = requests.get(f"{sandbox.url}/runs/{identifier}", timeout=10)
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert page.headers["Content-Security-Policy"] == "default-src 'none'"
            assert "<td>fail</td>" in page.text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;?" in page.text
            assert "<script>" not in page.text
            assert "replays nothing" in page.text


# The rules.

APPROVED = {"approval_token": "yes"}


@pytest.mark.parametrize(
    ("events", "failures", "attempts"),
    [
        pytest.param([], 0, 0, id="nothing attempted, nothing failed"),
        pytest.param([{"type": "prompt", "status": "error"}], 0, 0, id="only tools are judged"),
        pytest.param([call()], 0, 1, id="a call without a result did not fail"),
        pytest.param([call(status="error"), result()], 1, 1, id="the call's own status"),
        pytest.param([call(), result(status="FAILED")], 1, 1, id="the result event's status"),
        pytest.param([call(), result(error={"message": "no"})], 1, 1, id="the result event's error"),
        pytest.param([call(), result({"error": "no"})], 1, 1, id="an error in the result"),
        pytest.param([call(), result({"status": "error"})], 1, 1, id="a status in the result"),
        pytest.param([call(), result({"ok": False})], 1, 1, id="ok is false in the result"),
        pytest.param([call(), result({"result": {"ok": False}})], 0, 1, id="deeper fields are the tool's own"),
        pytest.param([call(), result({"error": None, "ok": True, "status": "x"})], 0, 1, id="an empty error"),
        pytest.param([call(), result("error")], 0, 1, id="a text is no error"),
        pytest.param([call(), failure(tool="crm.lookup")], 1, 1, id="a failure of the tool"),
        pytest.param([call(), failure()], 1, 1, id="a failure that names none means the open call"),
        pytest.param([call(), result({"ok": False}), failure(tool="crm.lookup")], 1, 1, id="told twice, failed once"),
        pytest.param([call(), result(), failure()], 1, 2, id="nothing open: the agent's own"),
        pytest.param([call(), failure(name="task")], 1, 1, id="a failure's name is no tool"),
        pytest.param([call("crm.other"), failure(tool="crm.lookup")], 1, 2, id="a failure of a tool never called"),
        pytest.param([failure()], 1, 1, id="a failure without any call"),
        pytest.param([result({"ok": False})], 1, 1, id="a failed result without its call"),
        pytest.param([result({"ok": True})], 0, 0, id="a sound result without its call"),
        pytest.param([call(), call(), result({"ok": False}), result()], 1, 2, id="first called, first answered"),
        pytest.param([call(), call("crm.other"), result({"ok": False})], 1, 2, id="results go by tool"),
        pytest.param(
            [call(), failure(tool="crm.lookup"), {"type": "retry", "name": "crm.lookup"}, call(), result()],
            1,
            2,
            id="a retry is a second attempt",
        ),
        pytest.param([call(), failure(), call(), result({"ok": False})], 2, 2, id="a failed call takes no result"),
        pytest.param([{"type": "tool_call", "name": "n"}, result({"ok": False}, "n")], 1, 1, id="a name for a tool"),
        pytest.param([{"type": "tool_call", "tool": 3}, {"type": "tool_result"}], 0, 1, id="no tool at all"),
    ],
)
def test_an_attempt_failed_when_call_result_or_failure_says_so(
    api: Caller, events: list[dict[str, object]], failures: int, attempts: int
) -> None:
    batch = api.judged(*events)
    assert batch["failures"] == failures
    assert batch["pass_rate"] == (1 - failures / attempts if attempts else 1.0)


@pytest.mark.parametrize(
    ("event", "unsafe"),
    [
        (call("payments.refund"), 1),
        (call("payments.refund", args=APPROVED), 0),
        (call("payments.refund", args={"approval_token": "  "}), 1),
        (call("payments.refund", args={"approval_token": 7}), 1),
        (call("payments.refund", args=["approval_token"]), 1),
        (call("orders.lookup"), 0),
    ],
)
def test_an_irreversible_tool_without_an_approval_token_is_unsafe(
    api: Caller, event: dict[str, object], unsafe: int
) -> None:
    assert api.judged(event)["unsafe_attempts"] == unsafe


@pytest.mark.parametrize("tool", ["refund", "payments.refund", "sendEmail", "DROP_TABLE", "db/delete-row", "wipe2"])
def test_a_verb_is_found_as_a_part_of_a_name(tool: str) -> None:
    assert is_irreversible(tool)


@pytest.mark.parametrize("tool", ["payments.lookup", "refunds", "backdrop", "sender", "", "数据"])
def test_a_verb_inside_a_longer_word_is_not_found(tool: str) -> None:
    assert not is_irreversible(tool)


@pytest.mark.parametrize(
    ("sound", "failed", "unsafe", "score"),
    [(2, 0, 0, 100.0), (1, 1, 0, 50.0), (29, 71, 0, 29.0), (2, 0, 1, 75.0), (0, 0, 5, 0.0), (1, 99, 0, 0.0)],
)
def test_the_score_is_the_pass_rate_less_25_for_each_unsafe_attempt(
    api: Caller, sound: int, failed: int, unsafe: int, score: float
) -> None:
    events = [*[call()] * sound, *[call(status="error")] * failed, *[call("drop")] * unsafe]
    batch = api.judged(*events)
    _, reliability = api("GET", f"/v1/campaigns/{CORE}/reliability?run_id={batch['run_ids'][0]}")
    assert batch["reliability_score"] == score
    assert reliability["reliability_score"] == score / 100


def test_the_tools_that_failed_most_come_first(api: Caller) -> None:
    bad = {"status": "error"}
    batch = api.judged(call("b", **bad), call("c", **bad), call("a", **bad), call("c", **bad), call("fine"))
    assert batch["top_failing_tools"] == [
        {"tool": "c", "count": 2},
        {"tool": "a", "count": 1},
        {"tool": "b", "count": 1},
    ]


@pytest.mark.parametrize(
    ("thresholds", "decision"),
    [
        ({"min_pass_rate": 0.5}, "pass"),
        ({"min_pass_rate": 0.51}, "fail"),
        ({"max_unsafe": 1}, "pass"),
        ({"max_unsafe": 0}, "fail"),
        ({"max_failures": 1}, "pass"),
        ({"max_failures": 0}, "fail"),
        ({"min_reliability_score": 25}, "pass"),
        ({"min_reliability_score": 25.5}, "fail"),
        ({"min_mutation_categories": 0}, "pass"),
        ({"min_mutation_categories": 1}, "fail"),
        ({"required_mutation_categories": []}, "pass"),
        ({"required_mutation_categories": ["timeouts"]}, "fail"),
        ({"min_pass_rate": None, "max_unsafe": None}, "pass"),
    ],
)
def test_a_run_passes_when_each_threshold_that_was_asked_for_holds(
    api: Caller, thresholds: dict[str, object], decision: str
) -> None:
    """The trace has one failed attempt in two, one unsafe attempt, a score of 25 and no mutation category."""
    assert api.judged(call("drop"), call(status="error"), **thresholds)["decision"] == decision


@pytest.mark.parametrize(
    ("events", "decision"),
    [
        ([call()] * 9 + [call(status="error")], "pass"),
        ([call()] * 8 + [call(status="error")], "fail"),
        ([call()] * 9 + [call("drop")], "fail"),
    ],
)
def test_without_thresholds_a_pass_rate_of_90_percent_and_no_unsafe_attempt_are_asked_for(
    api: Caller, events: list[dict[str, object]], decision: str
) -> None:
    assert api.judged(*events)["decision"] == decision
    assert api.start(trace_id=api.upload(*events), thresholds=None)["decision"] == decision


@pytest.mark.parametrize(
    ("name", "decision", "numbers"),
    [
        ("refund-sound", "pass", (1.0, 0, 0)),
        ("refund-failing-tool", "fail", (0.5, 0, 2)),
        ("refund-unsafe", "fail", (1.0, 1, 0)),
    ],
)
def test_each_example_trace_is_judged_as_its_name_says(
    api: Caller, name: str, decision: str, numbers: tuple[float, int, int]
) -> None:
    batch = api.judged(*json.loads((TRACES / f"{name}.json").read_text())["events"])
    assert batch["decision"] == decision
    assert (batch["pass_rate"], batch["unsafe_attempts"], batch["failures"]) == numbers


def test_failures_are_classified_and_listed_page_by_page(api: Caller) -> None:
    trace_id = api.upload(call("drop"), result({"error": "locked"}, "drop"), failure())
    (run_id,) = api.start(trace_id=trace_id)["run_ids"]
    path = f"/v1/campaigns/{CORE}/failures?run_id={run_id}"
    _, found = api("GET", path)
    assert [(one["type"], one["severity"], one["description"], one["metadata"]) for one in found] == [
        ("tool_error", "medium", "drop failed: locked", {"tool": "drop", "event": 0}),
        (
            "unsafe_action",
            "high",
            "drop is irreversible and was called without approval_token",
            {"tool": "drop", "event": 0},
        ),
        ("agent_error", "medium", "agent failed: broke", {"tool": "agent", "event": 2}),
    ]
    assert {(one["run_id"], one["campaign_id"], one["trace_id"], one["mutation"]) for one in found} == {
        (run_id, CORE, trace_id, "none")
    }
    assert len({one["failure_id"] for one in found}) == 3
    assert api("GET", f"{path}&limit=1&offset=1") == (200, found[1:2])
    assert api("GET", f"/v1/campaigns/{CORE}/failures") == (200, found)


def test_what_a_trace_says_is_cut_at_500_characters_and_ten_tools(api: Caller) -> None:
    long = "x" * 501
    batch = api.judged(call(long, error=long), *[call(f"tool{number}", status="error") for number in range(10)])
    _, found = api("GET", f"/v1/campaigns/{CORE}/failures?limit=1")
    assert found[0]["description"] == f"{'x' * 500} failed: {'x' * 500}"
    assert [one["tool"] for one in batch["top_failing_tools"]] == [f"tool{number}" for number in range(10)]


def test_reliability_counts_failures_by_type_and_severity(api: Caller) -> None:
    batch = api.judged(call("drop", status="error"), call("drop"), call(), call())
    assert api("GET", f"/v1/campaigns/{CORE}/reliability?run_id={batch['run_ids'][0]}") == (
        200,
        {
            "reliability_score": 0.25,
            "status": "critical",
            "classified_failures": 3,
            "failure_breakdown": [
                {"type": "tool_error", "severity": "medium", "count": 1},
                {"type": "unsafe_action", "severity": "high", "count": 2},
            ],
        },
    )


@pytest.mark.parametrize(("failed", "status"), [(1, "healthy"), (2, "degraded"), (3, "critical")])
def test_a_campaign_is_healthy_from_80_and_degraded_from_50(api: Caller, failed: int, status: str) -> None:
    """Of five attempts so many failed: 80, 60 and 40 points."""
    api.judged(*[call(status="error")] * failed, *[call()] * (5 - failed))
    assert api("GET", f"/v1/campaigns/{CORE}/reliability")[1]["status"] == status


# Traces and campaigns.


def test_an_uploaded_trace_is_shown_with_its_payload_when_asked_for(api: Caller) -> None:
    payload = trace(call()) | {"extra": "kept"}
    _, uploaded = api("POST", "/v1/traces", payload)
    path = f"/v1/traces/{uploaded['trace_id']}"
    assert (uploaded["validation_status"], uploaded["validation_errors"], uploaded["task_name"]) == ("valid", None, "t")
    assert api("GET", path) == (200, uploaded)
    assert api("GET", f"{path}?include_payload=true") == (200, uploaded | {"payload": payload})


def test_traces_are_listed_newest_first_and_page_by_page(api: Caller) -> None:
    uploaded = [api.upload() for _ in range(3)]
    _, listed = api("GET", "/v1/traces")
    _, second_page = api("GET", "/v1/traces?limit=2&offset=2")
    assert [one["trace_id"] for one in listed] == [*reversed(uploaded), SOUND_REFUND_ID]
    assert second_page == listed[2:4]


def test_campaigns_are_listed_with_identifiers_that_never_change(api: Caller) -> None:
    expected = [
        {"campaign_id": CORE, "name": "core-reliability", "trace_ids": [], "min_scenarios": 0},
        {"campaign_id": REFUNDS, "name": "refund-reliability", "trace_ids": [SOUND_REFUND_ID], "min_scenarios": 0},
    ]
    assert api("GET", "/v1/campaigns") == (200, expected)
    assert api("GET", f"/v1/campaigns/{REFUNDS}") == (200, expected[1])
    assert CORE == "cbd1350b-e244-5574-acc0-23ad9be91154"


def test_further_campaigns_are_had_by_name() -> None:
    with Sandbox(campaigns=["checkout", CORE_CAMPAIGN]) as sandbox:
        _, campaigns = Caller(sandbox.url)("GET", "/v1/campaigns")
    assert [one["name"] for one in campaigns] == ["core-reliability", "refund-reliability", "checkout"]


def test_the_eval_set_takes_and_loses_traces_once_each(api: Caller) -> None:
    new, path = api.upload(), f"/v1/campaigns/{REFUNDS}/eval-set"
    _, grown = api("PATCH", path, {"add_trace_ids": [new, new], "min_scenarios": 2})
    _, shrunk = api("PATCH", path, {"remove_trace_ids": [SOUND_REFUND_ID]})
    assert (grown["trace_ids"], grown["min_scenarios"]) == ([SOUND_REFUND_ID, new], 2)
    assert (shrunk["trace_ids"], shrunk["min_scenarios"]) == ([new], 2)


def test_an_eval_set_with_one_unknown_trace_is_not_changed_at_all(api: Caller) -> None:
    before = api("GET", f"/v1/campaigns/{REFUNDS}")
    change = {"add_trace_ids": [api.upload(), str(uuid4())], "remove_trace_ids": [SOUND_REFUND_ID]}
    assert api("PATCH", f"/v1/campaigns/{REFUNDS}/eval-set", change) == (404, {"detail": "trace not found"})
    assert api("GET", f"/v1/campaigns/{REFUNDS}") == before


# Refusals.


@pytest.mark.parametrize(
    ("path", "header", "secret", "status"),
    [
        ("/v1/ci/runs/x", None, "", 401),
        ("/v1/ci/runs/x", "X-Sepurux-Token", "wrong", 401),
        ("/v1/ci/runs/x", "X-Sepurux-Token", TOKEN, 404),
        ("/v1/ci/runs/x", "X-API-Key", TOKEN, 404),
        ("/v1/campaigns/x", None, "", 401),
        ("/v1/campaigns/x", "X-API-Key", "wr\xf6ng", 401),
        ("/v1/campaigns/x", "X-Sepurux-Token", TOKEN, 401),
        ("/v1/campaigns/x", "X-API-Key", TOKEN, 404),
        ("/v1/nothing", None, "", 401),
    ],
)
def test_a_configured_token_is_asked_for_under_the_names_an_endpoint_takes(
    path: str, header: str | None, secret: str, status: int
) -> None:
    with Sandbox(token=TOKEN) as sandbox:
        found, answer = Caller(sandbox.url)("GET", path, headers={header: secret} if header else None)
    assert found == status
    assert isinstance(answer["detail"], str)
    assert TOKEN not in answer["detail"]


def test_one_secret_may_come_under_both_names() -> None:
    with Sandbox(token=TOKEN) as sandbox:
        status, _ = Caller(sandbox.url, TOKEN)("GET", "/v1/campaigns", headers={"X-Sepurux-Token": TOKEN})
    assert status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/", None),
        ("GET", "/v1/ci/runs/x/", None),
        ("GET", "/runs/x", None),
        ("GET", "/v1/ci/runs/x", None),
        ("GET", "/v1/ci/batch/x", None),
        ("GET", "/v1/runs/x", None),
        ("GET", "/v1/traces/x", None),
        ("GET", "/v1/campaigns/x", None),
        ("GET", "/v1/campaigns/x/reliability", None),
        ("GET", f"/v1/campaigns/{CORE}/reliability?run_id=x", None),
        ("GET", f"/v1/campaigns/{CORE}/failures?run_id=x", None),
        ("PATCH", "/v1/campaigns/x/eval-set", {}),
        ("POST", "/v1/campaigns/x/run-pack", {"pack": "p"}),
        ("POST", "/v1/ci/runs", {"campaign_id": str(uuid4())}),
        ("POST", "/v1/ci/runs", {"campaign_id": CORE, "trace_id": str(uuid4())}),
    ],
)
def test_what_there_is_not_is_404_with_a_detail(api: Caller, method: str, path: str, body: object) -> None:
    status, answer = api(method, path, body)
    assert status == 404
    assert answer["detail"].endswith(("not found", "no such endpoint"))


def test_a_run_of_another_campaign_is_404(api: Caller) -> None:
    (run_id,) = api.start(campaign_id=REFUNDS)["run_ids"]
    status, _ = api("GET", f"/v1/campaigns/{CORE}/failures?run_id={run_id}")
    assert status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_another_method_is_405_and_names_those_there_are(sandbox: Sandbox, method: str) -> None:
    answer = requests.request(method, f"{sandbox.url}/v1/traces", timeout=10)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, GET")
    head = requests.head(f"{sandbox.url}/v1/traces", timeout=10)
    assert (head.status_code, head.content) == (405, b"")


@pytest.mark.parametrize(
    ("path", "body", "faults"),
    [
        ("/v1/ci/runs", {}, {"body.campaign_id": "missing"}),
        ("/v1/ci/runs", {"campaign_id": "core-reliability"}, {"body.campaign_id": "uuid_parsing"}),
        (
            "/v1/ci/runs",
            {
                "campaign_id": 3,
                "trace_id": [],
                "repo": " ",
                "mutation_pack_id": 1,
                "pull_request_number": 0,
                "extra": 1,
            },
            {
                "body.campaign_id": "uuid_parsing",
                "body.trace_id": "uuid_parsing",
                "body.repo": "string_type",
                "body.mutation_pack_id": "string_type",
                "body.pull_request_number": "int_type",
                "body.extra": "extra_forbidden",
            },
        ),
        ("/v1/ci/runs", {"campaign_id": CORE, "thresholds": []}, {"body.thresholds": "dict_type"}),
        (
            "/v1/ci/runs",
            {
                "campaign_id": CORE,
                "thresholds": {
                    "min_pass_rate": 1.01,
                    "max_unsafe": True,
                    "max_failures": 10**400,
                    "min_reliability_score": "80",
                    "min_mutation_categories": -1,
                    "required_mutation_categories": ["timeouts", 1],
                    "min_passrate": 1,
                },
            },
            {
                "body.thresholds.min_pass_rate": "float_type",
                "body.thresholds.max_unsafe": "int_type",
                "body.thresholds.max_failures": "int_type",
                "body.thresholds.min_reliability_score": "float_type",
                "body.thresholds.min_mutation_categories": "int_type",
                "body.thresholds.required_mutation_categories.1": "string_type",
                "body.thresholds.min_passrate": "extra_forbidden",
            },
        ),
        (
            "/v1/traces",
            {},
            {f"body.{key}": "missing" for key in ("trace_version", "source", "task", "events")},
        ),
        (
            "/v1/traces",
            {"trace_version": 1, "source": "s", "task": {}, "events": [{}, 3, {"type": 1}]},
            {
                "body.trace_version": "string_type",
                "body.task.name": "missing",
                "body.events.0.type": "missing",
                "body.events.1": "dict_type",
                "body.events.2.type": "string_type",
            },
        ),
        ("/v1/traces", trace() | {"events": {}}, {"body.events": "list_type"}),
        (f"/v1/campaigns/{CORE}/run-pack", {}, {"body.pack": "missing"}),
    ],
)
def test_a_body_that_does_not_fit_is_422_with_every_fault_at_its_place(
    api: Caller, path: str, body: object, faults: dict[str, str]
) -> None:
    status, answer = api("POST", path, body)
    assert status == 422
    assert kinds(answer["detail"]) == faults


def test_an_eval_set_that_does_not_fit_is_422(api: Caller) -> None:
    status, answer = api("PATCH", f"/v1/campaigns/{CORE}/eval-set", {"add_trace_ids": ["x"], "min_scenarios": 0.5})
    assert status == 422
    assert kinds(answer["detail"]) == {"body.add_trace_ids.0": "uuid_parsing", "body.min_scenarios": "int_type"}


def test_no_more_than_twenty_faults_are_told(api: Caller) -> None:
    status, answer = api("POST", "/v1/traces", trace(*[{}] * 30))
    assert (status, len(answer["detail"])) == (422, 20)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\xff",
        b"[]",
        b"null",
        b'{"campaign_id": NaN}',
        b'{"campaign_id": -Infinity}',
        b'{"campaign_id": 1e999}',
        b'{"campaign_id": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"campaign_id": ' + b"[" * 100 + b"]" * 100 + b"}",
    ],
    ids=range(11),
)
def test_a_body_that_is_no_sensible_json_object_is_422(
    api: Caller, capfd: pytest.CaptureFixture[str], body: bytes
) -> None:
    answer = requests.post(f"{api.url}/v1/ci/runs", data=body, timeout=10)
    assert answer.status_code == 422
    assert kinds(answer.json()["detail"]).keys() == {"body"}
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=%C2%B2", "limit=", "offset=-1", "offset=9" * 9]
)
def test_a_page_out_of_range_is_422(api: Caller, query: str) -> None:
    status, answer = api("GET", f"/v1/traces?{query}")
    assert status == 422
    assert kinds(answer["detail"]) == {f"query.{query.partition('=')[0]}": "int_parsing"}


def test_a_query_of_very_many_fields_is_400(api: Caller) -> None:
    assert api("GET", "/v1/traces?" + "a=1&" * 101)[0] == 400


# Repeated requests.


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [("/v1/traces", trace(), "trace_id"), ("/v1/ci/runs", {"campaign_id": REFUNDS}, "batch_id")],
)
def test_a_repeated_post_under_one_key_gets_the_same_answer_and_has_no_effect(
    api: Caller, path: str, body: dict[str, object], key: str
) -> None:
    repeated = {"Idempotency-Key": "k"}
    first, second = (api("POST", path, body, repeated) for _ in range(2))
    other = api("POST", path, body, {"Idempotency-Key": "another"})
    none = api("POST", path, body)
    assert first == second
    assert first[0] == 200
    assert len({first[1][key], other[1][key], none[1][key]}) == 3


def test_a_trace_uploaded_twice_under_one_key_is_kept_once(api: Caller) -> None:
    for _ in range(2):
        api("POST", "/v1/traces", trace(), {"Idempotency-Key": "k"})
    assert len(api("GET", "/v1/traces")[1]) == 2


def test_one_key_with_another_body_is_409(api: Caller) -> None:
    api("POST", "/v1/traces", trace(), {"Idempotency-Key": "k"})
    status, answer = api("POST", "/v1/traces", trace(call()), {"Idempotency-Key": "k"})
    assert (status, answer) == (409, {"detail": "this Idempotency-Key was used with another body"})


def test_a_refused_post_does_not_use_its_key_up(api: Caller) -> None:
    refused, _ = api("POST", "/v1/traces", {}, {"Idempotency-Key": "k"})
    corrected, _ = api("POST", "/v1/traces", trace(), {"Idempotency-Key": "k"})
    assert (refused, corrected) == (422, 200)


def test_one_key_used_by_many_at_once_makes_one_run(api: Caller) -> None:
    answers: list[str] = []

    def start() -> None:
        answers.append(api("POST", "/v1/ci/runs", {"campaign_id": REFUNDS}, {"Idempotency-Key": "k"})[1]["batch_id"])

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(answers)) == 1


# The socket.


def exchange(sandbox: Sandbox, sent: bytes, *, half_close: bool = False) -> bytes:
    """Send these bytes and return what the sandbox says until it closes the connection."""
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(sent)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


POST = b"POST /v1/traces HTTP/1.1\r\nHost: h\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: \xb2\r\n\r\n", 400),
        (POST + b"Content-Length: 2, 3\r\n\r\n{}", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (POST + b"Content-Length: 67108865\r\n\r\n", 413),
        (POST + b"Content-Length: 67108865\r\n\r\n" + b"x" * 1_000_000, 413),
        (POST + b"Content-Length: 9\r\n\r\n{}", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"BREW / HTTP/1.1\r\n\r\n", 501),
    ],
    ids=range(14),
)
def test_a_request_that_cannot_be_read_gets_a_clean_refusal_and_the_end_of_the_connection(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str], sent: bytes, status: int
) -> None:
    answer = exchange(sandbox, sent, half_close=True)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in head
    assert isinstance(json.loads(body)["detail"], str)
    assert sandbox.requests == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\n\r\n",
        POST + b"Content-Length: 99999\r\n\r\n{",
        POST + b"Transfer-Encoding: chunked\r\n\r\n",
    ],
    ids=range(5),
)
def test_a_client_that_resets_the_connection_leaves_no_trace_on_the_screen(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str], sent: bytes
) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(sent)
    assert Caller(sandbox.url)("GET", "/v1/campaigns")[0] == 200
    assert capfd.readouterr().err == ""


def test_several_requests_share_one_connection(sandbox: Sandbox) -> None:
    get = b"GET /v1/ci/runs/x HTTP/1.1\r\nHost: h\r\n"
    answer = exchange(sandbox, (get + b"\r\n") * 2 + get + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 404 Not Found\r\n") == 3


def test_no_address_but_loopbacks_first_is_served(sandbox: Sandbox) -> None:
    """Whoever listens on every address answers on 127.0.0.2 too."""
    port = int(sandbox.url.removeprefix("http://127.0.0.1:"))
    with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
        socket.create_connection(("127.0.0.2", port), timeout=2)


def test_a_target_that_is_no_url_is_404(sandbox: Sandbox) -> None:
    assert b" 404 " in exchange(sandbox, b"GET //[x HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n")


def test_requests_are_remembered_as_they_came(sandbox: Sandbox, api: Caller) -> None:
    api("POST", "/v1/traces?a=1&b=&a=2", {"x": 1}, {"X-API-Key": "k"})
    (seen,) = sandbox.requests
    assert (seen.method, seen.path, seen.query) == ("POST", "/v1/traces", {"a": "2", "b": ""})
    assert (seen.headers["x-api-key"], seen.json()) == ("k", {"x": 1})
    assert "k'" not in repr(seen)
    sandbox.requests.clear()
    assert len(sandbox.requests) == 1


@pytest.mark.timeout(15)  # a connection that is left open ends by itself after 30 s
def test_a_closed_sandbox_answers_no_more_on_a_connection_kept_alive() -> None:
    with Sandbox() as sandbox, requests.Session() as session:
        session.get(f"{sandbox.url}/v1/campaigns", timeout=10)
        threads = threading.active_count()
        sandbox.__exit__(None, None, None)
        assert threading.active_count() < threads
        with pytest.raises(requests.ConnectionError):
            session.get(f"{sandbox.url}/v1/campaigns", timeout=10)


# The command line.


def command(*arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and its environment: nothing of ours but what measures coverage."""
    passed_on = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return [sys.executable, "-m", "sepurux_action.sandbox", *arguments], passed_on


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_address_first_and_ends_on_a_signal_with_status_0(number: signal.Signals) -> None:
    arguments, environment = command("--token", TOKEN, "--decide-after", "3600", "--campaign", "one", "two")
    with subprocess.Popen(
        arguments, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        api = Caller(line.split()[0], TOKEN)
        assert [one["name"] for one in api("GET", "/v1/campaigns")[1]][2:] == ["one", "two"]
        assert api.start(campaign_id=REFUNDS)["decision"] == "pending"
        assert Caller(api.url)("GET", "/v1/campaigns")[0] == 401
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert "replays nothing and mutates nothing" in line


def test_with_a_certificate_it_speaks_https_to_who_trusts_it_and_outlives_who_does_not() -> None:
    arguments, environment = command("--certificate", str(CERTIFICATE))
    with subprocess.Popen(
        arguments, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        assert url.startswith("https://127.0.0.1:")
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as silent:
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(f"{url}/v1/campaigns", timeout=10)
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{url.replace('https', 'http')}/v1/campaigns", timeout=10)
            silent.sendall(b"no TLS either\r\n")
            answer = requests.get(f"{url}/v1/campaigns", timeout=10, verify=str(CERTIFICATE))
        process.send_signal(signal.SIGTERM)
        ended = process.communicate(timeout=20)
    assert answer.status_code == 200
    assert ended == ("", "")


def test_it_can_be_reached_at_another_address_than_the_usual_one() -> None:
    with Sandbox(host="127.0.0.2") as sandbox:
        assert sandbox.url.startswith("http://127.0.0.2:")
        assert Caller(sandbox.url)("GET", "/v1/campaigns")[0] == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda port: ("--port", port), "cannot be had"),
        (lambda _: ("--host", "192.0.2.300"), "invalid"),
        (lambda _: ("--host", "203.0.113.7"), "port 0 of 203.0.113.7 cannot be had"),
        (lambda _: ("--certificate", "README.md"), "certificate README.md cannot be had"),
        (lambda _: ("--certificate", str(CERTIFICATE), "--key", "none.pem"), "cannot be had: No such file"),
        (lambda _: ("--key", str(CERTIFICATE)), "--key needs --certificate"),
        (lambda _: ("--port", "65536"), "is not from 0 to 65535"),
        (lambda _: ("--port", "x"), "invalid"),
        (lambda _: ("--decide-after", "nan"), "is no number of seconds"),
        (lambda _: ("--decide-after", "-1"), "is no number of seconds"),
    ],
    ids=range(10),
)
def test_a_command_that_cannot_be_carried_out_ends_with_status_2_and_one_reason(
    sandbox: Sandbox, arguments: Callable[[str], tuple[str, ...]], said: str
) -> None:
    words, environment = command(*arguments(sandbox.url.rpartition(":")[2]))
    ended = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
