"""Compares the numbers of a gate with the baseline (docs/noisy-agents.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sepurux_action.common import number_format
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.checks import Check, CheckState
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.metrics import METRICS, NOT_KNOWN, Metric
from sepurux_action.evaluation.published_result import Baseline, published_numbers

MIN_RESULTS = 3  # of two results and a third one, each is the lowest in one case of three, by chance alone
MAX_BRANCH_LENGTH = 20  # characters of a branch in a table
DROPS = {metric.drop: metric for metric in METRICS if metric.drop}
UNKNOWN = {CheckState.NO_NUMBER: "not known", CheckState.NOT_REPORTED: "not reported"}  # in place of a drop
HIDDEN_RESULTS = (
    "On {commits} of the base branch, the status of this gate is neither a pass nor a fail, or another account set it."
    " It may hide an earlier result: re-run the gate there."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a gate is compared with: the results on `branch`, or if it is '', those before the evaluated commit."""

    baseline: Baseline | None  # None if the results could not be read
    branch: str = ""
    hint: str = ""  # what to do then
    why: str = ""  # why they could not be read, if there is more to say

    @property
    def name(self) -> str:
        if not self.branch:
            return "this branch"
        return f"`{self.branch}`"


def base_heading(branch: str) -> str:
    """Return the name of the base branch for a table, or a word if it is unknown or too long."""
    if not branch:
        return "before"
    return branch if len(branch) <= MAX_BRANCH_LENGTH else "base"


def hidden_results(baseline: Baseline) -> str:
    """Return what to do about statuses that may hide results of the base; '' without any."""
    commits = number_format.pluralize(baseline.hidden, "commit")
    return HIDDEN_RESULTS.format(commits=commits) if baseline.hidden else ""


def check_drops(run: CIRun, gate: Gate, base: Base) -> Iterator[Check]:
    """Yield a check for each drop that is limited. It compares numbers as a commit status has them."""
    now, baseline = published_numbers(run, gate), base.baseline or Baseline()
    for option, metric in DROPS.items():
        if option not in gate.limits:
            continue
        allowed, actual, median = gate.limits[option], now.get(metric.name), baseline.median(metric)
        limit, drop = _points(metric, allowed), 0.0
        value, shown = None, NOT_KNOWN
        if actual is not None and median is not None:
            drop = _points(metric, median - actual)
            value = round(drop / metric.format.scale, number_format.MAX_DIGITS)
            shown = _size(drop, limit) if drop > 0 else "0"
        state, remark, sentence = _compare(metric, actual, drop, limit, base)
        yield Check(
            threshold=option,
            metric=f"{metric.name}_drop",
            label=f"Drop of the {metric.noun}",
            required=f"≤ {_size(limit, drop)}",
            actual=UNKNOWN.get(state, shown),
            state=state,
            limit=allowed,
            value=value,
            remark=remark,
            required_for_pass=state in UNKNOWN,
            sentence=sentence,
            reported_by=run.reading(metric).reported_by,
        )


def _compare(
    metric: Metric, actual: float | None, drop: float, limit: float, base: Base
) -> tuple[CheckState, str, str]:
    """Return the state of a drop in points, the remark why it does not count, and the sentence."""
    if base.baseline is None:
        why = f" ({base.why})" if base.why else ""
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
