"""Reads a policy file with PyYAML, and collects every problem in it.

PyYAML only composes nodes, which know their line, so every text stays as it is written: `0.90`, `on`, `2027-01-31`.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any

import yaml

from sepurux_action.common import json_reader, wording
from sepurux_action.config import options, parsers
from sepurux_action.config.options import BY_NAME, OPTIONS, Given, Layer, Option, SectionKind, Source
from sepurux_action.config.settings import MAX_FILE_BYTES
from sepurux_action.errors import ConfigurationError, Problem

MAX_PROBLEMS = 100  # of one file; then parsing ends, because each hint costs a search
# Two statuses each, the comment, and requests for reviews, of the 80 writes a minute that GitHub accepts.
MAX_GATES_IN_STEP = 26
VERSION = "1"
VERSION_KEY = "version"
THRESHOLDS = "thresholds"
GATES = "gates"

_EMPTY = yaml.ScalarNode("", "")
_NULL = "tag:yaml.org,2002:null"
_ALLOWED: Mapping[str, tuple[SectionKind, ...]] = {  # where a key belongs
    **{spelling: option.allowed_in for spelling, option in BY_NAME.items()},
    VERSION_KEY: (SectionKind.TOP,),
    THRESHOLDS: (SectionKind.TOP, SectionKind.GATE),
    GATES: (SectionKind.TOP,),
}


def read_policy(raw: bytes, path: str) -> Layer:
    """Return the policy in a file; raises ConfigurationError with its problems, in their order, at most 100."""
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigurationError([Problem("", f"the file has more than {MAX_FILE_BYTES:,} bytes", path, 1)])
    root = compose(raw, path)
    if _is_empty(root):
        root = yaml.MappingNode("", [])
    if not isinstance(root, yaml.MappingNode):
        message = f"the file must be keys with values, as `campaign: refunds`, not {_described(root)}"
        raise ConfigurationError([Problem("", message, path, _line(root.start_mark))])
    parser = _Parser(path)
    policy = parser.policy(root)
    if parser.problems:
        raise ConfigurationError(sorted(parser.problems, key=attrgetter("line")))
    return policy


def compose(raw: bytes, path: str) -> yaml.Node:
    """Return the root node, an empty text for an empty file; raises ConfigurationError for invalid YAML."""
    text = raw.decode(errors="surrogateescape")  # YAML allows no surrogate
    try:
        return _Loader(text).get_single_node() or _EMPTY
    except yaml.reader.ReaderError as error:  # it counts characters, not lines
        message, line = "it is not UTF-8, or has a control character", text.count("\n", 0, error.position) + 1
    except yaml.MarkedYAMLError as error:
        context = f"{error.context} from line {_line(error.context_mark)}" if error.context else ""
        message = wording.joined(", ", context, json_reader.printable(str(error.problem)))
        line = _line(error.problem_mark or error.context_mark)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):  # of Python
        message, line = "a number in it is out of range, or it is nested too deeply", 1
    raise ConfigurationError([Problem("", f"the gate cannot read this YAML: {message}", path, line)])


class _Loader(yaml.SafeLoader):
    """Composes nodes, with null as an empty text. It rejects aliases, anchors, tags, and duplicate keys."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._keys: dict[tuple[yaml.MappingNode, str], yaml.Node] = {}

    def compose_node(self, parent: yaml.Node | None, index: int | None) -> yaml.Node:
        """Return the next node; `index` is None for a key of the mapping `parent`."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # incomplete stubs
        reject = partial(yaml.MarkedYAMLError, problem_mark=event.start_mark)  # type: ignore[arg-type]  # wrong stubs
        if any(getattr(event, name, None) is not None for name in ("anchor", "tag")):  # an alias has an anchor
            raise reject(problem="put a text that begins with `*`, `&`, or `!` in quotes")
        node: yaml.Node = super().compose_node(parent, index)  # type: ignore[arg-type, assignment]  # wrong stubs
        if node.tag == _NULL:
            node.value = ""
        if index is None and isinstance(parent, yaml.MappingNode):
            if not isinstance(node, yaml.ScalarNode):
                raise reject(problem="a key must be a text")
            if (first := self._keys.setdefault((parent, node.value), node)) is not node:
                line = _line(first.start_mark)
                raise reject(problem=f"the key {json_reader.preview(node.value)} is on line {line} already; remove one")
        return node


class _Parser:
    """Makes layers of the nodes of a file, and collects the problems."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.problems: list[Problem] = []

    def policy(self, root: yaml.MappingNode) -> Layer:
        top, nodes = self._layer(root, SectionKind.TOP, ""), {key.value: value for key, value in root.value}
        version, listed = nodes.get(VERSION_KEY, _EMPTY), nodes.get(GATES, _EMPTY)
        if version.value not in ("", VERSION):
            self._add(version, f"`{VERSION_KEY}`", f"must be `{VERSION}`, not {_described(version)}")
        gates, items = list[Layer](), listed.value if isinstance(listed, yaml.SequenceNode) else []
        if not 0 < len(items) <= MAX_GATES_IN_STEP and not _is_empty(listed):
            message = f"must be a list of 1 to {MAX_GATES_IN_STEP} gates, not {_described(listed)}"
            self._add(listed, f"`{GATES}`", message)
        for number, item in enumerate(items[:MAX_GATES_IN_STEP], start=1):
            if isinstance(item, yaml.MappingNode):
                gates.append(self._layer(item, SectionKind.GATE, f"gate {number}, "))
            else:
                self._add(item, f"gate {number}", f"must be keys with values, not {_described(item)}")
        for option in (options.PATHS, options.FLAKY):
            if gates and (given := top.given.get(option.name)):
                self._add(given, given.where, f"must be {SectionKind.GATE}")
        policy = replace(top, gates=tuple(gates))
        self._check_names(policy)
        return policy

    def _check_names(self, policy: Layer) -> None:
        numbers: dict[str, int] = {}
        for number, gate in enumerate(policy.gates, start=1):
            name = policy.name_of(gate)
            first = numbers.setdefault(name.casefold(), number)
            if first == number or (not name and self.problems):
                continue
            message = f"must be unique, ignoring case, not {json_reader.preview(name)} as in gate {first}"
            message += "; without a name, it is the campaign"
            at = gate.given.get(options.NAME.name) or gate.given.get(options.CAMPAIGN.name) or gate
            self._add(at, f"gate {number}, `{options.NAME.name}`", message)

    def _layer(self, node: yaml.MappingNode, section: SectionKind, prefix: str) -> Layer:
        given, where = self._section(node, section, prefix), f"{prefix}`{THRESHOLDS}`"
        thresholds = {key.value: value for key, value in node.value}.get(THRESHOLDS, _EMPTY)
        if isinstance(thresholds, yaml.MappingNode):
            given |= self._section(thresholds, SectionKind.THRESHOLDS, f"{where}, ")
        elif not _is_empty(thresholds):
            message = f"must be keys with values, as `max_unsafe: 0`, not {_described(thresholds)}"
            self._add(thresholds, where, message)
        return Layer(Source.POLICY, given, file=self._path, line=_line(node.start_mark), where=prefix)

    def _section(self, node: yaml.MappingNode, section: SectionKind, prefix: str) -> dict[str, Given]:
        given, spellings = dict[str, Given](), dict[str, str]()
        for key, value in node.value:
            shown = json_reader.printable(key.value).replace("`", "'")
            where = prefix + (name := f"`{json_reader.shorten(shown, json_reader.MAX_QUOTE_LENGTH)}`")
            allowed, option = _ALLOWED.get(key.value), BY_NAME.get(key.value)
            if allowed is None:
                names = [*(each.name for each in OPTIONS), VERSION_KEY, THRESHOLDS, GATES]
                listed = ", ".join(f"`{each}`" for each in names if section in _ALLOWED[each])
                meant = wording.optional("did you mean `{}`?", parsers.similar(key.value, _ALLOWED))
                message = f"there is no key {name}; {meant or f'the keys are {listed}'}"
                self._add(key, prefix.removesuffix(", "), message)
            elif section not in allowed:
                self._add(key, where, f"must be {' or '.join(allowed) or 'an input of the workflow'}")
            elif option is None:
                continue
            elif (first := spellings.setdefault(option.name, key.value)) != key.value:
                self._add(key, where, f"must not be set beside `{first}`, which is the same setting")
            elif not _is_empty(value) and (text := self._text(option, value, where)):
                try:
                    given[option.name] = Given(text, where, _line(key.start_mark), option.read(text))
                except ValueError as error:
                    self._add(value, where, option.rejection(json_reader.preview(text), str(error)))
        return given

    def _text(self, option: Option[object], node: yaml.Node, where: str) -> str:
        """Return the text of a value, with a line for each entry of a list or a mapping; '' after a problem."""
        if isinstance(node, yaml.SequenceNode) and option.form is list and node.value:
            for item in node.value:
                if not isinstance(item, yaml.ScalarNode) or len(item.value.strip().splitlines()) != 1:
                    self._add(item, where, "must have one line of text in each entry of the list")
                    return ""
            return "\n".join(item.value.strip() for item in node.value)
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        if option.form is dict and pairs and all(isinstance(each, yaml.ScalarNode) for pair in pairs for each in pair):
            return "\n".join(f"{key.value.strip()}: {value.value}" for key, value in pairs)
        if isinstance(node, yaml.ScalarNode) and option.form is not dict:
            return str(node.value).strip()
        self._add(node, where, option.rejection(_described(node), ""))
        return ""

    def _add(self, at: yaml.Node | Given | Layer, where: str, message: str) -> None:
        """Add a problem; raises ConfigurationError if there are too many to continue."""
        line = _line(at.start_mark) if isinstance(at, yaml.Node) else at.line
        self.problems.append(Problem(where, message, self._path, line))
        if len(self.problems) >= MAX_PROBLEMS:
            raise ConfigurationError(sorted(self.problems, key=attrgetter("line")))


def _line(mark: Any) -> int:  # noqa: ANN401 - a mark of YAML, whose type has no public name
    return mark.line + 1 if mark else 1


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.value.strip()


def _described(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return json_reader.preview(node.value)
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {wording.pluralize(len(node.value), 'entry', 'entries')}"
    return "a group of keys"
