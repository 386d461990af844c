"""Calls in threads: they are abandoned when they take too long, and end for a signal."""

import asyncio
import signal
import threading
import time

import pytest

from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.host.deadlines import Signals

CALL = ApiRequest(method="GET", path="/v1/ci/runs/r1", purpose="the poll of the run")


@pytest.mark.parametrize("after_the_loop", [False, True])
def test_a_call_that_takes_too_long_is_abandoned_and_its_late_response_is_dropped(*, after_the_loop: bool) -> None:
    late, threads = threading.Event(), list[threading.Thread]()

    def send(*_: object) -> ApiResult:
        threads.append(threading.current_thread())
        late.wait()
        return Success("too late")

    def respond() -> None:
        late.set()
        threads[0].join()  # an exception in the thread would fail the test

    calls = ApiCalls(send, Signals())

    async def wait() -> ApiResult:
        result = await calls.perform(CALL, 0.05)
        if not after_the_loop:
            respond()
            await asyncio.sleep(0.05)
        return result

    result = calls.until_complete(wait())
    respond()
    assert isinstance(result, TransientError)
    assert result.status == 0


def test_a_defect_in_a_call_is_the_result_of_that_call_only() -> None:
    def send(_: ApiRequest, within_s: float) -> ApiResult:
        if within_s == 1:
            raise KeyError("a secret")
        return Success(within_s)

    calls = ApiCalls(send, Signals())

    async def both() -> list[ApiResult]:
        return await asyncio.gather(*(calls.perform(CALL, seconds) for seconds in (1, 2)))

    defect, sound = calls.until_complete(both())
    assert sound == Success(2)
    assert isinstance(defect, PermanentError)
    assert defect.reason.startswith("internal error (KeyError at test_api_calls.py:")


def test_a_signal_that_comes_together_with_a_response_is_not_lost() -> None:
    signals, responded = Signals(), threading.Event()

    def send(*_: object) -> ApiResult:
        responded.set()
        return Success(None)

    calls = ApiCalls(send, signals)

    async def signalled() -> bool:
        async def perform() -> None:
            await calls.perform(CALL, 60)

        task = asyncio.create_task(perform())
        calls.cancel_on_signal([task])
        await asyncio.sleep(0)  # the call's thread starts
        responded.wait(10)
        time.sleep(0.05)  # noqa: ASYNC251 - the loop gets response and signal in one turn
        signals.receive(signal.SIGTERM)
        await asyncio.wait([task])
        return task.cancelled()

    assert calls.until_complete(signalled())
