"""Compares the failures of a step's runs with those of the base; no decision depends on it (docs/report-files.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import safe_url
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation import api, ci_run, schedule
from sepurux_action.evaluation.api import ApiRequest, Success
from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.ci_run import ClassifiedFailure, incomplete_list, merge_failures
from sepurux_action.evaluation.metrics import FAILURES, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import Baseline
from sepurux_action.evaluation.result import RunResult, Runs

MAX_REQUESTS = 10  # of a step
NOT_COMPARED = "The failures are not compared with the base"

Failures = tuple[ClassifiedFailure, ...]


class _NotComparable(Exception):
    """The failures of a gate are not compared; the text is the reason, as a clause."""


async def compare_with_base(gates: Sequence[tuple[Gate, Baseline, Runs]], calls: ApiCalls) -> tuple[Runs, ...]:
    """Return the runs of each gate with marked failures. The worst gate and its newest results are read first."""
    reader = _Reader(calls)
    compared = {}
    for gate, baseline, runs in sorted(gates, key=lambda each: min(run.decision.rank for run in each[2])):
        compared[gate.name] = await reader.compare(gate.project, baseline, runs)
    return tuple(compared[gate.name] for gate, *_ in gates)


class _Reader:
    def __init__(self, calls: ApiCalls) -> None:
        self._calls = calls
        self._until = calls.now() + schedule.COMPARISON_S
        self._left = MAX_REQUESTS

    async def compare(self, project: str, baseline: Baseline, runs: Runs) -> Runs:
        numbers = ((each.result.value(FAILURES), each.result.value(UNSAFE_ATTEMPTS)) for each in baseline.results)
        some_failures = any(run.enrichment.failures for run in runs) or any(each != (0, 0) for each in numbers)
        if not (baseline.results and some_failures and all(run.decision.is_decided for run in runs)):
            return runs
        run, more = runs[0], runs[0].enrichment
        try:
            base = await self._failures_of_base(project, baseline, runs)
        except _NotComparable as why:
            more = replace(more, notes=(*more.notes, f"{NOT_COMPARED}: {why}."))
        else:
            marked, fixed = compare(more.failures, base, uploaded=run.trace_may_be_cause)
            more = replace(more, failures=marked, fixed=fixed, compared_with=len(base))
        return (replace(run, enrichment=more), *runs[1:])

    async def _failures_of_base(self, project: str, baseline: Baseline, runs: Runs) -> Sequence[Failures]:
        run, url = runs[0], runs[0].run.dashboard_url
        own_id, ids = _page_and_id(url)[1], comparable_ids(url, (each.url for each in baseline.results))
        of_batch = own_id == run.batch_id
        if len(runs) > 1:
            raise _NotComparable("the gate has several traces, and a commit status names the run of one")
        if run.enrichment.more_failures or run.enrichment.left_out:
            raise _NotComparable("not all failures of this run are known")
        if not ids or not (of_batch or (run.run.run_ids or (run.run_id,)) == (own_id,)):
            raise _NotComparable("no result of the base has a run at the same address as this run")
        lists = []
        for found in ids:
            if self._left <= of_batch:
                break
            run_ids = await self._runs_of_batch(project, run, found) if of_batch else (found,)
            if len(run_ids) > self._left:
                break
            read = await asyncio.gather(*(self._list(project, run.campaign_id, run_id) for run_id in run_ids))
            failures = tuple(failure for of_run in read for failure in of_run)
            reported = [each.result.value(FAILURES) for each in baseline.results if _page_and_id(each.url)[1] == found]
            if len(failures) < max(1 if each is None else each for each in reported):
                what = "batch" if of_batch else "run"
                raise _NotComparable(f"for its {what} {found}, Sepurux lists fewer failures than it counted")
            lists.append(failures)
        if not lists:
            raise _NotComparable(f"{MAX_REQUESTS} requests do not suffice for it")
        return lists

    async def _runs_of_batch(self, project: str, run: RunResult, batch_id: str) -> tuple[str, ...]:
        def problem(payload: object) -> str:
            if wrong := ci_run.wrong_shape(payload, run_id="", batch_id=batch_id):
                return wrong
            body = json_reader.as_object(payload)
            if body.get("campaign_id") not in (None, run.campaign_id):
                return "a response about another campaign"
            run_ids = ci_run.parse_ci_run(payload).run_ids
            complete = len(run_ids) == len(list(json_reader.as_array(body.get("run_ids")))) > 0
            is_own = complete and not set(run.run.run_ids) & set(run_ids)
            return "" if is_own else "a response without usable run_ids of its own"

        call = api.poll_run(run_id="", batch_id=batch_id, project=project)
        return tuple(dict.fromkeys(ci_run.parse_ci_run(await self._read(call, f"batch {batch_id}", problem)).run_ids))

    async def _list(self, project: str, campaign: str, run_id: str) -> Failures:
        call = api.classified_failures(campaign, run_id, project)
        problem = partial(incomplete_list, campaign_id=campaign, run_id=run_id)
        return ci_run.parse_failures(await self._read(call, f"run {run_id}", problem))

    async def _read(self, call: ApiRequest, what: str, problem: Callable[[object], str]) -> object:
        self._left -= 1
        result = await self._calls.send(call, self._until)
        reason = problem(result.payload) if isinstance(result, Success) else f"a request failed: {result.reason}"
        if not isinstance(result, Success) or reason:
            raise _NotComparable(f"for its {what}, {reason.rstrip('.')}")
        return result.payload


def compare(
    now: Sequence[ClassifiedFailure], base: Iterable[Sequence[ClassifiedFailure]], *, uploaded: bool
) -> tuple[Failures, Failures]:
    """Return a run's failures compared with those of the base's results, and what is fixed. All lists are complete.

    Of n now and at most m in any result, max(0, n - m) are new. An `uploaded` trace has another id in each run.
    """
    most: dict[tuple[str, ...], ClassifiedFailure] = {}
    for listed in base:
        of_run = [_comparable(failure, uploaded=uploaded) for failure in listed]
        for failure in merge_failures(of_run, len(of_run))[0]:
            if failure.count > (most[failure.kind].count if failure.kind in most else 0):
                most[failure.kind] = failure
    left = {kind: failure.count for kind, failure in most.items()}
    marked, kinds = [], set()
    for failure in now:
        kind = _comparable(failure, uploaded=uploaded).kind
        known = min(failure.count, left.get(kind, 0))
        left[kind] = left.get(kind, 0) - known
        marked.append(replace(failure, new=failure.count - known))
        kinds.add(kind)
    fixed = [failure for kind, failure in most.items() if kind not in kinds]
    return tuple(marked), merge_failures(fixed, len(fixed))[0]


def _comparable(failure: ClassifiedFailure, *, uploaded: bool) -> ClassifiedFailure:
    return replace(failure, trace_id="") if uploaded else failure


def comparable_ids(own_url: str, urls: Iterable[str]) -> tuple[str, ...]:
    """Return the ids in URLs of statuses, which anyone with write access can set, that else equal the run's own."""
    own_page, own_id = _page_and_id(own_url)
    found = (each for page, each in map(_page_and_id, urls) if own_id and page == own_page)
    return tuple(dict.fromkeys(each for each in found if each not in {"", own_id}))


def _page_and_id(url: str) -> tuple[tuple[object, ...], str]:
    """Return a dashboard's URL without the id at the end of its path, and this id, '' if there is none."""
    if not safe_url(url):
        return (), ""
    parts = urlsplit(url)
    prefix, _, last = parts.path.rpartition("/")
    page = (parts.scheme, parts.hostname, parts.port, prefix, parts.query, parts.fragment)
    return page, json_reader.identifier(last)
