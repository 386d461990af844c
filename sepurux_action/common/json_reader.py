"""Owns reading foreign JSON into our types; never trusts a type, a size or a character of it.

A reader answers with what is there or with its absence; it raises nothing, because whatever a backend sends must
become a decision.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_TEXT_LENGTH = 10_000  # characters kept of any one text; the rest serves nobody in a report
MAX_QUOTE_LENGTH = 40  # characters of a broken value that an error text repeats
CUT = "…"  # the last character of a text that was cut
IDENTIFIER = re.compile(r"(?!\.+\Z)[A-Za-z0-9._:~-]{1,200}\Z")


@dataclass(frozen=True, slots=True)
class Metric:
    """A number as the backend reports it: `value`, or what stands there instead, or neither (missing).

    `reported_by` is such as `2 of 3 traces` where the number stands for several runs and only some of them report it.
    """

    value: float | None = None
    broken: str | None = None
    reported_by: str = ""

    @property
    def missing(self) -> bool:
        """Whether the backend reports nothing under this name."""
        return self.value is None and self.broken is None


def fields(value: object) -> Mapping[str, object]:
    """Return a JSON object's fields, or none for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Iterator[object]:
    """Yield the items of a JSON array, or none for anything else."""
    yield from value if isinstance(value, list) else ()


def text(value: object) -> str:
    """Return a JSON string made printable (no control or surrogate characters), or '' for anything else."""
    return printable(value) if isinstance(value, str) else ""


def printable(raw: str) -> str:
    """Return the text on one line: control, format and surrogate characters become spaces or vanish.

    It has at most `LONGEST_TEXT` characters.
    """
    raw = shorten(raw, MAX_TEXT_LENGTH)
    if raw.isprintable():  # the usual case, many times faster than a look at each character
        return " ".join(raw.split())
    kept = (
        character if unicodedata.category(character)[0] != "C" else " " if character.isspace() else ""
        for character in raw.replace("\u2028", "\n").replace("\u2029", "\n")
    )
    return " ".join("".join(kept).split())


def shorten(given: str, longest: int) -> str:
    """Return the text, cut to at most `longest` characters where it is longer; the last of them is then `CUT`.

    Cut text that may hold a secret with this function only. `Blanker` needs the mark to find a secret that was cut.
    """
    return given if len(given) <= longest else given[: longest - 1] + CUT


def identifier(value: object) -> str:
    """Return an id that is safe in an address and an output, or ''."""
    return value if isinstance(value, str) and IDENTIFIER.match(value) else ""


def number(value: object, *, low: float, high: float = math.inf, whole: bool = False) -> Metric:
    """Return a number within `low` to `high`; booleans, texts, NaN and infinities are broken."""
    if value is None:
        return Metric()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Metric(broken=quoted(value))
    try:
        real = float(value)
    except OverflowError:
        return Metric(broken="a number too large to use")
    if not math.isfinite(real) or not low <= real <= high or (whole and real != int(real)):
        return Metric(broken=quoted(value))
    return Metric(value=real + 0.0)  # there is no minus zero


def quoted(value: object) -> str:
    """Return a short one-line picture of a foreign value, for an error text."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    shown = printable(value) if isinstance(value, str) else str(value)
    shown = shorten(shown, MAX_QUOTE_LENGTH)
    return f'"{shown}"' if isinstance(value, str) else shown
