"""Enforcement by date and branch: what comes next, and what is said about it."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.config.path_filter import parse_branches
from sepurux_action.config.stage import Stage, StageRule, matching_rules, next_change, parse_start, stage_on

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


filters = st.none() | st.sampled_from(["main", "**", "release/**"]).map(parse_branches)
days = st.integers(-5, 12).map(lambda number: TODAY + timedelta(days=number))
rule_lists = st.lists(
    st.builds(StageRule, stage=st.sampled_from(Stage), start=st.just(date.min) | days, branches=filters), max_size=6
)
branches = st.sampled_from(["main", "release/1", "x", ""])


def literally(rules: list[StageRule], branch: str, today: date) -> Stage:
    """Return the stage as docs/configuration.md says it, one after the other."""
    naming = [rule for rule in rules if rule.branches and branch and rule.branches.matches(branch)]
    general = [rule for rule in rules if not rule.branches]
    if not naming and not general:
        return Stage.HARD  # no entry matches
    # Entries with a `from` after today do not count yet.
    naming, general = ([rule for rule in each if rule.start <= today] for each in (naming, general))
    if not naming and not general:
        return Stage.OBSERVE  # only future entries match
    counting = naming or general  # those that name the branch override those without `branches`
    latest = max(rule.start for rule in counting)
    stages = {rule.stage for rule in counting if rule.start == latest}
    return next(stage for stage in (Stage.HARD, Stage.SOFT, Stage.OBSERVE) if stage in stages)  # the strictest


@given(rule_lists, branches)
def test_the_stage_and_its_next_change_are_those_of_a_search_day_by_day(rules: list[StageRule], branch: str) -> None:
    now = literally(rules, branch, TODAY)
    assert stage_on(matching_rules(rules, branch), TODAY) is now
    later = [TODAY + timedelta(days=number) for number in range(1, 15)]
    found = next(((day, stage) for day in later if (stage := literally(rules, branch, day)) is not now), None)
    change = next_change(rules, branch, TODAY)
    assert (change and (change.day, change.stage)) == found
