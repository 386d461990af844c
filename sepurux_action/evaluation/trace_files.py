"""Finds and reads trace files; a path must not lead out of the folder in which it starts (docs/configuration.md)."""

import fnmatch
import glob
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sepurux_action.common import json_reader
from sepurux_action.config.parsers import MAX_TRACES, similar
from sepurux_action.config.settings import Trace
from sepurux_action.errors import TraceFileError
from sepurux_action.evaluation.recording import read_recording

MAX_BYTES = 64 * 1024 * 1024  # of all trace files of a run together, because they stay in memory
MAX_SIMILAR = 1000  # names in a folder that are compared with a misspelled one
WORKSPACE, TEMPORARY = "the workspace", "the runner's temporary folder"
CREATE_FIRST = "; check it out or create it in an earlier step of the job"
WORKING_DIRECTORY = "the working directory"
NOWHERE = Path(os.devnull) / "deleted"  # a path that no file can have


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
