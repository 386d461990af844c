"""What a policy file says, and what a pull request changes in it. Source: docs/configuration.md#the-policy-file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from sepurux_action.common import json_reader
from sepurux_action.config import options
from sepurux_action.config.layers import Layer, Source
from sepurux_action.config.options import OPTIONS

POLICY_PATH = ".github/sepurux-gate.yml"
MISNAMED_PATH = ".github/sepurux-gate.yaml"  # where the file may be by mistake
MAX_FILE_BYTES = 256 * 1024  # bytes
_NOTHING = Layer(Source.POLICY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy file without problems. Without `gates`, the top level and the inputs describe the only gate."""

    path: str
    top: Layer = _NOTHING
    gates: tuple[Layer, ...] = ()

    def name(self, gate: Layer) -> str:
        """Return a gate's name, or else its campaign's; '' if the file has neither."""
        return gate.text(options.NAME) or gate.text(options.CAMPAIGN) or self.top.text(options.CAMPAIGN)


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
        before, after = olds.get(key, _NOTHING), news.get(key, _NOTHING)
        name = json_reader.printable(old.name(before) if key in olds else new.name(after)) or key.removeprefix("#")
        if key not in olds:
            rows.append(Change("", "", "listed", name))
        if key not in news:
            rows.append(Change("", "listed", "", name))
        rows.extend(_changed(name, before, after))
    return tuple(rows)


def _changed(gate: str, old: Layer, new: Layer) -> Iterator[Change]:
    for option in OPTIONS:
        was, is_now = old.given.get(option.name), new.given.get(option.name)
        if (was and was.value) != (is_now and is_now.value):
            before, after = (json_reader.printable(", ".join(each.text(option).splitlines())) for each in (old, new))
            yield Change(option.name, before, after, gate)
