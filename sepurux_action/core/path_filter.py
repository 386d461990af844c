"""Owns GitHub's filter patterns for paths and branches, and which change they touch; never finds out what changed.

Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
A pattern that could never match is a mistake, because a gate that never runs looks like one that passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from sepurux_action.core import wire

LONGEST_PATTERN = 500  # characters; it bounds the work for each character of a name
MOST_PATTERNS = 100  # of one list
MOST_FILES = 3000  # GitHub lists no more of a pull request: from here on the list may lack some
MOST_STEPS = 20_000  # remembered by one pattern, a few MB; hostile names could make it any number

_RANGES = (("a", "z"), ("A", "Z"), ("0", "9"))
_PART = re.compile(r"\*\*/|\*\*|\*|\[[^\]]*\]|\\.|.")
_UNREPEATABLE = frozenset({"", "*", "**", "**/", "?", "+"})


class Subject(Enum):
    """What a pattern is held against."""

    PATH = "path"
    BRANCH = "branch"


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file of a pull request, with its `previous` name when it was renamed."""

    name: str
    previous: str = ""


@dataclass(frozen=True, slots=True)
class _Element:
    """One character of a name: one of `characters`, or any when there are none ('/' only `across` folders).

    `jumps` are the elements that may be tried instead of this one, counted from here, without using a character.
    """

    characters: frozenset[str] = frozenset()
    across: bool = False
    repeats: bool = False
    jumps: tuple[int, ...] = ()

    @property
    def wild(self) -> bool:
        """Return whether it takes any character."""
        return not self.characters

    def takes(self, character: str) -> bool:
        """Return whether this may be the character."""
        return character in self.characters or (self.wild and (self.across or character != "/"))


_SLASH = _Element(frozenset("/"))
_ANY_IN_FOLDER = _Element(repeats=True, jumps=(1,))
_ANY = _Element(across=True, repeats=True, jumps=(1,))
# `**/`: nothing, or any folders. The first element takes no character (a name has no empty one) and only chooses.
_FOLDERS = (_Element(frozenset({""}), jumps=(1, 3)), _ANY, _SLASH)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern, compiled. It reads a name once, whatever both hold: the work is bounded by their lengths."""

    text: str
    negative: bool = field(compare=False)
    _start: int = field(compare=False, repr=False)
    _after: tuple[int, ...] = field(compare=False, repr=False)  # sets of elements, as bits: what may follow each
    _takers: Mapping[str, int] = field(compare=False, repr=False)
    _other_takers: int = field(compare=False, repr=False)
    _steps: dict[tuple[int, str], int] = field(compare=False, repr=False, default_factory=dict)

    def matches(self, name: str) -> bool:
        """Return whether the whole name fits, leaving aside that a negative pattern excludes it."""
        states = self._start
        for character in name:
            following = self._steps.get((states, character))
            if following is None:
                following = self._step(states, character)
            if not following:
                return False
            states = following
        return bool(states >> len(self._after))  # the bit behind the last element

    def _step(self, states: int, character: str) -> int:
        live = states & self._takers.get(character, self._other_takers)
        following = 0
        while live:
            lowest = live & -live
            following |= self._after[lowest.bit_length() - 1]
            live ^= lowest
        if len(self._steps) >= MOST_STEPS:
            self._steps.clear()
        self._steps[states, character] = following
        return following


@dataclass(frozen=True, slots=True)
class Filter:
    """A list of patterns; the last one that a name fits decides."""

    patterns: tuple[Pattern, ...]

    def matches(self, name: str) -> bool:
        """Return whether the name is included."""
        for pattern in reversed(self.patterns):
            if pattern.matches(name):
                return not pattern.negative
        return False

    def __str__(self) -> str:
        return ", ".join(pattern.text for pattern in self.patterns)


def touches(patterns: Filter, changed: Sequence[ChangedFile] | None) -> bool:
    """Return whether a gate with these `paths` runs: a changed file is included, under its new or its old name.

    None is a list that cannot be read, or no pull request. Source: contract, section 5.
    """
    if changed is None or len(changed) >= MOST_FILES:
        return True
    names = (name for file in changed for name in (file.name, file.previous) if name)
    return any(patterns.matches(name) for name in names)


def parse_paths(text: str) -> Filter:
    """Return the filter that a text of one path pattern a line gives; raises ValueError with every mistake in it."""
    return read_filter(lines(text), Subject.PATH)


def lines(text: str) -> list[str]:
    """Return the patterns of a text, one a line."""
    return [line for line in map(str.strip, text.splitlines()) if line]


def read_filter(texts: Iterable[str], subject: Subject) -> Filter:
    """Return the filter of these patterns, in their order; raises ValueError with every mistake."""
    patterns, mistakes = [], []
    for text in texts:
        try:
            patterns.append(read_pattern(text, subject))
        except ValueError as mistake:
            mistakes.append(f"{wire.quoted(text)}: {mistake}")
    if not mistakes and all(pattern.negative for pattern in patterns):
        mistakes = ["it needs a pattern without `!`, from which the others take away"]
    if len(patterns) > MOST_PATTERNS:
        mistakes.append(f"it has {len(patterns)} patterns; accepted: at most {MOST_PATTERNS}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return Filter(tuple(patterns))


def read_pattern(text: str, subject: Subject) -> Pattern:
    """Return the pattern; raises ValueError that says what is wrong with it."""
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"it has {len(text)} characters; accepted: at most {LONGEST_PATTERN}")
    if not text.isprintable():
        raise ValueError("it must be one line without control characters")
    negative, body = text.startswith("!"), text.removeprefix("!")
    if not body:
        raise ValueError("it is empty")
    if subject is Subject.PATH and body.startswith(("/", "./", "../")):
        raise ValueError("a path begins at the repository's root, without `/` or `./`")
    if subject is Subject.PATH and body.endswith("/"):
        raise ValueError("a folder's files are written with `**` behind the slash")
    if subject is Subject.BRANCH and body.startswith("refs/"):
        raise ValueError("a branch is named without `refs/heads/`")
    return _compiled(text, _elements(body), negative=negative)


def _elements(body: str) -> list[_Element]:
    elements: list[_Element] = []
    previous = ""
    for part in _PART.findall(body):
        match part:
            case "**/":
                elements += _FOLDERS if not elements or elements[-1] == _SLASH else (_ANY, _SLASH)
            case "**" | "*":
                elements.append(_ANY if part == "**" else _ANY_IN_FOLDER)
            case "?" | "+" if previous in _UNREPEATABLE:
                raise ValueError(f"`{part}` follows nothing that it could repeat; `\\{part}` is the character itself")
            case "?" | "+":
                elements[-1] = replace(elements[-1], jumps=(1,) if part == "?" else (), repeats=part == "+")
            case "[":
                raise ValueError("the bracket is not closed; `\\[` is a bracket itself")
            case "\\":
                raise ValueError("nothing follows the last `\\`")
            case _:
                elements.append(_Element(_bracket(part[1:-1]) if part[0] == "[" else frozenset(part[-1])))
        previous = part
    return elements


def _bracket(inside: str) -> frozenset[str]:
    """Return the characters between brackets: letters, digits, and ranges of them."""
    characters: set[str] = set()
    at = 0
    while at < len(inside):
        first, last = inside[at], inside[at]
        if inside[at + 1 : at + 2] == "-":
            last = inside[at + 2 : at + 3]
            at += 2
        if not any(low <= first <= last <= high for low, high in _RANGES):
            raise ValueError("brackets hold letters, digits, and ranges within `a-z`, `A-Z` or `0-9`")
        characters.update(map(chr, range(ord(first), ord(last) + 1)))
        at += 1
    if not characters:
        raise ValueError("the brackets are empty")
    return frozenset(characters)


def _compiled(text: str, elements: Sequence[_Element], *, negative: bool) -> Pattern:
    count = len(elements)
    reach = [1 << at for at in range(count + 1)]  # what is tried when it is an element's turn
    for at in reversed(range(count)):
        for jump in elements[at].jumps:
            reach[at] |= reach[at + jump]
    named = frozenset("/").union(*(element.characters for element in elements))

    def takers(character: str) -> int:
        return sum(1 << at for at, element in enumerate(elements) if element.takes(character))

    return Pattern(
        text=text,
        negative=negative,
        _start=reach[0],
        _after=tuple(reach[at + 1] | (reach[at] if elements[at].repeats else 0) for at in range(count)),
        _takers={character: takers(character) for character in named},
        _other_takers=takers("\0"),
    )
