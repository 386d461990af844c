"""Compares the numbers of a run with the thresholds of a gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum, auto

from sepurux_action.common.json_reader import Reading
from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.metrics import METRICS, MUTATION_CATEGORIES, Metric

REQUIRED_CATEGORIES = options.REQUIRED_MUTATION_CATEGORIES.name


class CheckState(StrEnum):
    """How a reported number compares with a threshold.

    Two are for drops only: WITHIN_RANGE, if the drop is too large, but the base itself has results as low, and
    NOT_COMPARED, if the base has too few results.
    """

    MET = auto()
    MISSED = auto()
    NOT_REPORTED = auto()
    NO_NUMBER = auto()
    WITHIN_RANGE = auto()
    NOT_COMPARED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One threshold compared with the run.

    `value` and `limit` are the numbers, None for an unknown value; `actual` and `required` are the same as text, such
    as `72.0%` and `≥ 85.0%`. `remark` says why a drop does not count. `lacking` names the required categories that
    the run does not cover. `reported_by` is that of the number, see `Reading`.
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
    required_for_pass: bool = False
    sentence: str = ""
    reported_by: str = ""


def check_thresholds(run: CIRun, gate: Gate) -> Iterator[Check]:
    for metric in METRICS:
        limit = gate.limits.get(metric.threshold)
        if limit is not None:
            yield _check(metric, run.reading(metric), limit)
    if gate.required_mutation_categories:
        yield _check_categories(run, gate.required_mutation_categories)


def _check(metric: Metric, reading: Reading, limit: float) -> Check:
    value, write = reading.value, metric.format.write
    absent = reading.broken or "not reported"
    return Check(
        threshold=metric.threshold,
        metric=metric.name,
        label=metric.label,
        required=f"{'≤' if metric.less_is_better else '≥'} {write(limit, value)}",
        actual=absent if value is None else write(value, limit),
        limit=limit,
        value=value,
        state=_state(reading, met=value is not None and metric.meets(value, limit)),
        required_for_pass=metric.needed,
        sentence=f"{metric.label.lower()}: {absent}" if value is None else metric.sentence(value, limit),
        reported_by=reading.reported_by,
    )


def _check_categories(run: CIRun, required: tuple[str, ...]) -> Check:
    covered, total, reading = run.mutation_categories, len(required), run.reading(MUTATION_CATEGORIES)
    if covered is None:  # a cached run may have their number only
        reading = replace(reading, value=None)
    absent = reading.broken or "not reported"
    lacking = () if covered is None else tuple(name for name in required if name not in covered)
    met = f"mutation categories lack {', '.join(lacking)}" if lacking else "all categories are covered"
    return Check(
        threshold=REQUIRED_CATEGORIES,
        metric=REQUIRED_CATEGORIES,
        label="Required mutations",
        required=str(total),
        actual=absent if covered is None else f"{total - len(lacking)} of {total}",
        limit=total,
        value=None if covered is None else total - len(lacking),
        lacking=lacking,
        state=_state(reading, met=not lacking),
        sentence=f"required mutations: {absent}" if covered is None else met,
        reported_by=reading.reported_by,
    )


def _state(reading: Reading, *, met: bool) -> CheckState:
    if reading.value is not None:
        return CheckState.MET if met else CheckState.MISSED
    return CheckState.NO_NUMBER if reading.broken else CheckState.NOT_REPORTED
