"""Evaluates a gate twice: when a second evaluation starts, and what both decide (docs/noisy-agents.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sepurux_action.common import number_format
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.ci_run import CIRun, combine
from sepurux_action.evaluation.decision import Check, CheckState, Decision, Rule, check_thresholds
from sepurux_action.evaluation.drops import Base, check_drops
from sepurux_action.evaluation.metrics import METRICS, PASS_RATE, SCENARIOS, Metric
from sepurux_action.evaluation.result import Evaluated, Runs, combined_numbers, ranked

# What noise alone can make a gate miss. Counts are never averaged.
CONFIRMABLE = {option: metric for metric in METRICS if metric.drop for option in (metric.threshold, metric.drop)}


def missed_rates(gate: Gate, runs: Runs, drops: tuple[Check, ...]) -> tuple[Check, ...]:
    """Return what a gate missed if its runs are decided, it failed, and it missed nothing but rates and scores."""
    decisions = {run.decision for run in runs}
    checks = (*check_thresholds(combine([run.run for run in runs]), gate), *drops)
    missed = tuple(check for check in checks if check.state is CheckState.MISSED)
    decided_fail = Decision.FAIL in decisions and all(each.is_decided for each in decisions)
    return missed if decided_fail and all(check.threshold in CONFIRMABLE for check in missed) else ()


def only_once(runs: Runs, took_s: float, left_s: float) -> str:
    """Return why there is no second evaluation, '' if there is one.

    It needs a number of scenarios to compare with, and as much of the timeout as the first one took.
    """
    if combine([run.run for run in runs]).value(SCENARIOS) is None:
        return "`confirm` started no second evaluation: Sepurux did not report the number of scenarios."
    took, left = number_format.duration(took_s), number_format.duration(max(0.0, left_s))
    why = f"the first one took {took}, and {left} of the `timeout` were left. Raise `timeout`"
    return f"`confirm` started no second evaluation: {why}." if left_s < took_s else ""


def confirm(gate: Gate, first: Runs, missed: tuple[Check, ...], second: Runs, base: Base) -> Evaluated:
    """Return the result of two evaluations: a pass if the second is one, and the mean meets each rate and score."""
    evaluations = ranked(first, gate), ranked(second, gate)
    worst = evaluations[1][0]
    of_both = [combine([run.run for run in each]) for each in evaluations]
    metrics = tuple(dict.fromkeys(CONFIRMABLE[check.threshold] for check in missed))
    kinds = " and ".join("a rate" if metric is PASS_RATE else "a score" for metric in metrics)
    why = f"because the first result missed only {kinds}"
    if not all(run.decision.is_decided for run in second):
        told = f"A second evaluation, {why}, has no result, so the first one counts: {worst.run_decision.reason}"
        return Evaluated(first, evaluations, told)
    first_count, second_count = (run.value(SCENARIOS) for run in of_both)
    if first_count != second_count:
        had = "an unknown number of scenarios" if second_count is None else SCENARIOS.named(second_count)
        had += f" instead of {number_format.count(first_count or 0)}"
        told = f"A second evaluation, {why}, had {had}, so the first one counts: "
        return Evaluated(first, confirmation=told + evaluations[0][0].run_decision.reason)
    numbers = combined_numbers(second, evaluations)
    checks = (*check_thresholds(numbers, gate), *check_drops(numbers, gate, base))
    unmet = {check.threshold: check for check in checks if check.threshold in CONFIRMABLE and _is_unmet(check)}
    shown = [text for metric in metrics if (text := _means(metric, gate, (*of_both, numbers), unmet))]
    thresholds = {metric.threshold for metric in metrics}
    others = [check.sentence for option, check in unmet.items() if option not in thresholds]
    others += _reported_once(gate, evaluations)
    decided = worst.run_decision
    if not (unmet or others) and decided.decision is Decision.FAIL:
        others = [f"the second evaluation failed too: {decided.reason.removesuffix('.')}"]
    if decided.decision is Decision.PASS and (unmet or others):
        decided = replace(decided, decision=Decision.FAIL, rule=Rule.FAILED_TWICE)
    told = f"Evaluated twice, {why}: {'; '.join((*shown, *others))}."
    runs = tuple(replace(run, run_decision=replace(decided, reason=told)) if run is worst else run for run in second)
    return Evaluated(runs, (evaluations[0], ranked(runs, gate)), told)


def _is_unmet(check: Check) -> bool:
    """Return whether a rate, a score, or a drop is too low, or not known although a result needs it."""
    return check.state is CheckState.MISSED or (check.required_for_pass and check.state is not CheckState.MET)


def _reported_once(gate: Gate, evaluations: Sequence[Runs]) -> Iterator[str]:
    """Yield a sentence on each number with a threshold that only one evaluation reported, if only of one trace."""
    for metric in METRICS:
        first, second = ({(run.trace, run.run.value(metric) is None) for run in runs} for runs in evaluations)
        if first != second and {metric.threshold, metric.drop} & gate.limits.keys():
            yield f"only one evaluation reported the {metric.noun}"
    first, second = ({(run.trace, run.run.mutation_categories is None) for run in runs} for runs in evaluations)
    if first != second and gate.required_mutation_categories:
        yield "only one evaluation reported the mutation categories"


def _means(metric: Metric, gate: Gate, runs: Sequence[CIRun], unmet: Mapping[str, Check]) -> str:
    """Return a number of two evaluations and its mean: `84.0% and 88.0% passed, 86.0% on average`, or ''."""
    limit, check = gate.limits.get(metric.threshold), unmet.get(metric.threshold)
    written = [metric.format.write(each, limit) for run in runs if (each := run.value(metric)) is not None]
    if len(written) < len(runs):  # only one evaluation reported it
        return ""
    first, second, mean = written
    needed = f", where {metric.format.write(check.limit, check.value)} is needed" if check else ""
    return f"{metric.published.format(f'{first} and {second}')}, {mean} on average{needed}"
