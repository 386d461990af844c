"""Owns SIGINT and SIGTERM for the time of a run; never what follows from one.

They are handled because the kernel gives a container's first process no default for them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

EXIT_BASE = 128  # the shell's convention: 130 after SIGINT, 143 after SIGTERM


class Signals:
    """The first signal of the run, and whom to tell of each."""

    def __init__(self) -> None:
        """Handle signals from now on."""
        self.received: int | None = None
        self._listeners: list[Callable[[int], None]] = []
        signal.signal(signal.SIGINT, self._receive)
        signal.signal(signal.SIGTERM, self._receive)

    def tell(self, listener: Callable[[int], None]) -> None:
        """Call the listener when a signal comes, or at once where one has come already."""
        self._listeners.append(listener)
        if self.received is not None:
            listener(self.received)

    def status(self, decided: int) -> int:
        """Return the exit status: the signal's, whatever was decided before, else what was decided."""
        return decided if self.received is None else EXIT_BASE + self.received

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the handler's signature
        self.received = self.received or number
        for listener in self._listeners:
            listener(number)
