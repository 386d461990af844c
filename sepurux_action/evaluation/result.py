"""The results of runs and gates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.ci_run import CIRun, combine
from sepurux_action.evaluation.decision import Check, Decision, Rule, RunDecision, check_thresholds
from sepurux_action.evaluation.enforcement import ApprovalStatus
from sepurux_action.evaluation.failures import Enrichment
from sepurux_action.evaluation.metrics import PASS_RATE, UNSAFE_ATTEMPTS

MAX_NAMED_TRACES = 10  # failed traces that a reason names; the others are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of one CI run of a gate. `trace_may_be_cause`: an uploaded trace may be why there is no decision."""

    trace: str
    run_decision: RunDecision
    run: CIRun = CIRun()
    campaign_id: str = ""
    trace_id: str = ""
    run_id: str = ""
    batch_id: str = ""
    enrichment: Enrichment = Enrichment()
    hint: str = ""
    elapsed_s: float = 0
    trace_may_be_cause: bool = False

    @property
    def decision(self) -> Decision:
        return self.run_decision.decision


Runs = tuple[RunResult, ...]


def trace_may_be_cause(runs: Iterable[RunResult]) -> bool:
    """Return whether an uploaded trace may be why one of the runs has no decision, or was not compared."""
    runs = tuple(runs)
    compared = all(run.run_decision.rule is not Rule.BASE_UNREAD for run in runs)
    return any(run.trace_may_be_cause for run in runs if run.decision.is_undecided or not compared)


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class GateResult:
    """The result of a gate: its runs, one for each trace. `approval` is for a failed soft gate of a pull request."""

    gate: Gate
    runs: tuple[RunResult, ...]
    blocks: bool
    approval: ApprovalStatus | None = None
    notes: tuple[str, ...] = ()
    drops: tuple[Check, ...] = ()

    @property
    def needs_approval(self) -> bool:
        return self.approval is not None and not self.approval.approved and self.approval.possible

    @cached_property
    def ranked(self) -> tuple[RunResult, ...]:
        """Return the runs, the worst first: by decision, then an exceeded `max_unsafe`, then the lowest pass rate."""
        return tuple(sorted(self.runs, key=lambda run: severity_key(run.decision, run.run, self.gate)))

    @property
    def worst(self) -> RunResult:
        return self.ranked[0]

    @cached_property
    def combined(self) -> CIRun:
        """Return the worst run with each number replaced by the worst of all runs. All reports use these numbers."""
        return combine([run.run for run in self.ranked])

    @property
    def checks(self) -> tuple[Check, ...]:
        if not any(run.run_decision.checks for run in self.runs):
            return ()
        return (*check_thresholds(self.combined, self.gate), *self.drops)

    @property
    def severity_key(self) -> tuple[int, bool, float]:
        return severity_key(self.decision, self.combined, self.gate)

    @property
    def decision(self) -> Decision:
        return self.worst.decision

    @property
    def reason(self) -> str:
        """Return the reason in one sentence. With several traces it names the worst one and all others that failed."""
        worst, *others = self.ranked
        if not others:
            return worst.run_decision.reason
        reason = f"{worst.trace}: {worst.run_decision.reason}"
        failed = [run.trace for run in others if run.decision is Decision.FAIL]
        if not failed:
            return reason
        more = f" and {len(failed) - MAX_NAMED_TRACES} more" if len(failed) > MAX_NAMED_TRACES else ""
        return f"{reason.removesuffix('.')}; also failed: {', '.join(failed[:MAX_NAMED_TRACES])}{more}."


def severity_key(decision: Decision, run: CIRun, gate: Gate) -> tuple[int, bool, float]:
    unsafe, allowed = run.value(UNSAFE_ATTEMPTS), gate.limits.get(UNSAFE_ATTEMPTS.threshold)
    exceeded = unsafe is not None and allowed is not None and unsafe > allowed
    rate = run.value(PASS_RATE)
    return decision.rank, not exceeded, math.inf if rate is None else rate
