"""Reads what matters of a recorded trace, and rejects one that is incomplete (docs/record-traces.md)."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, NoReturn

from sepurux_action.common import json_reader
from sepurux_action.errors import TraceFileError
from sepurux_action.evaluation.trace_format import CALL, PROMPT, RESULT

MAX_READ = 100_000  # times, and names, that are read in a file; with more, the newest time or the task is not known
GUIDE = "https://github.com/sepurux/gate-action/blob/main/docs/record-traces.md"
_KINDS = (PROMPT, CALL, RESULT)


@dataclass(frozen=True, slots=True)
class Recording:
    """What a trace contains: the POSIX time of its newest event, None if not known, and whether an event is a call.

    `task` is the name of its task, '' if it has none. `problem` says why the trace is incomplete, '' if it is not.
    """

    newest: float | None = None
    has_calls: bool = False
    problem: str = "has no events, so nothing was recorded"
    task: str = ""


class _Object(NamedTuple):
    """What is kept of a JSON object, whichever it is: the fields of an event, its name, and those of a trace."""

    time: float | None = None
    kind: str = ""
    tool: str = ""
    recording: Recording | None = None
    name: str = ""
    task: str = ""


_FIELDS = frozenset({"type", "events", "timestamp", "name", "task"})
_OTHER = _Object()  # stands for each JSON object without such fields


def read_recording(text: str, label: str) -> Recording:
    """Return what a trace contains; raises TraceFileError for an incomplete one and for anything but a JSON object.

    Only a few fields of objects are kept, because objects take many times the memory of the text. `int` would reject
    thousands of digits, which are valid JSON. The garbage collector would take most of the time for many nested lists.
    """
    found, why, times, names = None, "", iter(range(MAX_READ)), iter(range(MAX_READ))
    gc.disable()
    try:
        hook = partial(_object, times, names)
        found = json.loads(text, object_pairs_hook=hook, parse_int=float, parse_constant=_reject)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
    finally:
        gc.enable()
    if why:
        raise TraceFileError(f'"{label}" is not valid JSON: {why}')
    if not isinstance(found, _Object):
        raise TraceFileError(f'"{label}" is not a JSON object, as a trace must be')
    recording = found.recording or Recording()
    if recording.problem:
        raise TraceFileError(f'"{label}" {recording.problem}; record every call of a tool: {GUIDE}')
    times_are_known = next(times, None) is not None
    return replace(recording, newest=recording.newest if times_are_known else None, task=found.task)


def _object(times: Iterator[int], names: Iterator[int], pairs: list[tuple[str, object]]) -> _Object:
    fields = dict(pairs)
    if _FIELDS.isdisjoint(fields):
        return _OTHER
    kind, events = fields.get("type"), fields.get("events")
    time = json_reader.time(fields["timestamp"]) if "timestamp" in fields and next(times, None) is not None else None
    name, task = fields.get("name"), fields.get("task")
    name = name if isinstance(name, str) and name.strip() and next(names, None) is not None else ""
    task = task.name if isinstance(task, _Object) else ""
    recording = _recording(events) if isinstance(events, list) and events else None
    known = kind if isinstance(kind, str) and kind in _KINDS else ""
    if time is None and recording is None and not (known or name or task):
        return _OTHER
    return _Object(time, known, _tool(fields) if known else "", recording, name, task)


def _tool(fields: dict[str, object]) -> str:
    names = (fields.get("tool"), fields.get("name"))
    return next((name for name in names if isinstance(name, str) and name), "")


def _recording(events: Sequence[object]) -> Recording:
    newest, called, prompts, not_called = None, set[str](), 0, ""
    for event in events:
        if event is _OTHER or not isinstance(event, _Object):
            continue
        if event.time is not None:
            newest = event.time if newest is None else max(newest, event.time)
        if event.kind == PROMPT:
            prompts += 1
        elif event.kind == CALL:
            called.add(event.tool)
        elif event.kind == RESULT and event.tool and event.tool not in called:
            not_called = not_called or event.tool
    if prompts == len(events):
        return Recording(problem="has only prompts, so what the agent did was not recorded")
    if not_called:
        shown = json_reader.preview(not_called)
        return Recording(problem=f"has a result of {shown} but no call before it, so Sepurux does not see the call")
    return Recording(newest, bool(called), "")


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
