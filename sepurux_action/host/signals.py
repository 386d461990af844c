"""Owns SIGINT and SIGTERM for the time of a run; never what follows from one.

They are handled because the kernel gives a container's first process no default for them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

EXIT_BASE = 128  # the shell's convention: 130 after SIGINT, 143 after SIGTERM


class Signals:
    """The first signal of the run, and whom to tell of each."""

    def __init__(self) -> None:
        """Start without a signal; `install` makes the process's own signals arrive here."""
        self.received: int | None = None
        self._listeners: list[Callable[[int], None]] = []

    def install(self) -> None:
        """Handle the process's signals from now on; only the main thread may call this."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _frame: self.receive(number))

    def add_listener(self, listener: Callable[[int], None]) -> None:
        """Call the listener when a signal comes, or at once where one has come already."""
        self._listeners.append(listener)
        if self.received is not None:
            listener(self.received)

    def status(self, decided: int) -> int:
        """Return the exit status: the signal's, whatever was decided before, else what was decided."""
        return decided if self.received is None else EXIT_BASE + self.received

    def receive(self, number: int) -> None:
        """Note a signal, and tell the listeners; a signal handler may call this."""
        self.received = self.received or number
        for listener in self._listeners:
            listener(number)
