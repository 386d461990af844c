"""The waits between polls and the retry backoff (contract, section 7)."""

from __future__ import annotations

import pytest

from sepurux_action.errors import Outage
from sepurux_action.evaluation import schedule
from sepurux_action.evaluation.api import NO_TIME_LEFT, TransientError
from sepurux_action.evaluation.schedule import PollSchedule


@pytest.mark.parametrize(
    ("waited", "wait"),
    [(0, 0.25), (4, 0.25), (5, 0.25), (10, 0.5), (60, 3), (99, 4.95), (100, 5), (599, 5), (600, 15), (86_400, 15)],
)
def test_polls_follow_every_20th_of_the_time_waited_within_limits(waited: float, wait: float) -> None:
    assert schedule.poll_wait(waited) == pytest.approx(wait)


def test_the_longest_retry_wait_doubles_up_to_its_cap() -> None:
    assert [schedule.backoff(attempt, 1) for attempt in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_the_jitter_is_full() -> None:
    assert schedule.backoff(3, 0) == 0
    assert schedule.backoff(3, 0.25) == 2


def test_the_wait_after_many_failed_tries_is_the_cap() -> None:
    assert schedule.backoff(10**9, 1) == schedule.RETRY_CAP_S


OUTAGE = TransientError(reason="HTTP 503", status=503, reached=True)


def test_a_poll_for_which_no_time_was_left_keeps_the_error_of_the_one_before() -> None:
    polls = PollSchedule(60, 5, lambda: 1.0, lambda: 0.0)
    polls.poll_failed(OUTAGE)
    polls.poll_failed(NO_TIME_LEFT)
    assert (polls.over, polls.error, polls.outage) == (True, "HTTP 503", Outage.IF_CONFIRMED)


def test_a_run_that_was_never_polled_has_the_error_of_the_other_runs() -> None:
    polls = PollSchedule(60, 5, lambda: 1.0, lambda: 0.0)
    polls.poll_failed(NO_TIME_LEFT, OUTAGE)
    assert (polls.over, polls.error, polls.outage) == (True, "HTTP 503", Outage.IF_CONFIRMED)
