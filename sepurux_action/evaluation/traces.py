"""Finds and reads trace files, rejects a trace that is incomplete, and compares the steps of two.

A path must not lead out of the folder in which it starts. A step is a line such as `4 payments.refund(order)`: the
number of its event in the trace, and a call.
Sources: docs/configuration.md, docs/record-traces.md, docs/report-files.md#steps.
"""

import fnmatch
import gc
import glob
import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path

from sepurux_action.common import json_reader
from sepurux_action.config.parsers import MAX_TRACES, similar
from sepurux_action.config.settings import Trace, TraceEvent
from sepurux_action.errors import TraceFileError

MAX_BYTES = 64 * 1024 * 1024  # of all trace files of a run together, because they stay in memory
MAX_SIMILAR = 1000  # names in a folder that are compared with a misspelled one
WORKSPACE, TEMPORARY = "the workspace", "the runner's temporary folder"
CREATE_FIRST = "; check it out or create it in an earlier step of the job"
WORKING_DIRECTORY = "the working directory"
NOWHERE = Path(os.devnull) / "deleted"  # a path that no file can have
PROMPT, CALL, RESULT = "prompt", "tool_call", "tool_result"  # types of events, as the SDK writes them
MAX_EVENTS = 1_000  # calls and results of a trace that are kept for its steps
MAX_ARGUMENTS = 10  # of a call
HIDDEN = "…"  # stands for a name that is not shown, and for further names
GUIDE = "https://github.com/sepurux/gate-action/blob/main/docs/record-traces.md"
MAX_STEPS = 50  # of a trace
MAX_STEP_LENGTH = 105  # characters; with a mark and a number of eight digits, a line has at most 120
MAX_LINES = 12  # that show the steps of a failure
LINES_AROUND = 6  # that show a failed step: what follows it explains less
LINES_BEFORE = 4  # of them, before the first difference, or the failed step
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,80}", re.ASCII)

Events = Sequence[TraceEvent]
Steps = tuple[str, ...]


def working_directory() -> Path:
    """Return the working directory, or a folder that cannot exist if it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return NOWHERE


class TraceFolder:
    def __init__(self, base: Path, allowed: Sequence[Path] = (), name: str = WORKSPACE) -> None:
        self.base, self._name = base, name
        self._advice = CREATE_FIRST if name == WORKSPACE else ""
        self._names: dict[Path | None, str] = {}
        self._spellings: dict[Path | None, Path] = {}  # by its path as given, and without links
        for folder, of_folder in [(base, name), *((each, TEMPORARY) for each in allowed)]:
            real = Path(os.path.realpath(folder))
            self._names[real] = of_folder
            self._spellings |= {folder: real, real: real}
        self.where = " or ".join(dict.fromkeys(self._names.values()))
        self._traces: dict[Path, Trace] = {}  # many gates may share a file
        self._size = 0

    def find(self, pattern: str) -> tuple[Trace, ...]:
        """Return the traces that a path or glob names, by name; raises TraceFileError for all bad ones."""
        try:
            paths = [self.base / pattern]
            if glob.has_magic(pattern) and not paths[0].exists():
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
        """Return the files that match a glob, by name. Only a pattern with a dot matches hidden names, as in a shell.

        Unlike in the standard library, `**` enters no linked folder, because circular links would never end.
        """
        anchor, shown, found = Path(pattern).anchor, json_reader.preview(pattern), set[Path]()
        waiting = [(Path(anchor or self.base), Path(pattern).relative_to(anchor).parts)]
        while waiting:
            here, (part, *rest) = waiting.pop()
            if part == "**":
                waiting.append((here, tuple(rest or ["*"])))
                below = (here / name for name in _folder_names(here, "*"))
                waiting += [(path, (part, *rest)) for path in below if path.is_dir() and not path.is_symlink()]
                continue
            names = _folder_names(here, part) if glob.has_magic(part) else [part]
            for path in (here / name for name in names):
                if rest and path.is_dir():
                    waiting.append((path, tuple(rest)))
                elif not rest and path.is_file():
                    found.add(path)
            if len(found) > MAX_TRACES:
                raise TraceFileError(f"{shown} matches too many files; accepted: at most {MAX_TRACES}")
        if not found:
            hint = self._did_you_mean(self.base / pattern) or self._advice
            raise TraceFileError(f"{shown} matches no file in {self.where}{hint}")
        return sorted(found)

    def _read(self, path: Path) -> Trace:
        real, label = self.resolved(path), self._label(path)
        if real is None:
            where = self._names.get(self._spellings.get(self._start_of(path)), self.where)
            raise TraceFileError(f'"{label}" leads outside {where}; use a path relative to {self._name}')
        if not real.exists():
            raise TraceFileError(f'"{label}" was not found in {self.where}{self._did_you_mean(path) or self._advice}')
        if not real.is_file():
            raise TraceFileError(f'"{label}" is not a file; accepted: a file or a glob')
        if real not in self._traces:
            room, limit = MAX_BYTES - self._size, f"{MAX_BYTES // 2**20} MiB"
            with real.open("rb") as file:
                content = file.read(room + 1)
            if len(content) > room:
                what = f'with "{label}", the trace files have more than {limit}'
                raise TraceFileError(f"{what}; accepted: {limit} together")
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

    def _did_you_mean(self, missing: Path) -> str:
        """Return a hint at a path with similar names, up to the first wildcard; '' if there is none."""
        here = self._start_of(missing)
        if here is None:
            return ""
        parts = missing.relative_to(here).parts
        names = [*itertools.takewhile(lambda part: not glob.has_magic(part), parts)]
        for name in names:
            meant = here / name
            if not meant.exists():
                stems = {Path(each).stem: each for each in _folder_names(here, "*")[:MAX_SIMILAR]}
                meant = here / stems.get(similar(Path(name).stem, stems), "")
            if meant == here:
                return ""
            here = meant
        meant = here.joinpath(*parts[len(names) :])
        if meant == missing or self.resolved(here) is None:
            return ""
        return f'; did you mean "{self._label(meant)}"?'

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


def _folder_names(folder: Path, pattern: str) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - only names are needed
    except OSError:
        return []  # a folder that cannot be read matches nothing, as in a shell
    return [name for name in fnmatch.filter(names, pattern) if pattern.startswith(".") or not name.startswith(".")]


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
    steps, problem = _read_events(events)
    if problem:
        raise TraceFileError(f'"{label}" {problem}; record every call of a tool: {GUIDE}')
    times = (json_reader.time(each.get("timestamp")) for each in events)
    name = json_reader.at(found, "task", "name")
    return Trace(
        label=label,
        content=text.encode(),
        recorded=max((each for each in times if each is not None), default=None),
        task=json_reader.visible(name).strip() if isinstance(name, str) else "",
        events=tuple(steps),
    )


def _read_events(events: Sequence[Mapping[str, object]]) -> tuple[Sequence[TraceEvent], str]:
    """Return the first calls and results of a trace, and why its events are incomplete, '' if they are not."""
    if not events:
        return (), "has no events, so nothing was recorded"
    if all(each.get("type") == PROMPT for each in events):
        return (), "has only prompts, so what the agent did was not recorded"
    called, found = set[str](), list[TraceEvent]()
    for number, each in enumerate(events, 1):
        is_call = each.get("type") == CALL
        if not is_call and each.get("type") != RESULT:
            continue
        tool: str = next((name for key in ("tool", "name") if isinstance(name := each.get(key), str) and name), "")
        if is_call:
            called.add(tool)
        elif tool and tool not in called:
            shown = json_reader.preview(tool)
            return (), f"has a result of {shown} but no call before it, so Sepurux does not see the call"
        if len(found) < MAX_EVENTS:
            arguments = tuple(dict.fromkeys(map(shown_name, json_reader.as_object(each.get("args")))))
            if len(arguments) > MAX_ARGUMENTS:
                arguments = (*sorted(arguments)[:MAX_ARGUMENTS], HIDDEN)
            found.append(TraceEvent(number, shown_name(tool), is_call, arguments))
    return found, ""


def shown_name(name: str) -> str:
    """Return the name of a tool or an argument, or what stands for one with other characters than most have."""
    return name if _NAME.fullmatch(name) else HIDDEN


def steps_of(events: Events) -> Steps:
    return tuple(islice((_step(each) for each in events if each.is_call), MAX_STEPS))


def tools_of_all(traces: Sequence[Steps]) -> tuple[str, ...]:
    """Return the tools that the steps of each trace call, each once, without those whose name is not shown."""
    called = [[each.partition(" ")[2].partition("(")[0] for each in steps] for steps in traces]
    in_all = (name for name in called[0] if all(name in names for names in called)) if called else ()
    return tuple(dict.fromkeys(name for name in in_all if name != HIDDEN))


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
