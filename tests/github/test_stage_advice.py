"""Promotion advice: when a team may take the next stage (the rule is this project's own)."""

from __future__ import annotations

import pytest

from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.published_result import Metrics, PreviousResult
from sepurux_action.github.stage_advice import advise


def results(*, passed: int, failed: int, undecided: int = 0) -> list[PreviousResult]:
    decisions = [Decision.PASS] * passed + [Decision.FAIL] * failed + [Decision.ERROR, Decision.PENDING] * undecided
    return [PreviousResult(decision=each, stage=Stage.OBSERVE, metrics=Metrics()) for each in decisions]


@pytest.mark.parametrize(
    ("passed", "failed", "verdicts", "advice"),
    [
        (0, 0, "none has a verdict", "Stay with `observe` until 10 have one."),
        (1, 0, "1 has a verdict, and a hard gate would have blocked none", "Stay with `observe` until 10 have one."),
        (9, 0, "9 have a verdict, and a hard gate would have blocked none", "Stay with `observe` until 10 have one."),
        (10, 0, "10 have a verdict, and a hard gate would have blocked none", "Move on to `enforcement: soft`."),
        (9, 1, "10 have a verdict, and a hard gate would have blocked 1 (10.0%)", "Move on to `enforcement: soft`."),
        (
            17,
            2,
            "19 have a verdict, and a hard gate would have blocked 2 (10.5%)",
            "Stay with `observe` until it is 10% or less: fix what fails first.",
        ),
    ],
)
def test_ten_verdicts_of_which_at_most_a_tenth_fails_are_enough_to_move_on(
    passed: int, failed: int, verdicts: str, advice: str
) -> None:
    advised = str(advise(Stage.OBSERVE, results(passed=passed, failed=failed), scheduled=False))
    assert advised == f"Of the last 30 pull requests {verdicts}. {advice}"


def test_runs_without_a_verdict_do_not_count() -> None:
    advice = advise(Stage.OBSERVE, results(passed=8, failed=1, undecided=8), scheduled=False)
    assert advice is not None
    assert (advice.decided, advice.blocked, advice.ready) == (9, 1, False)


def test_observe_leads_to_soft_soft_to_hard_and_hard_nowhere() -> None:
    newest = results(passed=20, failed=0)
    advised = [str(advise(stage, newest, scheduled=False) or "").rpartition(". ")[2] for stage in Stage]
    assert advised == ["Move on to `enforcement: soft`.", "Move on to `enforcement: hard`.", ""]


def test_what_the_policy_does_by_itself_is_no_advice_but_to_wait_still_is() -> None:
    advised = str(advise(Stage.SOFT, results(passed=20, failed=0), scheduled=True))
    assert advised == "Of the last 30 pull requests 20 have a verdict, and a hard gate would have blocked none."
    advised = str(advise(Stage.SOFT, results(passed=5, failed=5), scheduled=True))
    assert advised.endswith("Stay with `soft` until it is 10% or less: fix what fails first.")
