"""Owns the arithmetic of waiting: retries and polls; never sleeps.

Source: contract, section 7.
"""

from __future__ import annotations

RETRY_BASE_S = 1.0
RETRY_CAP_S = 30.0
MIN_RETRY_AFTER_S = 1.0  # a backend that asks for 0 s is not polled without a pause
MIN_POLL_WAIT_S = 0.25
MAX_POLL_WAIT_S = 5.0
LONG_RUN_S = 600.0  # from here on, a decision that is seen 15 s late is a small share of the time waited
MAX_POLL_WAIT_OF_LONG_RUN_S = 15.0
LOOK_SHARE = 0.05  # of the time waited so far: about 180 polls in ten minutes
POLL_GAP_S = 0.1  # between two polls of a step: at most ten a second, for all of its runs together
FIRST_ANSWER_S = 60.0  # of the timeout, for a backend that has not answered at all
LAST_LOOK_S = 5.0  # what the look at the deadline may take
SHARED_LOOKUP_S = 0.1  # how often a run checks whether the campaign list that another run fetches is there
SECOND_OPINION_S = 2.0  # between a terminal status without a decision and the look that confirms it
YOUNG_RUN_S = 15.0  # a 404 on a run this young is a backend that has not caught up with itself
ENRICHMENT_S = 5.0  # score and failures together
MAX_CALLS_AT_ONCE = 8
HEARTBEAT_S = 30.0
ANNOUNCEMENT_S = 5.0  # between two times that early outputs are written
ANNOUNCEMENT_S_PER_ID = 0.1  # or longer: of many ids no more than about 1 KB a second is written


def retry_wait(attempt: int, jitter: float) -> float:
    """Return seconds before try number `attempt` + 1: exponential with full jitter (`jitter` is 0 to 1)."""
    return float(min(RETRY_CAP_S, RETRY_BASE_S * 2 ** min(attempt, 10)) * jitter)


def look_wait(waited_s: float, fixed_s: float | None) -> float:
    """Return seconds until the next look, after `waited_s` seconds of waiting for the decision."""
    if fixed_s is not None:
        return fixed_s
    longest = MAX_POLL_WAIT_S if waited_s < LONG_RUN_S else MAX_POLL_WAIT_OF_LONG_RUN_S
    return min(longest, max(MIN_POLL_WAIT_S, LOOK_SHARE * waited_s))
