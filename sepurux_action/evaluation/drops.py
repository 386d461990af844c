"""Compares the numbers of a gate with the baseline (docs/noisy-agents.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sepurux_action.common import number_format
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.checks import Check, CheckState
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.metrics import METRICS, NOT_KNOWN, Metric
from sepurux_action.evaluation.published_result import Baseline, published_numbers

MIN_RESULTS = 3  # of two results and a third one, each is the lowest in one case of three, by chance alone
MAX_BRANCH_LENGTH = 20  # characters of a branch in a table
DROPS = {metric.drop: metric for metric in METRICS if metric.drop}
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


def lowest_allowed(metric: Metric, gate: Gate, baseline: Baseline) -> float | None:
    """Return what the number needs because of a drop, None if none is compared: one blocks only below this.

    That is the lower of the median minus the allowed drop and the lowest of the compared results.
    """
    values, median, allowed = baseline.values(metric), baseline.median(metric), gate.limits.get(metric.drop)
    if allowed is None or median is None or len(values) < MIN_RESULTS:
        return None
    return metric.rounded(min(median - allowed, *values))


def check_drops(run: CIRun, gate: Gate, base: Base) -> Iterator[Check]:
    now = published_numbers(run, gate)
    for option, metric in DROPS.items():
        if option in gate.limits:
            check = _check(metric, gate.limits[option], now.get(metric.name), base)
            yield replace(check, reported_by=run.reading(metric).reported_by)


def _check(metric: Metric, allowed: float, actual: float | None, base: Base) -> Check:
    baseline = base.baseline or Baseline()
    values, median = baseline.values(metric), baseline.median(metric)
    limit, drop, remark = _points(metric, allowed), 0.0, ""
    shown, value = NOT_KNOWN, None
    if actual is not None and median is not None:
        drop = _points(metric, median - actual)
        shown, value = (
            _size(drop, limit) if drop > 0 else "0",
            round(drop / metric.format.scale, number_format.MAX_DIGITS),
        )
    if base.baseline is None:
        state, shown = CheckState.NO_NUMBER, "not known"
        remark = f"the results on {base.name} could not be read" + (f" ({base.why})" if base.why else "")
        sentence = f"{remark}, so no drop can be compared"
    elif actual is None and values:
        state, shown = CheckState.NOT_REPORTED, "not reported"
        sentence = f"it did not report the {metric.noun}, which is compared with {base.name}"
    elif actual is None or len(values) < MIN_RESULTS:
        state = CheckState.NOT_COMPARED
        remark = f"not compared yet: {len(values)} of {MIN_RESULTS} results on {base.name}"
        sentence = f"a drop of the {metric.noun} is {remark}"
    elif drop <= limit:
        state, sentence = CheckState.MET, f"{metric.named(actual)} is within the allowed drop"
    else:
        results = number_format.pluralize(len(values), "result")
        below = f"{metric.named(actual)} is {_size(drop, limit)} points below the median of {results} on {base.name}"
        state = CheckState.MISSED
        sentence = f"{below}, more than the allowed {_size(limit, drop)}, and below each of them"
        if actual >= min(values):
            lowest, highest = (metric.format.write(each, None) for each in (min(values), max(values)))
            state, remark = CheckState.WITHIN_RANGE, f"within {base.name}'s range, {lowest} to {highest}"
            sentence = f"{below}, but {remark}"
    return Check(
        threshold=metric.drop,
        metric=f"{metric.name}_drop",
        label=f"Drop of the {metric.noun}",
        required=f"≤ {_size(limit, drop)}",
        actual=shown,
        state=state,
        limit=allowed,
        value=value,
        remark=remark,
        required_for_pass=state in {CheckState.NO_NUMBER, CheckState.NOT_REPORTED},
        sentence=sentence,
    )


def _points(metric: Metric, difference: float) -> float:
    return round(difference * metric.format.scale, number_format.MAX_DIGITS)


def _size(points: float, distinct_from: float) -> str:
    """Return a number of points with enough digits to differ from 0 and from another number."""
    return max((number_format.score(abs(points), other) for other in (0.0, abs(distinct_from))), key=len)
