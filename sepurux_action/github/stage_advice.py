"""Advice on statuses that the base branch requires, and on the next stage of a gate, if GitHub shows what it needs."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from operator import methodcaller

from sepurux_action.config.options import Stage
from sepurux_action.config.settings import CONTEXT_PREFIX, Gate
from sepurux_action.evaluation.published_result import Result
from sepurux_action.evaluation.runs import Decision
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.permissions import Operation
from sepurux_action.github.subject import Subject

NOT_REQUIRED = (
    "Neither a ruleset nor the branch protection of `{base}` requires the status `{context}`, so this gate cannot "
    "block a merge. Require it under `Settings > Rules > Rulesets`."
)
NOT_SET = "`{base}` requires the status `{context}`, which no gate of this step sets."
NEXT_STAGE = {Stage.OBSERVE: Stage.SOFT, Stage.SOFT: Stage.HARD}


class StageAdvice:
    """What the base branch of a pull request says about its gates. Each part is read once, and only if needed."""

    def __init__(self, calls: BoundedCalls, subject: Subject) -> None:
        self._calls, self._subject, self._event = calls, subject, subject.event

    def of_gate(self, gate: Gate, names: Iterable[str]) -> Iterator[str]:
        """Yield each advice on a gate; `names` are those of all gates of the step."""
        base, context = self._event.base_ref, self._subject.context_of(gate.name)
        if self._event.pull_request is None or not base:
            return
        if (required := self._required) is not None:
            if gate.stage is not Stage.OBSERVE and context.lower() not in required:
                yield NOT_REQUIRED.format(base=base, context=context)
            lacking = required.keys() - {self._subject.context_of(name).lower() for name in names}
            ours = (each for each in sorted(lacking) if each.startswith(CONTEXT_PREFIX.lower()))
            yield from (NOT_SET.format(base=base, context=required[each]) for each in ours)
        if gate.stage in NEXT_STAGE and self._recent is not None:
            yield from blocked_by_next(gate.stage, self._recent.get(context.lower(), ()))

    @cached_property
    def _required(self) -> Mapping[str, str] | None:
        """Return the contexts that rulesets and the branch protection require, by their lower case."""
        protection = self._subject.commit.required
        of_rules = self._calls.try_call(Operation.RULES, methodcaller("required_contexts", self._event.base_ref))
        if protection is None or of_rules is None:
            return None
        return {context.lower(): context for context in (*protection, *of_rules)}

    @cached_property
    def _recent(self) -> Mapping[str, list[Result]] | None:
        return self._calls.try_call(Operation.PULLS, methodcaller("recent_results", self._event.base_ref))


def blocked_by_next(stage: Stage, newest: Iterable[Result]) -> Iterator[str]:
    """Yield how many of the last pull requests the next stage would have blocked, if any was evaluated."""
    blocks = [result.decision is Decision.FAIL for result in newest if result.decision.is_decided]
    if blocks:
        which = f"{sum(blocks) or 'none'} of the last {len(blocks)} evaluated pull requests"
        yield f"With `{NEXT_STAGE[stage]}`, {which} would have been blocked."
