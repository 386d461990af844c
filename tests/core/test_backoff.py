"""The arithmetic of waiting (contract, section 7)."""

from __future__ import annotations

import pytest

from sepurux_action.core import backoff

TEN_MINUTES_S = 600.0


def looks_within(seconds: float, fixed_s: float | None) -> int:
    waited, looks = 0.0, 0
    while (waited := waited + backoff.look_wait(waited, fixed_s)) <= seconds:
        looks += 1
    return looks


def test_there_are_at_most_forty_looks_in_ten_minutes() -> None:
    assert 20 <= looks_within(TEN_MINUTES_S, None) <= 40


def test_looks_are_quick_at_first_and_never_come_sooner_again() -> None:
    waits = [backoff.look_wait(waited, None) for waited in range(86_400)]
    assert waits[0] == backoff.FIRST_LOOK_S
    assert waits == sorted(waits)
    assert waits[-1] == backoff.LONGEST_LOOK_S


@pytest.mark.parametrize("waited", [0, 1, 100, 86_400])
def test_a_fixed_interval_is_kept(waited: float) -> None:
    assert backoff.look_wait(waited, 7.5) == 7.5


def test_the_longest_retry_wait_doubles_up_to_its_cap() -> None:
    assert [backoff.retry_wait(attempt, 1) for attempt in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_the_jitter_is_full() -> None:
    assert backoff.retry_wait(3, 0) == 0
    assert backoff.retry_wait(3, 0.25) == 2


def test_a_retry_after_days_of_trouble_still_waits_the_cap() -> None:
    assert backoff.retry_wait(10**9, 1) == backoff.RETRY_CAP_S
