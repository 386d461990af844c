"""The advice to move on to the next stage, or to wait, from the results of the last pull requests.

The order of the stages is the vendor's rollout advice: observe, then a soft gate, then a hard gate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sepurux_action.common import number_format
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.published_result import PreviousResult

RECENT_PULL_REQUESTS = 30  # some weeks of a team's work
MIN_DECIDED = 10  # verdicts; with fewer, one flaky run changes the advice
MAX_BLOCKED_PERCENT = 10  # of the verdicts; teams soon switch off a gate that blocks more

_NEXT = {Stage.OBSERVE: Stage.SOFT, Stage.SOFT: Stage.HARD}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAdvice:
    """How many of the `decided` verdicts a hard gate would have blocked, in the present `stage`.

    `scheduled`: the policy sets the date of a stricter stage already.
    """

    stage: Stage
    decided: int
    blocked: int
    scheduled: bool = False

    @property
    def ready(self) -> bool:
        """Return whether there are at least 10 verdicts, of which at most a tenth would have been blocked."""
        return self.decided >= MIN_DECIDED and self.blocked * 100 <= MAX_BLOCKED_PERCENT * self.decided

    def __str__(self) -> str:
        """Return what a hard gate would have blocked, and the advice unless the policy follows it already."""
        with_verdict = f"{self.decided or 'none'} {'have' if self.decided > 1 else 'has'} a verdict"
        text = f"Of the last {RECENT_PULL_REQUESTS} pull requests {with_verdict}"
        if self.decided:
            share = f" ({number_format.percent(self.blocked / self.decided)})" if self.blocked else ""
            text += f", and a hard gate would have blocked {self.blocked or 'none'}{share}"
        if self.ready:
            advice = "" if self.scheduled else f" Move on to `enforcement: {_NEXT[self.stage]}`."
        elif self.decided < MIN_DECIDED:
            advice = f" Stay with `{self.stage}` until {MIN_DECIDED} have one."
        else:
            advice = f" Stay with `{self.stage}` until it is {MAX_BLOCKED_PERCENT}% or less: fix what fails first."
        return f"{text}.{advice}"


def advise(stage: Stage, newest: Iterable[PreviousResult], *, scheduled: bool) -> StageAdvice | None:
    """Return the advice from the newest result of each of the last pull requests; None in the last stage, `hard`."""
    if stage not in _NEXT:
        return None
    decided = [result for result in newest if result.decided]
    return StageAdvice(
        stage=stage,
        decided=len(decided),
        blocked=sum(result.decision is Decision.FAIL for result in decided),
        scheduled=scheduled,
    )
