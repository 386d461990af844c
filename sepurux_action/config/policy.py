"""What a policy file says, and what a pull request changes in it. Source: docs/configuration.md#the-policy-file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from sepurux_action.common import json_reader
from sepurux_action.config import kinds, options
from sepurux_action.config.options import BY_NAME, OPTIONS
from sepurux_action.config.stage import StageRule

# What applies of a file that a pull request adds, before it is merged (docs/configuration.md#whose-file-applies).
_FIRST_FILE = ("project", "campaign", "name", "trace_id", "trace_file", "mutation_pack")
MAX_FILE_BYTES = 256 * 1024  # bytes


def misnamed(path: str) -> str:
    """Return the path with `.yaml` in place of `.yml`, where a policy file may be by mistake; another path as it is."""
    return f"{path.removesuffix('.yml')}.yaml" if path.endswith(".yml") else path


@dataclass(frozen=True, slots=True)
class ConfiguredValue:
    """An option in the file: its text (a list has one item per line), and the line of its key."""

    text: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySection:
    """The file's top level or one gate: its values by the names of options, and `enforcement` as `rules`."""

    line: int = 1
    texts: Mapping[str, ConfiguredValue] = field(default_factory=dict)
    rules: tuple[StageRule, ...] = ()

    def text_of(self, name: str) -> str:
        return self.texts[name].text if name in self.texts else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy file without problems. Without `gates`, the top level and the inputs describe the only gate."""

    path: str
    top: PolicySection = field(default_factory=PolicySection)
    gates: tuple[PolicySection, ...] = ()

    def name(self, gate: PolicySection) -> str:
        """Return a gate's name, or else its campaign's; '' if the file has neither."""
        campaign = gate.text_of(options.CAMPAIGN.name) or self.top.text_of(options.CAMPAIGN.name)
        return gate.text_of(options.NAME.name) or campaign[: kinds.MAX_NAME_LENGTH]


def without_unmerged_rules(policy: Policy) -> Policy:
    """Return the part of the first policy file that applies before the pull request that adds it is merged."""

    def kept(section: PolicySection) -> PolicySection:
        texts = {name: given for name, given in section.texts.items() if name in _FIRST_FILE}
        return replace(section, texts=texts, rules=())

    return replace(policy, top=kept(policy.top), gates=tuple(map(kept, policy.gates)))


@dataclass(frozen=True, slots=True)
class PolicyNote:
    """A remark about the policy file, and the address of the `page` that `label` names, '' without one."""

    text: str
    label: str = ""
    page: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.page}".rstrip()


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs between two policies; a text is '' where the descriptions say null."""

    setting: Annotated[str, "Name of the setting; null for a gate as a whole, which one of the policies lacks."]
    old: Annotated[str, "Text on the base branch; null without one."]
    new: Annotated[str, "Text in the pull request; null without one."]
    gate: Annotated[str, "Name of the gate; null for the top level."] = ""


def diff(old: Policy, new: Policy) -> tuple[Change, ...]:
    """Return the values that differ, in the order of the file. `0.9` and `90%` are the same value."""
    rows = list(_changed("", old.top, new.top))
    olds, news = (
        {policy.name(gate).casefold() or f"#{number}": gate for number, gate in enumerate(policy.gates, start=1)}
        for policy in (old, new)
    )
    for key in {**olds, **news}:
        before, after = olds.get(key), news.get(key)
        name = json_reader.printable(old.name(before) if before else new.name(news[key])) or key.removeprefix("#")
        if before is None or after is None:
            rows.append(Change("", "" if before is None else "listed", "" if after is None else "listed", name))
        rows.extend(_changed(name, before or PolicySection(), after or PolicySection()))
    return tuple(rows)


def _changed(gate: str, old: PolicySection, new: PolicySection) -> Iterator[Change]:
    before, after = _values(old), _values(new)
    for name in (option.name for option in OPTIONS):
        (was, old_text), (is_now, new_text) = (each.get(name, (None, "")) for each in (before, after))
        if was != is_now:
            yield Change(name, old_text, new_text, gate)


def _values(section: PolicySection) -> dict[str, tuple[object, str]]:
    shown = {name: json_reader.printable(", ".join(each.text.splitlines())) for name, each in section.texts.items()}
    values = {name: (BY_NAME[name].kind.parse(each.text), shown[name]) for name, each in section.texts.items()}
    return {**values, options.ENFORCEMENT.name: (section.rules, "; ".join(map(str, section.rules)))}
