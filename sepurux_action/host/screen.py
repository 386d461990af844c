"""One output stream of a command line: whether it is a terminal, its colors, its width, and the characters it lacks."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import TextIO

from sepurux_action.common import json_reader

DUMB = "dumb"  # TERM of a terminal without escape sequences
# One of these is set in the terminals of Windows that know escape sequences: Windows Terminal, ConEmu and its kin, VS
# Code, and those of Unix shells.
MODERN_ON_WINDOWS = ("WT_SESSION", "ANSICON", "ConEmuANSI", "TERM_PROGRAM", "TERM")
RESET = "\x1b[0m"
START_OF_EMPTY_LINE = "\r\x1b[K"
REPLACEMENTS = {"✗": "x", "✓": "+", "✋": "?", "…": "...", "×": "x", "≥": ">=", "≤": "<=", "−": "-", "–": "-"}


class Color(StrEnum):
    """The escape sequence of a color or a weight."""

    BOLD = "\x1b[1m"
    DIM = "\x1b[2m"
    RED = "\x1b[31m"
    GREEN = "\x1b[32m"
    YELLOW = "\x1b[33m"


class Screen:
    """An output stream. What it writes must be printable; only colors and the line that is rewritten use escapes.

    `colored`: NO_COLOR and FORCE_COLOR decide as in Python itself, else whether the stream is a terminal that knows
    escape sequences. `rewritable`: a line can be rewritten. In a CI system it is not, because a log keeps every version
    of the line.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str], platform: str = sys.platform) -> None:
        """Take the stream, and the environment, which may say more than the stream about what it can show."""
        self._stream = stream
        known = platform != "win32" or any(environ.get(name) for name in MODERN_ON_WINDOWS)
        self.is_terminal = stream.isatty()
        shows_escapes = self.is_terminal and known and environ.get("TERM") != DUMB
        forced = environ.get("FORCE_COLOR", "") not in {"", "0"}
        self.colored = not environ.get("NO_COLOR") and (forced or shows_escapes)
        self.rewritable = shows_escapes and not environ.get("CI")

    @property
    def width(self) -> int:
        """Return the columns of the terminal, 80 if they are unknown."""
        columns = 0
        with suppress(OSError, ValueError):  # no terminal, or no file
            columns = os.get_terminal_size(self._stream.fileno()).columns
        return columns or shutil.get_terminal_size().columns

    def paint(self, text: str, *colors: Color) -> str:
        """Return the text in colors, where the stream shows them."""
        return f"{''.join(colors)}{text}{RESET}" if self.colored and text else text

    def encodable(self, text: str) -> str:
        """Return the text with replacements for the characters that the stream's encoding lacks."""
        encoding = self._stream.encoding or "utf-8"
        if _fits(text, encoding):
            return text
        return "".join(each if _fits(each, encoding) else REPLACEMENTS.get(each, "?") for each in text)

    def write(self, text: str) -> None:
        """Write the text at once; raises OSError if that fails."""
        self._stream.write(self.encodable(text))
        self._stream.flush()


def cut(text: str, columns: int) -> str:
    """Return as much of a text as fits into the columns of a terminal."""
    if sum(map(_columns, text)) <= columns:
        return text
    kept, room = "", columns - len(json_reader.CUT)
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept += character
    return kept + json_reader.CUT if columns > 0 else ""


def _columns(character: str) -> int:
    """Return the columns that a character takes: 0, 1, or 2."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
