"""Owns the texts that GitHub's runner acts on: commands, and the blocks of its files; never writes them.

Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands and the runner's parser. A
command is recognised at the start of a line (`::name`), its old form (`##[name]`) anywhere in one.
"""

from __future__ import annotations

from enum import StrEnum

from sepurux_action.common import json_reader

MAX_MESSAGE_LENGTH = 4_000  # characters; the runner cuts a message at 4,096
MAX_LINE_LENGTH = 8_000  # characters of one log line


class Level(StrEnum):
    """How much an annotation stands out."""

    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


def plain(text: str) -> str:
    """Return one line of log text that the runner takes for text, whatever it holds."""
    line = json_reader.shorten(json_reader.printable(text), MAX_LINE_LENGTH).replace("##[", "## [")
    return f": {line[1:]}" if line.startswith("::") else line  # a space before it would not help: it is trimmed


def annotation(level: Level, message: str, *, title: str = "", file: str = "", line: int = 0) -> str:
    """Return the command for an annotation; several lines of a message stay several lines."""
    lines = json_reader.shorten("\n".join(plain(line) for line in message.splitlines()), MAX_MESSAGE_LENGTH)
    given = {"file": file, "line": str(line) if file and line else "", "title": title}
    properties = ",".join(f"{name}={_property(plain(text))}" for name, text in given.items() if text)
    return f"::{level}{' ' if properties else ''}{properties}::{_data(lines)}"


def mask(secret: str) -> str:
    """Return the command that hides a text in every later log line."""
    return f"::add-mask::{_data(secret)}"


def output_block(name: str, value: str, delimiter: str) -> str:
    """Return the block that sets an output; raises ValueError where the value holds the delimiter.

    `delimiter` must be random: a value that knew it could set further outputs.
    """
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    if delimiter in text or delimiter in name:
        raise ValueError("the delimiter occurs in the output")
    return f"{name}<<{delimiter}\n{text}\n{delimiter}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
