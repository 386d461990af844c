"""What follows from each decision in each stage, cell by cell."""

from __future__ import annotations

import itertools

import pytest

from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.enforcement import enforce, exit_status

TABLE = """
decision observe       soft                         hard
pass     success       success                      success
skipped  success       success                      success
fail     success       success-if-opened            failure
pending  success       success-if-allowed           success-if-allowed
error    success       success-if-allowed           success-if-allowed
"""
CELLS = {
    (Decision(row.split()[0]), stage): row.split()[1 + column]
    for row in TABLE.strip().splitlines()[1:]
    for column, stage in enumerate(Stage)
}


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("on_undecided", list(OnUndecided))
@pytest.mark.parametrize(("decision", "stage"), list(itertools.product(Decision, Stage)))
def test_every_decision_by_stage_by_on_undecided(
    decision: Decision, stage: Stage, on_undecided: OnUndecided, *, opened: bool
) -> None:
    blocks = enforce(decision, stage, on_undecided, approved=opened)
    open_now = {
        "success": True,
        "failure": False,
        "success-if-opened": opened,
        "success-if-allowed": on_undecided is OnUndecided.ALLOW,
    }[CELLS[decision, stage]]
    assert blocks is not open_now


def test_a_failed_soft_gate_blocks_unless_an_approval_is_given() -> None:
    assert enforce(Decision.FAIL, Stage.SOFT, OnUndecided.ALLOW)


@pytest.mark.parametrize("decision", [Decision.ERROR, Decision.PENDING])
@pytest.mark.parametrize(("stage", "closed"), [(Stage.OBSERVE, False), (Stage.SOFT, True), (Stage.HARD, True)])
def test_allow_does_not_cover_what_an_uploaded_trace_may_have_caused(
    decision: Decision, stage: Stage, *, closed: bool
) -> None:
    assert enforce(decision, stage, OnUndecided.ALLOW, trace_may_be_cause=True) is closed


def test_the_exit_status_is_that_of_the_worst_blocking_gate() -> None:
    closed, opened = True, False
    assert exit_status([]) == 0
    assert exit_status([(Decision.FAIL, opened), (Decision.PASS, opened)]) == 0
    assert exit_status([(Decision.ERROR, closed), (Decision.PASS, opened)]) == 2
    assert exit_status([(Decision.PENDING, closed)]) == 2
    assert exit_status([(Decision.ERROR, closed), (Decision.FAIL, closed)]) == 1
    assert exit_status([(Decision.FAIL, opened), (Decision.ERROR, closed)]) == 2
