"""Runs blocking work in threads that can be abandoned: after a deadline, after a signal, or when the process ends."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from sepurux_action.common import T
from sepurux_action.errors import DeadlineExceeded, Interrupted
from sepurux_action.host.signals import Signals


def start_thread(work: Callable[[], T]) -> Future[T]:
    """Return the result or the exception of work that runs in a thread of its own, which no exit waits for."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # who no longer waits for a thread cannot cancel it

    def perform() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is read
            future.set_exception(error)

    threading.Thread(target=perform, daemon=True).start()
    return future


class Timeouts:
    """Runs work within seconds. A signal ends the work that is running, and all further work is rejected."""

    def __init__(self, signals: Signals | None = None) -> None:
        self._events: queue.SimpleQueue[None] = queue.SimpleQueue()  # a signal handler may add to it
        self._interrupted = False
        if signals:
            signals.add_listener(self.interrupt)

    def now(self) -> float:
        return time.monotonic()

    def interrupt(self) -> None:
        self._interrupted = True
        self._events.put(None)

    def pause(self, seconds: float) -> None:
        """Wait so many seconds; raises Interrupted if a signal arrives first."""
        self._wait(self.now() + seconds, lambda: False)

    def run(self, seconds: float, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise what it raises.

        Raises DeadlineExceeded after the seconds, at once if there are none, and Interrupted if a signal arrives first.
        """
        if self._interrupted:
            raise Interrupted
        if seconds <= 0:
            raise DeadlineExceeded
        until = self.now() + seconds
        future = start_thread(work)
        future.add_done_callback(lambda _: self._events.put(None))
        self._wait(until, future.done)
        if not future.done():
            raise DeadlineExceeded
        return future.result()

    def _wait(self, until: float, done: Callable[[], bool]) -> None:
        while not done():
            if self._interrupted:
                raise Interrupted
            left = until - self.now()
            if left <= 0:
                return
            with suppress(queue.Empty):
                self._events.get(timeout=min(left, threading.TIMEOUT_MAX))
