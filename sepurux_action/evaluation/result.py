"""The result of a gate: how it was decided, and what follows from it."""

from dataclasses import dataclass, field

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.command_line import in_workflow
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import Decision, Rule, RunDecision
from sepurux_action.evaluation.enforcement import ApprovalStatus
from sepurux_action.evaluation.gate_decision import GateDecision
from sepurux_action.evaluation.metrics import UNSAFE_ATTEMPTS, summary
from sepurux_action.evaluation.published_result import PreviousResult, parse_description, published_numbers
from sepurux_action.evaluation.runs import RunResult, WhatFailed, severity_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated(GateDecision):
    """How a gate was decided, and what failed. `link` is that of the status that records the decision, else ''."""

    what_failed: WhatFailed = field(default_factory=WhatFailed)
    link: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", in_workflow(self.reason))

    @property
    def recorded(self) -> bool:
        """Return whether an earlier run decided, of which only the commit's status is left."""
        return self.rule is Rule.RECORDED


def of_status(description: str, link: str, dashboard_url: str) -> Evaluated:
    """Return the decision that a commit's status records: its numbers, and its page at Sepurux, '' if it has none."""
    published, decision = parse_description(description), Decision(description.partition(" ")[0])
    numbers = {name: Reading(value) for name, value in published.numbers.items()} if published else {}
    shown = summary(numbers)
    reason = f"An earlier run evaluated this commit, and it {decision}ed{shown and f': {shown}'}."
    run = CIRun(decision=decision.value, numbers=numbers, dashboard_url=dashboard_url)
    worst = RunResult(ci_run=run, run_decision=RunDecision(decision=decision, reason=reason, rule=Rule.RECORDED))
    return Evaluated(decision=decision, rule=Rule.RECORDED, reason=reason, runs=(worst,), numbers=run, link=link)


@dataclass(frozen=True, kw_only=True)
class GateResult(Evaluated):
    """The result of a gate. `approval` is for a failed soft gate of a pull request."""

    gate: Gate
    blocks: bool
    approval: ApprovalStatus | None = None
    notes: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        return self.approval is not None and self.approval.approved

    @property
    def needs_approval(self) -> bool:
        return self.approval is not None and not self.approved

    @property
    def severity_key(self) -> tuple[int, bool, float]:
        """Return a key that sorts the worst gate first: by decision, an exceeded `max_unsafe`, the lowest pass rate."""
        rank, rate = severity_key(self.decision, self.numbers)
        return rank, UNSAFE_ATTEMPTS.threshold not in {check.threshold for check in self.missed}, rate


def summarize(result: GateResult) -> PreviousResult:
    numbers = published_numbers(result.numbers, result.gate)
    return PreviousResult(decision=result.decision, stage=result.gate.stage, numbers=numbers)
