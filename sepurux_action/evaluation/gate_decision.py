"""Decides a gate from its runs, its numbers, its checks, and the base: by the first of ROWS that matches.

Nothing else decides a gate. Source: docs/reference.md#decisions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.wording import capitalized, joined
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.checks import Check, CheckState, check_thresholds
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import NEXT_STEPS, SEE_THE_RUN, UNEXPLAINED_FAIL, Decision, Rule, RunDecision
from sepurux_action.evaluation.drops import DROP, Base, check_drop
from sepurux_action.evaluation.metrics import Metric
from sepurux_action.evaluation.pooled_numbers import pool, scenarios_of
from sepurux_action.evaluation.runs import RunResult, Runs, Scenario, worst_of

MAX_NAMED = 3  # scenarios that a reason names
HOWEVER = "Sepurux reported a pass, but"
MORE_SCENARIOS = "Record more scenarios, or lower {min_scenarios}."
REGISTER_MORE = "Register more scenarios at Sepurux, or lower {min_scenarios}."
NEEDS_API_KEY = "With several traces, {min_reliability_score} needs {api_key}: without it, Sepurux shows no score."


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """The decision on a gate, and all that it follows from.

    `runs` are in the order of the traces; ids and links are those of the `worst`. `checks` are the thresholds, then the
    drop. `detail` is the reason without scenario and without what the title of a report shows.
    """

    decision: Decision
    rule: Rule
    reason: str
    runs: Runs
    hint: str = ""
    detail: str = ""
    numbers: CIRun = CIRun()
    checks: tuple[Check, ...] = ()
    scenarios: tuple[Scenario, ...] = ()

    @classmethod
    def of(cls, given: "GateDecision", **more: object) -> Self:
        """Return an object of this class with the fields that it has in common with `given`, and `more`."""
        names = {each.name for each in fields(cls)} & {each.name for each in fields(given)}
        values: dict[str, Any] = {name: getattr(given, name) for name in names} | more
        return cls(**values)

    @property
    def worst(self) -> RunResult:
        return worst_of(self.runs)

    @property
    def missed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.is_missed)


@dataclass(frozen=True, slots=True)
class _Facts:
    gate: Gate
    runs: Runs
    scenarios: tuple[Scenario, ...]
    numbers: CIRun
    checks: tuple[Check, ...]
    missed: tuple[Check, ...]
    base: Base

    def decided(self, found: RunDecision, hint: str = "", *, names: str = "") -> GateDecision:
        """Return the decision on the gate; `names` are those of the scenarios whose runs it is about, '' for all."""
        detail, checks = found.detail, self.checks
        if found.decision is not Decision.PENDING:
            detail = detail or found.reason
        if found.decision is Decision.SKIPPED:
            checks = ()
        return GateDecision(
            decision=found.decision,
            rule=found.rule,
            reason=joined(": ", names, found.reason),
            runs=self.runs,
            hint=self.gate.with_timeout(hint),
            detail=detail,
            numbers=self.numbers,
            checks=checks,
            scenarios=self.scenarios,
        )


def decide_gate(gate: Gate, runs: Runs, base: Base) -> GateDecision:
    """Return the decision on a gate. If it is a `fail`, it stays one whatever its undecided runs will be."""
    scenarios = scenarios_of(gate, runs)
    numbers = pool(gate, runs, scenarios)
    checks = checks_of(gate, numbers, scenarios, base)
    missed = tuple(check for check in checks if check.is_missed)
    facts = _Facts(gate, runs, scenarios, numbers, checks, missed, base)
    return next(found for row in ROWS if (found := row(facts)))


def checks_of(gate: Gate, numbers: CIRun, scenarios: Sequence[Scenario], base: Base) -> tuple[Check, ...]:
    """Return the checks of the thresholds, then that of the drop."""
    return (*check_thresholds(numbers, gate, scenarios), *check_drop(numbers, gate, base))


# -- the rows ---------------------------------------------------------------------------------------------------------


def _run_failed(facts: _Facts) -> GateDecision | None:
    failed = [run for run in facts.runs if run.decision is Decision.FAIL and not run.flaky]
    if not failed:
        return None
    reasons, hint = list[str](), SEE_THE_RUN
    own = [run for run in failed if not _exceeds(run, facts.gate)]
    if facts.gate.has_several_traces and own:
        reasons.append(_own_minimum(facts, own[0]))
    if facts.missed:
        reasons.append(_sentence(facts))
        hint = ""
    return facts.decided(RunDecision(Decision.FAIL, " ".join(reasons) or UNEXPLAINED_FAIL, Rule.DECIDED_FAIL), hint)


def _threshold_missed(facts: _Facts) -> GateDecision | None:
    """Return a `fail` after a pass; else only if a sum over several traces exceeds its maximum, whatever is decided."""
    passed = all(run.counts_as_pass for run in facts.runs) and not all(run.flaky for run in facts.runs)
    sums = {metric.threshold for metric in metrics.SUMS}
    exceeded = facts.gate.has_several_traces and any(check.threshold in sums for check in facts.missed)
    if not facts.missed or not (passed or exceeded):
        return None
    reason, hint = _sentence(facts), ""
    if passed:
        reason = f"{HOWEVER} {reason[0].lower()}{reason[1:]}"
    if [check.threshold for check in facts.missed] == [metrics.SCENARIOS.threshold]:
        hint = MORE_SCENARIOS if facts.gate.names_traces else REGISTER_MORE
    return facts.decided(RunDecision(Decision.FAIL, reason, Rule.THRESHOLD_MISSED), hint)


def _not_passed(facts: _Facts) -> GateDecision | None:
    others = tuple(run for run in facts.runs if not run.counts_as_pass)
    if not others:
        return None
    first, names = worst_of(others), ""
    alike = [run for run in facts.runs if run.run_decision == first.run_decision]
    if len(alike) < len(facts.runs):
        names = _names(each.name for each in facts.scenarios if any(run in alike for run in each.recordings))
    return facts.decided(first.run_decision, first.hint, names=names)


def _all_flaky(facts: _Facts) -> GateDecision | None:
    if not all(run.flaky for run in facts.runs):
        return None
    found = RunDecision(Decision.ERROR, "Every scenario of the gate is flaky, so no rate counts.", Rule.NUMBER_UNKNOWN)
    return facts.decided(found, "Fix a scenario, and remove it from {flaky}.")


def _base_unread(facts: _Facts) -> GateDecision | None:
    unread = [check for check in facts.checks if check.is_unknown and check.threshold == DROP]
    if facts.base.baseline or not unread:
        return None
    told = f"{HOWEVER} {'; '.join(dict.fromkeys(check.sentence for check in unread))}."
    found = RunDecision(Decision.ERROR, told, Rule.BASE_UNREAD)
    return facts.decided(found, facts.base.hint)


def _number_unknown(facts: _Facts) -> GateDecision | None:
    unknown = dict[Metric, str]()
    for check in facts.checks:
        if check.is_unknown:
            unknown.setdefault(metrics.BY_OPTION.get(check.threshold, metrics.MUTATION_CATEGORIES), check.sentence)
    if not unknown:
        return None
    what = "Sepurux reported a pass without a number that a threshold needs"
    not_shown = any(run.ci_run.reading(metrics.RELIABILITY_SCORE).missing for run in facts.runs)
    hint = NEXT_STEPS[Rule.NUMBER_UNKNOWN]
    if facts.gate.has_several_traces and metrics.RELIABILITY_SCORE in unknown and not_shown:
        hint = NEEDS_API_KEY
    found = RunDecision(Decision.ERROR, f"{what} ({'; '.join(unknown.values())}).", Rule.NUMBER_UNKNOWN, f"{what}.")
    return facts.decided(found, hint)


def _passed(facts: _Facts) -> GateDecision:
    drops = [check for check in facts.checks if check.threshold == DROP]
    thresholds = [check for check in facts.checks if check.threshold != DROP]
    remarks = [check.sentence for check in drops if check.state is not CheckState.MET]
    unreported = [check.label.lower() for check in thresholds if check.state is not CheckState.MET]
    met = "no reported number misses a threshold"
    if unreported:
        met += f" (not reported: {', '.join(unreported)})"
    elif thresholds:
        met = "every threshold is met"
    parts = joined("; ", metrics.summary(facts.numbers.numbers), *(remarks or [met]))
    return facts.decided(RunDecision(Decision.PASS, f"{capitalized(parts)}.", Rule.DECIDED_PASS))


ROWS: tuple[Callable[[_Facts], GateDecision | None], ...] = (
    _run_failed,
    _threshold_missed,
    _not_passed,
    _all_flaky,
    _base_unread,
    _number_unknown,
    _passed,
)


# -- what the rows say ------------------------------------------------------------------------------------------------


def _sentence(facts: _Facts) -> str:
    """Return what is missed, and which scenarios are why."""
    told = joined("; ", *(check.sentence for check in facts.missed), _same_task(facts), _lowest(facts))
    return f"{capitalized(told)}."


def _same_task(facts: _Facts) -> str:
    """Return how many recordings have the same `task.name`, if that is why there are too few scenarios."""
    limit = next((check.limit for check in facts.missed if check.threshold == metrics.SCENARIOS.threshold), None)
    same = sum(len(each.recordings) for each in facts.scenarios if each.recordings[1:])
    if limit is None or not facts.gate.names_traces or len(facts.runs) < limit:
        return ""
    return f"{same} of {len(facts.runs)} recordings have the same `task.name` as another one"


def _lowest(facts: _Facts) -> str:
    """Return the scenarios with the lowest pass rates, '' if there are not several traces."""
    counted = (each for each in facts.scenarios if not each.flaky)
    below = sorted((each.rate, each.name) for each in counted if each.rate is not None and each.rate < 1)
    if not facts.gate.has_several_traces or not below:
        return ""
    write, limit = metrics.PASS_RATE.format.write, facts.gate.limits.get(metrics.PASS_RATE.threshold)
    shown = (f"{json_reader.preview(name)} {write(rate, limit)}" for rate, name in below[:MAX_NAMED])
    return f"lowest: {', '.join(shown)}"


def _names(names: Iterable[str]) -> str:
    every = [json_reader.preview(name) for name in names]
    shown = ", ".join(every[:MAX_NAMED])
    if every[MAX_NAMED:]:
        shown += f" and {number_format.pluralize(len(every) - MAX_NAMED, 'other')}"
    return shown


def _own_minimum(facts: _Facts, run: RunResult) -> str:
    name = next((each.name for each in facts.scenarios if any(run is one for one in each.recordings)), run.trace)
    rate, reported = run.ci_run.value(metrics.PASS_RATE), "no pass rate"
    if rate is not None:
        reported = f"a pass rate of {metrics.PASS_RATE.format.write(rate, None)}"
    return (
        f"Sepurux decided `fail` for {json_reader.preview(name)}, although its numbers meet what the gate sent, so it "
        f"seems to apply a minimum of its own; it reports {reported}."
    )


def _exceeds(run: RunResult, gate: Gate) -> bool:
    """Return whether a run exceeds a maximum that the gate sends with several traces."""
    limited = ((run.ci_run.value(metric), gate.limits.get(metric.threshold)) for metric in metrics.SUMS)
    return any(value is not None and limit is not None and value > limit for value, limit in limited)
