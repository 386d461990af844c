"""A command line, for people and for other CI systems: the result on stdout, everything else on stderr."""

import math
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from sepurux_action.common import json_reader, wording
from sepurux_action.host.output import Level, Output, painted, plain

# What stands for the symbols on a stream that cannot encode them all.
ASCII = {"✓": "ok", "✗": "FAIL", "…": "...", "≥": ">=", "≤": "<=", "–": "-", "×": "x", "·": "-", "\u00a0": " "}
TO_ASCII = str.maketrans(ASCII)
_ROW = re.compile(r"^  ([✓✗!…-])(?= )")  # of a table, whose columns stay aligned
START_OF_EMPTY_LINE = "\r\x1b[K"
WAITING = "⠋"  # the first character of the line that is rewritten
FREE_COLUMNS = 3  # at the end of the line that is rewritten: a terminal shows `^C` there, and wraps after the last one


def encodable(text: str, stream: TextIO) -> str:
    """Return the text, without the symbols of this program if the encoding of the stream lacks one of them."""
    try:
        "".join((*ASCII, WAITING)).encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        row = _ROW.sub(lambda mark: f"  {ASCII.get(mark[1], mark[1]):4}", text.removeprefix(f"{WAITING} "))
        return row.translate(TO_ASCII)
    return text


class Terminal(Output):
    """The standard streams of a process outside GitHub. On a terminal, one line is rewritten in place of the log."""

    def __init__(self, environ: Mapping[str, str], out: TextIO | None = None, log: TextIO | None = None) -> None:
        self._environ = environ
        self._out, self._log = out or sys.stdout, log or sys.stderr
        self._dumb = environ.get("TERM") == "dumb"  # shows no colors, and rewrites no line
        self._rewrites = self._log.isatty() and not (self._dumb or environ.get("CI"))
        self._started = time.monotonic()
        self._waiting = ""  # the line that is rewritten, as it is now

    def log(self, text: str) -> None:
        self._write_log(self._line(self._log, plain(text, self.redact)))

    def progress(self, text: str) -> None:
        if not self._rewrites:
            self.log(text)

    def wait(self, what: str, left_s: float) -> None:
        if self._rewrites:
            most = max(1, shutil.get_terminal_size().columns - FREE_COLUMNS)
            elapsed = wording.duration(math.floor(time.monotonic() - self._started))
            times = f", {elapsed} (gives up in {wording.duration(math.ceil(left_s))})"
            line = json_reader.in_columns(f"{WAITING} {plain(what, self.redact)}")
            line = (json_reader.shorten(line, max(1, most - len(times))) + times)[:most].replace("\0", "")
            self._write_log("", encodable(line, self._log))

    def annotate(self, level: Level, text: str, *, title: str = "") -> None:
        del title
        for each in text.splitlines():
            self._write_log(self._line(self._log, f"{level}: {plain(each, self.redact)}"))

    def write_result(self, lines: Sequence[str], document: str = "", *, evaluated: bool = True) -> None:
        """Write the result, the last thing that is written: a document to stdout, or else the lines.

        The lines go to stderr beside a document, and if nothing was `evaluated`. A terminal shows one of both.
        """
        if self._waiting:
            self._write_log("\n", "")
        stream = self._log
        if document:
            self._write_result(self._out, self.redact(document))
            if self._out.isatty():
                return
        elif evaluated:
            stream = self._out
        self._write_result(stream, "".join(self._line(stream, plain(line, self.redact)) for line in lines))

    def close(self) -> None:
        self._write_log("", "")

    def _line(self, stream: TextIO, line: str) -> str:
        """Return a line as it is written. NO_COLOR and FORCE_COLOR decide on colors as in Python."""
        line, forced = encodable(line, stream), self._environ.get("FORCE_COLOR", "") not in {"", "0"}
        if not self._environ.get("NO_COLOR") and (forced or (stream.isatty() and not self._dumb)):
            line = painted(line)
        return f"{line}\n"

    def _write_log(self, lines: str, waiting: str | None = None) -> None:
        """Write lines that stay, above the one that is rewritten, and replace that one."""
        with self.lock, suppress(OSError):  # a closed log does not change the result
            if self._waiting:
                lines = START_OF_EMPTY_LINE + lines
            if waiting is not None:
                self._waiting = waiting
            self._log.write(lines + self._waiting)
            self._log.flush()

    def _write_result(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except OSError as error:
            self.annotate(Level.WARNING, f"The report could not be written: {error.strerror}.")
