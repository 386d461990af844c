"""The waits between polls, and the backoff of a retry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sepurux_action.evaluation import schedule
from sepurux_action.evaluation.api import NO_TIME_LEFT, TransientError
from sepurux_action.evaluation.schedule import Polls, next_poll, retry_wait

ERROR = TransientError(reason="HTTP 503", status=503, reached=True)


@pytest.mark.parametrize(
    ("waited", "wait"),
    [(0, 0.25), (4, 0.25), (5, 0.25), (10, 0.5), (60, 3), (99, 4.95), (100, 5), (599, 5), (600, 15), (86_400, 15)],
)
def test_polls_follow_every_20th_of_the_time_waited_within_limits(waited: float, wait: float) -> None:
    assert schedule.poll_wait(waited) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("failed", "jitter", "wait"), [(1, 1, 1), (2, 1, 2), (4, 1, 8), (4, 0.25, 2), (4, 0, 0), (6, 1, 30), (10**9, 1, 30)]
)
def test_the_backoff_doubles_up_to_a_limit_with_full_jitter(failed: int, jitter: float, wait: float) -> None:
    assert retry_wait(failed, ERROR, jitter) == wait


def test_retry_after_replaces_the_backoff() -> None:
    assert [retry_wait(9, replace(ERROR, retry_after_s=after), 1) for after in (0, 0.5, 7)] == [1, 1, 7]


def test_a_poll_for_which_no_time_was_left_keeps_the_error_of_the_one_before() -> None:
    polls = Polls(0, 60)
    assert next_poll(polls, ERROR, 1, 1, last=False) == 1
    assert next_poll(polls, NO_TIME_LEFT, 2, 1, last=True) is None
    assert polls.error == replace(ERROR, sent=False)
