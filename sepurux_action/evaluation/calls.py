"""Sends API calls from coroutines: one thread for each call, a few calls at a time, polls at a limited rate."""

from __future__ import annotations

import asyncio
import random
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import TypeVar

from sepurux_action.errors import DEFECTS, REPORT_DEFECT, describe_defect
from sepurux_action.evaluation import schedule
from sepurux_action.evaluation.api import NO_TIME_LEFT, ApiRequest, ApiResult, PermanentError, TransientError
from sepurux_action.host.signals import Signals

T = TypeVar("T")

GRACE_S = 0.25  # for the client to end a call by itself, with a better reason


class ApiCalls:
    """Sends calls: at most `MAX_CALLS_AT_ONCE` at any time, the one that has waited longest first.

    Polls start at least `POLL_GAP_S` apart. Times are seconds on the event loop's clock.
    """

    def __init__(self, send: Callable[[ApiRequest, float], ApiResult], signals: Signals) -> None:
        """Take the function that performs one call within seconds, such as `Transport.send`. It may block."""
        self._send = send
        self._signals = signals
        self._slots = asyncio.Semaphore(schedule.MAX_CALLS_AT_ONCE)
        self._poll_turn = asyncio.Lock()
        self._next_poll = 0.0

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Return the result of a coroutine, for which an event loop is started."""
        return asyncio.run(work)

    def cancel_on_signal(self, tasks: Iterable[asyncio.Task[object]]) -> None:
        """Cancel the tasks when a signal arrives, or at once if one has arrived."""
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            for task in tasks:
                task.cancel()

        def interrupt(_signal: int) -> None:
            with suppress(RuntimeError):  # the loop is closed: the tasks have ended
                loop.call_soon_threadsafe(cancel)

        self._signals.add_listener(interrupt)
        if self._signals.received is not None:
            cancel()  # now, before the tasks send their first calls

    def now(self) -> float:
        """Return the time."""
        return asyncio.get_running_loop().time()

    def jitter(self) -> float:
        """Return a random number, 0 to 1."""
        return random.random()  # noqa: S311 - spreads retries, keeps no secret

    def new_key(self) -> str:
        """Return a new Idempotency-Key."""
        return str(uuid.uuid4())

    async def send(self, call: ApiRequest, until: float) -> ApiResult:
        """Return the result of a call that must end by the time `until`, including its wait for a free slot."""
        try:
            async with asyncio.timeout_at(until):
                await self._slots.acquire()
        except TimeoutError:
            return NO_TIME_LEFT
        return await self._perform_and_release(call, until - self.now())

    async def poll(self, call: ApiRequest, until: float, seconds: Callable[[], float]) -> ApiResult:
        """Return the result of a poll that must start by `until` and may take what `seconds` returns when it starts."""
        try:
            async with asyncio.timeout_at(until), self._poll_turn:
                await asyncio.sleep(self._next_poll - self.now())
                await self._slots.acquire()
                self._next_poll = self.now() + schedule.POLL_GAP_S
        except TimeoutError:
            return NO_TIME_LEFT
        return await self._perform_and_release(call, seconds())

    async def _perform_and_release(self, call: ApiRequest, seconds: float) -> ApiResult:
        try:
            return await self.perform(call, seconds) if seconds > 0 else NO_TIME_LEFT
        finally:
            self._slots.release()

    async def perform(self, call: ApiRequest, seconds: float) -> ApiResult:
        """Return the result of a call. A call that takes too long is abandoned, and its late result is dropped.

        The thread is a daemon: a server that drips its response delays neither the result nor the exit.
        """
        loop = asyncio.get_running_loop()
        response: asyncio.Future[ApiResult] = loop.create_future()

        def deliver(result: ApiResult) -> None:
            if not response.done():
                response.set_result(result)

        def work() -> None:
            try:
                result = self._send(call, seconds)
            except DEFECTS as defect:  # ends only the run that this call is for
                result = PermanentError(reason=describe_defect(defect), hint=REPORT_DEFECT)
            with suppress(RuntimeError):  # the loop is closed, so nothing waits for the result
                loop.call_soon_threadsafe(deliver, result)

        threading.Thread(target=work, name=call.purpose, daemon=True).start()
        try:
            async with asyncio.timeout(seconds + GRACE_S):  # Python 3.11's wait_for can lose a cancellation
                return await response
        except TimeoutError:
            return TransientError(reason=f"no complete response within {seconds:.3g} s")
