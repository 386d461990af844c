"""A command line, for people and for other CI systems: the result on stdout, everything else on stderr."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from sepurux_action.common import json_reader, number_format
from sepurux_action.host.output import Output
from sepurux_action.host.workflow_commands import Level

BOLD, DIM, RED, GREEN, YELLOW = (f"\x1b[{number}m" for number in (1, 2, 31, 32, 33))
RESET = "\x1b[0m"
START_OF_EMPTY_LINE = "\r\x1b[K"
OF_LEVEL = {Level.NOTICE: DIM, Level.WARNING: YELLOW, Level.ERROR: RED}
OF_MARK = dict.fromkeys("!…✋", YELLOW) | {"✗": RED, "✓": GREEN, "-": DIM}
WAITING = "⠋"  # the first character of the line that is rewritten


def knows_escapes(stream: TextIO, environ: Mapping[str, str]) -> bool:
    return stream.isatty() and environ.get("TERM") != "dumb"


def is_colored(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether the stream shows colors; NO_COLOR and FORCE_COLOR decide as in Python itself."""
    forced = environ.get("FORCE_COLOR", "") not in {"", "0"}
    return not environ.get("NO_COLOR") and (forced or knows_escapes(stream, environ))


def waiting_line(what: str, elapsed_s: float, left_s: float, columns: int) -> str:
    """Return the line that is rewritten, shorter than the columns: a terminal wraps after its last column."""
    elapsed, left = number_format.duration(math.floor(elapsed_s)), number_format.duration(math.ceil(left_s))
    times = f", {elapsed} (gives up in {left})"
    return (json_reader.shorten(f"{WAITING} {what}", max(1, columns - 1 - len(times))) + times)[: columns - 1]


class Terminal(Output):
    """The standard streams of a process outside GitHub.

    On a terminal, one line that is rewritten stands for the log of a run under way. A CI system keeps every version of
    such a line, so it gets the log. `quiet` leaves out both, except for warnings.
    """

    def __init__(
        self, environ: Mapping[str, str], *, quiet: bool = False, out: TextIO | None = None, log: TextIO | None = None
    ) -> None:
        super().__init__()
        self._quiet = quiet
        self._environ = environ
        self._out, self._log = out or sys.stdout, log or sys.stderr
        self._rewrites = knows_escapes(self._log, environ) and not environ.get("CI") and not quiet
        self._started = time.monotonic()
        self._waiting = ""  # the line that is rewritten, as it is now

    def log(self, text: str) -> None:
        if not self._quiet:
            self._write_log(f"{self.printable(text)}\n")

    def progress(self, text: str) -> None:
        if not self._rewrites:
            self.log(text)

    def wait(self, what: str, left_s: float) -> None:
        if self._rewrites:
            columns = 0
            with suppress(OSError):  # in a test, it is no terminal
                columns = os.get_terminal_size(self._log.fileno()).columns
            elapsed_s = time.monotonic() - self._started
            self._write_log("", waiting_line(self.printable(what), elapsed_s, left_s, columns or 80))

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write each line to stderr with its level in front, and without the title."""
        del title
        if self._quiet and level is Level.NOTICE:
            return
        location = f"{file}:{line}: " if file else ""
        mark = self._painted(self._log, f"{level}:", OF_LEVEL[level])
        for each in text.splitlines():
            self._write_log(f"{mark} {self.printable(location + each)}\n")

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
        self._write_log("", "")

    def _marked(self, stream: TextIO, line: str) -> str:
        """Return a line with its mark in color; a line that is not indented is a heading."""
        plain = self.printable(line)
        mark, space, text = plain.lstrip(" ").partition(" ")
        if mark not in OF_MARK or not space:
            return plain
        indent = plain[: plain.index(mark)]
        shown = text if indent else self._painted(stream, text, BOLD)
        return f"{indent}{self._painted(stream, mark, OF_MARK[mark])} {shown}"

    def _painted(self, stream: TextIO, text: str, color: str) -> str:
        return f"{color}{text}{RESET}" if text and is_colored(stream, self._environ) else text

    def _write_log(self, lines: str, waiting: str | None = None) -> None:
        """Write lines that stay, above the one that is rewritten, and replace that one."""
        start = START_OF_EMPTY_LINE if self._waiting else ""
        if waiting is not None:
            self._waiting = waiting
        with suppress(OSError):  # a closed log does not change the result
            self._log.write(start + lines + self._waiting)
            self._log.flush()

    def _write_result(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except OSError as error:
            self.annotate(Level.WARNING, f"The report could not be written: {error.strerror}.")
