"""Evaluates all gates of a step: polls all of their runs, and decides. Source: docs/architecture.md."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from sepurux_action.common import number_format
from sepurux_action.config.settings import Gate
from sepurux_action.errors import DEFECTS, REPORT_DEFECT, describe_defect
from sepurux_action.evaluation import schedule
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.evaluation.decision import GateDecision, decide_gate
from sepurux_action.evaluation.gate_numbers import Base
from sepurux_action.evaluation.read_failures import nothing_read, read_scenarios
from sepurux_action.evaluation.run_poller import RunPoller
from sepurux_action.evaluation.runs import Runs
from sepurux_action.host.output import Output

MOST_NAMED = 3  # runs in a line of the log


@dataclass(eq=False)
class StepEvaluation:
    """The evaluation of all gates. What failed is read of those that did not pass, and if results are `kept` of all."""

    compared: Sequence[tuple[Gate, Base]]
    metadata: Mapping[str, object]
    calls: ApiCalls
    output: Output
    kept: bool = False

    def __post_init__(self) -> None:
        self.gates = {gate.name: gate for gate, _ in self.compared}
        self._bases = {gate.name: base for gate, base in self.compared}
        self._longest_timeout_s = max(gate.timeout_s for gate in self.gates.values())
        self.claimed = dict[str, object]()
        self._pollers: list[RunPoller] = []

    def evaluate(self) -> Mapping[str, GateDecision]:
        """Return the results by gate, with the runs in the order of the traces. A backend's failure is a result."""
        return self.calls.until_complete(self._evaluate())

    async def _evaluate(self) -> Mapping[str, GateDecision]:
        self.calls.begin(self.gates.values(), self._show_progress, self.output.progress)
        found = await self._poll()
        decided = {name: decide_gate(self.gates[name], runs, self._bases[name]) for name, runs in found.items()}
        return await self._with_what_failed(decided)

    async def _poll(self) -> dict[str, Runs]:
        """Return the results of the runs of each gate."""
        self._pollers = [RunPoller(self, gate, trace) for gate in self.gates.values() for trace in gate.traces]
        pending = {asyncio.create_task(poller.evaluate()) for poller in self._pollers}
        self.calls.cancel_on_signal(pending)
        self._show_progress()
        while pending:
            done, pending = await asyncio.wait(
                pending, timeout=schedule.HEARTBEAT_S, return_when=asyncio.FIRST_EXCEPTION
            )
            errors = [error for task in done if not task.cancelled() and (error := task.exception())]
            if errors:  # of pollers that were not expected to raise one
                raise errors[0]
            if pending:
                self._log_heartbeat()
        return {name: tuple(each.run for each in self._pollers if each.gate.name == name) for name in self.gates}

    async def _with_what_failed(self, decided: Mapping[str, GateDecision]) -> dict[str, GateDecision]:
        """Return the results with what is read about the gates, or with what is known after a signal or a defect."""
        self.output.wait("reading what failed", schedule.SCENARIOS_S)
        reading = asyncio.create_task(read_scenarios([*decided.values()], self.calls, kept=self.kept))
        self.calls.cancel_on_signal([reading])
        found = tuple(map(nothing_read, decided.values()))
        try:
            with suppress(asyncio.CancelledError):
                found = await reading
        except DEFECTS as defect:
            self.output.log(f"{describe_defect(defect)}. {REPORT_DEFECT}")
        return {
            name: replace(each, what_failed=read) for (name, each), read in zip(decided.items(), found, strict=True)
        }

    # -- progress -----------------------------------------------------------------------------------------------------

    def _show_progress(self) -> None:
        pollers, error = self._pollers, self.calls.last_error
        what = f"{pollers[0].gate.name}: {pollers[0].phase}"
        if len(pollers) > 1:
            done = f"{sum(each.complete for each in pollers)} of {len(pollers)}"
            noun = "scenarios" if len({each.trace.scenario for each in pollers}) == len(pollers) else "recordings"
            what = f"{pollers[0].gate.name}: {done} {noun} decided"
            if any(each.gate is not pollers[0].gate for each in pollers):
                what = f"{done} runs decided"
        if error:
            what = f"{error.reason}; {what}"
        self.output.wait(what, self._left)

    @property
    def _left(self) -> float:
        return max(0.0, self._longest_timeout_s - self.calls.elapsed())

    def _log_heartbeat(self) -> None:
        elapsed, left = map(number_format.duration, (self.calls.elapsed(), self._left))
        names = [each.label or each.gate.name for each in self._pollers if not each.complete]
        more = f", and {len(names) - MOST_NAMED} more" if names[MOST_NAMED:] else ""
        waiting = f"waiting for {', '.join(names[:MOST_NAMED])}{more}"
        self.output.progress(f"{waiting}: {elapsed} elapsed, at most {left} left")
