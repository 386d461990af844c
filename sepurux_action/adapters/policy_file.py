"""Owns reading YAML, the only module that knows the library; never gives a value a meaning, nor lets an alias live.

What comes out are the nodes of core/policy.py, every text as it is written: `0.90`, `on` and `2027-01-31` stay texts.
Source: contract, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from sepurux_action.core import wire
from sepurux_action.core.policy_text import (
    LARGEST_FILE,
    MOST_PROBLEMS,
    BadPolicy,
    MappingNode,
    Node,
    PolicyProblem,
    ScalarNode,
    SequenceNode,
)

DEEPEST = 16  # levels; a policy has seven
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# Beside its own errors the library lets through what Python says to a character or a version number out of range.
FOREIGN_ERRORS = (yaml.YAMLError, ValueError, OverflowError)

_QUOTE = {
    "while scanning an alias": "; a text that begins with `*` is written in quotes",
    "while scanning an anchor": "; a text that begins with `&` is written in quotes",
    "while scanning a tag": "; a text that begins with `!` is written in quotes",
}


def read_yaml(text: bytes, path: str) -> Node:
    """Return the file's content, '' for an empty file; raises BadPolicy with every mistake that can be told at once."""
    reading = _Reading(path)
    if len(text) > LARGEST_FILE:
        raise reading.ended(1, 1, f"the file has {len(text):,} bytes; accepted: at most {LARGEST_FILE:,}")
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise reading.ended(text.count(b"\n", 0, error.start) + 1, 1, "the file is not UTF-8") from None
    try:
        root = reading.document(yaml.parse(decoded, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (reading.line, 1)
        hint = _QUOTE.get(str(error.context), "")
        raise reading.ended(line, column, f"this is no YAML: {wire.printable(str(error.problem))}{hint}") from None
    except yaml.reader.ReaderError as error:  # it counts characters, not lines
        before = decoded[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise reading.ended(
            line, column, f"YAML does not allow the character U+{ord(decoded[error.position]):04X}"
        ) from None
    except FOREIGN_ERRORS:
        raise reading.ended(reading.line, 1, "this is no YAML: a number in it is out of range") from None
    if reading.problems:
        raise BadPolicy(reading.problems)
    return root


class _Reading:
    """Turns the library's events into nodes and collects what a policy may not use of YAML."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.problems: list[PolicyProblem] = []
        self.line = 1  # where reading has come to

    def ended(self, line: int, column: int, message: str) -> BadPolicy:
        """Return the error of a mistake behind which nothing can be read, with those before it."""
        self._note(line, column, message)
        return BadPolicy(self.problems)

    def document(self, events: Iterator[yaml.Event]) -> Node:
        """Return the only document's content."""
        root: Node | None = None
        for event in events:
            match event:
                case yaml.DocumentStartEvent() if root is not None:
                    raise self.ended(*_place(event), "a second document begins; accepted: one")
                case yaml.NodeEvent():
                    root = self._node(event, events, 1)
                case _:
                    pass  # where the stream and the document begin and end
        return root or ScalarNode(text="", line=1)

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], level: int) -> Node:
        line, column = _place(event)
        self.line = line
        if level > DEEPEST:
            raise self.ended(line, column, f"the file is nested deeper than {DEEPEST} levels")
        match event:
            case yaml.ScalarEvent():
                self._refuse_ornaments(event)
                plain_null = event.implicit[0] and event.value in NULLS
                return ScalarNode(text="" if plain_null else event.value, line=line, column=column)
            case yaml.SequenceStartEvent():
                self._refuse_ornaments(event)
                items = tuple(self._until(yaml.SequenceEndEvent, events, level))
                return SequenceNode(items=items, line=line, column=column)
            case yaml.MappingStartEvent():
                self._refuse_ornaments(event)
                entries = tuple(self._entries(events, level))
                return MappingNode(entries=entries, line=line, column=column)
            case _:
                self._note(line, column, "an alias is not accepted; a text that begins with `*` is written in quotes")
                return ScalarNode(text="", line=line, column=column)

    def _refuse_ornaments(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        for given, name, sign in ((event.anchor, "an anchor", "&"), (event.tag, "a tag", "!")):
            if given is not None:
                told = f"{name} is not accepted; a text that begins with `{sign}` is written in quotes"
                self._note(*_place(event), told)

    def _until(self, end: type[yaml.Event], events: Iterator[yaml.Event], level: int) -> Iterator[Node]:
        while not isinstance(event := next(events), end):
            yield self._node(event, events, level + 1)

    def _entries(self, events: Iterator[yaml.Event], level: int) -> Iterator[tuple[ScalarNode, Node]]:
        lines: dict[str, int] = {}
        nodes = self._until(yaml.MappingEndEvent, events, level)
        for key, value in zip(nodes, nodes, strict=True):
            if not isinstance(key, ScalarNode):
                self._note(key.line, key.column, "a key is one text")
            elif key.text in lines:
                shown = wire.quoted(key.text)
                self._note(key.line, key.column, f"the key {shown} stands on line {lines[key.text]} already")
            else:
                lines[key.text] = key.line
                yield key, value

    def _note(self, line: int, column: int, message: str) -> None:
        self.problems.append(PolicyProblem(path=self._path, line=line, column=column, where="", message=message))
        if len(self.problems) == MOST_PROBLEMS:
            raise BadPolicy(self.problems)


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
