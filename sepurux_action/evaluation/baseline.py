"""The baseline of a gate: its last results on the base branch that passed, of which each number's median is compared.

Source: docs/noisy-agents.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from sepurux_action.common import number_format
from sepurux_action.evaluation.metrics import Metric
from sepurux_action.evaluation.published_result import PreviousResult

MAX_BASE_RESULTS = 5  # results that are compared; one of them that is unusual changes no median


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineResult:
    """A result on the base branch that passed. `url` is the status's `target_url`, '' if it may not be linked."""

    commit: str
    url: str
    result: PreviousResult


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last results of one context on the base branch that passed: at most `MAX_BASE_RESULTS`, the newest first.

    `hidden` counts the commits whose newest status of the context is neither a pass nor a fail of the own account. It
    may have replaced a result, because GitHub shows only the newest one.
    """

    results: tuple[BaselineResult, ...] = ()
    hidden: int = 0

    def values(self, metric: Metric) -> tuple[float, ...]:
        """Return one number of each result that has it, the newest first."""
        numbers = (each.result.value(metric) for each in self.results)
        return tuple(number for number in numbers if number is not None)

    def median(self, metric: Metric) -> float | None:
        """Return the median of one number; of an even count, the worse of the two in the middle."""
        values = sorted(self.values(metric))
        return metric.worst(values[(len(values) - 1) // 2 : len(values) // 2 + 1]) if values else None

    def change(self, metric: Metric, value: float | None) -> str:
        """Return how a number differs from the median, such as `−23.0`, `+1`, or `±0`; '' if one is unknown."""
        difference = self.difference(metric, value)
        return "" if difference is None else metric.format.difference(difference)

    def difference(self, metric: Metric, value: float | None) -> float | None:
        """Return a number minus the median, without the error of floating-point numbers; None if one is unknown."""
        median = self.median(metric)
        return None if value is None or median is None else round(value - median, number_format.MAX_DIGITS)
