"""Reads the numbers on which a decision depends and that no poll reports: scores, and those of each run of a batch.

Unlike what a report adds, they are read again while an error may pass. Source: docs/architecture.md#limits-and-polling.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.errors import Outage
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import ApiResult, Success
from sepurux_action.evaluation.ci_run import parse_ci_run, wrong_shape
from sepurux_action.evaluation.decision import decide
from sepurux_action.evaluation.metrics import RELIABILITY_SCORE
from sepurux_action.evaluation.retried_calls import RetriedCalls
from sepurux_action.evaluation.runs import RunResult, Runs

MAX_RUNS = 400  # of a batch whose runs are read for a decision
MAX_SCORES = 1_000  # of runs of a batch that are read for their mean
SCORE_NOT_SHOWN = frozenset({401, 403, 404})  # the backend shows the score to another secret, or to no one


async def read_score(
    calls: RetriedCalls, project: str, campaign_id: str, run_ids: Sequence[str], timeout_s: float
) -> tuple[Reading, Outage]:
    """Return the mean score of runs that report one, and whether an outage is why it is unknown.

    If one of the scores is not usable, or not read in time, the mean is not known.
    """
    if len(run_ids) >= MAX_SCORES:
        return Reading(broken=f"could not be read: the batch has {MAX_SCORES:,} or more runs"), Outage.NO
    until = max(timeout_s, calls.elapsed() + schedule.SCORE_S)
    read = await asyncio.gather(*(_read_score(calls, project, campaign_id, each, until) for each in run_ids))
    broken = [(score, outage) for score, outage in read if score.broken]
    if broken:
        return broken[0][0], min(outage for _, outage in broken)
    values = [score.value for score, _ in read if score.value is not None]
    if not values:
        return Reading(), Outage.NO
    reported_by = ""
    if len(values) < len(read):
        reported_by = f"{len(values)} of {len(read)} runs"
    mean = RELIABILITY_SCORE.rounded(RELIABILITY_SCORE.together(values))
    return Reading(mean, reported_by=reported_by), Outage.NO


async def _read_score(
    calls: RetriedCalls, project: str, campaign_id: str, run_id: str, until: float
) -> tuple[Reading, Outage]:
    result = await calls.retried(api.reliability(campaign_id, run_id, project), until, of_object=True)
    if isinstance(result, Success):
        return RELIABILITY_SCORE.read(result.payload), Outage.NO
    if result.status in SCORE_NOT_SHOWN:
        return Reading(), Outage.NO
    return Reading(broken=f"could not be read: {result.reason}"), result.outage


async def read_batch(
    calls: RetriedCalls, project: str, campaign_id: str, run_ids: Sequence[str], timeout_s: float
) -> Runs:
    """Return the runs of a batch with their numbers. What could not be read is their `problem`.

    Runs are read until the timeout, or until 30 seconds after the last response, whichever is later.
    """
    slots, responded = asyncio.Semaphore(schedule.MAX_CALLS_AT_ONCE), calls.elapsed()

    async def read(run_id: str) -> RunResult:
        nonlocal responded
        async with slots:
            until = max(timeout_s, responded + schedule.SCORE_S)
            call = api.poll_run(run_id=run_id, batch_id="", project=project)
            result: ApiResult = api.NO_TIME_LEFT
            if calls.elapsed() < until:
                result = await calls.retried(call, until, of_object=True)
        if not isinstance(result, Success):
            return RunResult(run_id=run_id, problem=f"could not be read: {result.reason}")
        responded = calls.elapsed()
        problem = wrong_shape(result.payload, run_id=run_id, batch_id="", campaign_id=campaign_id)
        return run_of_batch(run_id, result.payload, problem and f"could not be read: {problem}")

    return tuple(await asyncio.gather(*map(read, run_ids)))


def run_of_batch(run_id: str, payload: object, problem: str) -> RunResult:
    """Return a run of a batch with the numbers that a response shows, or with the problem why there are none."""
    if problem:
        return RunResult(run_id=run_id, problem=problem)
    trace_id = json_reader.identifier(json_reader.at(payload, "trace_id"))
    # Hundreds of lists of names would take much memory.
    shown = replace(parse_ci_run(payload), mutation_categories=None, top_failing_tools=())
    return RunResult(run_id=run_id, ci_run=shown, run_decision=decide(shown), trace_id=trace_id, name=trace_id)
