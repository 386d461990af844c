"""Promotion advice: when a team may take the next stage (the rule is this project's own)."""

import pytest

from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.github.stage_advice import advise

KEEP = "Keep `{}` until {}"
FEW, MANY = "10 are evaluated.", "at most 10% would have been blocked: fix what fails, or change the thresholds."


@pytest.mark.parametrize(
    ("stage", "counts", "which", "advice"),
    [
        (Stage.OBSERVE, (0, 0), "", KEEP.format("observe", FEW)),
        (Stage.OBSERVE, (1, 0), "the last evaluated pull request would not", KEEP.format("observe", FEW)),
        (Stage.OBSERVE, (0, 1), "the last evaluated pull request would", KEEP.format("observe", FEW)),
        (Stage.OBSERVE, (9, 0), "none of the last 9 evaluated pull requests would", KEEP.format("observe", FEW)),
        (Stage.OBSERVE, (9, 1), "1 of the last 10 evaluated pull requests would", "Set `enforcement: soft`."),
        (Stage.SOFT, (17, 2), "2 of the last 19 evaluated pull requests would", KEEP.format("soft", MANY)),
        (Stage.SOFT, (20, 0), "none of the last 20 evaluated pull requests would", "Set `enforcement: hard`."),
    ],
)
def test_ten_decisions_of_which_at_most_a_tenth_fails_are_enough_to_move_on(
    stage: Stage, counts: tuple[int, int], which: str, advice: str
) -> None:
    passed, failed = counts
    decisions = [Decision.PASS] * passed + [Decision.FAIL] * failed + [Decision.ERROR, Decision.PENDING] * 8
    newest = [PreviousResult(decision=each, stage=stage, numbers={}) for each in decisions]
    share = f"With `hard`, {which} have been blocked." if which else "None of the last 30 pull requests was evaluated."
    assert advise(stage, newest) == f"{share} {advice}"
    assert advise(Stage.HARD, newest) == ""
