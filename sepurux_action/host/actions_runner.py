"""Owns the talk with GitHub's runner: inputs, event file, log, outputs, summary; the only writer of workflow commands.

Never lets a text of somebody else's become a command, and never fails for a file that cannot be written. Source:
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
from sepurux_action.config.options import GITHUB_TOKEN
from sepurux_action.config.settings import Layer, environment_layer, input_layer
from sepurux_action.evaluation.trace_files import TraceFolder, working_directory
from sepurux_action.github.run_context import RunContext, parse_run_context
from sepurux_action.host import workflow_commands as commands
from sepurux_action.host.workflow_commands import Level

PREFIX = "INPUT_"
RUNNERS_OWN = frozenset({"entrypoint", "args"})  # inputs that the runner accepts for every container action
MAX_ANNOTATIONS = 10  # of a level and step; the runner drops the rest
MAX_EVENT_BYTES = 32 * 1024 * 1024


def _input(name: str) -> str:
    return name.lower() if name.isascii() and name == name.upper() else PREFIX + name


class ActionsRunner:
    """A step of a GitHub workflow."""

    def __init__(self, environ: Mapping[str, str], log: TextIO) -> None:
        """Take the environment as the runner made it, and the stream that it reads as the log."""
        self._environ = environ
        self._log = log
        self._blank = Redactor()
        self._annotations: Counter[Level] = Counter()
        self._unwritable: set[str] = set()
        self._masked: set[str] = set()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return where settings come from: the inputs, then the environment."""
        names = (name for name in self._environ if name.startswith(PREFIX))
        # The runner writes these names in upper case: any other spelling is an earlier step's, and no input.
        given = {_input(name.removeprefix(PREFIX)): self._environ[name] for name in names}
        inputs = {name: text for name, text in given.items() if name not in RUNNERS_OWN}
        environ = dict(self._environ)
        if inputs.get(GITHUB_TOKEN.name) == "":  # action.yml gives it a default, so somebody emptied it
            environ.pop(GITHUB_TOKEN.environment, None)
        return input_layer(inputs), environment_layer(environ)

    @property
    def traces(self) -> TraceFolder:
        """Return the folders that trace files may lie in."""
        workspace, temporary = (self._environ.get(name, "") for name in ("GITHUB_WORKSPACE", "RUNNER_TEMP"))
        base = Path(workspace) if workspace else working_directory()
        return TraceFolder(base, [Path(temporary)] if temporary else [])

    def read_repo_file(self, path: str) -> bytes | None:
        """Return a file of the checkout, or None where there is none."""
        return self.traces.read(path)

    def run_context(self) -> RunContext:
        """Return the workflow run; an event file that cannot be read is a warning and an event without content."""
        return parse_run_context(self._environ, self._event())

    def mask_secrets(self, blank: Redactor, secrets: tuple[str, ...]) -> None:
        """Blank secrets in everything that is written from now on, and have the runner mask them too."""
        self._blank = blank
        for spelling in (spelling for secret in secrets for spelling in spellings(secret)):
            if spelling not in self._masked:
                self._masked.add(spelling)
                self._write(commands.mask(spelling))

    def log(self, text: str) -> None:
        """Write one line to the log."""
        self._write(self._shown(text))

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write an annotation; the eleventh of a level becomes a line of the log."""
        self._annotations[level] += 1
        if self._annotations[level] > MAX_ANNOTATIONS:
            self.log(f"{level}: {text}")
        else:
            place = {"title": self._shown(title), "file": self._shown(file)}
            lines = "\n".join(map(self._shown, text.splitlines()))
            self._write(commands.annotation(level, lines, **place, line=line))

    def set_outputs(self, values: Mapping[str, str]) -> None:
        """Set outputs of the step."""
        blocks = []
        for name, value in values.items():
            delimiter = f"ghadelimiter_{uuid.uuid4()}"
            blocks.append(commands.output_block(name, self._blank(value), delimiter))
        self._append("GITHUB_OUTPUT", "".join(blocks), "outputs")

    def write_summary(self, markdown: str) -> None:
        """Write the job summary."""
        self._append("GITHUB_STEP_SUMMARY", self._blank(markdown), "job summary")

    def _shown(self, text: str) -> str:
        """Return one line without secrets, also those that only become whole once invisible characters are gone."""
        return self._blank(commands.plain(self._blank(text)))

    def _append(self, variable: str, text: str, what: str) -> None:
        path = self._environ.get(variable, "")
        try:
            with Path(path).open("a", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write(text)
        except OSError as error:
            why = f"{variable} is not set" if not path else error.strerror
            if variable not in self._unwritable:
                self._unwritable.add(variable)
                self.annotate(Level.WARNING, f"The {what} could not be written: {why}.")

    def _event(self) -> object:
        path = self._environ.get("GITHUB_EVENT_PATH", "")
        if not path:
            return {}
        try:
            with Path(path).open("rb") as file:
                return json.loads(file.read(MAX_EVENT_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            why = (error.strerror if isinstance(error, OSError) else "") or "it is no JSON"
            self.annotate(Level.WARNING, f"The event file could not be read: {why}.")
            return {}

    def _write(self, line: str) -> None:
        with suppress(OSError):  # a log that nobody takes changes no verdict
            self._log.write(line + "\n")
            self._log.flush()
