"""Compares the numbers of a gate with its thresholds, and with results of the base (docs/noisy-agents.md)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.config import options
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.metrics import (
    LOWEST_SCENARIO,
    METRICS,
    MUTATION_CATEGORIES,
    NOT_KNOWN,
    PASS_RATE,
    Kind,
    Metric,
    Numbers,
)
from sepurux_action.evaluation.pooling import Scenario
from sepurux_action.evaluation.published_result import Results, median, published_numbers, values_of

REQUIRED_CATEGORIES = options.REQUIRED_MUTATION_CATEGORIES.name
DROP = options.MAX_PASS_RATE_DROP.name
MIN_RESULTS = 3  # of two results and a third one, each is the lowest in one case of three, by chance alone


class CheckState(StrEnum):
    MET = auto()
    MISSED = auto()
    NOT_REPORTED = auto()
    NO_NUMBER = auto()
    WITHIN_RANGE = auto()  # the drop is too large, but the base itself has results as low
    NOT_COMPARED = auto()  # the base has too few results


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One threshold compared with the numbers. `actual` and `required` are `value` and `limit` as text.

    `remark`: why a drop does not count. `lacking`: the required categories that no run covers. `is_unknown`: a number
    without which a gate does not pass is not known, or not of all runs.
    """

    threshold: str
    metric: str
    label: str
    required: str
    actual: str
    state: CheckState
    limit: float
    value: float | None = None
    remark: str = ""
    lacking: tuple[str, ...] = ()
    is_unknown: bool = False
    sentence: str = ""
    reported_by: str = ""

    @property
    def is_missed(self) -> bool:
        return self.state is CheckState.MISSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a gate is compared with: the results on the base with this name, or those before the evaluated commit."""

    results: Results | None  # None if they could not be read
    name: str = "this branch"
    hint: str = ""  # what to do if they could not be read
    why: str = ""  # why not, if there is more to say


# -- thresholds -------------------------------------------------------------------------------------------------------


def check_thresholds(
    gate: Gate, numbers: Numbers, categories: tuple[str, ...] | None, scenarios: Sequence[Scenario]
) -> Iterator[Check]:
    """Yield a check for each threshold; a sentence names the lowest of the scenarios."""
    for metric in METRICS:
        limit = gate.limits.get(metric.threshold)
        if limit is not None:
            needed = metric.needed or gate.has_several_traces
            yield _check(metric, metric.reading(numbers), limit, scenarios, needed=needed)
    if gate.required_mutation_categories:
        yield _check_categories(gate, MUTATION_CATEGORIES.reading(numbers), categories)


def _check(metric: Metric, reading: Reading, limit: float, scenarios: Sequence[Scenario], *, needed: bool) -> Check:
    value, met, actual = reading.value, False, reading.broken or "not reported"
    if value is not None:
        met, actual = metric.meets(value, limit), metric.write(value, limit)
    only_worsens = metric is LOWEST_SCENARIO or (metric.kind is Kind.SUM and metric.less_is_better)
    state, sentence = _state(reading, met=met, only_worsens=only_worsens), _unknown(metric, reading)
    if state is CheckState.MISSED or not sentence:
        sentence = metric.sentence(value or 0, limit)
    required = metric.write(limit, value)
    if state is CheckState.MISSED and metric is LOWEST_SCENARIO:
        low, *others = sorted((each for each in scenarios if each.low), key=lambda each: each.rate or 0)
        sentence = f"scenario {json_reader.preview(low.name)} passed {actual}, less than the required {required}"
        if others:
            sentence += f", and so did {number_format.pluralize(len(others), 'other')}"
    if not metric.less_is_better:
        required = f"≥ {required}"
    elif limit:  # at most 0 is shown as `0`
        required = f"≤ {required}"
    return Check(
        threshold=metric.threshold,
        metric=metric.name,
        label=metric.label,
        required=required,
        actual=actual,
        limit=limit,
        value=value,
        state=state,
        is_unknown=state is CheckState.NO_NUMBER or (needed and state is CheckState.NOT_REPORTED),
        sentence=sentence,
        reported_by=reading.reported_by,
    )


def _check_categories(gate: Gate, reading: Reading, covered: tuple[str, ...] | None) -> Check:
    required, lacking = gate.required_mutation_categories, tuple[str, ...]()
    value, actual, sentence = None, reading.broken or "not reported", "all categories are covered"
    if covered is not None:
        lacking = tuple(name for name in required if name not in covered)
        value = len(required) - len(lacking)
        actual = str(value)
    if lacking:
        sentence = f"mutation categories lack {', '.join(lacking)}"
    state = _state(reading, met=covered is not None and not lacking)
    needed = gate.has_several_traces
    return Check(
        threshold=REQUIRED_CATEGORIES,
        metric=REQUIRED_CATEGORIES,
        label="Required mutations",
        required=str(len(required)),
        actual=actual,
        limit=len(required),
        value=value,
        lacking=lacking,
        state=state,
        is_unknown=state is CheckState.NO_NUMBER or (needed and state is CheckState.NOT_REPORTED),
        sentence=_unknown(MUTATION_CATEGORIES, reading) or sentence,
        reported_by=reading.reported_by,
    )


def _unknown(metric: Metric, reading: Reading) -> str:
    """Return a sentence on a number that is not known, or not of all, '' if it is."""
    if reading.value is None:
        return f"{metric.label.lower()}: {reading.broken or 'not reported'}"
    return f"{metric.label.lower()}: only known of {reading.reported_by}" if reading.partial else ""


def _state(reading: Reading, *, met: bool, only_worsens: bool = False) -> CheckState:
    """Return the state. A number of some runs is missed only if those of the others can make it only worse."""
    if reading.broken:
        return CheckState.NO_NUMBER
    if reading.value is None or (reading.partial and (met or not only_worsens)):
        return CheckState.NOT_REPORTED
    return CheckState.MET if met else CheckState.MISSED


# -- the drop ---------------------------------------------------------------------------------------------------------


def lowest_allowed(gate: Gate, results: Results) -> float | None:
    """Return the lower of the median minus the allowed drop and the lowest result, None if no drop is compared."""
    values, middle, allowed = values_of(results, PASS_RATE), median(results, PASS_RATE), gate.limits.get(DROP)
    if allowed is None or middle is None or len(values) < MIN_RESULTS:
        return None
    return PASS_RATE.rounded(min(middle - allowed, *values))


def check_drop(gate: Gate, numbers: Numbers, base: Base) -> Check:
    """Return the check of the drop, which the gate limits. It compares numbers as a commit status has them."""
    reading, actual = PASS_RATE.reading(numbers), published_numbers(numbers, gate).get(PASS_RATE.name)
    middle, limit, drop, value = median(base.results or (), PASS_RATE), _points(gate.limits[DROP]), 0.0, None
    shown = NOT_KNOWN
    if actual is not None and middle is not None:
        drop, shown = _points(middle - actual), "0"
        value = round(drop / 100, number_format.MAX_DIGITS)
        if drop > 0:
            shown = _size(drop, limit)
    state, remark, sentence = _compare(actual, drop, limit, base, broken=reading.broken)
    if state is CheckState.NO_NUMBER:
        shown = "not known"
    if state is CheckState.NOT_REPORTED:
        shown = "not reported"
    return Check(
        threshold=DROP,
        metric=f"{PASS_RATE.name}_drop",
        label=f"Drop of the {PASS_RATE.noun}",
        required=f"≤ {_size(limit, drop)}",
        actual=shown,
        state=state,
        limit=gate.limits[DROP],
        value=value,
        remark=remark,
        is_unknown=state in {CheckState.NO_NUMBER, CheckState.NOT_REPORTED},
        sentence=sentence,
        reported_by=reading.reported_by,
    )


def _compare(
    actual: float | None, drop: float, limit: float, base: Base, *, broken: str
) -> tuple[CheckState, str, str]:
    """Return the state of a drop in points, the remark why it does not count, and the sentence."""
    if base.results is None:
        why = base.why and f" ({base.why})"
        remark = f"the results on {base.name} could not be read{why}"
        return CheckState.NO_NUMBER, remark, f"{remark}, so no drop can be compared"
    values = values_of(base.results, PASS_RATE)
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
    lowest, highest = (PASS_RATE.write(each, None) for each in (min(values), max(values)))
    remark = f"within {base.name}'s range, {lowest} to {highest}"
    return CheckState.WITHIN_RANGE, remark, f"{below}, but {remark}"


def _points(difference: float) -> float:
    return round(difference * 100, number_format.MAX_DIGITS)


def _size(points: float, distinct_from: float) -> str:
    """Return a number of points with enough digits to differ from 0 and from another number."""
    return max((number_format.score(abs(points), other) for other in (0.0, abs(distinct_from))), key=len)
