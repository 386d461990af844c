"""Reads the numbers and the failures of each scenario of an evaluation. Source: docs/configuration.md#scenarios."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from sepurux_action.common import json_reader
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import ApiRequest, Success, TransientError
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.evaluation.ci_run import wrong_shape
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.failures import (
    MAX_LISTED_FAILURES,
    merge_failures,
    parse_failures,
)
from sepurux_action.evaluation.gate_decision import GateDecision
from sepurux_action.evaluation.metrics import FAILURES, SCENARIOS, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.pooled_numbers import scenarios_of
from sepurux_action.evaluation.run_numbers import with_numbers
from sepurux_action.evaluation.runs import RunResult, Runs, Scenario, WhatFailed, severity_key

MAX_REQUESTS = 500  # of all gates of a step together
MAX_NUMBERS = 400  # scenarios of these gates whose numbers are read
MAX_NAMES = 20  # traces of these gates whose names are read
MAX_KINDS = 1_000  # of classified failures that a step keeps; a summary shows 500 of a gate
MIN_KINDS = 10  # that each scenario may keep, however many a step has; a comment shows as many of a gate at once
MAX_FAILED_CALLS = 3
UNKNOWN_RUN = "the gate does not know the CI run of each scenario"


class NotReadError(Exception):
    """A response is missing or not usable; the text is the reason, as a clause."""


class Reader:
    """Sends calls that no decision depends on, each once, within so many requests and seconds.

    The third call that fails without a `Retry-After` ends the reading, and so does one with a longer wait than is left.
    """

    def __init__(self, calls: ApiCalls, seconds: float, requests: int) -> None:
        self._calls = calls
        self._until = calls.now() + seconds
        self._slots = asyncio.Semaphore(schedule.MAX_CALLS_AT_ONCE)
        self._failed = 0
        self._ended = ""
        self._limit = f"a step makes at most {requests} requests for it"
        self.left = requests

    async def read(self, call: ApiRequest, problem: Callable[[object], str]) -> object:
        """Return the payload of a call; raises NotReadError if the call fails, or `problem` returns a reason."""
        if self._ended or not self.left:
            raise NotReadError(self._ended or self._limit)
        self.left -= 1
        result = await self._calls.send(call, self._until)
        if not isinstance(result, Success):
            reason = f"a request failed: {result.reason.rstrip('.')}"
        elif not (reason := problem(result.payload)):
            return result.payload
        waits = isinstance(result, TransientError) and result.sent and result.retry_after_s is not None
        self._failed += not waits  # the calls after it wait, and several get this response at once
        if self._failed >= MAX_FAILED_CALLS or (isinstance(result, TransientError) and not result.sent):
            self._ended = reason
        raise NotReadError(reason)

    async def at_once(self, work: Iterable[Callable[[], Awaitable[None]]]) -> None:
        """Call functions that return a coroutine, a few at a time, the first ones first."""

        async def in_slot(each: Callable[[], Awaitable[None]]) -> None:
            async with self._slots:
                await each()

        await asyncio.gather(*map(in_slot, work))


class RunReader:
    """Reads one CI run of an evaluation into `run`. What could not be read is its `problem`."""

    def __init__(self, reader: Reader, project: str, campaign: str, run: RunResult) -> None:
        self.run = run
        self._reader, self._project, self._campaign = reader, project, campaign

    async def read_numbers(self) -> None:
        call = api.poll_run(run_id=self.run.run_id, batch_id="", project=self._project)
        problem = partial(wrong_shape, run_id=self.run.run_id, batch_id="", campaign_id=self._campaign)
        try:
            payload = await self._reader.read(call, problem)
        except NotReadError as error:
            self.run = replace(self.run, problem=str(error))
        else:
            self.run = with_numbers(self.run, payload)

    async def read_failures(self, max_kinds: int) -> None:
        """Read the classified failures, page by page until a page has none that is new."""
        run_id = self.run.run_id
        problem = partial(wrong_list, campaign_id=self._campaign, run_id=run_id)
        seen: set[object] = set()
        offset, kinds, left_out, missing = 0, self.run.failures, 0, ""
        while len(seen) <= MAX_LISTED_FAILURES:
            call = api.classified_failures(self._campaign, run_id, self._project, offset)
            try:
                page = [*json_reader.as_array(await self._reader.read(call, problem))][:MAX_LISTED_FAILURES]
            except NotReadError as error:
                missing = str(error)
                break
            new = {key: entry for key, entry in map(_keyed, enumerate(page)) if key not in seen}
            if not new:
                break
            seen |= new.keys()
            offset += len(page)
            kinds, dropped = merge_failures((*kinds, *parse_failures([*new.values()])), max_kinds)
            left_out += dropped
        else:
            missing = f"Sepurux lists more than {MAX_LISTED_FAILURES:,} failures"
        self.run = self.run.with_failures(kinds, len(seen), left_out, missing)

    async def read_name(self) -> None:
        call = api.show_trace(self.run.trace_id, self._project)
        try:
            payload = await self._reader.read(call, lambda body: "" if isinstance(body, dict) else "no JSON object")
        except NotReadError:
            return
        name = json_reader.text(json_reader.as_object(payload).get("task_name"))
        self.run = replace(self.run, name=name or self.run.name)


def wrong_list(payload: object, *, campaign_id: str, run_id: str) -> str:
    """Return why a response is not a page of a run's classified failures, as a clause; '' if it is."""
    if not isinstance(payload, list) or not all(isinstance(item, dict) for item in payload):
        return "Sepurux sent no list of failures"
    expected = {"campaign_id": campaign_id, "run_id": run_id}
    others = [name for name, value in expected.items() for item in payload if item.get(name) not in (None, value)]
    return f"Sepurux listed failures of another {others[0].removesuffix('_id')}" if others else ""


def _keyed(entry: tuple[int, object]) -> tuple[object, object]:
    """Return an entry of a page after its key: its id, or without one its place on the page and its content."""
    index, content = entry
    failure_id = json_reader.identifier(json_reader.as_object(content).get("failure_id"))
    return failure_id or (index, hash(parse_failures([content]))), content


async def read_scenarios(gates: Sequence[tuple[Gate, GateDecision]], calls: ApiCalls) -> tuple[WhatFailed, ...]:
    """Return the scenarios of each gate and their failures.

    The gate with the worst result comes first, and of its scenarios those with the most failures. Nothing is read for a
    gate that passed and reports no failure and no unsafe attempt.
    """
    reader = Reader(calls, schedule.SCENARIOS_S, MAX_REQUESTS)
    readers = {
        index: [
            [RunReader(reader, gate.project, run.campaign_id, each) for each in _recordings(run)]
            for run in decided.runs
        ]
        for index, (gate, decided) in sorted(enumerate(gates), key=lambda each: gate_severity(each[1][1]))
        if decided.decision is not Decision.PASS or any(map(decided.numbers.value, (FAILURES, UNSAFE_ATTEMPTS)))
    }
    by_gate = [[*chain.from_iterable(of_runs)] for of_runs in readers.values()]
    await _read_failures(reader, by_gate)
    ranked = chain.from_iterable(sorted(each, key=lambda each: _alone(each.run).severity_key) for each in by_gate)
    unnamed = [each.read_name for each in ranked if each.run.failed and each.run.name == each.run.trace_id != ""]
    await reader.at_once(unnamed[:MAX_NAMES])
    return tuple(_what_failed(gate, decided, readers.get(index)) for index, (gate, decided) in enumerate(gates))


def nothing_read(gate: Gate, decided: GateDecision) -> WhatFailed:
    """Return what is known if nothing could be read: how many scenarios were not, of a batch at least one."""
    unread = [each.read for each in decided.scenarios] if gate.names_traces else [decided.worst.evaluated]
    return WhatFailed(unread_scenarios=sum(unread))


def gate_severity(decided: GateDecision) -> tuple[int, float]:
    return severity_key(decided.decision, decided.numbers)


async def _read_failures(reader: Reader, evaluations: Sequence[Sequence[RunReader]]) -> None:
    """Read the numbers of at most MAX_NUMBERS runs, then the failures of those that report some, or no number."""
    without = [each for each in chain.from_iterable(evaluations) if not each.run.evaluated]
    await reader.at_once(each.read_numbers for each in without[:MAX_NUMBERS])
    for each in without[MAX_NUMBERS:]:
        each.run = replace(each.run, problem=f"a step reads the numbers of {MAX_NUMBERS} scenarios")
    ranked = chain.from_iterable(sorted(each, key=lambda each: -each.run.reported) for each in evaluations)
    failed = [each for each in ranked if each.run.evaluated and each.run.reported]
    await reader.at_once(partial(each.read_failures, max(MIN_KINDS, MAX_KINDS // len(failed))) for each in failed)


def _recordings(run: RunResult) -> Runs:
    """Return the run itself if it is that of one scenario, else those of a batch, of which some may have been read."""
    run_ids = tuple(dict.fromkeys(run.run.run_ids)) or tuple(filter(None, [run.run_id]))
    if not run.evaluated or not run_ids:
        return ()
    if len(run_ids) == 1:
        return (replace(run, run_id=run_ids[0], name=run.path or run.trace_id),)
    return run.of_batch or tuple(RunResult(run_id=run_id) for run_id in run_ids)


def _alone(run: RunResult) -> Scenario:
    return Scenario(run.name or run.run_id, (run,))


def _what_failed(gate: Gate, decided: GateDecision, readers: Sequence[Sequence[RunReader]] | None) -> WhatFailed:
    """Return the scenarios of a gate, the worst first, and all their failures; without `readers`, none were needed."""
    notes = [run.note for run in decided.runs if run.note]
    if readers is None:
        return WhatFailed(scenarios=decided.scenarios, notes=tuple(notes))
    read = [tuple(each.run for each in of_run) for of_run in readers]
    recordings = [*chain.from_iterable(read)]
    known = tuple(of_run[0] if len(of_run) == 1 else run for run, of_run in zip(decided.runs, read, strict=True))
    if len(recordings) > 1 and not gate.names_traces:
        known = (replace(decided.runs[0], of_batch=read[0]),)
    unknown = [max(0, int(_size(run)) - len(of_run)) for run, of_run in zip(decided.runs, read, strict=True)]
    problems = [each.problem for each in recordings if each.problem]
    if any(unknown):
        problems.append(UNKNOWN_RUN)
    if gate.names_traces:  # several recordings that were not read may be of one scenario
        found = zip(known, read, unknown, strict=True)
        known, unknown = tuple(_with_problem(run, of_run, count) for run, of_run, count in found), []
    unread = (_unread(run, of_run) for run, of_run in zip(decided.runs, read, strict=True))
    scenarios = scenarios_of(gate, known)
    return WhatFailed(
        scenarios=tuple(sorted(scenarios, key=lambda each: each.severity_key)),
        failures=merge_failures(failure for run in recordings for failure in run.failures_by_path)[0],
        left_out=sum(each.left_out for each in recordings),
        unread_failures=sum(unread),
        unread_scenarios=sum(each.incomplete for each in scenarios) + sum(unknown),
        notes=(*notes, *(f"Not all failures were read: {each}." for each in dict.fromkeys(problems))),
    )


def _with_problem(run: RunResult, read: Runs, unknown: int) -> RunResult:
    """Return the run of a trace with the reason why its failures were not all read."""
    why = next((each.problem for each in read if each.problem), UNKNOWN_RUN if unknown else "")
    return replace(run, problem=run.problem or why)


def _size(run: RunResult) -> float:
    """Return how many scenarios a run has, at least 1; 0 if it was not evaluated."""
    return run.evaluated and (1 if run.trace_id else run.run.value(SCENARIOS) or 1)


def _unread(run: RunResult, recordings: Sequence[RunResult]) -> int:
    """Return how many failures a run reports that were not read."""
    reported = run.run.value(FAILURES) or 0 if run.evaluated else 0
    return int(max(0, reported - sum(each.listed for each in recordings)))
