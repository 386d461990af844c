"""Calls in threads: they run at the same time, are abandoned when they take too long, and end for a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.evaluation.api import ApiRequest, ApiResult, Credentials, PermanentError, Success, TransientError
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.evaluation.transport import Transport
from sepurux_action.host.deadlines import Signals
from tests import backend
from tests.backend import ScriptedBackend

ROOT = Path(__file__).resolve().parents[2]
CALL = ApiRequest(method="GET", path="/v1/ci/runs/r1", purpose="the poll of the run")
Send = Callable[[ApiRequest, float], ApiResult]


def echo(call: ApiRequest, within_s: float) -> ApiResult:
    return Success([call.path, within_s])


def transport(url: str) -> Transport:
    return Transport(url, Credentials(token=Secret("token-of-no-one")), Redactor(["token-of-no-one"]))


def perform(send: Send, *requests: tuple[ApiRequest, float]) -> list[ApiResult]:
    """Return the result of each call, all of which start at the same time."""
    calls = ApiCalls(send, Signals())

    async def perform_all() -> list[ApiResult]:
        return await asyncio.gather(*(calls.perform(call, seconds) for call, seconds in requests))

    return calls.until_complete(perform_all())


@contextmanager
def held(response: ApiResult) -> Iterator[tuple[Send, Callable[[], None]]]:
    """Yield a sender that answers only once it is let go, and what lets it go and waits until it has answered."""
    gate = threading.Event()
    threads = []

    def send(*_: object) -> ApiResult:
        threads.append(threading.current_thread())
        gate.wait()
        return response

    def let_go() -> None:
        gate.set()
        for thread in threads:
            thread.join()

    yield send, let_go
    let_go()


def test_one_transport_can_send_calls_at_the_same_time() -> None:
    requests = [ApiRequest(method="GET", path=f"/v1/{n}", purpose="x") for n in range(16)]
    with ScriptedBackend({"GET /*": lambda request: backend.late(0.05, backend.json(request.path))}) as server:
        results = perform(transport(server.url).send, *((request, 10) for request in requests))
    assert results == [Success(request.path) for request in requests]


def test_a_call_that_takes_too_long_is_abandoned_and_its_late_response_is_dropped() -> None:
    with held(Success("too late")) as (send, let_go):
        calls = ApiCalls(send, Signals())

        async def wait() -> ApiResult:
            result = await calls.perform(CALL, 0.05)
            let_go()
            await asyncio.sleep(0.05)
            return result

        result = calls.until_complete(wait())
    assert isinstance(result, TransientError)
    assert not result.reached


def test_a_response_that_comes_after_the_end_of_the_loop_is_dropped() -> None:
    with held(Success("too late")) as (send, let_go):
        assert isinstance(perform(send, (CALL, 0.05))[0], TransientError)
        let_go()  # an exception in the thread would fail this test


def test_headers_without_end_are_abandoned() -> None:
    with ScriptedBackend({"* /*": backend.drip_headers(0.01)}) as server:
        assert isinstance(perform(transport(server.url).send, (CALL, 0.2))[0], TransientError)


def test_a_signal_cancels_what_waits_for_a_call_and_a_later_one_does_nothing() -> None:
    signals = Signals()
    with held(Success(None)) as (send, _):
        calls = ApiCalls(send, signals)

        async def wait() -> bool:
            async def call() -> None:
                await calls.perform(CALL, 60)

            task = asyncio.create_task(call())
            calls.cancel_on_signal([task])
            await asyncio.wait([task])
            return task.cancelled()

        before = signal.signal(signal.SIGUSR1, lambda number, _: signals.receive(number))
        kill = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        kill.start()
        started = time.monotonic()
        try:
            assert calls.until_complete(wait())
        finally:
            kill.join()
            signal.signal(signal.SIGUSR1, before)
        assert time.monotonic() - started < 30
    signals.receive(signal.SIGUSR1)


def test_a_defect_in_a_call_is_the_result_of_that_call_only() -> None:
    def send(call: ApiRequest, within_s: float) -> ApiResult:
        if within_s == 1:
            raise KeyError("a secret")
        return echo(call, within_s)

    defect, sound = perform(send, (CALL, 1), (CALL, 2))
    assert sound == Success([CALL.path, 2])
    assert isinstance(defect, PermanentError)
    assert defect.reason.startswith("internal error (KeyError at test_api_calls.py:")


def test_a_call_without_end_does_not_keep_the_process_running() -> None:
    script = (
        "import threading\n"
        "from sepurux_action.evaluation.api import ApiRequest\n"
        "from sepurux_action.evaluation.api_calls import ApiCalls\n"
        "from sepurux_action.host.deadlines import Signals\n"
        "calls = ApiCalls(lambda call, seconds: threading.Event().wait(), Signals())\n"
        "call = ApiRequest(method='GET', path='/', purpose='x')\n"
        "print(calls.until_complete(calls.perform(call, 0.1)).reached)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "False\n", "")


def test_a_signal_that_comes_together_with_a_response_is_not_lost() -> None:
    signals, responded = Signals(), threading.Event()

    def send(call: ApiRequest, within_s: float) -> ApiResult:  # noqa: ARG001 - the signature of a client
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
