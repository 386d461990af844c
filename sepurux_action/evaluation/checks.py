"""Compares the numbers of an evaluation with the thresholds of a gate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.config import options
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, METRICS, MUTATION_CATEGORIES, Metric
from sepurux_action.evaluation.runs import Scenario

REQUIRED_CATEGORIES = options.REQUIRED_MUTATION_CATEGORIES.name


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

    `is_unknown`: a number without which a gate does not pass is not known, or not of all runs.
    """

    threshold: str
    metric: str
    label: str
    required: str
    actual: str
    state: CheckState
    limit: float
    value: float | None = None
    remark: str = ""  # why a drop does not count
    lacking: tuple[str, ...] = ()  # required categories that no run covers
    is_unknown: bool = False
    sentence: str = ""
    reported_by: str = ""

    @property
    def is_missed(self) -> bool:
        return self.state is CheckState.MISSED


def check_thresholds(run: CIRun, gate: Gate, scenarios: Sequence[Scenario]) -> Iterator[Check]:
    """Yield a check for each threshold; a sentence names the lowest of the scenarios."""
    for metric in METRICS:
        limit = gate.limits.get(metric.threshold)
        if limit is not None:
            yield _check(metric, run.reading(metric), limit, scenarios, needed=metric.needed or gate.has_several_traces)
    if gate.required_mutation_categories:
        yield _check_categories(run, gate.required_mutation_categories, needed=gate.has_several_traces)


def _check(metric: Metric, reading: Reading, limit: float, scenarios: Sequence[Scenario], *, needed: bool) -> Check:
    value, write, met, actual = reading.value, metric.format.write, False, reading.broken or "not reported"
    if value is not None:
        met, actual = metric.meets(value, limit), write(value, limit)
    state = _state(reading, met=met, sinks=metric.less_is_better or metric is LOWEST_SCENARIO)
    sentence = _unknown(metric, reading)
    if state is CheckState.MISSED or not sentence:
        sentence = metric.sentence(value or 0, limit)
    if state is CheckState.MISSED and metric is LOWEST_SCENARIO:
        sentence = _below(scenarios, actual, write(limit, value))
    required = write(limit, value)
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


def _below(scenarios: Sequence[Scenario], actual: str, required: str) -> str:
    """Return the sentence on a lowest scenario below the limit, with its name and the number of others below it."""
    below = sorted((each for each in scenarios if each.low), key=lambda each: each.rate or 0)
    told = f"scenario {json_reader.preview(below[0].name)} passed {actual}, less than the required {required}"
    if below[1:]:
        told += f", and so did {number_format.pluralize(len(below) - 1, 'other')}"
    return told


def _check_categories(run: CIRun, required: tuple[str, ...], *, needed: bool) -> Check:
    covered, total, reading = run.mutation_categories, len(required), run.reading(MUTATION_CATEGORIES)
    lacking = tuple(name for name in required if covered is not None and name not in covered)
    value, actual, sentence = None, reading.broken or "not reported", "all categories are covered"
    if covered is not None:
        value = total - len(lacking)
        actual = str(value)
    if lacking:
        sentence = f"mutation categories lack {', '.join(lacking)}"
    state = _state(reading, met=covered is not None and not lacking)
    return Check(
        threshold=REQUIRED_CATEGORIES,
        metric=REQUIRED_CATEGORIES,
        label="Required mutations",
        required=str(total),
        actual=actual,
        limit=total,
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


def _state(reading: Reading, *, met: bool, sinks: bool = False) -> CheckState:
    """Return the state. A number of some runs is missed only if those of the others can make it only worse: `sinks`."""
    if reading.broken:
        return CheckState.NO_NUMBER
    if reading.value is None or (reading.partial and (met or not sinks)):
        return CheckState.NOT_REPORTED
    return CheckState.MET if met else CheckState.MISSED
