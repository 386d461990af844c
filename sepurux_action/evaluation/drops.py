"""Compares the numbers of a gate with earlier results, those of the base branch (docs/noisy-agents.md)."""

from collections.abc import Iterator
from dataclasses import dataclass

from sepurux_action.common import number_format
from sepurux_action.common.wording import optional
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.checks import Check, CheckState
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.metrics import METRICS, NOT_KNOWN, PUBLISHED, Metric
from sepurux_action.evaluation.published_result import PreviousResult, published_numbers

MAX_BASE_RESULTS = 5  # results that are compared; one of them that is unusual changes no median
MIN_RESULTS = 3  # of two results and a third one, each is the lowest in one case of three, by chance alone
MAX_BRANCH_LENGTH = 20  # characters of a branch in a table
DROPS = {metric.drop: metric for metric in METRICS if metric.drop}
HIDDEN_RESULTS = (
    "On {} of the base branch, the status of this gate is neither a pass nor a fail, or another account set it."
    " It may hide an earlier result: re-run the gate there."
)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The results of one context on the base branch, each a pass or a fail, the newest first.

    `hidden` counts the commits with a newest status that may hide a result: no pass or fail, or of another account.
    """

    results: tuple[PreviousResult, ...] = ()
    hidden: int = 0

    def for_gate(self, gate: Gate) -> "Baseline":
        """Return the newest results that a gate is compared with: those that meet its thresholds, apart from drops.

        A result that only a drop made fail counts: without it, the median would only rise. One below a minimum does
        not: it would let later results be as low. A threshold on a number that a status does not have rejects nothing.
        """
        limited = [(metric, gate.limits[metric.threshold]) for metric in PUBLISHED if metric.threshold in gate.limits]
        met = []
        for each in self.results:
            values = [(metric, each.value(metric), limit) for metric, limit in limited]
            if each.numbers and all(v is None or metric.meets(v, limit) for metric, v, limit in values):
                met.append(each)
        return Baseline(tuple(met[:MAX_BASE_RESULTS]), self.hidden)

    def values(self, metric: Metric) -> tuple[float, ...]:
        numbers = (each.value(metric) for each in self.results)
        return tuple(number for number in numbers if number is not None)

    def median(self, metric: Metric) -> float | None:
        """Return the median of one number; of an even count, the worse of the two in the middle."""
        values = sorted(self.values(metric))
        if not values:
            return None
        return metric.worst(values[(len(values) - 1) // 2 : len(values) // 2 + 1])

    def difference(self, metric: Metric, value: float | None) -> float | None:
        median = self.median(metric)
        if value is None or median is None:
            return None
        return round(value - median, number_format.MAX_DIGITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a gate is compared with: the results on the base with this name, or those before the evaluated commit."""

    baseline: Baseline | None  # None if the results could not be read
    name: str = "this branch"
    hint: str = ""  # what to do if they could not be read
    why: str = ""  # why not, if there is more to say


def base_heading(branch: str) -> str:
    """Return the name of the base branch for a table, or a word if it is unknown or too long."""
    if not branch:
        return "before"
    return branch if len(branch) <= MAX_BRANCH_LENGTH else "base"


def hidden_results(baseline: Baseline) -> str:
    """Return what to do about statuses that may hide results of the base; '' without any."""
    return optional(HIDDEN_RESULTS, baseline.hidden and number_format.pluralize(baseline.hidden, "commit"))


def lowest_allowed(metric: Metric, gate: Gate, baseline: Baseline) -> float | None:
    """Return the lower of the median minus the allowed drop and the lowest result, None if no drop is compared."""
    values, median, allowed = baseline.values(metric), baseline.median(metric), gate.limits.get(metric.drop)
    if allowed is None or median is None or len(values) < MIN_RESULTS:
        return None
    return metric.rounded(min(median - allowed, *values))


def check_drops(run: CIRun, gate: Gate, base: Base) -> Iterator[Check]:
    """Yield a check for each drop that is limited. It compares numbers as a commit status has them."""
    now, baseline = published_numbers(run, gate), base.baseline or Baseline()
    unknown = {CheckState.NO_NUMBER: "not known", CheckState.NOT_REPORTED: "not reported"}
    for option, metric in DROPS.items():
        if option not in gate.limits:
            continue
        allowed, actual, median = gate.limits[option], now.get(metric.name), baseline.median(metric)
        limit, drop = _points(metric, allowed), 0.0
        value, shown = None, NOT_KNOWN
        if actual is not None and median is not None:
            drop, shown = _points(metric, median - actual), "0"
            value = round(drop / metric.format.scale, number_format.MAX_DIGITS)
            if drop > 0:
                shown = _size(drop, limit)
        state, remark, sentence = _compare(metric, actual, drop, limit, base)
        yield Check(
            threshold=option,
            metric=f"{metric.name}_drop",
            label=f"Drop of the {metric.noun}",
            required=f"≤ {_size(limit, drop)}",
            actual=unknown.get(state, shown),
            state=state,
            limit=allowed,
            value=value,
            remark=remark,
            is_unknown=state in unknown,
            sentence=sentence,
            reported_by=run.reading(metric).reported_by,
        )


def _compare(
    metric: Metric, actual: float | None, drop: float, limit: float, base: Base
) -> tuple[CheckState, str, str]:
    """Return the state of a drop in points, the remark why it does not count, and the sentence."""
    if base.baseline is None:
        why = base.why and f" ({base.why})"
        remark = f"the results on {base.name} could not be read{why}"
        return CheckState.NO_NUMBER, remark, f"{remark}, so no drop can be compared"
    values = base.baseline.values(metric)
    if actual is None and values:
        sentence = f"it did not report the {metric.noun}, which is compared with {base.name}"
        return CheckState.NOT_REPORTED, "", sentence
    if actual is None or len(values) < MIN_RESULTS:
        remark = f"not compared yet: {len(values)} of {MIN_RESULTS} results on {base.name}"
        return CheckState.NOT_COMPARED, remark, f"a drop of the {metric.noun} is {remark}"
    if drop <= limit:
        return CheckState.MET, "", f"{metric.named(actual)} is within the allowed drop"
    results = number_format.pluralize(len(values), "result")
    below = f"{metric.named(actual)} is {_size(drop, limit)} points below the median of {results} on {base.name}"
    if actual < min(values):
        return CheckState.MISSED, "", f"{below}, more than the allowed {_size(limit, drop)}, and below each of them"
    lowest, highest = (metric.format.write(each, None) for each in (min(values), max(values)))
    remark = f"within {base.name}'s range, {lowest} to {highest}"
    return CheckState.WITHIN_RANGE, remark, f"{below}, but {remark}"


def _points(metric: Metric, difference: float) -> float:
    return round(difference * metric.format.scale, number_format.MAX_DIGITS)


def _size(points: float, distinct_from: float) -> str:
    """Return a number of points with enough digits to differ from 0 and from another number."""
    return max((number_format.score(abs(points), other) for other in (0.0, abs(distinct_from))), key=len)
