"""Owns what a policy file means, and what a pull request changes in it; never reads it, and never says who wrote it.

Sources: contract, sections 1 (places and precedence) and 5 (the file).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from sepurux_action.common import json_reader
from sepurux_action.config import options, parsers
from sepurux_action.config.options import BY_SPELLING, OPTIONS
from sepurux_action.config.stage import StageRule, stage_today

ENFORCEMENT = options.ENFORCEMENT.name
MAX_FILE_BYTES = 256 * 1024  # bytes; contract, section 5


@dataclass(frozen=True, slots=True)
class ConfiguredValue:
    """The text that the file gives to an option (a list as one item a line), the line of its key, and its meaning."""

    text: str
    line: int
    value: object = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The file's top level, or one gate: texts by the options' names, thresholds among them.

    `rules` stand for `enforcement`; none: not given.
    """

    line: int = 1
    texts: Mapping[str, ConfiguredValue] = field(default_factory=dict)
    rules: tuple[StageRule, ...] = ()

    def text(self, name: str) -> str:
        """Return the text given to an option, or ''."""
        return self.texts[name].text if name in self.texts else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy file that holds no mistake. Without `gates` there is one gate, of the top level and the inputs."""

    path: str
    top: Section = field(default_factory=Section)
    gates: tuple[Section, ...] = ()

    def layers(self, gate: Section | None, branch: str, today: date) -> Iterator[dict[str, str]]:
        """Yield the texts of a gate, then those of the top level, `enforcement` as it is on this branch today."""
        for section in (self.top,) if gate is None else (gate, self.top):
            texts = {name: given.text for name, given in section.texts.items()}
            if section.rules:
                texts[ENFORCEMENT] = stage_today(section.rules, branch, today)
            yield texts

    def rules(self, gate: Section | None) -> tuple[StageRule, ...]:
        """Return the entries that rule a gate's stage, its own or the top level's; none: the file does not say."""
        return (gate.rules if gate else ()) or self.top.rules

    def name(self, gate: Section) -> str:
        """Return a gate's name as far as the file tells it: its own, else its campaign's, or ''."""
        campaign = gate.text(options.CAMPAIGN.name) or self.top.text(options.CAMPAIGN.name)
        return gate.text(options.NAME.name) or campaign[: parsers.MAX_NAME_LENGTH]


def without_unmerged_rules(policy: Policy) -> Policy:
    """Return what applies of the first policy file while the pull request that adds it is judged."""

    def kept(section: Section) -> Section:
        texts = {name: given for name, given in section.texts.items() if BY_SPELLING[name].applies_before_merge}
        return replace(section, texts=texts, rules=())

    return replace(policy, top=kept(policy.top), gates=tuple(map(kept, policy.gates)))


# -- what a pull request changes in it --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One value that two policies give differently: where, the `old` text and the `new` one, '' for not given."""

    where: str
    old: str
    new: str


def diff(old: Policy, new: Policy) -> tuple[Change, ...]:
    """Return a row for each value that is not the same, in the order of the file; `0.9` and `90%` are the same."""
    rows = list(_changed("", old.top, new.top))
    gates = [{_key(policy, gate, at): gate for at, gate in enumerate(policy.gates)} for policy in (old, new)]
    names = {_key(p, gate, at): p.name(gate) for p in (new, old) for at, gate in enumerate(p.gates)}
    for key in dict.fromkeys(key for side in gates for key in side):
        before, after = (side.get(key) for side in gates)
        where = f"gate {json_reader.quoted(names[key])}" if names[key] else f"gate {int(key[1:]) + 1}"
        if before is None or after is None:
            rows.append(Change(where, "" if before is None else "listed", "" if after is None else "listed"))
        rows.extend(_changed(f"{where}, ", before or Section(), after or Section()))
    return tuple(rows)


def _key(policy: Policy, gate: Section, at: int) -> str:
    return policy.name(gate).casefold() or f"#{at}"


def _changed(prefix: str, old: Section, new: Section) -> Iterator[Change]:
    for option in OPTIONS:
        name = option.name
        if _value(old, name) != _value(new, name):
            yield Change(f"{prefix}{name}", _shown(old, name), _shown(new, name))


def _shown(section: Section, name: str) -> str:
    if name == ENFORCEMENT:
        return "; ".join(map(str, section.rules))
    return json_reader.printable(", ".join(section.text(name).splitlines()))


def _value(section: Section, name: str) -> object:
    if name == ENFORCEMENT:
        return section.rules
    return section.texts[name].value if name in section.texts else None
