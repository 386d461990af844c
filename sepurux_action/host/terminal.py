"""A command line, for people and for other CI systems: the result on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from sepurux_action.common.secret import Redactor
from sepurux_action.host import workflow_commands as commands
from sepurux_action.host.progress_line import ProgressLine
from sepurux_action.host.screen import Color, Screen
from sepurux_action.host.workflow_commands import Level

OF_LEVEL = {Level.NOTICE: Color.DIM, Level.WARNING: Color.YELLOW, Level.ERROR: Color.RED}
OF_MARK = dict.fromkeys("!…✋", Color.YELLOW) | {"✗": Color.RED, "✓": Color.GREEN, "-": Color.DIM}


class Terminal:
    """The standard streams of a process outside GitHub.

    On a terminal, one line that is rewritten stands for the log of a run under way. `quiet` leaves out this line and
    the log, except for warnings.
    """

    def __init__(
        self, environ: Mapping[str, str], *, quiet: bool = False, out: TextIO | None = None, log: TextIO | None = None
    ) -> None:
        """Take the environment and, in place of the process's streams, others."""
        self._redact = Redactor()
        self._quiet = quiet
        self._out, self._log = Screen(out or sys.stdout, environ), Screen(log or sys.stderr, environ)
        self._progress = ProgressLine(self._log)

    def mask_secrets(self, redact: Redactor, secrets: tuple[str, ...]) -> None:  # noqa: ARG002 - no runner to inform
        """Redact secrets in everything that is written from now on."""
        self._redact = redact

    def log(self, text: str) -> None:
        """Write one line to stderr."""
        if not self._quiet:
            self._write_line(self._printable(text))

    def progress(self, text: str) -> None:
        """Write one line to stderr, unless a line that is rewritten shows the same."""
        if not self._log.rewritable:
            self.log(text)

    def wait(self, what: str, left_s: float) -> None:
        """Show what the run waits for, if stderr is a terminal."""
        if self._log.rewritable and not self._quiet:
            self._progress.show(self._printable(what), left_s)

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write each line to stderr with its level in front, and without the title."""
        del title
        if self._quiet and level is Level.NOTICE:
            return
        location = f"{file}:{line}: " if file else ""
        for each in text.splitlines():
            self._write_line(f"{self._log.paint(f'{level}:', OF_LEVEL[level])} {self._printable(location + each)}")

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
        screen = self._out if evaluated and not document else self._log
        if document:
            self._write_result(self._out, self._redact(document))
        if not document or not (self._quiet or self._out.is_terminal):
            self._write_result(screen, "".join(f"{self._painted(screen, line)}\n" for line in lines))

    def close(self) -> None:
        """Erase the line that is rewritten."""
        self._progress.end()

    def _painted(self, screen: Screen, line: str) -> str:
        """Return a line with its mark in color; a line that is not indented is a heading."""
        plain = self._printable(line)
        mark, space, text = plain.lstrip(" ").partition(" ")
        if mark not in OF_MARK or not space:
            return plain
        indent = plain[: plain.index(mark)]
        return f"{indent}{screen.paint(mark, OF_MARK[mark])} {text if indent else screen.paint(text, Color.BOLD)}"

    def _printable(self, text: str) -> str:
        """Return one line without secrets, even if invisible characters split them, and without escape sequences."""
        return self._redact(commands.plain(self._redact(text)))

    def _write_line(self, line: str) -> None:
        with suppress(OSError):  # a closed log does not change the result
            self._progress.write_above(line + "\n")

    def _write_result(self, screen: Screen, text: str) -> None:
        try:
            screen.write(text)
        except OSError as error:
            self.annotate(Level.WARNING, f"The report could not be written: {error.strerror}.")
