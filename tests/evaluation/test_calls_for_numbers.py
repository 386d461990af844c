"""Requests for the score; tests/worlds check what they decide."""

from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.api import Reply
from sepurux_action.evaluation.metrics import RELIABILITY_SCORE
from sepurux_action.evaluation.runs import Decision, Rule
from tests.evaluation.step import FAILED, KNOWN, NUMBERS, by_run, evaluate, http, rejected, runs_of, score, scored
from tests.fakes import FakeEngine

SCORED = replace(KNOWN, limits={"min_reliability_score": 80})
LOST = (http(503), http(429, retry_after_s=7), Reply(payload=[]))


@pytest.mark.parametrize(("timeout_s", "until"), [(60, 60), (10, 35)])
def test_a_score_is_asked_for_until_the_deadline_or_for_30_s(timeout_s: float, until: float) -> None:
    [result] = evaluate(FakeEngine(scored(http(503))), replace(SCORED, timeout_s=timeout_s))
    assert (result.decision, result.rule) == (Decision.ERROR, Rule.NUMBER_UNKNOWN)
    assert until - 2 < result.runs[0].elapsed_s < until + 1


@pytest.mark.parametrize(
    ("responses", "shown"),
    [
        ([*LOST, score(90)], Reading(90)),
        *(([rejected(status)], Reading()) for status in (401, 403, 404)),
        *(([each], Reading()) for each in (score(None), Reply(payload={}))),
        *(([rejected(status)], Reading(broken="could not be read: x")) for status in (302, 400, 413, 422)),
        ([score("high")], Reading(broken='no number: "high"')),
    ],
)
def test_a_score_is_asked_for_again_only_after_a_lost_response(responses: list[Reply], shown: Reading) -> None:
    calls = FakeEngine(scored(*responses))
    [result] = runs_of(calls, SCORED)
    assert RELIABILITY_SCORE.reading(result.numbers) == shown
    assert len(calls.paths("reliability")) == len(responses)


@pytest.mark.parametrize(
    ("gate", "runs", "decision", "requests"),
    [(KNOWN, 1, Decision.PASS, 1), (KNOWN, 3, Decision.PASS, 0), (SCORED, 1_000, Decision.ERROR, 0)],
)
def test_a_score_without_a_threshold_on_it_or_of_too_large_a_batch_is_not_asked_for_again(
    gate: Gate, runs: int, decision: Decision, requests: int
) -> None:
    calls = FakeEngine(by_run("/reliability", *[http(503)] * runs))
    [result] = evaluate(calls, gate)
    assert (result.decision, len(calls.paths("reliability"))) == (decision, requests)
    assert bool(result.runs[0].note) is (requests == 1)


@pytest.mark.parametrize(
    ("poll", "response", "decision", "requests"),
    [
        (FAILED, http(503), Decision.FAIL, 1),
        (FAILED, score(99), Decision.FAIL, 1),
        (Reply(payload={"status": "failed"}), http(503), Decision.ERROR, 0),  # no number of it is shown
        (Reply(payload={**NUMBERS, "reliability_score": 90}), http(503), Decision.PASS, 0),
    ],
)
def test_a_score_that_decides_nothing_is_requested_once(
    poll: Reply, response: Reply, decision: Decision, requests: int
) -> None:
    calls = FakeEngine(scored(response, poll=poll))
    assert runs_of(calls, SCORED)[0].decision is decision
    assert len(calls.paths("reliability")) == requests
