"""How the text of an option becomes a value. A ValueError has a hint, or none. Source: docs/reference.md."""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import TypeVar

from sepurux_action.common import json_reader, wording
from sepurux_action.common.secret import Secret

E = TypeVar("E", bound=StrEnum)

MAX_TIMEOUT_S = 24 * 3600
MAX_NAME_LENGTH = 80  # characters; a status context has room for 255 with its prefix
MAX_TRACES = 100  # of one gate; more than that is a glob that matches too much
MAX_REVIEWERS = 100  # of one list; each may cost a request
MAX_PATTERNS, MAX_PATTERN_LENGTH = 100, 500  # of `paths`; limits the work for each character of a name

_DURATION = re.compile(r"(?:(\d{1,9})h ?)?(?:(\d{1,9})m ?)?(?:(\d{1,9})s)?|(\d{1,9})", re.ASCII | re.IGNORECASE)
_BASE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(?:/[A-Za-z0-9._~/%-]*)?", re.IGNORECASE)
# The part behind an underscore is the enterprise's short code in the login of a managed user.
_LOGIN = re.compile(r"@?[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:_[A-Za-z0-9]{1,20})?", re.ASCII)
# Stars, or a character with a sign that repeats it. Brackets have letters, digits, and ranges of one kind of them.
_PART = re.compile(
    r"(\*\*/?|\*)|(?:\[((?:(?:[a-z]-)?[a-z]|(?:[A-Z]-)?[A-Z]|(?:[0-9]-)?[0-9])+)\]|\\(.)|([^*?+\[\\]))([?+]?)"
)


def parse_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it must be one line without control characters")
    return text


def parse_name(text: str) -> str:
    """Return a gate's name. A `)` at its end could be that of a branch, which ends the context of a status."""
    if len(parse_line(text)) > MAX_NAME_LENGTH:
        raise ValueError(f"it has {len(text)} characters")
    if text.endswith(")"):
        raise ValueError("it ends with `)`")
    return text


def parse_secret(text: str) -> Secret:
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("it has a character that an HTTP header cannot have, such as a space")
    return Secret(text)


def parse_base_url(text: str) -> str:
    """Return the API's URL without a slash at its end: https, or http on loopback; without user, query, or fragment."""
    if not _BASE_URL.fullmatch(text) or not json_reader.safe_url(text):
        raise ValueError("it must have a host, a valid port, and no user name, query, or fragment")
    return text.rstrip("/")


def parse_whole_number(text: str, lowest: int = 0) -> int:
    if not re.fullmatch(r"0|[1-9]\d{0,8}", text, re.ASCII) or int(text) < lowest:  # YAML may read 010 as 8
        raise ValueError
    return int(text)


def _parse_number(text: str) -> Decimal:
    if not re.fullmatch(r"(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+", text, re.ASCII):
        raise ValueError
    return Decimal(text)


def parse_rate(text: str) -> float:
    rate = _parse_number(text.removesuffix("%").rstrip())
    if text.endswith("%"):
        rate /= 100
    if rate > 1:
        raise ValueError
    return float(rate)


def parse_score(text: str) -> float:
    """Return 0 or a number of 1 to 100; a number between 0 and 1 is probably meant as a fraction."""
    score = _parse_number(text)
    if 0 < score < 1:
        raise ValueError(f"80 means 80 of 100; did you mean `{(score * 100).normalize():f}`?")
    if score > 100:  # noqa: PLR2004 - the scale's end
        raise ValueError
    return float(score)


def parse_duration(text: str) -> float:
    """Return seconds above 0 and up to a day, written as `90`, `90s`, or `1h30m`."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError
    seconds = sum(int(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1, 1), strict=True))
    if not 0 < seconds <= MAX_TIMEOUT_S:
        raise ValueError
    return float(seconds)


def parse_names(text: str, separators: str = r"[,\n]") -> tuple[str, ...]:
    """Return names separated by commas or lines, in their order, each once. At least one name is required."""
    parts = (parse_line(part.strip()) for part in re.split(separators, text))
    names = tuple(dict.fromkeys(filter(None, parts)))
    if not names:
        raise ValueError("it lists nothing")
    return names


def _parse_listed(pattern: re.Pattern[str], most: int, text: str) -> tuple[str, ...]:
    names = parse_names(text)
    for name in names:
        if not pattern.fullmatch(name):
            raise ValueError(f"{json_reader.preview(name)} has other characters")
    if len(names) > most:
        raise ValueError(f"it lists {len(names)}, more than {most}")
    return names


def parse_logins(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.removeprefix("@") for name in _parse_listed(_LOGIN, MAX_REVIEWERS, text)))


def parse_flaky(text: str) -> tuple[tuple[str, date], ...]:
    """Return the last day of each scenario, by its name as it is shown, from lines such as `refund: 2027-01-31`."""
    days = dict[str, date]()
    for line in text.splitlines():
        before, _, day = line.rpartition(": ")
        if not ((name := json_reader.printable(before)) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", day, re.ASCII)):
            raise ValueError(f"{json_reader.preview(line)} has no scenario, or no day")
        if name in days:
            raise ValueError(f"{json_reader.preview(name)} has two days")
        days[name] = date.fromisoformat(day)
    return tuple(days.items())


def similar(spelling: str, known: Iterable[str]) -> str:
    """Return the most similar of the known names, whatever its case; '' if none is similar."""
    names = {name.lower()[:MAX_NAME_LENGTH]: name for name in known}
    found = difflib.get_close_matches(spelling.lower()[:MAX_NAME_LENGTH], names, n=1)
    return "".join(names[each] for each in found)


def parse_word(words: type[E], text: str) -> E:
    """Return one of these words, whatever its case. The hint of an error is the most similar word."""
    try:
        return words(text.lower())
    except ValueError:
        raise ValueError(wording.optional("did you mean `{}`?", similar(text, words))) from None


parse_trace_ids = partial(_parse_listed, json_reader.IDENTIFIER, MAX_TRACES)
parse_lines = partial(parse_names, separators="\n")
parse_positive_number = partial(parse_whole_number, lowest=1)


Parts = tuple[tuple[frozenset[str], str], ...]


class Filter(tuple[tuple[bool, Parts], ...]):
    """GitHub's filter patterns with whether they include: the last one that matches a name decides.

    A part of a pattern has characters and how often one of them is there: '', `?`, or `+`. With `*` any others are
    there, or nothing; with `**/` whole folders, or nothing.
    Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
    A pull request chooses the names, and `re` may take minutes for one. So a set of bits holds all positions up to
    which a pattern can match so far ("MatchStar" in Cameron and others, Bitwise Data Parallelism in Regular Expression
    Matching).
    """

    __slots__ = ()

    def matches(self, name: str) -> bool:
        bits: defaultdict[str, int] = defaultdict(int)  # the positions of each character: bit n is the n-th, from 0
        for position, character in enumerate(name):
            bits[character] |= 1 << position
        for includes, parts in reversed(self):
            ends = 1
            for characters, repeat in parts:
                takes = sum(bits[character] for character in characters)
                if repeat.startswith("*"):
                    takes = (1 << len(name)) - 1 - takes
                # The overflow of the addition runs from each position through the characters of `takes` behind it.
                reached = (((ends & takes) + takes) ^ takes) | ends
                if repeat == "**/":
                    ends |= (reached & bits["/"]) << 1
                elif repeat == "+":
                    ends = (reached & takes) << 1
                else:
                    once = (ends & takes) << 1
                    ends = {"": once, "?": ends | once, "*": reached}[repeat]
            if ends >> len(name):
                return includes
        return False


def parse_paths(text: str) -> Filter:
    """Return the filter of a text with one pattern per line; a pattern that can never match is a problem."""
    lines = [*filter(None, map(str.strip, text.splitlines()))]
    if len(lines) > MAX_PATTERNS:
        raise ValueError(f"it has {len(lines)} patterns, more than {MAX_PATTERNS}")
    if all(line.startswith("!") for line in lines):
        raise ValueError("all patterns begin with `!`; add one without it, which says what to include")
    return Filter((not line.startswith("!"), tuple(_parts(line))) for line in lines)


def _parts(line: str) -> Iterator[tuple[frozenset[str], str]]:
    body, at_folder = parse_line(line).removeprefix("!"), True
    if not body or body.startswith(("/", "./", "../")) or body.endswith("/") or len(body) > MAX_PATTERN_LENGTH:
        message = f"must be a path from the repository's root of at most {MAX_PATTERN_LENGTH} characters, as `docs/**`"
        raise ValueError(f"{json_reader.preview(line)} {message}")
    parts = [*_PART.finditer(body)]
    ranges = [each for part in parts for each in re.findall("(.)-(.)", part[2] or "")]
    if "".join(part[0] for part in parts) != body or any(first > last for first, last in ranges):
        message = "is no filter pattern of GitHub; write `\\` before a character that stands for itself"
        raise ValueError(f"{json_reader.preview(line)} {message}")
    for part in parts:
        stars, bracket, escaped, plain, repeat = part.groups()
        if stars == "**/" and at_folder:
            yield frozenset(), "**/"
        elif stars:
            yield frozenset("/" if stars == "*" else ""), "*"
            if stars == "**/":
                yield frozenset("/"), ""
        else:
            spans = re.findall("(.)(?:-(.))?", bracket) if bracket else [(escaped or plain, "")]
            codes = (range(ord(first), ord(last or first) + 1) for first, last in spans)
            yield frozenset(chr(code) for span in codes for code in span), repeat
        at_folder = part[0] in {"/", "\\/", "**/"}
