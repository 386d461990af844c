"""Finds and reads trace files; a path must not lead out of the folder in which it starts (docs/configuration.md)."""

from __future__ import annotations

import fnmatch
import gc
import glob
import json
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from sepurux_action.common import json_reader
from sepurux_action.config.gate import Trace
from sepurux_action.config.kinds import MAX_TRACES
from sepurux_action.errors import TraceFileError

MAX_BYTES = 64 * 1024 * 1024  # of all trace files of a run together, because they stay in memory
WORKSPACE, TEMPORARY = "the workspace", "the runner's temporary folder"
CREATE_FIRST = "; check it out or create it in an earlier step of the job"
WORKING_DIRECTORY = "the working directory"
NOWHERE = Path(os.devnull) / "deleted"  # a path that no file can have
MAX_KEPT = 100_000  # times, and names, that are read in a file; with more, the newest time or the task is not known


class _Kept(NamedTuple):
    """What is kept of a JSON object: its `timestamp`, `name`, newest of its `events`, and the name of its `task`.

    Times are POSIX seconds.
    """

    time: float | None = None
    name: str = ""
    newest: float | None = None
    task: str = ""


_OBJECT = _Kept()  # stands for each JSON object of which nothing is kept


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
        self._names: dict[Path, str] = {}
        self._spellings: dict[Path, Path] = {}  # by its path as given, and without links
        for folder, of_folder in [(base, name), *((each, TEMPORARY) for each in allowed)]:
            real = Path(os.path.realpath(folder))
            self._names[real] = of_folder
            self._spellings |= {folder: real, real: real}
        self.where = " or ".join(dict.fromkeys(self._names.values()))
        self._contents: dict[Path, tuple[bytes, _Kept]] = {}  # many gates may share a file
        self._size = 0

    def find(self, pattern: str) -> tuple[Trace, ...]:
        """Return the traces that a path or glob names, in the order of their names; raises TraceFileError."""
        try:
            exact = self.base / pattern
            paths = [exact] if exact.exists() or not glob.has_magic(pattern) else self._matches(pattern)
            return tuple(self._trace(path) for path in paths)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it cannot be read"
            raise TraceFileError(f"{json_reader.preview(pattern)}: {why}") from None

    def _matches(self, pattern: str) -> list[Path]:
        start, parts = Path(pattern).anchor or self.base, Path(pattern).parts
        found = set()
        for path in _named(Path(start), parts[1:] if Path(pattern).anchor else parts):
            found.add(path)
            if len(found) > MAX_TRACES:
                shown = json_reader.preview(pattern)
                raise TraceFileError(f"{shown} matches too many files; accepted: at most {MAX_TRACES}")
        if not found:
            raise TraceFileError(f"{json_reader.preview(pattern)} matches no file in {self.where}{self._advice}")
        return sorted(found)

    def _trace(self, path: Path) -> Trace:
        start, real = self._folder_of(path), self.resolved(path)
        shown = os.path.relpath(path, self.base) if path.is_relative_to(self.base) else str(path)
        label = json_reader.printable(shown)
        if real is None:
            where = self._names[start] if start else self.where
            raise TraceFileError(f'"{label}" leads outside {where}; use a path relative to {self._name}')
        if not real.exists():
            raise TraceFileError(f'"{label}" was not found in {self.where}{self._advice}')
        if not real.is_file():
            raise TraceFileError(f'"{label}" is not a file; accepted: a file or a glob')
        if real not in self._contents:
            self._contents[real] = self._read(real, label)
        content, kept = self._contents[real]
        return Trace(label=label, content=content, recorded=kept.newest, task=kept.task)

    def _read(self, path: Path, label: str) -> tuple[bytes, _Kept]:
        room = MAX_BYTES - self._size
        with path.open("rb") as file:
            content = file.read(room + 1)
        if len(content) > room:
            limit = f"{MAX_BYTES // 2**20} MiB"
            raise TraceFileError(f'with "{label}", the trace files have more than {limit}; accepted: {limit} together')
        self._size += len(content)
        try:
            text = content.decode(json.detect_encoding(content))
        except UnicodeError:
            raise TraceFileError(f'"{label}" is not valid JSON: it is not UTF-8 text') from None
        del content  # while the text is parsed, its long strings are in memory twice already
        kept = _parse(text, label)
        return text.encode(), kept

    def resolved(self, path: Path) -> Path | None:
        """Return the path without links and `..`, or None if it leads out of the folder in which it starts.

        A process that can replace a part of the path after this check already has the runner's permissions.
        """
        real = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError for a ring of links, up to Python 3.12
        start = self._folder_of(path)
        return real if start is not None and self._folder_of(real) == start else None

    def _folder_of(self, path: Path) -> Path | None:
        """Return the innermost folder, without links, that contains the path as written, or None."""
        spellings = [folder for folder in self._spellings if path.is_relative_to(folder)]
        return self._spellings[max(spellings, key=lambda folder: len(folder.parts))] if spellings else None


def _named(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield the files that match the parts of a glob; as in a shell, only a pattern with a dot matches hidden names.

    Unlike in the standard library, `**` enters no linked folder, because circular links would never end.
    """
    waiting = [(folder, parts)]
    while waiting:
        here, (part, *rest) = waiting.pop()
        if part == "**":
            waiting.append((here, rest or ["*"]))
            below = (here / name for name in _folder_names(here, "*"))
            waiting += [(path, (part, *rest)) for path in below if path.is_dir() and not path.is_symlink()]
            continue
        paths = [here / name for name in (_folder_names(here, part) if glob.has_magic(part) else [part])]
        if rest:
            waiting += [(path, rest) for path in paths if path.is_dir()]
        else:
            yield from (path for path in paths if path.is_file())


def _folder_names(folder: Path, pattern: str) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - only names are needed
    except OSError:
        return []  # a folder that cannot be read matches nothing, as in a shell
    return [name for name in fnmatch.filter(names, pattern) if pattern.startswith(".") or not name.startswith(".")]


def _keep(times: Iterator[int], names: Iterator[int], pairs: list[tuple[str, object]]) -> _Kept:
    kept: dict[str, Any] = {}
    for key, value in pairs:
        if key == "timestamp" and next(times, None) is not None:
            kept["time"] = json_reader.time(value)
        elif key == "name" and next(names, None) is not None:
            kept["name"] = value if isinstance(value, str) else ""
        elif key == "events" and isinstance(value, list):
            known = (each.time for each in value if isinstance(each, _Kept) and each.time is not None)
            kept["newest"] = max(known, default=None)
        elif key == "task":
            kept["task"] = value.name if isinstance(value, _Kept) and value.name.strip() else ""
    return _Kept(**kept) if kept else _OBJECT


def _parse(text: str, label: str) -> _Kept:
    """Return what is kept of a trace; raises TraceFileError for no JSON object.

    Objects would take many times the memory of the text. `int` would reject thousands of digits, which are valid JSON.
    The garbage collector would take most of the time for many nested lists.
    """
    found, why = None, ""
    times, names = iter(range(MAX_KEPT)), iter(range(MAX_KEPT))
    keep = partial(_keep, times, names)
    gc.disable()
    try:
        found = json.loads(text, object_pairs_hook=keep, parse_int=float, parse_constant=_reject)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
    finally:
        gc.enable()
    if why:
        raise TraceFileError(f'"{label}" is not valid JSON: {why}')
    if not isinstance(found, _Kept):
        raise TraceFileError(f'"{label}" is not a JSON object, as a trace must be')
    return found if next(times, None) is not None else found._replace(newest=None)


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
