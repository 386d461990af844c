"""The line of a terminal that is rewritten while a run waits."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle

from sepurux_action.common import number_format
from sepurux_action.host.screen import START_OF_EMPTY_LINE, Screen, cut

FRAMES, ASCII_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
FRAME_S = 0.1
STOP_S = 1.0  # for the last frame to be written; a terminal may be stopped (Ctrl+S)


class ProgressLine:
    """A spinner, what the run waits for, for how long already, and when it gives up.

    A thread of its own rewrites the line, so the seconds pass while the program waits for a response.
    """

    def __init__(self, screen: Screen, now: Callable[[], float] = time.monotonic) -> None:
        """Take the screen, which must be rewritable; nothing is written before the first `show`."""
        self._screen = screen
        self._now = now
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        frames = FRAMES if screen.encodable(FRAMES) == FRAMES else ASCII_FRAMES
        self._frames = cycle(frames)
        self._what, self._until, self._started = "", 0.0, 0.0

    def show(self, what: str, left_s: float) -> None:
        """Show what the run waits for, until the run gives up or something else is shown."""
        with self._lock:
            self._what, self._until = what, self._now() + left_s
        if self._thread is None:
            self._started = self._now()
            self._draw()
            self._thread = threading.Thread(target=self._run, name="progress line", daemon=True)
            self._thread.start()

    def write_above(self, text: str) -> None:
        """Write a whole line that stays, above the one that is rewritten."""
        with self._lock:
            self._screen.write((START_OF_EMPTY_LINE if self._thread else "") + text)

    def end(self) -> None:
        """Erase the line."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
            self._thread = None
            self._write(START_OF_EMPTY_LINE)

    def line(self) -> str:
        """Return the line as it is now. If the terminal is too narrow, the first part is cut, and not the times."""
        now = self._now()
        elapsed = number_format.duration(math.floor(now - self._started))
        left = number_format.duration(math.ceil(max(0.0, self._until - now)))
        times = f", {elapsed} (gives up in {left})"
        columns = self._screen.width - 1  # a terminal wraps after its last column
        return cut(cut(f"{next(self._frames)} {self._what}", columns - len(times)) + times, columns)

    def _run(self) -> None:
        while not self._ended.wait(FRAME_S):
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            self._write(START_OF_EMPTY_LINE + self.line())

    def _write(self, text: str) -> None:
        with suppress(OSError):
            self._screen.write(text)
