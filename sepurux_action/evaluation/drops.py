"""Compares the numbers of a gate with earlier results, those of the base branch (docs/noisy-agents.md)."""

from collections.abc import Iterator
from dataclasses import dataclass

from sepurux_action.common import number_format
from sepurux_action.config import options
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.checks import Check, CheckState
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.metrics import NOT_KNOWN, PASS_RATE, PUBLISHED, Metric
from sepurux_action.evaluation.published_result import PreviousResult, published_numbers

MAX_BASE_RESULTS = 5  # results that are compared; one of them that is unusual changes no median
MIN_RESULTS = 3  # of two results and a third one, each is the lowest in one case of three, by chance alone
MAX_BRANCH_LENGTH = 20  # characters of a branch in a table
DROP = options.MAX_PASS_RATE_DROP.name


@dataclass(frozen=True, slots=True)
class Baseline:
    """The results of one context on the base branch, each a pass or a fail, the newest first."""

    results: tuple[PreviousResult, ...] = ()

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
        return Baseline(tuple(met[:MAX_BASE_RESULTS]))

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


def lowest_allowed(gate: Gate, baseline: Baseline) -> float | None:
    """Return the lower of the median minus the allowed drop and the lowest result, None if no drop is compared."""
    values, median, allowed = baseline.values(PASS_RATE), baseline.median(PASS_RATE), gate.limits.get(DROP)
    if allowed is None or median is None or len(values) < MIN_RESULTS:
        return None
    return PASS_RATE.rounded(min(median - allowed, *values))


def check_drop(run: CIRun, gate: Gate, base: Base) -> Iterator[Check]:
    """Yield the check of the drop, if it is limited. It compares numbers as a commit status has them."""
    if DROP not in gate.limits:
        return
    baseline, unknown = base.baseline or Baseline(), {CheckState.NO_NUMBER, CheckState.NOT_REPORTED}
    actual, median = published_numbers(run, gate).get(PASS_RATE.name), baseline.median(PASS_RATE)
    limit, drop, value, shown = _points(gate.limits[DROP]), 0.0, None, NOT_KNOWN
    if actual is not None and median is not None:
        drop, shown = _points(median - actual), "0"
        value = round(drop / PASS_RATE.format.scale, number_format.MAX_DIGITS)
        if drop > 0:
            shown = _size(drop, limit)
    state, remark, sentence = _compare(actual, drop, limit, base, broken=run.reading(PASS_RATE).broken)
    if state in unknown:
        shown = "not known" if state is CheckState.NO_NUMBER else "not reported"
    yield Check(
        threshold=DROP,
        metric=f"{PASS_RATE.name}_drop",
        label=f"Drop of the {PASS_RATE.noun}",
        required=f"≤ {_size(limit, drop)}",
        actual=shown,
        state=state,
        limit=gate.limits[DROP],
        value=value,
        remark=remark,
        is_unknown=state in unknown,
        sentence=sentence,
        reported_by=run.reading(PASS_RATE).reported_by,
    )


def _compare(
    actual: float | None, drop: float, limit: float, base: Base, *, broken: str
) -> tuple[CheckState, str, str]:
    """Return the state of a drop in points, the remark why it does not count, and the sentence."""
    if base.baseline is None:
        why = base.why and f" ({base.why})"
        remark = f"the results on {base.name} could not be read{why}"
        return CheckState.NO_NUMBER, remark, f"{remark}, so no drop can be compared"
    values = base.baseline.values(PASS_RATE)
    if actual is None and (len(values) >= MIN_RESULTS or broken):
        sentence = f"it did not report the {PASS_RATE.noun}, which is compared with {base.name}"
        return CheckState.NOT_REPORTED, "", f"{PASS_RATE.noun}: {broken}" if broken else sentence
    if actual is None or len(values) < MIN_RESULTS:
        remark = f"not compared yet: {len(values)} of {MIN_RESULTS} results on {base.name}"
        return CheckState.NOT_COMPARED, remark, f"a drop of the {PASS_RATE.noun} is {remark}"
    if drop <= limit:
        return CheckState.MET, "", f"{PASS_RATE.named(actual)} is within the allowed drop"
    results = number_format.pluralize(len(values), "result")
    below = f"{PASS_RATE.named(actual)} is {_size(drop, limit)} points below the median of {results} on {base.name}"
    if actual < min(values):
        return CheckState.MISSED, "", f"{below}, more than the allowed {_size(limit, drop)}, and below each of them"
    lowest, highest = (PASS_RATE.format.write(each, None) for each in (min(values), max(values)))
    remark = f"within {base.name}'s range, {lowest} to {highest}"
    return CheckState.WITHIN_RANGE, remark, f"{below}, but {remark}"


def _points(difference: float) -> float:
    return round(difference * PASS_RATE.format.scale, number_format.MAX_DIGITS)


def _size(points: float, distinct_from: float) -> str:
    """Return a number of points with enough digits to differ from 0 and from another number."""
    return max((number_format.score(abs(points), other) for other in (0.0, abs(distinct_from))), key=len)
