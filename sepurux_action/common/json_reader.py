"""Reads values of JSON from outside: checks their types and limits their sizes and characters.

No reader raises an error for a value it does not expect, because every response of a backend must become a decision.
"""

import ipaddress
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import NoReturn
from urllib.parse import urlsplit

MAX_TEXT_LENGTH = 10_000  # characters of a text
MAX_DEPTH = 100  # levels of a JSON text; some versions of Python end the process at 1,000
MAX_QUOTE_LENGTH = 80  # characters of a value that an error message quotes
FIRST_YEAR, LAST_YEAR = 2000, 2100  # an agent's trace is not from before or after
CUT = "…"  # the last character of a text that was cut
# Unicode's Default_Ignorable_Code_Point, and others that show nothing.
# U+FE0F belongs to them. After a symbol it selects the emoji, so it stays there.
_INVISIBLE = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufff8\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]|(?<![\u2000-\u2bff])\ufe0f"
)
_STRING = re.compile(r'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)  # of JSON, also one that does not end
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[@!$&'()*+,;=%\]-]{1,2000}")
_FILL = {"W": "\0", "F": "\0"}  # of a wide character
IDENTIFIER = re.compile(r"(?!\.+\Z)[A-Za-z0-9._:~-]{1,200}\Z")


@dataclass(frozen=True, slots=True)
class Reading:
    """A reported number: `value`, or what is `broken`, or neither.

    `reported_by` is as `2 of 3 traces`, or '' if all report it. If the others leave the number unknown, `so_far` is
    that of these traces: it may only miss a threshold, because the others could make it only worse.
    """

    value: float | None = None
    broken: str = ""
    reported_by: str = ""
    so_far: float | None = None

    @property
    def missing(self) -> bool:
        return self.value is None and self.so_far is None and not self.broken

    @property
    def why_unknown(self) -> str:
        return self.broken or (f"only known of {self.reported_by}" if self.reported_by else "not reported")


class UnusableJson(ValueError):
    """A JSON text that the gate does not read: its nesting is too deep, or an object has a name twice."""


def at(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def as_object(value: object, *names: str) -> Mapping[str, object]:
    found = at(value, *names)
    return found if isinstance(found, dict) else {}


def as_array(value: object, *names: str) -> Iterator[object]:
    if isinstance(found := at(value, *names), list):
        yield from found


def text(value: object, *names: str) -> str:
    """Return the JSON string at a path, made printable; '' for any other value."""
    found = at(value, *names)
    return printable(found) if isinstance(found, str) else ""


def printable(raw: str) -> str:
    """Return the visible text on one line, in NFC, with a space for white space. Only `shorten` cuts a text."""
    line = " ".join(raw.split())
    if line.isascii() and line.isprintable():  # the usual case, much faster than a check of each character
        return line
    visible = _INVISIBLE.sub("", "".join(filter(str.isprintable, line)))
    return unicodedata.normalize("NFC", " ".join(visible.split()))


def shorten(given: str, longest: int) -> str:
    """Return the text, cut to `longest` characters, the last one `CUT`. Redact first: half of a secret is not found."""
    if len(given) <= longest:
        return given
    return given[: longest - 1] + CUT


def in_columns(text: str) -> str:
    """Return a printable text with NUL after each wide character, so that its length is its width on a terminal."""
    if text.isascii():
        return text
    return "".join(each + _FILL.get(unicodedata.east_asian_width(each), "") for each in text)


def identifier(value: object) -> str:
    """Return an id that is safe in a URL and in an output; '' for any other value."""
    return value if isinstance(value, str) and IDENTIFIER.match(value) else ""


def safe_url(value: object) -> str:
    """Return a URL that may be linked, as docs/security.md says; '' for any other value."""
    if not isinstance(value, str) or not _URL.fullmatch(value):
        return ""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return ""
    allowed = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not allowed or not host or "@" in parts.netloc:
        return ""
    return value


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def time(value: object) -> float | None:
    """Return the POSIX time of a text in ISO 8601 (in UTC without a zone); None for any other value."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    if not FIRST_YEAR <= parsed.year < LAST_YEAR:
        return None
    if not parsed.tzinfo:
        parsed = parsed.replace(tzinfo=UTC)
    return parsed.timestamp()


def number(
    value: object, *, low: float, high: float = math.inf, whole: bool = False, digits: int | None = None
) -> Reading:
    """Return a number from `low` to `high`, rounded to `digits` after the point; any other value is broken."""
    if value is None:
        return Reading()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Reading(broken=f"no number: {preview(value)}")
    try:
        real = float(value)
    except OverflowError:
        return Reading(broken="a number too large to use")
    if digits is not None:
        real = round(real, digits)
    if not math.isfinite(real) or not low <= real <= high or (whole and real != int(real)):
        return Reading(broken=f"no number: {preview(value)}")
    return Reading(value=real + 0.0)  # turns minus zero into zero


def parse(text: str, *, parse_int: Callable[[str], float] = int, constant: Callable[[str], float] = float) -> object:
    """Return the value of a JSON text; raises ValueError for any other, for deep nesting, and for a name used twice."""
    if text.count("[") + text.count("{") > MAX_DEPTH:
        brackets = re.findall(r"[][{}]", _STRING.sub("", text))
        if max(accumulate(1 if each in "[{" else -1 for each in brackets), default=0) > MAX_DEPTH:
            raise UnusableJson(f"it has more than {MAX_DEPTH} levels of objects and lists")
    return json.loads(text, parse_int=parse_int, parse_constant=constant, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise UnusableJson("an object has a name twice")  # which no one quotes, because it may be a secret
    return fields


def reject_constant(name: str) -> NoReturn:
    """Raise ValueError for a word that Python reads as a number and JSON does not have: NaN or Infinity."""
    raise ValueError(f"{name} is no JSON number")


def preview(value: object) -> str:
    """Return a value from outside as a short text on one line, for an error message; with quotes only around a text."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f'"{shorten(printable(value), MAX_QUOTE_LENGTH).replace(chr(34), chr(39))}"'
    if isinstance(value, bool):
        return str(value).lower()
    return shorten(str(value), MAX_QUOTE_LENGTH)
