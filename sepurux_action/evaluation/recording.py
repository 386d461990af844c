"""Reads what matters of a recorded trace, and rejects one that is incomplete (docs/record-traces.md)."""

import gc
import json
import re
from collections.abc import Mapping, Sequence
from itertools import islice

from sepurux_action.common import json_reader
from sepurux_action.config.settings import Trace, TraceEvent
from sepurux_action.errors import TraceFileError

PROMPT, CALL, RESULT = "prompt", "tool_call", "tool_result"  # types of events, as the SDK writes them
MAX_EVENTS = 1_000  # calls and results of a trace that are kept for its steps
MAX_ARGUMENTS = 10  # of a call
HIDDEN = "…"  # stands for a name that is not shown, and for further names
GUIDE = "https://github.com/sepurux/gate-action/blob/main/docs/record-traces.md"
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,80}", re.ASCII)


Events = Sequence[Mapping[str, object]]


def read_recording(text: str, label: str) -> Trace:
    """Return the trace in a file; raises TraceFileError for an incomplete one and for anything but a JSON object.

    `int` would reject thousands of digits, which are valid JSON. The garbage collector would take most of the time for
    many nested lists.
    """
    found, why = None, ""
    gc.disable()
    try:
        found = json.loads(text, parse_int=float, parse_constant=json_reader.reject_constant)
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
    if not isinstance(found, dict):
        raise TraceFileError(f'"{label}" is not a JSON object, as a trace must be')
    events = [*map(json_reader.as_object, json_reader.as_array(found.get("events")))]
    if problem := _problem(events):
        raise TraceFileError(f'"{label}" {problem}; record every call of a tool: {GUIDE}')
    times = (json_reader.time(each.get("timestamp")) for each in events)
    steps = (
        TraceEvent(number, shown_name(_tool(each)), each["type"] == CALL, _arguments(each))
        for number, each in enumerate(events, 1)
        if each.get("type") in (CALL, RESULT)
    )
    name = json_reader.at(found, "task", "name")
    return Trace(
        label=label,
        content=text.encode(),
        recorded=max((each for each in times if each is not None), default=None),
        task=json_reader.visible(name).strip() if isinstance(name, str) else "",
        events=tuple(islice(steps, MAX_EVENTS)),
    )


def _tool(event: Mapping[str, object]) -> str:
    return next((name for key in ("tool", "name") if isinstance(name := event.get(key), str) and name), "")


def _arguments(event: Mapping[str, object]) -> tuple[str, ...]:
    shown = tuple(dict.fromkeys(map(shown_name, json_reader.as_object(event.get("args")))))
    return shown if len(shown) <= MAX_ARGUMENTS else (*sorted(shown)[:MAX_ARGUMENTS], HIDDEN)


def shown_name(name: str) -> str:
    """Return the name of a tool or an argument, or what stands for one with other characters than most have."""
    return name if _NAME.fullmatch(name) else HIDDEN


def _problem(events: Events) -> str:
    """Return why the events of a trace are incomplete, '' if they are not."""
    called = set[str]()
    if not events:
        return "has no events, so nothing was recorded"
    if all(each.get("type") == PROMPT for each in events):
        return "has only prompts, so what the agent did was not recorded"
    for each in events:
        tool = _tool(each)
        if each.get("type") == CALL:
            called.add(tool)
        elif each.get("type") == RESULT and tool and tool not in called:
            return (
                f"has a result of {json_reader.preview(tool)} but no call before it, so Sepurux does not see the call"
            )
    return ""
