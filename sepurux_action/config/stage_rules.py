"""Owns which stage an `enforcement:` list gives to a branch on a day, and what comes next; never asks for the date.

Source: contract, section 5. Days are days of UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from sepurux_action.config.path_filter import Filter
from sepurux_action.config.stage import Stage

WARNED_BEFORE = timedelta(days=3)  # of a stricter stage: time to fix what would then be blocked

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One entry: `stage` from the day `start` on (None: always), on `branches` (None: on all)."""

    stage: Stage
    start: date | None = None
    branches: Filter | None = None

    def __str__(self) -> str:
        start = f" from {self.start}" if self.start else ""
        return f"{self.stage}{start}" + (f" on {self.branches}" if self.branches else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class NextChange:
    """The next day on which another stage rules than today."""

    day: date
    stage: Stage
    today: date
    stricter: bool

    @property
    def is_near(self) -> bool:
        """Return whether a stricter stage is at most three days away."""
        return self.stricter and self.day - self.today <= WARNED_BEFORE

    def __str__(self) -> str:
        """Return the sentence for the report."""
        days = (self.day - self.today).days
        when = "tomorrow" if days == 1 else f"in {days} days"
        return f"The stage becomes {self.stage} {when}, on {self.day}."


def parse_start(text: str) -> date:
    """Return the day that a text such as `2027-01-31` names; raises ValueError."""
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError("accepted: a day such as `2027-01-31`")


def stage_today(rules: Iterable[Rule], branch: str, today: date) -> Stage:
    """Return the stage that applies: `observe` if only future entries match, `hard` if no entry matches.

    Of the entries that have started, those that name the branch override the others, then the latest start applies,
    then the strictest stage.
    """
    matching = _matching(rules, branch)
    started = [rule for rule in matching if _start(rule) <= today]
    if not started:
        return Stage.OBSERVE if matching else Stage.HARD
    return max(started, key=lambda rule: (rule.branches is not None, _start(rule), _strictness(rule.stage))).stage


def next_change(rules: Iterable[Rule], branch: str, today: date) -> NextChange | None:
    """Return the next change of stage on this branch; None if no entry causes one."""
    matching = _matching(rules, branch)
    now = stage_today(matching, branch, today)
    for day in sorted({_start(rule) for rule in matching if _start(rule) > today}):
        stage = stage_today(matching, branch, day)
        if stage is not now:
            return NextChange(day=day, stage=stage, today=today, stricter=_strictness(stage) > _strictness(now))
    return None


def _matching(rules: Iterable[Rule], branch: str) -> list[Rule]:
    """Return the entries for every branch and those that name this one; an unknown branch ('') has no name."""
    return [rule for rule in rules if rule.branches is None or (branch and rule.branches.matches(branch))]


def _start(rule: Rule) -> date:
    return rule.start or date.min


def _strictness(stage: Stage) -> int:
    return list(Stage).index(stage)
