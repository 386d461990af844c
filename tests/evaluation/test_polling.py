"""Polling of the backend on a clock that costs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from sepurux_action.common import number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.stage import OnUndecided
from sepurux_action.evaluation import schedule
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, RunMetadata, Success, TransientError
from sepurux_action.evaluation.baseline import Baseline
from sepurux_action.evaluation.decision import Decision, Rule
from sepurux_action.evaluation.metrics import PASS_RATE, RELIABILITY_SCORE
from sepurux_action.evaluation.polling import run_all
from sepurux_action.evaluation.result import RunResult
from sepurux_action.host.workflow_commands import Level
from tests.fakes import CAMPAIGN, FakeApiCalls, FakeOutput, backend

PASSED = {"status": "done", "decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1}
RUNNING = {"status": "running", "decision": "pending"}


def http(status: int, retry_after_s: float | None = None) -> TransientError:
    """Return the result of a call that the backend responded to with an error that may pass."""
    return TransientError(reason=f"HTTP {status}", status=status, reached=True, retry_after_s=retry_after_s)


HANGS = TransientError(reason="hangs")
GATE = Gate(name="core", campaign="core", traces=(Trace(label="trace-1", trace_id="trace-1"),))


def run(calls: FakeApiCalls, *gates: Gate, output: FakeOutput | None = None) -> list[RunResult]:
    """Return the results of all runs of the gates."""
    evaluated = [(gate, Baseline()) for gate in gates or (GATE,)]
    results = run_all(evaluated, RunMetadata(repo="o/r", pull_request=7), calls, output or FakeOutput(), lambda _: None)
    return [result for of_gate in results for result in of_gate]


def after(seconds: float, response: ApiResult, before: ApiResult | None = None) -> Callable[[float], ApiResult]:
    """Return poll responses: `response` from so many seconds after the start, `before` or a running run until then."""
    return lambda time: response if time >= 1_000 + seconds else before or Success(RUNNING)


def test_a_run_that_passes_is_resolved_started_polled_and_enriched() -> None:
    calls = FakeApiCalls(backend(after(0, Success(PASSED))))
    [result] = run(calls)
    assert result.decision is Decision.PASS
    assert calls.paths() == [
        "GET /v1/campaigns",
        "POST /v1/ci/runs",
        "GET /v1/ci/batch/batch-1",
        f"GET /v1/campaigns/{CAMPAIGN}/reliability",
        f"GET /v1/campaigns/{CAMPAIGN}/failures",
    ]
    assert (result.campaign_id, result.batch_id, result.run_id) == (CAMPAIGN, "batch-1", "run-1")
    assert result.run.value(RELIABILITY_SCORE) == 90


def test_a_campaign_given_as_uuid_is_not_requested() -> None:
    calls = FakeApiCalls(backend(after(0, Success(PASSED))))
    run(calls, replace(GATE, campaign=CAMPAIGN.upper()))
    assert "GET /v1/campaigns" not in calls.paths()


def polls(calls: FakeApiCalls) -> list[tuple[float, str]]:
    """Return the time and the path of each poll."""
    return [(time, call.path) for time, call in calls.calls if "/v1/ci/batch" in call.path]


def test_a_run_of_ten_minutes_is_polled_181_times_and_its_decision_is_seen_within_5_s() -> None:
    calls = FakeApiCalls(backend(after(600, Success(PASSED))), takes_s=0.01)
    [result] = run(calls, replace(GATE, campaign=CAMPAIGN, timeout_s=3_600))
    times = [time for time, _ in polls(calls)]
    assert result.decision is Decision.PASS
    assert times[0] == pytest.approx(1_000.01)  # at once after the run was started
    assert len(times) == 181
    assert 1_600 <= times[-1] < 1_605.1
    for earlier, later in pairwise(times):
        assert later - earlier == pytest.approx(min(5, max(0.25, 0.05 * (earlier - 1_000))) + 0.01, abs=0.01)


def test_after_ten_minutes_polls_follow_every_15_s() -> None:
    calls = FakeApiCalls(backend(after(10_000, Success(PASSED))))
    run(calls, replace(GATE, timeout_s=900))
    late = [time for time, _ in polls(calls) if time > 1_605]
    assert [round(later - earlier) for earlier, later in pairwise(late)][:-1] == [15] * (len(late) - 2)


@pytest.mark.parametrize("count", [50, 400])
def test_all_runs_together_make_at_most_ten_polls_a_second_and_none_is_left_out(count: int) -> None:
    traces = tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(count))
    calls = FakeApiCalls(backend(after(120, Success(PASSED))))
    results = run(calls, replace(GATE, traces=traces))
    assert {result.decision for result in results} == {Decision.PASS}
    times = [time for time, _ in polls(calls)]
    assert all(later - earlier >= 1 - 1e-6 for earlier, later in zip(times, times[10:], strict=False))
    assert calls.time < 1_120 + 5 + count / 10 + 10
    per_run = Counter(path for time, path in polls(calls) if time < 1_120)
    assert max(per_run.values()) - min(per_run.values()) <= 1 + 60 // (1 + count // 10)  # those that started first


def test_the_run_that_is_overdue_the_longest_is_polled_first() -> None:
    traces = tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(100))
    calls = FakeApiCalls(backend(after(10_000, Success(PASSED))))
    run(calls, replace(GATE, traces=traces, timeout_s=60))
    order = [path for _, path in polls(calls)]
    assert order[100:200] == order[200:300] == order[300:400]


def test_the_last_poll_starts_at_the_deadline_and_is_the_last() -> None:
    calls = FakeApiCalls(backend(after(10_000, Success(PASSED))))
    [result] = run(calls, replace(GATE, timeout_s=600))
    assert [time for time, _ in polls(calls)][-1] == pytest.approx(1_600)
    assert result.decision is Decision.PENDING
    assert result.run_decision.reason == "No decision after 10 min."
    assert "timeout" in result.hint


@pytest.mark.parametrize("count", [50, 100, 300])
def test_every_run_has_a_last_poll_after_the_deadline(count: int) -> None:
    traces = tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(count))
    calls = FakeApiCalls(backend(after(59.7, Success(PASSED))))
    results = run(calls, replace(GATE, traces=traces, timeout_s=60))
    assert {result.decision for result in results} == {Decision.PASS}
    assert polls(calls)[-1][0] <= 1_060 + max(5, count / 10)


def test_the_last_poll_starts_at_the_deadline_and_can_still_decide() -> None:
    calls = FakeApiCalls(backend(after(60, Success(PASSED))))
    [result] = run(calls, replace(GATE, timeout_s=60))
    assert result.decision is Decision.PASS


def test_a_poll_that_hangs_at_the_deadline_ends_after_5_s() -> None:
    calls = FakeApiCalls(backend(after(10, TransientError(reason="hangs"))))
    [result] = run(calls, replace(GATE, timeout_s=60))
    assert result.decision is Decision.PENDING
    assert calls.time <= 1_065.1


def test_polls_that_fail_are_no_decision() -> None:
    errors = iter(
        [
            TransientError(reason="HTTP 503", reached=True),
            TransientError(reason="reset"),
            TransientError(reason="HTTP 429", reached=True),
        ]
    )
    calls = FakeApiCalls(backend(lambda _: next(errors, Success(PASSED))))
    assert run(calls)[0].decision is Decision.PASS


def test_when_no_poll_ever_succeeded_the_end_of_the_timeout_is_an_error() -> None:
    calls = FakeApiCalls(backend(lambda _: TransientError(reason="HTTP 503", reached=True)))
    [result] = run(calls, replace(GATE, timeout_s=120))
    assert result.decision is Decision.ERROR
    assert "HTTP 503" in result.run_decision.reason
    assert calls.time <= 1_126


def test_what_a_run_waits_for_and_when_it_gives_up_is_shown_with_each_change() -> None:
    output = FakeOutput()
    failed = TransientError(reason="HTTP 502", reached=True)
    polls: list[ApiResult] = [Success(RUNNING), failed, Success(RUNNING), Success(PASSED)]
    run(FakeApiCalls(backend(lambda _: polls.pop(0))), output=output)
    shown = [what for what, _ in output.waits]
    assert list(dict.fromkeys(shown)) == [
        "core: finding the campaign",
        "core: starting",
        "core: running",
        "core: running (HTTP 502)",
        "core: done",
        "core: reading what failed",
    ]
    assert output.waits[0][1] == schedule.FIRST_RESPONSE_S  # until the backend has responded at all
    assert all(540 < left_s <= 600 for what, left_s in output.waits if "running" in what)


@pytest.mark.parametrize(("polled", "decision"), [(True, Decision.PENDING), (False, Decision.ERROR)])
def test_a_retry_after_beyond_the_deadline_ends_the_gate_at_once(*, polled: bool, decision: Decision) -> None:
    wait = TransientError(reason="HTTP 429", reached=True, retry_after_s=3_600)
    calls = FakeApiCalls(backend(after(5 if polled else 0, wait)))
    [result] = run(calls)
    assert result.decision is decision
    assert calls.time < 1_010


def test_a_retry_after_replaces_the_back_off_and_the_heartbeat_goes_on() -> None:
    output = FakeOutput()
    responses = iter([TransientError(reason="HTTP 429", reached=True, retry_after_s=100)])
    calls = FakeApiCalls(backend(lambda _: next(responses, Success(PASSED))))
    [result] = run(calls, output=output)
    times = [time for time, call in calls.calls if "/v1/ci/batch" in call.path]
    assert result.decision is Decision.PASS
    assert times[1] - times[0] == pytest.approx(100, abs=0.5)
    beats = [line for line in output.lines if line.startswith("waiting for 1 run: ")]
    assert len(beats) == 3
    assert "elapsed, at most" in beats[0]


def test_retry_after_0_does_not_cause_rapid_retries() -> None:
    calls = FakeApiCalls(backend(lambda _: TransientError(reason="HTTP 429", reached=True, retry_after_s=0)))
    run(calls, replace(GATE, timeout_s=60))
    assert len(calls.calls) <= 62


def test_a_backend_that_never_responds_is_given_60_seconds_of_the_timeout() -> None:
    calls = FakeApiCalls(lambda _call, _time: TransientError(reason="hangs"))
    [result] = run(calls, replace(GATE, timeout_s=600))
    assert result.decision is Decision.ERROR
    assert "base_url" in result.hint
    assert calls.time <= 1_060.1


def test_a_backend_that_responds_503_is_given_the_whole_timeout() -> None:
    recovered = after(
        300, Success([{"campaign_id": CAMPAIGN, "name": "core"}]), TransientError(reason="HTTP 503", reached=True)
    )
    sound = backend(after(0, Success(PASSED)))
    calls = FakeApiCalls(lambda call, time: recovered(time) if call.path == "/v1/campaigns" else sound(call, time))
    assert run(calls)[0].decision is Decision.PASS


def test_a_post_is_retried_under_one_idempotency_key_and_every_post_has_its_own() -> None:
    failing = iter([TransientError(reason="reset")] * 3)
    sound = backend(after(0, Success(PASSED)))
    calls = FakeApiCalls(
        lambda call, time: next(failing, None) or sound(call, time) if call.method == "POST" else sound(call, time)
    )
    run(calls, replace(GATE, traces=(Trace(label="a.json", content=b"{}"),)))
    keys = [(call.path, call.idempotency_key) for _, call in calls.calls if call.method == "POST"]
    assert len(keys) == 5
    assert len(set(keys)) == 2
    assert len({key for _, key in keys}) == 2


def test_a_404_on_a_run_counts_only_15_s_after_its_creation() -> None:
    gone = PermanentError(reason="Sepurux refused the poll of the run (HTTP 404)", status=404)
    young = FakeApiCalls(backend(after(10, Success(PASSED), before=gone)))
    assert run(young)[0].decision is Decision.PASS
    calls = FakeApiCalls(backend(lambda _: gone))
    [result] = run(calls)
    assert result.decision is Decision.ERROR
    times = [time for time, call in calls.calls if "/v1/ci/batch" in call.path]
    assert times[-2] < 1_015.5 < times[-1]


def test_a_rejection_ends_the_run_with_the_backends_words_and_a_hint() -> None:
    rejection = PermanentError(
        reason="Sepurux refused the CI run (HTTP 422): thresholds.max_unsafe: no", status=422, hint="Correct it."
    )
    calls = FakeApiCalls(backend(after(0, Success(PASSED)), runs=rejection))
    [result] = run(calls)
    assert (result.decision, result.run_decision.reason, result.hint) == (
        Decision.ERROR,
        rejection.reason + ".",
        "Correct it.",
    )
    assert calls.paths("/v1/ci/batch") == []


def test_a_campaign_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    [result] = run(
        FakeApiCalls(backend(after(0, Success(PASSED)))), replace(GATE, campaign="refunds", project="my-agent")
    )
    assert result.decision is Decision.ERROR
    assert result.run_decision.reason == 'Campaign "refunds" was not found in project "my-agent".'
    assert result.hint == "Set `campaign` to one of these, or `project` to another project: core."


def test_two_campaigns_of_one_name_are_an_error_that_asks_for_the_uuid() -> None:
    twins = Success([{"campaign_id": "a", "name": "core"}, {"campaign_id": "b", "name": "core"}])
    [result] = run(FakeApiCalls(backend(after(0, Success(PASSED)), campaigns=twins)))
    assert result.decision is Decision.ERROR
    assert "a, b" in result.hint


@pytest.mark.parametrize(
    "response",
    [Success({}), Success([]), Success({"batch_id": "../../v1/evil"}), Success({"run_id": 7}), Success(None)],
)
def test_a_started_run_without_a_usable_id_is_an_error(response: ApiResult) -> None:
    [result] = run(FakeApiCalls(backend(after(0, Success(PASSED)), runs=response)))
    assert result.decision is Decision.ERROR
    assert "no usable run_id or batch_id" in result.run_decision.reason


def test_an_older_server_that_names_a_run_only_is_polled_as_a_run() -> None:
    calls = FakeApiCalls(backend(after(0, Success(PASSED)), runs=Success({"run_id": "run-9"})))
    [result] = run(calls)
    assert result.decision is Decision.PASS
    assert calls.paths("/v1/ci/runs/") == ["GET /v1/ci/runs/run-9"]


def test_a_terminal_status_without_a_decision_is_polled_once_more_after_2_s() -> None:
    for second, decision in [(Success({"status": "done"}), Decision.ERROR), (Success(PASSED), Decision.PASS)]:
        responses = iter([Success({"status": "done", "decision": "pending"}), second])
        calls = FakeApiCalls(backend(lambda _, responses=responses: next(responses)))  # type: ignore[misc]
        [result] = run(calls)
        first, again = [time for time, call in calls.calls if "/v1/ci/batch" in call.path]
        assert again - first == pytest.approx(2.1)
        assert result.decision is decision


def test_an_unknown_status_or_decision_is_pending_with_one_warning() -> None:
    output = FakeOutput()
    calls = FakeApiCalls(backend(after(30, Success(PASSED), before=Success({"status": "resting", "decision": "pass"}))))
    [result] = run(calls, output=output)
    assert result.decision is Decision.PASS
    assert [(level, '"resting"' in text) for level, text in output.annotations] == [(Level.WARNING, True)]


def test_something_that_is_no_object_is_a_poll_that_failed() -> None:
    calls = FakeApiCalls(backend(lambda _: Success(["pass"])))
    [result] = run(calls, replace(GATE, timeout_s=30))
    assert result.decision is Decision.ERROR


def test_one_log_line_when_something_changes() -> None:
    output = FakeOutput()
    run(FakeApiCalls(backend(after(25, Success(PASSED)))), output=output)
    assert len([line for line in output.lines if "not decided yet" in line]) == 1


def test_a_log_line_that_is_the_same_for_several_runs_is_written_once() -> None:
    output = FakeOutput()
    gates = [replace(GATE, name=name) for name in ("refunds", "search")]
    run(FakeApiCalls(backend(after(25, Success(PASSED)))), *gates, output=output)
    assert len([line for line in output.lines if "not decided yet" in line]) == 1
    assert len([line for line in output.lines if "started" in line]) == 2


def test_a_call_that_fails_again_for_the_same_reason_is_logged_once() -> None:
    output = FakeOutput()
    failures = [TransientError(reason=reason) for reason in ("HTTP 500", "HTTP 500", "HTTP 503", "HTTP 503")]
    polls: Iterator[ApiResult] = iter([*failures, Success(RUNNING), *failures[:2], Success(PASSED)])
    starts, sound = iter(failures), backend(lambda _: next(polls))

    def answer(call: ApiRequest, time: float) -> ApiResult:
        return (next(starts, None) if call.method == "POST" else None) or sound(call, time)

    run(FakeApiCalls(answer), output=output)
    logged = [line.partition(";")[0] for line in output.lines if "HTTP" in line]
    assert logged == [
        "the CI run: HTTP 500",
        "the CI run: HTTP 503",
        "poll failed: HTTP 500",
        "poll failed: HTTP 503",
        "poll failed: HTTP 500",
    ]


def test_enrichment_that_fails_is_a_note_and_never_a_decision() -> None:
    rejected = PermanentError(reason="Sepurux refused it (HTTP 403)", status=403)
    calls = FakeApiCalls(
        backend(after(0, Success(PASSED)), reliability=rejected, failures=TransientError(reason="hangs"))
    )
    [result] = run(calls)
    assert result.decision is Decision.PASS
    assert len(result.enrichment.notes) == 2
    assert "403" in result.enrichment.notes[0]
    enriching = [time for time, call in calls.calls if CAMPAIGN in call.path]
    assert len(enriching) == 2
    assert calls.time - enriching[0] <= 5.1


def test_a_score_of_the_integer_1_is_1_of_100_wherever_it_is_reported() -> None:
    thresholds = replace(GATE, limits={"min_reliability_score": 95})
    for score, decision in ((1, Decision.FAIL), (1.0, Decision.PASS)):
        reported = Success({"reliability_score": score})
        [result] = run(FakeApiCalls(backend(after(0, Success(PASSED)), reliability=reported)), thresholds)
        assert result.decision is decision


def test_several_traces_are_one_run_each_polled_together_and_the_eval_set_is_left_alone() -> None:
    traces = tuple(Trace(label=f"{n}.json", content=b"{}") for n in range(20))
    calls = FakeApiCalls(backend(after(30, Success(PASSED))))
    results = run(calls, replace(GATE, traces=traces))
    assert [result.trace for result in results] == [trace.label for trace in traces]
    assert {result.decision for result in results} == {Decision.PASS}
    assert len(calls.paths("/v1/ci/runs")) == 20
    assert len(calls.paths("/v1/traces")) == 20
    assert calls.paths("eval-set") == []
    assert calls.paths().count("GET /v1/campaigns") == 1
    assert calls.max_at_once == 8
    assert calls.time < 1_060


def test_several_gates_keep_their_own_timeouts() -> None:
    short, long = replace(GATE, name="short", timeout_s=10), replace(GATE, name="long", timeout_s=100)
    results = run(FakeApiCalls(backend(after(50, Success(PASSED)))), short, long)
    assert [result.decision for result in results] == [Decision.PENDING, Decision.PASS]


@pytest.mark.parametrize("at", [1_000, 1_000.15, 1_003, 1_030])
def test_after_a_signal_undecided_runs_are_an_error_and_no_request_is_sent(at: float) -> None:
    calls = FakeApiCalls(backend(after(5_000, Success(PASSED))), cancel_at=at)
    [result] = run(calls)
    assert result.decision is Decision.ERROR
    assert (result.run_decision.rule, result.hint) == (Rule.CANCELLED, "Re-run the job.")
    assert calls.time <= max(at, 1_000.2) + 0.1
    assert all(time <= at for time, _ in calls.calls)


def test_after_a_signal_that_came_before_the_start_nothing_is_asked() -> None:
    calls = FakeApiCalls(backend(after(0, Success(PASSED))))
    calls.signals.receive(15)
    [result] = run(calls)
    assert (result.run_decision.reason, result.run_decision.rule) == ("The run was cancelled.", Rule.CANCELLED)
    assert calls.calls == []


def test_an_unexpected_exception_in_one_run_ends_the_step() -> None:
    def broken(_call: ApiRequest, _time: float) -> ApiResult:
        raise OSError("a secret")

    with pytest.raises(OSError, match="a secret"):
        run(FakeApiCalls(broken), GATE, replace(GATE, name="other"))


def test_what_was_decided_before_a_signal_stays_decided() -> None:
    calls = FakeApiCalls(
        backend(after(0, Success(PASSED)), reliability=TransientError(reason="hangs")), cancel_at=1_001.5
    )
    assert run(calls)[0].decision is Decision.PASS


def test_ids_and_address_are_announced_as_soon_as_they_are_known() -> None:
    shown: list[tuple[str, str]] = []
    running = Success({**RUNNING, "dashboard_url": "https://app.sepurux.dev/runs/1"})
    calls = FakeApiCalls(
        backend(after(30, Success({**PASSED, "dashboard_url": "https://app.sepurux.dev/runs/1"}), running))
    )
    run_all(
        [(GATE, Baseline())],
        RunMetadata(),
        calls,
        FakeOutput(),
        lambda runs: shown.append((runs[0].batch_id, runs[0].run.dashboard_url)),
    )
    assert shown == [("batch-1", ""), ("batch-1", "https://app.sepurux.dev/runs/1")]


def test_an_response_about_another_run_is_no_decision_on_ours() -> None:
    foreign = Success({**PASSED, "batch_id": "batch-of-someone-else"})
    [result] = run(FakeApiCalls(backend(lambda _: foreign)), replace(GATE, timeout_s=30))
    assert result.decision is Decision.ERROR
    assert "another run" in result.run_decision.reason


def test_two_traces_that_are_given_one_run_are_not_both_evaluated_by_it() -> None:
    traces = (Trace(label="good", trace_id="good"), Trace(label="bad", trace_id="bad"))
    calls = FakeApiCalls(backend(after(5, Success(PASSED)), runs=Success({"batch_id": "batch-1"})))
    results = run(calls, replace(GATE, traces=traces))
    assert [result.decision for result in results] == [Decision.PASS, Decision.ERROR]


def test_the_wait_for_a_slot_is_part_of_a_calls_time() -> None:
    """Forty traces against a backend that hangs take no longer than one."""
    traces = tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(40))
    calls = FakeApiCalls(lambda _call, _time: TransientError(reason="hangs"))
    results = run(calls, replace(GATE, campaign=CAMPAIGN, traces=traces, timeout_s=5))
    assert {result.decision for result in results} == {Decision.ERROR}
    assert calls.time <= 1_012
    calls = FakeApiCalls(backend(lambda _: TransientError(reason="hangs")))
    run(calls, replace(GATE, traces=traces, timeout_s=30))
    assert calls.time <= 1_036


def test_no_more_than_a_thousand_runs_of_a_batch_are_kept() -> None:
    many = Success({"batch_id": "batch-1", "run_ids": [f"run-{n}" for n in range(80_000)]})
    [result] = run(FakeApiCalls(backend(after(0, Success(PASSED)), runs=many)))
    assert len(result.run.run_ids) == 1_000


def test_failures_of_at_most_ten_runs_are_requested_and_a_full_page_is_incomplete() -> None:
    batch = Success({"batch_id": "batch-1", "run_ids": [f"run-{n}" for n in range(12)]})
    calls = FakeApiCalls(backend(after(0, Success(PASSED)), runs=batch))
    [result] = run(calls)
    assert len(calls.paths("failures")) == 10
    assert result.enrichment.more_failures
    page = Success([{"type": "t"}] * 200)
    [result] = run(FakeApiCalls(backend(after(0, Success(PASSED)), failures=page)))
    assert result.enrichment.more_failures
    [result] = run(FakeApiCalls(backend(after(0, Success(PASSED)), failures=Success([{"type": "t"}] * 199))))
    assert not result.enrichment.more_failures


def test_a_step_keeps_a_thousand_kinds_of_failures_and_counts_all() -> None:
    listed = Success(
        [{"type": f"t-{number}", "severity": "low", "description": "d" * 2_000} for number in range(1_000)]
    )
    gates = [replace(GATE, name=f"gate-{number}", campaign=CAMPAIGN) for number in range(10)]
    results = run(FakeApiCalls(backend(after(0, Success(PASSED)), failures=listed)), *gates)
    kept = [failure for result in results for failure in result.enrichment.failures]
    assert len(kept) == 10 * 100
    assert sum(len(failure.description) for failure in kept) <= 1_000_000
    assert {sum(each.count for each in r.enrichment.failures) + r.enrichment.left_out for r in results} == {1_000}


def test_the_ids_of_several_runs_are_written_at_once_and_then_with_the_heartbeat_until_all_are() -> None:
    calls = FakeApiCalls(backend(after(300, Success({**PASSED, "dashboard_url": "https://h.example/run"}))))
    written: list[tuple[float, int]] = []
    traces = tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(20))
    evaluated = [(replace(GATE, traces=traces), Baseline())]
    run_all(evaluated, RunMetadata(), calls, FakeOutput(), lambda known: written.append((calls.time, len(known))))
    assert [(round(time - 1_000), known) for time, known in written] == [(0, 1), (30, 20)]


@pytest.mark.parametrize(
    "response", [Success({}), Success([]), Success({"trace_id": "../x"}), Success({"trace_id": 7})]
)
def test_an_uploaded_trace_without_a_usable_id_is_not_evaluated(
    response: ApiResult,
) -> None:
    calls = FakeApiCalls(backend(after(0, Success(PASSED)), traces=response))
    [result] = run(calls, replace(GATE, traces=(Trace(label="a.json", content=b"{}"),)))
    assert result.decision is Decision.ERROR
    assert calls.paths("/v1/ci/runs") == []


def test_a_run_that_ended_undecided_is_an_error_also_when_the_second_poll_fails() -> None:
    responses = iter([Success({"status": "done", "decision": "pending"})])
    calls = FakeApiCalls(backend(lambda _: next(responses, TransientError(reason="HTTP 503", reached=True))))
    [result] = run(calls, replace(GATE, timeout_s=30))
    assert result.decision is Decision.ERROR
    assert "no decision" in result.run_decision.reason


# --- One run never affects another -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run_id", "batch_id"])
@pytest.mark.parametrize("wrong", [[], {}, 7, 0, True, False, 1.5, ["run-1"], "of-another"])
@pytest.mark.parametrize("polled", ["run_id", "batch_id"])
def test_a_poll_response_with_a_wrong_id_is_a_failed_poll(polled: str, name: str, wrong: object) -> None:
    started = Success({polled: "ours"})
    responses = iter([Success({**PASSED, name: wrong})])
    calls = FakeApiCalls(backend(lambda _: next(responses, Success({**PASSED, "pass_rate": 0.99})), runs=started))
    [result] = run(calls)
    ignored = wrong == "of-another" and name != polled
    assert result.run.value(PASS_RATE) == (0.95 if ignored else 0.99)


class Defective(dict[str, object]):
    """A payload that stands for a defect of ours: reading it raises what no JSON raises."""

    def get(self, *_: object) -> object:
        raise KeyError("a secret")


def test_a_defect_while_one_run_is_polled_ends_that_run_and_no_other() -> None:
    output = FakeOutput()
    polled = iter([Success(Defective(PASSED))])
    calls = FakeApiCalls(backend(lambda _: next(polled, Success(PASSED))))
    traces = tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(3))
    results = run(calls, replace(GATE, traces=traces), output=output)
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


def by_project(lists: Mapping[str, Callable[[float], ApiResult]]) -> Callable[[ApiRequest, float], ApiResult]:
    """Return a sound backend whose campaign lists differ by project."""
    sound = backend(after(0, Success(PASSED)))
    return lambda call, time: lists[call.project](time) if call.path == "/v1/campaigns" else sound(call, time)


LISTED = Success([{"campaign_id": CAMPAIGN, "name": "core"}, {"campaign_id": CAMPAIGN, "name": "refunds"}])


@pytest.mark.parametrize(
    "error", [TransientError(reason="HTTP 503", status=503, reached=True), TransientError(reason="hangs")]
)
def test_a_project_whose_campaign_list_fails_does_not_delay_the_gates_of_others(error: TransientError) -> None:
    calls = FakeApiCalls(by_project({"broken": lambda _: error, "sound": lambda _: LISTED}))
    broken = [replace(GATE, name=f"b{n}", campaign=f"c{n}", project="broken", timeout_s=600) for n in range(20)]
    *others, sound = run(calls, *broken, replace(GATE, name="s", project="sound", timeout_s=5))
    assert {result.decision for result in others} == {Decision.ERROR}
    assert sound.decision is Decision.PASS
    assert sound.elapsed_s < 2


def test_each_run_finds_its_campaign_within_its_own_timeout() -> None:
    calls = FakeApiCalls(by_project({"": after(30, LISTED, before=TransientError(reason="HTTP 503", reached=True))}))
    short, long = run(calls, replace(GATE, name="short", timeout_s=10), replace(GATE, name="long", timeout_s=100))
    assert (short.decision, long.decision) == (Decision.ERROR, Decision.PASS)
    assert "HTTP 503" in short.run_decision.reason
    assert short.elapsed_s <= 10


def test_a_backoff_longer_than_the_time_that_is_left_leaves_a_last_attempt() -> None:
    unreachable = TransientError(reason="the connection failed", connected=False)
    soon, late = (FakeApiCalls(by_project({"": after(seconds, LISTED, before=unreachable)})) for seconds in (8.5, 60))
    assert run(soon, replace(GATE, timeout_s=10))[0].decision is Decision.PASS
    [result] = run(late, replace(GATE, timeout_s=10))
    assert (result.decision, [round(at - 1_000) for at, _ in late.calls]) == (Decision.ERROR, [0, 1, 3, 7, 9])
    assert 9 <= result.elapsed_s <= 10


def test_gates_of_one_project_share_one_request_for_its_campaign_list() -> None:
    calls = FakeApiCalls(by_project({"": lambda _: LISTED}))
    gates = [
        replace(GATE, name=f"{campaign} {n}", campaign=campaign) for campaign in ("core", "refunds") for n in (1, 2)
    ]
    assert {result.decision for result in run(calls, *gates)} == {Decision.PASS}
    assert calls.paths().count("GET /v1/campaigns") == 1


def test_a_rejected_campaign_list_is_requested_once() -> None:
    calls = FakeApiCalls(by_project({"": lambda _: PermanentError(reason="no (HTTP 401)", status=401)}))
    results = run(calls, GATE, replace(GATE, name="other", campaign="other"))
    assert [result.run_decision.reason for result in results] == ["No (HTTP 401)."] * 2
    assert calls.paths() == ["GET /v1/campaigns"]


def test_a_defect_in_a_campaign_list_is_the_error_of_every_run_that_waits_for_it() -> None:
    defective = Success([Defective(name="core")])
    results = run(FakeApiCalls(by_project({"": lambda _: defective})), GATE, replace(GATE, name="other"))
    assert {result.decision for result in results} == {Decision.ERROR}
    assert all(result.run_decision.reason.startswith("Internal error (KeyError") for result in results)


class DriftingCalls(FakeApiCalls):
    """Calls on a clock that moves a little each time that someone reads it, as a real one does."""

    drift = 0.0

    def now(self) -> float:
        self.drift += 0.017
        return super().now() + self.drift


@pytest.mark.parametrize("ends_at", [1_000 + n / 10 for n in range(5, 40, 5)])
def test_the_sentence_on_a_wait_has_the_same_clock_as_the_time_of_the_run(ends_at: float) -> None:
    wait = after(ends_at - 1_000, http(429, retry_after_s=3_600))
    [result] = run(DriftingCalls(backend(wait)))
    assert result.decision is Decision.PENDING
    assert result.run_decision.reason.startswith(f"No decision after {number_format.duration(result.elapsed_s)}; ")


def test_the_log_says_once_how_long_a_run_waited() -> None:
    output = FakeOutput()
    gates = [replace(GATE, name=name, timeout_s=60) for name in ("one", "two")]
    run(FakeApiCalls(backend(after(5_000, Success(PASSED)))), *gates, output=output)
    assert {f"[{name}] pending: No decision after 1 min." for name in ("one", "two")} < set(output.lines)


# --- The score of a run that reports none ------------------------------------------------------------------------

SCORED = replace(GATE, campaign=CAMPAIGN, limits={"min_reliability_score": 80}, timeout_s=60)
NOT_WORSE = replace(SCORED, limits={"max_reliability_score_drop": 3})
NO_SCORE = Success({"reliability_score": None})


def score(value: object) -> ApiResult:
    """Return a response with a score."""
    return Success({"reliability_score": value})


def by_score(
    *responses: ApiResult, runs: int = 1, poll: ApiResult | None = None
) -> Callable[[ApiRequest, float], ApiResult]:
    """Return a backend that responds to requests for a score with these, the last one again and again.

    For a batch of several runs, they are the responses by run.
    """
    sequence = list(responses)
    run_ids = [f"run-{n}" for n in range(runs)]
    others = backend(after(5, poll or Success({**PASSED, "run_ids": run_ids})))

    def respond(call: ApiRequest, time: float) -> ApiResult:
        if "/reliability" not in call.path:
            return others(call, time)
        if runs > 1:
            return responses[run_ids.index(dict(call.query)["run_id"])]
        return sequence.pop(0) if len(sequence) > 1 else sequence[0]

    return respond


@pytest.mark.parametrize(
    "lost",
    [
        http(503),
        http(429),
        http(429, retry_after_s=7),
        TransientError(reason="the connection was reset"),
        TransientError(reason="an empty response (HTTP 200)", status=200, reached=True),
        Success([]),
        Success(None),
    ],
)
@pytest.mark.parametrize("times", [1, 3])
def test_one_lost_response_to_the_request_for_the_score_changes_no_decision(lost: ApiResult, times: int) -> None:
    for value, decision in ((61.5, Decision.FAIL), (80, Decision.PASS)):
        calls = FakeApiCalls(by_score(*[lost] * times, score(value)))
        [result] = run(calls, SCORED)
        assert (result.decision, result.run.value(RELIABILITY_SCORE)) == (decision, value)
        assert len(calls.paths("reliability")) == times + 1
    [result] = run(FakeApiCalls(by_score(*[lost] * times, score(90))), NOT_WORSE)
    assert (result.decision, result.run.value(RELIABILITY_SCORE)) == (Decision.PASS, 90)


@pytest.mark.parametrize("gate", [SCORED, NOT_WORSE], ids=["min", "drop"])
@pytest.mark.parametrize(("timeout_s", "until"), [(60, 60), (10, 35)])
def test_a_score_is_requested_until_the_deadline_or_for_30_s_and_then_an_error(
    gate: Gate, timeout_s: float, until: float
) -> None:
    calls = FakeApiCalls(by_score(http(503)))
    [result] = run(calls, replace(gate, timeout_s=timeout_s))
    assert (result.decision, result.run_decision.rule) == (Decision.ERROR, Rule.PASS_WITHOUT_NUMBERS)
    assert "reliability score: could not be read: HTTP 503" in result.run_decision.reason
    assert "Re-run the job" in result.hint
    assert until - 2 < result.elapsed_s < until + 1


@pytest.mark.parametrize("status", [0, 302, 400, 409, 413, 422])
def test_a_rejected_request_for_the_score_is_an_error_at_once(status: int) -> None:
    calls = FakeApiCalls(by_score(PermanentError(reason=f"no (HTTP {status})", status=status)))
    [result] = run(calls, SCORED)
    assert (result.decision, result.run_decision.rule) == (Decision.ERROR, Rule.PASS_WITHOUT_NUMBERS)
    assert f"could not be read: no (HTTP {status})" in result.run_decision.reason
    assert len(calls.paths("reliability")) == 1


@pytest.mark.parametrize("gate", [SCORED, NOT_WORSE], ids=["min", "drop"])
@pytest.mark.parametrize(
    "response",
    [*(PermanentError(reason="no", status=status) for status in (401, 403, 404)), NO_SCORE, Success({})],
)
def test_a_score_that_the_backend_does_not_show_is_not_reported(response: ApiResult, gate: Gate) -> None:
    calls = FakeApiCalls(by_score(response))
    [result] = run(calls, gate)
    assert (result.decision, result.run.reading(RELIABILITY_SCORE)) == (Decision.PASS, Reading())
    assert len(calls.paths("reliability")) == 1


@pytest.mark.parametrize("gate", [SCORED, NOT_WORSE], ids=["min", "drop"])
@pytest.mark.parametrize("value", ["61.5%", 6150, [61.5], True, -1])
def test_a_score_of_another_call_that_is_no_number_of_its_scale_is_an_error(value: object, gate: Gate) -> None:
    [result] = run(FakeApiCalls(by_score(score(value))), gate)
    assert (result.decision, result.run_decision.rule) == (Decision.ERROR, Rule.PASS_WITHOUT_NUMBERS)


@pytest.mark.parametrize(
    ("responses", "decision", "metric"),
    [
        ([score(90), score(81), score(95)], Decision.PASS, Reading(81)),
        ([score(90), score(2), score(95)], Decision.FAIL, Reading(2)),
        ([score(90), NO_SCORE, score(95)], Decision.PASS, Reading(90, reported_by="2 of 3 runs")),
        ([NO_SCORE, PermanentError(reason="no", status=404), NO_SCORE], Decision.PASS, Reading()),
        ([score(90), score(95), http(503)], Decision.ERROR, None),
        ([score(90), score(2), http(503)], Decision.FAIL, Reading(2, reported_by="2 of 3 runs")),
        ([score(90), score("high"), score(95)], Decision.ERROR, None),
        ([score(90), score("high"), score(2)], Decision.FAIL, Reading(2, reported_by="2 of 3 runs")),
    ],
)
def test_the_lowest_score_of_the_runs_of_a_batch_counts(
    responses: Sequence[ApiResult], decision: Decision, metric: Reading | None
) -> None:
    [result] = run(FakeApiCalls(by_score(*responses, runs=3)), SCORED)
    assert result.decision is decision
    if metric:
        assert result.run.reading(RELIABILITY_SCORE) == metric
    else:
        assert result.run.reading(RELIABILITY_SCORE).broken


def test_each_run_of_a_batch_is_asked_for_its_score_once() -> None:
    calls = FakeApiCalls(by_score(*[score(90)] * 40, runs=40))
    run(calls, SCORED)
    asked = [dict(call.query)["run_id"] for _, call in calls.calls if "/reliability" in call.path]
    assert sorted(asked) == sorted(f"run-{n}" for n in range(40))
    assert calls.max_at_once == 8


def test_a_batch_with_more_runs_than_are_kept_has_no_known_lowest_score() -> None:
    calls = FakeApiCalls(by_score(*[score(90)] * 1_001, runs=1_001))
    assert run(calls, SCORED)[0].decision is Decision.ERROR


@pytest.mark.parametrize("runs", [1, 3])
def test_without_a_threshold_on_it_only_the_score_of_a_single_run_is_asked_for_once(runs: int) -> None:
    calls = FakeApiCalls(by_score(*[http(503)] * runs, runs=runs))
    [result] = run(calls, replace(GATE, campaign=CAMPAIGN))
    assert result.decision is Decision.PASS
    assert len(calls.paths("reliability")) == (runs == 1)


@pytest.mark.parametrize("gate", [SCORED, NOT_WORSE], ids=["min", "drop"])
def test_the_score_of_a_fail_is_asked_for_once(gate: Gate) -> None:
    failed = Success({"status": "done", "decision": "fail"})
    calls = FakeApiCalls(by_score(http(503), score(99), poll=failed))
    [result] = run(calls, gate)
    assert result.decision is Decision.FAIL
    assert len(calls.paths("reliability")) == 1
    [result] = run(FakeApiCalls(by_score(score(99), poll=failed)), gate)
    assert (result.decision, result.run.value(RELIABILITY_SCORE)) == (Decision.FAIL, 99)


def test_a_score_that_the_poll_reports_is_not_asked_for() -> None:
    calls = FakeApiCalls(by_score(score(61.5), poll=Success({**PASSED, "reliability_score": 90})))
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
@pytest.mark.parametrize("broken", [1, 2, 6])
def test_projects_that_do_not_respond_leave_a_slot_to_another_one(purpose: str, broken: int) -> None:
    others = backend(after(0, Success(PASSED)))

    def respond(call: ApiRequest, time: float) -> ApiResult:
        return HANGS if call.project != "healthy" and call.purpose == purpose else others(call, time)

    calls = FakeApiCalls(respond)
    hanging = [gate for n in range(broken) for gate in of_project(f"broken {n}", 20)]
    *_, result = run(calls, *hanging, *of_project("healthy", 1, timeout_s=5))
    assert result.decision is Decision.PASS
    assert result.elapsed_s < 3 + broken / 2


def test_one_project_uses_all_slots_and_several_share_them() -> None:
    for projects in (["a"], ["a", "b"], list("abcdefghijkl")):
        calls = FakeApiCalls(backend(after(20, Success(PASSED))))
        results = run(calls, *(gate for project in projects for gate in of_project(project, 20)))
        assert {result.decision for result in results} == {Decision.PASS}
        assert calls.max_at_once == 8


@pytest.mark.parametrize("purpose", ["the CI run", "the poll of the run", "the classified failures"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_holds_for_every_call_of_the_step(purpose: str, status: int) -> None:
    others, limited = backend(after(0, Success(PASSED))), iter([http(status, retry_after_s=60)])
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
    others, limited = backend(after(5, Success(PASSED))), iter([http(429, retry_after_s=100)])

    def respond(call: ApiRequest, time: float) -> ApiResult:
        return (next(limited, None) if call.method == "POST" else None) or others(call, time)

    calls = FakeApiCalls(respond)
    long, *short = run(calls, *of_project("", 1, timeout_s=600), *of_project("short", 20, timeout_s=60))
    assert long.decision is Decision.PASS
    assert {result.decision for result in short} == {Decision.ERROR}
    assert all("asked to wait 1 min 40 s, longer than the time" in result.run_decision.reason for result in short)
    assert max(result.elapsed_s for result in short) < 1
    assert len([time for time, call in calls.calls if call.method == "POST" and time < 1_100]) == 8


def test_a_retry_after_past_the_deadline_ends_the_polls_of_other_runs_too() -> None:
    polled = iter([Success(RUNNING)] * 2)
    limit = http(429, retry_after_s=3_600)
    calls = FakeApiCalls(backend(lambda _: next(polled, limit)))
    results = run(calls, *of_project("", 2))
    assert {result.decision for result in results} == {Decision.PENDING}
    assert len([call for _, call in calls.calls if "/batch/" in call.path]) == 3
    assert calls.time < 1_010


def test_a_call_in_its_5_seconds_waits_for_a_retry_after_that_fits() -> None:
    listed: Iterator[ApiResult] = iter([http(429, retry_after_s=2), Success([{"type": "t"}])])
    others = backend(after(0, Success(PASSED)))
    calls = FakeApiCalls(lambda call, time: next(listed) if "failures" in call.path else others(call, time))
    first, second = run(calls, *of_project("", 2))
    assert [bool(result.enrichment.failures) for result in (first, second)] == [False, True]
    times = [time for time, call in calls.calls if "failures" in call.path]
    assert 2 < times[1] - times[0] < 2.2


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
    calls = FakeApiCalls(backend(after(5, Success(PASSED)), runs=Success({"batch_id": "batch-1"})))
    results = run(calls, gate, other)
    assert [result.decision for result in results] == [Decision.PASS, second]
    if second is Decision.ERROR:
        assert "the same run batch-1" in results[1].run_decision.reason


def test_a_run_that_a_batch_names_only_in_a_poll_is_not_accepted_for_another_gate() -> None:
    def respond(call: ApiRequest, time: float) -> ApiResult:
        if call.purpose == "the CI run":
            return Success(next(starting))
        names = {"run_ids": ["r"], "batch_id": "b"} if "/batch/" in call.path else {"run_id": "r"}
        polled = Success({**PASSED, "run_id": None, **names})
        return polled if call.path.startswith("/v1/ci/") else sound(call, time)

    sound, starting = backend(after(5, Success(PASSED))), iter([{"run_id": "r"}, {"batch_id": "b"}])
    results = run(FakeApiCalls(respond), replace(GATE, campaign=CAMPAIGN), replace(GATE, name="b", campaign=OTHER))
    assert Decision.ERROR in {result.decision for result in results}


def started(*responses: Mapping[str, object]) -> Callable[[ApiRequest, float], ApiResult]:
    """Return a sound backend that starts these runs, one after the other, and gives all traces one id."""
    sound = backend(after(5, Success(PASSED)), traces=Success({"trace_id": "trace-1"}))
    starting = iter(responses)
    return lambda call, time: Success(next(starting)) if call.purpose == "the CI run" else sound(call, time)


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


@pytest.mark.parametrize(
    ("response", "campaigns", "may_be_cause"),
    [
        (TransientError(reason="refused", connected=False), LISTED_AT_ALL, False),
        *((http(status), LISTED_AT_ALL, False) for status in (425, 429)),
        (PermanentError(reason="x", status=401), LISTED_AT_ALL, False),
        *((http(status), http(other), False) for status in (500, 503, 599) for other in (500, 502, 599)),
        *((http(status), LISTED_AT_ALL, True) for status in (500, 503, 599)),
        *(
            (DOWN, other, True)
            for other in (
                http(429),
                http(408),
                PermanentError(reason="x", status=401),
                PermanentError(reason="x", status=404),
                TransientError(reason="refused", connected=False),
                TransientError(reason="hangs"),
                Success({}),
            )
        ),
        *((http(status), DOWN, True) for status in (408, 600)),
        *((PermanentError(reason="x", status=status), DOWN, True) for status in (0, 302, 400, 403, 404, 409, 413, 422)),
        (TransientError(reason="reset"), DOWN, True),
        (TransientError(reason="hangs"), DOWN, True),
        (TransientError(reason="an empty response (HTTP 200)", status=200, reached=True), DOWN, True),
        (Success({}), DOWN, True),
    ],
)
@pytest.mark.parametrize("call", ["traces", "runs"])
def test_an_uploaded_trace_may_be_the_cause_of_all_but_outages(
    call: str, response: ApiResult, campaigns: ApiResult, *, may_be_cause: bool
) -> None:
    failing = backend(after(0, Success(PASSED)), campaigns=campaigns, **{call: response})
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
        (Success(RUNNING), DOWN, Decision.PENDING, True),
        (Success(["pass"]), DOWN, Decision.ERROR, True),
        (PermanentError(reason="gone", status=404), DOWN, Decision.ERROR, True),
        (PermanentError(reason="no", status=403), DOWN, Decision.ERROR, True),
        (PermanentError(reason="no", status=401), LISTED_AT_ALL, Decision.ERROR, False),
        (http(503), DOWN, Decision.ERROR, False),
        (http(503), LISTED_AT_ALL, Decision.ERROR, True),
        (http(429, retry_after_s=3_600), DOWN, Decision.ERROR, False),
    ],
)
def test_an_uploaded_trace_may_be_the_cause_of_a_broken_or_unfinished_evaluation(
    times: ApiResult, campaigns: ApiResult, decision: Decision, *, may_be_cause: bool
) -> None:
    [result] = run(FakeApiCalls(backend(lambda _: times, campaigns=campaigns)), UPLOADED)
    assert (result.decision, result.trace_may_be_cause) == (decision, may_be_cause)


@pytest.mark.parametrize(
    ("scores", "campaigns", "may_be_cause"),
    [
        ([http(503), score(90)], DOWN, False),
        ([http(503), score(90)], LISTED_AT_ALL, True),
        ([http(429), score(90)], LISTED_AT_ALL, False),
        ([http(429), http(503)], LISTED_AT_ALL, True),
        ([http(429), TransientError(reason="reset")], DOWN, True),
        ([http(503), score("high")], DOWN, True),
        ([score("high"), score(90)], DOWN, True),
    ],
)
def test_an_uploaded_trace_may_be_the_cause_of_a_score_that_is_not_known(
    scores: Sequence[ApiResult], campaigns: ApiResult, *, may_be_cause: bool
) -> None:
    by_run = by_score(*scores, runs=2)

    def respond(call: ApiRequest, time: float) -> ApiResult:
        return campaigns if call.path == "/v1/campaigns" else by_run(call, time)

    [result] = run(FakeApiCalls(respond), replace(UPLOADED, limits=SCORED.limits))
    assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, may_be_cause)


def test_an_uploaded_trace_is_no_cause_if_the_campaign_list_itself_has_a_server_error() -> None:
    """The list is not requested again, also not if a `Retry-After` would forbid it."""
    for down in (http(503), http(503, retry_after_s=3_600)):
        calls = FakeApiCalls(backend(after(0, Success(PASSED)), campaigns=down))
        [result] = run(calls, replace(UPLOADED, campaign="core"))
        assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, False)
        assert calls.paths() == ["GET /v1/campaigns"] * len(calls.calls)


def test_a_server_error_that_a_retry_after_keeps_from_being_confirmed_stays_strict() -> None:
    calls = FakeApiCalls(backend(after(0, Success(PASSED)), campaigns=DOWN, traces=http(503, retry_after_s=3_600)))
    [result] = run(calls, UPLOADED)
    assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, True)
    assert calls.paths() == ["POST /v1/traces"]


def test_an_outage_is_not_confirmed_by_that_of_another_project() -> None:
    def respond(call: ApiRequest, time: float) -> ApiResult:
        return DOWN if call.project == "other" or call.path == "/v1/traces" else others(call, time)

    others = backend(after(0, Success(PASSED)))
    result, other = run(FakeApiCalls(respond), UPLOADED, replace(UPLOADED, name="other", project="other"))
    assert (result.trace_may_be_cause, other.trace_may_be_cause) == (True, False)


def test_without_allow_a_server_error_is_not_confirmed() -> None:
    calls = FakeApiCalls(backend(after(0, Success(PASSED)), campaigns=DOWN, traces=DOWN))
    run(calls, replace(UPLOADED, on_undecided=OnUndecided.BLOCK))
    assert "GET /v1/campaigns" not in calls.paths()


def test_an_outage_after_a_fail_does_not_concern_it() -> None:
    failed = Success({"status": "done", "decision": "fail"})
    [result] = run(FakeApiCalls(backend(after(0, failed), campaigns=DOWN, reliability=Success(Defective()))), UPLOADED)
    assert (result.decision, result.trace_may_be_cause) == (Decision.FAIL, True)


@pytest.mark.parametrize("campaign", ["core", CAMPAIGN])
def test_a_backend_that_is_down_is_an_outage_for_runs_too_that_no_call_was_left_for(campaign: str) -> None:
    down = TransientError(reason="no connection", connected=False)
    gates = [replace(UPLOADED, name=f"gate-{n}", campaign=campaign, timeout_s=60) for n in range(100)]
    results = run(FakeApiCalls(lambda _call, _time: down, takes_s=5), *gates)
    assert {(result.decision, result.trace_may_be_cause) for result in results} == {(Decision.ERROR, False)}


@pytest.mark.parametrize(
    ("purpose", "count", "takes_s"),
    [('the trace "a.json"', 24, 10), ("the CI run", 24, 10), ("the poll of the run", 100, 0.1)],
)
def test_an_outage_is_an_outage_also_if_no_time_is_left_to_try_again(purpose: str, count: int, takes_s: float) -> None:
    gates = [replace(UPLOADED, name=f"gate-{n}", timeout_s=60) for n in range(count)]
    others = backend(after(0, Success(PASSED)))
    calls = FakeApiCalls(lambda call, time: http(429) if purpose in call.purpose else others(call, time), takes_s)
    results = run(calls, *gates)
    assert {(result.decision, result.trace_may_be_cause) for result in results} == {(Decision.ERROR, False)}


def test_an_uploaded_trace_may_be_the_cause_of_an_evaluation_that_an_outage_cuts_short() -> None:
    outage = TransientError(reason="HTTP 503", status=503, reached=True)
    [result] = run(FakeApiCalls(backend(after(10, outage))), UPLOADED)
    assert (result.decision, result.trace_may_be_cause) == (Decision.PENDING, True)


def test_a_cancelled_run_of_an_uploaded_trace_stays_strict() -> None:
    [result] = run(FakeApiCalls(backend(after(50, Success(PASSED))), cancel_at=1_005), UPLOADED)
    assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, True)
