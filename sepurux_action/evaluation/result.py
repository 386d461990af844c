"""The result of a gate: how it was decided, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.checks import Check
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import Decision, Rule
from sepurux_action.evaluation.enforcement import ApprovalStatus
from sepurux_action.evaluation.gate_decision import GateDecision
from sepurux_action.evaluation.metrics import UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import PreviousResult, published_numbers
from sepurux_action.evaluation.runs import RunResult, Runs, WhatFailed, WorkflowRun, severity_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A `fail` that an earlier workflow run found `at` a time, a text in UTC, and that is not evaluated again.

    A re-run by one of the gate's `reviewers` who can approve starts a new evaluation; if the gate lists none, one by
    anyone with write access but the `author`. On `pull_request_review`, `by_rerun` is false.
    """

    run: WorkflowRun
    at: str
    by_rerun: bool
    reviewers: tuple[str, ...] = ()
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """How a gate was decided. If it was evaluated twice, `evaluations` has both, the first one first.

    `confirmation` says what they show, or why there is only one although one more was wanted. With a `standing`, an
    earlier workflow run evaluated the gate.
    """

    decided: GateDecision
    what_failed: WhatFailed = field(default_factory=WhatFailed)
    evaluations: tuple[GateDecision, ...] = ()
    confirmation: str = ""
    standing: Standing | None = None

    @property
    def decision(self) -> Decision:
        return self.decided.decision

    @property
    def reason(self) -> str:
        return self.decided.reason

    @property
    def rule(self) -> Rule:
        return self.decided.rule

    @property
    def hint(self) -> str:
        return self.decided.hint

    @property
    def runs(self) -> Runs:
        return self.decided.runs

    @property
    def worst(self) -> RunResult:
        return self.decided.worst

    @property
    def numbers(self) -> CIRun:
        return self.decided.numbers

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.decided.checks


@dataclass(frozen=True, kw_only=True)
class GateResult(Evaluated):
    """The result of a gate. `approval` is for a failed soft gate of a pull request."""

    gate: Gate
    blocks: bool
    approval: ApprovalStatus | None = None
    notes: tuple[str, ...] = ()
    invalid_policy: bool = False

    def blocked_by_policy(self) -> GateResult:
        """Return the result if the pull request makes the policy invalid: it blocks, and waits for no approval."""
        return replace(self, blocks=True, invalid_policy=True)

    @property
    def needs_approval(self) -> bool:
        waits = self.approval is not None and not self.approval.approved and self.approval.possible
        return waits and not self.invalid_policy

    @property
    def severity_key(self) -> tuple[int, bool, float]:
        """Return a key that sorts the worst gate first: by decision, an exceeded `max_unsafe`, the lowest pass rate."""
        rank, rate = severity_key(self.decision, self.numbers)
        return rank, UNSAFE_ATTEMPTS.threshold not in {check.threshold for check in self.decided.missed}, rate


def summarize(result: GateResult) -> PreviousResult:
    numbers = published_numbers(result.numbers, result.gate)
    return PreviousResult(decision=result.decision, stage=result.gate.stage, numbers=numbers)
