"""The signals of a run, and blocking work in threads that can be abandoned after a signal or a deadline.

SIGINT and SIGTERM are handled because the run still has to report, and because the kernel has no default action for
them in a container's first process.
"""

import queue
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Self

from sepurux_action.common import T
from sepurux_action.errors import DeadlineExceeded, Interrupted

LONGEST_WAIT = 1  # seconds until a signal is noticed that arrived between two bytecodes


class Signals:
    """The number of the first signal of the run, and the listeners that are called for each signal."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.listeners: list[Callable[[], None]] = []

    @classmethod
    def installed(cls) -> Self:
        """Return an object that receives the process's signals from now on; only the main thread may call this.

        The start of the program blocks them. So a signal during the imports is received here, and has a report too.
        """
        signals, handled = cls(), (signal.SIGINT, signal.SIGTERM)
        for number in handled:
            signal.signal(number, lambda number, _frame: signals.receive(number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
        return signals

    def status(self, decided: int) -> int:
        """Return the shell's exit status of the first signal, such as 143 after SIGTERM, or `decided` without one."""
        return 128 + self.received if self.received else decided

    def receive(self, number: int) -> None:
        """Store the first signal and call the listeners; a signal handler may call this."""
        self.received = self.received or number
        for listener in self.listeners:
            listener()


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
        self._signals = signals or Signals()
        self._events: queue.SimpleQueue[None] = queue.SimpleQueue()  # a signal handler may add to it
        self._signals.listeners.append(lambda: self._events.put(None))

    def now(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Wait so many seconds; raises Interrupted if a signal arrives first."""
        self._wait(self.now() + seconds, lambda: False)

    def run(self, seconds: float, work: Callable[[], T]) -> T:
        """Return or raise what the work does; raises DeadlineExceeded after the seconds, Interrupted after a signal."""
        if self._signals.received:
            raise Interrupted
        if seconds <= 0:
            raise DeadlineExceeded
        until, future = self.now() + seconds, start_thread(work)
        future.add_done_callback(lambda _: self._events.put(None))
        self._wait(until, future.done)
        if not future.done():
            raise DeadlineExceeded
        return future.result()

    def _wait(self, until: float, done: Callable[[], bool]) -> None:
        while not done():
            if self._signals.received:
                raise Interrupted
            left = until - self.now()
            if left <= 0:
                return
            with suppress(queue.Empty):  # a signal just before the wait runs its handler only after it, so it is short
                self._events.get(timeout=min(left, LONGEST_WAIT))
