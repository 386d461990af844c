"""Reads what matters of a recorded trace, and rejects one that is incomplete (docs/record-traces.md)."""

import gc
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from sepurux_action.common import json_reader
from sepurux_action.config.gate import Trace, TraceEvent
from sepurux_action.errors import TraceFileError

PROMPT, CALL, RESULT = "prompt", "tool_call", "tool_result"  # types of events, as the SDK writes them
MAX_OBJECTS = 100_000  # different JSON objects of a file; with more, its newest time, task, and arguments are not known
MAX_EVENTS = 1_000  # calls and results of a trace that are kept for its steps
MAX_ARGUMENTS = 10  # of a call
HIDDEN = "…"  # stands for a name that is not shown, and for further names
GUIDE = "https://github.com/sepurux/gate-action/blob/main/docs/record-traces.md"
_KINDS = (PROMPT, CALL, RESULT)
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,80}", re.ASCII)


class _Object(NamedTuple):
    """What is kept of a JSON object, whichever it is: its names, and the fields of an event, a task, and a trace."""

    names: tuple[str, ...] = ()
    kind: str = ""
    tool: str = ""
    arguments: tuple[str, ...] = ()
    time: float | None = None
    name: str = ""
    task: str = ""
    events: "Sequence[_Object]" = ()


_NOTHING = _Object()
_FIELDS = frozenset({"type", "events", "timestamp", "name", "task"})


def read_recording(text: str, label: str) -> Trace:
    """Return the trace in a file; raises TraceFileError for an incomplete one and for anything but a JSON object.

    Only a few fields of objects are kept, because objects take many times the memory of the text. `int` would reject
    thousands of digits, which are valid JSON. The garbage collector would take most of the time for many nested lists.
    """
    found, why, kept = None, "", dict[tuple[object, ...], _Object]()
    hook = partial(_object, kept)
    gc.disable()
    try:
        found = json.loads(text, object_pairs_hook=hook, parse_int=float, parse_constant=json_reader.reject_constant)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError as error:
        why = str(error)
    finally:
        gc.enable()
    if why:
        raise TraceFileError(f'"{label}" is not valid JSON: {why}')
    if not isinstance(found, _Object):
        raise TraceFileError(f'"{label}" is not a JSON object, as a trace must be')
    if problem := _problem(found.events):
        raise TraceFileError(f'"{label}" {problem}; record every call of a tool: {GUIDE}')
    times = (each.time for each in found.events if each.time is not None and len(kept) < MAX_OBJECTS)
    steps = (
        TraceEvent(number, shown_name(each.tool), each.kind == CALL, each.arguments)
        for number, each in enumerate(found.events, 1)
        if each.kind in {CALL, RESULT}
    )
    trace = Trace(
        label=label,
        recorded=max(times, default=None),
        task=json_reader.visible(found.task).strip(),
        events=tuple(islice(steps, MAX_EVENTS)),
    )
    del found, times, steps  # before the text is copied, the list of events is not needed any more
    return replace(trace, content=text.encode())


def _object(kept: dict[tuple[object, ...], _Object], pairs: list[tuple[str, object]]) -> _Object:
    """Return what is kept of a JSON object; equal ones share it. Of too many, it is only what completeness needs."""
    fields = dict(pairs)
    if _FIELDS.isdisjoint(fields):
        names = tuple(fields)
        if names not in kept and len(kept) < MAX_OBJECTS:
            kept[names] = _Object(_shown_names(names))
        return kept.get(names, _NOTHING)
    found = _read_fields(fields)
    if found.events:
        return found
    if len(kept) < MAX_OBJECTS:
        return kept.setdefault(found, found)
    return kept.get(found, _Object(kind=found.kind, tool=found.tool))


def _read_fields(fields: dict[str, object]) -> _Object:
    kind, name, task, given = (fields.get(each) for each in ("type", "name", "task", "args"))
    listed = fields.get("events")
    kind = next((each for each in _KINDS if each == kind), "")
    texts = (each for each in (fields.get("tool"), name) if isinstance(each, str) and each)
    return _Object(
        names=_shown_names(fields),
        kind=kind,
        tool=kind and next(texts, ""),
        arguments=getattr(given, "names", ()),
        time=json_reader.time(fields.get("timestamp")),
        name=name if isinstance(name, str) else "",
        task=getattr(task, "name", ""),
        events=_events(listed) if isinstance(listed, list) and listed else (),
    )


def _events(listed: list[Any]) -> Sequence[_Object]:
    """Return a list with what is kept of each entry, without events in it. A copy would need as much memory again."""
    for index, each in enumerate(listed):
        if not isinstance(each, _Object):
            listed[index] = _NOTHING
        elif each.events:
            listed[index] = each._replace(events=())
    return listed


def _shown_names(names: Iterable[str]) -> tuple[str, ...]:
    shown = tuple(dict.fromkeys(map(shown_name, names)))
    if len(shown) > MAX_ARGUMENTS:
        return (*sorted(shown)[:MAX_ARGUMENTS], HIDDEN)
    return shown


def shown_name(name: str) -> str:
    """Return the name of a tool or an argument, or what stands for one with other characters than most have."""
    return name if _NAME.fullmatch(name) else HIDDEN


def _problem(events: Sequence[_Object]) -> str:
    """Return why the events of a trace are incomplete, '' if they are not."""
    called = set[str]()
    if not events:
        return "has no events, so nothing was recorded"
    if all(each.kind == PROMPT for each in events):
        return "has only prompts, so what the agent did was not recorded"
    for each in events:
        if each.kind == CALL:
            called.add(each.tool)
        elif each.kind == RESULT and each.tool and each.tool not in called:
            shown = json_reader.preview(each.tool)
            return f"has a result of {shown} but no call before it, so Sepurux does not see the call"
    return ""
