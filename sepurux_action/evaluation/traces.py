"""Finds and reads trace files, rejects a trace that is incomplete, and compares the steps of two.

A path must not lead out of the folder in which it starts. A step is a call, and its number counts the calls of a trace.
Sources: docs/record.md#other-languages, docs/reference.md#settings.
"""

import fnmatch
import glob
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from sepurux_action.common import json_reader
from sepurux_action.config.parsers import MAX_TRACES
from sepurux_action.config.settings import Call, Trace
from sepurux_action.errors import TraceFileError
from sepurux_action.evaluation.runs import Failure, Step

MAX_BYTES = 64 * 1024 * 1024  # of all trace files of a run together, because they stay in memory
MAX_OBJECTS = 1_000_000  # objects and lists of a trace, also in its texts: each takes much memory
WORKSPACE, TEMPORARY = "the workspace", "the runner's temporary folder"
CREATE_FIRST = "; check it out or create it in an earlier step of the job"
WORKING_DIRECTORY = "the working directory"
PROMPT, CALL, RESULT, FAILURE = "prompt", "tool_call", "tool_result", "failure"  # types of events
MAX_EVENTS = 1_000  # calls and results of a trace that are kept
MAX_ARGUMENTS = 10  # of a call
HIDDEN = "…"  # stands for a name that is not shown, and for further names
GUIDE = "https://github.com/sepurux/gate-action/blob/main/docs/record.md"
MAX_STEPS = 50  # of a trace
MAX_STEP_LENGTH = 105  # characters; with its sign and number, a line has at most 120
MAX_LINES = 12  # that show the steps of a failure
LINES_BEFORE = 4  # of them, before the first difference, or the failed step
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,80}", re.ASCII)

Calls = tuple[Call, ...]


class Line(NamedTuple):
    """A step with its number. The sign is `-` if only the base has it, `+` if it is only here, `>` if it failed."""

    sign: str
    number: int
    call: Call

    def __str__(self) -> str:
        return f"{self.sign} {self.number} {self.call}"


class TraceFolder:
    def __init__(self, base: Path, allowed: Sequence[Path] = (), name: str = WORKSPACE) -> None:
        self.base, self.where = base, f"{name} or {TEMPORARY}" if allowed else name
        self._advice = CREATE_FIRST if name == WORKSPACE else ""
        self._spellings: dict[Path | None, Path] = {}  # by its path as given, and without links
        for folder in (base, *allowed):
            real = Path(os.path.realpath(folder))
            self._spellings |= {folder: real, real: real}
        self._traces: dict[Path, Trace] = {}  # many gates may share a file
        self._size = 0

    def find(self, pattern: str) -> tuple[Trace, ...]:
        """Return the traces that a path or glob names, by name; raises TraceFileError for all bad ones."""
        try:
            paths = [self.base / pattern]
            if glob.has_magic(pattern):
                paths = self._matches(pattern)
        except (OSError, ValueError) as error:
            raise TraceFileError(_unreadable(pattern, error)) from None
        traces, problems = list[Trace](), list[str]()
        for path in paths:
            try:
                traces.append(self._read(path))
            except TraceFileError as error:
                problems += error.args
            except (OSError, ValueError) as error:
                problems.append(_unreadable(self._label(path), error))
        if problems:
            raise TraceFileError(*problems)
        return tuple(traces)

    def _matches(self, pattern: str) -> list[Path]:
        """Return the files that a glob matches, by name. Only a part with a dot matches hidden names, as in a shell.

        `**` enters no linked folder, because circular links would never end. A second one would take a minute in a
        folder of a hundred levels.
        """
        shown, given = json_reader.preview(pattern), Path(pattern).parts
        fixed = [*itertools.takewhile(lambda part: not glob.has_magic(part), given)]
        parts = [part if part == "**" else part.replace("**", "*") for part in given[len(fixed) :]]
        start = self.base.joinpath(*fixed)
        if ".." in parts or parts.count("**") > 1:
            raise TraceFileError(f"{shown} must have at most one `**`, and no `..` after a wildcard")
        outside = f"{shown} must be a file in {self.where}, without links out of it"
        if self.resolved(start) is None:
            raise TraceFileError(outside)
        if parts[-1] == "**":
            parts.append("*")
        dotted = [part for part in parts if part.startswith(".")]

        def is_shown(path: Path) -> bool:
            hidden = (part for part in path.relative_to(start).parts if part.startswith("."))
            return all(any(fnmatch.fnmatch(part, each) for each in dotted) for part in hidden)

        files = (path for path in start.glob("/".join(parts)) if is_shown(path) and path.is_file())
        found = {*itertools.islice(files, MAX_TRACES + 1)}
        if any(self.resolved(path.parent) is None for path in found):
            raise TraceFileError(outside)
        if len(found) > MAX_TRACES:
            raise TraceFileError(f"{shown} must match at most {MAX_TRACES} files")
        if not found:
            raise TraceFileError(f"{shown} matches no file in {self.where}{self._advice}")
        return sorted(found)

    def _read(self, path: Path) -> Trace:
        real, label = self.resolved(path), self._label(path)
        if real is None:
            raise TraceFileError(f'"{label}" must be a file in {self.where}, without links out of it')
        if not real.is_file():
            raise TraceFileError(f'"{label}" was not found as a file in {self.where}{self._advice}')
        if real not in self._traces:
            room, limit = MAX_BYTES - self._size, f"{MAX_BYTES // 2**20} MiB"
            with real.open("rb") as file:
                content = file.read(room + 1)
            if len(content) > room:
                raise TraceFileError(f'with "{label}", the trace files must have at most {limit}')
            self._size += len(content)
            try:
                text = content.decode(json.detect_encoding(content))
            except UnicodeError:
                raise TraceFileError(f'"{label}" is not valid JSON: it is not UTF-8 text') from None
            del content  # while the text is parsed, its long strings are in memory twice already
            self._traces[real] = read_recording(text, label)
        return replace(self._traces[real], label=label)

    def _label(self, path: Path) -> str:
        shown = os.path.relpath(path, self.base) if path.is_relative_to(self.base) else str(path)
        return json_reader.printable(shown)

    def resolved(self, path: Path) -> Path | None:
        """Return the path without links and `..`, or None if it leads out of the folder in which it starts.

        A process that can replace a part of the path after this check already has the runner's permissions.
        """
        real = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError for a ring of links, up to Python 3.12
        start = self._spellings.get(self._start_of(path))
        return real if start and self._spellings.get(self._start_of(real)) == start else None

    def _start_of(self, path: Path) -> Path | None:
        """Return the innermost folder that contains the path, both as written, or None."""
        spellings = (folder for folder in self._spellings if folder and path.is_relative_to(folder))
        return max(spellings, key=lambda folder: len(folder.parts), default=None)


def _unreadable(path: str, error: Exception) -> str:
    return f"{json_reader.preview(path)}: {getattr(error, 'strerror', '') or 'it cannot be read'}"


def read_recording(text: str, label: str) -> Trace:
    """Return the trace in a file; raises TraceFileError for an incomplete one and for anything but a JSON object.

    `int` would reject thousands of digits, which are valid JSON.
    """
    if text.count("{") + text.count("[") > MAX_OBJECTS:
        raise TraceFileError(f'"{label}" must have at most {MAX_OBJECTS:,} objects and lists')
    try:
        found = json_reader.parse(text, parse_int=float, constant=json_reader.reject_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise TraceFileError(f'"{label}" is not valid JSON: {where}: {error.msg}') from None
    except ValueError as error:
        raise TraceFileError(f'"{label}" cannot be used: {error}') from None
    if not isinstance(found, dict):
        raise TraceFileError(f'"{label}" is not a JSON object, as a trace must be')
    events = [*map(json_reader.as_object, json_reader.as_array(found.get("events")))]
    calls, call_at, problem = _read_calls(events)
    if problem:
        raise TraceFileError(f'"{label}" {problem}; record every call of a tool: {GUIDE}')
    times = (json_reader.time(each.get("timestamp")) for each in events)
    by_recorder = isinstance(found.get("recorder"), str)
    return Trace(
        label=label,
        content=text.encode(),
        recorded=max((each for each in times if each is not None), default=None),
        task=json_reader.text(found, "task", "name"),
        by_recorder=by_recorder,
        own_failures=tuple(_own_failures(events)) if by_recorder else (),
        calls=tuple(calls),
        call_at=call_at,
    )


def _read_calls(events: Sequence[Mapping[str, object]]) -> tuple[Sequence[Call], Mapping[float, int], str]:
    """Return `calls` and `call_at` of a trace, and why its events are incomplete, '' if they are not."""
    if not events:
        return (), {}, "has no events, so nothing was recorded"
    if all(each.get("type") == PROMPT for each in events):
        return (), {}, "has only prompts, so what the agent did was not recorded"
    calls, call_at, last_call = list[Call](), dict[float, int](), dict[str, int]()
    for index, each in enumerate(events):
        is_call = each.get("type") == CALL
        if not is_call and each.get("type") != RESULT:
            continue
        tool: str = next((name for key in ("tool", "name") if isinstance(name := each.get(key), str) and name), "")
        if is_call:
            last_call[tool] = len(calls) + 1
        elif tool and tool not in last_call:
            shown = json_reader.preview(tool)
            return (), {}, f"has a result of {shown} but no call before it, so Sepurux does not see the call"
        if len(call_at) < MAX_EVENTS and tool in last_call:
            call_at[index] = last_call[tool]
            if is_call:
                calls.append(_shown_call(tool, json_reader.as_object(each.get("args"))))
    return calls, call_at, ""


def _own_failures(events: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, int | None]]:
    call = None
    for index, each in enumerate(events):
        if each.get("type") == CALL:
            call = index
        elif each.get("type") == FAILURE:
            yield json_reader.text(each, "error", "message"), call


def _shown_call(tool: str, arguments: Iterable[str]) -> Call:
    """Return a call with names that can be shown; `…` stands for further arguments, of many or of long ones."""
    call = Call(shown_name(tool), tuple(dict.fromkeys(map(shown_name, arguments))))
    kept = sorted(call.arguments)[: MAX_ARGUMENTS + 1]
    while len(kept) > MAX_ARGUMENTS or len(str(call)) > MAX_STEP_LENGTH:
        kept.pop()
        call = call._replace(arguments=(*kept, HIDDEN))
    return call


def shown_name(name: str) -> str:
    """Return the name of a tool or an argument, or what stands for one with other characters than most have."""
    return name if _NAME.fullmatch(name) else HIDDEN


def with_steps(failure: Failure, trace: Trace, base: Calls) -> Failure:
    """Return a failure in a trace with its step, and with the lines around it."""
    here, failed = trace.calls[:MAX_STEPS], failed_step(trace, failure.tool, failure.event)
    lines = compare_steps(base, here) if base and here else [Line(" ", at, each) for at, each in enumerate(here, 1)]
    step = first_difference(lines, trace.calls)
    if failed and not step:
        step = Step(failed, trace.calls[failed - 1].tool)
    if step and step.tool == HIDDEN:
        step = None
    marked = [each._replace(sign=">") if each.number == failed and each.sign != "-" else each for each in lines]
    return replace(failure, step=step, steps=first_lines([*map(str, marked)]))


def first_difference(lines: Sequence[Line], every: Calls) -> Step | None:
    """Return the first step that differs, None if none does. It is compared with those at the same place."""
    same = [*itertools.takewhile(lambda line: line.sign == " ", lines)]
    place = [*itertools.takewhile(lambda line: line.sign != " ", lines[len(same) :])]
    base, here = ([each.call for each in place if each.sign == sign] for sign in "-+")
    before, number = len(same), len(same) + 1
    if not place:
        return None
    if base and here and base[0].tool == here[0].tool:
        return _compared(number, base[0], here[0])
    if not here or here[0].tool in [each.tool for each in base]:
        if base[0].tool not in [each.tool for each in every[before:]]:  # what the recording calls later is not missing
            return Step(before, base[0].tool, "missing")
    elif not base or base[0].tool in [each.tool for each in here]:
        return Step(number, here[0].tool, "added")
    return _compared(number, base[0], every[before])


def _compared(number: int, base: Call, here: Call) -> Step:
    """Return the step with a call in place of the base's."""
    if base.tool == here.tool:
        if name := _argument_of_one(base, here):
            return Step(number, here.tool, "without", name)
        if name := _argument_of_one(here, base):
            return Step(number, here.tool, "with", name)
    if base.tool in {HIDDEN, here.tool}:
        return Step(number, here.tool)
    return Step(number, here.tool, "instead", base.tool)


def _argument_of_one(call: Call, other: Call) -> str:
    """Return the first argument that the other call has not; '' if there is none, or if not all of its are shown."""
    return next((each for each in call.arguments if each != HIDDEN and not {each, HIDDEN} & {*other.arguments}), "")


def first_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Return at most MAX_LINES lines around the first with a sign, and around the failed step; () without a sign."""
    at = next((index for index, line in enumerate(lines) if not line.startswith(" ")), None)
    failed = next((index for index, line in enumerate(lines) if line.startswith(">")), at)
    if at is None or failed is None:
        return ()
    shown = _around(lines, at, MAX_LINES)
    if lines[failed] in shown:
        return shown
    return *_around(lines, at, MAX_LINES // 2), *_around(lines, failed, MAX_LINES // 2)[1:]


def _around(lines: Sequence[str], at: int, most: int) -> tuple[str, ...]:
    """Return so many lines around one; `…` stands for those before and after them."""
    start = max(0, min(at - LINES_BEFORE, len(lines) - most))
    shown = [*lines[start : start + most]]
    if start:
        shown[0] = f"  {HIDDEN}"
    if start + most < len(lines):
        shown[-1] = f"  {HIDDEN}"
    return tuple(shown)


def failed_step(trace: Trace, tool: str, index: float | None) -> int:
    """Return the number of the step at which a failure of this tool, at the event with this index, happened, else 0.

    An index of another tool's event, or of no call or result, does not count. Then it is the first call of the tool.
    """
    name, at = tool and shown_name(tool), trace.call_at.get(-1 if index is None else index, 0)
    if at and name in {"", trace.calls[at - 1].tool}:
        return at
    return next((number for number, call in enumerate(trace.calls, 1) if call.tool == name != HIDDEN), 0)


@lru_cache(maxsize=1)  # the failures of one recording follow each other
def compare_steps(base: Calls, here: Calls) -> Sequence[Line]:
    """Return both lists as one, with as many common steps as possible, so as short as possible.

    A step of both has its number in `here`, and is the same whatever the order of its arguments is.
    """
    before, after = ([(call.tool, sorted(call.arguments)) for call in calls] for calls in (base, here))
    removed = [Line("-", number, call) for number, call in enumerate(base, 1)]
    added = [Line("+", number, call) for number, call in enumerate(here, 1)]

    @cache
    def rest(at: int, to: int) -> Sequence[Line]:
        """Return the lines from these indices on."""
        if at == len(base) or to == len(here):
            return *removed[at:], *added[to:]
        if before[at] == after[to]:
            return Line(" ", to + 1, here[to]), *rest(at + 1, to + 1)
        return min((removed[at], *rest(at + 1, to)), (added[to], *rest(at, to + 1)), key=len)

    return rest(0, 0)
