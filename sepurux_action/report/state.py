"""What a reader has to know about a gate, a threshold, or a scenario first: in one word, and with one symbol."""

from enum import StrEnum
from typing import Self

from sepurux_action.evaluation.gate_numbers import CheckState
from sepurux_action.evaluation.runs import Decision


class State(StrEnum):
    """The order is that of the reader's interest.

    `symbol` is shown in Markdown, `mark` in a log or a terminal, and `word` in a table.
    """

    symbol: str
    mark: str
    word: str

    def __new__(cls, value: str, *words: str) -> Self:
        state = str.__new__(cls, value)
        state._value_ = value
        state.symbol, state.mark, state.word = words
        return state

    FAILED = "failed", "❌", "✗", "failed"
    NEEDS_APPROVAL = "needs_approval", "✋", "✗", "needs an approval"
    NO_RESULT = "no_result", "❗", "!", "no result"
    CANCELED = "canceled", "❗", "!", "canceled"
    NO_DECISION = "no_decision", "⏳", "…", "no decision"
    NOT_BLOCKING = "not_blocking", "⚠️", "✗", "failed"
    PASSED = "passed", "✅", "✓", "passed"
    SKIPPED = "skipped", "⏭️", "-", "skipped"

    @property
    def rank(self) -> int:
        return list(State).index(self)


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
