"""Evaluations on a clock that costs nothing (docs/architecture.md, Limits and polling)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, repeat

import pytest

from sepurux_action.common import number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.stage import OnUndecided
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.decision import Decision, Rule
from sepurux_action.evaluation.drops import Base, Baseline
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, PASS_RATE, RELIABILITY_SCORE, SCENARIOS
from sepurux_action.evaluation.polling import Evaluation
from sepurux_action.evaluation.result import Evaluated
from sepurux_action.evaluation.runs import RunResult
from sepurux_action.host.workflow_commands import Level
from tests.fakes import CAMPAIGN, FakeApiCalls, FakeOutput, backend

Poll = Callable[[float], ApiResult]
Respond = Callable[[ApiRequest, float], ApiResult]


def http(status: int, retry_after_s: float | None = None) -> TransientError:
    """Return the result of a call that the backend responded to with an error that may pass."""
    return TransientError(reason=f"HTTP {status}", status=status, reached=True, retry_after_s=retry_after_s)


NUMBERS = {"status": "done", "decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1}
PASSED = Success(NUMBERS)
RUNNING = Success({"status": "running", "decision": "pending"})
UNDECIDED = Success({"status": "done", "decision": "pending"})
HANGS = TransientError(reason="hangs")
RESET = TransientError(reason="reset")
GATE = Gate(name="core", campaign="core", traces=(Trace(label="trace-1", trace_id="trace-1"),))


def traces(count: int) -> tuple[Trace, ...]:
    return tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(count))


def after(seconds: float, response: ApiResult = PASSED, before: ApiResult = RUNNING) -> Poll:
    """Return responses: one from so many seconds after the start, another one until then."""
    return lambda time: response if time >= 1_000 + seconds else before


def in_turn(*responses: ApiResult) -> Poll:
    """Return these responses one after the other, the last one again and again."""
    left = chain(responses, repeat(responses[-1]))
    return lambda _: next(left)


def sound(**others: ApiResult) -> Respond:
    """Return a backend without faults, which decides at once."""
    return backend(after(0), **others)


def instead(part: str, poll: Poll, others: Respond | None = None) -> Respond:
    """Return a backend without faults, except for calls whose method, path, or purpose has this part."""
    others = others or sound()
    return lambda call, time: poll(time) if part in f"{call.method} {call.path} {call.purpose}" else others(call, time)


def evaluate(calls: FakeApiCalls, *gates: Gate, output: FakeOutput | None = None) -> list[Evaluated]:
    evaluated = [(gate, Base(baseline=Baseline())) for gate in gates or (GATE,)]
    return [*Evaluation(evaluated, {"repo": "o/r"}, calls, output or FakeOutput(), lambda _: None).run()]


def run(calls: FakeApiCalls, *gates: Gate, output: FakeOutput | None = None) -> list[RunResult]:
    """Return the results of all runs of the gates."""
    return [result for of_gate in evaluate(calls, *gates, output=output) for result in of_gate.runs]


def polls(calls: FakeApiCalls) -> list[tuple[float, str]]:
    """Return the time since the start and the path of each poll."""
    return [(time - 1_000, call.path) for time, call in calls.calls if call.path.startswith("/v1/ci/batch/")]


def test_a_run_that_passes_is_started_polled_and_enriched() -> None:
    calls = FakeApiCalls(sound())
    [result] = run(calls)
    assert result.decision is Decision.PASS
    of_campaign = f"GET /v1/campaigns/{CAMPAIGN}"
    assert calls.paths()[:3] == ["GET /v1/campaigns", "POST /v1/ci/runs", "GET /v1/ci/batch/batch-1"]
    assert calls.paths()[3:5] == [f"{of_campaign}/reliability", f"{of_campaign}/failures"]
    assert (result.campaign_id, result.batch_id, result.run_id) == (CAMPAIGN, "batch-1", "run-1")
    assert result.run.value(RELIABILITY_SCORE) == 90


@pytest.mark.parametrize(
    ("poll", "timeout_s", "decision", "reason", "ends_by"),
    [
        (after(60), 60, Decision.PASS, "", 61),  # the last poll begins at the deadline
        (after(10_000), 600, Decision.PENDING, "No decision after 10 min.", 600.2),
        (after(10, HANGS), 60, Decision.PENDING, "hangs", 65.1),
        (in_turn(http(503), RESET, http(429), PASSED), 600, Decision.PASS, "", 10),
        (in_turn(http(503)), 120, Decision.ERROR, "HTTP 503", 125),
        (after(5, http(429, 3_600)), 600, Decision.PENDING, "asked to wait 1 h", 10),
        (in_turn(http(429, 3_600)), 600, Decision.ERROR, "asked to wait 1 h", 10),
        (in_turn(Success(["pass"])), 30, Decision.ERROR, "not a JSON object", 35),
        (in_turn(Success({**NUMBERS, "batch_id": "of-another-gate"})), 30, Decision.ERROR, "another run", 35),
        (in_turn(UNDECIDED, http(503)), 30, Decision.ERROR, "no decision", 35),
        (in_turn(UNDECIDED), 600, Decision.ERROR, "no decision", 3),
        (in_turn(UNDECIDED, PASSED), 600, Decision.PASS, "", 3),
    ],
)
def test_what_the_polls_of_a_run_lead_to(
    poll: Poll, timeout_s: float, decision: Decision, reason: str, ends_by: float
) -> None:
    calls = FakeApiCalls(backend(poll))
    [result] = run(calls, replace(GATE, timeout_s=timeout_s))
    assert result.decision is decision
    assert reason in result.run_decision.reason
    assert calls.time - 1_000 <= ends_by


def test_a_run_of_ten_minutes_is_polled_181_times_and_its_decision_is_seen_within_5_s() -> None:
    calls = FakeApiCalls(backend(after(600)), takes_s=0.01)
    [result] = run(calls, replace(GATE, campaign=CAMPAIGN.upper(), timeout_s=3_600))
    times = [time for time, _ in polls(calls)]
    assert "GET /v1/campaigns" not in calls.paths()
    assert result.decision is Decision.PASS
    assert len(times) == 181
    assert times[0] < 0.02  # at once after the run was started
    assert 600 <= times[-1] < 605.1


def test_all_runs_together_make_at_most_ten_polls_a_second_and_none_is_left_out() -> None:
    calls = FakeApiCalls(backend(after(120)))
    results = run(calls, replace(GATE, traces=traces(100)))
    assert {result.decision for result in results} == {Decision.PASS}
    times = [time for time, _ in polls(calls)]
    assert all(later - earlier >= 1 - 1e-6 for earlier, later in zip(times, times[10:], strict=False))
    assert calls.time < 1_145
    order = [path for _, path in polls(calls)]
    assert order[100:200] == order[200:300] == order[300:400]  # the longest overdue first


def test_every_run_has_a_last_poll_after_the_deadline() -> None:
    calls = FakeApiCalls(backend(after(59.7)))
    results = run(calls, replace(GATE, traces=traces(100), timeout_s=60))
    assert {result.decision for result in results} == {Decision.PASS}
    assert polls(calls)[-1][0] <= 70


def test_what_a_run_waits_for_and_when_it_gives_up_is_shown_with_each_change() -> None:
    output = FakeOutput()
    run(FakeApiCalls(backend(in_turn(RUNNING, http(502), RUNNING, PASSED))), output=output)
    shown = [what for what, _ in output.waits]
    assert list(dict.fromkeys(shown)) == [
        "core: finding the campaign",
        "core: starting",
        "core: running",
        "HTTP 502; core: running",
        "core: done",
        "reading what failed",
    ]
    assert output.waits[0][1] == schedule.FIRST_RESPONSE_S  # until the backend has responded at all
    assert all(540 < left_s <= 600 for what, left_s in output.waits if "running" in what)


def test_a_host_that_cannot_be_reached_is_what_a_run_waits_for() -> None:
    output, refused = FakeOutput(), TransientError(reason="no connection", connected=False, unreached="127.0.0.1")
    run(FakeApiCalls(listed(after(8, LISTED, before=refused))), output=output)
    assert "cannot reach 127.0.0.1" in [what for what, _ in output.waits]


def test_the_link_is_logged_once_as_soon_as_it_is_known() -> None:
    output = FakeOutput()
    linked = Success({"dashboard_url": "https://h.example/"})
    run(FakeApiCalls(backend(in_turn(RUNNING, linked, linked, PASSED))), replace(GATE, traces=traces(2)), output=output)
    links = [line for line in output.lines if "https://" in line]
    assert sorted(links) == ["[0] https://h.example/", "[1] https://h.example/"]


def test_a_retry_after_replaces_the_backoff_and_the_heartbeat_goes_on() -> None:
    output = FakeOutput()
    calls = FakeApiCalls(backend(in_turn(http(429, 100), PASSED)))
    [result] = run(calls, output=output)
    (first, _), (second, _) = polls(calls)
    assert result.decision is Decision.PASS
    assert 100 <= second - first < 100.5
    beats = [line for line in output.lines if line.startswith("waiting for 1 run: ")]
    assert len(beats) == 3
    assert "elapsed, at most" in beats[0]


def test_a_backend_that_never_responds_gets_60_seconds_of_the_timeout() -> None:
    calls = FakeApiCalls(lambda _call, _time: HANGS)
    [result] = run(calls, replace(GATE, timeout_s=600))
    assert result.decision is Decision.ERROR
    assert "base_url" in result.hint
    assert calls.time <= 1_060.1


def test_a_post_is_retried_under_one_idempotency_key_and_every_post_has_its_own() -> None:
    failing = iter([RESET] * 3)
    others = sound()
    calls = FakeApiCalls(
        lambda call, time: (next(failing, None) if call.method == "POST" else None) or others(call, time)
    )
    run(calls, replace(GATE, traces=(Trace(label="a.json", content=b"{}"),)))
    keys = [(call.path, call.idempotency_key) for _, call in calls.calls if call.method == "POST"]
    assert (len(keys), len(set(keys)), len({key for _, key in keys})) == (5, 2, 2)


def test_a_404_on_a_run_counts_only_15_s_after_its_creation() -> None:
    gone = PermanentError(reason="Sepurux refused the poll of the run (HTTP 404)", status=404)
    assert run(FakeApiCalls(backend(after(10, before=gone))))[0].decision is Decision.PASS
    calls = FakeApiCalls(backend(in_turn(gone)))
    [result] = run(calls)
    assert result.decision is Decision.ERROR
    assert polls(calls)[-2][0] < 15.5 < polls(calls)[-1][0]


def test_a_rejection_ends_the_run_with_the_backends_words_and_a_hint() -> None:
    reason = "Sepurux refused the CI run (HTTP 422): thresholds.max_unsafe: no"
    calls = FakeApiCalls(sound(runs=PermanentError(reason=reason, status=422, hint="Correct it.")))
    [result] = run(calls)
    assert (result.decision, result.run_decision.reason, result.hint) == (Decision.ERROR, f"{reason}.", "Correct it.")
    assert polls(calls) == []


@pytest.mark.parametrize("call", ["runs", "traces"])
@pytest.mark.parametrize("body", [{}, [], None, {"batch_id": "../../v1/evil", "trace_id": "../x"}, {"run_id": 7}])
def test_a_response_without_a_usable_id_is_an_error_and_no_trace_counts_as_the_registered_scenarios(
    call: str, body: object
) -> None:
    calls = FakeApiCalls(sound(**{call: Success(body)}))
    [result] = run(calls, replace(GATE, traces=(Trace(label="a.json", content=b"{}"),)))
    assert result.decision is Decision.ERROR
    assert ("no usable run_id or batch_id" in result.run_decision.reason) is (call == "runs")
    assert len(calls.paths("/v1/ci/runs")) == (call == "runs")


def test_an_older_server_that_names_a_run_only_is_polled_as_a_run() -> None:
    calls = FakeApiCalls(sound(runs=Success({"run_id": "run-9"})))
    [result] = run(calls)
    assert result.decision is Decision.PASS
    assert calls.paths("/v1/ci/runs/") == ["GET /v1/ci/runs/run-9"]


@pytest.mark.parametrize(
    ("body", "known"),
    [
        ({"status": "running", "decision": "pending"}, False),
        ({"status": "failed", "decision": None}, False),
        ({"status": "done", "decision": ""}, False),
        ({"status": "resting", "decision": "pass"}, False),
        ({"status": "failed", "decision": "pass"}, True),
        ({"status": "done", "decision": "fail"}, True),
    ],
)
def test_the_numbers_of_a_run_that_sepurux_has_not_decided_are_unknown(body: dict[str, str], known: bool) -> None:  # noqa: FBT001
    [result] = run(FakeApiCalls(backend(in_turn(Success({**NUMBERS, **body})))))
    assert bool(result.run.numbers) is known


def test_an_unknown_status_is_pending_with_one_warning() -> None:
    output = FakeOutput()
    unknown = Success({"status": "resting", "decision": "pass"})
    [result] = run(FakeApiCalls(backend(after(30, before=unknown))), output=output)
    assert result.decision is Decision.PASS
    assert [(level, '"resting"' in text) for level, text in output.annotations] == [(Level.WARNING, True)]


def test_a_log_line_that_is_the_same_for_several_runs_is_written_once() -> None:
    output = FakeOutput()
    run(FakeApiCalls(backend(after(25))), GATE, replace(GATE, name="other"), output=output)
    assert len([line for line in output.lines if "not decided yet" in line]) == 1
    assert len([line for line in output.lines if "started" in line]) == 2


def test_a_call_that_fails_again_for_the_same_reason_is_logged_once() -> None:
    output = FakeOutput()
    failures = [TransientError(reason=reason) for reason in ("HTTP 500", "HTTP 500", "HTTP 503", "HTTP 503")]
    polled = backend(in_turn(*failures, RUNNING, *failures[:2], PASSED))
    run(FakeApiCalls(instead("POST", in_turn(*failures, Success({"batch_id": "b"})), polled)), output=output)
    logged = [line.partition(";")[0] for line in output.lines if "HTTP" in line]
    of_start, of_polls = ("HTTP 500", "HTTP 503"), ("HTTP 500", "HTTP 503", "HTTP 500")
    assert logged == [*(f"the CI run: {why}" for why in of_start), *(f"poll failed: {why}" for why in of_polls)]


def test_enrichment_that_fails_is_a_note_and_never_a_decision() -> None:
    rejected = PermanentError(reason="Sepurux refused it (HTTP 403)", status=403)
    calls = FakeApiCalls(sound(reliability=rejected, failures=HANGS))
    [result] = evaluate(calls)
    assert result.decision is Decision.PASS
    assert len(result.what_failed.notes) == 2
    assert "403" in result.what_failed.notes[0]
    enriching = [time for time, call in calls.calls if CAMPAIGN in call.path]
    assert len(enriching) == 2
    assert calls.time - enriching[0] <= schedule.SCENARIOS_S + 0.2


def test_several_traces_are_uploaded_and_polled_together() -> None:
    files = tuple(Trace(label=f"{n}.json", content=b"{}") for n in range(20))
    calls = FakeApiCalls(backend(after(30)))
    results = run(calls, replace(GATE, traces=files))
    assert [result.trace for result in results] == [trace.label for trace in files]
    assert {result.decision for result in results} == {Decision.PASS}
    assert len(calls.paths("/v1/traces")) == len(calls.paths("/v1/ci/runs")) == 20
    assert calls.paths().count("GET /v1/campaigns") == 1
    assert calls.max_at_once == 8
    assert calls.time < 1_060


@pytest.mark.parametrize("at", [1_000, 1_000.15, 1_003, 1_030])
def test_after_a_signal_the_open_runs_are_an_error_and_nothing_more_is_sent(at: float) -> None:
    calls = FakeApiCalls(backend(after(5_000)), cancel_at=at)
    [result] = run(calls)
    assert result.decision is Decision.ERROR
    assert (result.run_decision.rule, result.hint) == (Rule.CANCELLED, "{Rerun}.")
    assert calls.time <= max(at, 1_000.2) + 0.1
    assert all(time <= at for time, _ in calls.calls)


def test_after_a_signal_before_the_start_nothing_is_sent_and_a_decision_before_it_stays() -> None:
    calls = FakeApiCalls(sound())
    calls.signals.receive(15)
    [result] = run(calls)
    assert (result.run_decision.reason, result.run_decision.rule) == ("The run was cancelled.", Rule.CANCELLED)
    assert calls.calls == []
    assert run(FakeApiCalls(sound(reliability=HANGS), cancel_at=1_001.5))[0].decision is Decision.PASS


def test_an_unexpected_exception_in_one_run_ends_the_step() -> None:
    def broken(_call: ApiRequest, _time: float) -> ApiResult:
        raise OSError("a secret")

    with pytest.raises(OSError, match="a secret"):
        run(FakeApiCalls(broken), GATE, replace(GATE, name="other"))


@pytest.mark.parametrize(
    ("gate", "written"),
    [
        (replace(GATE, timeout_s=30), [(0, 1, ""), (0, 1, "https://h.example/")]),
        (replace(GATE, traces=traces(20)), [(0, 1, ""), (30, 20, "https://h.example/")]),
    ],
    ids=["one", "several"],
)
def test_ids_and_addresses_are_written_at_once_and_those_of_several_runs_then_with_the_heartbeat(
    gate: Gate, written: list[tuple[int, int, str]]
) -> None:
    seen: list[tuple[int, int, str]] = []

    def write(known: Sequence[RunResult]) -> None:
        seen.append((int(calls.time - 1_000), len(known), known[0].run.dashboard_url))

    calls = FakeApiCalls(backend(after(300, before=Success({"dashboard_url": "https://h.example/"}))))
    Evaluation([(gate, Base(baseline=Baseline()))], {}, calls, FakeOutput(), write).run()
    assert seen == written


def test_the_wait_for_a_slot_is_part_of_the_time_of_a_call() -> None:
    calls = FakeApiCalls(lambda _call, _time: HANGS)
    results = run(calls, replace(GATE, campaign=CAMPAIGN, traces=traces(40), timeout_s=5))
    assert {result.decision for result in results} == {Decision.ERROR}
    assert calls.time <= 1_012
    calls = FakeApiCalls(backend(in_turn(HANGS)))
    run(calls, replace(GATE, traces=traces(40), timeout_s=30))
    assert calls.time <= 1_036


def test_a_step_keeps_a_thousand_kinds_of_failures_and_counts_all() -> None:
    listed = Success([{"type": f"t-{n}", "severity": "low", "description": "d" * 2_000} for n in range(200)])
    gates = [replace(GATE, name=f"gate-{number}", campaign=CAMPAIGN) for number in range(20)]
    results = evaluate(FakeApiCalls(sound(failures=listed)), *gates)
    kept = [failure for result in results for failure in result.what_failed.failures]
    assert len(kept) == 20 * 50
    assert sum(len(failure.description) for failure in kept) <= 1_000_000
    assert {sum(each.count for each in r.what_failed.failures) + r.what_failed.left_out for r in results} == {200}


# --- One run never affects another -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run_id", "batch_id"])
@pytest.mark.parametrize("wrong", [[], {}, 7, 0, True, False, 1.5, ["run-1"], "of-another"])
@pytest.mark.parametrize("polled", ["run_id", "batch_id"])
def test_a_poll_response_with_a_wrong_id_is_a_failed_poll(polled: str, name: str, wrong: object) -> None:
    poll = in_turn(Success({**NUMBERS, name: wrong}), Success({**NUMBERS, "pass_rate": 0.99}))
    [result] = run(FakeApiCalls(backend(poll, runs=Success({polled: "ours"}))))
    ignored = wrong == "of-another" and name != polled
    assert result.run.value(PASS_RATE) == (0.95 if ignored else 0.99)


class Defective(dict[str, object]):
    """A payload that stands for a defect of ours: reading it raises what no JSON raises."""

    def get(self, *_: object) -> object:
        raise KeyError("a secret")


def test_a_defect_while_one_run_is_polled_ends_that_run_and_no_other() -> None:
    output = FakeOutput()
    calls = FakeApiCalls(backend(in_turn(Success(Defective(NUMBERS)), PASSED)))
    results = run(calls, replace(GATE, traces=traces(3)), output=output)
    assert [result.decision for result in results] == [Decision.ERROR, Decision.PASS, Decision.PASS]
    assert results[0].run_decision.reason.startswith("Internal error (KeyError at test_polling.py:")
    assert "sepurux/gate-action" in results[0].hint
    assert any("internal error (KeyError" in line for line in output.lines)
    assert not any("a secret" in line for line in output.lines)


def test_a_defect_after_a_fail_leaves_the_fail() -> None:
    failed = Success({"status": "done", "decision": "fail"})
    [result] = run(FakeApiCalls(backend(after(0, failed), reliability=Success(Defective()))))
    assert result.decision is Decision.FAIL


# --- Campaign lists --------------------------------------------------------------------------------------------

LISTED = Success([{"campaign_id": CAMPAIGN, "name": "core"}, {"campaign_id": CAMPAIGN, "name": "refunds"}])


def listed(poll: Poll, project: str = "") -> Respond:
    """Return a backend whose requests for the campaigns of one project get these responses."""
    others = sound(campaigns=LISTED)
    return lambda call, time: (
        poll(time) if (call.path, call.project) == (api.CAMPAIGNS, project) else others(call, time)
    )


def test_a_campaign_that_is_not_there_is_an_error_that_lists_the_others() -> None:
    [result] = run(FakeApiCalls(sound()), replace(GATE, campaign="refunds", project="my-agent"))
    assert result.decision is Decision.ERROR
    assert result.run_decision.reason == 'Campaign "refunds" was not found in project "my-agent".'
    assert result.hint == 'Set `campaign` to one of these, or `project` to another project: "core".'


def test_a_campaign_that_is_nearly_right_is_an_error_that_names_the_right_one() -> None:
    [result] = run(FakeApiCalls(sound()), replace(GATE, campaign="Cores"))
    assert result.hint.startswith('Did you mean "core"? Set `campaign` to ')


def test_two_campaigns_of_one_name_are_an_error_that_names_their_ids() -> None:
    twins = Success([{"campaign_id": "a", "name": "core"}, {"campaign_id": "b", "name": "core"}])
    [result] = run(FakeApiCalls(sound(campaigns=twins)))
    assert result.decision is Decision.ERROR
    assert '"a", "b"' in result.hint


@pytest.mark.parametrize("error", [http(503), HANGS])
def test_a_project_whose_campaign_list_fails_does_not_delay_the_gates_of_others(error: TransientError) -> None:
    calls = FakeApiCalls(listed(in_turn(error), "broken"))
    broken = [replace(GATE, name=f"b{n}", campaign=f"c{n}", project="broken", timeout_s=600) for n in range(20)]
    *others, other = run(calls, *broken, replace(GATE, name="s", project="sound", timeout_s=5))
    assert {result.decision for result in others} == {Decision.ERROR}
    assert other.decision is Decision.PASS
    assert other.elapsed_s < 2


def test_each_run_finds_its_campaign_within_its_own_timeout() -> None:
    calls = FakeApiCalls(listed(after(300, LISTED, before=http(503))))
    short, long = run(calls, replace(GATE, name="short", timeout_s=10), replace(GATE, name="long", timeout_s=600))
    assert (short.decision, long.decision) == (Decision.ERROR, Decision.PASS)
    assert "HTTP 503" in short.run_decision.reason
    assert short.elapsed_s <= 10


def test_a_backoff_longer_than_the_time_that_is_left_leaves_a_last_attempt() -> None:
    unreachable = TransientError(reason="the connection failed", connected=False)
    soon, late = (FakeApiCalls(listed(after(seconds, LISTED, before=unreachable))) for seconds in (8.5, 60))
    assert run(soon, replace(GATE, timeout_s=10))[0].decision is Decision.PASS
    [result] = run(late, replace(GATE, timeout_s=10))
    assert (result.decision, [round(at - 1_000) for at, _ in late.calls]) == (Decision.ERROR, [0, 1, 3, 7, 9])
    assert 9 <= result.elapsed_s <= 10


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (PermanentError(reason="no (HTTP 401)", status=401), "No (HTTP 401)."),
        (Success([Defective(name="core")]), "Internal error (KeyError"),
    ],
)
def test_a_campaign_list_without_use_is_requested_once_and_the_error_of_every_run(
    response: ApiResult, reason: str
) -> None:
    calls = FakeApiCalls(sound(campaigns=response))
    results = run(calls, GATE, replace(GATE, name="other"))
    assert {result.decision for result in results} == {Decision.ERROR}
    assert all(result.run_decision.reason.startswith(reason) for result in results)
    assert calls.paths() == ["GET /v1/campaigns"]


class DriftingCalls(FakeApiCalls):
    """Calls on a clock that moves a little each time that it is read, as a real one does."""

    drift = 0.0

    def now(self) -> float:
        self.drift += 0.017
        return super().now() + self.drift


@pytest.mark.parametrize("ends_at", [n / 10 for n in range(5, 40, 5)])
def test_the_sentence_on_a_wait_has_the_same_clock_as_the_time_of_the_run(ends_at: float) -> None:
    [result] = run(DriftingCalls(backend(after(ends_at, http(429, 3_600)))))
    assert result.decision is Decision.PENDING
    assert result.run_decision.reason.startswith(f"No decision after {number_format.duration(result.elapsed_s)}; ")
    assert result.run_decision.detail.startswith("The last poll failed: HTTP 429")


def test_the_log_says_once_how_long_a_run_waited() -> None:
    output = FakeOutput()
    gates = [replace(GATE, name=name, timeout_s=60) for name in ("one", "two")]
    run(FakeApiCalls(backend(after(5_000))), *gates, output=output)
    assert {f"[{name}] pending: No decision after 1 min." for name in ("one", "two")} < set(output.lines)


def test_the_log_has_the_numbers_of_each_of_several_runs() -> None:
    failed = Success({**NUMBERS, "decision": "fail", "unsafe_attempts": 2})
    one, several = FakeOutput(), FakeOutput()
    run(FakeApiCalls(sound()), output=one)
    run(
        FakeApiCalls(instead("GET /v1/ci/batch", in_turn(failed, PASSED))),
        replace(GATE, traces=traces(2)),
        output=several,
    )
    assert "pass after 0.4 s" in one.lines
    assert {
        "[0] fail after 0.4 s: 95.0% passed, 2 unsafe attempts, 1 failure",
        "[1] pass after 0.5 s: 95.0% passed, 0 unsafe attempts, 1 failure",
    } < set(several.lines)


# --- The number of scenarios -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids_in_poll", [True, False])
@pytest.mark.parametrize(
    ("ids", "limit", "decision"),
    [(["one", "two"], 2, Decision.PASS), (["one", "two"], 3, Decision.FAIL), (None, 1, Decision.ERROR)],
)
def test_scenarios_are_counted_by_run_ids_that_only_the_start_may_name(
    ids: list[str] | None, limit: float, decision: Decision, *, ids_in_poll: bool
) -> None:
    poll = Success({**NUMBERS, **({"run_ids": ids} if ids_in_poll else {})})
    calls = FakeApiCalls(backend(after(0, poll), runs=Success({"batch_id": "b", "run_ids": ids})))
    [result] = evaluate(calls, Gate(name="core", campaign="core", limits={"min_scenarios": limit}))
    assert (result.decision, result.runs[0].run.value(SCENARIOS)) == (decision, ids and len(ids))


# --- The score of a run that reports none ------------------------------------------------------------------------

SCORED = replace(GATE, campaign=CAMPAIGN, limits={"min_reliability_score": 80}, timeout_s=60)
NOT_WORSE = replace(SCORED, limits={"max_reliability_score_drop": 3})
NO_SCORE = Success({"reliability_score": None})


def rejected(status: int) -> PermanentError:
    return PermanentError(reason="x", status=status)


def score(value: object) -> ApiResult:
    """Return a response with a score."""
    return Success({"reliability_score": value})


def by_score(*responses: ApiResult, runs: int = 1, poll: ApiResult | None = None) -> Respond:
    """Return a backend that responds to requests for a score with these, the last one again and again.

    For a batch of several runs, they are the responses by run.
    """
    run_ids = [f"run-{n}" for n in range(runs)]
    others = backend(after(5, poll or Success({**NUMBERS, "run_ids": run_ids})))
    if runs == 1:
        return instead("/reliability", in_turn(*responses), others)

    def respond(call: ApiRequest, time: float) -> ApiResult:
        if "/reliability" in call.path:
            return responses[run_ids.index(dict(call.query)["run_id"])]
        return others(call, time)

    return respond


@pytest.mark.parametrize(
    "lost",
    [
        http(503),
        http(429),
        http(429, retry_after_s=7),
        RESET,
        TransientError(reason="an empty response (HTTP 200)", status=200, reached=True),
        Success([]),
        Success(None),
    ],
)
@pytest.mark.parametrize(
    ("gate", "value", "decision"),
    [(SCORED, 61.5, Decision.FAIL), (SCORED, 80, Decision.PASS), (NOT_WORSE, 90, Decision.PASS)],
)
def test_lost_responses_to_the_request_for_the_score_change_no_decision(
    lost: ApiResult, gate: Gate, value: float, decision: Decision
) -> None:
    calls = FakeApiCalls(by_score(lost, lost, lost, score(value)))
    [result] = evaluate(calls, gate)
    assert (result.decision, result.runs[0].run.value(RELIABILITY_SCORE)) == (decision, value)
    assert len(calls.paths("reliability")) == 4


@pytest.mark.parametrize("gate", [SCORED, NOT_WORSE], ids=["min", "drop"])
@pytest.mark.parametrize(("timeout_s", "until"), [(60, 60), (10, 35)])
def test_a_score_that_cannot_be_read_is_asked_for_until_the_deadline_or_for_30_s_and_is_an_error(
    gate: Gate, timeout_s: float, until: float
) -> None:
    calls = FakeApiCalls(by_score(http(503)))
    [result] = evaluate(calls, replace(gate, timeout_s=timeout_s))
    assert (result.decision, result.rule) == (Decision.ERROR, Rule.NUMBER_UNKNOWN)
    assert "reliability score: could not be read: HTTP 503" in result.reason
    assert "{Rerun}" in result.hint
    assert until - 2 < result.runs[0].elapsed_s < until + 1


@pytest.mark.parametrize("gate", [SCORED, NOT_WORSE], ids=["min", "drop"])
@pytest.mark.parametrize(
    "response", [*(PermanentError(reason="no", status=status) for status in (401, 403, 404)), NO_SCORE, Success({})]
)
def test_a_score_that_the_backend_does_not_show_is_not_reported(response: ApiResult, gate: Gate) -> None:
    calls = FakeApiCalls(by_score(response))
    [result] = run(calls, gate)
    assert (result.decision, result.run.reading(RELIABILITY_SCORE)) == (Decision.PASS, Reading())
    assert len(calls.paths("reliability")) == 1


@pytest.mark.parametrize("gate", [SCORED, NOT_WORSE], ids=["min", "drop"])
@pytest.mark.parametrize(
    ("response", "says"),
    [
        *((score(value), "no number: ") for value in ("61.5%", 6150, [61.5], True, -1)),
        *((rejected(status), "could not be read: x") for status in (0, 302, 400, 409, 413, 422)),
    ],
)
def test_a_score_of_another_call_that_is_rejected_or_no_number_of_its_scale_is_an_error_at_once(
    response: ApiResult, says: str, gate: Gate
) -> None:
    calls = FakeApiCalls(by_score(response))
    [result] = evaluate(calls, gate)
    assert (result.decision, result.rule) == (Decision.ERROR, Rule.NUMBER_UNKNOWN)
    assert f"reliability score: {says}" in result.reason
    assert len(calls.paths("reliability")) == 1


@pytest.mark.parametrize(
    ("responses", "decision", "metric"),
    [
        ([score(90), score(71), score(85)], Decision.PASS, Reading(82)),
        ([score(90), score(2), score(95)], Decision.FAIL, Reading(62.33333333)),
        ([score(90), NO_SCORE, score(95)], Decision.PASS, Reading(92.5, reported_by="2 of 3 runs")),
        ([NO_SCORE, PermanentError(reason="no", status=404), NO_SCORE], Decision.PASS, Reading()),
        ([score(90), score(95), http(503)], Decision.ERROR, None),
        ([score(90), score(2), http(503)], Decision.ERROR, None),
        ([score(90), score("high"), score(95)], Decision.ERROR, None),
    ],
)
def test_the_mean_score_of_the_runs_of_a_batch_counts(
    responses: Sequence[ApiResult], decision: Decision, metric: Reading | None
) -> None:
    calls = FakeApiCalls(by_score(*responses, runs=3))
    [result] = evaluate(calls, registered(min_reliability_score=80))
    assert result.decision is decision
    asked = {dict(call.query)["run_id"] for _, call in calls.calls if "/reliability" in call.path}
    assert asked == {"run-0", "run-1", "run-2"}
    if metric:
        assert result.numbers.reading(RELIABILITY_SCORE) == metric
    else:
        assert result.numbers.reading(RELIABILITY_SCORE).broken


def test_a_batch_with_more_runs_than_are_kept_has_no_known_mean_score() -> None:
    gate = registered(min_reliability_score=80)
    [result] = evaluate(FakeApiCalls(by_score(*[score(90)] * 1_001, runs=1_001)), gate)
    assert result.decision is Decision.ERROR


def registered(**limits: float) -> Gate:
    return Gate(name="core", campaign=CAMPAIGN, limits=limits, timeout_s=60)


# --- The pass rate of each run of a batch ------------------------------------------------------------------------


def by_run(*responses: ApiResult, **numbers: object) -> Respond:
    """Return a backend of a batch that passes after 5 s, and whose runs have these responses."""
    run_ids = [f"run-{n}" for n in range(len(responses))]
    batch = Success({**NUMBERS, "run_ids": run_ids, **numbers})
    others = backend(after(5, batch))

    def respond(call: ApiRequest, time: float) -> ApiResult:
        if call.path.startswith("/v1/ci/runs/"):
            return responses[run_ids.index(call.path.rpartition("/")[2])]
        return others(call, time)

    return respond


def with_rate(rate: object) -> ApiResult:
    return Success({"pass_rate": rate, "failures": 0, "unsafe_attempts": 0})


@pytest.mark.parametrize(
    ("responses", "decision", "lowest"),
    [
        ([with_rate(1), with_rate(0.6)], Decision.PASS, Reading(0.6)),
        ([with_rate(1), with_rate(0.59)], Decision.FAIL, Reading(0.59)),
        (
            [with_rate(None), with_rate(0.59)],
            Decision.FAIL,
            Reading(0.59, reported_by="1 of 2 scenarios", partial=True),
        ),
        ([with_rate(None), with_rate(0.6)], Decision.ERROR, Reading(0.6, reported_by="1 of 2 scenarios", partial=True)),
        ([with_rate("1"), with_rate(1)], Decision.ERROR, Reading(1, reported_by="1 of 2 scenarios", partial=True)),
        ([rejected(404), rejected(404)], Decision.ERROR, Reading(broken="could not be read: x")),
        ([Success({"run_id": "run-9", "pass_rate": 1}), with_rate(1)], Decision.ERROR, None),
    ],
)
def test_the_runs_of_a_batch_are_read_for_the_lowest_scenario(
    responses: Sequence[ApiResult], decision: Decision, lowest: Reading | None
) -> None:
    calls = FakeApiCalls(by_run(*responses))
    [result] = evaluate(calls, registered(min_scenario_pass_rate=0.6))
    assert result.decision is decision
    assert lowest is None or result.numbers.reading(LOWEST_SCENARIO) == lowest
    requested = [path for path in calls.paths("/v1/ci/runs/") if path.startswith("GET")]
    unread = sum(not isinstance(each, Success) or "run_id" in dict(each.payload) for each in responses)  # type: ignore[call-overload]
    assert len(requested) == 2 + unread  # again for the report, within its limits


def test_the_runs_of_a_batch_are_not_read_without_that_threshold_or_after_a_fail() -> None:
    for gate, decision in ((registered(min_pass_rate=0.9), "pass"), (registered(min_scenario_pass_rate=0.6), "fail")):
        calls = FakeApiCalls(by_run(with_rate(1), with_rate(0), decision=decision, failures=0))
        evaluate(calls, gate)
        during = [time for time, call in calls.calls if call.path.startswith("/v1/ci/runs/")]
        assert len(during) == (2 if decision == "fail" else 0)  # for the report


def test_a_run_that_does_not_respond_is_read_until_the_deadline_or_for_30_s_after_the_last_response() -> None:
    for timeout_s, until in ((60, 60), (10, 36)):
        calls = FakeApiCalls(by_run(http(503), with_rate(1)))
        gate = replace(registered(min_scenario_pass_rate=0.6), timeout_s=timeout_s)
        [result] = evaluate(calls, gate)
        assert result.decision is Decision.ERROR
        assert until - 2 < result.runs[0].elapsed_s < until + 1


def test_a_batch_of_more_than_400_runs_is_not_read_and_no_pass() -> None:
    gate = registered(min_scenario_pass_rate=0.6)
    [most], [more] = (evaluate(FakeApiCalls(by_run(*[with_rate(1)] * count)), gate) for count in (400, 401))
    assert (most.decision, more.decision) == (Decision.PASS, Decision.ERROR)
    assert "the batch has 401 runs, and at most 400 are read" in more.reason


@pytest.mark.parametrize("runs", [1, 3])
def test_without_a_threshold_on_it_only_the_score_of_a_single_run_is_requested_once(runs: int) -> None:
    calls = FakeApiCalls(by_score(*[http(503)] * runs, runs=runs))
    [result] = run(calls, replace(GATE, campaign=CAMPAIGN))
    assert result.decision is Decision.PASS
    assert len(calls.paths("reliability")) == (runs == 1)


@pytest.mark.parametrize("gate", [SCORED, NOT_WORSE], ids=["min", "drop"])
def test_the_score_of_a_fail_is_requested_once(gate: Gate) -> None:
    failed = Success({"status": "done", "decision": "fail"})
    calls = FakeApiCalls(by_score(http(503), score(99), poll=failed))
    [result] = run(calls, gate)
    assert result.decision is Decision.FAIL
    assert len(calls.paths("reliability")) == 1
    [result] = run(FakeApiCalls(by_score(score(99), poll=failed)), gate)
    assert (result.decision, result.run.value(RELIABILITY_SCORE)) == (Decision.FAIL, 99)


def test_a_score_that_the_poll_reports_is_not_asked_for() -> None:
    calls = FakeApiCalls(by_score(score(61.5), poll=Success({**NUMBERS, "reliability_score": 90})))
    assert run(calls, SCORED)[0].decision is Decision.PASS
    assert calls.paths("reliability") == []


@pytest.mark.parametrize("gate", [SCORED, NOT_WORSE], ids=["min", "drop"])
@pytest.mark.parametrize("response", [HANGS, http(503), http(429, retry_after_s=20)])
def test_after_a_signal_a_pass_whose_score_is_not_known_is_an_error(gate: Gate, response: ApiResult) -> None:
    calls = FakeApiCalls(by_score(response), cancel_at=1_008)
    [result] = run(calls, gate)
    assert (result.decision, result.run_decision.rule) == (Decision.ERROR, Rule.CANCELLED)
    assert calls.time < 1_009


# --- Slots and waits that runs share ---------------------------------------------------------------------------


def of_project(project: str, count: int, **changes: object) -> list[Gate]:
    """Return gates of a project whose campaign is known by its UUID."""
    gate = replace(GATE, campaign=CAMPAIGN, project=project)
    return [replace(gate, name=f"{project} {n}", **changes) for n in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("purpose", ["the CI run", "the poll of the run", "the classified failures"])
def test_projects_that_do_not_respond_leave_a_slot_to_another_one(purpose: str) -> None:
    others = sound()

    def respond(call: ApiRequest, time: float) -> ApiResult:
        return HANGS if call.project != "healthy" and call.purpose == purpose else others(call, time)

    hanging = [gate for n in range(6) for gate in of_project(f"broken {n}", 10)]
    *_, result = run(FakeApiCalls(respond), *hanging, *of_project("healthy", 1, timeout_s=5))
    assert result.decision is Decision.PASS
    assert result.elapsed_s < 6


@pytest.mark.parametrize("projects", ["a", "ab", "abcdefghij"])
def test_one_project_uses_all_slots_and_several_share_them(projects: str) -> None:
    calls = FakeApiCalls(sound())
    results = run(calls, *(gate for project in projects for gate in of_project(project, 8)))
    assert {result.decision for result in results} == {Decision.PASS}
    assert calls.max_at_once == 8


@pytest.mark.parametrize("purpose", ["the CI run", "the poll of the run", "the classified failures"])
def test_a_retry_after_holds_for_every_call_of_the_step(purpose: str) -> None:
    others, limited = sound(), iter([http(503, retry_after_s=60)])
    first: list[float] = []

    def respond(call: ApiRequest, time: float) -> ApiResult:
        if call.purpose == purpose and (limit := next(limited, None)):
            first.append(time + 0.1)  # the response arrives
            return limit
        return others(call, time)

    calls = FakeApiCalls(respond)
    results = run(calls, *of_project("", 30), *of_project("other", 10))
    assert {result.decision for result in results} == {Decision.PASS}
    [held] = first
    assert [time for time, _ in calls.calls if held + 1e-6 < time < held + 60 - 1e-6] == []
    assert [call for time, call in calls.calls if time >= held + 60 - 1e-6 and call.method == "POST"] or (
        purpose != "the CI run"
    )


def test_a_retry_after_past_the_deadline_of_a_gate_ends_that_gate_and_no_other() -> None:
    others, limited = backend(after(5)), iter([http(429, retry_after_s=100)])

    def respond(call: ApiRequest, time: float) -> ApiResult:
        return (next(limited, None) if call.method == "POST" else None) or others(call, time)

    calls = FakeApiCalls(respond)
    long, *short = run(calls, *of_project("", 1, timeout_s=600), *of_project("short", 20, timeout_s=60))
    assert long.decision is Decision.PASS
    assert {result.decision for result in short} == {Decision.ERROR}
    assert all("asked to wait 1 min 40 s, longer than the time" in each.run_decision.reason for each in short)
    assert max(result.elapsed_s for result in short) < 1
    assert len([time for time, call in calls.calls if call.method == "POST" and time < 1_100]) == 8


def test_a_retry_after_past_the_deadline_ends_the_polls_of_other_runs_too() -> None:
    calls = FakeApiCalls(backend(in_turn(RUNNING, RUNNING, http(429, 3_600))))
    results = run(calls, *of_project("", 2))
    assert {result.decision for result in results} == {Decision.PENDING}
    assert len(polls(calls)) == 3
    assert calls.time < 1_010


def test_the_reading_of_failures_waits_for_a_retry_after_that_fits() -> None:
    listed = in_turn(http(429, retry_after_s=2), Success([{"type": "t"}]))
    calls = FakeApiCalls(instead("/failures", listed, backend(after(0, Success({**NUMBERS, "failures": 2})))))
    first, second = evaluate(calls, *of_project("", 2))
    assert [bool(result.what_failed.failures) for result in (first, second)] == [False, True]
    times = [time for time, call in calls.calls if "failures" in call.path]
    assert 2 < times[-1] - times[0] < 2.4


# --- One run for two gates -------------------------------------------------------------------------------------

OTHER = "8c5f4f5e-0000-4000-8000-000000000002"


@pytest.mark.parametrize(
    ("change", "second"),
    [
        ({"campaign": OTHER}, Decision.ERROR),
        ({"project": "other"}, Decision.ERROR),
        ({"mutation_pack": "other"}, Decision.ERROR),
        ({"limits": {"min_pass_rate": 0.5}}, Decision.ERROR),
        ({"traces": (Trace(label="other", trace_id="other"),)}, Decision.ERROR),
        ({"traces": (Trace(label="registered"),)}, Decision.ERROR),
        ({"timeout_s": 60}, Decision.PASS),
        ({"campaign": CAMPAIGN.upper()}, Decision.PASS),
    ],
)
def test_one_run_is_never_accepted_for_two_different_questions(change: Mapping[str, object], second: Decision) -> None:
    gate = replace(GATE, campaign=CAMPAIGN)
    other = replace(gate, name="other", **change)  # type: ignore[arg-type]
    calls = FakeApiCalls(backend(after(5), runs=Success({"batch_id": "batch-1"})))
    results = run(calls, gate, other)
    assert [result.decision for result in results] == [Decision.PASS, second]
    if second is Decision.ERROR:
        assert "the same run `batch-1`" in results[1].run_decision.reason


def test_a_run_that_a_batch_names_only_in_a_poll_is_not_accepted_for_another_gate() -> None:
    starting, others = iter([{"run_id": "r"}, {"batch_id": "b"}]), backend(after(5))

    def respond(call: ApiRequest, time: float) -> ApiResult:
        if call.purpose == "the CI run":
            return Success(next(starting))
        names = {"run_ids": ["r"], "batch_id": "b"} if "/batch/" in call.path else {"run_id": "r"}
        polled = Success({**NUMBERS, "run_id": None, **names})
        return polled if call.path.startswith("/v1/ci/") else others(call, time)

    results = run(FakeApiCalls(respond), replace(GATE, campaign=CAMPAIGN), replace(GATE, name="b", campaign=OTHER))
    assert Decision.ERROR in {result.decision for result in results}


def started(*responses: Mapping[str, object]) -> Respond:
    """Return a backend that starts these runs, one after the other, and gives all traces one id."""
    others = backend(after(5), traces=Success({"trace_id": "trace-1"}))
    return instead("the CI run", in_turn(*map(Success, responses)), others)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"batch_id": "b", "run_ids": ["r"]}, {"run_id": "r"}),
        ({"run_id": "r"}, {"batch_id": "b", "run_ids": ["q", "r"]}),
        ({"batch_id": "b", "run_ids": ["r"]}, {"batch_id": "b2", "run_ids": ["r"]}),
    ],
)
def test_a_run_is_not_accepted_for_two_gates_under_another_id(
    first: Mapping[str, object], second: Mapping[str, object]
) -> None:
    gate = replace(GATE, campaign=CAMPAIGN)
    other = replace(gate, name="other", mutation_pack="other")
    results = run(FakeApiCalls(started(first, second)), gate, other)
    assert [result.decision for result in results] == [Decision.PASS, Decision.ERROR]
    assert "the same run" in results[1].run_decision.reason
    again = run(FakeApiCalls(started(first, second)), gate, replace(gate, name="other"))
    assert {result.decision for result in again} == {Decision.PASS}


@pytest.mark.parametrize(("text", "decision"), [(b"[]", Decision.ERROR), (b"{}", Decision.PASS)])
def test_two_different_files_that_get_one_trace_id_are_not_evaluated_by_one_run(
    text: bytes, decision: Decision
) -> None:
    traces = (Trace(label="a", content=b"{}"), Trace(label="b", content=text))
    one = {"batch_id": "batch-1"}
    results = run(FakeApiCalls(started(one, one)), replace(GATE, campaign=CAMPAIGN, traces=traces))
    assert [result.decision for result in results] == [Decision.PASS, decision]


# --- What an uploaded trace may cause --------------------------------------------------------------------------

UPLOADED = replace(
    GATE,
    campaign=CAMPAIGN,
    traces=(Trace(label="a.json", content=b"{}"),),
    timeout_s=30,
    on_undecided=OnUndecided.ALLOW,
)
LISTED_AT_ALL = Success([])
DOWN = http(500)
REFUSED = TransientError(reason="refused", connected=False)
EMPTY = TransientError(reason="an empty response (HTTP 200)", status=200, reached=True)


@pytest.mark.parametrize(
    ("response", "campaigns", "may_be_cause"),
    [
        *((each, LISTED_AT_ALL, False) for each in (REFUSED, http(425), http(429), rejected(401))),
        *((http(status), http(other), False) for status in (500, 503, 599) for other in (500, 502, 599)),
        *((http(status), LISTED_AT_ALL, True) for status in (500, 503, 599)),
        *((DOWN, other, True) for other in (http(429), http(408), rejected(401), rejected(404), REFUSED, HANGS)),
        (DOWN, Success({}), True),
        *((http(status), DOWN, True) for status in (408, 600)),
        *((rejected(status), DOWN, True) for status in (0, 302, 400, 403, 404, 409, 413, 422)),
        *((each, DOWN, True) for each in (RESET, HANGS, EMPTY, Success({}))),
    ],
)
@pytest.mark.parametrize("call", ["traces", "runs"])
def test_an_uploaded_trace_may_be_the_cause_of_all_but_outages(
    call: str, response: ApiResult, campaigns: ApiResult, *, may_be_cause: bool
) -> None:
    failing = sound(campaigns=campaigns, **{call: response})
    calls = FakeApiCalls(failing)
    [result] = run(calls, UPLOADED)
    assert result.decision is Decision.ERROR
    assert result.trace_may_be_cause is may_be_cause
    asked = isinstance(response, TransientError) and response.status // 100 == 5
    assert calls.paths().count("GET /v1/campaigns") == asked
    [result] = run(FakeApiCalls(failing), replace(UPLOADED, traces=(Trace(label="t", trace_id="t"),)))
    assert not result.trace_may_be_cause


@pytest.mark.parametrize(
    ("times", "campaigns", "decision", "may_be_cause"),
    [
        (Success({"status": "error"}), DOWN, Decision.ERROR, True),
        (Success({"status": "done"}), DOWN, Decision.ERROR, True),
        (Success({"status": "done", "decision": "pass"}), DOWN, Decision.ERROR, True),
        (RUNNING, DOWN, Decision.PENDING, True),
        (Success(["pass"]), DOWN, Decision.ERROR, True),
        (rejected(404), DOWN, Decision.ERROR, True),
        (rejected(403), DOWN, Decision.ERROR, True),
        (rejected(401), LISTED_AT_ALL, Decision.ERROR, False),
        (http(503), DOWN, Decision.ERROR, False),
        (http(503), LISTED_AT_ALL, Decision.ERROR, True),
        (http(429, retry_after_s=3_600), DOWN, Decision.ERROR, False),
    ],
)
def test_an_uploaded_trace_may_be_the_cause_of_a_broken_or_unfinished_evaluation(
    times: ApiResult, campaigns: ApiResult, decision: Decision, *, may_be_cause: bool
) -> None:
    [result] = evaluate(FakeApiCalls(backend(lambda _: times, campaigns=campaigns)), UPLOADED)
    assert (result.decision, result.decided.is_suspect) == (decision, may_be_cause)


@pytest.mark.parametrize(
    ("scores", "campaigns", "may_be_cause"),
    [
        ([http(503), score(90)], DOWN, False),
        ([http(503), score(90)], LISTED_AT_ALL, True),
        ([http(429), score(90)], LISTED_AT_ALL, False),
        ([http(429), http(503)], LISTED_AT_ALL, True),
        ([http(429), RESET], DOWN, True),
        ([http(503), score("high")], DOWN, True),
        ([score("high"), score(90)], DOWN, True),
    ],
)
def test_an_uploaded_trace_may_be_the_cause_of_a_score_that_is_not_known(
    scores: Sequence[ApiResult], campaigns: ApiResult, *, may_be_cause: bool
) -> None:
    respond = instead("the list of campaigns", in_turn(campaigns), by_score(*scores, runs=2))
    [result] = evaluate(FakeApiCalls(respond), replace(UPLOADED, limits=SCORED.limits))
    assert (result.decision, result.decided.is_suspect) == (Decision.ERROR, may_be_cause)


def test_an_uploaded_trace_is_no_cause_if_the_campaign_list_itself_has_a_server_error() -> None:
    """The list is not requested again, also not if a `Retry-After` would forbid it."""
    for down in (http(503), http(503, retry_after_s=3_600)):
        calls = FakeApiCalls(sound(campaigns=down))
        [result] = run(calls, replace(UPLOADED, campaign="core"))
        assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, False)
        assert calls.paths() == ["GET /v1/campaigns"] * len(calls.calls)


def test_a_server_error_that_a_retry_after_keeps_from_being_confirmed_stays_strict() -> None:
    calls = FakeApiCalls(sound(campaigns=DOWN, traces=http(503, retry_after_s=3_600)))
    [result] = run(calls, UPLOADED)
    assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, True)
    assert calls.paths() == ["POST /v1/traces"]


def test_an_outage_is_not_confirmed_by_that_of_another_project() -> None:
    def respond(call: ApiRequest, time: float) -> ApiResult:
        return DOWN if call.project == "other" or call.path == "/v1/traces" else others(call, time)

    others = sound()
    result, other = run(FakeApiCalls(respond), UPLOADED, replace(UPLOADED, name="other", project="other"))
    assert (result.trace_may_be_cause, other.trace_may_be_cause) == (True, False)


def test_without_allow_a_server_error_is_not_confirmed() -> None:
    calls = FakeApiCalls(sound(campaigns=DOWN, traces=DOWN))
    run(calls, replace(UPLOADED, on_undecided=OnUndecided.BLOCK))
    assert "GET /v1/campaigns" not in calls.paths()


def test_an_outage_after_a_fail_does_not_concern_it() -> None:
    failed = Success({"status": "done", "decision": "fail"})
    [result] = run(FakeApiCalls(backend(after(0, failed), campaigns=DOWN, reliability=Success(Defective()))), UPLOADED)
    assert (result.decision, result.trace_may_be_cause) == (Decision.FAIL, True)


@pytest.mark.parametrize("campaign", ["core", CAMPAIGN])
def test_a_backend_that_is_down_is_an_outage_for_runs_too_that_no_call_was_left_for(campaign: str) -> None:
    gates = [replace(UPLOADED, name=f"gate-{n}", campaign=campaign, timeout_s=60) for n in range(100)]
    results = run(FakeApiCalls(lambda _call, _time: REFUSED, takes_s=5), *gates)
    assert {(result.decision, result.trace_may_be_cause) for result in results} == {(Decision.ERROR, False)}


@pytest.mark.parametrize(
    ("purpose", "count", "takes_s"),
    [('the trace "a.json"', 24, 10), ("the CI run", 24, 10), ("the poll of the run", 100, 0.1)],
)
def test_an_outage_is_an_outage_also_if_no_time_is_left_to_try_again(purpose: str, count: int, takes_s: float) -> None:
    gates = [replace(UPLOADED, name=f"gate-{n}", timeout_s=60) for n in range(count)]
    results = run(FakeApiCalls(instead(purpose, in_turn(http(429))), takes_s), *gates)
    assert {(result.decision, result.trace_may_be_cause) for result in results} == {(Decision.ERROR, False)}


@pytest.mark.parametrize(
    ("later", "cancel_at", "decision"), [(http(503), None, Decision.PENDING), (PASSED, 1_005, Decision.ERROR)]
)
def test_an_uploaded_trace_may_be_the_cause_of_an_evaluation_that_an_outage_or_a_signal_cuts_short(
    later: ApiResult, cancel_at: float | None, decision: Decision
) -> None:
    [result] = run(FakeApiCalls(backend(after(10, later)), cancel_at=cancel_at), UPLOADED)
    assert (result.decision, result.trace_may_be_cause) == (decision, True)
