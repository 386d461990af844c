"""The advice to move on to the next stage, or to wait, from the results of the last pull requests.

The order of the stages is the vendor's rollout advice: observe, then a soft gate, then a hard gate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.published_result import PreviousResult

RECENT_PULL_REQUESTS = 30  # some weeks of a team's work
MIN_DECIDED = 10  # results; with fewer, one flaky run changes the advice
MAX_BLOCKED_PERCENT = 10  # of the results; teams soon turn off a gate that blocks more

_NEXT = {Stage.OBSERVE: Stage.SOFT, Stage.SOFT: Stage.HARD}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAdvice:
    """How many of the `decided` results a hard gate would have blocked, in the present `stage`.

    `scheduled`: the policy sets the date of a stricter stage already.
    """

    stage: Stage
    decided: int
    blocked: int
    scheduled: bool = False

    @property
    def ready(self) -> bool:
        """Return whether there are at least 10 results, of which at most a tenth would have been blocked."""
        return self.decided >= MIN_DECIDED and self.blocked * 100 <= MAX_BLOCKED_PERCENT * self.decided

    def __str__(self) -> str:
        """Return what `hard` would have blocked, and the advice unless the policy follows it already."""
        match self.decided:
            case 0:
                text = f"None of the last {RECENT_PULL_REQUESTS} pull requests was evaluated."
            case 1:
                would = "would" if self.blocked else "would not"
                text = f"With `hard`, the last evaluated pull request {would} have been blocked."
            case several:
                which = f"{self.blocked or 'none'} of the last {several} evaluated pull requests"
                text = f"With `hard`, {which} would have been blocked."
        if self.ready:
            advice = "" if self.scheduled else f" Set `enforcement: {_NEXT[self.stage]}`."
        elif self.decided < MIN_DECIDED:
            advice = f" Keep `{self.stage}` until {MIN_DECIDED} are evaluated."
        else:
            limit = f"at most {MAX_BLOCKED_PERCENT}% would have been blocked"
            advice = f" Keep `{self.stage}` until {limit}: fix what fails, or change the thresholds."
        return text + advice


def advise(stage: Stage, newest: Iterable[PreviousResult], *, scheduled: bool) -> StageAdvice | None:
    """Return the advice from the newest result of each of the last pull requests; None in the last stage, `hard`."""
    if stage not in _NEXT:
        return None
    decided = [result for result in newest if result.decision.is_decided]
    return StageAdvice(
        stage=stage,
        decided=len(decided),
        blocked=sum(result.decision is Decision.FAIL for result in decided),
        scheduled=scheduled,
    )
