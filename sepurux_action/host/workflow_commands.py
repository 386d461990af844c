"""Formats what GitHub's runner acts on: workflow commands and the blocks of its output files.

Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands and the runner's parser. The
runner recognizes a command at the start of a line (`::name`), and its old form (`##[name]`) anywhere in a line.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from sepurux_action.common import json_reader

MAX_ANNOTATION_LENGTH = 4_000  # characters; the runner truncates a message at 4,096
MAX_LOG_LINE_LENGTH = 8_000  # characters of one log line


class Level(StrEnum):
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


def plain(text: str, redact: Callable[[str], str] = str) -> str:
    """Return a text as one line of the log in which the runner sees no command. Spaces remain, for aligned columns.

    `redact` gets the line as it is shown, without invisible characters, but with what could be a command.
    """
    cut = json_reader.shorten(text, MAX_LOG_LINE_LENGTH)
    line = redact(" ".join(map(json_reader.printable, cut.split(" ")))).replace("##[", "## [").rstrip(" ")
    before, command, after = line.partition("::")
    return f"{before}: :{after}" if command and not before.strip() else line  # the runner trims spaces


def annotation(level: Level, message: str, *, title: str = "", file: str = "", line: int = 0) -> str:
    """Return the command for an annotation; a message may have several lines."""
    lines = json_reader.shorten("\n".join(plain(line) for line in message.splitlines()), MAX_ANNOTATION_LENGTH)
    texts = {"file": file, "line": str(line) if file and line else "", "title": title}
    properties = ",".join(f"{name}={_property(plain(text))}" for name, text in texts.items() if text)
    return f"::{level}{' ' if properties else ''}{properties}::{data(lines)}"


def output_block(name: str, value: str, delimiter: str) -> str:
    """Return the block that sets an output; raises ValueError if name or value contains the delimiter.

    `delimiter` must be random: a value that contains it could set further outputs.
    """
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    if delimiter in text or delimiter in name:
        raise ValueError("the delimiter occurs in the output")
    return f"{name}<<{delimiter}\n{text}\n{delimiter}\n"


def data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return data(text).replace(":", "%3A").replace(",", "%2C")
