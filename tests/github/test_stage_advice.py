"""Promotion advice: when a team may take the next stage (the rule is this project's own)."""

from __future__ import annotations

import pytest

from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.github.stage_advice import advise


def results(*, passed: int, failed: int, undecided: int = 0) -> list[PreviousResult]:
    decisions = [Decision.PASS] * passed + [Decision.FAIL] * failed + [Decision.ERROR, Decision.PENDING] * undecided
    return [PreviousResult(decision=each, stage=Stage.OBSERVE, numbers={}) for each in decisions]


FEW = "Keep `observe` until 10 are evaluated."
MANY = "Keep `observe` until at most 10% would have been blocked: fix what fails, or change the thresholds."


@pytest.mark.parametrize(
    ("passed", "failed", "which", "advice"),
    [
        (0, 0, "None of the last 30 pull requests was evaluated.", FEW),
        (1, 0, "the last evaluated pull request would not", FEW),
        (0, 1, "the last evaluated pull request would", FEW),
        (9, 0, "none of the last 9 evaluated pull requests would", FEW),
        (9, 1, "1 of the last 10 evaluated pull requests would", "Set `enforcement: soft`."),
        (17, 2, "2 of the last 19 evaluated pull requests would", MANY),
    ],
)
def test_a_tenth_of_fails_of_ten_decisions_is_few_enough(passed: int, failed: int, which: str, advice: str) -> None:
    share = f"With `hard`, {which} have been blocked." if passed + failed else which
    assert advise(Stage.OBSERVE, results(passed=passed, failed=failed), scheduled=False) == f"{share} {advice}"


def test_runs_without_a_decision_do_not_count() -> None:
    newest = results(passed=8, failed=1, undecided=8)
    assert advise(Stage.SOFT, newest, scheduled=False) == advise(Stage.SOFT, newest[:9], scheduled=False)


def test_observe_leads_to_soft_soft_to_hard_and_hard_nowhere() -> None:
    newest = results(passed=20, failed=0)
    advised = [advise(stage, newest, scheduled=False).rpartition(". ")[2] for stage in Stage]
    assert advised == ["Set `enforcement: soft`.", "Set `enforcement: hard`.", ""]


def test_what_the_policy_does_by_itself_is_no_advice_but_to_wait_still_is() -> None:
    advised = advise(Stage.SOFT, results(passed=20, failed=0), scheduled=True)
    assert advised == "With `hard`, none of the last 20 evaluated pull requests would have been blocked."
    advised = advise(Stage.SOFT, results(passed=5, failed=5), scheduled=True)
    assert advised.endswith("fix what fails, or change the thresholds.")
