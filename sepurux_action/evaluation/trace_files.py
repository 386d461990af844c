"""Finds, checks, and reads trace files; a path must not lead out of the folder in which it starts.

Source: contract, section 1 (`trace_file`, "Bad settings").
"""

from __future__ import annotations

import codecs
import errno
import fnmatch
import glob
import hashlib
import io
import json
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, TextIO

from sepurux_action.common import json_reader
from sepurux_action.config.gate import STANDARD_INPUT, STDIN, Trace, TraceContent
from sepurux_action.config.parsers import MAX_TRACES
from sepurux_action.config.policy import MAX_FILE_BYTES
from sepurux_action.errors import EvaluationError, TraceFileError

MAX_BYTES = 64 * 1024 * 1024
STOP_CHECK_S = 0.1  # between two checks for a signal while standard input is read
CREATE_FIRST = "check it out or create it in an earlier step of the job"
WORKSPACE, TEMPORARY = "the workspace", "the runner's temporary folder"
MAX_KEPT_BYTES = 64 * 1024 * 1024  # of all files in memory; further files are read again when they are uploaded
PIECE = 256 * 1024  # bytes that are read or sent at once
UNCHECKED = TraceContent(sha256="", size=0, pieces=lambda: iter(()))


def working_directory() -> Path | None:
    """Return the working directory, or None if it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


class TraceFolder:
    """Finds traces in a base folder, and by absolute paths in further folders."""

    def __init__(
        self,
        base: Path | None,
        allowed: Sequence[Path] = (),
        stop: Callable[[], bool] = lambda: False,
        stdin: TextIO | None = None,
    ) -> None:
        """Take the folder of relative paths (None if it was deleted) and further folders that may contain traces.

        With `stdin`, the path `-` is standard input, which is read once. Without, it is a file of that name.
        Once `stop` returns True, traces are returned empty and unchecked: nothing is uploaded after a signal.
        """
        self._has_base, self._base = base is not None, base or Path()
        named = [(base, WORKSPACE)] if base else []
        named += [(each, TEMPORARY) for each in allowed]
        self._names: dict[Path, str] = {}
        self._spellings: dict[Path, Path] = {}  # by its path as given, and without links
        for folder, name in named:
            real = Path(os.path.realpath(folder))
            self._names[real] = name
            self._spellings |= {folder: real, real: real}
        self._contents: dict[Path, TraceContent] = {}  # many gates may share a file
        self._kept_bytes = 0
        self._stop = stop
        self._stdin = stdin
        self._from_stdin: Trace | TraceFileError | None = None

    def find(self, pattern: str) -> tuple[Trace, ...]:
        """Return the traces that a path or glob names, in the order of their names.

        Raises TraceFileError if there is none, or if a file is outside the folders, not regular, over 64 MiB, or not a
        JSON object.
        """
        if pattern == STDIN and self._stdin is not None:
            return (self._standard_input(self._stdin),)
        if not self._has_base and not Path(pattern).is_absolute():
            raise TraceFileError(
                f"{json_reader.preview(pattern)} is relative to the working directory, which was deleted"
            )
        try:
            exact = self._base / pattern
            paths = [exact] if exact.exists() or not glob.has_magic(pattern) else self._matches(pattern)
            return tuple(self._trace(path) for path in paths)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it cannot be read"
            raise TraceFileError(f"{json_reader.preview(pattern)}: {why}") from None

    def _matches(self, pattern: str) -> list[Path]:
        start, parts = Path(pattern).anchor or self._base, Path(pattern).parts
        found = set()
        for path in _named(Path(start), parts[1:] if Path(pattern).anchor else parts):
            found.add(path)
            if len(found) > MAX_TRACES:
                shown = json_reader.preview(pattern)
                raise TraceFileError(f"{shown} matches too many files; accepted: at most {MAX_TRACES}")
        if not found:
            raise TraceFileError(f"{json_reader.preview(pattern)} matches no file in {self._where()}; {CREATE_FIRST}")
        return sorted(found)

    def _trace(self, path: Path) -> Trace:
        start, real = self._folder_of(path), self._resolved(path)
        shown = Path(os.path.relpath(path, self._base)) if path.is_relative_to(self._base) else path
        label = json_reader.printable(shown.as_posix())  # the same on every system
        if real is None:
            where = self._names[start] if start else self._where()
            raise TraceFileError(f'"{label}" leads outside {where}; use a path relative to the workspace')
        if not real.exists():
            raise TraceFileError(f'"{label}" was not found in {self._where()}; {CREATE_FIRST}')
        if not real.is_file():
            raise TraceFileError(f'"{label}" is not a file; accepted: a file or a glob')
        if (size := real.stat().st_size) > MAX_BYTES:
            raise TraceFileError(
                f'"{label}" has {math.ceil(size / 2**20)} MiB; accepted: at most {MAX_BYTES // 2**20} MiB'
            )
        if real not in self._contents:
            self._contents[real] = self._content(real, label)
        return Trace(label=label, content=self._contents[real])

    def _standard_input(self, stream: TextIO) -> Trace:
        """Return the trace on standard input; raises TraceFileError, each time, if it is no trace."""
        if self._from_stdin is None:
            try:
                self._from_stdin = Trace(label=STANDARD_INPUT, content=self._read_stdin(stream))
            except TraceFileError as error:
                self._from_stdin = error
        if isinstance(self._from_stdin, TraceFileError):
            raise self._from_stdin
        return self._from_stdin

    def _read_stdin(self, stream: TextIO) -> TraceContent:
        if stream.isatty():
            raise TraceFileError(f'"{STANDARD_INPUT}" is a terminal; pipe a trace into the command')
        read: list[bytes | OSError] = []

        def work() -> None:
            try:
                read.append(stream.buffer.read(MAX_BYTES + 1))
            except OSError as error:
                read.append(error)

        reader = threading.Thread(target=work, name=STANDARD_INPUT, daemon=True)
        reader.start()
        while reader.is_alive():  # a signal does not end a read, but this wait
            if self._stop():
                return UNCHECKED
            reader.join(STOP_CHECK_S)
        (given,) = read
        if isinstance(given, OSError):
            raise TraceFileError(f'"{STANDARD_INPUT}": {given.strerror}')
        if len(given) > MAX_BYTES:
            raise TraceFileError(
                f'"{STANDARD_INPUT}" has more than {MAX_BYTES // 2**20} MiB; accepted: at most {MAX_BYTES // 2**20} MiB'
            )
        content = self._checked(io.BytesIO(given), STANDARD_INPUT)
        return UNCHECKED if content is None else _content_of(content, partial(_pieces_of, content))

    def _content(self, path: Path, label: str) -> TraceContent:
        """Return the content of a file after checking it, in memory if there is room, or else read again for upload."""
        if self._stop():
            return UNCHECKED
        with path.open("rb") as file:
            content = self._checked(file, label)
        if content is None:
            return UNCHECKED
        made = _content_of(content, partial(_pieces_of, content))
        if self._kept_bytes + made.size <= MAX_KEPT_BYTES:
            self._kept_bytes += made.size
            return made
        return replace(made, pieces=partial(_read_again, path, label, made.size, made.sha256))

    def _checked(self, file: BinaryIO, label: str) -> bytes | None:
        """Return the content of a trace as UTF-8, or None after a signal; raises TraceFileError if it is no trace."""
        from sepurux_action.common.json_syntax import is_object  # noqa: PLC0415 - takes 50 ms, so only when needed

        try:
            content = b"".join(_in_utf_8(file))
            accepted = is_object(content, self._stop)
        except UnicodeError:
            raise TraceFileError(f'"{label}" is not valid JSON: it is not UTF-8 text') from None
        except ValueError as error:
            raise TraceFileError(f'"{label}" is not valid JSON: {error}') from None
        if accepted is False:
            raise TraceFileError(f'"{label}" is not a JSON object, as a trace must be')
        return content if accepted else None

    def read(self, path: str) -> bytes | None:
        """Return the content of a policy file, at most one byte more than is allowed, or None if there is no file.

        Raises OSError for a file that cannot be read or is outside the folders, because it may be a stricter policy.
        """
        if not self._has_base and not Path(path).is_absolute():
            return None
        real = self._resolved(self._base / path)
        if real is None:
            raise PermissionError(errno.EACCES, f"it leads outside {self._where()}")
        try:
            os.lstat(self._base / path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not real.is_file():
            raise OSError(errno.EINVAL, "it is not a file")
        with real.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)

    def _resolved(self, path: Path) -> Path | None:
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

    def _where(self) -> str:
        return " or ".join(dict.fromkeys(self._names.values())) or "the working directory, which was deleted"


def _named(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield the files that match the parts of a glob; as in a shell, only a pattern with a dot matches hidden names.

    Unlike in the standard library, `**` enters no linked folder, because circular links would never end.
    """
    waiting = [(folder, parts)]
    while waiting:
        here, (part, *rest) = waiting.pop()
        if part == "**":
            waiting.append((here, rest or ["*"]))
            below = (here / name for name in _listed(here, "*"))
            waiting += [(path, (part, *rest)) for path in below if path.is_dir() and not path.is_symlink()]
            continue
        paths = [here / name for name in (_listed(here, part) if glob.has_magic(part) else [part])]
        if rest:
            waiting += [(path, rest) for path in paths if path.is_dir()]
        else:
            yield from (path for path in paths if path.is_file())


def _listed(folder: Path, pattern: str) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - only names are needed
    except OSError:
        return []  # a folder that cannot be read matches nothing, as in a shell
    return [name for name in fnmatch.filter(names, pattern) if pattern.startswith(".") or not name.startswith(".")]


def _in_utf_8(file: BinaryIO) -> Iterator[bytes]:
    """Yield the text of a JSON file in pieces, as UTF-8 without a byte order mark and otherwise unchanged."""
    piece = file.read(PIECE)
    decoder = codecs.getincrementaldecoder(json.detect_encoding(piece))()
    while piece:
        following = file.read(PIECE)
        yield decoder.decode(piece, final=not following).encode()
        piece = following


def _content_of(content: bytes, pieces: Callable[[], Iterator[bytes]]) -> TraceContent:
    return TraceContent(sha256=hashlib.sha256(content).hexdigest(), size=len(content), pieces=pieces)


def _pieces_of(content: bytes) -> Iterator[bytes]:
    return (content[at : at + PIECE] for at in range(0, len(content), PIECE))


def _read_again(path: Path, label: str, size: int, sha256: str) -> Iterator[bytes]:
    """Yield what `_in_utf_8` yields; raises EvaluationError before the last piece if the file has changed."""
    what = f'the trace file "{label}" changed while the gate ran'
    changed = EvaluationError(what, f'Make sure that no other step or process writes "{label}", then re-run the job.')
    digest, length, held = hashlib.sha256(), 0, b""
    try:
        with path.open("rb") as file:
            for piece in _in_utf_8(file):
                digest.update(piece)
                length += len(piece)
                if length > size:  # never send more than the declared length
                    raise changed
                if held:
                    yield held
                held = piece
    except (OSError, UnicodeError):
        raise changed from None
    if digest.hexdigest() != sha256:
        raise changed
    yield held
