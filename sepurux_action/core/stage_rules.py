"""Owns which stage an `enforcement:` list gives to a branch on a day, and what comes next; never asks for the date.

Source: contract, section 5. Days are days of UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from sepurux_action.core.enforcement import Stage
from sepurux_action.core.path_filter import Filter

WARNED_BEFORE = timedelta(days=3)  # of a stricter stage: time to fix what would then be blocked

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One entry: `stage` from the day `start` on (None: always), on `branches` (None: wherever no entry names them)."""

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
    def is_warning(self) -> bool:
        """Return whether a stricter stage is at most three days away."""
        return self.stricter and self.day - self.today <= WARNED_BEFORE

    def __str__(self) -> str:
        """Return the sentence for the report."""
        days = (self.day - self.today).days
        when = "tomorrow" if days == 1 else f"in {days} days"
        return f"The stage becomes {self.stage} {when}, on {self.day}."


def parse_stage(text: str) -> Stage:
    """Return the stage of this name; raises ValueError."""
    try:
        return Stage(text.lower())
    except ValueError:
        raise ValueError("accepted: `observe`, `soft` or `hard`") from None


def parse_start(text: str) -> date:
    """Return the day that a text such as `2027-01-31` names; raises ValueError."""
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError("accepted: a day such as `2027-01-31`")


def stage_today(rules: Iterable[Rule], branch: str, today: date) -> Stage:
    """Return the stage that rules: `hard` when no entry fits, `observe` while all that fit are still to come.

    Of entries that begin on one day, the strictest rules.
    """
    fitting = list(_fitting(rules, branch))
    begun = [rule for rule in fitting if _begins(rule) <= today]
    if not begun:
        return Stage.OBSERVE if fitting else Stage.HARD
    return max(begun, key=lambda rule: (_begins(rule), _strictness(rule.stage))).stage


def next_change(rules: Iterable[Rule], branch: str, today: date) -> NextChange | None:
    """Return the next change of stage on this branch, or None when none is written down."""
    fitting = list(_fitting(rules, branch))
    now = stage_today(fitting, branch, today)
    for day in sorted({_begins(rule) for rule in fitting if _begins(rule) > today}):
        stage = stage_today(fitting, branch, day)
        if stage is not now:
            return NextChange(day=day, stage=stage, today=today, stricter=_strictness(stage) > _strictness(now))
    return None


def _fitting(rules: Iterable[Rule], branch: str) -> Iterator[Rule]:
    """Yield the entries that name the branch, or without any such those for every branch."""
    rules = list(rules)
    naming = [rule for rule in rules if rule.branches is not None and branch and rule.branches.matches(branch)]
    yield from naming or (rule for rule in rules if rule.branches is None)


def _begins(rule: Rule) -> date:
    return rule.start or date.min


def _strictness(stage: Stage) -> int:
    return list(Stage).index(stage)
