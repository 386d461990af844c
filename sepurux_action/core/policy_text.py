"""Owns the way from the policy file's nodes to a Policy, with every mistake at once; never the YAML below.

Sources: contract, sections 1 (which key may stand where) and 5 (the file).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeAlias, TypeVar, assert_never

from sepurux_action.core import options, path_filter, stage_rules, wire
from sepurux_action.core.options import BY_SPELLING, FilePlace, Option
from sepurux_action.core.path_filter import Filter, Subject
from sepurux_action.core.policy import ENFORCEMENT, Given, Policy, Section
from sepurux_action.core.stage_rules import Rule
from sepurux_action.errors import GateError

T = TypeVar("T")

LARGEST_FILE = 256 * 1024  # bytes; contract, section 5
MOST_PROBLEMS = 100  # that one reading tells; a file with more is no policy, and searching hints takes time
MOST_RULES = 50  # of one `enforcement:` list
VERSION = "1"
VERSION_KEY = "version"
THRESHOLDS = "thresholds"
GATES = "gates"

_RULE_KEYS = ("stage", "from", "branches")
_PLACES = {
    FilePlace.TOP: "on the file's top level",
    FilePlace.GATE: "in a gate, under `gates:`",
    FilePlace.THRESHOLDS: f"under `{THRESHOLDS}:`",
}
_GROUPS = {  # the keys of a place that are no options
    FilePlace.TOP: [VERSION_KEY, THRESHOLDS, GATES],
    FilePlace.GATE: [THRESHOLDS],
    FilePlace.THRESHOLDS: [],
}
_REFUSED = {
    options.BASE_URL.name: "secrets are sent there, so only the workflow names it: give it as an input",
    options.PR_NUMBER.name: "it belongs to one run: give it as an input",
    options.CONFIG.name: "it tells where this file is: give it as an input",
}


# -- the file as it is written ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarNode:
    """One text, exactly as written, without its quotes; '' for null. Lines and columns count from 1."""

    text: str
    line: int
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceNode:
    """A list."""

    items: tuple[Node, ...]
    line: int
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingNode:
    """Keys with their values, in the order of the file, each key once."""

    entries: tuple[tuple[ScalarNode, Node], ...]
    line: int
    column: int = 1


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProblem:
    """One mistake in a policy file: file, line and column (from 1), the key ('' for none), and what is accepted."""

    path: str
    line: int
    column: int
    where: str
    message: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}"
        return f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"


class BadPolicy(GateError):
    """The policy file cannot be used; `problems` holds every mistake (at most 100), in the order of the file."""

    def __init__(self, problems: Iterable[PolicyProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__("\n".join(map(str, self.problems)))


# -- reading them -----------------------------------------------------------------------------------------------------


def parse_policy(root: Node, path: str) -> Policy:
    """Return the policy that the file's content is; raises BadPolicy with every mistake."""
    parsing = _Parsing(path)
    policy = parsing.policy(root)
    if parsing.problems:
        raise BadPolicy(parsing.problems)
    return policy


class _Parsing:
    """Reads nodes into sections and collects what is wrong with them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.problems: list[PolicyProblem] = []

    def policy(self, root: Node) -> Policy:
        top = MappingNode(entries=(), line=root.line)
        if isinstance(root, MappingNode):
            top = root
        elif not _empty(root):
            self._note(root, "", f"the file holds {_kind(root)}; accepted: keys with values, as `campaign: refunds`")
        policy = Policy(path=self._path, top=self._section(top, FilePlace.TOP, ""))
        for key, value in top.entries:
            if key.text == VERSION_KEY and not (isinstance(value, ScalarNode) and value.text in {"", VERSION}):
                self._note(value, f"`{VERSION_KEY}`", f"{_kind(value)} is not known; accepted: `{VERSION}`")
            if key.text == GATES and not _empty(value):
                policy = replace(policy, gates=tuple(self._gates(value)))
        self._refuse_doubled_names(policy)
        return policy

    def _gates(self, node: Node) -> Iterator[Section]:
        if not isinstance(node, SequenceNode) or not node.items:
            self._note(node, f"`{GATES}`", f"it is {_kind(node)}; accepted: a list with an entry for each gate")
            return
        for number, item in enumerate(node.items, start=1):
            if isinstance(item, MappingNode):
                yield self._section(item, FilePlace.GATE, f"gate {number}, ")
            else:
                self._note(item, f"gate {number}", f"it is {_kind(item)}; accepted: keys with values")

    def _refuse_doubled_names(self, policy: Policy) -> None:
        taken: dict[str, int] = {}
        for number, gate in enumerate(policy.gates, start=1):
            name = policy.name(gate)
            first = taken.setdefault(name.casefold(), number)
            if name and first != number:
                own = gate.texts.get(options.NAME.name)
                told = f"{wire.quoted(name)} is gate {first}'s name too; accepted: names that differ in more than case"
                told += "" if own else " (without `name` it is the campaign's)"
                line = own.line if own else gate.line
                self._note(ScalarNode(text="", line=line), f"gate {number}, `{options.NAME.name}`", told)

    def _section(self, node: MappingNode, place: FilePlace, prefix: str) -> Section:
        texts: dict[str, Given] = {}
        rules: tuple[Rule, ...] = ()
        seen: dict[str, str] = {}
        for key, value in node.entries:
            where = f"{prefix}`{_key_shown(key)}`"
            if place is FilePlace.TOP and key.text in {VERSION_KEY, GATES}:
                continue
            if place is not FilePlace.THRESHOLDS and key.text == THRESHOLDS:
                texts.update(self._thresholds(value, where))
                continue
            option = self._option(key, place, where, seen)
            if option is None or _empty(value):
                continue
            if option.name == ENFORCEMENT:
                rules = tuple(self._rules(value, where))
            elif text := self._text(option, value, where):
                texts[option.name] = Given(text, key.line)
        return Section(line=node.line, texts=texts, rules=rules)

    def _thresholds(self, node: Node, where: str) -> Mapping[str, Given]:
        if isinstance(node, MappingNode):
            return self._section(node, FilePlace.THRESHOLDS, f"{where}, ").texts
        if not _empty(node):
            self._note(node, where, f"it is {_kind(node)}; accepted: keys with values, as `max_unsafe: 0`")
        return {}

    def _option(self, key: ScalarNode, place: FilePlace, where: str, seen: dict[str, str]) -> Option[object] | None:
        option = BY_SPELLING.get(key.text)
        if option is None or place not in option.places:
            self._note(key, where, _why_not_here(key.text, option, place))
            return None
        spelling = seen.setdefault(option.name, key.text)
        if spelling != key.text:
            self._note(key, where, f"it is the same setting as `{spelling}`; give one of them")
            return None
        return option

    def _text(self, option: Option[object], node: Node, where: str) -> str:
        """Return the option's text once every part of it is accepted, or ''."""
        if option is options.PATHS:
            patterns = self._filter(node, Subject.PATH, where)
            return "\n".join(pattern.text for pattern in patterns.patterns) if patterns else ""
        if isinstance(node, SequenceNode) and not option.is_list:
            self._note(node, where, f"it is a list; accepted: {option.accepts}")
            return ""
        items = self._items(node, where, option.accepts)
        sound = [self._accepted(option, item, where) for item in items]  # a list: each mistake is told
        if not items or not all(sound):
            return ""
        whole = "\n".join(item.text for item in items)
        accepted = len(items) == 1 or self._accepted(option, replace(items[0], text=whole), where)
        return whole if accepted else ""

    def _accepted(self, option: Option[object], node: ScalarNode, where: str) -> bool:
        try:
            option.parse(node.text)
        except ValueError as refusal:
            hint = f" ({refusal})" if str(refusal) else ""
            self._note(node, where, f"{wire.quoted(node.text)} is not accepted{hint}; accepted: {option.accepts}")
            return False
        return True

    def _items(self, node: Node, where: str, accepts: str) -> list[ScalarNode]:
        """Return a text as it is or a list's texts, stripped; none after a mistake."""
        if isinstance(node, MappingNode):
            self._note(node, where, f"it is {_kind(node)}; accepted: {accepts}")
            return []
        if isinstance(node, ScalarNode):
            return [replace(node, text=node.text.strip())]
        items = [replace(item, text=item.text.strip()) for item in node.items if isinstance(item, ScalarNode)]
        broken = [item for item in node.items if not isinstance(item, ScalarNode) or _empty(item)]
        broken += [item for item in items if len(item.text.splitlines()) > 1]
        for item in broken:
            self._note(item, where, "an entry of the list is not one text on one line")
        if not node.items:
            self._note(node, where, "the list is empty; leave the key out where nothing is to be said")
        return [] if broken else items

    def _filter(self, node: Node, subject: Subject, where: str) -> Filter | None:
        items = self._items(node, where, options.PATHS.accepts)
        if isinstance(node, ScalarNode):
            items = [replace(node, text=line) for line in path_filter.lines(node.text)]
        sound = [self._parsed(lambda text: path_filter.read_pattern(text, subject), item, where) for item in items]
        if not items or None in sound:
            return None
        try:
            return path_filter.read_filter([item.text for item in items], subject)
        except ValueError as mistake:
            self._note(node, where, str(mistake))
            return None

    def _rules(self, node: Node, where: str) -> Iterator[Rule]:
        if isinstance(node, ScalarNode):
            stage = self._parsed(stage_rules.parse_stage, node, where)
            yield from [Rule(stage=stage)] if stage else []
            return
        if isinstance(node, MappingNode) or not node.items:
            self._note(node, where, f"it is {_kind(node)}; accepted: a stage, or a list of entries with a `stage` each")
            return
        if len(node.items) > MOST_RULES:
            self._note(node, where, f"it has {len(node.items)} entries; accepted: at most {MOST_RULES}")
            return
        seen: dict[tuple[date | None, Filter | None], int] = {}
        for number, item in enumerate(node.items, start=1):
            at = f"{where}, entry {number}"
            rule = self._rule(item, at)
            if rule is None:
                continue
            first = seen.setdefault((rule.start, rule.branches), number)
            if first != number:
                self._note(item, at, f"it begins on the same day and for the same branches as entry {first}")
            yield rule

    def _rule(self, node: Node, where: str) -> Rule | None:
        """Return the entry, or None after a mistake in it."""
        if not isinstance(node, MappingNode):
            self._note(node, where, f"it is {_kind(node)}; accepted: `stage`, and where wanted `from` and `branches`")
            return None
        mistakes = len(self.problems)
        given = {key.text: value for key, value in node.entries if not _empty(value)}
        for key, _ in node.entries:
            if key.text not in _RULE_KEYS:
                shown = _key_shown(key)
                self._note(key, f"{where}, `{shown}`", f"it is not known{options.nearest(shown, _RULE_KEYS)}")
        stage, start, branches = map(given.get, _RULE_KEYS)
        if stage is None:
            self._note(node, where, "its `stage` is missing; accepted: `observe`, `soft` or `hard`")
            return None
        rule = (
            self._parsed(stage_rules.parse_stage, stage, f"{where}, `stage`"),
            self._parsed(stage_rules.parse_start, start, f"{where}, `from`") if start else None,
            self._filter(branches, Subject.BRANCH, f"{where}, `branches`") if branches else None,
        )
        if rule[0] is None or len(self.problems) > mistakes:
            return None
        return Rule(stage=rule[0], start=rule[1], branches=rule[2])

    def _parsed(self, parse: Callable[[str], T], node: Node, where: str) -> T | None:
        """Return what the text says, or None after a mistake."""
        if not isinstance(node, ScalarNode):
            self._note(node, where, f"it is {_kind(node)}; accepted: one text")
            return None
        try:
            return parse(node.text.strip())
        except ValueError as refusal:
            self._note(node, where, f"{wire.quoted(node.text)} is not accepted; {refusal}")
            return None

    def _note(self, node: Node, where: str, message: str) -> None:
        self.problems.append(
            PolicyProblem(path=self._path, line=node.line, column=node.column, where=where, message=message)
        )
        if len(self.problems) >= MOST_PROBLEMS:
            raise BadPolicy(self.problems)


def _key_shown(key: ScalarNode) -> str:
    return wire.printable(key.text).replace("`", "'")[: wire.LONGEST_QUOTE]


def _empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.text.strip()


def _kind(node: Node) -> str:
    match node:
        case MappingNode():
            return "a group of keys"
        case SequenceNode():
            return "a list" if node.items else "an empty list"
        case ScalarNode():
            return wire.quoted(node.text)
        case _:
            assert_never(node)


def _why_not_here(spelling: str, option: Option[object] | None, place: FilePlace) -> str:
    name = option.name if option else spelling
    if option and option.secret:
        return "refused: a secret belongs in no file; give it as an input"
    if name in _REFUSED or (option and not option.places):
        return f"refused: {_REFUSED.get(name, 'give it as an input')}"
    if option:
        return f"it has its place {' or '.join(_PLACES[each] for each in option.places)}"
    here = [each for each, known in BY_SPELLING.items() if place in known.places]
    here += {FilePlace.TOP: [VERSION_KEY, THRESHOLDS, GATES], FilePlace.GATE: [THRESHOLDS], FilePlace.THRESHOLDS: []}[
        place
    ]
    return f"it is not known{options.nearest(spelling, here) or options.nearest(spelling, BY_SPELLING)}"
