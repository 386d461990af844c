"""Runs blocking work within a deadline: in a thread of its own, which is abandoned when the time is over."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from sepurux_action.errors import DeadlineExceeded, Ended, GateError
from sepurux_action.host.arrivals import Arrivals

T = TypeVar("T")

_UNTIL: ContextVar[float] = ContextVar("until", default=math.inf)  # of the work in this thread


def seconds_left() -> float:
    """Return the seconds until the deadline of the work that calls this, infinite outside of `ThreadTimeouts.run`.

    Abandoned work gets 0, so that it can leave out requests that would arrive too late.
    """
    return max(0.0, _UNTIL.get() - time.monotonic())


class ThreadTimeouts:
    """Runs work within a number of seconds, and stops when a signal handler calls `interrupt`."""

    def __init__(self) -> None:
        """Start without work."""
        self._arrivals: Arrivals[int | None] = Arrivals()
        self._started = 0
        self._interrupted = False

    def now(self) -> float:
        """Return the seconds of the monotonic clock."""
        return time.monotonic()

    def interrupt(self, signal: int) -> None:  # noqa: ARG002 - every signal has the same effect
        """Make the current and every later `run` and `pause` raise Ended."""
        self._interrupted = True
        self._arrivals.put(None)

    def pause(self, seconds: float) -> None:
        """Wait for the seconds; raises Ended after a signal."""
        until = self.now() + seconds
        while not self._interrupted:
            try:
                self._arrivals.next(until)  # such as the late result of abandoned work
            except queue.Empty:
                return
        raise Ended

    def run(self, seconds: float, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise the GateError that it raises.

        Raises DeadlineExceeded after the seconds, at once if there are none, and Ended after a signal.
        """
        if self._interrupted:
            raise Ended
        if seconds <= 0:
            raise DeadlineExceeded
        self._started += 1
        number, results, errors = self._started, list[T](), list[GateError]()

        def perform() -> None:
            _UNTIL.set(until)
            try:
                results.append(work())
            except GateError as error:
                errors.append(error)
            self._arrivals.put(number)

        until = self.now() + seconds
        threading.Thread(target=perform, name=f"work {number}", daemon=True).start()
        while True:
            try:
                arrived = self._arrivals.next(until)
            except queue.Empty:
                raise DeadlineExceeded from None
            if arrived is None:
                raise Ended
            if arrived == number:
                break
        if errors:
            raise errors[0]
        return results[0]
