"""Owns a bound on what blocks: work in a thread of its own, left behind when its time is over; never a late result."""

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
    """Return how long somebody still waits for the work that asks, infinite outside of any: what comes later is lost.

    Work that was left behind sees no more than 0, so that it can refrain from what would land late.
    """
    return max(0.0, _UNTIL.get() - time.monotonic())


class ThreadTimeouts:
    """Runs work within seconds. A signal handler may call `interrupt`: work under way ends, and no more is begun."""

    def __init__(self) -> None:
        """Start with nothing under way."""
        self._arrivals: Arrivals[int | None] = Arrivals()
        self._started = 0
        self._interrupted = False

    def now(self) -> float:
        """Return the monotonic clock's seconds."""
        return time.monotonic()

    def interrupt(self, signal: int) -> None:  # noqa: ARG002 - which one makes no difference here
        """End the work under way, and all that is still to come, for a signal."""
        self._interrupted = True
        self._arrivals.put(None)

    def pause(self, seconds: float) -> None:
        """Wait so many seconds; raises Ended when a signal comes first."""
        until = self.now() + seconds
        while not self._interrupted:
            try:
                self._arrivals.next(until)  # such as the late end of work that was left behind
            except queue.Empty:
                return
        raise Ended

    def run(self, seconds: float, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise the GateError that it raises.

        Raises OverTime after the seconds, and Ended when a signal comes first; without any left the work is not begun.
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
