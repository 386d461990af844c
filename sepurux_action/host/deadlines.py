"""Runs blocking work within a deadline, in a thread that is abandoned when the deadline passes."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from sepurux_action.errors import DeadlineExceeded, GateError, Interrupted

T = TypeVar("T")

_UNTIL: ContextVar[float] = ContextVar("until", default=math.inf)  # the deadline of the work in this thread


def seconds_left() -> float:
    """Return the seconds until the deadline of the work that calls this, infinite outside of any work.

    Abandoned work gets 0, so that it can leave out a write that would come too late.
    """
    return max(0.0, _UNTIL.get() - time.monotonic())


class ThreadTimeouts:
    """Runs work within seconds. A signal handler may call `interrupt`, which ends all work."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # numbers of finished work; None: a signal
        self._started = 0
        self._interrupted = False

    def now(self) -> float:
        """Return the monotonic clock's seconds."""
        return time.monotonic()

    def interrupt(self, signal: int) -> None:  # noqa: ARG002 - all signals have the same effect
        """End the work that is running, and reject all further work."""
        self._interrupted = True
        self._events.put(None)

    def pause(self, seconds: float) -> None:
        """Wait so many seconds; raises Interrupted if a signal arrives first."""
        until = self.now() + seconds
        while not self._interrupted:
            if self.now() >= until:
                return
            self._next_event(until)
        raise Interrupted

    def run(self, seconds: float, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise the GateError that it raises.

        Raises DeadlineExceeded after the seconds, at once if there are none, and Interrupted if a signal arrives first.
        """
        if self._interrupted:
            raise Interrupted
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
            self._events.put(number)

        until = self.now() + seconds
        threading.Thread(target=perform, name=f"work {number}", daemon=True).start()
        while (event := self._next_event(until)) != number:
            if event is None:
                raise Interrupted
            if self.now() >= until:
                raise DeadlineExceeded
        if errors:
            raise errors[0]
        return results[0]

    def _next_event(self, until: float) -> int | None:
        """Return the number of finished work, None for a signal, or 0 if nothing has happened until then."""
        try:
            return self._events.get(timeout=min(max(0.0, until - self.now()), threading.TIMEOUT_MAX))
        except queue.Empty:
            return 0
