"""The words and symbols of each state of a gate. They are the same in every report, status, and log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from sepurux_action.evaluation.decision import CheckState, Decision, Rule
from sepurux_action.evaluation.result import GateResult


class State(StrEnum):
    """What a reader has to know about a gate first; the order is that of the reader's interest."""

    FAILED = "failed"
    NEEDS_APPROVAL = "needs_approval"
    NO_RESULT = "no_result"
    CANCELLED = "cancelled"
    NO_DECISION = "no_decision"
    NOT_BLOCKING = "not_blocking"
    PASSED = "passed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Words:
    """How a state is shown: `symbol` in Markdown, `mark` in a log or a terminal, `word` in a table."""

    symbol: str
    mark: str
    word: str


WORDS = {
    State.FAILED: Words("❌", "✗", "blocked"),
    State.NEEDS_APPROVAL: Words("✋", "✋", "needs an approval"),
    State.NO_RESULT: Words("❗", "!", "no result"),
    State.CANCELLED: Words("❗", "!", "cancelled"),
    State.NO_DECISION: Words("⏳", "…", "no decision"),
    State.NOT_BLOCKING: Words("⚠️", "!", "failed"),
    State.PASSED: Words("✅", "✓", "passed"),
    State.SKIPPED: Words("⏭️", "-", "skipped"),
}
BY_DECISION = {
    Decision.FAIL: WORDS[State.FAILED],
    Decision.ERROR: WORDS[State.NO_RESULT],
    Decision.PENDING: WORDS[State.NO_DECISION],
    Decision.PASS: WORDS[State.PASSED],
    Decision.SKIPPED: WORDS[State.SKIPPED],
}
BY_CHECK = {
    CheckState.MET: WORDS[State.PASSED],
    CheckState.MISSED: WORDS[State.FAILED],
    CheckState.NOT_REPORTED: WORDS[State.NO_RESULT],
    CheckState.NO_NUMBER: WORDS[State.NO_RESULT],
    CheckState.WITHIN_RANGE: WORDS[State.NOT_BLOCKING],
    CheckState.NOT_COMPARED: WORDS[State.NO_DECISION],
}


def state_of(result: GateResult) -> State:
    """Return the state of a gate."""
    match result.decision:
        case Decision.FAIL if result.needs_approval:
            return State.NEEDS_APPROVAL
        case Decision.FAIL:
            return State.FAILED if result.conclusion.blocks else State.NOT_BLOCKING
        case Decision.ERROR:
            return State.CANCELLED if result.worst.run_decision.rule is Rule.CANCELLED else State.NO_RESULT
        case Decision.PENDING:
            return State.NO_DECISION
        case Decision.PASS:
            return State.PASSED
        case Decision.SKIPPED:
            return State.SKIPPED
        case _:
            assert_never(result.decision)
