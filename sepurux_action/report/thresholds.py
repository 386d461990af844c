"""The thresholds of a gate with its numbers and those of the base: the rows of a report's main table."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from sepurux_action.common import number_format
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.gate_numbers import DROP, Check, CheckState, lowest_allowed
from sepurux_action.evaluation.published_result import Results, median, published_numbers
from sepurux_action.evaluation.runs import Rule
from sepurux_action.report.state import BY_CHECK, State

# No result because of a number, which a row shows.
_NUMBERS_COUNT = frozenset({Rule.NUMBER_UNKNOWN, Rule.BASE_UNREAD})


def written(gate: Gate, metric: metrics.Metric, value: float | None) -> str:
    """Return a number with enough digits to differ from its threshold, '' if it is unknown."""
    if value is None:
        return ""
    return metric.write(value, gate.limits.get(metric.threshold))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFacts:
    """A threshold, the result, and the median of the base. `difference` is the number minus this median.

    In a row of a table, `drop` is the comparison with the base if it is missed.
    """

    check: Check
    state: State
    base: float | None = None
    difference: float | None = None
    drop: Check | None = None

    @property
    def metric(self) -> metrics.Metric | None:
        """Return the metric, None of the required mutation categories."""
        return metrics.BY_OPTION.get(self.check.threshold)

    @property
    def base_cell(self) -> str:
        if self.base is None:
            return ""
        return (self.metric or metrics.SCENARIOS).write(self.base, self.check.limit)


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class Thresholds:
    """The thresholds of a gate, missed ones first. `base_results` are what the gate is compared with."""

    result: GateDecision
    base_results: Results

    @property
    def final(self) -> bool:
        """Return whether the numbers count. While the evaluation has not ended, they may still change."""
        return self.result.decision.is_decided or self.result.rule in _NUMBERS_COUNT

    @cached_property
    def requested(self) -> tuple[ThresholdFacts, ...]:
        """Return the thresholds, and the drops as thresholds of their own."""
        return _missed_first(map(self._row, self.result.checks))

    @cached_property
    def rows(self) -> tuple[ThresholdFacts, ...]:
        """Return the rows of a table, in which a drop is what its number needs.

        Without a threshold for scenarios, there is a row for their number if it is smaller than that of the base.
        """
        limits = [each for each in self.requested if each.check.threshold != DROP]
        drops = {each.metric: each.check for each in self.requested if each.check.threshold == DROP}
        rows = [self._with_drop(each, drops.pop(each.metric, None)) for each in limits]
        alone = (self._of_drop(drop) for drop in drops.values() if drop.state is not CheckState.NOT_COMPARED)
        return _missed_first([*rows, *alone, *self._fewer_scenarios()])

    def _of_drop(self, drop: Check) -> ThresholdFacts:
        """Return the row of a number that has no other limit."""
        metric, met = metrics.PASS_RATE, CheckState.MET
        value = self.result.value(metric)
        actual = written(self.result.gate, metric, value) or "not reported"
        number = replace(drop, label=metric.label, actual=actual, value=value, required="", limit=0, state=met)
        return self._with_drop(self._row(number), drop)

    def _with_drop(self, row: ThresholdFacts, drop: Check | None) -> ThresholdFacts:
        """Return a row with the higher one of what the threshold and the drop need, and the worse state."""
        if drop is None or not self.final or drop.state is CheckState.NOT_COMPARED:
            return row
        metric, check = metrics.PASS_RATE, row.check
        needed, value = lowest_allowed(self.result.gate, self.base_results), self.result.value(metric)
        required, actual, limit, state = check.required, check.actual, check.limit, check.state
        if drop.state is CheckState.NO_NUMBER:
            required = "not known"
        elif needed is None and (drop.state is CheckState.MISSED or not required):  # an earlier run compared it
            required = f"drop {drop.required}"
        elif needed is not None and (needed > limit or not required):
            required, limit = f"≥ {metric.write(needed, value)}", needed
            if value is not None:
                actual = metric.write(value, needed)
        if drop.state is not CheckState.WITHIN_RANGE:  # which shows in what is needed
            state = min((state, drop.state), key=_interest)
        check = replace(check, required=required, actual=actual, limit=limit, state=state)
        return replace(row, check=check, state=BY_CHECK[state], drop=drop if drop.state is CheckState.MISSED else None)

    def _row(self, check: Check) -> ThresholdFacts:
        metric = metrics.BY_OPTION.get(check.threshold)
        state = BY_CHECK[check.state] if self.final else State.NO_DECISION
        if metric is None or not self.final:
            return ThresholdFacts(check=check, state=state)
        now = published_numbers(self.result.numbers, self.result.gate)
        value = None if check.threshold == DROP else now.get(metric.name)
        base, difference = median(self.base_results, metric), None
        if base is not None and value is not None:
            difference = round(value - base, number_format.MAX_DIGITS)
        return ThresholdFacts(check=check, state=state, base=base, difference=difference)

    def _fewer_scenarios(self) -> Iterable[ThresholdFacts]:
        count, base = self.result.value(metrics.SCENARIOS), median(self.base_results, metrics.SCENARIOS)
        limited = metrics.SCENARIOS.threshold in self.result.gate.limits
        if self.final and not limited and count is not None and base is not None and count < base:
            check = Check(
                threshold="",
                metric=metrics.SCENARIOS.name,
                label=metrics.SCENARIOS.label,
                required=metrics.NOT_KNOWN,
                actual=number_format.count(count),
                state=CheckState.WITHIN_RANGE,
                limit=0,
            )
            yield ThresholdFacts(check=check, state=State.NOT_BLOCKING, base=base)

    @property
    def missed(self) -> tuple[ThresholdFacts, ...]:
        return tuple(row for row in self.requested if row.state is State.FAILED)

    @property
    def missed_rows(self) -> tuple[ThresholdFacts, ...]:
        """Return what a title names: unsafe attempts are among the first two, because of their place in METRICS."""
        return tuple(row for row in self.rows if row.state is State.FAILED)

    def needed(self, metric: metrics.Metric) -> float | None:
        """Return what a number needs at least, None if that is not known."""
        needs = (row.check.limit for row in self.rows if row.metric is metric and row.check.required.startswith("≥"))
        return next(needs, None)

    @property
    def shown(self) -> tuple[ThresholdFacts, ...]:
        """Return the rows if there is a number to show with the thresholds, or its lack is the result."""
        there = self.final or any(row.check.value is not None for row in self.rows)
        return self.rows if there else ()

    @property
    def lacking(self) -> tuple[str, ...]:
        return tuple(name for row in self.requested for name in row.check.lacking)

    @property
    def also_lacking(self) -> tuple[str, ...]:
        """Return the required mutation categories that are missing besides other things."""
        return self.lacking if self.missed[1:] else ()

    @property
    def only_missed(self) -> str:
        """Return the setting of the only threshold that is missed, '' if none is, or several are."""
        return self.missed[0].check.threshold if len(self.missed) == 1 else ""

    @property
    def dropped(self) -> bool:
        """Return whether a number lies too far below the base."""
        return any(row.drop for row in self.rows)


def _missed_first(rows: Iterable[ThresholdFacts]) -> tuple[ThresholdFacts, ...]:
    return tuple(sorted(rows, key=lambda row: _interest(row.check.state)))


def _interest(state: CheckState) -> int:
    """Return the place of a state in a table, 0 for the first one."""
    return list(BY_CHECK).index(state)
