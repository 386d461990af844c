"""The results of runs and gates."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from sepurux_action.config.gate import Gate, Trace
from sepurux_action.evaluation.ci_run import CIRun, average, combine
from sepurux_action.evaluation.decision import Check, Decision, Rule, RunDecision, check_thresholds
from sepurux_action.evaluation.enforcement import ApprovalStatus
from sepurux_action.evaluation.failures import Enrichment
from sepurux_action.evaluation.metrics import PASS_RATE, UNSAFE_ATTEMPTS

_RUN_NUMBER = re.compile(r"/runs/([0-9]{1,20})\b", re.ASCII)
MAX_NAMED_TRACES = 10  # failed traces that a reason names; the others are counted


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A workflow run that evaluated a gate. `at` is the POSIX time of its start, in seconds."""

    url: str
    at: float

    @property
    def number(self) -> str:
        found = _RUN_NUMBER.search(self.url)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of one CI run of a gate. `trace_may_be_cause`: an uploaded trace may be why there is no decision.

    `earlier` is the workflow run that started it, None for the present one.
    """

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
    earlier: WorkflowRun | None = None

    @classmethod
    def of(cls, trace: Trace, decided: RunDecision, hint: str) -> Self:
        uploaded = trace.content is not None
        return cls(trace=trace.label, run_decision=decided, hint=hint, trace_may_be_cause=uploaded)

    @property
    def decision(self) -> Decision:
        return self.run_decision.decision


Runs = tuple[RunResult, ...]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The runs of a gate, one for each trace: of its only evaluation, or of the one of two whose ids count.

    If there were two, `evaluations` has the runs of both, the worst first. `confirmation` says what they show, or why
    there is only one although one more was wanted. `recorded`: an earlier workflow run found the `fail`.
    """

    runs: Runs
    evaluations: tuple[Runs, ...] = ()
    confirmation: str = ""
    recorded: RecordedFail | None = None


def combined_numbers(runs: Iterable[RunResult], evaluations: Iterable[Runs]) -> CIRun:
    """Return the first run with each number the worst of all runs, or the mean of two evaluations that decided."""
    if evaluations and all(run.decision.is_decided for each in evaluations for run in each):
        return average([combine([run.run for run in each]) for each in evaluations])
    return combine([run.run for run in runs])


def trace_may_be_cause(runs: Iterable[RunResult]) -> bool:
    """Return whether an uploaded trace may be why one of the runs has no decision, or was not compared."""
    runs = tuple(runs)
    compared = all(run.run_decision.rule is not Rule.BASE_UNREAD for run in runs)
    return any(run.trace_may_be_cause for run in runs if run.decision.is_undecided or not compared)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFail:
    """A `fail` that an earlier workflow run found, so that this one does not evaluate the commit again.

    `link` is that of its commit status, '' without one. The earlier `run` found it `at` a time, a text in UTC; both are
    unknown if only the commit status is left. A re-run evaluates again if it is by one of the `reviewers`; if the gate
    lists none, by `anyone` with write access who is not among the `excluded`. Both are empty if only a new commit is
    evaluated. `by_review`: a review started this run, of which a re-run evaluates nothing.
    """

    link: str = ""
    run: WorkflowRun | None = None
    at: str = ""
    by_review: bool = False
    reviewers: tuple[str, ...] = ()
    anyone: bool = False
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class GateResult(Evaluated):
    """The result of a gate. `approval` is for a failed soft gate of a pull request."""

    gate: Gate
    blocks: bool
    approval: ApprovalStatus | None = None
    notes: tuple[str, ...] = ()
    drops: tuple[Check, ...] = ()
    invalid_policy: bool = False

    def blocked_by_policy(self) -> GateResult:
        """Return the result if the pull request makes the policy invalid: it blocks, and waits for no approval."""
        return replace(self, blocks=True, invalid_policy=True)

    @property
    def needs_approval(self) -> bool:
        waits = self.approval is not None and not self.approval.approved and self.approval.possible
        return waits and not self.invalid_policy

    @cached_property
    def ranked(self) -> tuple[RunResult, ...]:
        return ranked(self.runs, self.gate)

    @property
    def worst(self) -> RunResult:
        return self.ranked[0]

    @cached_property
    def combined(self) -> CIRun:
        """Return the worst run with the numbers of the gate, which all reports use."""
        return combined_numbers(self.ranked, self.evaluations)

    @property
    def checks(self) -> tuple[Check, ...]:
        if self.recorded or not any(run.run_decision.checks for run in self.runs):
            return self.worst.run_decision.checks
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


def ranked(runs: Runs, gate: Gate) -> Runs:
    """Return the runs, the worst first: by decision, then an exceeded `max_unsafe`, then the lowest pass rate."""
    return tuple(sorted(runs, key=lambda run: severity_key(run.decision, run.run, gate)))


def severity_key(decision: Decision, run: CIRun, gate: Gate) -> tuple[int, bool, float]:
    unsafe, allowed = run.value(UNSAFE_ATTEMPTS), gate.limits.get(UNSAFE_ATTEMPTS.threshold)
    exceeded = unsafe is not None and allowed is not None and unsafe > allowed
    rate = run.value(PASS_RATE)
    return decision.rank, not exceeded, math.inf if rate is None else rate
