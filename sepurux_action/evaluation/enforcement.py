"""Owns what is done about a decision: stage by stage, closed or open; never what the decision is.

Source: the conclusion table of section 2 of the contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.decision import Decision

EXIT_OPEN = 0
EXIT_BLOCKED = 1  # a `fail` closes a gate
EXIT_UNDECIDED = 2  # a gate is closed for any other reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What follows: `closed` gates fail the job; `because` completes the sentence "The gate is open|closed: ..."."""

    blocks: bool
    because: str

    @property
    def word(self) -> str:
        """Return the output's word, `success` or `failure`."""
        return "failure" if self.blocks else "success"


def conclude(
    decision: Decision,
    stage: Stage,
    on_undecided: OnUndecided,
    *,
    opened: bool = False,
    trace_may_be_cause: bool = False,
) -> Conclusion:
    """Return what follows from a decision. `opened` tells that a review opened a soft gate.

    `trace_may_be_cause` tells that an uploaded trace may be why there is no verdict. A pull request can bring that
    trace, so `allow` does not apply (contract, section 7).
    """
    match decision:
        case Decision.PASS:
            return Conclusion(blocks=False, because="the evaluation passed")
        case Decision.SKIPPED:
            return Conclusion(blocks=False, because="nothing had to be evaluated")
        case Decision.FAIL:
            return _after_fail(stage, opened=opened)
        case Decision.ERROR | Decision.PENDING:
            if stage is Stage.OBSERVE:
                return Conclusion(blocks=False, because="the stage is observe, which never blocks")
            if on_undecided is OnUndecided.ALLOW and trace_may_be_cause:
                return Conclusion(
                    blocks=True,
                    because="there is no verdict, the uploaded trace may be the cause, "
                    "and `on_undecided: allow` does not cover that",
                )
            if on_undecided is OnUndecided.ALLOW:
                return Conclusion(
                    blocks=False, because="there is no verdict, and `on_undecided: allow` lets that through"
                )
            return Conclusion(blocks=True, because="there is no verdict, and without one this gate does not open")
        case _:
            assert_never(decision)


def _after_fail(stage: Stage, *, opened: bool) -> Conclusion:
    match stage:
        case Stage.OBSERVE:
            return Conclusion(blocks=False, because="the stage is observe, which never blocks")
        case Stage.SOFT:
            if opened:
                return Conclusion(blocks=False, because="a review opened it")
            return Conclusion(blocks=True, because="the evaluation failed, and no review has opened the gate")
        case Stage.HARD:
            return Conclusion(blocks=True, because="the evaluation failed")
        case _:
            assert_never(stage)


def exit_status(gates: Iterable[tuple[Decision, Conclusion]]) -> int:
    """Return 0 when no gate is closed, 1 when a `fail` closes one, else 2."""
    closed = [decision for decision, conclusion in gates if conclusion.blocks]
    if not closed:
        return EXIT_OPEN
    return EXIT_BLOCKED if Decision.FAIL in closed else EXIT_UNDECIDED
