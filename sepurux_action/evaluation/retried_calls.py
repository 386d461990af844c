"""Sends the calls of a step within the timeouts of its gates, and tries them again while their error may pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sepurux_action.common import number_format
from sepurux_action.errors import EvaluationError, Outage
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.evaluation.ci_run import NO_OBJECT
from sepurux_action.evaluation.schedule import Retry

CHECK_NETWORK = "Check {base_url}, and that this machine may connect to its host through firewall and proxy. {Rerun}."


class RetriedCalls:
    """Times are seconds since it was made. `show_wait` is called after each result, `log` gets what to write.

    `last_error` is that of the last call that was sent, None if it succeeded. `polled` is the number of runs that are
    polled at the same time.
    """

    def __init__(self, calls: ApiCalls, show_wait: Callable[[], None], log: Callable[[str], None]) -> None:
        self.show_wait, self.polled = show_wait, 1
        self.last_error: TransientError | None = None
        self._calls, self._log = calls, log
        self._started = calls.now()
        self._responded = False
        self._said: set[str] = set()
        self._shared: dict[tuple[ApiRequest, float], asyncio.Task[object]] = {}

    def elapsed(self) -> float:
        return self._calls.now() - self._started

    def left(self, timeout_s: float) -> float:
        if not self._responded:
            timeout_s = min(timeout_s, schedule.FIRST_RESPONSE_S)
        return timeout_s - self.elapsed()

    def jitter(self) -> float:
        return self._calls.jitter()

    def is_new(self, text: str) -> bool:
        """Return whether this is the first time that the step says a text."""
        is_new = text not in self._said
        self._said.add(text)
        return is_new

    async def send(self, call: ApiRequest, seconds: float) -> ApiResult:
        return self._noted(await self._calls.send(call, self._calls.now() + seconds))

    async def poll(self, call: ApiRequest, timeout_s: float) -> tuple[ApiResult, bool]:
        """Return the result of a poll, and whether it was the last one, which may end after the timeout."""
        deadline = self._started + timeout_s
        until = deadline + max(schedule.LAST_POLL_S, self.polled * schedule.POLL_GAP_S + 1)
        result, last = await self._calls.poll(call, deadline, until)
        return self._noted(result), last

    def _noted(self, result: ApiResult) -> ApiResult:
        """Return a result, and note whether the backend responded. If no time was left, an earlier error is why."""
        if result is api.NO_TIME_LEFT:
            return (self.last_error or api.NO_TIME_LEFT).unsent(None)
        self.last_error = result if isinstance(result, TransientError) else None
        self._responded |= self.last_error is None or self.last_error.reached
        self.show_wait()
        return result

    async def payload_of(self, call: ApiRequest, timeout_s: float) -> object:
        """Return the payload of a call that is tried again until the timeout; raises EvaluationError."""
        result = await self.retried(call, timeout_s)
        if isinstance(result, Success):
            return result.payload
        if isinstance(result, PermanentError):
            raise EvaluationError(result.reason, result.hint, outage=result.outage)
        raise self._timed_out(call, result)

    async def shared_payload_of(self, call: ApiRequest, timeout_s: float) -> object:
        """Return the payload of a call that is sent once for all who make it with the same timeout."""
        key = call, timeout_s
        if key not in self._shared:
            self._shared[key] = asyncio.create_task(self.payload_of(call, timeout_s))
        return await self._shared[key]

    async def retried(self, call: ApiRequest, timeout_s: float, *, of_object: bool = False) -> ApiResult:
        """Return the result of a call that is tried again while its error, or with `of_object` its shape, may pass."""
        retry = Retry()
        while True:
            result = await self.send(call, min(api.CALL_S, max(schedule.LAST_CALL_S, self.left(timeout_s))))
            if of_object and isinstance(result, Success) and not isinstance(result.payload, dict):
                result = TransientError(reason=NO_OBJECT, reached=True)
            if not isinstance(result, TransientError):
                return result
            retry = retry.after(result)
            error, wait, left = retry.error or result, retry.wait(self.jitter()), self.left(timeout_s)
            if error.retry_after_s is None:  # the last attempt is not left out because the backoff is long
                wait = min(wait, left - schedule.LAST_CALL_S)
            if wait >= left or wait < 0:
                return error
            if self.is_new(trouble := f"{call.purpose}: {error.reason}"):
                self._log(f"{trouble}; next attempt in {number_format.duration(wait)}")
            await asyncio.sleep(wait)

    def _timed_out(self, call: ApiRequest, error: TransientError) -> EvaluationError:
        outage = error.outage
        if outage is Outage.IF_CONFIRMED and error.sent and call.path == api.CAMPAIGNS:
            outage = Outage.YES
        spent = number_format.duration(self.elapsed())
        why = f"{call.purpose}: {error.reason}"
        reason, hint = f"Sepurux did not respond within {spent} ({why})", CHECK_NETWORK
        if error.retry_after_s is not None:
            asked = number_format.duration(Retry(1, error).wait(0))
            reason = f"Sepurux asked to wait {asked}, longer than the time that is left ({why})"
            hint = "Raise {timeout} (now {now}), or {rerun} after that time."
        elif not error.connected:
            reason = f"Sepurux could not be reached within {spent}: {error.reason}"
        elif self._responded:
            reason = f"Sepurux sent no usable response within {spent} ({why})"
            hint = "{Rerun}, or raise {timeout} (now {now})."
        return EvaluationError(reason, hint, outage=outage)
