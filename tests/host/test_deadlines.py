"""Work that is abandoned at its deadline or after a signal."""

import threading
import time
from collections.abc import Callable

import pytest

from sepurux_action.errors import DeadlineExceeded, Interrupted
from sepurux_action.host.deadlines import Signals, Timeouts


def test_work_begins_if_time_is_left_and_raises_what_it_raises_also_after_work_that_was_abandoned() -> None:
    begun: list[None] = []

    def fail() -> None:
        begun.append(None)
        time.sleep(0.2)
        raise ZeroDivisionError

    timeouts = Timeouts()
    with pytest.raises(DeadlineExceeded):
        timeouts.run(0, fail)
    assert begun == []
    with pytest.raises(DeadlineExceeded):
        timeouts.run(0.01, lambda: time.sleep(0.1))
    with pytest.raises(ZeroDivisionError):
        timeouts.run(60, fail)


def test_a_signal_ends_work_or_a_pause_at_once_and_rejects_more() -> None:
    start = time.monotonic()
    waits: list[Callable[[Timeouts], None]] = [lambda each: each.run(60, lambda: time.sleep(60))]
    waits.append(lambda each: each.pause(60))
    for wait in waits:
        timeouts = Timeouts(signals := Signals())
        threading.Timer(0.1, signals.receive, [15]).start()
        for _ in range(2):
            with pytest.raises(Interrupted):
                wait(timeouts)
    assert time.monotonic() - start < 30
