"""GitHub's filter patterns for paths, and whether changed files match them.

Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
A pattern that can never match is a problem, because a gate that never runs looks like one that passes.

A pull request chooses the names, and `re` may take minutes for one. So a set of bits holds all positions up to which a
pattern can match so far ("MatchStar" in Cameron and others, Bitwise Data Parallelism in Regular Expression Matching).
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from sepurux_action.common import json_reader
from sepurux_action.config.parsers import parse_line

MAX_PATTERN_LENGTH = 500  # characters; limits the work for each character of a name
MAX_PATTERNS = 100  # of one list

_RANGES = (("a", "z"), ("A", "Z"), ("0", "9"))
_PART = re.compile(r"\*\*/|\*\*|\*|\[[^\]]*\]|\\.|.")
_UNREPEATABLE = frozenset({"", "*", "**", "**/", "?", "+"})


class _Element(NamedTuple):
    """One of `characters`, or one of all others if they are `excluded`; `repeat` is '', `?`, `+`, `*`, or `**/`."""

    characters: frozenset[str]
    excluded: bool = False
    repeat: str = ""

    def ends(self, starts: int, bits: Mapping[str, int], every: int) -> int:
        """Return the positions where this element can end if it begins at one of `starts`, as bits."""
        takes = every if self.excluded else 0
        for character in self.characters:
            takes ^= bits.get(character, 0)
        # The starts, and each position that is reached from one of them through characters of `takes` alone: the
        # overflow of the addition runs from each start through the characters that follow it.
        reached = (((starts & takes) + takes) ^ takes) | starts
        match self.repeat:
            case "*":
                return reached
            case "+":
                return (reached & takes) << 1
            case "**/":  # nothing, or folders
                return starts | (reached & bits.get("/", 0)) << 1
            case "?":
                return starts | (starts & takes) << 1
        return (starts & takes) << 1


_SLASH = _Element(frozenset("/"))
_ANY = _Element(frozenset(), excluded=True, repeat="*")
_STARS = {"*": _Element(frozenset("/"), excluded=True, repeat="*"), "**": _ANY}
_FOLDERS = _Element(frozenset(), excluded=True, repeat="**/")


class Pattern(NamedTuple):
    text: str  # matching files are left out if it begins with `!`
    elements: tuple[_Element, ...]


class Filter(tuple[Pattern, ...]):
    """Patterns, of which the last one that matches a name decides."""

    __slots__ = ()

    def matches(self, name: str) -> bool:
        bits: defaultdict[str, int] = defaultdict(int)  # the positions of each character: bit n is the n-th, from 0
        for position, character in enumerate(name):
            bits[character] |= 1 << position
        for pattern in reversed(self):
            ends = 1
            for element in pattern.elements:
                ends = element.ends(ends, bits, (1 << len(name)) - 1)
            if ends >> len(name):
                return not pattern.text.startswith("!")
        return False


def parse_paths(text: str) -> Filter:
    """Return the filter of a text with one pattern per line; raises ValueError with every problem."""
    patterns, problems = [], []
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            patterns.append(_pattern(line))
        except ValueError as problem:
            problems.append(f"{json_reader.preview(line)}: {problem}")
    if not problems and all(pattern.text.startswith("!") for pattern in patterns):
        problems = ["all patterns begin with `!`; add one without it, which says what to include"]
    if len(patterns) > MAX_PATTERNS:
        problems.append(f"it has {len(patterns)} patterns, more than {MAX_PATTERNS}")
    if problems:
        raise ValueError("; ".join(problems))
    return Filter(patterns)


def _pattern(text: str) -> Pattern:
    if len(text) > MAX_PATTERN_LENGTH:
        raise ValueError(f"it has {len(text)} characters, more than {MAX_PATTERN_LENGTH}")
    body = parse_line(text).removeprefix("!")
    if not body or body.startswith(("/", "./", "../")) or body.endswith("/"):
        raise ValueError("write the path of files from the repository's root, such as `docs/**`")
    return Pattern(text, tuple(_elements(body)))


def _elements(body: str) -> list[_Element]:
    elements: list[_Element] = []
    previous = ""
    for part in _PART.findall(body):
        match part:
            case "**/" if not elements or elements[-1] in {_SLASH, _FOLDERS}:
                elements.append(_FOLDERS)
            case "**/":
                elements += [_ANY, _SLASH]
            case "**" | "*":
                elements.append(_STARS[part])
            case "?" | "+" if previous in _UNREPEATABLE:
                raise ValueError(f"`{part}` has nothing before it to repeat; write `\\{part}` for the character itself")
            case "?" | "+":
                elements[-1] = _Element(elements[-1].characters, repeat=part)
            case "[":
                raise ValueError("the bracket is not closed; write `\\[` for the character itself")
            case "\\":
                raise ValueError("nothing follows the last `\\`")
            case _ if part.startswith("["):
                elements.append(_Element(_bracket(part[1:-1])))
            case _:
                elements.append(_Element(frozenset(part[-1])))
        previous = part
    return elements


def _bracket(inside: str) -> frozenset[str]:
    spans = [(first, to[1:] if to else first) for first, to in re.findall(r"(.)(-.?)?", inside, re.DOTALL)]
    if not spans or not all(any(low <= first <= last <= high for low, high in _RANGES) for first, last in spans):
        raise ValueError("brackets have letters, digits, and ranges within `a-z`, `A-Z` or `0-9`")
    return frozenset(chr(code) for first, last in spans for code in range(ord(first), ord(last) + 1))
