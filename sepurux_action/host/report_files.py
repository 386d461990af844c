"""Writes the files of `report_dir`, where earlier steps may have left links, FIFOs, and folders.

Each folder is opened relative to its parent and without following links, and each file is written under a random name
and renamed. So no one can replace a component of the path meanwhile.
Source: https://github.com/sepurux/gate-action/blob/main/docs/report-files.md#where-the-files-are
"""

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from sepurux_action.common import T, json_reader
from sepurux_action.errors import DeadlineExceeded, Interrupted
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.host.output import Level, Output

WRITE_S = 10.0  # for all files; a network file system may hang
WRITE_AFTER_SIGNAL_S = 0.5  # for all files after a signal: the program exits within 5 s, and the statuses may take 3 s
FILE_MODE = 0o644  # without the umask's bits; later steps may run as another user
RUNNERS_OWN = "_"  # the first character of the runner's own names in its temporary folder
RESERVED = re.compile(r"\.git(hub)?", re.IGNORECASE)  # macOS ignores the case of names


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFolders:
    """Where `report_dir` may be: in `base`, or `temporary`, which later steps may know as `temporary_for_steps`."""

    base: Path
    temporary: Path | None = None
    temporary_for_steps: PurePath | None = None

    def locate(self, report_dir: str) -> tuple[Path, tuple[str, ...]]:
        """Return the folder that contains `report_dir`, and the names below it; raises OSError if it is refused."""
        path = self.base / report_dir
        if ".." in Path(report_dir).parts:
            raise OSError(errno.EINVAL, '".." is not accepted in a path')
        real = {root: Path(os.path.realpath(root)) for root in (self.base, self.temporary) if root}
        for root in filter(path.is_relative_to, real):
            path = real[root] / path.relative_to(root)
            break
        around = [root for root, resolved in real.items() if path.is_relative_to(resolved)]
        if not around:
            inside = "the workspace or the runner's temporary folder" if self.temporary else "the working directory"
            raise OSError(errno.EACCES, f"it is outside {inside}")
        root = max(around, key=lambda each: len(real[each].parts))
        parts = path.relative_to(real[root]).parts
        if reserved := next(filter(RESERVED.fullmatch, parts), ""):
            raise OSError(errno.EACCES, f"nothing is written below {json_reader.preview(reserved)}")
        if root == self.temporary and parts and parts[0].startswith(RUNNERS_OWN):
            raise OSError(errno.EACCES, f"{json_reader.preview(parts[0])} belongs to the runner")
        return root, parts


@dataclass(frozen=True, slots=True)
class ReportWriter:
    """Writes the files of `report_dir` within a deadline, which signals shorten. What fails is one warning."""

    folders: ReportFolders
    output: Output
    signals: Signals

    def write(self, report_dir: str, texts: Mapping[str, str]) -> Mapping[str, str]:
        """Write each text to the file of its name, whole or not at all; the names are those of this program.

        Return the paths of the files that were written, as later steps can open them: absolute outside the workspace.
        """
        files = {name: self.output.redact(text).encode(errors="replace") for name, text in texts.items()}

        def work() -> tuple[dict[str, str], dict[str, OSError]]:
            paths, problems = dict[str, str](), dict[str, OSError]()
            root, parts = self.folders.locate(report_dir)
            shown = PurePath(*parts)
            if root == self.folders.temporary:
                shown = (self.folders.temporary_for_steps or root) / shown
            with open_folder(root, parts) as folder:
                for name, content in files.items():
                    try:
                        write_file(folder, name, content)
                        paths[name] = (shown / name).as_posix()
                    except OSError as error:
                        problems[name] = error
            return paths, problems

        try:
            paths, problems = self._run_in_time(work)
        except OSError as error:
            paths, problems = {}, dict.fromkeys(files, error)
        if problems:
            why = next(iter(problems.values())).strerror
            text = f"{', '.join(problems)} could not be written to {json_reader.preview(report_dir)}: {why}."
            self.output.annotate(Level.WARNING, text)
        return paths

    def read(self, report_dir: str, name: str, most: int) -> tuple[bytes | None, str]:
        """Return the first bytes of a file, None if it was not read; and why, '' if there is none."""

        def work() -> bytes:
            with open_folder(*self.folders.locate(report_dir), create=False) as folder:
                return read_file(folder, name, most)

        try:
            return self._run_in_time(work), ""
        except FileNotFoundError:
            return None, ""
        except OSError as error:
            return None, f"{name} could not be read from {json_reader.preview(report_dir)}: {error.strerror}."

    def remove(self, report_dir: str, names: Iterable[str]) -> None:
        """Remove files of an earlier run, so that none remains if this run ends early. A failure has no effect.

        `write` refuses a path with a link, but later steps may follow it. So the files are removed at its real path, if
        that is one to which `write` would write.
        """

        def work() -> None:
            real = os.path.realpath(self.folders.base / report_dir)
            with open_folder(*self.folders.locate(real), create=False) as folder:
                for name in names:
                    with suppress(OSError):
                        os.unlink(name, dir_fd=folder)

        if report_dir:
            with suppress(OSError):
                self._run_in_time(work)

    def _run_in_time(self, work: Callable[[], T]) -> T:
        """Do the work, and if a signal arrives meanwhile, do it again in a short time; raises OSError."""
        try:
            with suppress(Interrupted):
                return Timeouts(self.signals).run(WRITE_S, work)
            return Timeouts().run(WRITE_AFTER_SIGNAL_S, work)
        except DeadlineExceeded:
            raise OSError(errno.ETIMEDOUT, "the file system did not respond in time") from None
        except UnicodeError:
            raise OSError(errno.EINVAL, "the file system cannot encode this name") from None


@contextmanager
def open_folder(root: Path, parts: Sequence[str], *, create: bool = True) -> Iterator[int]:
    """Yield a descriptor of a folder below `root`, which `create` makes; raises OSError for a link or no folder."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=folder)
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            except OSError as error:
                if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                    error.strerror = f"{json_reader.preview(part)} is a symbolic link or not a folder"
                raise
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def read_file(folder: int, name: str, most: int) -> bytes:
    """Return the first bytes of a regular file in the folder of a descriptor; raises OSError for anything else."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)  # a FIFO would wait
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, f"{json_reader.preview(name)} is no file")
        return file.read(most)


def write_file(folder: int, name: str, content: bytes) -> None:
    """Create or replace a file in the folder of a descriptor; raises OSError and then leaves nothing behind."""
    temporary = f".{name}.{secrets.token_hex(16)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, FILE_MODE, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
