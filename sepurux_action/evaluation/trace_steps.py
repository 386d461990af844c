"""The calls of tools in a recorded trace, and how those of two traces differ. Source: docs/report-files.md#steps.

A step is a line such as `4 payments.refund(order)`: the number of its event in the trace, and a call.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import islice

from sepurux_action.config.settings import TraceEvent
from sepurux_action.evaluation.recording import HIDDEN, shown_name

MAX_STEPS = 50  # of a trace
MAX_STEP_LENGTH = 105  # characters; with a mark and a number of eight digits, a line has at most 120
MAX_LINES = 12  # that show the steps of a failure
LINES_AROUND = 6  # that show a failed step: what follows it explains less
LINES_BEFORE = 4  # of them, before the first difference, or the failed step

Events = Sequence[TraceEvent]
Steps = tuple[str, ...]


def steps_of(events: Events) -> Steps:
    return tuple(islice((_step(each) for each in events if each.is_call), MAX_STEPS))


def tools_of(steps: Steps) -> tuple[str, ...]:
    """Return the tools that the steps call, each once, without those whose name is not shown."""
    names = (each.partition(" ")[2].partition("(")[0] for each in steps)
    return tuple(dict.fromkeys(name for name in names if name != HIDDEN))


def _step(event: TraceEvent) -> str:
    text, kept = f"{event.tool}({', '.join(event.arguments)})", sorted(event.arguments)
    while len(text) > MAX_STEP_LENGTH:
        kept.pop()
        text = f"{event.tool}({', '.join([*kept, HIDDEN])})"
    return f"{event.number} {text}"


def shown_steps(events: Events, base: Steps, tool: str, index: float | None) -> Steps:
    """Return the difference from the base's steps (`-` and `+`), with the failed one (`>`); () if both are unknown."""
    here, failed = steps_of(events), failed_step(events, tool, index)
    lines = compare_steps(base, here) if base and here else [f"  {each}" for each in here]
    differ = any(line[0] in "-+" for line in lines)
    marked = [f"> {failed}" if line[2:] == failed and line[0] != "-" else line for line in lines]
    return first_lines(marked, MAX_LINES if differ else LINES_AROUND)


def first_lines(lines: Sequence[str], most: int = MAX_LINES) -> Steps:
    """Return at most so many lines around the first with a sign, and around the failed step; () without a sign."""
    at = next((index for index, line in enumerate(lines) if not line.startswith(" ")), None)
    failed = next((index for index, line in enumerate(lines) if line.startswith(">")), at)
    if at is None or failed is None:
        return ()
    shown = _around(lines, at, most)
    if lines[failed] in shown:
        return shown
    return *_around(lines, at, most // 2), *_around(lines, failed, most // 2)[1:]


def _around(lines: Sequence[str], at: int, most: int) -> Steps:
    """Return so many lines around one; `…` stands for those before and after them."""
    start = max(0, min(at - LINES_BEFORE, len(lines) - most))
    shown = [*lines[start : start + most]]
    if start:
        shown[0] = f"  {HIDDEN}"
    if start + most < len(lines):
        shown[-1] = f"  {HIDDEN}"
    return tuple(shown)


def failed_step(events: Events, tool: str, index: float | None) -> str:
    """Return the step at which a failure of this tool, at the event with this index from 0, happened; '' if unknown.

    An index of another tool's event, or of no call or result, does not count. Then it is the first call of the tool.
    """
    name, calls = tool and shown_name(tool), [each for each in events if each.is_call]
    at = next((each for each in events if index is not None and each.number == index + 1), None)
    if at is None or name not in {"", at.tool}:
        at = next((each for each in calls if each.tool == name != HIDDEN), None)
    elif not at.is_call:
        at = next((each for each in calls[::-1] if each.number < at.number and each.tool == at.tool), None)
    return _step(at) if at else ""


@lru_cache(maxsize=1)  # the failures of one recording follow each other
def compare_steps(base: Steps, here: Steps) -> Steps:
    """Return both lists as one, with as many common steps as possible, so as short as possible.

    A step of the base only begins with `-`, of `here` only with `+`, and of both with a space and its number in `here`.
    """
    before, after = [*map(_compared, base)], [*map(_compared, here)]

    @cache
    def rest(at: int, to: int) -> Steps:
        """Return the lines from these indices on."""
        if at == len(base) or to == len(here):
            return (*(f"- {each}" for each in base[at:]), *(f"+ {each}" for each in here[to:]))
        if before[at] == after[to]:
            return f"  {here[to]}", *rest(at + 1, to + 1)
        removed, added = (f"- {base[at]}", *rest(at + 1, to)), (f"+ {here[to]}", *rest(at, to + 1))
        return min(removed, added, key=len)

    return rest(0, 0)


def _compared(step: str) -> tuple[str, list[str]]:
    """Return what two traces have in common if they did the same: the order of arguments does not matter."""
    call, _, arguments = step.partition(" ")[2].partition("(")
    return call, sorted(arguments.rstrip(")").split(", "))
