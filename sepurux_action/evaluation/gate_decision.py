"""Decides a gate, from its runs, its thresholds and drops, and the base: by the first of ROWS that matches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sepurux_action.config.command_line import at_source
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.ci_run import CIRun, combine
from sepurux_action.evaluation.decision import (
    HOWEVER,
    NEXT_STEPS,
    Check,
    CheckState,
    Decision,
    Rule,
    check_thresholds,
)
from sepurux_action.evaluation.drops import DROPS, Base, check_drops
from sepurux_action.evaluation.metrics import SCENARIOS, summary
from sepurux_action.evaluation.runs import RunResult, Runs, severity_key

MAX_NAMED_TRACES = 10  # failed traces that a reason names; the others are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """The decision on a gate, and all that it follows from; nothing else decides a gate or computes its numbers.

    `runs` are in the order of the traces; ids and links are those of the `worst`, which has this index. `numbers` are
    those of the gate, `checks` its thresholds and then its drops. `detail` is the reason without trace and without
    what the title of a report shows.
    """

    decision: Decision
    rule: Rule
    reason: str
    runs: Runs
    worst_index: int = 0
    hint: str = ""
    detail: str = ""
    numbers: CIRun = CIRun()
    checks: tuple[Check, ...] = ()

    @property
    def worst(self) -> RunResult:
        return self.runs[self.worst_index]

    @property
    def is_suspect(self) -> bool:
        """Return whether an uploaded trace may be why the gate or one of its runs has no decision."""
        if self.rule is Rule.BASE_UNREAD:
            return any(run.trace_may_be_cause for run in self.runs)
        of_gate = self.worst if self.decision.is_undecided else None
        return any(run.trace_may_be_cause for run in self.runs if run.decision.is_undecided or run is of_gate)

    @property
    def missed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.state is CheckState.MISSED)


@dataclass(frozen=True, slots=True)
class _Facts:
    gate: Gate
    runs: Runs
    drops: tuple[Check, ...]
    base: Base


@dataclass(frozen=True, slots=True)
class _Found:
    """What a row decides. `by` is the run that it is about, with a `reason` that does not name its trace."""

    decision: Decision
    rule: Rule
    reason: str
    by: RunResult
    hint: str = ""
    detail: str = ""


def decide_gate(gate: Gate, runs: Runs, base: Base) -> GateDecision:
    """Return the decision on a gate; some of its runs may be undecided."""
    drops = tuple(check_drops(combine([run.run for run in runs]), gate, base))
    found = next(found for row in ROWS if (found := row(_Facts(gate, runs, drops, base))))

    def decision_of(run: RunResult) -> Decision:
        return found.decision if run is found.by else run.decision

    worst, *others = sorted(runs, key=lambda run: severity_key(decision_of(run), run.run, gate))
    failed = [run for run in others if decision_of(run) is Decision.FAIL]
    if worst is not found.by:
        found = _of_run(worst)
    numbers = combine([run.run for run in (worst, *others)])
    uncompared = found.decision is Decision.SKIPPED or all(run.run_decision.rule is Rule.CANCELLED for run in runs)
    return GateDecision(
        decision=found.decision,
        rule=found.rule,
        reason=with_traces(found.reason, runs, worst, failed),
        runs=runs,
        worst_index=runs.index(worst),
        hint=at_source(found.hint, gate),
        detail=found.detail if found.decision is Decision.PENDING else found.detail or found.reason,
        numbers=numbers,
        checks=() if uncompared else (*check_thresholds(numbers, gate), *drops),
    )


def compared_again(decided: GateDecision, gate: Gate, base: Base) -> GateDecision:
    """Return a decision of an earlier workflow run, with its numbers compared unless a drop decided it."""
    by_drop = decided.rule in {Rule.DROPPED, Rule.FAILED_TWICE}
    drops = () if by_drop else check_drops(decided.numbers, gate, base)
    return replace(decided, checks=(*check_thresholds(decided.numbers, gate), *drops))


def with_traces(reason: str, runs: Runs, worst: RunResult, failed: Sequence[RunResult]) -> str:
    """Return the reason of the worst run. Of several, it has the name of its trace, and those of others that failed."""
    if len(runs) == 1:
        return reason
    reason, names = f"{worst.trace}: {reason}", [run.trace for run in failed]
    if not names:
        return reason
    more = f" and {len(names) - MAX_NAMED_TRACES} more" if len(names) > MAX_NAMED_TRACES else ""
    return f"{reason.removesuffix('.')}; also failed: {', '.join(names[:MAX_NAMED_TRACES])}{more}."


def _of_run(run: RunResult) -> _Found:
    decided = run.run_decision
    return _Found(decided.decision, decided.rule, decided.reason, run, run.hint, decided.detail)


# -- the rows ---------------------------------------------------------------------------------------------------------


def _too_few_scenarios(facts: _Facts) -> _Found | None:
    gate = facts.gate
    traces, needed = len(gate.traces), gate.limits.get(SCENARIOS.threshold, 0)
    passed = (run for run in facts.runs if run.run_decision.rule in {Rule.DECIDED_PASS, Rule.PASS_WITHOUT_NUMBERS})
    run = next(passed, None)
    if not gate.names_traces or traces >= needed or run is None:
        return None
    reason = f"{HOWEVER} the gate has {SCENARIOS.sentence(traces, needed)}."
    return _Found(Decision.FAIL, Rule.TOO_FEW_TRACES, reason, run, NEXT_STEPS[Rule.TOO_FEW_TRACES])


def _not_passed(facts: _Facts) -> _Found | None:
    worst = min(facts.runs, key=lambda run: severity_key(run.decision, run.run, facts.gate))
    return _of_run(worst) if any(run.decision is not Decision.PASS for run in facts.runs) else None


def _dropped(facts: _Facts) -> _Found | None:
    missed = [check for check in facts.drops if check.state is CheckState.MISSED]
    return _by_drops(facts, missed, Decision.FAIL, Rule.DROPPED) if missed else None


def _not_compared(facts: _Facts) -> _Found | None:
    unknown = [check for check in facts.drops if check.required_for_pass]
    rule = Rule.NOT_COMPARED if facts.base.baseline else Rule.BASE_UNREAD
    return _by_drops(facts, unknown, Decision.ERROR, rule) if unknown else None


def _by_drops(facts: _Facts, drops: Sequence[Check], decision: Decision, rule: Rule) -> _Found:
    told = "; ".join(dict.fromkeys(check.sentence for check in drops))
    hint = NEXT_STEPS.get(rule, "") if facts.base.baseline else facts.base.hint
    return _Found(decision, rule, f"{HOWEVER} {told}.", _lowest(facts.runs, drops[0]), hint)


def _passed(facts: _Facts) -> _Found:
    """Return the pass of the worst run; if a drop is not within its limit, with a remark on it."""
    worst = min(facts.runs, key=lambda run: severity_key(run.decision, run.run, facts.gate))
    found, others = _of_run(worst), [check for check in facts.drops if check.state is not CheckState.MET]
    remarks = (check.sentence for check in others if _lowest(facts.runs, check) is worst)
    parts = "; ".join(filter(None, (summary(worst.run.numbers), *remarks))) if others else ""
    reason = f"{parts[0].upper()}{parts[1:]}." if parts else found.reason
    return _Found(found.decision, found.rule, reason, worst, found.hint, found.detail)


def _lowest(runs: Iterable[RunResult], drop: Check) -> RunResult:
    metric = DROPS[drop.threshold]
    return min(runs, key=lambda run: math.inf if (value := run.run.value(metric)) is None else value)


ROWS: tuple[Callable[[_Facts], _Found | None], ...] = (
    _too_few_scenarios,
    _not_passed,
    _dropped,
    _not_compared,
    _passed,
)
