"""When a call is tried again, when a run is polled again and no longer, and all timeouts (docs/architecture.md)."""

from dataclasses import dataclass

from sepurux_action.common import number_format
from sepurux_action.errors import EvaluationError, Outage, StillPending
from sepurux_action.evaluation.api import TransientError
from sepurux_action.evaluation.decision import NEXT_STEPS, Decision, Rule, RunDecision

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
SHOWN_SCORE_S = 5.0  # a score that decides nothing
SCENARIOS_S = 20.0  # the numbers and failures of each scenario, for all gates together
MAX_CALLS_AT_ONCE = 8
HEARTBEAT_S = 30.0


def poll_wait(waited_s: float) -> float:
    longest = MAX_POLL_WAIT_S if waited_s < LONG_RUN_S else MAX_POLL_WAIT_OF_LONG_RUN_S
    return min(longest, max(MIN_POLL_WAIT_S, POLL_SHARE * waited_s))


def retry_wait(failed: int, error: TransientError, jitter: float) -> float:
    """Return the seconds until the next attempt: what `Retry-After` asks for, else exponential with full jitter."""
    if error.retry_after_s is not None:
        return max(MIN_RETRY_AFTER_S, error.retry_after_s)
    return float(min(RETRY_CAP_S, RETRY_BASE_S * 2 ** min(failed - 1, 10)) * jitter)


@dataclass(slots=True)
class Polls:
    """What the polls of a run have shown, the last good one a `decision`. Times are since the step's first call.

    `error` is that of the last one, None if it succeeded, and `failed` the number of those that failed in a row.
    """

    started: float
    deadline: float
    decision: RunDecision | None = None
    failed: int = 0
    error: TransientError | None = None


def next_poll(
    polls: Polls, response: RunDecision | TransientError, now: float, jitter: float, *, last: bool
) -> RunDecision | float | None:
    """Return the final decision, or the seconds until the next poll, None to give up. The `last` is at the deadline.

    A failed poll decides nothing. A finished run without a decision is polled once more before that is final.
    """
    left, wait = polls.deadline - now, poll_wait(now - polls.started)
    if isinstance(response, TransientError):
        polls.failed, polls.error = polls.failed + 1, response.because_of(polls.error)
        backoff, asked = retry_wait(polls.failed, polls.error, jitter), response.retry_after_s is not None
        if last or response.no_time_left or (asked and backoff > left):
            return None
        wait = backoff if asked else max(wait, backoff)
    else:
        confirmed = last or (polls.decision is not None and polls.decision.rule is Rule.FINISHED_UNDECIDED)
        if response.rule is Rule.FINISHED_UNDECIDED and not confirmed:
            wait = SECOND_OPINION_S
        elif response.decision is not Decision.PENDING:
            return response
        polls.decision, polls.failed, polls.error = response, 0, None
        if last:
            return None
    return wait if wait <= left - MIN_POLL_WAIT_S else max(0.0, left)


def out_of_time(polls: Polls, waited_s: float) -> EvaluationError:
    """Return the error of a run that was not decided in time, StillPending if a poll succeeded."""
    decision, error, failed, outage = polls.decision, polls.error, "", Outage.NO
    if error:
        failed, outage = error.reason, error.outage
        if error.retry_after_s is not None:
            asked = number_format.duration(retry_wait(1, error, 0))
            failed += f", and Sepurux asked to wait {asked}, longer than the time that is left"
    waited = number_format.duration(waited_s)
    if decision is None:
        hint = "{Rerun}, or raise {timeout} (now {now})."
        return EvaluationError(f"No poll of the run succeeded within {waited}: {failed}", hint, outage=outage)
    if decision.rule is Rule.FINISHED_UNDECIDED:
        return EvaluationError(decision.reason, NEXT_STEPS[decision.rule])
    why = f": {decision.reason}" if decision.rule is Rule.UNKNOWN_WORD else ""
    why += failed and f"; the last poll failed: {failed}"
    return StillPending(f"No decision after {waited}{why}", NEXT_STEPS[decision.rule], detail=why.lstrip(":; "))
