"""The facts of a report: frozen data without Markdown. Templates turn them into text, `report_json.py` into JSON."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

from sepurux_action.common import grouped
from sepurux_action.config.command_line import command_lines
from sepurux_action.config.options import OnOutage, Stage
from sepurux_action.errors import Problem
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import GateDecision, enforce
from sepurux_action.evaluation.gate_numbers import DROP
from sepurux_action.evaluation.published_result import Results
from sepurux_action.evaluation.runs import Decision, Rule
from sepurux_action.report.context import Context, Dashboard
from sepurux_action.report.state import BY_DECISION, State
from sepurux_action.report.thresholds import Thresholds, written
from sepurux_action.report.what_failed import Found

DAY_S = 86_400
MOST_REPEATED = 10  # traces in a command line


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class GateFacts:
    """The result of a gate, with what a report shows of it: the details only if it is neither `short` nor skipped."""

    result: GateDecision
    context: Context
    short: bool = False

    @property
    def name(self) -> str:
        return self.result.gate.name

    @cached_property
    def state(self) -> State:
        if self.result.needs_approval:
            return State.NEEDS_APPROVAL
        if self.failed and not self.result.blocks:
            return State.NOT_BLOCKING
        if self.result.rule is Rule.CANCELED:
            return State.CANCELED
        return BY_DECISION[self.result.decision]

    @property
    def failed(self) -> bool:
        return self.result.decision is Decision.FAIL

    @property
    def skipped(self) -> bool:
        return self.result.decision is Decision.SKIPPED

    @property
    def passed(self) -> bool:
        return self.skipped or self.result.decision is Decision.PASS

    @property
    def detailed(self) -> bool:
        return not (self.short or self.skipped)

    @cached_property
    def would_block(self) -> bool:
        allowed = self.result.rule is Rule.OUTAGE and self.result.gate.on_outage is OnOutage.ALLOW
        return self.result.blocks or (enforce(self.result.decision, Stage.HARD) and not allowed)

    @property
    def effect(self) -> str:
        """Return what follows if it did not pass: `blocks`, or if it does not block, `approved` or a setting."""
        if self.passed:
            return ""
        if self.result.blocks:
            return "blocks"
        if self.result.approval:
            return "approved"
        if self.result.gate.stage is Stage.OBSERVE:
            return "enforcement: observe"
        return "on_outage: allow"

    @property
    def dashboard(self) -> Dashboard | None:
        return self.context.dashboard(self.result.worst.dashboard_url)

    @property
    def old_traces(self) -> tuple[str, ...]:
        """Return the uploaded traces whose newest event is more than a day older than the commit."""
        committed = self.context.committed
        if committed is None or not self.detailed:
            return ()
        times = ((trace.label, trace.recorded) for trace in self.result.gate.traces)
        return tuple(label for label, at in times if at is not None and at + DAY_S < committed)

    @cached_property
    def reproduction(self) -> tuple[str, ...]:
        """Return the lines of a shell that repeat the scenarios that failed, or all if it is not known which did.

        There are none if they would leave out a scenario or a threshold without which the gate may pass.
        """
        if not self.detailed:
            return ()
        failed = {run.path for each in self.found.failed_scenarios for run in each.recordings}
        traces = tuple(trace for trace in self.result.gate.traces if trace.label in failed) or self.result.gate.traces
        gate, left_out = self.result.gate, {DROP}
        if len(traces) < len(gate.traces):  # these are fewer scenarios, whose mean is another one
            left_out |= {metrics.SCENARIOS.threshold, metrics.RELIABILITY_SCORE.threshold}
            limits = {name: each for name, each in gate.limits.items() if name not in left_out}
            gate = replace(gate, traces=traces, limits=limits)
        if len(traces) > MOST_REPEATED or left_out & {check.threshold for check in self.result.missed}:
            return ()
        return tuple(command_lines(gate, self.context.base_url_host))

    # -- the parts of a report --------------------------------------------------------------------------------------

    @property
    def base_results(self) -> Results:
        return self.context.base_results.get(self.name, ())

    @cached_property
    def thresholds(self) -> Thresholds:
        return Thresholds(result=self.result, base_results=self.base_results)

    @property
    def pass_rate(self) -> str:
        return written(self.result.gate, metrics.PASS_RATE, self.result.value(metrics.PASS_RATE))

    @cached_property
    def found(self) -> Found:
        return Found(result=self.result, context=self.context, detailed=self.detailed)


@dataclass(frozen=True, slots=True)
class Note:
    """A remark."""

    text: Annotated[str, "The sentence."]
    gates: Annotated[tuple[str, ...], "Names of the gates that it is about, empty for all."] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report on gates, the most important first, or on `problems` in the settings; `short` after a signal.

    With gates, the problems are those that the pull request brings into the policy file.
    """

    context: Context
    gates: tuple[GateFacts, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()
    short: bool = False

    @property
    def acting(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.result.blocks)

    @property
    def failed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.failed)

    @property
    def blocking(self) -> tuple[GateFacts, ...]:
        """Return the gates that block, and that no approval can help."""
        return tuple(gate for gate in self.acting if not gate.result.needs_approval)

    def in_state(self, state: str) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.state == state)

    @property
    def passed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.passed)

    @property
    def not_passed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)


def build_report(results: Sequence[GateDecision], context: Context) -> Report:
    """Return the report on gates, the worst first."""
    facts = (GateFacts(result=result, context=context) for result in results)
    return Report(context=context, gates=tuple(sorted(facts, key=_severity)), notes=tuple(_notes(results)))


def _severity(gate: GateFacts) -> tuple[float, ...]:
    """Return a key that sorts the worst gate first: by what follows, an exceeded `max_unsafe`, the lowest pass rate."""
    result, rate = gate.result, gate.result.value(metrics.PASS_RATE)
    is_safe = metrics.UNSAFE_ATTEMPTS.threshold not in {check.threshold for check in result.missed}
    return not result.blocks, gate.state.rank, result.decision.rank, is_safe, math.inf if rate is None else rate


def shortened(report: Report) -> Report:
    """Return a report that takes little time to write: it leaves out what failed and the history."""
    gates = tuple(GateFacts(result=gate.result, context=report.context, short=True) for gate in report.gates)
    return replace(report, gates=gates, notes=(), short=True)


def _notes(results: Sequence[GateDecision]) -> Iterable[Note]:
    """Yield each note once, with the names of its gates unless it applies to all."""
    named = dict.fromkeys(
        (note, result.gate.name)
        for result in results
        for note in (*result.notes, *(run.note for run in result.runs if run.note))
    )
    for note, names in grouped(named).items():
        yield Note(note, tuple(names) if len(names) < len(results) else ())
