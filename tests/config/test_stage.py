"""Enforcement by date and branch: which stage applies today, and what comes next."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from sepurux_action.config.path_filter import parse_branches
from sepurux_action.config.stage import Stage, StageRule, next_change, parse_start

TODAY = date(2027, 1, 15)
DAY = timedelta(days=1)


def rule(stage: str, *, days: int | None = None, branches: str = "") -> StageRule:
    """Return an entry that begins so many days after today."""
    return StageRule(
        stage=Stage(stage),
        start=date.min if days is None else TODAY + days * DAY,
        branches=parse_branches("\n".join(branches.split())) if branches else None,
    )


def test_the_next_change_is_the_first_day_with_another_stage() -> None:
    rules = [rule("soft"), rule("soft", days=2), rule("hard", days=9), rule("observe", days=20)]
    change = next_change(rules, "main", TODAY)
    assert change is not None
    assert (change.day, change.stage, change.stricter) == (TODAY + 9 * DAY, Stage.HARD, True)
    assert str(change) == "`enforcement` changes to `hard` in 9 days, on 2027-01-24."


def test_the_end_of_waiting_for_the_first_entry_is_a_change() -> None:
    change = next_change([rule("soft", days=1)], "main", TODAY)
    assert change is not None
    assert str(change) == "`enforcement` changes to `soft` tomorrow, on 2027-01-16."


@pytest.mark.parametrize(
    ("now", "then", "days", "warned"),
    [
        ("observe", "soft", 4, False),
        ("observe", "soft", 3, True),
        ("soft", "hard", 1, True),
        ("hard", "soft", 1, False),
        ("soft", "observe", 3, False),
    ],
)
def test_three_days_before_a_stricter_stage_there_is_a_warning(now: str, then: str, days: int, *, warned: bool) -> None:
    change = next_change([rule(now), rule(then, days=days)], "main", TODAY)
    assert change is not None
    assert change.is_near is warned


@pytest.mark.parametrize(
    "text", ["2027-02-30", "20270131", "2027-W05-7", "31.1.2027", "tomorrow", "", "\u0662027-01-31"]
)
def test_only_a_year_a_month_and_a_day_are_a_day(text: str) -> None:
    assert parse_start("2027-01-31") == date(2027, 1, 31)
    with pytest.raises(ValueError, match=r"^$|day"):
        parse_start(text)


def test_an_entry_is_shown_in_words() -> None:
    shown = [str(each) for each in (rule("soft"), rule("hard", days=0), rule("hard", days=1, branches="main rel/*"))]
    assert shown == ["soft", "hard from 2027-01-15", "hard from 2027-01-16 on main, rel/*"]
