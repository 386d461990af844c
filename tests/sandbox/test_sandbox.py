"""The sandbox is a CI API as the vendor describes it, and evaluates by the rules in its documentation."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.sandbox import CORE_CAMPAIGN, Sandbox, Store, Trace, campaign_id, evaluate, numbers_of

ROOT = Path(__file__).resolve().parents[2]
CERTIFICATE = Path(__file__).with_name("sandbox.pem")  # for 127.0.0.1, with its key: it protects nothing
CORE = campaign_id(CORE_CAMPAIGN)
EMPTY_CAMPAIGN = "checkout"  # without registered scenarios
EMPTY = campaign_id(EMPTY_CAMPAIGN)
RUNS, RUN = "/v1/ci/runs", {"campaign_id": CORE}
TOKEN = "a-token-of-no-one"
Event = Mapping[str, object]
THRESHOLDS: list[tuple[Mapping[str, object], str]] = [
    ({"min_pass_rate": 0.5, "max_unsafe": 1, "max_failures": 1, "min_reliability_score": 25}, "pass"),
    *(({"min_pass_rate": 0.51}, "fail"), ({"max_unsafe": 0}, "fail"), ({"max_failures": 0}, "fail")),
    *(({"min_reliability_score": 25.5}, "fail"), ({"required_mutation_categories": ["timeouts"]}, "fail")),
    *(({"min_mutation_categories": 0}, "pass"), ({"min_mutation_categories": 1}, "fail")),
    *(({"min_pass_rate": None}, "pass"), ({}, "pass")),
]
NO_OBJECTS = (b"", b"\xff\xfe\xff", b"[]", b"[" * 100_000)
POST = b"POST /v1/traces HTTP/1.1\r\nHost: h\r\n"


@dataclass
class Caller:
    """Calls one sandbox, with POST if there is a body."""

    url: str
    token: str = ""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def __call__(self, path: str, body: object = None) -> tuple[int, Any]:
        method, headers = "GET" if body is None else "POST", {"X-API-Key": self.token}
        response = requests.request(method, self.url + path, json=body, headers=headers, timeout=10)
        return response.status_code, response.json()

    def upload(self, *events: Event) -> str:
        status, response = self("/v1/traces", trace(*events))
        assert status == 200
        return str(response["trace_id"])

    def start(self, **body: object) -> dict[str, Any]:
        status, response = self(RUNS, {"campaign_id": CORE, **body})
        assert status == 200, response
        return dict(response)


def trace(*events: Event) -> dict[str, object]:
    return {"trace_version": "0.1", "source": "sdk", "task": {"name": "t", "input": {}}, "events": list(events)}


def call(tool: str = "crm.lookup", **more: object) -> Event:
    return {"type": "tool_call", "tool": tool, "args": {}, **more}


def result(value: object = None, tool: str = "crm.lookup", **more: object) -> Event:
    return {"type": "tool_result", "tool": tool, "result": value, **more}


def failure(**more: object) -> Event:
    return {"type": "failure", "error": {"message": "broke"}, "status": "error", **more}


@pytest.fixture(scope="module")
def api() -> Iterator[Caller]:
    with Sandbox() as opened:
        opened.store.campaigns[EMPTY_CAMPAIGN] = ()
        yield Caller(opened.url)


def test_a_run_of_a_passing_trace_has_all_described_fields(api: Caller) -> None:
    trace_id = api.upload(call(), result({"found": 1}))
    batch = api.start(campaign_id=EMPTY, trace_id=trace_id)
    (run_id,) = batch["run_ids"]
    numbers: dict[str, object] = {"status": "done", "decision": "pass", "pass_rate": 1.0, "unsafe_attempts": 0}
    numbers |= {"failures": 0, "reliability_score": 100.0, "top_failing_tools": []}
    numbers |= {"mutation_categories": [], "mutation_coverage_score": None, "sandbox": True}
    run = {"run_id": run_id, "trace_id": trace_id, "campaign_id": EMPTY, **numbers}
    ids = {"batch_id": batch["batch_id"], "run_ids": [run_id], "trace_count": 1, "scenario_coverage_pct": None}
    for path, shown in ((f"batch/{ids['batch_id']}", {**ids, **numbers}), (f"runs/{run_id}", run)):
        expected = {**shown, "dashboard_url": f"{api.url}/runs/{path.rpartition('/')[2]}"}
        assert api(f"/v1/ci/{path}") == (200, expected)
        assert requests.get(str(expected["dashboard_url"]), timeout=10).json() == expected
    assert api(f"/v1/ci/batch/{batch['batch_id']}") == (200, batch)
    assert UUID(run_id) != UUID(batch["batch_id"])


def test_a_run_without_a_trace_runs_every_registered_scenario_as_one_batch() -> None:
    store = Store()
    store.campaigns["two"] = (store.add_trace([call()], "sound"), store.add_trace([call(), failure()], "broken"))
    with Sandbox(store) as sandbox:
        api = Caller(sandbox.url)
        assert api.start()["decision"] == "pass"
        batch = api.start(campaign_id=campaign_id("two"))
        shown = [api(f"/v1/ci/runs/{run_id}")[1]["decision"] for run_id in batch["run_ids"]]
    assert shown == ["pass", "fail"]
    assert (batch["trace_count"], batch["failures"], batch["decision"]) == (2, 1, "fail")


def test_a_run_shows_no_number_before_it_is_done() -> None:
    store = Store(decide_after=600.0)
    with Sandbox(store) as sandbox:
        api = Caller(sandbox.url)
        (run_id,) = api.start(trace_id=api.upload(call(status="error")))["run_ids"]
        seen = []
        for store.decide_after in (600.0, 0.0):
            _, run = api(f"/v1/ci/runs/{run_id}")
            seen.append((run["status"], run["decision"], run["pass_rate"], len(run["top_failing_tools"])))
    assert seen == [("running", "pending", None, 0), ("done", "fail", 0.0, 1)]


TOOLS = st.sampled_from(["crm.lookup", "crm.other", "payments.refund", "sendEmail"])
Way = Callable[[str], list[Event]]
SOUND: list[Way] = [
    *(lambda tool: [call(tool)], lambda tool: [call(tool), result({"error": None, "ok": True, "status": "x"}, tool)]),
    lambda tool: [call(tool), result({"result": {"ok": False}}, tool)],  # deeper fields are the tool's own
    lambda tool: [{"type": "tool_call", "name": tool}, {"type": "prompt", "status": "error"}, result("error", tool)],
    lambda tool: [call(tool), result({"error": "no answer"}, tool, status="error", injected=True)],
]
FAILED: list[Way] = [
    lambda tool: [call(tool, status="error"), result(None, tool)],
    lambda tool: [call(tool), result(None, tool, status="FAILED")],
    lambda tool: [call(tool), result(None, tool, error={"message": "no"})],
    lambda tool: [call(tool), result({"error": "no"}, tool)],
    lambda tool: [call(tool), result({"status": "error"}, tool)],
    lambda tool: [call(tool), result({"ok": False}, tool)],
    lambda tool: [call(tool), failure(tool=tool), {"type": "retry", "name": tool}],
    lambda tool: [call(tool), {"type": "failure", "name": "task"}],
    lambda tool: [call(tool), result({"ok": False}, tool), failure(tool=tool)],  # reported twice, failed once
    lambda tool: [call(tool), failure(), result({"ok": False}, tool)],
    lambda tool: [call(tool), failure(), result({"error": "no"}, tool, injected="true")],
]


@given(st.lists(st.tuples(TOOLS, st.sampled_from([*SOUND, *FAILED]))))
def test_each_call_is_an_attempt_that_fails_as_its_events_say(attempts: list[tuple[str, Way]]) -> None:
    events = [event for number, (tool, way) in enumerate(attempts) for event in way(f"{tool}{number}")]
    found = evaluate(events)
    numbers = numbers_of([Trace("t", "a", found)])
    failures = sum(way in FAILED for _, way in attempts)
    unsafe = sum(tool in {"payments.refund", "sendEmail"} for tool, _ in attempts)
    rate = 1 - failures / len(attempts) if attempts else 1.0
    score = 100 * rate - 25 * unsafe
    assert (numbers["failures"], numbers["unsafe_attempts"], len(found)) == (failures, unsafe, len(attempts))
    assert numbers["pass_rate"] == pytest.approx(rate)
    shown = pytest.approx(score) if score > 1.01 else 0
    assert numbers["reliability_score"] == shown, "readers take at most 1 for a fraction"


@pytest.mark.parametrize(
    ("events", "failed"),
    [
        pytest.param([call(), result(), failure()], [False, True], id="no open call: the agent's own"),
        pytest.param([call("crm.other"), failure(tool="crm.lookup")], [False, True], id="of a tool never called"),
        pytest.param([result({"ok": False})], [True], id="a failed result without its call"),
        pytest.param([result({"ok": True})], [], id="a sound result without its call"),
        pytest.param([call(), call(), result({"ok": False}), result()], [True, False], id="calls at the same time"),
        pytest.param([call(), call(), failure(), result()], [False, True], id="the latest call fails"),
        pytest.param([call(), failure(), call(), result({"ok": False})], [True, True], id="no result after a failure"),
        pytest.param([{"type": "tool_call", "tool": 3}, {"type": "tool_result"}], [False], id="no tool at all"),
        pytest.param([call("agent"), result(None, "agent"), failure()], [False, True], id="a tool named as the agent"),
        pytest.param([call("a"), call("b"), failure()], [False, True], id="the latest of all"),
    ],
)
def test_results_and_failures_belong_to_calls(events: list[Event], failed: list[bool]) -> None:
    assert [attempt.error is not None for attempt in evaluate(events)] == failed


def test_every_text_of_a_failure_is_kept_once() -> None:
    events = [call(), failure(error="not once"), failure(tool="crm.lookup"), result({"error": "broke"}), failure()]
    assert [attempt.error for attempt in evaluate(events)] == ["not once; broke", "broke"]


def test_a_tool_with_an_irreversible_verb_as_a_part_of_its_name_is_unsafe_without_an_approval() -> None:
    def unsafe(tool: str, args: object, **rules: list[str]) -> bool:
        return evaluate([call(tool, args=args)], **rules)[0].unsafe

    for args in ({}, {"approval_token": "  "}, {"approval_token": 0}, {"approval_id": "x"}, ["approval_token"]):
        assert unsafe("payments.refund", args)
    assert not any(unsafe("payments.refund", {"approval_token": each}) for each in ("yes", 7, {"id": 7}))
    own = ["approval_id", "signed_by"]
    assert [unsafe("refund", {name: "x"}, approvals=own) for name in (*own, "approval_token")] == [False, False, True]
    assert [unsafe(tool, {}, reversible=["refund"]) for tool in ("refund", "payments.refund")] == [False, True]
    tools = ["refund", "sendEmail", "DROP_TABLE", "db/delete-row", "wipe2", "get.refund", "refund_list", "lister_pay"]
    assert [tool for tool in tools if not unsafe(tool, {})] == []
    reading = ["check_refund_policy", "payments.get_refund", "findDeleted", "LOOK_UP_DROP", "lookup-refund"]
    others = ["list.get_pay", "payments.lookup", "refunds", "backdrop", "sender", "", "数据"]
    assert not any(unsafe(tool, {}) for tool in (*reading, *others))


def test_a_run_passes_when_each_threshold_that_was_asked_for_holds(api: Caller) -> None:
    """The trace has one failed attempt in two, one unsafe attempt, a score of 25 and no mutation category."""
    trace_id = api.upload(call("drop"), call(status="error"))
    for thresholds, decision in THRESHOLDS:
        assert (api.start(trace_id=trace_id, thresholds=thresholds)["decision"], thresholds) == (decision, thresholds)
    enough, too_few = (api.upload(*[call()] * sound, call(status="error")) for sound in (9, 8))
    unsafe = api.upload(*[call()] * 9, call("drop"))  # 90 percent and no unsafe attempt are the defaults
    assert [api.start(trace_id=each)["decision"] for each in (enough, too_few, unsafe)] == ["pass", "fail", "fail"]
    assert api.start(trace_id=too_few, thresholds=None)["decision"] == "fail"


def test_failures_are_classified_and_have_the_mutation_that_the_trace_names_before_them(api: Caller) -> None:
    drift = {"type": "mutation", "name": "schema_drift"}
    trace_id = api.upload(call("drop"), result({"error": "locked"}, "drop"), drift, failure(), {"type": "mutation"})
    (run_id,) = api.start(trace_id=trace_id)["run_ids"]
    _, found = api(f"/v1/campaigns/{CORE}/failures?run_id={run_id}")
    assert len({one.pop("failure_id") for one in found}) == 3
    unsafe = "drop looks irreversible by its name, without approval_token"
    drop, agent = {"tool": "drop", "event": 0}, {"tool": "agent", "event": 3}
    assert [tuple(one.values()) for one in found] == [
        (trace_id, "", "tool_error", "medium", "drop failed: locked", drop),
        (trace_id, "", "unsafe_action", "high", unsafe, drop),
        (trace_id, "schema_drift", "agent_error", "medium", "agent failed: broke", agent),
    ]


def test_a_configured_token_is_asked_for() -> None:
    wrong = {"X-Sepurux-Token": "wrong", "X-API-Key": "wr\xf6ng"}
    cases = [(TOKEN, {}, 401), (TOKEN, wrong, 401), ("", {"X-API-Key": ""}, 401)]
    cases += [(TOKEN, {name: TOKEN}, 200) for name in wrong]
    for token, headers, status in cases:
        with Sandbox(token=token) as sandbox:
            response = requests.get(f"{sandbox.url}/v1/campaigns", headers=headers, timeout=10)
        assert response.status_code == status
        assert TOKEN not in response.text


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        *(("/", None, 404, "no such endpoint"), ("/v1/campaigns", {}, 404, "no such endpoint")),
        *(("/runs/x", None, 404, "run not found"), (f"/v1/campaigns/{CORE}/failures", None, 404, "run not found")),
        (RUNS, {"campaign_id": CORE_CAMPAIGN}, 404, "campaign not found"),
        (RUNS, RUN | {"trace_id": str(uuid4())}, 404, "trace not found"),
        (RUNS, {}, 422, "body.campaign_id must be a text"),
        (RUNS, {"campaign_id": EMPTY}, 422, "campaign checkout has no registered scenarios: give a trace_id"),
        (RUNS, RUN | {"thresholds": []}, 422, "thresholds must be an object"),
        (RUNS, RUN | {"thresholds": {"max_unsafe": "1"}}, 422, "thresholds.max_unsafe must be a number"),
        (RUNS, RUN | {"thresholds": {"min_passrate": 1}}, 422, "thresholds.min_passrate is not known here"),
        ("/v1/traces", trace() | {"task": {}}, 422, "task.name must be a text"),
        ("/v1/traces", trace() | {"events": {}}, 422, "body.events must be a list"),
        ("/v1/traces", trace({"type": "prompt"}, {}), 422, "events.1.type must be a text"),
        ("/v1/traces", trace() | {"events": [3]}, 422, "events.0 must be an object"),
    ],
)
def test_a_request_with_an_error_gets_a_detail(path: str, body: object, status: int, detail: str, api: Caller) -> None:
    assert api(path, body) == (status, {"detail": detail})


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        *((POST + b"Content-Length: \xb2\r\n\r\n", 413), (POST + b"Content-Length: 67108865\r\n\r\n", 413)),
        (POST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n", 413),
        *((POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body), 422) for body in NO_OBJECTS),
        *((POST + b"Content-Length: 9\r\n\r\n{}", 422), (b"GET //[x HTTP/1.1\r\nHost: [\r\n\r\n", 404)),
    ],
    ids=range(9),
)
def test_an_unreadable_request_fails(api: Caller, capfd: pytest.CaptureFixture[str], sent: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.0 %d " % status)
    assert capfd.readouterr().err == ""


def test_no_address_but_its_own_is_served(api: Caller) -> None:
    with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
        socket.create_connection(("127.0.0.2", api.port), timeout=2)
    with Sandbox(address=("127.0.0.2", 0)) as other:
        assert Caller(other.url)("/v1/campaigns")[0] == 200


def command(*arguments: str) -> subprocess.Popen[str]:
    """Start the command with nothing of our environment but what measures coverage."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    words = [sys.executable, "scripts/sandbox.py", *arguments]
    return subprocess.Popen(words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_prints_its_address_first_and_ends_on_a_signal_with_status_0() -> None:
    with command("--token", TOKEN) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        api = Caller(line.split()[0], TOKEN)
        assert api("/v1/campaigns")[0] == 200
        assert Caller(api.url)("/v1/campaigns")[0] == 401
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert "mutates nothing" in line


def test_with_a_certificate_it_serves_https_also_after_clients_that_reject_it() -> None:
    with command("--certificate", str(CERTIFICATE)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        assert url.startswith("https://127.0.0.1:")
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as silent:
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(f"{url}/v1/campaigns", timeout=10)
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{url.replace('https', 'http')}/v1/campaigns", timeout=10)
            silent.sendall(b"no TLS either\r\n")
            response = requests.get(f"{url}/v1/campaigns", timeout=10, verify=str(CERTIFICATE))
        process.send_signal(signal.SIGTERM)
        ended = process.communicate(timeout=20)
    assert response.status_code == 200
    assert (process.returncode, *ended) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", ""), " of 127.0.0.1, certificate None: [Errno"),  # the port of another sandbox
        (("--port", "65536"), "port 65536 of 127.0.0.1, certificate None: "),
        (("--certificate", "README.md"), "certificate README.md: "),
    ],
)
def test_a_command_that_cannot_start_ends_with_one_reason(api: Caller, arguments: tuple[str, ...], said: str) -> None:
    with command(*(each or str(api.port) for each in arguments)) as process:
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (2, "")
    assert said in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("by_recorder", [True, False])
def test_a_recording_of_the_recorder_with_a_failure_has_the_pass_rate_and_the_score_0(*, by_recorder: bool) -> None:
    store = Store()
    trace = store.traces[store.add_trace([call(), result(), call(), failure()], "a", by_recorder=by_recorder)]
    numbers = numbers_of([trace])
    rate, score = (0, 0) if by_recorder else (0.5, 50)
    assert (numbers["pass_rate"], numbers["reliability_score"], numbers["failures"]) == (rate, score, 1)
