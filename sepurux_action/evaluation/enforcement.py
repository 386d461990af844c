"""Whether a decision blocks, in each stage, and the exit status. Source: contract, section 2, the conclusion table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.decision import Decision

EXIT_OPEN = 0
EXIT_BLOCKED = 1  # a gate blocks because of a `fail`
EXIT_UNDECIDED = 2  # a gate blocks for any other reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What follows from a decision: a gate that blocks fails the job. `because` is the reason, without a full stop."""

    blocks: bool
    because: str

    @property
    def word(self) -> str:
        """Return the output's word, `success` or `failure`."""
        return "failure" if self.blocks else "success"


def enforce(
    decision: Decision,
    stage: Stage,
    on_undecided: OnUndecided,
    *,
    approved: bool = False,
    trace_may_be_cause: bool = False,
) -> Conclusion:
    """Return what follows from a decision. `approved` is true if a review approved a soft gate.

    If an uploaded trace may be why there is no result, `allow` does not apply, because a pull request can add such a
    trace (contract, section 7).
    """
    match decision:
        case Decision.PASS:
            return Conclusion(blocks=False, because="the evaluation passed")
        case Decision.SKIPPED:
            return Conclusion(blocks=False, because="the gate was skipped")
        case Decision.FAIL:
            return _after_fail(stage, approved=approved)
        case Decision.ERROR | Decision.PENDING:
            if stage is Stage.OBSERVE:
                return Conclusion(blocks=False, because="the stage is `observe`")
            if on_undecided is OnUndecided.ALLOW and trace_may_be_cause:
                return Conclusion(
                    blocks=True,
                    because="there is no result, the uploaded trace may be the cause, "
                    "and `on_undecided: allow` does not cover that",
                )
            if on_undecided is OnUndecided.ALLOW:
                return Conclusion(blocks=False, because="there is no result, and `on_undecided: allow` is set")
            return Conclusion(blocks=True, because="there is no result")
        case _:
            assert_never(decision)


def _after_fail(stage: Stage, *, approved: bool) -> Conclusion:
    match stage:
        case Stage.OBSERVE:
            return Conclusion(blocks=False, because="the stage is `observe`")
        case Stage.SOFT:
            if approved:
                return Conclusion(blocks=False, because="a review approved the failure")
            return Conclusion(blocks=True, because="the evaluation failed, and no review has approved it")
        case Stage.HARD:
            return Conclusion(blocks=True, because="the evaluation failed")
        case _:
            assert_never(stage)


def exit_status(gates: Iterable[tuple[Decision, Conclusion]]) -> int:
    """Return 0 if no gate blocks, 1 if one blocks because of a `fail`, else 2."""
    blocking = [decision for decision, conclusion in gates if conclusion.blocks]
    if not blocking:
        return EXIT_OPEN
    return EXIT_BLOCKED if Decision.FAIL in blocking else EXIT_UNDECIDED
