"""Requests for the score, and for the pass rate of each run of a batch; tests/worlds check what they decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.api import ApiRequest, ApiResult, Success, TransientError
from sepurux_action.evaluation.decision import Decision, Rule
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, RELIABILITY_SCORE
from tests.evaluation.responses import FAILED, HANGS, NUMBERS, RESET, Respond, after, by_score, http, rejected, score
from tests.evaluation.step import GATE, KNOWN, evaluate, runs_of
from tests.fakes import CAMPAIGN, FakeApiCalls, backend

DROP = replace(KNOWN, limits={"max_reliability_score_drop": 3})


def with_limits(**limits: float) -> Gate:
    return replace(KNOWN, limits=limits)


SCORED, LOWEST = with_limits(min_reliability_score=80), with_limits(min_scenario_pass_rate=0.6)


@pytest.mark.parametrize("gate", [SCORED, DROP], ids=["min", "drop"])
@pytest.mark.parametrize(
    "lost",
    [
        *(http(503), http(429, retry_after_s=7), RESET),
        *(TransientError(reason="an empty response (HTTP 200)", status=200, reached=True), Success([])),
    ],
)
def test_a_request_for_the_score_is_tried_again_after_a_lost_response(lost: ApiResult, gate: Gate) -> None:
    calls = FakeApiCalls(by_score(lost, lost, lost, score(90)))
    [result] = runs_of(calls, gate)
    assert (result.decision, result.ci_run.value(RELIABILITY_SCORE)) == (Decision.PASS, 90)
    assert len(calls.paths("reliability")) == 4


@pytest.mark.parametrize("gate", [SCORED, DROP], ids=["min", "drop"])
@pytest.mark.parametrize(("timeout_s", "until"), [(60, 60), (10, 35)])
def test_a_score_that_cannot_be_read_is_asked_for_until_the_deadline_or_for_30_s_and_is_an_error(
    gate: Gate, timeout_s: float, until: float
) -> None:
    [result] = evaluate(FakeApiCalls(by_score(http(503))), replace(gate, timeout_s=timeout_s))
    assert (result.decision, result.rule) == (Decision.ERROR, Rule.NUMBER_UNKNOWN)
    assert "reliability score: could not be read: HTTP 503" in result.reason
    assert "{Rerun}" in result.hint
    assert until - 2 < result.runs[0].elapsed_s < until + 1


@pytest.mark.parametrize(
    ("response", "shown"),
    [
        *((rejected(status), Reading()) for status in (401, 403, 404)),
        *((each, Reading()) for each in (score(None), Success({}))),
        *((rejected(status), Reading(broken="could not be read: x")) for status in (302, 400, 413, 422)),
        (score("high"), Reading(broken='no number: "high"')),
    ],
)
def test_a_score_that_is_not_shown_rejected_or_no_number_is_asked_for_once(response: ApiResult, shown: Reading) -> None:
    calls = FakeApiCalls(by_score(response))
    [result] = runs_of(calls, SCORED)
    assert result.ci_run.reading(RELIABILITY_SCORE) == shown
    assert len(calls.paths("reliability")) == 1


@pytest.mark.parametrize(
    ("responses", "shown"),
    [
        ([score(90), score(2), score(95)], Reading(62.33333333)),
        ([score(90), score(None), score(95)], Reading(92.5, reported_by="2 of 3 runs")),
        ([score(90), score(2), http(503)], Reading(broken="could not be read: HTTP 503")),
    ],
)
def test_the_score_of_each_run_of_a_batch_is_asked_for(responses: Sequence[ApiResult], shown: Reading) -> None:
    calls = FakeApiCalls(by_score(*responses, runs=3))
    [result] = evaluate(calls, SCORED)
    asked = {dict(call.query)["run_id"] for _, call in calls.calls if "/reliability" in call.path}
    assert asked == {"run-0", "run-1", "run-2"}
    assert result.numbers.reading(RELIABILITY_SCORE) == shown


def test_a_batch_of_1_000_runs_is_not_asked_for_its_scores_and_no_pass() -> None:
    calls = FakeApiCalls(by_score(*[score(90)] * 1_000, runs=1_000))
    [result] = evaluate(calls, SCORED)
    assert (result.decision, calls.paths("reliability")) == (Decision.ERROR, [])


@pytest.mark.parametrize("runs", [1, 3])
def test_without_a_threshold_on_it_only_the_score_of_a_single_run_is_requested_once(runs: int) -> None:
    calls = FakeApiCalls(by_score(*[http(503)] * runs, runs=runs))
    [result] = runs_of(calls, replace(GATE, campaign=CAMPAIGN))
    assert result.decision is Decision.PASS
    assert len(calls.paths("reliability")) == (runs == 1)
    assert result.note == ("Could not read the reliability score: HTTP 503." if runs == 1 else "")


def test_the_score_of_a_fail_is_requested_once() -> None:
    calls = FakeApiCalls(by_score(http(503), score(99), poll=FAILED))
    assert runs_of(calls, SCORED)[0].decision is Decision.FAIL
    assert len(calls.paths("reliability")) == 1
    [result] = runs_of(FakeApiCalls(by_score(score(99), poll=FAILED)), SCORED)
    assert (result.decision, result.ci_run.value(RELIABILITY_SCORE)) == (Decision.FAIL, 99)


@pytest.mark.parametrize("confirm", [False, True])
def test_the_score_of_a_run_without_a_result_is_requested_once(confirm: bool) -> None:  # noqa: FBT001
    calls = FakeApiCalls(by_score(http(503), poll=Success({"status": "failed"})))
    assert runs_of(calls, replace(SCORED, confirm=confirm))[0].decision is Decision.ERROR
    assert len(calls.paths("reliability")) == 1


def test_a_score_that_the_poll_reports_is_not_asked_for() -> None:
    calls = FakeApiCalls(by_score(score(61.5), poll=Success({**NUMBERS, "reliability_score": 90})))
    assert runs_of(calls, SCORED)[0].decision is Decision.PASS
    assert calls.paths("reliability") == []


@pytest.mark.parametrize("gate", [SCORED, DROP], ids=["min", "drop"])
@pytest.mark.parametrize("response", [HANGS, http(503), http(429, retry_after_s=20)])
def test_after_a_signal_a_pass_whose_score_is_not_known_is_an_error(gate: Gate, response: ApiResult) -> None:
    calls = FakeApiCalls(by_score(response), cancel_at=1_008)
    [result] = runs_of(calls, gate)
    assert (result.decision, result.run_decision.rule) == (Decision.ERROR, Rule.CANCELED)
    assert calls.time < 1_009


# --- The pass rate of each run of a batch ------------------------------------------------------------------------


def by_run(*responses: ApiResult, **numbers: object) -> Respond:
    """Return a backend of a batch that passes after 5 s, and whose runs have these responses."""
    run_ids = [f"run-{n}" for n in range(len(responses))]
    others = backend(after(5, Success({**NUMBERS, "run_ids": run_ids, **numbers})))

    def respond(call: ApiRequest, time: float) -> ApiResult:
        if call.path.startswith("/v1/ci/runs/"):
            return responses[run_ids.index(call.path.rpartition("/")[2])]
        return others(call, time)

    return respond


def with_rate(rate: float) -> ApiResult:
    return Success({"pass_rate": rate, "failures": 0, "unsafe_attempts": 0})


@pytest.mark.parametrize(
    ("unread", "lowest"),
    [
        (with_rate(0.6), Reading(0.6)),
        (rejected(404), Reading(1, reported_by="1 of 2 scenarios", partial=True)),
        (Success({"run_id": "run-9", "pass_rate": 0}), Reading(1, reported_by="1 of 2 scenarios", partial=True)),
    ],
)
def test_each_run_of_a_batch_is_read_once_for_the_lowest_scenario(unread: ApiResult, lowest: Reading) -> None:
    calls = FakeApiCalls(by_run(with_rate(1), unread))
    [result] = evaluate(calls, LOWEST)
    assert result.numbers.reading(LOWEST_SCENARIO) == lowest
    requested = [path for path in calls.paths("/v1/ci/runs/") if path.startswith("GET")]
    assert len(requested) == (2 if result.decision is Decision.PASS else 3)  # again for the report, within its limits


def test_the_runs_of_a_batch_are_not_read_without_that_threshold_or_after_a_fail() -> None:
    for gate, decision in ((with_limits(min_pass_rate=0.9), "pass"), (LOWEST, "fail")):
        calls = FakeApiCalls(by_run(with_rate(1), with_rate(0), decision=decision, failures=0))
        evaluate(calls, gate)
        during = [time for time, call in calls.calls if call.path.startswith("/v1/ci/runs/")]
        assert len(during) == (2 if decision == "fail" else 0)  # for the report


def test_a_run_that_does_not_respond_is_read_until_the_deadline_or_for_30_s_after_the_last_response() -> None:
    for timeout_s, until in ((60, 60), (10, 36)):
        [result] = evaluate(FakeApiCalls(by_run(http(503), with_rate(1))), replace(LOWEST, timeout_s=timeout_s))
        assert result.decision is Decision.ERROR
        assert until - 2 < result.runs[0].elapsed_s < until + 1


def test_a_batch_of_more_than_400_runs_is_not_read_and_no_pass() -> None:
    [most], [more] = (evaluate(FakeApiCalls(by_run(*[with_rate(1)] * count)), LOWEST) for count in (400, 401))
    assert (most.decision, more.decision) == (Decision.PASS, Decision.ERROR)
    assert "the batch has 401 runs, and at most 400 are read" in more.reason
