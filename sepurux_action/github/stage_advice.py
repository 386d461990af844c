"""Advice on a gate's next stage, and on a status that no ruleset of the base branch requires."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from operator import methodcaller

from sepurux_action.config.gate import Gate
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.github.base_branch import RECENT_PULL_REQUESTS
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.permissions import Operation
from sepurux_action.github.subject import Subject

NOT_REQUIRED = (
    "No ruleset of `{base}` requires the status `{context}`, so this gate blocks no merge. "
    "Require it under `Settings > Rules > Rulesets`. (The gate cannot read classic branch protection.)"
)
MIN_DECIDED = 10  # results; with fewer, one flaky run changes the advice on the next stage
MAX_BLOCKED_PERCENT = 10  # of the results; teams soon turn off a gate that blocks more
NEXT_STAGE = {Stage.OBSERVE: Stage.SOFT, Stage.SOFT: Stage.HARD}  # the vendor's rollout advice


class StageAdvice:
    """What the base branch of an event says about its gates. Rules and results are read once, and only if needed."""

    def __init__(self, calls: BoundedCalls, subject: Subject) -> None:
        self._calls, self._subject, self._event = calls, subject, subject.event

    def of_gate(self, gate: Gate) -> str:
        """Return advice on the next stage, or that no rule requires a `hard` gate; '' if there is no advice."""
        base, context = self._event.base_ref, self._subject.context_of(gate.name)
        if not base or self._event.pull_request is None:
            return ""
        if gate.stage is Stage.HARD:
            if self._required is None or context.lower() in self._required:
                return ""
            return NOT_REQUIRED.format(base=base, context=context)
        if self._recent is None:
            return ""
        return advise(gate.stage, self._recent.get(context.lower(), ()))

    @cached_property
    def _required(self) -> Mapping[str, str] | None:
        return self._calls.try_call(Operation.RULES, methodcaller("required_contexts", self._event.base_ref))

    @cached_property
    def _recent(self) -> Mapping[str, list[PreviousResult]] | None:
        return self._calls.try_call(Operation.PULLS, methodcaller("recent_results", self._event.base_ref))


def advise(stage: Stage, newest: Iterable[PreviousResult]) -> str:
    """Return what `hard` would have blocked of the last pull requests, and the advice; '' in the last stage, `hard`."""
    if stage not in NEXT_STAGE:
        return ""
    blocks = [result.decision is Decision.FAIL for result in newest if result.decision.is_decided]
    text = f"None of the last {RECENT_PULL_REQUESTS} pull requests was evaluated."
    if len(blocks) == 1:
        would = "would" if blocks[0] else "would not"
        text = f"With `hard`, the last evaluated pull request {would} have been blocked."
    elif blocks:
        which = f"{sum(blocks) or 'none'} of the last {len(blocks)} evaluated pull requests"
        text = f"With `hard`, {which} would have been blocked."
    if len(blocks) < MIN_DECIDED:
        return f"{text} Keep `{stage}` until {MIN_DECIDED} are evaluated."
    if sum(blocks) * 100 > MAX_BLOCKED_PERCENT * len(blocks):
        limit = f"at most {MAX_BLOCKED_PERCENT}% would have been blocked"
        return f"{text} Keep `{stage}` until {limit}: fix what fails, or change the thresholds."
    return f"{text} Set `enforcement: {NEXT_STAGE[stage]}`."
