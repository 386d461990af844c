"""The thresholds of a gate with its numbers and those of the base: the rows of the main table, and their states."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from sepurux_action.common import wording
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.gate_numbers import DROP, Check, CheckState, lowest_allowed
from sepurux_action.evaluation.metrics import PASS_RATE, SCENARIOS, Metric
from sepurux_action.evaluation.published_result import Results, median, published_numbers
from sepurux_action.evaluation.runs import Decision, Rule


class State(StrEnum):
    """What a reader has to know first of a gate, a threshold, or a scenario, in the order of the reader's interest.

    `symbol` is shown in Markdown, `mark` in a log or a terminal, and `word` in a table.
    """

    symbol: str
    mark: str
    word: str
    rank: int

    def __new__(cls, value: str, *words: str) -> Self:
        state = str.__new__(cls, value)
        state._value_ = value
        state.symbol, state.mark, state.word = words
        state.rank = len(cls.__members__)
        return state

    FAILED = "failed", "❌", "✗", "failed"
    NEEDS_APPROVAL = "needs_approval", "✋", "✗", "needs an approval"
    NO_RESULT = "no_result", "❗", "!", "no result"
    CANCELED = "canceled", "❗", "!", "canceled"
    NO_DECISION = "no_decision", "⏳", "…", "no decision"
    NOT_BLOCKING = "not_blocking", "⚠️", "✗", "failed"
    PASSED = "passed", "✅", "✓", "passed"
    SKIPPED = "skipped", "⏭️", "-", "skipped"


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
_ORDER = list(BY_CHECK)


def written(gate: Gate, metric: Metric, value: float | None) -> str:
    """Return a number with enough digits to differ from its threshold, '' if it is unknown."""
    return "" if value is None else metric.write(value, gate.limits.get(metric.threshold))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A threshold, the result, and the median of the base. `difference` is the number minus this median.

    In a table, `drop` is the comparison with the base if it is missed.
    """

    check: Check
    state: State
    base: float | None = None
    difference: float | None = None
    drop: Check | None = None

    @property
    def metric(self) -> Metric | None:
        """Return the metric, None of the required mutation categories."""
        return metrics.BY_OPTION.get(self.check.threshold)

    @property
    def base_cell(self) -> str:
        return "" if self.base is None else (self.metric or SCENARIOS).write(self.base, self.check.limit)


def is_final(result: GateDecision) -> bool:
    """Return whether the numbers count. While the evaluation has not ended, they may still change."""
    return result.decision.is_decided or result.rule in {Rule.NUMBER_UNKNOWN, Rule.BASE_UNREAD}


def rows_of_checks(result: GateDecision, base_results: Results) -> tuple[Row, ...]:
    """Return the thresholds, and the drop as a threshold of its own, missed ones first."""
    rows, now = [], published_numbers(result.numbers, result.gate)
    for check in result.checks:
        metric, base, difference = metrics.BY_OPTION.get(check.threshold), None, None
        if metric and is_final(result):
            base = median(base_results, metric)
            if base is not None and check.threshold != DROP and metric.name in now:
                difference = round(now[metric.name] - base, wording.MAX_DIGITS)
        state = BY_CHECK[check.state] if is_final(result) else State.NO_DECISION
        rows.append(Row(check=check, state=state, base=base, difference=difference))
    return tuple(sorted(rows, key=lambda row: _ORDER.index(row.check.state)))


def rows_of_table(result: GateDecision, base_results: Results) -> tuple[Row, ...]:
    """Return the rows of a table, in which a drop is what the pass rate needs, missed ones first.

    Without a threshold for scenarios, there is a row for their number if it is smaller than that of the base.
    """
    rows, checked = list[Row](), rows_of_checks(result, base_results)
    drop = next((row for row in checked if row.check.threshold == DROP), None)
    for row in checked:
        if drop and row.metric is PASS_RATE and row is not drop:
            rows.append(_with_drop(result, base_results, row, drop.check))
        elif row is not drop:
            rows.append(row)
    alone = drop and all(row.metric is not PASS_RATE for row in rows)
    if drop and alone and drop.check.state is not CheckState.NOT_COMPARED:
        rows.append(_with_drop(result, base_results, drop, drop.check))
    count, base = result.value(SCENARIOS), median(base_results, SCENARIOS)
    limited = SCENARIOS.threshold in result.gate.limits
    if is_final(result) and not limited and count is not None and base is not None and count < base:
        fewer = Check(
            threshold="",
            label=SCENARIOS.label,
            required=metrics.NOT_KNOWN,
            actual=wording.count(count),
            state=CheckState.WITHIN_RANGE,
            limit=0,
        )
        rows.append(Row(check=fewer, state=State.NOT_BLOCKING, base=base))
    return tuple(sorted(rows, key=lambda row: _ORDER.index(row.check.state)))


def _with_drop(result: GateDecision, base_results: Results, row: Row, drop: Check) -> Row:
    """Return the row of the pass rate with the higher one of what its threshold and the drop need, and the worse state.

    Without a threshold, `row` is that of the drop.
    """
    check, value, needed = row.check, result.value(PASS_RATE), lowest_allowed(result.gate, base_results)
    if check is drop:
        actual = written(result.gate, PASS_RATE, value) or "not reported"
        met = CheckState.MET
        check = replace(check, label=PASS_RATE.label, actual=actual, value=value, required="", limit=0, state=met)
    if not is_final(result) or drop.state is CheckState.NOT_COMPARED:
        return replace(row, check=check)
    required, actual, limit, state = check.required, check.actual, check.limit, check.state
    if drop.state is CheckState.NO_NUMBER:
        required = "not known"
    elif needed is None and (drop.state is CheckState.MISSED or not required):  # an earlier run compared it
        required = f"drop {drop.required}"
    elif needed is not None and (needed > limit or not required):
        required, limit = f"≥ {PASS_RATE.write(needed, value)}", needed
        if value is not None:
            actual = PASS_RATE.write(value, needed)
    if drop.state is not CheckState.WITHIN_RANGE:  # which shows in what is needed
        state = min((state, drop.state), key=_ORDER.index)
    check = replace(check, required=required, actual=actual, limit=limit, state=state)
    return replace(row, check=check, state=BY_CHECK[state], drop=drop if drop.state is CheckState.MISSED else None)
