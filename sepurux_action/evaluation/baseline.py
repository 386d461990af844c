"""The baseline of a gate: its last results on the base branch that passed, of which each number's median is compared.

Source: docs/noisy-agents.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median_high, median_low

from sepurux_action.evaluation.published_result import Metrics, PreviousResult

MAX_RESULTS = 5  # results that are compared; one of them that is unusual changes no median


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineResult:
    """A result on the base branch that passed. `url` is the status's `target_url`, '' if it may not be linked."""

    commit: str
    url: str
    result: PreviousResult


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last results of one context on the base branch that passed: at most `MAX_RESULTS`, the newest first.

    `hidden` counts the commits whose newest status of the context is neither a pass nor a fail of the own account. It
    may have replaced a result, because GitHub shows only the newest one.
    """

    results: tuple[BaselineResult, ...] = ()
    hidden: int = 0

    def values(self, of: Callable[[Metrics], float | None]) -> tuple[float, ...]:
        """Return one number of each result that has it, the newest first."""
        numbers = (of(each.result.metrics) for each in self.results)
        return tuple(number for number in numbers if number is not None)

    @property
    def medians(self) -> Metrics:
        """Return the median of each number; of an even count, the worse of the two in the middle."""

        def median(of: Callable[[Metrics], float | None], middle: Callable[[tuple[float, ...]], float]) -> float | None:
            numbers = self.values(of)
            return middle(numbers) if numbers else None

        return Metrics(
            pass_rate=median(lambda numbers: numbers.pass_rate, median_low),
            unsafe=median(lambda numbers: numbers.unsafe, median_high),
            failures=median(lambda numbers: numbers.failures, median_high),
            score=median(lambda numbers: numbers.score, median_low),
        )
