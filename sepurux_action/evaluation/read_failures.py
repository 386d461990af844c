"""Reads what failed: numbers and failures of each scenario (docs/reference.md#scenarios-and-numbers)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import quote

from sepurux_action.common import json_reader
from sepurux_action.evaluation import api, runs
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.engine import Engine
from sepurux_action.evaluation.gate_numbers import scenarios_of
from sepurux_action.evaluation.metrics import FAILURES, SCENARIOS
from sepurux_action.evaluation.runs import Decision, Run, numbers_key

SCENARIOS_S = 20.0  # the numbers and failures of each scenario, for all gates together
MAX_RUNS = 100  # of a batch whose numbers are read
MAX_NAMES = 20  # traces of a step whose names are read


class RunReader:
    """Reads responses about one CI run of an evaluation into `run`, by calls that must end by a time."""

    def __init__(self, engine: Engine, until: float, project: str, run: Run) -> None:
        self.run, self._project, self._send = run, project, partial(engine.send, until=until)

    def read_numbers(self) -> None:
        result = self._send(api.poll_run(run_id=self.run.run_id, batch_id="", project=self._project))
        if result.error or runs.wrong_shape(result.payload, self.run):
            self.run = replace(self.run, unread=True)
            return
        trace_id = json_reader.identifier(json_reader.at(result.payload, "trace_id"))
        # Hundreds of lists of names would take much memory.
        read = replace(runs.parse_run(result.payload, self.run), categories=None, failing_tools={})
        self.run = replace(runs.decide(read), trace_id=trace_id)

    def read_failures(self) -> None:
        """Read the first page of the classified failures. An empty one is complete only if the run reports none.

        Without a trace of its own, their trace is the run's.
        """
        run, reported = self.run, self.run.value(FAILURES)
        payload = self._send(api.classified_failures(run.campaign_id, run.run_id, self._project)).payload
        of_run = isinstance(payload, list) and all(
            isinstance(each, dict)
            and each.get("campaign_id") in (None, run.campaign_id)  # a value may not be hashable
            and each.get("run_id") in (None, run.run_id)
            for each in payload
        )
        listed = runs.parse_failures(payload) if of_run else ()
        complete = 0 < len(listed) < api.FAILURES_PAGE if reported is None else len(listed) >= reported
        trace_id = run.trace_id or next((each.trace_id for each in listed if each.trace_id), "")
        flaky = bool(run.trace.flaky)
        named = (replace(each, trace_id=run.path or each.trace_id or trace_id, flaky=flaky) for each in listed)
        self.run = replace(run, trace_id=trace_id, failures=runs.merge_failures(named), unread=not complete)

    def read_name(self) -> None:
        path = f"/v1/traces/{quote(self.run.trace_id, safe='')}"
        result = self._send(api.ApiRequest(path=path, purpose="the trace", project=self._project))
        self.run = replace(self.run, name=json_reader.text(result.payload, "task_name"))


def read_scenarios(gates: Sequence[GateDecision], engine: Engine, *, with_passed: bool) -> tuple[GateDecision, ...]:
    """Return each gate with its scenarios, and with their failures unless it passed, the worst run first.

    `with_passed` reads those of gates that passed too. Raises Interrupted.
    """
    until, readers = engine.now() + SCENARIOS_S, list[list[list[RunReader]]]()  # by gate, then by its runs
    for decided in gates:
        chosen = decided.runs if with_passed or decided.decision is not Decision.PASS else ()
        reader, of_gate = partial(RunReader, engine, until, decided.gate.project), list[list[RunReader]]()
        for run in chosen:
            run_ids, of_run = run.run_ids or tuple(filter(None, [run.run_id])), list[Run]()
            if run.evaluated and len(run_ids) == 1:  # that of one scenario
                of_run = [replace(run, run_id=run_ids[0])]
            elif run.evaluated and not decided.gate.names_traces:
                of_run = [Run(run_id=run_id, campaign_id=run.campaign_id) for run_id in run_ids[:MAX_RUNS]]
            of_gate.append([*map(reader, of_run)])
        readers.append(of_gate)
    every = [each for of_gate in readers for of_run in of_gate for each in of_run]
    engine.share([each for each in every if not each.run.evaluated], RunReader.read_numbers)
    every.sort(key=lambda each: numbers_key(each.run.value))
    engine.share([each for each in every if each.run.evaluated and each.run.reported], RunReader.read_failures)
    unnamed = [each for each in every if each.run.failed and each.run.trace_id and not each.run.path]
    engine.share(unnamed[:MAX_NAMES], RunReader.read_name)
    return tuple(
        with_failures(decided, [[each.run for each in of_run] for of_run in of_gate])
        for decided, of_gate in zip(gates, readers, strict=True)
    )


def with_failures(decided: GateDecision, read: Sequence[Sequence[Run]]) -> GateDecision:
    """Return a decision with its scenarios, the worst first, and a batch's failures, of what was `read` of each run.

    The failures of traces are added when they are compared with the base.
    """
    gate, known, of_batch, failures_unread, scenarios_unread = decided.gate, list[Run](), tuple[Run, ...](), 0, 0
    if not read:
        return replace(decided, scenarios=decided.known_scenarios)
    for run, of_run in zip(decided.runs, read, strict=True):
        if run.evaluated:
            listed = sum(failure.count for each in of_run for failure in each.failures)
            failures_unread += max(0, int(run.value(FAILURES) or 0) - listed)
        if len(of_run) == 1:
            known.append(of_run[0])
        elif gate.names_traces:
            known.append(replace(run, unread=run.evaluated and run.reported > 0))
        else:
            known.append(run)
            of_batch = tuple(of_run)
            if run.evaluated:
                scenarios_unread += max(0, int(run.value(SCENARIOS) or 1) - len(of_run))
    scenarios = [*scenarios_of(gate, tuple(known), of_batch)]
    scenarios.sort(key=lambda each: (bool(each.flaky), not each.failed, *numbers_key(each.value)))
    scenarios_unread += sum(any(run.unread for run in each.recordings) for each in scenarios)
    read_after = replace(decided, scenarios=tuple(scenarios), scenarios_unread=scenarios_unread)
    of_runs = (failure for of_run in read for run in of_run for failure in run.failures)
    failures = () if gate.names_traces else runs.merge_failures(of_runs)
    return replace(read_after, failures=failures, failures_unread=failures_unread)
