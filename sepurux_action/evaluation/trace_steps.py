"""The calls of tools in a recorded trace, and how those of two traces differ. Source: docs/report-files.md#steps.

Only names of tools and arguments are kept: values, results, and texts of the agent may be secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

from sepurux_action.evaluation.trace_format import CALL, FAILED, RESULT

MAX_STEPS = 50  # of a trace
MAX_EVENTS = 1_000  # calls and results of a trace
MAX_SHAPES = 100_000  # different JSON objects of a trace; of more, nothing is kept
MAX_ARGUMENTS = 10  # of a call
MAX_STEP_LENGTH = 105  # characters; with a mark and a number of eight digits, a line has at most 120
HIDDEN = "…"  # stands for a name that is not shown, and for further names
ERROR = "error"
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,80}", re.ASCII)
_CALL = re.compile(r"(.*)\((.*)\)")
_STEP = re.compile(r"([1-9][0-9]{0,7}) ([A-Za-z0-9_.:/(), …-]{1,105})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Step:
    """A call of a tool, or an error that it returned. `number` is that of its event in the trace, from 1."""

    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.number} {self.text}"

    @property
    def compared(self) -> str:
        """Return what two traces have in common if they did the same: the order of arguments does not matter."""
        call = _CALL.fullmatch(self.text)
        return f"{call[1]}({', '.join(sorted(call[2].split(', ')))})" if call else self.text


Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ComparedStep:
    """A step of this trace only (`+`), of the base's only (`-`), or of both (a space)."""

    sign: str
    step: Step

    def __str__(self) -> str:
        return f"{self.sign} {self.step}"


class Event(NamedTuple):
    """A call or a result of a tool. `text` is that of its step, '' if it is none: a result without an error."""

    tool: str
    text: str
    is_call: bool


Events = tuple[tuple[int, Event], ...]  # each with its number in the trace, from 1


class _Kept(NamedTuple):
    """What is kept of a JSON object: its first names, the `event` that it may be, and its `events` if it has some."""

    names: tuple[str, ...] = ()
    event: Event | None = None
    events: tuple[Event | None, ...] = ()


_NOTHING = _Kept()


def read_events(content: bytes) -> Events:
    """Return the first calls and results of a recorded trace; none if the content is no trace."""
    try:
        found = json.loads(content, object_pairs_hook=partial(_keep, {}), parse_int=float)
    except (ValueError, RecursionError):
        return ()
    events = found.events if isinstance(found, _Kept) else ()
    return tuple(islice(((number, each) for number, each in enumerate(events, 1) if each), MAX_EVENTS))


def _keep(shapes: dict[_Kept, _Kept], pairs: list[tuple[str, object]]) -> _Kept:
    """Return what is kept of a JSON object. All with the same names share it, because many would take much memory."""
    fields = dict(pairs)
    names = tuple(dict.fromkeys(map(_name, fields)))
    if len(names) > MAX_ARGUMENTS:
        names = (*sorted(names)[:MAX_ARGUMENTS], HIDDEN)
    listed = fields.get("events")
    events = (each.event if isinstance(each, _Kept) else None for each in listed) if isinstance(listed, list) else ()
    kept = _Kept(names, _event(fields), tuple(events))
    if kept.events:
        return kept
    return shapes.setdefault(kept, kept) if len(shapes) < MAX_SHAPES else shapes.get(kept, _NOTHING)


def _event(fields: dict[str, object]) -> Event | None:
    kind, given, error = (fields.get(name) for name in ("type", "args", "error"))
    tool = _name(fields.get("tool") or fields.get("name"))
    if kind == CALL:
        return Event(tool, _call(tool, given.names if isinstance(given, _Kept) else ()), is_call=True)
    if kind == RESULT:
        failed = fields.get("status") in FAILED or bool(error.names if isinstance(error, _Kept) else error)
        return Event(tool, ERROR if failed else "", is_call=False)
    return None


def _name(value: object) -> str:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else HIDDEN


def _call(tool: str, arguments: Sequence[str]) -> str:
    text, kept = f"{tool}({', '.join(arguments)})", sorted(arguments)
    while len(text) > MAX_STEP_LENGTH:
        kept.pop()
        text = f"{tool}({', '.join([*kept, HIDDEN])})"
    return text


def steps_of(events: Events) -> Steps:
    return tuple(Step(number, event.text) for number, event in events if event.text)[:MAX_STEPS]


def failed_step(events: Events, tool: str, index: int | None) -> Step | None:
    """Return the step at which a failure of this tool, at the event with this index from 0, happened; None if unknown.

    An index of another tool's event, or of no call or result, does not count. Then it is the first call of the tool.
    """
    by_number, name = dict(events), tool and _name(tool)
    number = 0 if index is None else index + 1
    if number not in by_number or name not in {"", by_number[number].tool}:
        calls = (at for at, each in events if each.is_call and each.tool == name != HIDDEN)
        number = next(calls, 0)
    elif not by_number[number].text:
        before = (at for at, each in reversed(events) if at < number and each.is_call)
        number = next((at for at in before if by_number[at].tool == by_number[number].tool), 0)
    return next((step for step in steps_of(events) if step.number == number), None)


def compare_steps(base: Steps, here: Steps) -> tuple[ComparedStep, ...]:
    """Return both lists as one, with as many common steps as possible. Common ones have the number of `here`."""
    before, after = [each.compared for each in base], [each.compared for each in here]
    common = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]  # how many steps the rests have in common
    for at in reversed(range(len(before))):
        for to in reversed(range(len(after))):
            equal = before[at] == after[to]
            common[at][to] = common[at + 1][to + 1] + 1 if equal else max(common[at + 1][to], common[at][to + 1])
    return tuple(_walk(base, here, common))


def _walk(base: Steps, here: Steps, common: list[list[int]]) -> Iterator[ComparedStep]:
    at = to = 0
    while at < len(base) and to < len(here):
        if base[at].compared == here[to].compared:
            yield ComparedStep(" ", here[to])
            at, to = at + 1, to + 1
        elif common[at + 1][to] >= common[at][to + 1]:
            yield ComparedStep("-", base[at])
            at += 1
        else:
            yield ComparedStep("+", here[to])
            to += 1
    yield from (ComparedStep("-", each) for each in base[at:])
    yield from (ComparedStep("+", each) for each in here[to:])


def parse_step(line: str) -> Step:
    """Return the step that `str` wrote; raises ValueError for any other text."""
    found = _STEP.fullmatch(line)
    if not found:
        raise ValueError("no step")
    return Step(int(found[1]), found[2])
