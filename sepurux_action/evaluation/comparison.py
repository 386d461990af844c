"""The comparison of a gate's result with the base and with earlier commits, as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from sepurux_action.common import number_format
from sepurux_action.common.json_reader import Metric
from sepurux_action.evaluation import published_result
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import NumberFormat
from sepurux_action.evaluation.published_result import Metrics, PreviousResult

NOT_KNOWN = "–"


def _count(value: float, /, *, distinct_from: float | None = None) -> str:  # noqa: ARG001 - whole numbers never read the same
    return number_format.count(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A number that is compared over time. `unit` and `scale` are those of a difference.

    `of` returns it from the metrics of a result, `metric` from a run, and `write` formats it.
    """

    label: str
    threshold: str
    of: Callable[[Metrics], float | None]
    metric: Callable[[CIRun], Metric]
    write: NumberFormat
    more_is_better: bool
    scale: int = 1
    unit: str = ""


MEASURES = (
    Measure(
        label="Pass rate",
        threshold="min_pass_rate",
        of=attrgetter("pass_rate"),
        metric=attrgetter("pass_rate"),
        write=number_format.percent,
        more_is_better=True,
        scale=100,
        unit=" points",
    ),
    Measure(
        label="Reliability score",
        threshold="min_reliability_score",
        of=attrgetter("score"),
        metric=attrgetter("reliability_score"),
        write=number_format.score,
        more_is_better=True,
    ),
    Measure(
        label="Unsafe attempts",
        threshold="max_unsafe",
        of=attrgetter("unsafe"),
        metric=attrgetter("unsafe_attempts"),
        write=_count,
        more_is_better=False,
    ),
    Measure(
        label="Failures",
        threshold="max_failures",
        of=attrgetter("failures"),
        metric=attrgetter("failures"),
        write=_count,
        more_is_better=False,
    ),
)
BY_THRESHOLD = {measure.threshold: measure for measure in MEASURES}


def shown(measure: Measure, now: PreviousResult, baseline: PreviousResult | None) -> str:
    """Return the current number, with enough digits to differ from the baseline's."""
    actual = measure.of(now.metrics)
    before = measure.of(baseline.metrics) if baseline else None
    return NOT_KNOWN if actual is None else measure.write(actual, distinct_from=before)


def change(measure: Measure, now: PreviousResult, baseline: PreviousResult | None) -> str:
    """Return how a number differs from the baseline's: `▼ −23.0 points, worse`, `unchanged`, `not known before` or `–`.

    The baseline comes from a description, so the current number is rounded like in a description too.
    """
    actual = measure.of(published_result.as_published(now).metrics)
    before = measure.of(baseline.metrics) if baseline else None
    if actual is None:
        return NOT_KNOWN
    if before is None:
        return "not known before"
    if actual == before:
        return "unchanged"
    arrow, sign = ("▲", "+") if actual > before else ("▼", "−")
    size = abs(actual - before) * measure.scale
    written = _count(size) if measure.write is _count else number_format.score(size, distinct_from=0)
    word = "better" if (actual > before) is measure.more_is_better else "worse"
    return f"{arrow} {sign}{written}{measure.unit}, {word}"


def metrics_text(numbers: Metrics) -> str:
    """Return a result's known numbers as text, '' if there are none."""
    score = "" if numbers.score is None else f"score {number_format.score(numbers.score)}"
    return ", ".join(filter(None, (number_format.outcome(numbers.pass_rate, numbers.unsafe, numbers.failures), score)))


def trend_text(measure: Measure, series: Sequence[PreviousResult]) -> str:
    """Return how a number changed over the results, '' if fewer than two results have it."""
    values = [measure.of(each.metrics) for each in series]
    known = [value for value in values if value is not None]
    if len(known) <= 1:
        return ""
    first, last = measure.write(known[0], distinct_from=known[-1]), measure.write(known[-1], distinct_from=known[0])
    back = "back " if known[0] == known[-1] else ""
    words = f"{last} throughout" if len(set(known)) == 1 else f"from {first} {back}to {last}"
    return words if values[-1] is not None else f"{words}, now not known"
