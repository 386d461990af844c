"""SIGINT, SIGTERM, and SIGHUP during a run.

They are handled because the run still has to report, and because the kernel has no default action for them in a
container's first process.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Self

EXIT_BASE = 128  # the shell's convention: 129 after SIGHUP, 130 after SIGINT, 143 after SIGTERM


class Signals:
    """The number of the first signal of the run, and the listeners that are called for each signal."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def installed(cls) -> Self:
        """Return an object that receives the process's signals from now on; only the main thread may call this.

        A process that has to ignore SIGHUP, such as one that nohup started, still does.
        """
        signals = cls()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _frame: signals.receive(number))
        return signals

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call the listener for each signal from now on, and at once if one was received already."""
        self._listeners.append(listener)
        if self.received:
            listener()

    def status(self, decided: int) -> int:
        """Return the exit status of the first signal, or `decided` without a signal."""
        return EXIT_BASE + self.received if self.received else decided

    def receive(self, number: int) -> None:
        """Store the first signal and call the listeners; a signal handler may call this."""
        self.received = self.received or number
        for listener in self._listeners:
            listener()
