"""Sends API calls from coroutines: one thread for each call, a few calls at a time, polls at a limited rate."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial

from sepurux_action.common import T
from sepurux_action.errors import DEFECTS, REPORT_DEFECT, describe_defect
from sepurux_action.evaluation import schedule
from sepurux_action.evaluation.api import CALL_S, NO_TIME_LEFT, ApiRequest, ApiResult, PermanentError, TransientError
from sepurux_action.host.deadlines import Signals, start_thread

GRACE_S = 0.25  # for the client to end a call by itself, with a better reason


class ApiCalls:
    """Sends calls, a few at any time, of each project the one that has waited longest first. Times are the loop's.

    After a response with `Retry-After`, no call is sent until that time has passed, because all calls go to one server.
    """

    def __init__(self, send: Callable[[ApiRequest, float], ApiResult], signals: Signals) -> None:
        self._send, self._signals = send, signals
        self._slots = asyncio.Semaphore(schedule.MAX_CALLS_AT_ONCE)
        self.share_slots(1)
        self._poll_turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by project
        self._next_poll = 0.0
        self._held_until = 0.0
        self._held_by = NO_TIME_LEFT  # the result whose `Retry-After` holds all calls

    def share_slots(self, projects: int) -> None:
        """Limit the calls of one project, before the first call: all projects but one leave a slot free together."""
        share = schedule.MAX_CALLS_AT_ONCE
        if projects > 1:
            share = max(1, (share - 1) // (projects - 1))
        self._slots_by_project = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(share))

    def until_complete(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run(work)

    def cancel_on_signal(self, tasks: Iterable[asyncio.Task[object]]) -> None:
        """Cancel the tasks when a signal arrives, or at once if one has arrived."""
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            for task in tasks:
                task.cancel()

        def interrupt() -> None:
            with suppress(RuntimeError):  # the loop is closed: the tasks have ended
                loop.call_soon_threadsafe(cancel)

        self._signals.add_listener(interrupt)
        if self._signals.received:
            cancel()  # now, before the tasks send their first calls

    async def in_thread(self, work: Callable[[], None]) -> None:
        """Run blocking work that is no call of the API."""
        await asyncio.wrap_future(start_thread(work))

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, keeps no secret

    async def send(self, call: ApiRequest, until: float) -> ApiResult:
        """Return the result of a call that must end by `until`, including its waits for a slot and a `Retry-After`."""
        async with AsyncExitStack() as slot:
            try:
                async with asyncio.timeout_at(until):
                    await self._take_slot(slot, call)
            except TimeoutError:
                return NO_TIME_LEFT
            while held := self.held():
                if self._held_until >= until:
                    return held
                await asyncio.sleep(self._held_until - self.now())
            return await self._perform(call, until - self.now())

    async def poll(self, call: ApiRequest, deadline: float, until: float) -> tuple[ApiResult, bool]:
        """Return the result of a poll, and whether it was the last: it starts at the deadline, and ends by `until`."""
        async with AsyncExitStack() as slot:
            try:
                async with asyncio.timeout_at(until), self._poll_turns[call.project]:
                    await self._take_slot(slot, call)
                    if not self.held():
                        start = max(self.now(), self._next_poll)
                        self._next_poll = start + schedule.POLL_GAP_S
                        await asyncio.sleep(start - self.now())
            except TimeoutError:
                return NO_TIME_LEFT, True
            left = deadline - self.now()
            last = left < schedule.MIN_POLL_WAIT_S
            seconds = min(CALL_S, left)
            if last:
                seconds = min(schedule.LAST_POLL_S, until - self.now())
            return self.held() or await self._perform(call, seconds), last

    def held(self) -> TransientError | None:
        """Return the result of a call that is not sent because of a `Retry-After`, with the seconds left; else None."""
        left = self._held_until - self.now()
        return self._held_by.unsent(left) if left > 0 else None

    async def _take_slot(self, stack: AsyncExitStack, call: ApiRequest) -> None:
        await stack.enter_async_context(self._slots_by_project[call.project])
        await stack.enter_async_context(self._slots)

    async def _perform(self, call: ApiRequest, seconds: float) -> ApiResult:
        if seconds <= 0:
            return NO_TIME_LEFT
        result = await self.perform(call, seconds)
        if isinstance(result, TransientError) and result.retry_after_s is not None:
            until = self.now() + max(schedule.MIN_RETRY_AFTER_S, result.retry_after_s)
            if until > self._held_until:
                self._held_until, self._held_by = until, result
        return result

    async def perform(self, call: ApiRequest, seconds: float) -> ApiResult:
        """Return the result of a call. One that takes too long is abandoned: it delays neither result nor exit."""
        try:
            async with asyncio.timeout(seconds + GRACE_S):  # Python 3.11's wait_for can lose a cancellation
                return await asyncio.wrap_future(start_thread(partial(self._send, call, seconds)))
        except TimeoutError:
            return TransientError(reason=f"no complete response within {seconds:.3g} s")
        except DEFECTS as defect:  # ends only the run that this call is for
            return PermanentError(reason=describe_defect(defect), hint=REPORT_DEFECT)
