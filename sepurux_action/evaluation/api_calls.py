"""Sends the calls of a step: one thread for each, a few at a time, and again while their error may pass."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial

from sepurux_action.common import T, number_format
from sepurux_action.config.settings import Gate
from sepurux_action.errors import DEFECTS, REPORT_DEFECT, EvaluationError, describe_defect
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import CALL_S, NO_TIME_LEFT, ApiRequest, ApiResult, PermanentError, TransientError
from sepurux_action.evaluation.runs import NO_OBJECT
from sepurux_action.host.deadlines import Signals, start_thread

GRACE_S = 0.25  # for the client to end a call by itself, with a better reason


async def at_once(work: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Return the results of functions that return a coroutine, a few at a time, the first ones first."""
    slots = asyncio.Semaphore(schedule.MAX_CALLS_AT_ONCE)

    async def in_slot(each: Callable[[], Awaitable[T]]) -> T:
        async with slots:
            return await each()

    return await asyncio.gather(*map(in_slot, work))


class ApiCalls:
    """Sends calls, a few of each project at any time, the one that has waited longest first.

    After a response with `Retry-After`, no call is sent until that time has passed, because all calls go to one server.
    `last_error` is that of the last call of a run that was sent, None if it succeeded. `is_down`: all responses so far
    were HTTP 5xx, if there were any.
    """

    def __init__(self, send: Callable[[ApiRequest, float], ApiResult], signals: Signals) -> None:
        self._send, self._signals = send, signals
        self.last_error: TransientError | None = None
        self._slots = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(schedule.MAX_CALLS_AT_ONCE))
        self._next_poll = self._held_until = 0.0  # in the time of the loop
        self._held_by = NO_TIME_LEFT  # the result whose `Retry-After` holds all calls
        self._heard_s = 0.0  # from the start to the last usable response
        self.is_down = True
        self._said = set[str]()
        self._shared = dict[tuple[ApiRequest, float], asyncio.Task[object]]()

    def begin(self, gates: Collection[Gate], show_progress: Callable[[], None], log: Callable[[str], None]) -> None:
        """Start the clock, before the first call. `show_progress` is called after each result, `log` gets a line."""
        turns_s = schedule.POLL_GAP_S * sum(len(gate.traces) for gate in gates)
        self._last_polls_s = max(schedule.LAST_POLL_S, turns_s + 1)  # after the timeout, for the last poll of each run
        self.show_progress, self._log, self._started = show_progress, log, self.now()

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

        self._signals.listeners.append(interrupt)
        if self._signals.received:
            cancel()  # now, before the tasks send their first calls

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def elapsed(self) -> float:
        return self.now() - self._started

    def left(self, timeout_s: float) -> float:
        return min(timeout_s, self._heard_s + schedule.SILENCE_S) - self.elapsed()

    def hear(self) -> None:
        """Note that a response is usable."""
        self._heard_s = self.elapsed()

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, keeps no secret

    def is_new(self, text: str) -> bool:
        """Return whether this is the first time that the step says a text."""
        is_new = text not in self._said
        self._said.add(text)
        return is_new

    # -- one call -----------------------------------------------------------------------------------------------------

    async def send(self, call: ApiRequest, until: float) -> ApiResult:
        """Return the result of a call that must end by `until`, with its waits. The time is that of the loop."""
        async with AsyncExitStack() as slot:
            try:
                async with asyncio.timeout_at(until):
                    await slot.enter_async_context(self._slots[call.project])
            except TimeoutError:
                return NO_TIME_LEFT
            while held := self._held():
                if self._held_until >= until:
                    return held
                await asyncio.sleep(self._held_until - self.now())
            return await self._perform(call, until - self.now())

    async def send_once(self, call: ApiRequest, seconds: float) -> ApiResult:
        return self._noted(await self.send(call, self.now() + seconds))

    async def poll(self, call: ApiRequest, timeout_s: float) -> tuple[ApiResult, bool]:
        """Return the result of a poll, and whether it was the last: it starts at the timeout, and may end after it."""
        until = self.now() + self.left(timeout_s) + self._last_polls_s
        async with AsyncExitStack() as slot:
            try:
                async with asyncio.timeout_at(until):
                    await slot.enter_async_context(self._slots[call.project])
                    if not self._held():
                        start = max(self.now(), self._next_poll)
                        self._next_poll = start + schedule.POLL_GAP_S
                        await asyncio.sleep(start - self.now())
            except TimeoutError:
                return self._noted(NO_TIME_LEFT), True
            left = self.left(timeout_s)
            last = left < schedule.MIN_POLL_WAIT_S
            seconds = min(schedule.LAST_POLL_S, until - self.now()) if last else min(CALL_S, left)
            result = self._noted(self._held() or await self._perform(call, seconds))
            return result, last

    async def perform(self, call: ApiRequest, seconds: float) -> ApiResult:
        """Return the result of a call. One that takes too long is abandoned: it delays neither result nor exit."""
        try:
            async with asyncio.timeout(seconds + GRACE_S):  # Python 3.11's wait_for can lose a cancellation
                return await asyncio.wrap_future(start_thread(partial(self._send, call, seconds)))
        except TimeoutError:
            return TransientError(reason=f"no complete response within {seconds:.3g} s")
        except DEFECTS as defect:  # ends only the run that this call is for
            return PermanentError(reason=describe_defect(defect), hint=REPORT_DEFECT)

    def _held(self) -> TransientError | None:
        """Return the result of a call that is not sent because of a `Retry-After`, with the seconds left; else None."""
        left = self._held_until - self.now()
        return self._held_by.unsent(left) if left > 0 else None

    async def _perform(self, call: ApiRequest, seconds: float) -> ApiResult:
        if seconds <= 0:
            return NO_TIME_LEFT
        result = await self.perform(call, seconds)
        if isinstance(result, TransientError) and result.retry_after_s is not None:
            until = self.now() + max(schedule.MIN_RETRY_AFTER_S, result.retry_after_s)
            if until > self._held_until:
                self._held_until, self._held_by = until, result
        return result

    def _noted(self, result: ApiResult) -> ApiResult:
        """Return a result, and note what it shows. If no time was left, an earlier error is why."""
        if result is NO_TIME_LEFT:
            return result.because_of(self.last_error)
        self.last_error = result if isinstance(result, TransientError) else None
        self.is_down &= self.last_error is not None and (self.last_error.status or 500) // 100 == 5  # noqa: PLR2004
        self.show_progress()
        return result

    # -- calls that are tried again -----------------------------------------------------------------------------------

    async def payload_of(self, call: ApiRequest, timeout_s: float) -> object:
        """Return the payload of a call that is tried again until the timeout; raises EvaluationError."""
        result = await self.retried(call, timeout_s)
        if isinstance(result, TransientError):
            raise self._timed_out(call, result)
        if isinstance(result, PermanentError):
            raise EvaluationError(result.reason, result.hint, status=result.status)
        return result.payload

    async def shared_payload_of(self, call: ApiRequest, timeout_s: float) -> object:
        """Return the payload of a call that is sent once for all who make it with the same timeout."""
        key = call, timeout_s
        if key not in self._shared:
            self._shared[key] = asyncio.create_task(self.payload_of(call, timeout_s))
        return await self._shared[key]

    async def retried(self, call: ApiRequest, timeout_s: float, *, of_object: bool = False) -> ApiResult:
        """Return the result of a call that is tried again while its error, or with `of_object` its shape, may pass."""
        failed, error = 0, None
        while True:
            result = await self.send_once(call, min(CALL_S, max(schedule.LAST_CALL_S, self.left(timeout_s))))
            if of_object and isinstance(result, api.Success) and not isinstance(result.payload, dict):
                result = TransientError(reason=NO_OBJECT)
            if not isinstance(result, TransientError):
                self.hear()
                return result
            failed, error = failed + 1, result.because_of(error)
            wait, left = schedule.retry_wait(failed, error, self.jitter()), self.left(timeout_s)
            if error.retry_after_s is None:  # the last attempt is not left out because the backoff is long
                wait = min(wait, left - schedule.LAST_CALL_S)
            if wait >= left or wait < 0:
                return error
            if self.is_new(trouble := f"{call.purpose}: {error.reason}"):
                self._log(f"{trouble}; next attempt in {number_format.duration(wait)}")
            await asyncio.sleep(wait)

    def _timed_out(self, call: ApiRequest, error: TransientError) -> EvaluationError:
        spent = number_format.duration(self.elapsed() - self._heard_s)
        why = f"{call.purpose}: {error.reason}"
        if asked := schedule.asked_to_wait(error):
            return EvaluationError(f"{asked} ({why})", "{Rerun} after that time.")
        if not error.status:
            reason = f"Sepurux could not be reached within {spent}: {error.reason}"
            return EvaluationError(reason, schedule.CHECK_NETWORK)
        return EvaluationError(f"Sepurux sent no usable response within {spent} ({why})", "{Rerun}.")
