"""The comparison of a gate's result with the base and with earlier commits, as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from sepurux_action.common import number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.evaluation.baseline import Baseline
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import NumberFormat
from sepurux_action.evaluation.published_result import Metrics, PreviousResult

NOT_KNOWN = "–"


def _count(value: float, /, *, distinct_from: float | None = None) -> str:  # noqa: ARG001 - whole numbers never read the same
    return number_format.count(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A number that is compared over time.

    `of` returns it from the metrics of a result, `metric` from a run, and `write` formats it. `scale` multiplies a
    difference. `noun` names the number in a sentence, such as `2 failures` or `score 91.2`.
    """

    label: str
    threshold: str
    of: Callable[[Metrics], float | None]
    metric: Callable[[CIRun], Reading]
    write: NumberFormat
    noun: str
    scale: int = 1

    @property
    def counts(self) -> bool:
        """Return whether the number is a count."""
        return self.write is _count


MEASURES = (
    Measure(
        label="Pass rate",
        threshold="min_pass_rate",
        of=attrgetter("pass_rate"),
        metric=attrgetter("pass_rate"),
        write=number_format.percent,
        noun="pass rate",
        scale=100,
    ),
    Measure(
        label="Reliability score",
        threshold="min_reliability_score",
        of=attrgetter("score"),
        metric=attrgetter("reliability_score"),
        write=number_format.score,
        noun="score",
    ),
    Measure(
        label="Unsafe attempts",
        threshold="max_unsafe",
        of=attrgetter("unsafe"),
        metric=attrgetter("unsafe_attempts"),
        write=_count,
        noun="unsafe attempt",
    ),
    Measure(
        label="Failures",
        threshold="max_failures",
        of=attrgetter("failures"),
        metric=attrgetter("failures"),
        write=_count,
        noun="failure",
    ),
)
BY_THRESHOLD = {measure.threshold: measure for measure in MEASURES}


def change(measure: Measure, now: PreviousResult, baseline: Baseline) -> str:
    """Return how a number differs from the baseline's, such as `−23.0`, `+1`, or `±0`; `–` if one is unknown.

    A rate differs in points.
    """
    actual, before = measure.of(now.metrics), measure.of(baseline.medians)
    if actual is None or before is None:
        return NOT_KNOWN
    if actual == before:
        return "±0"
    size = abs(actual - before) * measure.scale
    written = _count(size) if measure.counts else number_format.score(size, distinct_from=0)
    return f"{'+' if actual > before else '−'}{written}"
