"""Reads the numbers and the failures of each scenario of an evaluation. Source: docs/configuration.md#scenarios."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from sepurux_action.common import json_reader
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import ApiRequest, Success, TransientError
from sepurux_action.evaluation.api_calls import ApiCalls, at_once
from sepurux_action.evaluation.ci_run import wrong_shape
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.failures import FEWER_LISTED, merge_failures, parse_failures
from sepurux_action.evaluation.gate_decision import GateDecision
from sepurux_action.evaluation.metrics import FAILURES, SCENARIOS, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.pooled_numbers import scenarios_of
from sepurux_action.evaluation.run_calls import run_of_batch
from sepurux_action.evaluation.runs import RunResult, WhatFailed, numbers_key, severity_key

MAX_REQUESTS = 500  # of all gates of a step together
MAX_NUMBERS = 400  # scenarios of these gates whose numbers are read
MAX_NAMES = 20  # traces of these gates whose names are read
MAX_KINDS = 1_000  # of classified failures that a step keeps; a summary shows 500 of a gate
MIN_KINDS = 10  # that each scenario may keep, however many a step has; a comment shows as many of a gate at once
MAX_FAILED_CALLS = 3
MAX_LISTED_FAILURES = 5_000  # of one CI run
TOO_MANY_REQUESTS = f"a step makes at most {MAX_REQUESTS} requests for it"
UNKNOWN_RUN = "the gate does not know the CI run of each scenario"


class Reader:
    """Sends calls that no decision depends on, each once, within MAX_REQUESTS and SCENARIOS_S.

    The third call that fails without a `Retry-After` ends the reading, and so does one with a longer wait than is left.
    """

    def __init__(self, calls: ApiCalls) -> None:
        self._calls = calls
        self._until = calls.now() + schedule.SCENARIOS_S
        self._left = MAX_REQUESTS
        self._failed = 0
        self._ended = ""

    async def read(self, call: ApiRequest, problem: Callable[[object], str] = lambda _: "") -> tuple[object, str]:
        """Return the payload of a call, or a clause that says why there is none: the call failed, or a `problem`."""
        if self._ended or not self._left:
            return None, self._ended or TOO_MANY_REQUESTS
        self._left -= 1
        result = await self._calls.send(call, self._until)
        if isinstance(result, Success):
            reason = problem(result.payload)
            if not reason:
                return result.payload, ""
        else:
            reason = f"a request failed: {result.reason.rstrip('.')}"
        waits = isinstance(result, TransientError) and result.sent and result.retry_after_s is not None
        self._failed += not waits  # the calls after it wait, and several get this response at once
        if self._failed >= MAX_FAILED_CALLS or (isinstance(result, TransientError) and not result.sent):
            self._ended = reason
        return None, reason


class RunReader:
    """Reads one CI run of an evaluation into `run`. What could not be read is its `problem`."""

    def __init__(self, reader: Reader, project: str, campaign: str, run: RunResult) -> None:
        self.run = run
        self._reader, self._project, self._campaign = reader, project, campaign

    async def read_numbers(self) -> None:
        call = api.poll_run(run_id=self.run.run_id, batch_id="", project=self._project)
        problem = partial(wrong_shape, run_id=self.run.run_id, batch_id="", campaign_id=self._campaign)
        payload, why = await self._reader.read(call, problem)
        self.run = run_of_batch(self.run.run_id, payload, why)

    async def read_failures(self, max_kinds: int) -> None:
        """Read the classified failures, page by page until all that the run reports are known, or none is new.

        Without a trace of its own, their trace is the run's. An empty list is complete only if the run reports 0.
        """
        run, run_id, reported = self.run, self.run.run_id, self.run.ci_run.value(FAILURES)
        problem = partial(wrong_list, campaign_id=self._campaign, run_id=run_id)
        seen: set[object] = set()
        offset, kinds, left_out, missing = 0, run.failures, 0, ""
        while len(seen) <= MAX_LISTED_FAILURES:
            call = api.classified_failures(self._campaign, run_id, self._project, offset)
            payload, missing = await self._reader.read(call, problem)
            page = [*json_reader.as_array(payload)][:MAX_LISTED_FAILURES]
            new = {key: entry for key, entry in map(_keyed, enumerate(page)) if key not in seen}
            if not new:
                break
            seen |= new.keys()
            offset += len(page)
            kinds, dropped = merge_failures((*kinds, *parse_failures([*new.values()])), max_kinds)
            left_out += dropped
            if reported is not None and len(seen) >= reported and len(page) < api.FAILURES_PAGE:
                break
        else:
            missing = f"Sepurux lists more than {MAX_LISTED_FAILURES:,} failures"
        if len(seen) < (1 if reported is None else reported):
            missing = missing or FEWER_LISTED
        trace_id = run.trace_id or next((each.trace_id for each in kinds if each.trace_id), "")
        named = (replace(each, trace_id=run.path or each.trace_id or trace_id) for each in kinds)
        self.run = replace(
            run,
            trace_id=trace_id,
            name=run.name or trace_id,
            failures=merge_failures(named)[0],
            listed=len(seen),
            left_out=left_out,
            problem=missing,
        )

    async def read_name(self) -> None:
        call = api.show_trace(self.run.trace_id, self._project)
        payload, _ = await self._reader.read(call)
        name = json_reader.text(json_reader.at(payload, "task_name"))
        self.run = replace(self.run, name=name or self.run.name)


def wrong_list(payload: object, *, campaign_id: str, run_id: str) -> str:
    """Return why a response is not a page of a run's classified failures, as a clause; '' if it is."""
    if not isinstance(payload, list) or not all(isinstance(item, dict) for item in payload):
        return "Sepurux sent no list of failures"
    for name, value in (("campaign_id", campaign_id), ("run_id", run_id)):
        if any(item.get(name) not in (None, value) for item in payload):
            return f"Sepurux listed failures of another {name.removesuffix('_id')}"
    return ""


def _keyed(entry: tuple[int, object]) -> tuple[object, object]:
    """Return an entry of a page after its key: its id, or without one its place on the page and its content."""
    index, content = entry
    failure_id = json_reader.identifier(json_reader.at(content, "failure_id"))
    return failure_id or (index, hash(parse_failures([content]))), content


async def read_scenarios(gates: Sequence[tuple[Gate, GateDecision]], calls: ApiCalls) -> tuple[WhatFailed, ...]:
    """Return the scenarios of each gate and their failures. The worst gate and scenarios are read first.

    Nothing is read for a gate that passed and reports no failure and no unsafe attempt.
    """
    reader, readers = Reader(calls), list[list[list[RunReader]]]()  # by gate, then by its runs
    for gate, decided in gates:
        failed = decided.decision is not Decision.PASS or any(map(decided.numbers.value, (FAILURES, UNSAFE_ATTEMPTS)))
        readers.append([_readers_of(run, reader, gate) for run in decided.runs if failed])
    severity = [severity_key(decided.decision, decided.numbers) for _, decided in gates]
    worst_first = sorted(range(len(gates)), key=severity.__getitem__)
    by_gate = [[*chain.from_iterable(readers[index])] for index in worst_first]
    without = [each for each in chain.from_iterable(by_gate) if not each.run.evaluated]
    await at_once(each.read_numbers for each in without[:MAX_NUMBERS])
    for each in without[MAX_NUMBERS:]:
        each.run = RunResult(run_id=each.run.run_id, problem=f"a step reads the numbers of {MAX_NUMBERS} scenarios")
    ranked = chain.from_iterable(sorted(each, key=lambda each: -each.run.reported) for each in by_gate)
    failing = [each for each in ranked if each.run.evaluated and each.run.reported]  # or it reports no number
    await at_once(partial(each.read_failures, max(MIN_KINDS, MAX_KINDS // len(failing))) for each in failing)
    ranked = chain.from_iterable(
        sorted(each, key=lambda each: (not each.run.failed, *numbers_key(each.run.ci_run.value))) for each in by_gate
    )
    unnamed = [each.read_name for each in ranked if each.run.failed and each.run.name == each.run.trace_id != ""]
    await at_once(unnamed[:MAX_NAMES])
    return tuple(_what_failed(*each, of_gate) for each, of_gate in zip(gates, readers, strict=True))


def nothing_read(gate: Gate, decided: GateDecision) -> WhatFailed:
    """Return what is known if nothing could be read: how many scenarios were not, of a batch at least one."""
    unread = sum(each.read for each in decided.scenarios) if gate.names_traces else int(decided.worst.evaluated)
    return WhatFailed(unread_scenarios=unread)


def _readers_of(run: RunResult, reader: Reader, gate: Gate) -> list[RunReader]:
    """Return the reader of the run if it is that of one scenario, else those of a batch, which may have been read."""
    run_ids = run.ci_run.run_ids or tuple(filter(None, [run.run_id]))
    if not run.evaluated:
        return []
    runs = run.of_batch or tuple(RunResult(run_id=run_id) for run_id in run_ids)
    if len(run_ids) == 1:
        runs = (replace(run, run_id=run_ids[0], name=run.path or run.trace_id),)
    return [RunReader(reader, gate.project, run.campaign_id, each) for each in runs]


def _what_failed(gate: Gate, decided: GateDecision, readers: Sequence[Sequence[RunReader]]) -> WhatFailed:
    """Return the scenarios of a gate, the worst first, and all their failures; without `readers`, none were needed."""
    notes = tuple(run.note for run in decided.runs if run.note)
    if not readers:
        return WhatFailed(scenarios=decided.scenarios, notes=notes)
    runs, recordings, unread_failures, unread_scenarios = list[RunResult](), list[RunResult](), 0, 0
    problems = dict.fromkeys(each.run.problem for of_run in readers for each in of_run if each.run.problem)
    for run, of_run in zip(decided.runs, readers, strict=True):
        read, unknown = tuple(each.run for each in of_run), 0
        whys = [each.problem for each in read if each.problem]
        if run.evaluated:
            size = 1 if run.trace_id else int(run.ci_run.value(SCENARIOS) or 1)
            unknown = max(0, size - len(read))
            unread_failures += max(0, int(run.ci_run.value(FAILURES) or 0) - sum(each.listed for each in read))
        if unknown:
            problems[UNKNOWN_RUN] = None
            whys.append(UNKNOWN_RUN)
        known = run
        if len(read) == 1:
            known = read[0]
        elif gate.names_traces:
            known = replace(run, problem=next(filter(None, [run.problem, *whys]), ""))
        else:
            known = replace(run, of_batch=read)
        if not gate.names_traces:  # several recordings that were not read may be of one scenario
            unread_scenarios += unknown
        runs.append(known)
        recordings += read
    scenarios = scenarios_of(gate, tuple(runs))
    return WhatFailed(
        scenarios=tuple(sorted(scenarios, key=lambda each: each.severity_key)),
        failures=merge_failures(failure for run in recordings for failure in run.failures)[0],
        left_out=sum(each.left_out for each in recordings),
        unread_failures=unread_failures,
        unread_scenarios=sum(each.incomplete for each in scenarios) + unread_scenarios,
        notes=(*notes, *(f"Not all failures were read: {each}." for each in problems)),
    )
