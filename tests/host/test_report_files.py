"""The files of `report_dir`: what earlier steps left there leads no write elsewhere, and a failure is one warning."""

from __future__ import annotations

import os
import resource
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from sepurux_action.common.secret import Redactor
from sepurux_action.host.deadlines import Signals
from sepurux_action.host.report_files import ReportFolders, ReportWriter, open_folder, write_file
from sepurux_action.host.workflow_commands import Level
from tests.fakes import FakeOutput

FILES = {"report.json": b"{}", "report.md": b"# Report\n"}
SECRET = "made-up-secret"


@dataclass(frozen=True)
class Places:
    """A workspace, the runner's temporary folder, and a folder that nothing may be written to."""

    workspace: Path
    temporary: Path
    outside: Path

    @property
    def folders(self) -> ReportFolders:
        return ReportFolders(base=self.workspace, temporary=self.temporary)

    def write(self, report_dir: str | Path, files: Mapping[str, bytes] = FILES) -> tuple[dict[str, str], str]:
        return self.folders.write(str(report_dir), files)

    def refused(self, report_dir: str | Path) -> str:
        """Return why nothing was written, after a check that no folder and no file was created."""
        before = self.everything()
        paths, problem = self.write(report_dir)
        assert (paths, self.everything()) == ({}, before)
        assert problem.startswith('report.json, report.md could not be written to "')
        return problem

    def everything(self) -> list[str]:
        return sorted(str(path) for top in (self.workspace, self.temporary, self.outside) for path in top.rglob("*"))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "workspace", tmp_path / "temp", tmp_path / "outside")
    for folder in (made.workspace, made.temporary, made.outside):
        folder.mkdir()
    return made


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- where files are written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("report_dir", ["build", "build/reports/", "./build//reports", "."])
def test_missing_folders_are_created_and_paths_are_relative_to_the_workspace(report_dir: str, places: Places) -> None:
    written = places.write(report_dir)
    folder = places.workspace / report_dir
    assert {name: (folder / name).read_bytes() for name in names_in(folder)} == FILES
    assert written == ({name: (PurePosixPath(report_dir) / name).as_posix() for name in FILES}, "")


def test_an_absolute_path_below_the_workspace_or_its_real_path_is_accepted(places: Places, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(places.workspace)
    folders = ReportFolders(base=link)
    for number, root in enumerate([link, places.workspace]):
        assert folders.write(f"{root}/{number}", FILES)[0]["report.md"] == f"{number}/report.md"
        assert names_in(places.workspace / str(number)) == list(FILES)


def test_a_path_in_the_temporary_folder_is_shown_as_later_steps_know_it(places: Places) -> None:
    folders = ReportFolders(
        base=places.workspace, temporary=places.temporary, temporary_for_steps=PurePosixPath("/home/runner/work/_temp")
    )
    shown = folders.write(f"{places.temporary}/gate", FILES)[0]["report.json"]
    assert shown == "/home/runner/work/_temp/gate/report.json"
    assert places.write(places.temporary)[0]["report.json"] == f"{places.temporary}/report.json"
    assert names_in(places.temporary) == ["gate", *FILES]


def test_later_steps_of_another_user_can_read_the_files(places: Places) -> None:
    before = os.umask(0o027)
    try:
        places.write("build")
    finally:
        os.umask(before)
    assert stat.S_IMODE((places.workspace / "build" / "report.json").stat().st_mode) == 0o640
    places.write("others")
    assert stat.S_IMODE((places.workspace / "others" / "report.json").stat().st_mode) == 0o644 & ~before


# -- where nothing is written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("report_dir", ["..", "../outside", "build/../../outside", "build/..", "a/.."])
def test_a_path_with_two_dots_is_rejected(report_dir: str, places: Places) -> None:
    assert '".." is not accepted' in places.refused(report_dir)
    assert places.write(".gitlab/_build")[1] == ""


def test_an_absolute_path_outside_is_rejected(places: Places) -> None:
    for path in (places.outside, Path("/"), places.workspace.parent, f"{places.workspace}-2"):
        assert "outside the workspace or the runner's temporary folder" in places.refused(path)
    paths, problem = ReportFolders(base=places.workspace).write(str(places.temporary), FILES)
    assert (paths, "outside the working directory" in problem) == ({}, True)


@pytest.mark.parametrize("name", [".git", ".GitHub"])
@pytest.mark.parametrize("around", ["{}", "{}/workflows", "sub/{}/hooks"])
def test_nothing_is_written_below_the_folders_of_git_and_github(name: str, around: str, places: Places) -> None:
    assert f'nothing is written below "{name}"' in places.refused(around.format(name))
    (places.temporary / name).mkdir()
    assert "nothing is written below" in places.refused(places.temporary / around.format(name))


@pytest.mark.parametrize("name", ["_runner_file_commands", "_github_home", "_temp", "_new", "_github_workflow/x"])
def test_the_runners_own_names_in_the_temporary_folder_are_rejected(name: str, places: Places) -> None:
    assert "belongs to the runner" in places.refused(places.temporary / name)
    assert places.write(places.temporary / "gate" / name)[1] == ""


def test_the_runners_own_names_are_rejected_by_each_path_that_leads_there(places: Places, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    folders = ReportFolders(base=link, temporary=places.temporary)
    for path in ("temp/_github_home", f"{link}/temp/_github_home", f"{places.temporary}/_github_home"):
        assert "belongs to the runner" in folders.write(path, FILES)[1]
    assert names_in(places.temporary) == []


@pytest.mark.parametrize("target", ["../outside", "../outside/new", ".github", "real"])
def test_a_link_in_the_path_is_not_followed(target: str, places: Places) -> None:
    for folder in (".github", "real"):
        (places.workspace / folder).mkdir()
    for link in (places.workspace / "link", places.workspace / "real" / "link"):
        link.symlink_to(places.workspace / target)
    for report_dir in ("link", "link/sub", "real/link"):
        assert '"link" is a symbolic link or not a folder' in places.refused(report_dir)


def test_a_parent_that_a_link_replaces_meanwhile_leads_no_folder_elsewhere(places: Places) -> None:
    """The parent is replaced once it is open, before the folder below it is created."""

    class Names(list[str]):
        def __iter__(self) -> Iterator[str]:
            yield "build"
            (places.workspace / "build").rename(places.workspace / "moved")
            (places.workspace / "build").symlink_to(places.outside)
            yield "reports"

    with open_folder(places.workspace, Names()) as folder:
        write_file(folder, "report.json", b"{}")
    assert names_in(places.outside) == []
    assert names_in(places.workspace / "moved" / "reports") == ["report.json"]


# -- what stands in place of a file -----------------------------------------------------------------------------------


def test_a_link_in_place_of_a_file_is_replaced_and_its_target_stays_as_it_is(places: Places) -> None:
    target, build = places.outside / "target", places.workspace / "build"
    target.write_text("before")
    build.mkdir()
    (build / "report.json").symlink_to(target)
    (build / "report.md").hardlink_to(target)
    assert places.write("build")[1] == ""
    assert target.read_text() == "before"
    assert not (build / "report.json").is_symlink()
    assert {name: (build / name).read_bytes() for name in names_in(build)} == FILES


def test_a_fifo_in_place_of_a_file_or_folder_blocks_nothing(places: Places) -> None:
    build = places.workspace / "build"
    build.mkdir()
    os.mkfifo(build / "report.json")
    os.mkfifo(places.workspace / "fifo")
    assert places.write("build")[1] == ""
    assert (build / "report.json").read_bytes() == b"{}"
    assert '"fifo" is a symbolic link or not a folder' in places.refused("fifo/reports")


def test_a_folder_in_place_of_one_file_is_a_problem_of_that_file_only(places: Places) -> None:
    build = places.workspace / "build"
    (build / "report.json" / "kept").mkdir(parents=True)
    problem = 'report.json could not be written to "build": Is a directory.'
    assert places.write("build") == ({"report.md": "build/report.md"}, problem)
    assert names_in(build) == list(FILES)
    assert names_in(build / "report.json") == ["kept"]


# -- what cannot be written -------------------------------------------------------------------------------------------


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let every write beyond so many bytes of a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_problem_and_leaves_the_old_file_and_no_part_of_the_new_one(places: Places) -> None:
    places.write("build", {"report.json": b"old"})
    large = {"report.json": b"x" * 5_000, "report.md": b"y" * 6_000}
    with file_size_limit(1_000):
        written = places.write("build", large)
    assert written == ({}, 'report.json, report.md could not be written to "build": File too large.')
    assert names_in(places.workspace / "build") == ["report.json"]
    assert (places.workspace / "build" / "report.json").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("report_dir", "why"),
    [
        ("x" * 300, "File name too long"),
        ("file", '"file" is a symbolic link or not a folder'),
        ("\ud800", "cannot encode this name"),
    ],
)
def test_a_folder_that_cannot_be_created_is_a_problem(report_dir: str, why: str, places: Places) -> None:
    (places.workspace / "file").touch()
    assert why in places.refused(report_dir)


def test_a_workspace_or_temporary_folder_that_is_missing_is_a_problem_and_not_created(places: Places) -> None:
    places.temporary.rmdir()
    assert "No such file or directory" in places.refused(places.temporary / "gate")
    missing = ReportFolders(base=places.workspace / "missing")
    assert "No such file or directory" in missing.write("build", FILES)[1]
    assert not places.temporary.exists()


# -- the deadline, the warning, and secrets ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HangingFolders(ReportFolders):
    """Folders on a file system that does not respond to so many writes, of which each sends a signal first."""

    signals: Signals = field(default_factory=Signals)
    hangs: list[None]

    def write(self, report_dir: str, files: Mapping[str, bytes]) -> tuple[dict[str, str], str]:
        self._hang()
        return ReportFolders(base=self.base).write(report_dir, files)

    def remove(self, report_dir: str, names: Iterable[str]) -> None:  # noqa: ARG002 - the signature of the original
        self._hang()

    def _hang(self) -> None:
        if self.hangs:
            self.hangs.pop()
            self.signals.receive(15)
            threading.Event().wait(20)  # longer than each deadline


@dataclass
class Step:
    """A writer, with its warnings and its signals."""

    folders: ReportFolders
    output: FakeOutput = field(default_factory=FakeOutput)
    signals: Signals = field(default_factory=Signals)

    @property
    def writer(self) -> ReportWriter:
        return ReportWriter(self.folders, self.output, self.signals, Redactor([SECRET]))

    def write(self, report_dir: str, **texts: str) -> Mapping[str, str]:
        return self.writer.write(report_dir, texts)


def test_files_of_an_earlier_run_are_removed_and_links_are_not_followed(places: Places) -> None:
    for folder in (places.workspace / "build", places.outside):
        folder.mkdir(exist_ok=True)
        for name in ("report.json", "mine"):
            (folder / name).write_text("earlier")
    (places.workspace / "build" / "report.md").symlink_to(places.outside / "report.json")
    (places.workspace / "linked").symlink_to(places.outside)
    (places.workspace / "folder" / "report.json").mkdir(parents=True)
    before = places.everything()
    for refused in ("linked", "linked/../build", ".git", "none/deeper", "folder", "\ud800", str(places.outside)):
        places.folders.remove(refused, FILES)
    assert places.everything() == before
    places.folders.remove("build", FILES)
    gone = {str(places.workspace / "build" / name) for name in FILES}
    assert set(places.everything()) == set(before) - gone


@pytest.mark.parametrize("link", ["linked", "sub/linked", "linked/deeper", "sub/../linked"])
def test_files_of_an_earlier_run_are_removed_behind_a_link_that_leads_to_another_allowed_folder(
    link: str, places: Places
) -> None:
    """Nothing is written there, and a later step that follows the link must not read the earlier result."""
    (places.workspace / "sub").mkdir()
    for number, target in enumerate([places.workspace / "build", places.temporary / "gate"]):
        real = target / "deeper" if link.endswith("deeper") else target
        real.mkdir(parents=True)
        place = places.workspace / link.removesuffix("/deeper").replace("linked", f"linked{number}")
        place.symlink_to(target)
        for name in (*FILES, "mine"):
            (real / name).write_text("earlier")
        report_dir = link.replace("linked", f"linked{number}")
        assert places.write(report_dir)[0] == {}
        places.folders.remove(report_dir, FILES)
        assert (names_in(real), place.is_symlink()) == (["mine"], True)


@pytest.mark.parametrize("target", [".github", ".git/hooks", "_temp", "outside"])
def test_nothing_is_removed_behind_a_link_that_leads_to_a_folder_that_is_refused(target: str, places: Places) -> None:
    folders = {"_temp": places.temporary / "_temp", "outside": places.outside}
    real = folders.get(target, places.workspace / target)
    real.mkdir(parents=True, exist_ok=True)
    (real / "report.json").write_text("earlier")
    (places.workspace / "linked").symlink_to(real)
    places.folders.remove("linked", FILES)
    assert names_in(real) == ["report.json"]


def test_no_secret_reaches_a_file(places: Places) -> None:
    step = Step(places.folders)
    assert step.write("build", report=f"text with {SECRET} and \ud800") == {"report": "build/report"}
    assert (places.workspace / "build" / "report").read_bytes() == b"text with *** and ?"
    assert step.output.annotations == []


@pytest.mark.timeout(8)
def test_a_write_or_a_removal_that_hangs_ends_soon_after_a_signal(places: Places) -> None:
    folders = HangingFolders(base=places.workspace, hangs=[None] * 2)
    step = Step(folders, signals=folders.signals)
    assert step.write("build", report="") == {}
    [(level, text)] = step.output.annotations
    assert (level, "the file system did not respond in time" in text) == (Level.WARNING, True)
    assert folders.hangs == []
    folders.hangs.append(None)
    step.writer.remove("build", ("report.json",))
    assert len(step.output.annotations) == 1


@pytest.mark.timeout(8)
def test_a_write_that_a_signal_interrupts_is_repeated(places: Places) -> None:
    folders = HangingFolders(base=places.workspace, hangs=[None])
    step = Step(folders, signals=folders.signals)
    assert step.write("build", report="") == {"report": "build/report"}
    assert step.output.annotations == []


# -- what is read -----------------------------------------------------------------------------------------------------


def test_a_file_is_read_up_to_a_size_and_an_absent_one_is_no_problem(places: Places) -> None:
    places.write("kept", {"baseline.json": b"12345"})
    writer = Step(places.folders).writer
    assert writer.read("kept", "baseline.json", 3) == (b"123", "")
    assert writer.read(f"{places.workspace}/kept", "baseline.json", 9) == (b"12345", "")
    for folder in ("kept", "absent/kept"):
        assert writer.read(folder, "other.json", 9) == (None, "")
    assert names_in(places.workspace) == ["kept"]


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "linked folder"])
def test_what_is_no_regular_file_is_not_read(kind: str, places: Places) -> None:
    (places.outside / "baseline.json").write_text("secret")
    kept = places.workspace / "kept"
    if kind == "linked folder":
        kept.symlink_to(places.outside)
    else:
        kept.mkdir()
    if kind == "link":
        (kept / "baseline.json").symlink_to(places.outside / "baseline.json")
    elif kind == "folder":
        (kept / "baseline.json").mkdir()
    elif kind == "fifo":
        os.mkfifo(kept / "baseline.json")
    content, problem = Step(places.folders).writer.read("kept", "baseline.json", 9)
    assert content is None
    assert problem.startswith('baseline.json could not be read from "kept": ')


def test_nothing_is_read_where_nothing_is_written(places: Places) -> None:
    for folder in ("..", str(places.outside), ".git", ".github/kept", f"{places.temporary}/_own"):
        content, problem = Step(places.folders).writer.read(folder, "baseline.json", 9)
        assert (content, "could not be read" in problem) == (None, True)
