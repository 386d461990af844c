"""The calls of tools in a recorded trace, and how those of two traces differ. Source: docs/report-files.md#steps.

A step is a line such as `4 payments.refund(order)`: the number of its event in the trace, and a call, or `error`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import islice
from operator import itemgetter

from sepurux_action.config.gate import TraceEvent
from sepurux_action.evaluation.recording import HIDDEN, shown_name

MAX_STEPS = 50  # of a trace
MAX_STEP_LENGTH = 105  # characters; with a mark and a number of eight digits, a line has at most 120
MAX_LINES = 12  # that show the steps of a failure
LINES_AROUND = 6  # that show a failed step: what follows it explains less
LINES_BEFORE = 4  # of them, before the first difference, or the failed step
_CALL = re.compile(r"(.*)\((.*)\)")

Events = Sequence[TraceEvent]
Steps = tuple[str, ...]


def steps_of(events: Events) -> Steps:
    return tuple(islice((_step(each) for each in events if each.is_call or each.failed), MAX_STEPS))


def _step(event: TraceEvent) -> str:
    if not event.is_call:
        return f"{event.number}   error"  # below the tool of the call before it
    text, kept = f"{event.tool}({', '.join(event.arguments)})", sorted(event.arguments)
    while len(text) > MAX_STEP_LENGTH:
        kept.pop()
        text = f"{event.tool}({', '.join([*kept, HIDDEN])})"
    return f"{event.number} {text}"


def shown_steps(events: Events, base: Steps, tool: str, index: int | None) -> Steps:
    """Return the difference from the base's steps (`-` and `+`), else the steps with the failed one (`>`), or ()."""
    here = steps_of(events)
    if base and here:
        compared = compare_steps(base, here)
        if changed := [index for index, line in enumerate(compared) if not line.startswith(" ")]:
            return first_lines(compared, changed[0])
    failed = failed_step(events, tool, index)
    if failed not in here:
        return ()
    at, lines = here.index(failed), [f"  {each}" for each in here]
    lines[at] = f"> {failed}"
    return first_lines(lines, at, LINES_AROUND)


def first_lines(lines: Sequence[str], at: int, most: int = MAX_LINES) -> Steps:
    """Return at most so many lines around that with the index `at`; `…` stands for those before and after them."""
    start = max(0, min(at - LINES_BEFORE, len(lines) - most))
    shown = [*lines[start : start + most]]
    if start:
        shown[0] = f"  {HIDDEN}"
    if start + most < len(lines):
        shown[-1] = f"  {HIDDEN}"
    return tuple(shown)


def failed_step(events: Events, tool: str, index: int | None) -> str:
    """Return the step at which a failure of this tool, at the event with this index from 0, happened; '' if unknown.

    An index of another tool's event, or of no call or result, does not count. Then it is the first call of the tool.
    """
    name, calls = tool and shown_name(tool), [each for each in events if each.is_call]
    at = next((each for each in events if index is not None and each.number == index + 1), None)
    if at is None or name not in {"", at.tool}:
        at = next((each for each in calls if each.tool == name != HIDDEN), None)
    elif not (at.is_call or at.failed):
        at = next((each for each in calls[::-1] if each.number < at.number and each.tool == at.tool), None)
    if at is None:
        return ""
    return _step(at)


@lru_cache(maxsize=1)  # the failures of one recording follow each other
def compare_steps(base: Steps, here: Steps) -> Steps:
    """Return both lists as one, with as many common steps as possible.

    A step of the base only begins with `-`, of `here` only with `+`, and of both with a space and its number in `here`.
    """
    before, after = [*map(_compared, base)], [*map(_compared, here)]

    @cache
    def rest(at: int, to: int) -> tuple[int, Steps]:
        """Return how many steps are common from these indices on, and the lines."""
        if at < len(base) and to < len(here) and before[at] == after[to]:
            common, lines = rest(at + 1, to + 1)
            return common + 1, (f"  {here[to]}", *lines)
        ways = list[tuple[int, Steps]]()
        if at < len(base):
            common, lines = rest(at + 1, to)
            ways.append((common, (f"- {base[at]}", *lines)))
        if to < len(here):
            common, lines = rest(at, to + 1)
            ways.append((common, (f"+ {here[to]}", *lines)))
        return max(ways, key=itemgetter(0), default=(0, ()))

    return rest(0, 0)[1]


def _compared(step: str) -> str:
    """Return what two traces have in common if they did the same: the order of arguments does not matter."""
    text = step.partition(" ")[2]
    if call := _CALL.fullmatch(text):
        return f"{call[1]}({', '.join(sorted(call[2].split(', ')))})"
    return text
