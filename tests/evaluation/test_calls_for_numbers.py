"""Requests for the score, and for the pass rate of each run of a batch; tests/worlds check what they decide."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.evaluation.api import ApiResult, Success
from sepurux_action.evaluation.decision import Decision, Rule
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, RELIABILITY_SCORE
from tests.evaluation.responses import FAILED, HANGS, NUMBERS, by_run, http, rejected, score, scored
from tests.evaluation.step import KNOWN, evaluate, runs_of
from tests.fakes import FakeApiCalls

SCORED = replace(KNOWN, limits={"min_reliability_score": 80})
LOWEST = replace(KNOWN, limits={"min_scenario_pass_rate": 0.6})


@pytest.mark.parametrize("lost", [http(503), http(429, retry_after_s=7), Success([])])
def test_a_request_for_the_score_is_tried_again_after_a_lost_response(lost: ApiResult) -> None:
    calls = FakeApiCalls(scored(lost, lost, lost, score(90)))
    [result] = runs_of(calls, SCORED)
    assert (result.decision, result.ci_run.value(RELIABILITY_SCORE)) == (Decision.PASS, 90)
    assert len(calls.paths("reliability")) == 4


@pytest.mark.parametrize(("timeout_s", "until"), [(60, 60), (10, 35)])
def test_a_score_is_asked_for_until_the_deadline_or_for_30_s(timeout_s: float, until: float) -> None:
    [result] = evaluate(FakeApiCalls(scored(http(503))), replace(SCORED, timeout_s=timeout_s))
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
    calls = FakeApiCalls(scored(response))
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
    [result] = evaluate(FakeApiCalls(by_run("/reliability", *responses)), SCORED)
    assert result.numbers.reading(RELIABILITY_SCORE) == shown


def test_a_batch_of_1_000_runs_is_not_asked_for_its_scores_and_no_pass() -> None:
    calls = FakeApiCalls(by_run("/reliability", *[score(90)] * 1_000))
    [result] = evaluate(calls, SCORED)
    assert (result.decision, calls.paths("reliability")) == (Decision.ERROR, [])


@pytest.mark.parametrize("runs", [1, 3])
def test_without_a_threshold_on_it_only_the_score_of_a_single_run_is_requested_once(runs: int) -> None:
    calls = FakeApiCalls(by_run("/reliability", *[http(503)] * runs))
    [result] = runs_of(calls, KNOWN)
    assert result.decision is Decision.PASS
    assert len(calls.paths("reliability")) == (runs == 1)
    assert result.note == ("Could not read the reliability score: HTTP 503." if runs == 1 else "")


@pytest.mark.parametrize(
    ("poll", "decision", "requests"),
    [
        (FAILED, Decision.FAIL, 1),
        (Success({"status": "failed"}), Decision.ERROR, 0),  # no number of it is shown
        (Success({**NUMBERS, "reliability_score": 90}), Decision.PASS, 0),
    ],
)
def test_a_score_that_decides_nothing_is_requested_once(poll: ApiResult, decision: Decision, requests: int) -> None:
    calls = FakeApiCalls(scored(http(503), score(99), poll=poll))
    assert runs_of(calls, SCORED)[0].decision is decision
    assert len(calls.paths("reliability")) == requests
    [result] = runs_of(FakeApiCalls(scored(score(99), poll=FAILED)), SCORED)
    assert (result.decision, result.ci_run.value(RELIABILITY_SCORE)) == (Decision.FAIL, 99)


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
    calls = FakeApiCalls(by_run("/v1/ci/runs/", with_rate(1), unread))
    [result] = evaluate(calls, LOWEST)
    assert result.numbers.reading(LOWEST_SCENARIO) == lowest
    # once more for the report, within its limits
    assert len(calls.paths("/v1/ci/runs/")) == (2 if result.decision is Decision.PASS else 3)


def test_the_runs_of_a_batch_are_not_read_without_that_threshold_or_after_a_fail() -> None:
    for gate, decision in ((replace(KNOWN, limits={"min_pass_rate": 0.9}), "pass"), (LOWEST, "fail")):
        calls = FakeApiCalls(by_run("/v1/ci/runs/", with_rate(1), with_rate(0), decision=decision, failures=0))
        evaluate(calls, gate)
        assert len(calls.paths("/v1/ci/runs/")) == (2 if decision == "fail" else 0)  # for the report


def test_a_run_that_does_not_respond_is_read_until_the_deadline_or_for_30_s_after_the_last_response() -> None:
    for timeout_s, until, silent in ((60, 60, 1), (10, 36, 1), (60, 60, 20)):
        calls = FakeApiCalls(by_run("/v1/ci/runs/", *[HANGS] * silent, with_rate(1)))
        [result] = evaluate(calls, replace(LOWEST, timeout_s=timeout_s))
        assert result.decision is Decision.ERROR
        assert until - 2 < result.runs[0].elapsed_s < until + 1


def test_a_batch_of_more_than_400_runs_is_not_read_and_no_pass() -> None:
    [most], [more] = (
        evaluate(FakeApiCalls(by_run("/v1/ci/runs/", *[with_rate(1)] * count)), LOWEST) for count in (400, 401)
    )
    assert (most.decision, more.decision) == (Decision.PASS, Decision.ERROR)
    assert "the batch has 401 runs, and at most 400 are read" in more.reason
