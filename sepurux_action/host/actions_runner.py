"""A step on a GitHub runner: reads inputs and the event file, writes the log, outputs, and the job summary.

This is the only module that writes workflow commands. A file that cannot be written is a warning. Source:
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from sepurux_action.common.secret import Redactor, spellings
from sepurux_action.common.wording import joined, location
from sepurux_action.host import workflow_commands as commands
from sepurux_action.host.output import Output, painted
from sepurux_action.host.workflow_commands import Level

PREFIX = "INPUT_"
RUNNER_INPUTS = frozenset({"entrypoint", "args"})  # inputs that the runner accepts for every container action
MAX_ANNOTATIONS = 10  # of one level and step; the runner drops further ones
MAX_EVENT_BYTES = 32 * 1024 * 1024


class ActionsRunner(Output):
    def __init__(self, environ: Mapping[str, str], log: TextIO) -> None:
        super().__init__()
        self._environ, self._log = environ, log
        self._annotations: Counter[Level] = Counter()
        self._unwritable: set[str] = set()

    @property
    def inputs(self) -> dict[str, str]:
        """Return the step's inputs by name; a name that is not written as the runner writes it keeps its prefix."""
        given = {_input_name(name): text for name, text in self._environ.items() if name.startswith(PREFIX)}
        return {name: text for name, text in given.items() if name not in RUNNER_INPUTS}

    def read_event(self) -> object:
        """Return the event's payload; an event file that cannot be read is a warning and an empty payload."""
        path = self._environ.get("GITHUB_EVENT_PATH", "")
        if not path:
            return {}
        try:
            with Path(path).open("rb") as file:
                return json.loads(file.read(MAX_EVENT_BYTES))
        except OSError as error:
            why = error.strerror
        except (ValueError, RecursionError):
            why = "it is no JSON"
        self.annotate(Level.WARNING, f"The event file could not be read: {why}.")
        return {}

    def mask_secrets(self, redact: Redactor) -> None:
        """Redact secrets, and have the runner mask them too."""
        super().mask_secrets(redact)
        for spelling in dict.fromkeys(spelling for secret in redact.secrets for spelling in spellings(secret)):
            self._write(f"::add-mask::{commands.data(spelling)}")

    def log(self, text: str) -> None:
        self._write(self.printable(text))

    def log_in_color(self, text: str) -> None:
        """Write one line as a terminal shows it, in plain if NO_COLOR is set."""
        line = self.printable(text)
        if not self._environ.get("NO_COLOR"):
            line = painted(line)
        self._write(line)

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write an annotation, at a line of a file if one is given; after ten of a level, they are lines of the log."""
        self._annotations[level] += 1
        if self._annotations[level] > MAX_ANNOTATIONS:
            self.log(joined(": ", level, location(file, line), text))
        else:
            properties = {"file": file, "line": str(line or ""), "title": title}
            self._write(commands.annotation(level, text, self._redact, **properties))

    def set_outputs(self, values: Mapping[str, str]) -> None:
        redacted = ((name, self._redact(value)) for name, value in values.items())
        blocks = (commands.output_block(name, value, f"ghadelimiter_{uuid.uuid4()}") for name, value in redacted)
        self._append("GITHUB_OUTPUT", "".join(blocks), "outputs")

    def write_summary(self, markdown: str) -> None:
        self._append("GITHUB_STEP_SUMMARY", self._redact(markdown), "job summary")

    def _append(self, variable: str, text: str, what: str) -> None:
        path = self._environ.get(variable, "")
        try:
            with Path(path).open("a", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write(text)
        except OSError as error:
            why = error.strerror if path else f"{variable} is not set"
            if variable not in self._unwritable:
                self._unwritable.add(variable)
                self.annotate(Level.WARNING, f"The {what} could not be written: {why}.")

    def _write(self, line: str) -> None:
        with suppress(OSError):  # a closed log does not change the result
            self._log.write(line + "\n")
            self._log.flush()


def _input_name(variable: str) -> str:
    """Return the input of a variable. The runner writes upper case; any other spelling is an earlier step's."""
    name = variable.removeprefix(PREFIX)
    return name.lower() if name.isascii() and name == name.upper() else variable
