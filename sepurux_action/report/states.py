"""The words and symbols of each state of a gate. They are the same in every report, status, and log."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from sepurux_action.evaluation.decision import CheckState, Decision


class CaseState(StrEnum):
    """The state of a test case in JUnit XML. All but `passed` are the name of an element."""

    PASSED = "passed"
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


class State(StrEnum):
    """What a reader has to know about a gate first; the order is that of the reader's interest.

    `symbol` is shown in Markdown, `mark` in a log or a terminal, `word` in a table, `ending` after the name in a title,
    and `case` in JUnit XML.
    """

    symbol: str
    mark: str
    word: str
    ending: str
    case: CaseState

    def __new__(cls, value: str, case: CaseState, *words: str) -> Self:
        state = str.__new__(cls, value)
        state._value_, state.case = value, case
        state.symbol, state.mark, state.word, state.ending = words
        return state

    FAILED = "failed", CaseState.FAILURE, "❌", "✗", "blocked", "failed"
    NEEDS_APPROVAL = "needs_approval", CaseState.FAILURE, "✋", "✋", "needs an approval", "failed"
    NO_RESULT = "no_result", CaseState.ERROR, "❗", "!", "no result", "no result"
    CANCELLED = "cancelled", CaseState.ERROR, "❗", "!", "cancelled", "cancelled"
    NO_DECISION = "no_decision", CaseState.ERROR, "⏳", "…", "no decision", "no decision"
    NOT_BLOCKING = "not_blocking", CaseState.FAILURE, "⚠️", "!", "failed", "failed"
    PASSED = "passed", CaseState.PASSED, "✅", "✓", "passed", "passed"
    SKIPPED = "skipped", CaseState.SKIPPED, "⏭️", "-", "skipped", "skipped"


BY_DECISION = {
    Decision.FAIL: State.FAILED,
    Decision.ERROR: State.NO_RESULT,
    Decision.PENDING: State.NO_DECISION,
    Decision.PASS: State.PASSED,
    Decision.SKIPPED: State.SKIPPED,
}
BY_CHECK = {  # in the order of the rows of a table
    CheckState.MISSED: State.FAILED,
    CheckState.NO_NUMBER: State.NO_RESULT,
    CheckState.NOT_REPORTED: State.NO_RESULT,
    CheckState.WITHIN_RANGE: State.NOT_BLOCKING,
    CheckState.NOT_COMPARED: State.NO_DECISION,
    CheckState.MET: State.PASSED,
}
