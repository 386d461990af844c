"""When calls are tried again, and the slots and waits that the runs of a step share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sepurux_action.config.gate import Gate, Trace
from sepurux_action.evaluation.api import ApiRequest, ApiResult, Success, TransientError
from sepurux_action.evaluation.decision import Decision
from tests.evaluation.responses import HANGS, PASSED, after, at_first, http, in_turn, instead, sound, until
from tests.evaluation.step import GATE, polls, runs_of
from tests.fakes import CAMPAIGN, FakeApiCalls, FakeOutput, backend


def test_a_retry_after_replaces_the_backoff_and_the_heartbeat_goes_on() -> None:
    output = FakeOutput()
    calls = FakeApiCalls(backend(in_turn(http(429, 100), PASSED)))
    [result] = runs_of(calls, output=output)
    (first, _), (second, _) = polls(calls)
    assert result.decision is Decision.PASS
    assert 100 <= second - first < 100.5
    beats = [line for line in output.lines if line.startswith("waiting for core: ")]
    assert len(beats) == 3
    assert "elapsed, at most" in beats[0]


def test_a_backend_that_never_responds_gets_60_seconds_of_the_timeout() -> None:
    calls = FakeApiCalls(lambda _call, _time: HANGS)
    [result] = runs_of(calls, replace(GATE, timeout_s=600))
    assert result.decision is Decision.ERROR
    assert "base_url" in result.hint
    assert calls.time <= 1_060.1


def test_a_post_is_retried_under_one_idempotency_key_and_every_post_has_its_own() -> None:
    failing = in_turn(http(503), http(503), http(503), Success({"trace_id": "t", "batch_id": "b"}))
    calls = FakeApiCalls(instead("POST", failing))
    runs_of(calls, replace(GATE, traces=(Trace(label="a.json", content=b"{}"),)))
    keys = [(call.path, call.idempotency_key) for _, call in calls.calls if call.method == "POST"]
    assert (len(keys), len(set(keys)), len({key for _, key in keys})) == (5, 2, 2)


def test_a_backoff_longer_than_the_time_that_is_left_leaves_a_last_attempt() -> None:
    unreachable = TransientError(reason="the connection failed", connected=False)
    soon, late = (FakeApiCalls(instead("the list of campaigns", until(seconds, unreachable))) for seconds in (8.5, 60))
    assert runs_of(soon, replace(GATE, timeout_s=10))[0].decision is Decision.PASS
    [result] = runs_of(late, replace(GATE, timeout_s=10))
    assert (result.decision, [round(at - 1_000) for at, _ in late.calls]) == (Decision.ERROR, [0, 1, 3, 7, 9])
    assert 9 <= result.elapsed_s <= 10


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
    *_, result = runs_of(FakeApiCalls(respond), *hanging, *of_project("healthy", 1, timeout_s=5))
    assert result.decision is Decision.PASS
    assert result.elapsed_s < 6


@pytest.mark.parametrize("projects", ["a", "ab", "abcdefghij"])
def test_one_project_uses_all_slots_and_several_share_them(projects: str) -> None:
    calls = FakeApiCalls(sound())
    results = runs_of(calls, *(gate for project in projects for gate in of_project(project, 8)))
    assert {result.decision for result in results} == {Decision.PASS}
    assert calls.max_at_once == 8


@pytest.mark.parametrize("purpose", ["the CI run", "the poll of the run", "the classified failures"])
def test_a_retry_after_holds_for_every_call_of_the_step(purpose: str) -> None:
    calls = FakeApiCalls(instead(purpose, at_first(http(503, retry_after_s=60))))
    results = runs_of(calls, *of_project("", 30), *of_project("other", 10))
    assert {result.decision for result in results} == {Decision.PASS}
    held = next(time for time, call in calls.calls if call.purpose == purpose) + 0.1  # the response arrives
    assert [time for time, _ in calls.calls if held + 1e-6 < time < held + 60 - 1e-6] == []
    assert (calls.calls[-1][0] > held + 60 - 1e-6) is (purpose != "the classified failures")


def test_a_retry_after_past_the_deadline_of_a_gate_ends_that_gate_and_no_other() -> None:
    calls = FakeApiCalls(instead("POST", at_first(http(429, retry_after_s=100)), backend(after(5))))
    long, *short = runs_of(calls, *of_project("", 1, timeout_s=600), *of_project("short", 20, timeout_s=60))
    assert long.decision is Decision.PASS
    assert {result.decision for result in short} == {Decision.ERROR}
    assert all("asked to wait 1 min 40 s, longer than the time" in each.run_decision.reason for each in short)
    assert max(result.elapsed_s for result in short) < 1
    assert len([time for time, call in calls.calls if call.method == "POST" and time < 1_100]) == 8
