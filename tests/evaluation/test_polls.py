"""When a run is polled and a call tried again, and what the log shows."""

from dataclasses import replace

import pytest

from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation import engine, metrics
from sepurux_action.evaluation.api import ApiRequest, Reply
from sepurux_action.evaluation.runs import Decision, Rule
from sepurux_action.host.output import Level
from tests.evaluation import step
from tests.evaluation.step import GATE, NUMBERS, PASSED, after, at_first, evaluate, http, in_turn, instead, runs_of
from tests.fakes import CAMPAIGN, FakeEngine, FakeOutput, backend

UNREACHABLE = Reply(temporary=True, error="the connection failed")
UNDECIDED = Reply(payload={"status": "done", "decision": "pending"})
LINKED = Reply(payload={"dashboard_url": "https://h.example/"})
LINKS = [f"[{n}] https://h.example/" for n in (0, 1)]
UNUSABLE = "Sepurux sent no usable response within 30 s (the poll of the run"
ABOUT_OTHERS = [
    (Reply(payload=["pass"], status=200), "a response that is not a JSON object"),
    (Reply(payload={**NUMBERS, "batch_id": "of-another-gate"}, status=200), "a response about another run"),
    (Reply(payload={**NUMBERS, "batch_id": 7}, status=200), "a response whose run_id or batch_id is not a text"),
]
UNSAFE = Reply(payload={**NUMBERS, "decision": "fail", "unsafe_attempts": 2})
LOST = [Reply(temporary=True, error=reason) for reason in ("HTTP 500", "HTTP 500", "HTTP 503", "HTTP 503")]
OTHER = replace(GATE, name="other")
NOT_YET = "Sepurux has not decided yet (status `running`)"
TWO = replace(GATE, traces=step.traces(2))
SHORT = [replace(each, timeout_s=60) for each in (GATE, OTHER)]
FAILING = instead("POST", at_first(*LOST), backend(in_turn(*LOST, step.RUNNING, *LOST[:2], PASSED)))
RETRIED = [f"the CI run: {error}" for error in ("HTTP 500", "HTTP 503")]
RETRIED += [f"poll failed: {error}" for error in ("HTTP 500", "HTTP 503", "HTTP 500")]
BEATS = [f"core: 0 of 5 runs decided: {time}, at most 9 min" for time in ("30 s elapsed", "1 min elapsed")]
LATE = [f"[{name}] pending after 1 min: No decision after 1 min." for name in ("core", "other")]
RESULTS = ["[0] fail after 0.4 s: 95.0% passed, 2 unsafe", "[1] pass after 0.4 s: 95.0% passed, 0 unsafe"]


@pytest.mark.parametrize(
    ("poll", "timeout_s", "decision", "reason", "ends_by"),
    [
        (after(60), 60, Decision.PASS, "", 61),  # the last poll begins at the deadline
        (after(10_000), 600, Decision.PENDING, "No decision after 10 min.", 600.2),
        (after(10, step.HANGS), 60, Decision.PENDING, "No decision after 1 min.", 65.1),
        (in_turn(http(503), http(408), http(429), PASSED), 600, Decision.PASS, "", 10),
        (in_turn(http(503)), 120, Decision.ERROR, "HTTP 503", 125),
        (after(5, http(429, 3_600)), 600, Decision.ERROR, "asked to wait 1 h", 10),
        (after(5, http(503)), 600, Decision.ERROR, "no usable response within 1 min", 70),
        (in_turn(http(429, 3_600)), 600, Decision.ERROR, "asked to wait 1 h", 10),
        *((in_turn(each), 30, Decision.ERROR, f"{UNUSABLE}: {why})", 35) for each, why in ABOUT_OTHERS),
        (in_turn(UNDECIDED, http(503)), 30, Decision.ERROR, "no decision", 35),
        (in_turn(UNDECIDED), 600, Decision.ERROR, "no decision", 3),
        (in_turn(UNDECIDED, PASSED), 600, Decision.PASS, "", 3),
    ],
)
def test_what_polls_lead_to(poll: step.Poll, timeout_s: float, decision: Decision, reason: str, ends_by: float) -> None:
    calls = FakeEngine(backend(poll))
    [result] = runs_of(calls, replace(GATE, timeout_s=timeout_s))
    assert result.decision is decision
    assert reason in result.reason
    assert calls.time - 1_000 <= ends_by


def test_a_run_of_ten_minutes_is_polled_181_times_and_its_decision_is_seen_within_5_s() -> None:
    calls = FakeEngine(backend(after(600)), takes_s=0.01)
    [result] = runs_of(calls, replace(GATE, campaign=CAMPAIGN.upper(), timeout_s=3_600))
    times = [time for time, _ in step.polls(calls)]
    assert result.decision is Decision.PASS
    assert len(times) == 181
    assert times[0] < 0.03  # at once after the run was started
    assert 600 <= times[-1] < 605.1


def test_all_runs_together_make_at_most_forty_polls_a_second_and_none_is_left_out() -> None:
    calls = FakeEngine(backend(after(120)))
    results = runs_of(calls, replace(GATE, traces=step.traces(100)))
    assert {result.decision for result in results} == {Decision.PASS}
    times = [time for time, _ in step.polls(calls)]
    assert all(later - earlier >= 1 - 1e-6 for earlier, later in zip(times, times[40:], strict=False))
    assert calls.time < 1_135
    order = [path for _, path in step.polls(calls)]
    assert order[100:200] == order[200:300] == order[300:400]  # the longest overdue first


def test_a_404_on_a_run_counts_only_15_s_after_its_creation() -> None:
    gone = Reply(error="Sepurux refused the poll of the run (HTTP 404)", status=404)
    assert runs_of(FakeEngine(backend(after(10, before=gone))))[0].decision is Decision.PASS
    calls = FakeEngine(backend(in_turn(gone)))
    [result] = runs_of(calls)
    assert result.decision is Decision.ERROR
    assert step.polls(calls)[-2][0] < 15.5 < step.polls(calls)[-1][0]


@pytest.mark.parametrize("name", ["run_id", "batch_id"])
@pytest.mark.parametrize("wrong", [[], {}, 0, False, ["run-1"], "of-another"])
@pytest.mark.parametrize("polled", ["run_id", "batch_id"])
def test_a_poll_response_with_a_wrong_id_is_a_failed_poll(polled: str, name: str, wrong: object) -> None:
    poll = in_turn(Reply(payload={**NUMBERS, name: wrong}), Reply(payload={**NUMBERS, "pass_rate": 0.99}))
    [result] = runs_of(FakeEngine(backend(poll, runs=Reply(payload={polled: "ours"}))))
    ignored = wrong == "of-another" and name != polled
    assert result.value(metrics.PASS_RATE) == (0.95 if ignored else 0.99)


def test_the_wait_for_a_slot_is_part_of_the_time_of_a_call() -> None:
    calls = FakeEngine(lambda _call, _time: step.HANGS)
    results = runs_of(calls, replace(GATE, campaign=CAMPAIGN, traces=step.traces(40), timeout_s=5))
    assert {result.decision for result in results} == {Decision.ERROR}
    assert calls.time <= 1_012
    calls = FakeEngine(instead("/batch-1", in_turn(http(503)), backend(in_turn(step.HANGS))))
    results = runs_of(calls, replace(GATE, campaign=CAMPAIGN, traces=step.traces(60), timeout_s=30))
    assert calls.time <= 1_037.1
    assert {result.reason[-10:] for result in results if result.batch_id == "batch-1"} == {"HTTP 503)."}


@pytest.mark.parametrize("at", [0, 1_000, 1_000.15, 1_003, 1_030])
def test_after_a_signal_the_open_runs_are_an_error_and_nothing_more_is_sent(at: float) -> None:
    calls = FakeEngine(backend(after(5_000)), cancel_at=at)
    if not at:
        calls.signals.receive(15)
    [result] = runs_of(calls)
    assert (result.decision, result.rule, result.hint) == (Decision.ERROR, Rule.CANCELED, "{Rerun}.")
    assert calls.time <= max(at, 1_000.2) + 0.1
    assert all(time <= at for time, _ in calls.calls)
    assert runs_of(FakeEngine(step.sound(reliability=step.HANGS), cancel_at=1_001.5))[0].decision is Decision.PASS


def test_an_unexpected_exception_in_one_run_ends_the_step() -> None:
    def broken(_call: ApiRequest, _time: float) -> Reply:
        raise OSError("a secret")

    with pytest.raises(OSError, match="a secret"):
        runs_of(FakeEngine(broken), GATE, replace(GATE, name="other"))


def test_a_defect_while_one_run_is_polled_ends_that_run_only_and_one_after_the_decision_leaves_it() -> None:
    output = FakeOutput()
    calls = FakeEngine(backend(in_turn(Reply(payload=step.Defective(NUMBERS)), PASSED)))
    results = runs_of(calls, replace(GATE, traces=step.traces(3)), output=output)
    assert [result.decision for result in results] == [Decision.ERROR, Decision.PASS, Decision.PASS]
    assert results[0].reason.startswith("Internal error (KeyError at step.py:")
    [result] = evaluate(
        FakeEngine(step.sound(failures=Reply(payload=[step.Defective()]))), output=output, with_passed=True
    )
    assert (result.decision, result.scenarios_unread) == (Decision.PASS, 1)
    assert sum("internal error (KeyError" in line for line in output.lines) == 2
    assert not any("a secret" in line for line in output.lines)
    [result] = evaluate(FakeEngine(backend(after(0, step.FAILED), reliability=Reply(payload=step.Defective()))))
    assert result.decision is Decision.FAIL


def test_a_post_is_retried_under_one_idempotency_key_and_every_post_has_its_own() -> None:
    failing = in_turn(http(503), http(503), http(503), Reply(payload={"trace_id": "t", "batch_id": "b"}))
    calls = FakeEngine(instead("POST", failing))
    runs_of(calls, replace(GATE, traces=(Trace(label="a.json", content=b"{}"),)))
    keys = [(call.path, call.idempotency_key) for _, call in calls.calls if call.method == "POST"]
    assert (len(keys), len(set(keys)), len({key for _, key in keys})) == (5, 2, 2)


@pytest.mark.parametrize(
    ("timeout_s", "fault", "decision", "times"),
    [
        (10, step.until(8.5, UNREACHABLE), Decision.PASS, [0, 1, 3, 7, 9]),
        (10, step.until(60, UNREACHABLE), Decision.ERROR, [0, 1, 3, 7, 9]),
        (600, lambda _: step.HANGS, Decision.ERROR, [0, 31]),
    ],
)
def test_a_last_attempt_is_in_time(timeout_s: float, fault: step.Maybe, decision: Decision, times: list[int]) -> None:
    calls = FakeEngine(instead("the list of campaigns", fault))
    [result] = runs_of(calls, replace(GATE, timeout_s=timeout_s))
    listed = [round(at - 1_000) for at, call in calls.calls if call.purpose == "the list of campaigns"]
    assert (result.decision, listed) == (decision, times)
    assert result.elapsed_s <= min(timeout_s, 60.1) + 1


def of_project(project: str, count: int, **changes: object) -> list[Gate]:
    gate = replace(GATE, campaign=CAMPAIGN, project=project)
    return [replace(gate, name=f"{project} {n}", **changes) for n in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("purpose", ["the CI run", "the poll of the run", "the failures of the run"])
def test_projects_that_do_not_respond_delay_no_other_one(purpose: str) -> None:
    others = step.sound()

    def respond(call: ApiRequest, time: float) -> Reply:
        return step.HANGS if call.project != "healthy" and call.purpose == purpose else others(call, time)

    hanging = [gate for n in range(6) for gate in of_project(f"broken {n}", 10)]
    *_, result = runs_of(FakeEngine(respond), *hanging, *of_project("healthy", 1, timeout_s=5), with_passed=True)
    assert result.decision is Decision.PASS
    assert result.elapsed_s < 6


@pytest.mark.parametrize("projects", ["a", "ab", "abcdefghij"])
def test_each_project_has_eight_calls_at_a_time(projects: str) -> None:
    calls = FakeEngine(step.sound())
    results = runs_of(calls, *(gate for project in projects for gate in of_project(project, 8)))
    assert {result.decision for result in results} == {Decision.PASS}
    assert calls.max_at_once == 8 * len(projects)


@pytest.mark.parametrize("purpose", ["the CI run", "the poll of the run", "the failures of the run"])
def test_a_retry_after_holds_for_every_call_of_the_step(purpose: str) -> None:
    calls = FakeEngine(instead(purpose, at_first(http(503, retry_after_s=30))))
    results = runs_of(calls, *of_project("", 30), *of_project("other", 10), with_passed=True)
    assert {result.decision for result in results} == {Decision.PASS}
    held = next(time for time, call in calls.calls if call.purpose == purpose) + 0.1  # the response arrives
    assert [time for time, _ in calls.calls if held + 1e-6 < time < held + 30 - 1e-6] == []
    assert (calls.calls[-1][0] > held + 30 - 1e-6) is (purpose != "the failures of the run")


def test_a_retry_after_past_the_deadline_of_a_gate_ends_that_gate_and_no_other() -> None:
    calls = FakeEngine(instead("POST", at_first(http(429, retry_after_s=40)), backend(after(5))))
    long, *short = runs_of(calls, *of_project("", 1, timeout_s=600), *of_project("short", 20, timeout_s=30))
    assert long.decision is Decision.PASS
    assert {result.decision for result in short} == {Decision.ERROR}
    assert all("asked to wait 40 s, longer than the time" in each.reason for each in short)
    assert max(result.elapsed_s for result in short) < 1
    assert len([time for time, call in calls.calls if call.method == "POST" and time < 1_040]) == 9


def test_the_backoff_doubles_up_to_a_limit_with_full_jitter_and_retry_after_replaces_it() -> None:
    waits = {(1, 1): 1, (2, 1): 2, (4, 1): 8, (4, 0.25): 2, (4, 0): 0, (6, 1): 30, (10**9, 1): 30}
    assert {(failed, jitter): engine.retry_wait(failed, http(503), jitter) for failed, jitter in waits} == waits
    assert [engine.retry_wait(9, http(503, retry_after_s=after), 1) for after in (0, 0.5, 7)] == [1, 1, 7]


def shown_by(respond: step.Respond, *gates: Gate) -> FakeOutput:
    output = FakeOutput()
    runs_of(FakeEngine(respond), *gates, output=output)
    return output


def test_what_a_run_waits_for_and_when_it_gives_up_is_shown_with_each_change() -> None:
    assert shown_by(backend(after(1)), GATE, OTHER).waits[0][0] == "0 of 2 runs decided"
    waits = shown_by(backend(in_turn(step.RUNNING, http(502), step.RUNNING, PASSED)), GATE).waits
    start, running, done = (f"core: {each}" for each in ("starting", "running", "done"))
    assert list(dict(waits)) == [start, running, f"HTTP 502; {running}", done, "reading what failed"]
    assert all(540 < left_s <= 600 for what, left_s in waits if "running" in what)


@pytest.mark.parametrize(
    ("respond", "gates", "part", "lines"),
    [
        (backend(in_turn(step.RUNNING, LINKED, LINKED, PASSED)), [TWO], "//", LINKS),
        (backend(after(25)), [TWO, OTHER], "not decided", [f"core: {NOT_YET}", f"other: {NOT_YET}"]),
        (FAILING, [GATE], "HTTP", RETRIED),
        (backend(after(70)), [replace(GATE, traces=step.traces(5))], " elapsed", BEATS),
        (backend(after(5_000)), SHORT, "pending", LATE),
        (instead("GET /v1/ci/batch", in_turn(UNSAFE, PASSED)), [TWO], " after ", RESULTS),
    ],
)
def test_the_log_says_once_what_happened(respond: step.Respond, gates: list[Gate], part: str, lines: list[str]) -> None:
    logged = sorted(line for line in shown_by(respond, *gates).lines if part in line)
    assert len(logged) == len(lines)
    assert all(map(str.startswith, logged, sorted(lines)))


def test_unknown_words_are_one_warning() -> None:
    unknown = [Reply(payload={"status": f"resting {n}", "decision": "pass"}) for n in range(30)]
    output = shown_by(backend(in_turn(*unknown, PASSED)), GATE)
    assert [(level, '"resting 0"' in text) for level, text in output.annotations] == [(Level.WARNING, True)]
