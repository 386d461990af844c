"""What a report shows of long lists, and the steps in which it gets shorter until it fits.

Source: contract, section 8: a comment is shortened in a fixed order and says so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

COMMENT_CHARACTERS = 65_000  # GitHub accepts 65,536
SUMMARY_BYTES = 1024 * 1024 - 1  # GitHub drops a step's summary of more than 1 MiB
MANY_GATES = 8  # with more gates, only those that did not pass have a row
MANY_GATES_CHARACTERS = 8_000  # of a comment on many gates, unless more than MANY_GATES need someone to act


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many items a report shows.

    Of each gate: groups of `failures`, `tools`, `traces`, commits of the `history`, and its `reproduction` or not. Of
    the whole report: `rows` of the table of gates, with `links` or not, `sections` about one gate, gates with
    `details`, `others` that passed, gates that a sentence `names`, `reasons` why gates have no result, `changes` of the
    policy, `notes`, `problems`, `charts` or not, and bytes of the `brief`.
    """

    failures: int = 3
    tools: int = 5
    traces: int = 8
    history: int = 20
    reproduction: bool = True
    rows: int = 1_000
    links: bool = True
    names: int = 1_000
    reasons: int = 1_000
    sections: int = 1_000
    details: int = 8
    others: int = 1_000
    changes: int = 8
    notes: int = 20
    problems: int = 50
    charts: bool = True
    brief: int = 2_000


COMMENT = Limits()
SUMMARY = Limits(
    failures=1_000, tools=100, traces=1_000, details=300, changes=1_000, notes=1_000, problems=1_000, brief=0
)
# Each step changes these limits, and keeps the changes of the steps before. No step raises a limit.
STEPS: tuple[dict[str, int], ...] = (
    {},
    {"failures": 200},
    {"failures": 100},
    {"failures": 50, "traces": 100, "notes": 100},
    {"failures": 20, "traces": 50, "notes": 20},
    {"failures": 10, "tools": 20, "history": 10},
    {"history": 5, "changes": 50, "details": 50},
    {"failures": 3, "tools": 5, "traces": 20, "details": 8, "charts": 0},
    {"history": 3, "notes": 3},
    {"details": 2},
    {"details": 0, "reproduction": 0, "history": 0, "notes": 0},
    {"failures": 1, "tools": 3, "traces": 3},
    {"sections": 50, "rows": 100, "changes": 8},
    {"failures": 0, "tools": 0, "others": 0, "brief": 0},
    {"sections": 8, "rows": 50, "problems": 20, "links": 0, "reasons": 50, "names": 200},
    {"sections": 3, "changes": 3, "problems": 10, "reasons": 10, "names": 50},
    {"sections": 0, "traces": 0, "rows": 10, "changes": 1, "problems": 3, "reasons": 3, "names": 10},
)


def steps(fullest: Limits) -> tuple[Limits, ...]:
    """Return the limits of each step, the fullest first."""
    found = [fullest]
    for step in STEPS[1:]:
        lower = {name: min(value, getattr(found[-1], name)) for name, value in step.items()}
        found.append(replace(found[-1], **lower))
    return tuple(dict.fromkeys(found))


def fullest_that_fits(limits: Sequence[Limits], render: Callable[[Limits], str], fits: Callable[[str], bool]) -> str:
    """Return the rendering with the first limits with which it fits, by bisection; '' if it does not fit with any.

    A later step makes a report shorter, except by the few characters of a sentence about what is left out. So the
    rendering fits, and only in such a case a fuller one would too.
    """
    rendered = cache(render)
    if fits(rendered(limits[0])):  # the usual case
        return rendered(limits[0])
    first = bisect_left(limits, True, lo=1, key=lambda each: fits(rendered(each)))  # noqa: FBT003 - what is searched for
    return rendered(limits[first]) if first < len(limits) else ""
