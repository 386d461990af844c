"""Work that is abandoned at its deadline or after a signal."""

from __future__ import annotations

import threading
import time

import pytest

from sepurux_action.errors import DeadlineExceeded, Interrupted
from sepurux_action.host.deadlines import Timeouts


def test_work_for_which_no_time_is_left_does_not_begin() -> None:
    begun: list[None] = []
    with pytest.raises(DeadlineExceeded):
        Timeouts().run(0, lambda: begun.append(None))
    assert begun == []


def test_work_raises_what_it_raises_also_after_work_that_was_abandoned() -> None:
    def fail() -> None:
        time.sleep(0.2)
        raise ZeroDivisionError

    timeouts = Timeouts()
    with pytest.raises(DeadlineExceeded):
        timeouts.run(0.01, lambda: time.sleep(0.1))
    with pytest.raises(ZeroDivisionError):
        timeouts.run(60, fail)


def test_a_signal_ends_work_at_once_and_rejects_further_work() -> None:
    timeouts = Timeouts()
    threading.Timer(0.1, timeouts.interrupt).start()
    start = timeouts.now()
    for _ in range(2):
        with pytest.raises(Interrupted):
            timeouts.run(60, lambda: time.sleep(60))
    assert timeouts.now() - start < 30


def test_a_pause_ends_after_its_seconds_and_at_once_for_a_signal() -> None:
    timeouts = Timeouts()
    start = timeouts.now()
    timeouts.pause(0.1)
    assert timeouts.now() - start >= 0.1
    threading.Timer(0.1, timeouts.interrupt).start()
    with pytest.raises(Interrupted):
        timeouts.pause(60)
    with pytest.raises(Interrupted):
        timeouts.pause(60)
    assert timeouts.now() - start < 30
