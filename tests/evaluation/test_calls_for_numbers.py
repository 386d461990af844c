"""Requests for the score; tests/worlds check what they decide."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.evaluation.api import Reply
from sepurux_action.evaluation.metrics import RELIABILITY_SCORE
from sepurux_action.evaluation.runs import Decision, Rule
from tests.evaluation.responses import FAILED, NUMBERS, by_run, http, rejected, score, scored
from tests.evaluation.step import KNOWN, evaluate, runs_of
from tests.fakes import FakeEngine

SCORED = replace(KNOWN, limits={"min_reliability_score": 80})


@pytest.mark.parametrize("lost", [http(503), http(429, retry_after_s=7), Reply(payload=[])])
def test_a_request_for_the_score_is_tried_again_after_a_lost_response(lost: Reply) -> None:
    calls = FakeEngine(scored(lost, lost, lost, score(90)))
    [result] = runs_of(calls, SCORED)
    assert (result.decision, result.value(RELIABILITY_SCORE)) == (Decision.PASS, 90)
    assert len(calls.paths("reliability")) == 4


@pytest.mark.parametrize(("timeout_s", "until"), [(60, 60), (10, 35)])
def test_a_score_is_asked_for_until_the_deadline_or_for_30_s(timeout_s: float, until: float) -> None:
    [result] = evaluate(FakeEngine(scored(http(503))), replace(SCORED, timeout_s=timeout_s))
    assert (result.decision, result.rule) == (Decision.ERROR, Rule.NUMBER_UNKNOWN)
    assert "reliability score: could not be read: HTTP 503" in result.reason
    assert "{Rerun}" in result.hint
    assert until - 2 < result.runs[0].elapsed_s < until + 1


@pytest.mark.parametrize(
    ("response", "shown"),
    [
        *((rejected(status), Reading()) for status in (401, 403, 404)),
        *((each, Reading()) for each in (score(None), Reply(payload={}))),
        *((rejected(status), Reading(broken="could not be read: x")) for status in (302, 400, 413, 422)),
        (score("high"), Reading(broken='no number: "high"')),
    ],
)
def test_a_score_that_is_not_shown_rejected_or_no_number_is_asked_for_once(response: Reply, shown: Reading) -> None:
    calls = FakeEngine(scored(response))
    [result] = runs_of(calls, SCORED)
    assert RELIABILITY_SCORE.reading(result.numbers) == shown
    assert len(calls.paths("reliability")) == 1


@pytest.mark.parametrize(
    ("responses", "shown"),
    [
        ([score(90), score(2), score(95)], Reading(62.33333333)),
        ([score(90), score(None), score(95)], Reading(92.5, reported_by="2 of 3 runs")),
        ([score(90), score(2), http(503)], Reading(broken="could not be read: HTTP 503")),
    ],
)
def test_the_score_of_each_run_of_a_batch_is_asked_for(responses: Sequence[Reply], shown: Reading) -> None:
    [result] = evaluate(FakeEngine(by_run("/reliability", *responses)), SCORED)
    assert RELIABILITY_SCORE.reading(result.numbers) == shown


def test_a_batch_of_1_000_runs_is_not_asked_for_its_scores_and_no_pass() -> None:
    calls = FakeEngine(by_run("/reliability", *[score(90)] * 1_000))
    [result] = evaluate(calls, SCORED)
    assert (result.decision, calls.paths("reliability")) == (Decision.ERROR, [])


@pytest.mark.parametrize("runs", [1, 3])
def test_without_a_threshold_on_it_only_the_score_of_a_single_run_is_requested_once(runs: int) -> None:
    calls = FakeEngine(by_run("/reliability", *[http(503)] * runs))
    [result] = runs_of(calls, KNOWN)
    assert result.decision is Decision.PASS
    assert len(calls.paths("reliability")) == (runs == 1)
    assert result.note == ("Could not read the reliability score: HTTP 503." if runs == 1 else "")


@pytest.mark.parametrize(
    ("poll", "decision", "requests"),
    [
        (FAILED, Decision.FAIL, 1),
        (Reply(payload={"status": "failed"}), Decision.ERROR, 0),  # no number of it is shown
        (Reply(payload={**NUMBERS, "reliability_score": 90}), Decision.PASS, 0),
    ],
)
def test_a_score_that_decides_nothing_is_requested_once(poll: Reply, decision: Decision, requests: int) -> None:
    calls = FakeEngine(scored(http(503), score(99), poll=poll))
    assert runs_of(calls, SCORED)[0].decision is decision
    assert len(calls.paths("reliability")) == requests
    [result] = runs_of(FakeEngine(scored(score(99), poll=FAILED)), SCORED)
    assert (result.decision, result.value(RELIABILITY_SCORE)) == (Decision.FAIL, 99)
