"""Enforcement by date and branch: what comes next, and what is said about it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from sepurux_action.config.path_filter import parse_branches
from sepurux_action.config.stage import Stage, StageRule, next_change, parse_start

TODAY = date(2027, 1, 15)


def rule(stage: str, days: int | None = None) -> StageRule:
    """Return an entry that begins so many days after today."""
    return StageRule(stage=Stage(stage), start=date.min if days is None else TODAY + timedelta(days))


@pytest.mark.parametrize(
    ("now", "then", "days", "warned", "text"),
    [
        ("observe", "soft", 4, False, "`soft` in 4 days, on 2027-01-19."),
        ("observe", "soft", 3, True, "`soft` in 3 days, on 2027-01-18."),
        ("soft", "hard", 1, True, "`hard` tomorrow, on 2027-01-16."),
        ("hard", "soft", 1, False, "`soft` tomorrow, on 2027-01-16."),
        ("soft", "observe", 3, False, "`observe` in 3 days, on 2027-01-18."),
    ],
)
def test_three_days_before_a_stricter_stage_there_is_a_warning(
    now: str, then: str, days: int, text: str, *, warned: bool
) -> None:
    change = next_change([rule(now), rule(now, days - 1), rule(then, days), rule("soft", 20)], "main", TODAY)
    assert change is not None
    assert (change.is_near, str(change)) == (warned, f"`enforcement` changes to {text}")


@pytest.mark.parametrize(
    "text", ["2027-02-30", "20270131", "2027-W05-7", "31.1.2027", "tomorrow", "", "\u0662027-01-31"]
)
def test_only_a_year_a_month_and_a_day_are_a_day(text: str) -> None:
    assert parse_start("2027-01-31") == date(2027, 1, 31)
    with pytest.raises(ValueError, match=r"^$|day"):
        parse_start(text)


def test_an_entry_is_shown_in_words() -> None:
    named = StageRule(stage=Stage.HARD, start=TODAY, branches=parse_branches("main\nrel/*"))
    assert [str(each) for each in (rule("soft"), rule("hard", 0), named)] == [
        *("soft", "hard from 2027-01-15", "hard from 2027-01-15 on main, rel/*"),
    ]
