"""Parses a policy file with PyYAML and collects every problem in it; also parses the triggers of a workflow file.

PyYAML only composes nodes, which know their line and column. It does not construct values, so every text stays as it
is written: `0.90`, `on`, and `2027-01-31`. Source: docs/configuration.md#the-policy-file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import TypeVar

import yaml

from sepurux_action.common import json_reader
from sepurux_action.config import options, path_filter
from sepurux_action.config.kinds import Kind
from sepurux_action.config.options import BY_NAME, Option, SectionKind
from sepurux_action.config.path_filter import Filter, PatternKind
from sepurux_action.config.policy import ENFORCEMENT, MAX_FILE_BYTES, ConfiguredValue, Policy, PolicySection
from sepurux_action.config.stage import StageRule, parse_start
from sepurux_action.errors import ConfigurationError, Problem

T = TypeVar("T")

MAX_NESTING = 16  # levels of nesting; a policy has seven
MAX_WORKFLOW_BYTES = 64 * 1024  # of a workflow file that is parsed; PyYAML needs up to 3 s for so many
MAX_PROBLEMS = 100  # of one file; then parsing ends, because each hint costs a search
MAX_KEYS_LISTED = 10  # keys of a section that an error lists; docs/reference.md lists all
MAX_RULES = 50  # of one `enforcement:` list
MAX_GATES_IN_STEP = 35  # two statuses each and the comment, of the 80 writes a minute that GitHub accepts from a token
TOO_MANY_GATES = "Use two steps or jobs, each with a policy file of its own in the input `config`"
VERSION = "1"
VERSION_KEY = "version"
THRESHOLDS = "thresholds"
GATES = "gates"
WORKFLOW_TRIGGERS = "on"
# PyYAML also passes on the errors of Python for a character or a version number out of range.
YAML_ERRORS = (yaml.YAMLError, ValueError, OverflowError)

_NULL = "tag:yaml.org,2002:null"
_IN_QUOTES = "; put a text that begins with `{}` in quotes"
_HINTS = {  # by the context of an error of PyYAML
    "while scanning an alias": _IN_QUOTES.format("*"),
    "while scanning an anchor": _IN_QUOTES.format("&"),
    "while scanning a tag": _IN_QUOTES.format("!"),
}
_TRIGGER = re.compile(r"[a-z_]{1,64}\Z")  # the name of an event
_RULE_KEYS = ("stage", "from", "branches")
_SECTION_NAMES = {
    SectionKind.TOP: "on the file's top level",
    SectionKind.GATE: "in a gate, under `gates:`",
    SectionKind.THRESHOLDS: f"under `{THRESHOLDS}:`",
}
_OTHER_KEYS = {  # the keys of a section that are not options
    SectionKind.TOP: [VERSION_KEY, THRESHOLDS, GATES],
    SectionKind.GATE: [THRESHOLDS],
    SectionKind.THRESHOLDS: [],
}
_REJECTED = {
    options.BASE_URL.name: "the gate sends secrets to it, so only the workflow may set it: use the input",
    options.PR_NUMBER.name: "it belongs to one run: use the input",
    options.CONFIG.name: "it says where this file is: use the input",
}


def read_policy(raw: bytes, path: str) -> Policy:
    """Return the policy in a file; raises ConfigurationError with its problems, in their order, at most 100."""
    parsing = PolicyParser(path)
    policy = parsing.policy(compose(raw, path))
    parsing.problems.raise_any()
    return policy


def workflow_triggers(text: str) -> frozenset[str]:
    """Return the events that a workflow file runs on, or none if they are not known.

    The text may be anything. A file that is larger than `MAX_WORKFLOW_BYTES`, or that would be rejected as a policy
    (its nesting, aliases, tags), is not known, and neither is one with something else than names of events in `on`: a
    name, a list, or the keys of a mapping.
    """
    raw = text.encode(errors="surrogatepass")
    if len(raw) > MAX_WORKFLOW_BYTES:
        return frozenset()
    try:
        root = compose(raw, "")
    except ConfigurationError:
        return frozenset()
    values = {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    names: list[yaml.Node]
    match values.get(WORKFLOW_TRIGGERS):
        case yaml.ScalarNode() as name:
            names = [name]
        case yaml.SequenceNode(value=items):
            names = items
        case yaml.MappingNode(value=pairs):
            names = [key for key, _ in pairs]
        case _:
            return frozenset()
    known = all(isinstance(name, yaml.ScalarNode) and _TRIGGER.match(name.value) for name in names)
    return frozenset(name.value for name in names) if known else frozenset()


def compose(raw: bytes, path: str) -> yaml.Node:
    """Return the root node, an empty text for an empty file; raises ConfigurationError with the YAML's problems."""
    problems = _Problems(path)
    if len(raw) > MAX_FILE_BYTES:
        raise problems.with_last((1, 1), f"the file has {len(raw):,} bytes; accepted: at most {MAX_FILE_BYTES:,}")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise problems.with_last((raw.count(b"\n", 0, error.start) + 1, 1), "the file is not UTF-8") from None
    try:
        loader = _Loader(text, problems)
    except yaml.reader.ReaderError as error:  # it counts characters, not lines
        before, character = text[: error.position], ord(text[error.position])
        at = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise problems.with_last(at, f"YAML does not allow the character U+{character:04X}") from None
    try:
        root = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            raise problems.with_last(_position(loader.next_event), "a second YAML document begins; accepted: one")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else (loader.line + 1, 1)
        hint = _HINTS.get(str(error.context), "")
        raise problems.with_last(
            at, f"this is not valid YAML: {json_reader.printable(str(error.problem))}{hint}"
        ) from None
    except YAML_ERRORS:
        raise problems.with_last(
            (loader.line + 1, 1), "this is not valid YAML: a number in it is out of range"
        ) from None
    problems.raise_any()
    return root or yaml.ScalarNode("", "")


class _Problems:
    """The problems in one file, each `at` a line and a column, from 1."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.items: list[Problem] = []

    def add(self, at: tuple[int, int], message: str, where: str = "") -> None:
        """Add a problem; raises ConfigurationError if there are too many to continue."""
        line, column = at
        self.items.append(
            Problem(where=where, message=message, file=self._path, line=line, column=column, of_policy=True)
        )
        if len(self.items) >= MAX_PROBLEMS:
            self.raise_any()

    def with_last(self, at: tuple[int, int], message: str) -> ConfigurationError:
        """Return the error with a problem after which nothing can be parsed, and with those before it."""
        self.add(at, message)
        return self._error()

    def raise_any(self) -> None:
        """Raise ConfigurationError if there is a problem."""
        if self.items:
            raise self._error()

    def _error(self) -> ConfigurationError:
        return ConfigurationError(sorted(self.items, key=lambda problem: (problem.line, problem.column)))


class _Loader(yaml.SafeLoader):
    """Composes nodes, with null as an empty text. It rejects aliases, anchors, tags, and duplicate keys."""

    def __init__(self, text: str, problems: _Problems) -> None:
        super().__init__(text)
        self._problems = problems
        self._level = 0
        self._keys: dict[tuple[yaml.MappingNode, str], tuple[int, int]] = {}

    @property
    def next_event(self) -> yaml.Event:
        """Return the next event without consuming it."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # incomplete stubs
        return event

    def compose_node(self, parent: yaml.Node | None, index: int | None) -> yaml.Node:
        """Return the next node; `index` is None for a key of the mapping `parent`."""
        event = self.next_event
        at = _position(event)
        if self._level == MAX_NESTING:
            raise self._problems.with_last(at, f"the file is nested deeper than {MAX_NESTING} levels")
        if isinstance(event, yaml.AliasEvent):
            self._problems.add(at, f"an alias is not accepted{_IN_QUOTES.format('*')}")
            self.anchors = {event.anchor: yaml.ScalarNode("", "")}  # what the alias is replaced by
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            for value, name, sign in ((event.anchor, "an anchor", "&"), (event.tag, "a tag", "!")):
                if value is not None:
                    self._problems.add(at, f"{name} is not accepted{_IN_QUOTES.format(sign)}")
            event.anchor = None
        self._level += 1
        node: yaml.Node = super().compose_node(parent, index)  # type: ignore[arg-type, assignment]  # wrong stubs
        self._level -= 1
        if node.tag == _NULL:
            node.value = ""
        if index is None and isinstance(parent, yaml.MappingNode):
            self._check_key(parent, node, at)
        return node

    def _check_key(self, mapping: yaml.MappingNode, key: yaml.Node, at: tuple[int, int]) -> None:
        if not isinstance(key, yaml.ScalarNode):
            self._problems.add(at, "a key must be a text")
        elif (first := self._keys.setdefault((mapping, key.value), at)) != at:
            self._problems.add(
                at, f"the key {json_reader.preview(key.value)} is on line {first[0]} already; remove one"
            )


class PolicyParser:
    """Turns nodes into sections and collects their problems."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.problems = _Problems(path)

    def policy(self, root: yaml.Node) -> Policy:
        """Return the policy of the root node, and collect every problem."""
        top = yaml.MappingNode("", [], root.start_mark)
        if isinstance(root, yaml.MappingNode):
            top = root
        elif not _empty(root):
            self._add_problem(
                root, "", f"the file holds {_kind(root)}; accepted: keys with values, as `campaign: refunds`"
            )
        policy = Policy(path=self._path, top=self._section(top, SectionKind.TOP, ""))
        for key, value in top.value:
            if key.value == VERSION_KEY and value.value not in ("", VERSION):
                self._add_problem(value, f"`{VERSION_KEY}`", f"{_kind(value)} is not known; accepted: `{VERSION}`")
            if key.value == GATES and not _empty(value):
                policy = replace(policy, gates=tuple(self._gates(value)))
        self._check_duplicate_names(policy)
        return policy

    def _gates(self, node: yaml.Node) -> Iterator[PolicySection]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self._add_problem(node, f"`{GATES}`", f"it is {_kind(node)}; accepted: a list with an entry for each gate")
            return
        if len(node.value) > MAX_GATES_IN_STEP:
            given = f"it has {len(node.value)} gates; accepted: at most {MAX_GATES_IN_STEP} in a step"
            self._add_problem(node, f"`{GATES}`", f"{given}. {TOO_MANY_GATES}")
        for number, item in enumerate(node.value, start=1):
            if isinstance(item, yaml.MappingNode):
                yield self._section(item, SectionKind.GATE, f"gate {number}, ")
            else:
                self._add_problem(item, f"gate {number}", f"it is {_kind(item)}; accepted: keys with values")

    def _check_duplicate_names(self, policy: Policy) -> None:
        numbers: dict[str, int] = {}
        for number, gate in enumerate(policy.gates, start=1):
            name = policy.name(gate)
            first = numbers.setdefault(name.casefold(), number)
            if name and first != number:
                own = gate.texts.get(options.NAME.name)
                shown = json_reader.preview(name)
                message = f"{shown} is the name of gate {first} too; accepted: names that differ in more than case"
                message += "" if own else " (the default of `name` is the campaign)"
                at = (own or gate).line, 1
                self.problems.add(at, message, f"gate {number}, `{options.NAME.name}`")

    def _section(self, node: yaml.MappingNode, section: SectionKind, prefix: str) -> PolicySection:
        texts: dict[str, ConfiguredValue] = {}
        rules: tuple[StageRule, ...] = ()
        seen: dict[str, str] = {}
        for key, value in node.value:
            where = f"{prefix}`{_key_shown(key)}`"
            if section is SectionKind.TOP and key.value in {VERSION_KEY, GATES}:
                continue
            if section is not SectionKind.THRESHOLDS and key.value == THRESHOLDS:
                texts.update(self._thresholds(value, where))
                continue
            option = self._option(key, section, where, seen)
            if option is None or _empty(value):
                continue
            if option.name == ENFORCEMENT:
                rules = tuple(self._rules(value, where))
            elif configured := self._value(option, key, value, where):
                texts[option.name] = configured
        return PolicySection(line=_position(node)[0], texts=texts, rules=rules)

    def _thresholds(self, node: yaml.Node, where: str) -> Mapping[str, ConfiguredValue]:
        if isinstance(node, yaml.MappingNode):
            return self._section(node, SectionKind.THRESHOLDS, f"{where}, ").texts
        if not _empty(node):
            self._add_problem(node, where, f"it is {_kind(node)}; accepted: keys with values, as `max_unsafe: 0`")
        return {}

    def _option(self, key: yaml.Node, section: SectionKind, where: str, seen: dict[str, str]) -> Option[object] | None:
        option = BY_NAME.get(key.value)
        if option is None or section not in option.allowed_in:
            self._add_problem(key, where, _why_not_here(key.value, option, section))
            return None
        spelling = seen.setdefault(option.name, key.value)
        if spelling != key.value:
            self._add_problem(key, where, f"it is the same setting as `{spelling}`; set one of them")
            return None
        return option

    def _value(self, option: Option[object], key: yaml.Node, node: yaml.Node, where: str) -> ConfiguredValue | None:
        """Return the value of an option, or None after a problem in it."""
        line, _ = _position(key)
        if option is options.PATHS:
            paths = self._filter(node, PatternKind.PATH, where)
            return ConfiguredValue("\n".join(pattern.text for pattern in paths.patterns), line) if paths else None
        if isinstance(node, yaml.SequenceNode) and not option.kind.is_list:
            self._add_problem(node, where, f"it is a list; accepted: {option.kind.accepts}")
            return None
        items = self._items(node, where, option.kind.accepts)
        values = [self._parsed(option.kind, item, where) for item in items]  # reports each problem
        if not items or None in values:
            return None
        whole = _text_at(items[0], "\n".join(item.value for item in items))
        if len(items) > 1 and self._parsed(option.kind, whole, where) is None:
            return None
        return ConfiguredValue(whole.value, line)

    def _items(self, node: yaml.Node, where: str, accepts: str) -> list[yaml.ScalarNode]:
        """Return the text of a node, or the texts of a list, stripped; none after a problem."""
        if isinstance(node, yaml.MappingNode):
            self._add_problem(node, where, f"it is {_kind(node)}; accepted: {accepts}")
            return []
        if isinstance(node, yaml.ScalarNode):
            return [_text_at(node, node.value.strip())]
        if not node.value:
            self._add_problem(node, where, "the list is empty; remove the key, or add an entry")
        broken = [item for item in node.value if not _is_line(item)]
        for item in broken:
            self._add_problem(item, where, "an entry of the list must be one line of text")
        return [] if broken else [_text_at(item, item.value.strip()) for item in node.value]

    def _filter(self, node: yaml.Node, kind: PatternKind, where: str) -> Filter | None:
        items = self._items(node, where, options.PATHS.kind.accepts)
        if isinstance(node, yaml.ScalarNode):
            items = [_text_at(node, line) for line in path_filter.lines(node.value)]
        pattern = Kind(parse=lambda text: path_filter.parse_pattern(text, kind), accepts="")
        patterns = [self._parsed(pattern, item, where) for item in items]
        if not items or None in patterns:
            return None
        try:
            return path_filter.parse_filter([item.value for item in items], kind)
        except ValueError as problem:
            self._add_problem(node, where, str(problem))
            return None

    def _rules(self, node: yaml.Node, where: str) -> Iterator[StageRule]:
        if isinstance(node, yaml.ScalarNode):
            stage = self._parsed(options.ENFORCEMENT.kind, node, where)
            yield from [StageRule(stage=stage)] if stage else []
            return
        if isinstance(node, yaml.MappingNode) or not node.value:
            self._add_problem(
                node, where, f"it is {_kind(node)}; accepted: a stage, or a list of entries with a `stage` each"
            )
            return
        if len(node.value) > MAX_RULES:
            self._add_problem(node, where, f"it has {len(node.value)} entries; accepted: at most {MAX_RULES}")
            return
        seen: dict[tuple[date | None, Filter | None], int] = {}
        for number, item in enumerate(node.value, start=1):
            at = f"{where}, entry {number}"
            rule = self._rule(item, at)
            if rule is None:
                continue
            first = seen.setdefault((rule.start, rule.branches), number)
            if first != number:
                self._add_problem(item, at, f"it has the same `from` and `branches` as entry {first}; remove one")
            yield rule

    def _rule(self, node: yaml.Node, where: str) -> StageRule | None:
        """Return the entry, or None after a problem in it."""
        if not isinstance(node, yaml.MappingNode):
            self._add_problem(
                node, where, f"it is {_kind(node)}; accepted: a `stage`, and optionally `from` and `branches`"
            )
            return None
        problems = len(self.problems.items)
        values = {key.value: value for key, value in node.value if not _empty(value)}
        for key, _ in node.value:
            if key.value not in _RULE_KEYS:
                shown = _key_shown(key)
                similar = options.did_you_mean(shown, _RULE_KEYS) or f"; accepted: {_key_names(_RULE_KEYS)}"
                self._add_problem(key, f"{where}, `{shown}`", f"it is not known{similar}")
        stage, start, branches = map(values.get, _RULE_KEYS)
        if stage is None:
            self._add_problem(node, where, "its `stage` is missing; accepted: `observe`, `soft` or `hard`")
            return None
        rule = (
            self._parsed(options.ENFORCEMENT.kind, stage, f"{where}, `stage`"),
            self._parsed(Kind(parse=parse_start, accepts=""), start, f"{where}, `from`") if start else None,
            self._filter(branches, PatternKind.BRANCH, f"{where}, `branches`") if branches else None,
        )
        if rule[0] is None or len(self.problems.items) > problems:
            return None
        return StageRule(stage=rule[0], start=rule[1], branches=rule[2])

    def _parsed(self, kind: Kind[T], node: yaml.Node, where: str) -> T | None:
        """Return the parsed text, or None after a problem. If the kind accepts '', its error says what is accepted."""
        if not isinstance(node, yaml.ScalarNode):
            self._add_problem(node, where, f"it is {_kind(node)}; accepted: one text")
            return None
        try:
            return kind.parse(node.value.strip())
        except ValueError as error:
            hint = f" ({error})" if kind.accepts and str(error) else ""
            message = f"{json_reader.preview(node.value)} is not accepted{hint}; "
            self._add_problem(node, where, message + (f"accepted: {kind.accepts}" if kind.accepts else str(error)))
            return None

    def _add_problem(self, node: yaml.Node, where: str, message: str) -> None:
        self.problems.add(_position(node), message, where)


def _position(start: yaml.Event | yaml.Node) -> tuple[int, int]:
    """Return the line and the column where an event or a node begins, from 1."""
    mark = start.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _text_at(node: yaml.Node, text: str) -> yaml.ScalarNode:
    """Return another text at the position of a node."""
    return yaml.ScalarNode("", text, node.start_mark)


def _key_names(keys: Iterable[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _key_shown(key: yaml.Node) -> str:
    return json_reader.shorten(json_reader.printable(key.value).replace("`", "'"), json_reader.MAX_QUOTE_LENGTH)


def _empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.value.strip()


def _is_line(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and len(node.value.strip().splitlines()) == 1


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return json_reader.preview(node.value)
    if isinstance(node, yaml.SequenceNode):
        return "a list" if node.value else "an empty list"
    return "a group of keys"


def _why_not_here(spelling: str, option: Option[object] | None, section: SectionKind) -> str:
    name = option.name if option else spelling
    if option and option.secret:
        return "it is a secret, which is not accepted in a file: use the input"
    if name in _REJECTED or (option and not option.allowed_in):
        return f"it is not accepted in the file: {_REJECTED.get(name, 'use the input')}"
    if option:
        return f"it belongs {' or '.join(_SECTION_NAMES[each] for each in option.allowed_in)}"
    here = [*_OTHER_KEYS[section], *(each for each, known in BY_NAME.items() if section in known.allowed_in)]
    similar = options.did_you_mean(spelling, here) or options.did_you_mean(spelling, BY_NAME)
    listed = f"; accepted: {_key_names(here)}" if len(here) <= MAX_KEYS_LISTED else ""
    return f"it is not known{similar or listed}"
