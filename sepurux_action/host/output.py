"""Where a run writes its log, its outputs, and its report: a step on a GitHub runner, or a command line.

Only `ActionsRunner` writes workflow commands. A file that cannot be written is a warning.
Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands and the runner's parser. The
runner recognizes a command at the start of a line (`::name`), and its old form (`##[name]`) anywhere in a line.
"""

import math
import re
import secrets
import shutil
import sys
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from sepurux_action.common import json_reader, wording
from sepurux_action.common.secret import Redactor

MAX_LOG_LINE_LENGTH = 8_000  # characters of one log line
PREFIX = "INPUT_"
RUNNER_INPUTS = frozenset({"entrypoint", "args"})  # inputs that the runner accepts for every container action
MAX_EVENT_BYTES = 32 * 1024 * 1024
MAX_ANNOTATION_LENGTH = 4_000  # characters; the runner truncates a message at 4,096
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})
# A command of GitHub's runner, which trims spaces: `::name`, in its old form `##[name]`.
_COMMAND = re.compile(r"^ *:(?=:)|##(?=\[)")
BOLD, DIM, RED, GREEN, YELLOW = (f"\x1b[{number}m" for number in (1, 2, 31, 32, 33))
RESET = "\x1b[0m"
COLORS = {  # of the word with which a line begins: a mark, a severity, or a level
    **dict.fromkeys(("✗", "FAIL", "critical", "high", "error:"), RED),
    **dict.fromkeys(("!", "…", "...", "medium", "warning:"), YELLOW),
    **dict.fromkeys(("-", "low", "notice:"), DIM),
    **dict.fromkeys(("✓", "ok"), GREEN),
}
FIRST_WORD = re.compile(rf"( *)({'|'.join(map(re.escape, COLORS))})( +)(?=[^ ])")
# What stands for the symbols on a stream that cannot encode them all.
ASCII = {"✓": "ok", "✗": "FAIL", "…": "...", "≥": ">=", "≤": "<=", "–": "-", "×": "x", "·": "-", "\u00a0": " "}
TO_ASCII = str.maketrans(ASCII)
_ROW = re.compile(r"^  ([✓✗!…-])(?= )")  # of a table, whose columns stay aligned
START_OF_EMPTY_LINE = "\r\x1b[K"
WAITING = "⠋"  # the first character of the line that is rewritten
FREE_COLUMNS = 3  # at the end of the line that is rewritten: a terminal shows `^C` there, and wraps after the last one


class Level(StrEnum):
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


def plain(text: str, redact: Callable[[str], str] = str) -> str:
    """Return a text as one line of the log, without commands of the runner, escape sequences, and secrets.

    Spaces remain, for aligned columns. `redact` gets the line as it is shown: invisible characters may split a secret.
    """
    line = redact(" ".join(map(json_reader.printable, text.split(" "))))
    return _COMMAND.sub(r"\g<0> ", json_reader.shorten(line, MAX_LOG_LINE_LENGTH)).rstrip(" ")


def painted(line: str) -> str:
    """Return a line with its first word in color; a line that begins with a mark, without an indent, is a heading."""
    if (found := FIRST_WORD.match(line)) is None:
        return line
    (indent, word, space), text = found.groups(), line[found.end() :]
    if not indent and not word.endswith(":"):
        text = f"{BOLD}{text}{RESET}"
    return f"{indent}{COLORS[word]}{word}{RESET}{space}{text}"


class Output(ABC):
    """Where a run writes. What a place does not have, such as the outputs of a command line, is not written."""

    redact = Redactor()
    lock = threading.RLock()  # several threads write

    def mask_secrets(self, redact: Redactor) -> None:
        """Redact secrets in everything that is written from now on."""
        self.redact = redact

    @abstractmethod
    def log(self, text: str) -> None:
        """Write one line to the log."""

    def progress(self, text: str) -> None:
        """Write what the run does now to the log; nothing where `wait` is shown."""
        self.log(text)

    def wait(self, what: str, left_s: float) -> None:  # noqa: B027 - the lines of a log cannot be rewritten
        """Show what the run waits for, and in how many seconds it gives up, where a line can be rewritten."""

    @abstractmethod
    def annotate(self, level: Level, text: str, *, title: str = "") -> None:
        """Write a message that stands out."""

    def set_outputs(self, values: Mapping[str, str]) -> None:  # noqa: B027
        """Set values for later steps; a later value of a name replaces an earlier one."""

    def write_summary(self, markdown: str) -> None:  # noqa: B027
        """Write the job summary."""


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
        """Return the event's payload, None if it cannot be read: a problem for each event that needs it."""
        try:
            with Path(self._environ.get("GITHUB_EVENT_PATH", "")).open("rb") as file:
                return json_reader.parse(file.read(MAX_EVENT_BYTES).decode())
        except (OSError, ValueError):
            return None

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


def encodable(text: str, stream: TextIO) -> str:
    """Return the text, without the symbols of this program if the encoding of the stream lacks one of them."""
    try:
        "".join((*ASCII, WAITING)).encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        row = _ROW.sub(lambda mark: f"  {ASCII.get(mark[1], mark[1]):4}", text.removeprefix(f"{WAITING} "))
        return row.translate(TO_ASCII)
    return text


def write_files(folder: Path, texts: Mapping[str, str], output: Output) -> None:
    """Write each text, without secrets, to the file of its name, whole or not at all. What fails is one warning.

    A file is written under a random name and renamed, so no link or FIFO that an earlier step left is opened.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            temporary = folder / f".{name}.{secrets.token_hex(16)}"
            try:
                with temporary.open("xb") as file:
                    file.write(output.redact(text).encode(errors="replace"))
                temporary.replace(folder / name)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        text = f"{', '.join(texts)} could not be written to {json_reader.preview(str(folder))}: {error.strerror}."
        output.annotate(Level.WARNING, text)


def read_file(path: Path, most: int) -> bytes | None:
    """Return the first bytes of a file, None if there is none; raises OSError."""
    if not path.is_file():  # opening a FIFO would wait
        return None
    with path.open("rb") as file:
        return file.read(most)
