"""What an uploaded trace allows, and the exit status; tests/contract/test_documents.py has the table of stages."""

from __future__ import annotations

import pytest

from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.enforcement import enforce, exit_status


@pytest.mark.parametrize("decision", [Decision.ERROR, Decision.PENDING])
@pytest.mark.parametrize(("stage", "closed"), [(Stage.OBSERVE, False), (Stage.SOFT, True), (Stage.HARD, True)])
def test_allow_does_not_cover_what_an_uploaded_trace_may_have_caused(
    decision: Decision, stage: Stage, *, closed: bool
) -> None:
    assert enforce(decision, stage, OnUndecided.ALLOW, trace_may_be_cause=True) is closed


def test_the_exit_status_is_that_of_the_worst_blocking_gate() -> None:
    assert exit_status([]) == 0
    assert exit_status([(Decision.FAIL, False), (Decision.PASS, False)]) == 0
    assert exit_status([(Decision.ERROR, True), (Decision.PASS, False)]) == 2
    assert exit_status([(Decision.PENDING, True)]) == 2
    assert exit_status([(Decision.ERROR, True), (Decision.FAIL, True)]) == 1
    assert exit_status([(Decision.FAIL, False), (Decision.ERROR, True)]) == 2
