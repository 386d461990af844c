"""Work within a deadline."""

from __future__ import annotations

import math
import threading
import time

import pytest

from sepurux_action.errors import DeadlineExceeded, Interrupted
from sepurux_action.host.deadlines import ThreadTimeouts


def test_work_is_abandoned_at_its_deadline() -> None:
    assert ThreadTimeouts().run(math.inf, lambda: "done") == "done"
    with pytest.raises(DeadlineExceeded):
        ThreadTimeouts().run(0.1, lambda: time.sleep(60))


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
