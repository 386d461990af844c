"""What a report shows of long lists, and the steps in which it gets shorter until it fits.

A comment is shortened in a fixed order and says so. Source: docs/configuration.md#statuses-and-comments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

COMMENT_CHARACTERS = 65_000  # GitHub accepts 65,536
SUMMARY_BYTES = 1024 * 1024 - 1  # GitHub drops a step's summary of more than 1 MiB
MANY_GATES = 8  # with more gates, only those that did not pass have a row
MANY_GATES_CHARACTERS = 8_000  # of a comment on many gates, unless more than MANY_GATES need someone to act


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many items a report shows.

    Of each gate: groups of `failures`, `tools`, `traces`, and commits of the `history`. Of the whole report: `gates` of
    the table and in sentences, `sections` about one gate, gates with `details`, `changes` of the policy, `notes`,
    `problems`, and bytes of the `brief`.
    """

    failures: int = 3
    tools: int = 5
    traces: int = 8
    history: int = 20
    gates: int = 1_000
    sections: int = 1_000
    details: int = 8
    changes: int = 8
    notes: int = 20
    problems: int = 50
    brief: int = 2_000


COMMENT_LIMITS = Limits()
SUMMARY_LIMITS = Limits(
    failures=1_000, tools=100, traces=1_000, details=300, changes=1_000, notes=1_000, problems=1_000, brief=0
)
# Each step lowers these limits, and keeps those of the steps before.
STEPS: tuple[Mapping[str, int], ...] = (
    {"failures": 100, "traces": 100, "notes": 100},
    {"failures": 20, "tools": 20, "traces": 50, "notes": 20},
    {"failures": 3, "tools": 5, "traces": 20, "history": 5, "changes": 50, "details": 8},
    {"history": 3, "notes": 3, "details": 2},
    {"details": 0, "notes": 0},
    {"failures": 1, "tools": 3, "traces": 3, "changes": 8, "sections": 50},
    {"failures": 0, "tools": 0, "brief": 0, "problems": 20},
    {"sections": 8, "gates": 50},
    {"sections": 3, "changes": 3, "problems": 10},
    {"sections": 0, "traces": 0, "gates": 10, "changes": 1, "problems": 3},
)


def fullest_that_fits(fullest: Limits, render: Callable[[Limits], str], size: Callable[[str], int], most: int) -> str:
    """Return the rendering with the first limits with which its size is at most `most`; '' if there is none."""
    limits = dict.fromkeys(accumulate(STEPS, _lowered, initial=fullest))
    return next((rendered for rendered in map(render, limits) if size(rendered) <= most), "")


def _lowered(limits: Limits, step: Mapping[str, int]) -> Limits:
    return replace(limits, **{name: min(most, getattr(limits, name)) for name, most in step.items()})
