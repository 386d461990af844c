"""Where a run writes its log, its outputs, and its report: what a step and a command line have in common."""

import re
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from sepurux_action.common import json_reader
from sepurux_action.common.secret import Redactor

MAX_LOG_LINE_LENGTH = 8_000  # characters of one log line
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
