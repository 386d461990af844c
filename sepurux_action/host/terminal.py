"""A command line, for people and for other CI systems: the result on stdout, everything else on stderr."""

from __future__ import annotations

import itertools
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.secret import Redactor
from sepurux_action.host import workflow_commands as commands
from sepurux_action.host.workflow_commands import Level

BOLD, DIM, RED, GREEN, YELLOW = (f"\x1b[{number}m" for number in (1, 2, 31, 32, 33))
RESET = "\x1b[0m"
START_OF_EMPTY_LINE = "\r\x1b[K"
OF_LEVEL = {Level.NOTICE: DIM, Level.WARNING: YELLOW, Level.ERROR: RED}
OF_MARK = dict.fromkeys("!…✋", YELLOW) | {"✗": RED, "✓": GREEN, "-": DIM}
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAME_S = 0.1
STOP_S = 1.0  # for the last frame to be written; a terminal may be stopped (Ctrl+S)


def knows_escapes(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether the stream is a terminal that knows escape sequences."""
    return stream.isatty() and environ.get("TERM") != "dumb"


def is_colored(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether the stream shows colors; NO_COLOR and FORCE_COLOR decide as in Python itself."""
    forced = environ.get("FORCE_COLOR", "") not in {"", "0"}
    return not environ.get("NO_COLOR") and (forced or knows_escapes(stream, environ))


class ProgressLine:
    """A spinner, what the run waits for, for how long already, and when it gives up.

    A thread of its own rewrites the line, so the seconds pass while the program waits for a response.
    """

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        """Take a terminal that knows escape sequences; nothing is written before the first `show`."""
        self._stream, self._now = stream, now
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._frames = itertools.cycle(FRAMES)
        self._started, self._waiting = 0.0, ("", 0.0)

    def show(self, what: str, left_s: float) -> None:
        """Show what the run waits for, until the run gives up or something else is shown."""
        self._waiting = (what, self._now() + left_s)
        if self._thread is None:
            self._started = self._now()
            self._draw()
            self._thread = threading.Thread(target=self._run, name="progress line", daemon=True)
            self._thread.start()

    def write_above(self, text: str) -> None:
        """Write whole lines that stay, above the one that is rewritten; raises OSError if that fails."""
        with self._lock:
            self._stream.write((START_OF_EMPTY_LINE if self._thread else "") + text)
            self._stream.flush()

    def end(self) -> None:
        """Erase the line."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
            with suppress(OSError):
                self.write_above("")
            self._thread = None

    def line(self, columns: int) -> str:
        """Return the line as it is now, shorter than the columns: a terminal wraps after its last column."""
        what, until = self._waiting
        elapsed = number_format.duration(math.floor(self._now() - self._started))
        left = number_format.duration(math.ceil(max(0.0, until - self._now())))
        times = f", {elapsed} (gives up in {left})"
        shown = json_reader.shorten(f"{next(self._frames)} {what}", max(1, columns - 1 - len(times)))
        return (shown + times)[: columns - 1]

    def _run(self) -> None:
        while not self._ended.wait(FRAME_S):
            self._draw()

    def _draw(self) -> None:
        columns = 0
        with suppress(OSError):  # in a test, it is no terminal
            columns = os.get_terminal_size(self._stream.fileno()).columns
        with suppress(OSError):
            self.write_above(self.line(columns or 80))


class Terminal:
    """The standard streams of a process outside GitHub.

    On a terminal, one line that is rewritten stands for the log of a run under way. A CI system keeps every version of
    such a line, so it gets the log. `quiet` leaves out both, except for warnings.
    """

    def __init__(
        self, environ: Mapping[str, str], *, quiet: bool = False, out: TextIO | None = None, log: TextIO | None = None
    ) -> None:
        """Take the environment and, in place of the process's streams, others."""
        self._redact = Redactor()
        self._quiet = quiet
        self._environ = environ
        self._out, self._log = out or sys.stdout, log or sys.stderr
        self._progress = ProgressLine(self._log)
        self._rewrites = knows_escapes(self._log, environ) and not environ.get("CI")

    def mask_secrets(self, redact: Redactor, secrets: tuple[str, ...]) -> None:  # noqa: ARG002 - no runner to inform
        """Redact secrets in everything that is written from now on."""
        self._redact = redact

    def log(self, text: str) -> None:
        """Write one line to stderr."""
        if not self._quiet:
            self._write_log(self._printable(text))

    def progress(self, text: str) -> None:
        """Write one line to stderr, unless a line that is rewritten shows the same."""
        if not self._rewrites:
            self.log(text)

    def wait(self, what: str, left_s: float) -> None:
        """Show what the run waits for, if stderr is a terminal."""
        if self._rewrites and not self._quiet:
            self._progress.show(self._printable(what), left_s)

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write each line to stderr with its level in front, and without the title."""
        del title
        if self._quiet and level is Level.NOTICE:
            return
        location = f"{file}:{line}: " if file else ""
        for each in text.splitlines():
            self._write_log(
                f"{self._painted(self._log, f'{level}:', OF_LEVEL[level])} {self._printable(location + each)}"
            )

    def set_outputs(self, values: Mapping[str, str]) -> None:
        """Do nothing: a command line has an exit status and a report."""

    def write_summary(self, markdown: str) -> None:
        """Do nothing: `write_result` shows the report."""

    def write_result(self, lines: Sequence[str], document: str = "", *, evaluated: bool = True) -> None:
        """Write the result, the last thing that is written: a document to stdout, or else the lines.

        The lines go to stderr beside a document, and if nothing was `evaluated`. Below a document on a terminal, they
        would only repeat it. A failure to write is a warning and does not change the exit status.
        """
        self.close()
        stream = self._out if evaluated and not document else self._log
        if document:
            self._write_result(self._out, self._redact(document))
        if not document or not (self._quiet or self._out.isatty()):
            self._write_result(stream, "".join(f"{self._marked(stream, line)}\n" for line in lines))

    def close(self) -> None:
        """Erase the line that is rewritten."""
        self._progress.end()

    def _marked(self, stream: TextIO, line: str) -> str:
        """Return a line with its mark in color; a line that is not indented is a heading."""
        plain = self._printable(line)
        mark, space, text = plain.lstrip(" ").partition(" ")
        if mark not in OF_MARK or not space:
            return plain
        indent = plain[: plain.index(mark)]
        shown = text if indent else self._painted(stream, text, BOLD)
        return f"{indent}{self._painted(stream, mark, OF_MARK[mark])} {shown}"

    def _painted(self, stream: TextIO, text: str, color: str) -> str:
        return f"{color}{text}{RESET}" if text and is_colored(stream, self._environ) else text

    def _printable(self, text: str) -> str:
        """Return one line without secrets, even if invisible characters split them, and without escape sequences."""
        return self._redact(commands.plain(self._redact(text)))

    def _write_log(self, line: str) -> None:
        with suppress(OSError):  # a closed log does not change the result
            self._progress.write_above(line + "\n")

    def _write_result(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except OSError as error:
            self.annotate(Level.WARNING, f"The report could not be written: {error.strerror}.")
