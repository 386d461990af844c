"""The advice to move on to the next stage, or to wait, from the results of the last pull requests.

The order of the stages is the vendor's rollout advice: observe, then a soft gate, then a hard gate.
"""

from __future__ import annotations

from collections.abc import Iterable

from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.published_result import PreviousResult

RECENT_PULL_REQUESTS = 30  # some weeks of a team's work
MIN_DECIDED = 10  # results; with fewer, one flaky run changes the advice
MAX_BLOCKED_PERCENT = 10  # of the results; teams soon turn off a gate that blocks more

_NEXT = {Stage.OBSERVE: Stage.SOFT, Stage.SOFT: Stage.HARD}


def advise(stage: Stage, newest: Iterable[PreviousResult], *, scheduled: bool) -> str:
    """Return what `hard` would have blocked of the last pull requests, and the advice; '' in the last stage, `hard`.

    `scheduled`: the policy sets the date of a stricter stage already.
    """
    if stage not in _NEXT:
        return ""
    blocks = [result.decision is Decision.FAIL for result in newest if result.decision.is_decided]
    match len(blocks):
        case 0:
            text = f"None of the last {RECENT_PULL_REQUESTS} pull requests was evaluated."
        case 1:
            would = "would" if blocks[0] else "would not"
            text = f"With `hard`, the last evaluated pull request {would} have been blocked."
        case several:
            which = f"{sum(blocks) or 'none'} of the last {several} evaluated pull requests"
            text = f"With `hard`, {which} would have been blocked."
    if len(blocks) < MIN_DECIDED:
        return f"{text} Keep `{stage}` until {MIN_DECIDED} are evaluated."
    if sum(blocks) * 100 > MAX_BLOCKED_PERCENT * len(blocks):
        limit = f"at most {MAX_BLOCKED_PERCENT}% would have been blocked"
        return f"{text} Keep `{stage}` until {limit}: fix what fails, or change the thresholds."
    return text if scheduled else f"{text} Set `enforcement: {_NEXT[stage]}`."
