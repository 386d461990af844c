"""A command line, for other CI systems and for people: a plain log on stderr, the report on stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress

from sepurux_action.common.secret import Redactor
from sepurux_action.host import workflow_commands as commands
from sepurux_action.host.workflow_commands import Level


class Terminal:
    """The standard streams of a process outside GitHub."""

    _redact = Redactor()

    def mask_secrets(self, redact: Redactor, secrets: tuple[str, ...]) -> None:  # noqa: ARG002 - no runner to inform
        """Redact secrets in everything that is written from now on."""
        self._redact = redact

    def log(self, text: str) -> None:
        """Write one line to stderr."""
        with suppress(OSError):  # a closed log does not change the result
            sys.stderr.write(self._redact(commands.plain(self._redact(text))) + "\n")
            sys.stderr.flush()

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write each line with its level in front, and without the title."""
        del title
        location = f"{file}:{line}: " if file else ""
        for each in text.splitlines():
            self.log(f"{level}: {location}{each}")

    def set_outputs(self, values: Mapping[str, str]) -> None:
        """Do nothing: a command line has an exit status and a report."""

    def write_summary(self, markdown: str) -> None:
        """Write the report to stdout; a failure to write is a warning and does not change the exit status."""
        encoding = sys.stdout.encoding or "utf-8"  # a terminal's encoding may lack some characters
        try:
            sys.stdout.write(self._redact(markdown).encode(encoding, "replace").decode(encoding))
            sys.stdout.flush()
        except OSError as error:
            self.annotate(Level.WARNING, f"The report could not be written: {error.strerror}.")
