"""Marks failures that the base's results have too. No decision depends on it. Source: docs/report-files.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.json_reader import safe_url
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.ci_run import CIRun, parse_ci_run, wrong_shape
from sepurux_action.evaluation.decision import decide
from sepurux_action.evaluation.failures import ClassifiedFailure, Failures, fewer_listed, merge_failures
from sepurux_action.evaluation.gate_decision import GateDecision
from sepurux_action.evaluation.metrics import FAILURES, SCENARIOS, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import Baseline, BaselineResult
from sepurux_action.evaluation.runs import RunResult, Runs, WhatFailed
from sepurux_action.evaluation.scenarios import NotReadError, Reader, RunReader, gate_severity, read_failures

MAX_REQUESTS = 300  # of all gates of a step together
NOT_COMPARED = "The failures are not compared with the base"


class NoRequestLeftError(NotReadError):
    def __str__(self) -> str:
        return f"{MAX_REQUESTS} requests do not suffice for it"


async def compare_with_base(
    gates: Sequence[tuple[Gate, Baseline, GateDecision, WhatFailed]], calls: ApiCalls
) -> tuple[WhatFailed, ...]:
    """Return what failed in each gate, with its failures marked as new or known, and those that are fixed.

    The gate with the worst result comes first, and of its baseline the newest result. Each result is read whole or not
    at all, in at most MAX_REQUESTS requests and COMPARISON_S seconds for all gates.
    """
    reader = Reader(calls, schedule.COMPARISON_S, MAX_REQUESTS)
    compared = {}
    for gate, baseline, decided, failed in sorted(gates, key=lambda each: gate_severity(each[2])):
        compared[gate.name] = await _compare(reader, gate.project, baseline, decided, failed)
    return tuple(compared[gate.name] for gate, *_ in gates)


async def _compare(
    reader: Reader, project: str, baseline: Baseline, decided: GateDecision, found: WhatFailed
) -> WhatFailed:
    runs = decided.runs
    failed = found.failures or any(map(_may_have_failed, baseline.results))
    if not baseline.results or not failed or not all(run.decision.is_decided for run in runs):
        return found
    run, more = runs[0], found
    try:
        base = await _failures_of_base(reader, project, baseline, runs, found)
    except NotReadError as why:
        more = replace(more, notes=(*more.notes, f"{NOT_COMPARED}: {why}."))
    else:
        own = decided.numbers.value(SCENARIOS)
        marked, fixed = compare(more.failures, base, scenarios=own, uploaded=bool(run.path))
        others = {each.scenarios for each in base if not each.shows_fixed(own)}
        notes = (*more.notes, _nothing_fixed(own, others)) if others else more.notes
        more = replace(more, failures=merge_failures(marked)[0], fixed=fixed, compared_with=len(base), notes=notes)
    return more


def _nothing_fixed(own: float | None, others: set[float | None]) -> str:
    counts = sorted("an unknown number of" if each is None else number_format.count(each) for each in others)
    here = "an unknown number" if own is None else number_format.count(own)
    theirs = f"{' or '.join(counts)} scenarios"
    return f"Nothing counts as fixed against results of the base with {theirs}: this evaluation has {here}."


def _may_have_failed(result: BaselineResult) -> bool:
    return any(result.result.value(metric) != 0 for metric in (FAILURES, UNSAFE_ATTEMPTS))


async def _failures_of_base(
    reader: Reader, project: str, baseline: Baseline, runs: Runs, found: WhatFailed
) -> Sequence[BaseFailures]:
    """Return the failures of each result of the base; raises NotReadError. A result without any needs no request."""
    run, url = runs[0], runs[0].run.dashboard_url
    own_id, ids = _page_and_id(url)[1], comparable_ids(url, (each.url for each in baseline.results))
    if len(runs) > 1:
        raise NotReadError("the gate has several traces, and a commit status names the run of one")
    listed = any(each.listed for scenario in found.scenarios for each in scenario.recordings)
    unknown = run.run.value(FAILURES) is None and not listed  # it passed, so nothing was read
    if found.unread_failures or found.unread_scenarios or found.left_out or unknown:
        raise NotReadError("not all failures of this run are known")
    if not ids or not (own_id == run.batch_id or (run.run.run_ids or (run.run_id,)) == (own_id,)):
        raise NotReadError("no result of the base has a run at the same address as this run")
    read = []
    for base_id in ids:
        of_status = [each for each in baseline.results if _page_and_id(each.url)[1] == base_id]
        failed = any(map(_may_have_failed, of_status))
        values = (each.result.value(FAILURES) for each in of_status)
        counted = max((each for each in values if each is not None), default=None)
        try:
            of_base = await _failures_of_result(reader, project, run, base_id, counted) if failed else BaseFailures()
            read.append(of_base if own_id == run.batch_id else replace(of_base, scenarios=_scenarios_of(of_status)))
        except NotReadError as why:
            if not read or not (reader.out_of_time or isinstance(why, NoRequestLeftError)):
                raise
            break
    return read


def _scenarios_of(results: Sequence[BaselineResult]) -> float | None:
    """Return the number of scenarios in the statuses, which a page of one run does not show; None if it is unknown."""
    counts = {each.result.value(SCENARIOS) for each in results}
    return counts.pop() if len(counts) == 1 else None


async def _failures_of_result(
    reader: Reader, project: str, run: RunResult, found: str, counted: float | None
) -> BaseFailures:
    """Return the failures of one result, with `counted` in its status; raises NotReadError, or NoRequestLeftError."""
    one = _page_and_id(run.run.dashboard_url)[1] != run.batch_id
    what = f"for its {'run' if one else 'batch'} `{found}`"
    try:
        result = parse_ci_run({"run_ids": [found]}) if one else await _batch(reader, project, run, found)
    except NotReadError as why:
        raise (NotReadError(f"{what}, {why}") if reader.left else NoRequestLeftError) from None
    if len(result.run_ids) > reader.left:
        raise NoRequestLeftError
    runs = [RunResult(run_id=run_id) for run_id in dict.fromkeys(result.run_ids)]
    if len(result.run_ids) == 1:  # a failure that names no trace is one of the gate's own, as in this run
        runs = [replace(runs[0], run=result, run_decision=decide(result), trace_id=run.trace_id)]
    readers = [RunReader(reader, project, run.campaign_id, each) for each in runs]
    await read_failures(reader, [readers], len(readers))
    read = [each.run for each in readers]
    problems = [each.problem for each in read if each.problem]
    if problems and not reader.left:
        raise NoRequestLeftError
    if any(each.left_out for each in read):
        problems.append("it has too many kinds of failures")
    reported = result.value(FAILURES) if counted is None else counted
    problems += filter(None, [fewer_listed(sum(each.listed for each in read), reported)])
    if problems:
        raise NotReadError(f"{what}, {problems[0]}")
    return BaseFailures(tuple(failure for each in read for failure in each.failures), result.value(SCENARIOS))


async def _batch(reader: Reader, project: str, run: RunResult, batch_id: str) -> CIRun:
    def problem(payload: object) -> str:
        if wrong := wrong_shape(payload, run_id="", batch_id=batch_id, campaign_id=run.campaign_id):
            return wrong
        run_ids, listed = parse_ci_run(payload).run_ids, json_reader.as_object(payload).get("run_ids")
        complete = len(run_ids) == len([*json_reader.as_array(listed)]) > 0
        usable = complete and not {*run.run.run_ids} & {*run_ids}
        return "" if usable else "a response without usable run_ids of its own"

    return parse_ci_run(await reader.read(api.poll_run(run_id="", batch_id=batch_id, project=project), problem))


@dataclass(frozen=True, slots=True)
class BaseFailures:
    """All failures of one result of the base, and its number of scenarios, None if it is unknown."""

    failures: Failures = ()
    scenarios: float | None = None

    def shows_fixed(self, scenarios: float | None) -> bool:
        """Return whether what an evaluation with so many scenarios lacks of these failures is fixed."""
        return not self.failures or (scenarios is not None and scenarios == self.scenarios)


def compare(
    now: Sequence[ClassifiedFailure], base: Sequence[BaseFailures], *, scenarios: float | None, uploaded: bool
) -> tuple[Failures, Failures]:
    """Return a run's failures compared with those of the base's results, and what is fixed. All lists are complete.

    Of n failures of a kind now and at most m in any of the results, max(0, n - m) are new. What any of them had and
    this run lacks is fixed, if both have the same number of scenarios. An `uploaded` trace has another id in each run,
    so its id is not compared.
    """
    most = Counter[tuple[str, ...]]()
    had: dict[tuple[str, ...], ClassifiedFailure] = {}
    for of_result in base:
        for failure in merge_failures(_comparable(each, uploaded=uploaded) for each in of_result.failures)[0]:
            most[failure.kind] = max(failure.count, most[failure.kind])
            earlier = had.get(failure.kind)
            if of_result.shows_fixed(scenarios) and not (earlier and earlier.count >= failure.count):
                had[failure.kind] = failure
    marked = []
    for failure in now:
        kind = _comparable(failure, uploaded=uploaded).kind
        known = min(failure.count, most[kind])
        most[kind] -= known
        marked.append(replace(failure, new=failure.count - known))
        had.pop(kind, None)
    return tuple(marked), merge_failures(had.values())[0]


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
