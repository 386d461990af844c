"""The waits between polls, the retry backoff, and the timeouts of backend calls. Source: contract, section 7."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sepurux_action.common import number_format
from sepurux_action.errors import Outage
from sepurux_action.evaluation.api import CALL_S, NO_TIME_LEFT, TransientError
from sepurux_action.evaluation.decision import Rule, RunDecision

RETRY_BASE_S = 1.0
RETRY_CAP_S = 30.0
MIN_RETRY_AFTER_S = 1.0  # a backend that asks for 0 s is not polled without a pause
MIN_POLL_WAIT_S = 0.25
MAX_POLL_WAIT_S = 5.0
LONG_RUN_S = 600.0  # from here on, a decision that is seen 15 s late is a small share of the time waited
MAX_POLL_WAIT_OF_LONG_RUN_S = 15.0
POLL_SHARE = 0.05  # of the time waited so far: about 180 polls in ten minutes
POLL_GAP_S = 0.1  # between two polls of a step: at most ten a second, for all of its runs together
FIRST_RESPONSE_S = 60.0  # of the timeout, for a backend that has not responded at all
LAST_CALL_S = 1.0  # what a call before the polls may take if no more time is left
LAST_POLL_S = 5.0  # what the poll at the deadline may take
SECOND_OPINION_S = 2.0  # between a finished status without a decision and the poll that confirms it
YOUNG_RUN_S = 15.0  # a backend may not know a run yet that it created this short a time ago, and respond 404
SCORE_S = 30.0  # for a score that decides, also after the deadline
ENRICHMENT_S = 5.0  # failures, and a score that decides nothing, together
COMPARISON_S = 10.0  # the failures of the base's runs, for all gates together
MAX_CALLS_AT_ONCE = 8
HEARTBEAT_S = 30.0
PROGRESS_S = 5.0  # between two times that early outputs are written
PROGRESS_S_PER_ID = 0.1  # or longer: of many ids no more than about 1 KB a second is written


def backoff(attempt: int, jitter: float) -> float:
    """Return the seconds before try number `attempt` + 1: exponential with full jitter (`jitter` is 0 to 1)."""
    return float(min(RETRY_CAP_S, RETRY_BASE_S * 2 ** min(attempt, 10)) * jitter)


def retry_wait(error: TransientError, attempt: int, jitter: float) -> float:
    """Return the seconds until the next try: what `Retry-After` asks for, else the backoff."""
    if error.retry_after_s is None:
        return backoff(attempt, jitter)
    return max(MIN_RETRY_AFTER_S, error.retry_after_s)


def last_polls_s(runs: int) -> float:
    """Return how many seconds the last polls of `runs` runs may take after the deadline."""
    return max(LAST_POLL_S, runs * POLL_GAP_S + 1)


def poll_wait(waited_s: float) -> float:
    """Return the seconds until the next poll, after `waited_s` seconds of waiting for the decision."""
    longest = MAX_POLL_WAIT_S if waited_s < LONG_RUN_S else MAX_POLL_WAIT_OF_LONG_RUN_S
    return min(longest, max(MIN_POLL_WAIT_S, POLL_SHARE * waited_s))


class PollSchedule:
    """When a run is polled next, and what its polls have shown so far. Times are seconds since the first call.

    `wait` is the time until the next poll, `over` is true once the last poll has started. `error` is the reason of a
    failed poll, '' after one that succeeded, whose decision is `run_decision`.
    """

    def __init__(
        self, timeout_s: float, grace_s: float, jitter: Callable[[], float], elapsed: Callable[[], float]
    ) -> None:
        """Start to wait now; last polls end `grace_s` after the timeout."""
        self.wait = 0.0
        self.over = False
        self.error = ""
        self.outage = Outage.NO
        self.run_decision: RunDecision | None = None
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._jitter = jitter
        self._elapsed = elapsed
        self._started = elapsed()
        self._failed_polls = 0

    def waited(self) -> float:
        """Return the seconds since the run was started."""
        return self._elapsed() - self._started

    def left(self) -> float:
        """Return the seconds until the last poll must have ended."""
        return self._timeout_s + self._grace_s - self._elapsed()

    def pause(self) -> float:
        """Return the seconds until the next poll is due; the last one is due at the deadline."""
        left = self._timeout_s - self._elapsed()
        return self.wait if self.wait <= left - MIN_POLL_WAIT_S else left

    def seconds(self) -> float:
        """Return the seconds that a poll may take if it starts now, and note whether it is the last one."""
        left = self._timeout_s - self._elapsed()
        self.over = left < MIN_POLL_WAIT_S
        return min(LAST_POLL_S, self.left()) if self.over else min(CALL_S, left)

    def poll_failed(self, error: TransientError, of_other_runs: TransientError | None = None) -> None:
        """Note a poll that failed, which is not a decision. `of_other_runs` is why the last call of any run failed."""
        if error is NO_TIME_LEFT:  # an earlier error says why there is no run_decision
            self.over = True
            if self.run_decision is None and not self.error and of_other_runs:
                self.outage = of_other_runs.outage
            self.error = self.error or (of_other_runs or error).reason
            return
        self.error, self.outage = error.reason, error.outage
        self._failed_polls += 1
        self.wait = retry_wait(error, self._failed_polls, self._jitter())
        if error.retry_after_s is None:
            self.wait = max(self.wait, poll_wait(self.waited()))
        elif self._elapsed() + self.wait > self._timeout_s:
            self.over = True
            requested = number_format.duration(self.wait)
            self.error = f"{error.reason}, and Sepurux asked to wait {requested}, longer than the time that is left"

    def poll_succeeded(self, run_decision: RunDecision) -> RunDecision:
        """Return a poll's decision. A finished run without a decision is final in a second or in the last poll."""
        again = self.run_decision is not None and self.run_decision.rule is Rule.FINISHED_UNDECIDED
        self.error, self._failed_polls, self.run_decision = "", 0, run_decision
        self.wait = poll_wait(self.waited())
        if run_decision.rule is Rule.FINISHED_UNDECIDED:
            self.wait = SECOND_OPINION_S
            if again or self.over:
                return replace(run_decision, final=True)
        return run_decision
