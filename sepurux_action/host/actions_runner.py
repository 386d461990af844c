"""A step on a GitHub runner: reads inputs and the event file, writes the log, outputs, and the job summary.

This is the only module that writes workflow commands. A file that cannot be written is a warning.
Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands and the runner's parser. The
runner recognizes a command at the start of a line (`::name`), and its old form (`##[name]`) anywhere in a line.
"""

import json
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from sepurux_action.common import json_reader, wording
from sepurux_action.common.secret import Redactor
from sepurux_action.host.output import Level, Output, painted, plain

PREFIX = "INPUT_"
RUNNER_INPUTS = frozenset({"entrypoint", "args"})  # inputs that the runner accepts for every container action
MAX_EVENT_BYTES = 32 * 1024 * 1024
MAX_ANNOTATION_LENGTH = 4_000  # characters; the runner truncates a message at 4,096
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


class ActionsRunner(Output):
    def __init__(self, environ: Mapping[str, str], log: TextIO) -> None:
        self._environ, self._log = environ, log
        self._unwritable: set[str] = set()

    @property
    def inputs(self) -> dict[str, str]:
        """Return the step's inputs by name; a name that is not written as the runner writes it keeps its prefix."""
        given = dict[str, str]()
        for variable, text in self._environ.items():
            name = variable.removeprefix(PREFIX)
            # The runner writes upper case; any other spelling is an earlier step's.
            shown = name.lower() if name.isascii() and name == name.upper() else variable
            if variable.startswith(PREFIX) and shown not in RUNNER_INPUTS:
                given[shown] = text
        return given

    def read_event(self) -> object:
        """Return the event's payload; an event file that cannot be read is a warning and an empty payload."""
        path = self._environ.get("GITHUB_EVENT_PATH", "")
        if not path:
            return {}
        try:
            with Path(path).open("rb") as file:
                return json.loads(file.read(MAX_EVENT_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            why = getattr(error, "strerror", "it is no JSON")
        self.annotate(Level.WARNING, f"The event file could not be read: {why}.")
        return {}

    def mask_secrets(self, redact: Redactor) -> None:
        super().mask_secrets(redact)
        for form in redact.forms:
            self._write(f"::add-mask::{form.translate(_DATA)}")

    def log(self, text: str, *, in_color: bool = False) -> None:
        """Write one line, `in_color` as a terminal shows it unless NO_COLOR is set."""
        line = plain(text, self.redact)
        if in_color and not self._environ.get("NO_COLOR"):
            line = painted(line)
        self._write(line)

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write an annotation, whose text may have several lines. The runner shows ten of a level, and logs all."""
        given = {"file": file, "line": str(line or ""), "title": title}
        properties = (f"{name}={plain(each, self.redact).translate(_PROPERTY)}" for name, each in given.items() if each)
        lines = "\n".join(plain(each, self.redact) for each in text.splitlines())
        message = json_reader.shorten(lines, MAX_ANNOTATION_LENGTH).translate(_DATA)
        self._write(f"::{wording.joined(' ', level, ','.join(properties))}::{message}")

    def set_outputs(self, values: Mapping[str, str]) -> None:
        """Add the blocks that set outputs. A delimiter is random, so no value can contain it and set others."""
        blocks = ""
        for name, value in values.items():
            text, delimiter = re.sub(r"\r\n?", "\n", self.redact(value)), f"ghadelimiter_{uuid.uuid4()}"
            blocks += f"{name}<<{delimiter}\n{text}\n{delimiter}\n"
        self._append("GITHUB_OUTPUT", blocks, "outputs")

    def write_summary(self, markdown: str) -> None:
        self._append("GITHUB_STEP_SUMMARY", self.redact(markdown), "job summary")

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
        with self.lock, suppress(OSError):  # a closed log does not change the result
            self._log.write(line + "\n")
            self._log.flush()
