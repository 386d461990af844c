"""Whether a decision blocks, in each stage, and the exit status. Source: docs/reference.md#decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.decision import Decision

EXIT_SUCCESS = 0
EXIT_BLOCKED = 1  # a gate blocks because of a `fail`
EXIT_UNDECIDED = 2  # a gate blocks for any other reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What follows from a decision: a gate that blocks fails the job."""

    blocks: bool

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
    trace (docs/reference.md#decisions).
    """
    match decision:
        case Decision.PASS | Decision.SKIPPED:
            blocks = False
        case Decision.FAIL:
            blocks = stage is Stage.HARD or (stage is Stage.SOFT and not approved)
        case Decision.ERROR | Decision.PENDING:
            allowed = on_undecided is OnUndecided.ALLOW and not trace_may_be_cause
            blocks = stage is not Stage.OBSERVE and not allowed
        case _:
            assert_never(decision)
    return Conclusion(blocks=blocks)


def exit_status(gates: Iterable[tuple[Decision, Conclusion]]) -> int:
    """Return 0 if no gate blocks, 1 if one blocks because of a `fail`, else 2."""
    blocking = [decision for decision, conclusion in gates if conclusion.blocks]
    if not blocking:
        return EXIT_SUCCESS
    return EXIT_BLOCKED if Decision.FAIL in blocking else EXIT_UNDECIDED
