"""The thresholds of a gate with its numbers and those of the base: the rows of a report's main table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from sepurux_action.common import number_format
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.checks import Check, CheckState
from sepurux_action.evaluation.decision import Rule
from sepurux_action.evaluation.drops import DROPS, Baseline
from sepurux_action.evaluation.published_result import published_numbers
from sepurux_action.evaluation.result import GateResult
from sepurux_action.report.state import BY_CHECK, State

# No result because of a number, which a row shows.
_NUMBERS_COUNT = frozenset({Rule.NUMBER_UNKNOWN, Rule.BASE_UNREAD})


def written(gate: Gate, metric: metrics.Metric, value: float | None) -> str:
    """Return a number with enough digits to differ from its threshold, '' if it is unknown."""
    return "" if value is None else metric.format.write(value, gate.limits.get(metric.threshold))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFacts:
    """A threshold, the result, and the median of the baseline. `difference` is the number minus this median."""

    check: Check
    state: State
    base: float | None = None
    difference: float | None = None

    @property
    def is_drop(self) -> bool:
        return self.check.threshold in DROPS

    @property
    def base_cell(self) -> str:
        """Return the median for a table, '' if it is not known or another row shows it."""
        metric = metrics.BY_OPTION.get(self.check.threshold, metrics.SCENARIOS)
        if self.base is None or self.is_drop:
            return ""
        return metric.format.write(self.base, self.check.limit)


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class Thresholds:
    """The thresholds of a gate, missed ones first. `baseline` is what the gate is compared with."""

    result: GateResult
    baseline: Baseline

    @property
    def final(self) -> bool:
        """Return whether the numbers count. While the evaluation has not ended, they may still change."""
        return self.result.decision.is_decided or self.result.rule in _NUMBERS_COUNT

    @cached_property
    def rows(self) -> tuple[ThresholdFacts, ...]:
        """Return the thresholds, and without one for scenarios, their number if it is smaller than the baseline's."""
        rows = [*map(self._row, self.result.checks), *self._fewer_scenarios()]
        return tuple(sorted(rows, key=lambda each: list(BY_CHECK).index(each.check.state)))

    def _row(self, check: Check) -> ThresholdFacts:
        metric = metrics.BY_OPTION.get(check.threshold)
        if not self.final:
            return ThresholdFacts(check=check, state=State.NO_DECISION)
        state = BY_CHECK[check.state]
        if metric is None:
            return ThresholdFacts(check=check, state=state)
        now = published_numbers(self.result.numbers, self.result.gate)
        value = None if check.threshold == metric.drop else now.get(metric.name)
        base, difference = self.baseline.median(metric), self.baseline.difference(metric, value)
        return ThresholdFacts(check=check, state=state, base=base, difference=difference)

    def _fewer_scenarios(self) -> Iterable[ThresholdFacts]:
        count, base = self.result.numbers.value(metrics.SCENARIOS), self.baseline.median(metrics.SCENARIOS)
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
    def requested(self) -> tuple[ThresholdFacts, ...]:
        return tuple(row for row in self.rows if row.check.threshold)

    @property
    def missed(self) -> tuple[ThresholdFacts, ...]:
        return tuple(row for row in self.requested if row.state is State.FAILED)

    @property
    def met(self) -> tuple[ThresholdFacts, ...]:
        return tuple(row for row in self.requested if row.state is State.PASSED)

    @property
    def missed_of_all(self) -> str:
        return f"{len(self.missed)} of {number_format.pluralize(len(self.requested), 'threshold')} missed"

    @property
    def has_base(self) -> bool:
        return any(row.base_cell for row in self.rows)

    @property
    def shown(self) -> tuple[ThresholdFacts, ...]:
        """Return the rows if there is a number to show with the thresholds, or its lack is the result."""
        there = any(self.final or row.check.value is not None for row in self.rows)
        return self.rows if there else ()

    @property
    def lacking(self) -> tuple[str, ...]:
        return tuple(chain.from_iterable(row.check.lacking for row in self.requested))

    @property
    def only_lacking(self) -> bool:
        """Return whether required mutation categories are all that the gate misses."""
        return bool(self.lacking) and len(self.missed) <= 1

    @property
    def only_small(self) -> bool:
        """Return whether the gate misses nothing but its number of scenarios."""
        return [row.check.threshold for row in self.missed] == [metrics.SCENARIOS.threshold]

    @property
    def dropped(self) -> bool:
        """Return whether a number lies too far below the baseline, or what an earlier run compared did."""
        by_earlier_run = self.result.rule is Rule.THRESHOLD_MISSED and not self.missed
        return by_earlier_run or any(row.is_drop for row in self.missed)
