"""Owns waiting for what threads and a signal's handler put down; never a wait that holds a handler back for long."""

from __future__ import annotations

import queue
import time
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_WAIT_S = 1.0  # at a stretch: on Windows a wait is not ended by a signal, whose handler comes after it


class Arrivals(Generic[T]):
    """What arrives, in its order; `put` may be called by any thread and by a signal handler."""

    def __init__(self) -> None:
        """Start with nothing there."""
        self._queue: queue.SimpleQueue[T] = queue.SimpleQueue()

    def put(self, arrival: T) -> None:
        """Put something down."""
        self._queue.put(arrival)

    def next(self, until: float) -> T:
        """Return what arrives next; raises `queue.Empty` when nothing has come by `until`, on the monotonic clock."""
        while True:
            try:
                return self._queue.get(timeout=min(max(0.0, until - time.monotonic()), MAX_WAIT_S))
            except queue.Empty:
                if time.monotonic() >= until:
                    raise
