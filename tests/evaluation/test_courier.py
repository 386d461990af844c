"""The courier carries calls while time passes, leaves behind what overstays, and stops for a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.errors import Cancelled
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.client import Transport
from sepurux_action.evaluation.courier import ThreadCourier
from tests import backend
from tests.backend import ScriptedBackend

ROOT = Path(__file__).resolve().parents[2]
CALL = ApiRequest(method="GET", path="/v1/ci/runs/r1", purpose="a look at the run")


def echo(call: ApiRequest, within_s: float) -> ApiResult:
    return Success([call.path, within_s])


def transport(url: str) -> Transport:
    return Transport(url, token=Secret("token-of-nobody"), api_key=None, blank=Redactor(["token-of-nobody"]))


@contextmanager
def held(answer: ApiResult) -> Iterator[tuple[Callable[[ApiRequest, float], ApiResult], Callable[[], None]]]:
    """Yield a sender that answers only once it is let go, and what lets it go and waits until it has answered."""
    gate = threading.Event()
    threads = []

    def send(*_: object) -> ApiResult:
        threads.append(threading.current_thread())
        gate.wait()
        return answer

    def let_go() -> None:
        gate.set()
        for thread in threads:
            thread.join()

    yield send, let_go
    let_go()


def test_an_answer_comes_under_its_calls_tag_with_the_calls_seconds() -> None:
    courier = ThreadCourier(echo)
    courier.send(7, CALL, 3.5)
    assert courier.receive(5) == (7, Success([CALL.path, 3.5]))


def test_two_calls_of_one_tag_have_an_answer_each() -> None:
    courier = ThreadCourier(echo)
    courier.send(7, CALL, 1)
    courier.send(7, CALL, 2)
    answers = [courier.receive(5), courier.receive(5)]
    assert sorted(answers, key=repr) == [(7, Success([CALL.path, 1])), (7, Success([CALL.path, 2]))]


def test_calls_are_under_way_at_the_same_time() -> None:
    together = threading.Barrier(8)

    def send(*_: object) -> ApiResult:
        together.wait(10)  # each call goes on only when all eight are here
        return Success(None)

    courier = ThreadCourier(send)
    for tag in range(8):
        courier.send(tag, CALL, 10)
    arrivals = [courier.receive(10) for _ in range(8)]
    assert sorted(tag for tag, answer in filter(None, arrivals) if answer == Success(None)) == list(range(8))


def test_one_transport_bears_calls_at_the_same_time() -> None:
    with ScriptedBackend({"GET /*": lambda request: backend.late(0.05, backend.json(request.path))}) as server:
        courier = ThreadCourier(transport(server.url).send)
        for tag in range(16):
            courier.send(tag, ApiRequest(method="GET", path=f"/v1/{tag}", purpose="x"), 10)
        arrivals = dict(filter(None, (courier.receive(10) for _ in range(16))))
    assert arrivals == {tag: Success(f"/v1/{tag}") for tag in range(16)}


def test_nothing_comes_where_nothing_was_sent() -> None:
    assert ThreadCourier(echo).receive(0.01) is None
    assert ThreadCourier(echo).receive(0) is None
    assert ThreadCourier(echo).receive(-1) is None


def test_an_overdue_call_answers_with_trouble_and_its_late_answer_is_dropped() -> None:
    with held(Success("too late")) as (send, let_go):
        courier = ThreadCourier(send)
        courier.send(7, CALL, 0.05)
        arrival = courier.receive(10)
        assert arrival is not None
        tag, answer = arrival
        assert tag == 7
        assert isinstance(answer, TransientError)
        assert not answer.reached
        let_go()
        assert courier.receive(0.05) is None


def test_the_call_that_is_due_first_is_overdue_first() -> None:
    with held(Success(None)) as (send, _):
        courier = ThreadCourier(send)
        courier.send(1, CALL, 0.2)
        courier.send(2, CALL, 0.05)
        arrivals = [courier.receive(10), courier.receive(10)]
        assert [tag for tag, _ in filter(None, arrivals)] == [2, 1]


def test_waiting_less_than_a_call_may_take_leaves_the_call_under_way() -> None:
    with held(Success("in time")) as (send, let_go):
        courier = ThreadCourier(send)
        courier.send(7, CALL, 10)
        assert courier.receive(0.01) is None
        let_go()
        assert courier.receive(10) == (7, Success("in time"))


def test_an_answer_after_another_call_was_left_behind_is_its_own() -> None:
    with held(Success("late")) as (send, let_go):
        courier = ThreadCourier(lambda call, within_s: send(call, within_s) if within_s < 1 else Success("prompt"))
        courier.send(1, CALL, 0.05)
        assert [arrival[0] for arrival in [courier.receive(10)] if arrival] == [1]
        let_go()
        courier.send(1, CALL, 5)
        assert courier.receive(10) == (1, Success("prompt"))
        assert courier.receive(0.01) is None


@pytest.mark.parametrize("fault", [backend.drip_headers(0.01), backend.hang()], ids=["drips headers", "hangs"])
def test_a_backend_that_never_comes_to_an_end_is_left_behind(fault: backend.Answer) -> None:
    with ScriptedBackend({"* /*": fault}) as server:
        courier = ThreadCourier(transport(server.url).send)
        courier.send(7, CALL, 0.2)
        arrival = courier.receive(10)
        assert arrival is not None
        assert arrival[0] == 7
        assert isinstance(arrival[1], TransientError)


def test_a_signals_handler_wakes_a_wait_and_nothing_is_sent_or_received_after_it() -> None:
    with held(Success(None)) as (send, _):
        courier = ThreadCourier(send)
        courier.send(7, CALL, 60)
        before = signal.signal(signal.SIGUSR1, lambda number, _: courier.interrupt(number))
        kill = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        kill.start()
        try:
            with pytest.raises(Cancelled) as cancelled:
                courier.receive(60)
        finally:
            kill.join()
            signal.signal(signal.SIGUSR1, before)
        assert cancelled.value.signal == signal.SIGUSR1
        for _ in range(2):
            with pytest.raises(Cancelled):
                courier.receive(0)
            with pytest.raises(Cancelled):
                courier.send(8, CALL, 1)


def test_after_a_signal_no_answer_counts_that_was_already_there() -> None:
    courier = ThreadCourier(echo)
    courier.send(7, CALL, 5)
    courier.interrupt(signal.SIGTERM)
    with pytest.raises(Cancelled) as cancelled:
        courier.receive(5)
    assert cancelled.value.signal == signal.SIGTERM


def test_a_defect_in_a_call_is_the_answer_of_that_call_only() -> None:
    def send(call: ApiRequest, within_s: float) -> ApiResult:
        if within_s == 1:
            raise KeyError("a secret")
        return echo(call, within_s)

    courier = ThreadCourier(send)
    courier.send(1, CALL, 1)
    courier.send(2, CALL, 2)
    answers = dict(filter(None, [courier.receive(5), courier.receive(5)]))
    assert answers[2] == Success([CALL.path, 2])
    assert isinstance(answers[1], PermanentError)
    assert answers[1].reason.startswith("internal error (KeyError at test_courier.py:")


def test_a_call_without_end_does_not_hold_the_process() -> None:
    script = (
        "import threading\n"
        "from sepurux_action.evaluation.courier import ThreadCourier\n"
        "from sepurux_action.evaluation.api import ApiRequest\n"
        "courier = ThreadCourier(lambda call, within_s: threading.Event().wait())\n"
        "courier.send(1, ApiRequest(method='GET', path='/', purpose='x'), 60)\n"
        "print(courier.receive(0.1))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "None\n", "")


def test_jitter_lies_between_0_and_1_and_varies() -> None:
    drawn = {ThreadCourier(echo).jitter() for _ in range(500)}
    assert all(0 <= each <= 1 for each in drawn)
    assert len(drawn) > 400


def test_every_key_is_a_fresh_uuid() -> None:
    courier = ThreadCourier(echo)
    assert len({uuid.UUID(courier.new_key()) for _ in range(500)}) == 500


def test_the_clock_never_goes_back() -> None:
    courier = ThreadCourier(echo)
    read = [courier.now() for _ in range(100)]
    assert read == sorted(read)
