"""Work within a deadline; waits are short, so that a signal has an effect on every system."""

from __future__ import annotations

import threading
import time

import pytest

from sepurux_action.errors import DeadlineExceeded, Interrupted
from sepurux_action.host.deadlines import MAX_WAIT_S, ThreadTimeouts


def test_work_may_take_longer_than_one_wait() -> None:
    def work() -> str:
        time.sleep(MAX_WAIT_S + 0.1)
        return "done"

    assert ThreadTimeouts().run(60, work) == "done"


def test_work_is_abandoned_at_its_deadline_even_within_one_wait() -> None:
    with pytest.raises(DeadlineExceeded):
        ThreadTimeouts().run(0.1, lambda: time.sleep(MAX_WAIT_S / 2))


def test_work_of_several_waits_is_abandoned_too() -> None:
    with pytest.raises(DeadlineExceeded):
        ThreadTimeouts().run(MAX_WAIT_S + 0.1, lambda: time.sleep(60))


def test_a_pause_ends_after_its_seconds_and_at_once_for_a_signal() -> None:
    timeouts = ThreadTimeouts()
    start = timeouts.now()
    timeouts.pause(0.1)
    assert timeouts.now() - start >= 0.1
    threading.Timer(0.1, timeouts.interrupt, [15]).start()
    with pytest.raises(Interrupted):
        timeouts.pause(60)
    with pytest.raises(Interrupted):
        timeouts.pause(60)
    assert timeouts.now() - start < 30
