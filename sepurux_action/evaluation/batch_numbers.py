"""Reads the numbers of each run of a batch, on which `min_scenario_pass_rate` depends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from sepurux_action.common import json_reader
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import ApiRequest, ApiResult, Success
from sepurux_action.evaluation.ci_run import parse_ci_run, wrong_shape
from sepurux_action.evaluation.decision import decide
from sepurux_action.evaluation.runs import RunResult, Runs

MAX_RUNS = 400  # of a batch whose runs are read for a decision
MAX_REASON_LENGTH = 200  # characters of the reason why a number could not be read, which a table shows


class BatchReader:
    """Reads runs until the gate's `timeout`, or until 30 seconds after the last response, whichever is later.

    `retried` sends a call until a number of seconds since the start of the step, which `elapsed` returns.
    """

    def __init__(
        self,
        retried: Callable[[ApiRequest, float], Awaitable[ApiResult]],
        elapsed: Callable[[], float],
        timeout_s: float,
        project: str,
        campaign_id: str,
    ) -> None:
        self._retried, self._elapsed, self._timeout_s = retried, elapsed, timeout_s
        self._project, self._campaign_id = project, campaign_id
        self._responded = elapsed()
        self._slots = asyncio.Semaphore(schedule.MAX_CALLS_AT_ONCE)

    async def read(self, run_ids: Sequence[str]) -> Runs:
        return tuple(await asyncio.gather(*map(self._read, run_ids)))

    async def _read(self, run_id: str) -> RunResult:
        async with self._slots:
            until = max(self._timeout_s, self._responded + schedule.SCORE_S)
            call = api.poll_run(run_id=run_id, batch_id="", project=self._project)
            result = await self._retried(call, until) if self._elapsed() < until else api.NO_TIME_LEFT
        if not isinstance(result, Success):
            reason = json_reader.shorten(result.reason, MAX_REASON_LENGTH)
            return RunResult(run_id=run_id, problem=f"could not be read: {reason}")
        self._responded = self._elapsed()
        problem = wrong_shape(result.payload, run_id=run_id, batch_id="", campaign_id=self._campaign_id)
        if problem:
            return RunResult(run_id=run_id, problem=f"could not be read: {problem}")
        return with_numbers(RunResult(run_id=run_id), result.payload)


def with_numbers(run: RunResult, payload: object) -> RunResult:
    """Return a run of a batch with the numbers that a response shows."""
    trace_id = json_reader.identifier(json_reader.as_object(payload).get("trace_id"))
    # Hundreds of lists of names would take much memory.
    shown = replace(parse_ci_run(payload), mutation_categories=None, top_failing_tools=())
    return replace(run, run=shown, run_decision=decide(shown), trace_id=trace_id, name=trace_id, problem="")
