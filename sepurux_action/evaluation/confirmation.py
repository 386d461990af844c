"""Evaluates a gate twice: when a second evaluation starts, and what both decide (docs/noisy-agents.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sepurux_action.common import number_format
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.ci_run import CIRun, average
from sepurux_action.evaluation.decision import Check, CheckState, Decision, Rule, check_thresholds
from sepurux_action.evaluation.drops import DROPS, Base, check_drops
from sepurux_action.evaluation.gate_decision import GateDecision, decide_gate, with_traces
from sepurux_action.evaluation.metrics import METRICS, PASS_RATE, Metric
from sepurux_action.evaluation.result import Evaluated
from sepurux_action.evaluation.runs import Runs, ranked

# What noise alone can make a gate miss. Counts are never averaged.
CONFIRMABLE = {option: metric for metric in METRICS if metric.drop for option in (metric.threshold, metric.drop)}


def missed_rates(runs: Runs, decision: Decision, checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return what a gate missed if its runs are decided, it failed, and it missed nothing but rates and scores."""
    missed = tuple(check for check in checks if check.state is CheckState.MISSED)
    decided_fail = decision is Decision.FAIL and all(run.decision.is_decided for run in runs)
    return missed if decided_fail and all(check.threshold in CONFIRMABLE for check in missed) else ()


def too_late(took_s: float, left_s: float) -> str:
    """Return why there is no second evaluation if less of the timeout is left than the first one took, else ''."""
    took, left = number_format.duration(took_s), number_format.duration(max(0.0, left_s))
    why = f"the first one took {took}, and {left} of the `timeout` were left. Raise `timeout`"
    return f"`confirm` started no second evaluation: {why}." if left_s < took_s else ""


def confirm(gate: Gate, first: GateDecision, runs: Runs, base: Base) -> Evaluated:
    """Return the result of two evaluations: a pass if the second is one, and the mean meets each rate and score.

    The second one has these runs.
    """
    alone = {option: limit for option, limit in gate.limits.items() if option not in DROPS}
    second = decide_gate(replace(gate, limits=alone), runs, base)
    metrics = tuple(dict.fromkeys(CONFIRMABLE[check.threshold] for check in first.missed))
    kinds = " and ".join("a rate" if metric is PASS_RATE else "a score" for metric in metrics)
    why = f"because the first result missed only {kinds}"
    if not all(run.decision.is_decided for run in runs):
        told = f"A second evaluation, {why}, has no result, so the first one counts: {second.worst.run_decision.reason}"
        return Evaluated(decided=first, evaluations=(first, second), confirmation=told)
    numbers = average([first.numbers, second.numbers])
    checks = (*check_thresholds(numbers, gate), *check_drops(numbers, gate, base))
    unmet = {check.threshold: check for check in checks if check.threshold in CONFIRMABLE and _is_unmet(check)}
    shown = [text for metric in metrics if (text := _means(metric, gate, (first, second), numbers, unmet))]
    thresholds = {metric.threshold for metric in metrics}
    others = [check.sentence for option, check in unmet.items() if option not in thresholds]
    others += _reported_once(gate, (first.runs, runs))
    if not (unmet or others) and second.decision is Decision.FAIL:
        others = [f"the second evaluation failed too: {second.worst.run_decision.reason.removesuffix('.')}"]
    decided = replace(second, numbers=numbers, checks=checks)
    if second.decision is Decision.PASS and (unmet or others):
        decided = replace(decided, decision=Decision.FAIL, rule=Rule.FAILED_TWICE)
    told = f"Evaluated twice, {why}: {'; '.join((*shown, *others))}."
    failed = [run for run in ranked(runs, gate) if run.decision is Decision.FAIL and run is not second.worst]
    decided = replace(decided, reason=with_traces(told, runs, second.worst, failed))
    return Evaluated(decided=decided, evaluations=(first, second), confirmation=told)


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


def _means(
    metric: Metric, gate: Gate, evaluations: Sequence[GateDecision], mean: CIRun, unmet: Mapping[str, Check]
) -> str:
    """Return a number of two evaluations and its mean: `84.0% and 88.0% passed, 86.0% on average`, or ''."""
    limit, check = gate.limits.get(metric.threshold), unmet.get(metric.threshold)
    values = [each.numbers.value(metric) for each in evaluations]
    written = [metric.format.write(each, limit) for each in (*values, mean.value(metric)) if each is not None]
    if None in values:  # only one evaluation reported it
        return ""
    first, second, average_ = written
    needed = f", where {metric.format.write(check.limit, check.value)} is needed" if check else ""
    return f"{metric.published.format(f'{first} and {second}')}, {average_} on average{needed}"
