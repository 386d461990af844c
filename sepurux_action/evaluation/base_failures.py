"""Reads the classified failures of the base's runs, and compares the failures of this step's gates with them.

What cannot be compared stays unmarked, and a note says why. No decision depends on it. Source: docs/configuration.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest

from sepurux_action.common import json_reader
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import ApiRequest, Success
from sepurux_action.evaluation.baseline import Baseline
from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.ci_run import (
    ClassifiedFailure,
    incomplete_list,
    least_listed,
    parse_ci_run,
    parse_failures,
    wrong_shape,
)
from sepurux_action.evaluation.failure_comparison import comparable_ids, compare, run_id_of
from sepurux_action.evaluation.metrics import FAILURES, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.result import RunResult

MAX_REQUESTS = 10  # of a step
NOT_COMPARED = "The failures are not compared with the base"
SEVERAL_TRACES = "the gate has several traces, and a commit status names the run of one"
INCOMPLETE = "not all failures of this run are known"
NO_ADDRESS = "no result of the base has a run at the same address as this run"
NO_REQUEST_LEFT = f"{MAX_REQUESTS} requests do not suffice for it"


@dataclass(slots=True)
class _BaseResult:
    """One result of the base: the id in its URL, how many failures it has at least, its runs, and their failures."""

    id: str
    least: float
    run_ids: tuple[str, ...] = ()
    failures: list[ClassifiedFailure] = field(default_factory=list)


class _Comparison:
    """The comparison of one gate. `problem` is why it is not possible, '' as long as it is."""

    def __init__(self, gate: Gate, runs: Sequence[RunResult], baseline: Baseline) -> None:
        self.project = gate.project
        self.runs = tuple(runs)
        self.problem = ""
        self.results: list[_BaseResult] = []  # of the base, the newest first
        self.read: list[_BaseResult] = []  # those of them that requests are left for
        self.rank = min(run.decision.rank for run in runs)
        self.wanted = _has_failures(runs, baseline)
        self.of_batch = False
        if self.wanted:
            self._find_results(baseline)

    def _find_results(self, baseline: Baseline) -> None:
        run = self.run
        own_id = run_id_of(run.run.dashboard_url)
        self.of_batch = own_id == run.batch_id
        own_runs = run.run.run_ids or (run.run_id,)
        ids = comparable_ids(run.run.dashboard_url, (each.url for each in baseline.results))
        if len(self.runs) > 1:
            self.problem = SEVERAL_TRACES
        elif run.enrichment.more_failures or run.enrichment.left_out:
            self.problem = INCOMPLETE
        elif not ids or not (self.of_batch or own_runs == (own_id,)):
            self.problem = NO_ADDRESS
        else:
            for found in ids:
                reported = [each.result.value(FAILURES) for each in baseline.results if run_id_of(each.url) == found]
                least = max(map(least_listed, reported))
                self.results.append(_BaseResult(found, least, () if self.of_batch else (found,)))

    @property
    def run(self) -> RunResult:
        """Return the gate's only run; gates with several are not compared."""
        return self.runs[0]

    def stop(self, problem: str) -> None:
        """Note why the comparison is not possible, unless that is known already."""
        self.problem = self.problem or problem

    @property
    def expected_requests(self) -> int:
        """Return how many requests a result of the base takes if it has as many runs as this one."""
        return max(1, len(self.run.run.run_ids)) + self.of_batch

    @property
    def compared(self) -> tuple[RunResult, ...]:
        """Return the gate's runs with marked failures, or with a note that says why they are not marked."""
        run, more = self.run, self.run.enrichment
        if not self.wanted:
            return self.runs
        if not self.read:
            self.stop(NO_REQUEST_LEFT)
        for result in self.read:
            if len(result.failures) < result.least:
                what = "batch" if self.of_batch else "run"
                self.stop(f"for its {what} {result.id}, Sepurux lists fewer failures than it counted")
        if self.problem:
            more = replace(more, notes=(*more.notes, f"{NOT_COMPARED}: {self.problem}."))
        else:
            base = [result.failures for result in self.read]
            marked, fixed = compare(more.failures, base, uploaded=run.trace_may_be_cause)
            more = replace(more, failures=marked, fixed=fixed, compared_with=len(base))
        return (replace(run, enrichment=more), *self.runs[1:])


def _has_failures(runs: Sequence[RunResult], baseline: Baseline) -> bool:
    """Return whether the runs are decided, and they or a result of the base have failures or may have some."""
    if not baseline.results or not all(run.decision.is_decided for run in runs):
        return False
    numbers = ((each.result.value(FAILURES), each.result.value(UNSAFE_ATTEMPTS)) for each in baseline.results)
    return any(run.enrichment.failures for run in runs) or any(each != (0, 0) for each in numbers)


async def compare_with_base(
    gates: Sequence[tuple[Gate, Sequence[RunResult]]],
    baselines: Mapping[str, Baseline],
    calls: ApiCalls,
) -> tuple[tuple[RunResult, ...], ...]:
    """Return the runs of each gate, with their failures marked as new or known, and those that are fixed.

    All gates together take at most MAX_REQUESTS requests, each made once, and COMPARISON_S seconds. The gates take
    turns, the worst first, each with its newest result of the base first. A result that no request is left for is not
    compared.
    """
    comparisons = [_Comparison(gate, runs, baselines.get(gate.name, Baseline())) for gate, runs in gates]
    turns = list(_in_turns(sorted(comparisons, key=lambda each: each.rank)))
    reader = _Reader(calls, calls.now() + schedule.COMPARISON_S)
    left = MAX_REQUESTS
    for comparison, result in turns:
        if comparison.expected_requests <= left:
            left -= comparison.expected_requests
            comparison.read.append(result)
    batches = [reader.read_batch(*turn) for turn in turns if turn[1] in turn[0].read and turn[0].of_batch]
    await asyncio.gather(*batches)
    left, lists = MAX_REQUESTS - len(batches), []
    for comparison, result in turns:
        if result not in comparison.read or comparison.problem:
            continue
        if len(result.run_ids) <= left:
            left -= len(result.run_ids)
            lists += [reader.read_list(comparison, result, run_id) for run_id in result.run_ids]
        else:  # it has more runs than this one, so it takes more requests than expected
            comparison.read.remove(result)
    await asyncio.gather(*lists)
    return tuple(comparison.compared for comparison in comparisons)


def _in_turns(comparisons: Sequence[_Comparison]) -> Iterator[tuple[_Comparison, _BaseResult]]:
    for turn in zip_longest(*(each.results for each in comparisons)):
        yield from ((each, result) for each, result in zip(comparisons, turn, strict=True) if result)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Sends requests until a time on the clock of the calls. A request that fails is the problem of its comparison."""

    calls: ApiCalls
    until: float

    async def read_batch(self, comparison: _Comparison, result: _BaseResult) -> None:
        """Read the ids of a result's runs."""
        campaign, own_ids = comparison.run.campaign_id, frozenset(comparison.run.run.run_ids)

        def problem(payload: object) -> str:
            if wrong := wrong_shape(payload, run_id="", batch_id=result.id):
                return wrong
            body = json_reader.as_object(payload)
            if body.get("campaign_id") not in (None, campaign):
                return "a response about another campaign"
            run_ids = parse_ci_run(payload).run_ids
            complete = len(run_ids) == len(list(json_reader.as_array(body.get("run_ids")))) > 0
            return "" if complete and own_ids.isdisjoint(run_ids) else "a response without usable run_ids of its own"

        call = api.poll_run(run_id="", batch_id=result.id, project=comparison.project)
        payload = await self._read(comparison, f"batch {result.id}", call, problem)
        result.run_ids = tuple(dict.fromkeys(parse_ci_run(payload).run_ids))

    async def read_list(self, comparison: _Comparison, result: _BaseResult, run_id: str) -> None:
        """Read the failures of one of a result's runs."""
        campaign = comparison.run.campaign_id
        call = api.classified_failures(campaign, run_id, comparison.project)
        problem = partial(incomplete_list, campaign_id=campaign, run_id=run_id)
        result.failures += parse_failures(await self._read(comparison, f"run {run_id}", call, problem))

    async def _read(
        self, comparison: _Comparison, what: str, call: ApiRequest, problem: Callable[[object], str]
    ) -> object:
        """Return the payload of a call; None, and the comparison is not possible, if it is not usable."""
        result = await self.calls.send(call, self.until)
        reason = problem(result.payload) if isinstance(result, Success) else f"a request failed: {result.reason}"
        if reason:
            comparison.stop(f"for its {what}, {reason.rstrip('.')}")
        return result.payload if isinstance(result, Success) and not reason else None
