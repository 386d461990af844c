"""Evaluates a gate twice: when a second evaluation starts, and what both decide (docs/noisy-agents.md)."""

from collections.abc import Iterator, Sequence

from sepurux_action.common import number_format
from sepurux_action.config.command_line import at_source
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.checks import Check
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import Decision, Rule
from sepurux_action.evaluation.drops import Base
from sepurux_action.evaluation.gate_decision import GateDecision, checks_of, decide_gate
from sepurux_action.evaluation.metrics import Metric
from sepurux_action.evaluation.pooled_numbers import lowest_of, mean_of
from sepurux_action.evaluation.result import Evaluated
from sepurux_action.evaluation.runs import Runs, Scenario

# What noise alone can make a gate miss. Counts are never averaged.
CONFIRMABLE = {option: metric for option, metric in metrics.BY_OPTION.items() if not metric.format.whole}


def can_be_noise(decided: GateDecision, *, complete: bool = True) -> bool:
    """Return whether a gate failed, and missed rates or scores, and nothing else.

    If it is `complete`, its runs are all decided, and their scenarios counted: only then it is known what it missed.
    """
    are_decided = all(run.decision.is_decided for run in decided.runs)
    is_known = decided.missed and are_decided and decided.numbers.value(metrics.SCENARIOS) is not None
    only_rates = all(check.threshold in CONFIRMABLE for check in decided.missed)
    return decided.decision is Decision.FAIL and only_rates and bool(is_known or not complete)


def too_late(gate: Gate, runs: Runs, elapsed_s: float) -> str:
    """Return why there is no second evaluation if less of the timeout is left than these runs took, else ''."""
    took_s, left_s = max(run.elapsed_s or elapsed_s for run in runs), gate.timeout_s - elapsed_s
    if left_s >= took_s:
        return ""
    took, left = number_format.duration(took_s), number_format.duration(max(0.0, left_s))
    why = f"the first one took {took}, and {left} of the timeout were left. Raise {{timeout}}"
    return at_source(f"`confirm` started no second evaluation: {why}.", gate)


def confirm(gate: Gate, first: GateDecision, runs: Runs, base: Base) -> Evaluated:
    """Return the result of two evaluations, of which the second has these runs.

    It is a pass if the second is one, and the mean of both meets each threshold on a rate or a score.
    """
    second = decide_gate(gate, runs, base)
    missed = tuple(dict.fromkeys(CONFIRMABLE[check.threshold] for check in first.missed))
    kinds = dict.fromkeys("a score" if each is metrics.RELIABILITY_SCORE else "a rate" for each in missed)
    why = f"because the first result missed only {' and '.join(kinds)}"
    if not (second.decision.is_decided and all(run.decision.is_decided for run in runs)):
        told = f"A second evaluation, {why}, has no result, so the first one counts: {second.reason}"
        return Evaluated.of(first, evaluations=(first, second), confirmation=told)
    numbers, scenarios = _means(gate, first, second)
    checks = checks_of(gate, numbers, scenarios, base)
    not_met = (each for each in checks if each.is_missed or each.is_unknown)
    unmet = {each.threshold: each for each in not_met if each.threshold in CONFIRMABLE}
    three = (first.numbers, second.numbers, numbers)
    shown = filter(None, (_shown(metric, gate, three, unmet.get(metric.threshold)) for metric in missed))
    thresholds = {metric.threshold for metric in missed}
    others = [check.sentence for option, check in unmet.items() if option not in thresholds]
    others += _reported_once(gate, first, second)
    if not (unmet or others) and second.decision is Decision.FAIL:
        others = [f"the second evaluation failed too: {second.reason.removesuffix('.')}"]
    told = f"Evaluated twice, {why}: {'; '.join((*shown, *others))}."
    decision, rule = second.decision, second.rule
    if decision is Decision.PASS and (unmet or others):
        decision, rule = Decision.FAIL, Rule.FAILED_TWICE
    both = {"decision": decision, "rule": rule, "reason": told, "detail": told, "numbers": numbers, "checks": checks}
    return Evaluated.of(second, **both, evaluations=(first, second), confirmation=told)


def _means(gate: Gate, first: GateDecision, second: GateDecision) -> tuple[CIRun, tuple[Scenario, ...]]:
    """Return the numbers of two evaluations together, and their scenarios with the recordings of both.

    With traces, both evaluations have the same scenarios. The runs of two batches cannot be paired: the second counts.
    """
    scenarios, lowest = second.scenarios, second.numbers.reading(metrics.LOWEST_SCENARIO)
    if gate.names_traces:
        pairs = zip(first.scenarios, second.scenarios, strict=True)
        scenarios = tuple(Scenario(two.name, (*one.recordings, *two.recordings), two.needed) for one, two in pairs)
        lowest = lowest_of(scenarios, len(scenarios))
    return mean_of(first.numbers, second.numbers, lowest), scenarios


def _reported_once(gate: Gate, first: GateDecision, second: GateDecision) -> Iterator[str]:
    """Yield a sentence on each number with a threshold that only one evaluation reported of all runs."""
    if first.numbers.value(metrics.SCENARIOS) != second.numbers.value(metrics.SCENARIOS):
        yield "the evaluations have different numbers of scenarios"
    limited = [each for each in metrics.METRICS if {each.threshold, each.drop} & gate.limits.keys()]
    if gate.required_mutation_categories:
        limited.append(metrics.MUTATION_CATEGORIES)
    for metric in dict.fromkeys(limited):
        if metric is not metrics.SCENARIOS and _known(first, metric) != _known(second, metric):
            yield f"only one evaluation reported the {metric.label.lower()}"


def _known(decided: GateDecision, metric: Metric) -> bool:
    reading = decided.numbers.reading(metric)
    return reading.value is not None and not reading.partial


def _shown(metric: Metric, gate: Gate, numbers: Sequence[CIRun], unmet: Check | None) -> str:
    """Return a number of two evaluations and its mean: `84.0% and 88.0% passed, 86.0% on average`, or ''."""
    limit = gate.limits.get(metric.threshold)
    written = [metric.format.write(each, limit) for run in numbers if (each := run.value(metric)) is not None]
    if len(written) < len(numbers):  # only one evaluation reported it
        return ""
    one, two, average = written
    published = metric.published or f"{metric.noun} {{}}"
    text = f"{published.format(f'{one} and {two}')}, {average} on average"
    if unmet:
        text += f", where {metric.format.write(unmet.limit, unmet.value)} is needed"
    return text
