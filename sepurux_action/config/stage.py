"""The stages of a gate, and the rules that choose one. Source: docs/configuration.md#stages-by-date-and-branch."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from sepurux_action.common.wording import joined, optional
from sepurux_action.config import kinds
from sepurux_action.config.path_filter import Filter
from sepurux_action.errors import Place

WARN_BEFORE = 3  # days before a stricter stage: time to fix what it would block


class Stage(StrEnum):
    OBSERVE = "observe"
    SOFT = "soft"
    HARD = "hard"


strictness = list(Stage).index
STAGE = kinds.word_of(Stage, "STAGE")


class OnOutage(StrEnum):
    BLOCK = "block"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRule:
    """One entry of an `enforcement:` list. `branches` is None for every branch."""

    stage: Stage
    start: date = date.min
    branches: Filter | None = None
    place: Place = field(default=Place(), compare=False)

    def __str__(self) -> str:
        start = f"from {self.start}" if self.start > date.min else ""
        return joined(" ", self.stage, start, optional("on {}", self.branches))


class NextChange(NamedTuple):
    """The next day on which another stage applies than today, in so many `days`."""

    day: date
    stage: Stage
    days: int
    stricter: bool

    @property
    def is_near(self) -> bool:
        return self.stricter and self.days <= WARN_BEFORE

    def __str__(self) -> str:
        when = "tomorrow" if self.days == 1 else f"in {self.days} days"
        return f"`enforcement` changes to `{self.stage}` {when}, on {self.day}."


def parse_stage(text: str) -> tuple[StageRule, ...]:
    """Return the rule of a stage that always applies."""
    return (StageRule(stage=STAGE.parse(text)),)


def parse_start(text: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise ValueError
    return date.fromisoformat(text)


def next_change(rules: Iterable[StageRule], branch: str, today: date) -> NextChange | None:
    matching = matching_rules(rules, branch)
    now = stage_on(matching, today)
    for day, stage in changes(matching, today):
        return NextChange(day, stage, (day - today).days, strictness(stage) > strictness(now))
    return None


def stage_on(matching: Collection[StageRule], day: date) -> Stage:
    """Return the stage on a day, for a branch that all these entries match.

    It is `observe` if all are in the future, `hard` if there is none. Of the entries that have started, those that name
    the branch override the others. Of these the latest start applies, and of several on that day the strictest stage.
    """
    started = [rule for rule in matching if rule.start <= day]
    if not started:
        return Stage.OBSERVE if matching else Stage.HARD
    return max(started, key=lambda rule: (rule.branches is not None, rule.start, strictness(rule.stage))).stage


def changes(matching: Collection[StageRule], today: date) -> Iterator[tuple[date, Stage]]:
    """Yield each later day on which another stage begins, for a branch that all these entries match."""
    now = stage_on(matching, today)
    for day in sorted({rule.start for rule in matching if rule.start > today}):
        stage = stage_on(matching, day)
        if stage is not now:
            yield day, stage
        now = stage


def matching_rules(rules: Iterable[StageRule], branch: str) -> list[StageRule]:
    """Return the entries for every branch and those that name this one; none of these if the branch is unknown ('')."""
    return [rule for rule in rules if rule.branches is None or (branch and rule.branches.matches(branch))]
