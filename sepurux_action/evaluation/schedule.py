"""The pauses between attempts and between polls, all timeouts, and what is said after them (docs/architecture.md)."""

from sepurux_action.common import number_format
from sepurux_action.common.wording import joined
from sepurux_action.errors import EvaluationError, StillPending
from sepurux_action.evaluation.api import TransientError
from sepurux_action.evaluation.runs import NEXT_STEPS, Rule, Run

RETRY_BASE_S = 1.0
RETRY_CAP_S = 30.0
MIN_RETRY_AFTER_S = 1.0  # a backend that asks for 0 s is not polled without a pause
MIN_POLL_WAIT_S = 0.25
MAX_POLL_WAIT_S = 5.0
POLL_SHARE = 0.05  # of the time waited so far: about 180 polls in ten minutes
POLL_GAP_S = 0.025  # between two polls of a step: at most 40 a second, for all of its runs together
SILENCE_S = 60.0  # without any usable response: then a gate ends
LAST_CALL_S = 1.0  # what a call before the polls may take if no more time is left
LAST_POLL_S = 5.0  # what the poll at the deadline may take
SECOND_OPINION_S = 2.0  # between a finished status without a decision and the poll that confirms it
YOUNG_RUN_S = 15.0  # a backend may not know a run yet that it created this short a time ago, and respond 404
SCORE_S = 30.0  # for a score that decides, also after the deadline
SHOWN_SCORE_S = 5.0  # a score that decides nothing
SCENARIOS_S = 20.0  # the numbers and failures of each scenario, for all gates together
MAX_CALLS_AT_ONCE = 8  # for each project
HEARTBEAT_S = 30.0
CHECK_NETWORK = "Check {base_url}, and that this machine may connect to its host through firewall and proxy. {Rerun}."


def poll_wait(waited_s: float) -> float:
    return min(MAX_POLL_WAIT_S, max(MIN_POLL_WAIT_S, POLL_SHARE * waited_s))


def retry_wait(failed: int, error: TransientError, jitter: float) -> float:
    """Return the seconds until the next attempt: what `Retry-After` asks for, else exponential with full jitter."""
    if error.retry_after_s is not None:
        return max(MIN_RETRY_AFTER_S, error.retry_after_s)
    return float(min(RETRY_CAP_S, RETRY_BASE_S * 2 ** min(failed - 1, 10)) * jitter)


def asked_to_wait(error: TransientError) -> str:
    """Return a clause on a `Retry-After` that is longer than the time that is left; '' without one."""
    if error.retry_after_s is None:
        return ""
    return f"Sepurux asked to wait {number_format.duration(retry_wait(1, error, 0))}, longer than the time that is left"


def out_of_time(
    shown: Run | None, error: TransientError | None, waited_s: float, *, at_timeout: bool
) -> EvaluationError:
    """Return the error of a run that was not decided in time, StillPending if a poll succeeded and the timeout ended.

    The last poll that succeeded has `shown` a decision; `error` is that of the last poll, None if it succeeded.
    """
    waited = number_format.duration(waited_s)
    failed = joined(", and ", error.reason, asked_to_wait(error)) if error else ""
    if shown is None or (error and not at_timeout):
        unanswered = error is not None and not error.status
        told = f"No poll of the run succeeded within {waited}: {failed}"
        if shown:
            told = f"No decision after {waited}, and no usable response since: {failed}"
        return EvaluationError(told, CHECK_NETWORK if unanswered else "{Rerun}.")
    if shown.rule is Rule.FINISHED_UNDECIDED:
        return EvaluationError(shown.reason, NEXT_STEPS[shown.rule])
    why = f": {shown.reason}" if shown.rule is Rule.UNKNOWN_WORD else ""
    why += failed and f"; the last poll failed: {failed}"
    return StillPending(f"No decision after {waited}{why}", NEXT_STEPS[shown.rule], detail=why.lstrip(":; "))
