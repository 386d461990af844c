"""Calls in threads: they are abandoned when they take too long, and end for a signal."""

import signal
import threading
import time
from collections.abc import Callable

import pytest

from sepurux_action.errors import Interrupted
from sepurux_action.evaluation.api import NO_TIME_LEFT, ApiRequest, Reply
from sepurux_action.evaluation.engine import GRACE_S, Engine
from sepurux_action.host.deadlines import Signals

CALL = ApiRequest(method="GET", path="/v1/ci/runs/r1", purpose="the poll of the run")


def results_of(send: Callable[[ApiRequest, float], Reply], *calls: ApiRequest, signals: Signals) -> list[Reply]:
    engine = Engine(send, signals)
    [results] = engine.perform([lambda: engine.share(calls, lambda call: engine.send(call, engine.now() + 60))])
    return results


def test_if_no_time_is_left_for_a_call_an_earlier_error_is_why() -> None:
    engine = Engine(lambda *_: Reply(), Signals())
    engine.begin(1, lambda: None, print)
    engine.noted(Reply(error="HTTP 503", status=503, temporary=True))
    assert [engine.noted(NO_TIME_LEFT).error for _ in range(2)] == ["HTTP 503"] * 2


@pytest.mark.parametrize("after_the_loop", [False, True])
def test_a_call_that_takes_too_long_is_abandoned_and_its_late_response_is_dropped(*, after_the_loop: bool) -> None:
    late, threads = threading.Event(), list[threading.Thread]()

    def send(call: ApiRequest, _: float) -> Reply:
        if call.project:
            time.sleep(GRACE_S + 0.2)  # so long does the loop go on
            if not after_the_loop:
                respond()
            return Reply()
        threads.append(threading.current_thread())
        late.wait()
        return Reply(payload="too late")

    def respond() -> None:
        late.set()
        threads[0].join()  # an exception in the thread would fail the test

    engine = Engine(send, Signals())
    other = ApiRequest(path="/v1/campaigns", purpose="x", project="other")
    until = engine.now() + 0.05
    [[result, _]] = engine.perform([lambda: engine.share((CALL, other), lambda call: engine.send(call, until))])
    respond()
    assert (result.temporary, result.status) == (True, 0)


def test_a_defect_in_a_call_is_the_result_of_that_call_only() -> None:
    def send(call: ApiRequest, _: float) -> Reply:
        if call is CALL:
            raise KeyError("a secret")
        return Reply(payload=2)

    other = ApiRequest(path="/v1/campaigns", purpose="x")
    defect, sound = sorted(results_of(send, CALL, other, signals=Signals()), key=lambda result: not result.error)
    assert sound == Reply(payload=2)
    assert not defect.temporary
    assert defect.error.startswith("internal error (KeyError at test_engine.py:")


def test_a_signal_that_comes_together_with_a_response_is_not_lost() -> None:
    signals = Signals()

    def send(*_: object) -> Reply:
        signals.receive(signal.SIGTERM)
        return Reply()

    with pytest.raises(Interrupted):
        results_of(send, CALL, signals=signals)
