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
    """The first signal of the run, and the listeners that are called for each signal."""

    def __init__(self) -> None:
        """Start without a signal; something has to call `receive`."""
        self.received: int | None = None
        self._listeners: list[Callable[[int], None]] = []

    @classmethod
    def installed(cls) -> Self:
        """Return an object that receives the process's signals from now on; only the main thread may call this.

        A process that has to ignore SIGHUP, such as one that nohup started, still does.
        """
        signals = cls()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        for number in numbers:
            signal.signal(number, lambda number, _frame: signals.receive(number))
        return signals

    def add_listener(self, listener: Callable[[int], None]) -> None:
        """Call the listener for each signal from now on, and at once if one was received already."""
        self._listeners.append(listener)
        if self.received is not None:
            listener(self.received)

    def is_received(self) -> bool:
        """Return whether a signal was received."""
        return self.received is not None

    def status(self, decided: int) -> int:
        """Return the exit status of the first signal, or `decided` without a signal."""
        return decided if self.received is None else EXIT_BASE + self.received

    def receive(self, number: int) -> None:
        """Store the first signal and call the listeners; a signal handler may call this."""
        self.received = self.received or number
        for listener in self._listeners:
            listener(number)
