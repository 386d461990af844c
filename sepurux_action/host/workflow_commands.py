"""Formats what GitHub's runner acts on: workflow commands and the blocks of its output files.

Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands and the runner's parser. The
runner recognizes a command at the start of a line (`::name`), and its old form (`##[name]`) anywhere in a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum

from sepurux_action.common import json_reader
from sepurux_action.common.wording import joined

MAX_ANNOTATION_LENGTH = 4_000  # characters; the runner truncates a message at 4,096
MAX_LOG_LINE_LENGTH = 8_000  # characters of one log line
_COMMAND = re.compile(r"^ *:(?=:)|##(?=\[)")  # the runner trims spaces
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


class Level(StrEnum):
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


def plain(text: str, redact: Callable[[str], str] = str) -> str:
    """Return a text as one line of the log in which the runner sees no command. Spaces remain, for aligned columns.

    `redact` gets the line as it is shown, without invisible characters, but with what could be a command.
    """
    cut = json_reader.shorten(text, MAX_LOG_LINE_LENGTH)
    line = redact(" ".join(map(json_reader.printable, cut.split(" "))))
    return _COMMAND.sub(r"\g<0> ", line).rstrip(" ")


def annotation(level: Level, message: str, redact: Callable[[str], str] = str, **properties: str) -> str:
    """Return the command for an annotation, without its empty properties; a message may have several lines."""
    lines = "\n".join(plain(each, redact) for each in message.splitlines())
    given = {name: plain(text, redact).translate(_PROPERTY) for name, text in properties.items() if text}
    command = joined(" ", level, ",".join(f"{name}={text}" for name, text in given.items()))
    return f"::{command}::{data(json_reader.shorten(lines, MAX_ANNOTATION_LENGTH))}"


def output_block(name: str, value: str, delimiter: str) -> str:
    """Return the block that sets an output; raises ValueError if name or value contains the delimiter.

    `delimiter` must be random: a value that contains it could set further outputs.
    """
    text = re.sub(r"\r\n?", "\n", value)
    if delimiter in text or delimiter in name:
        raise ValueError("the delimiter occurs in the output")
    return f"{name}<<{delimiter}\n{text}\n{delimiter}\n"


def data(text: str) -> str:
    return text.translate(_DATA)
