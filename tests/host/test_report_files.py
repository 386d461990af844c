"""The files of `report_dir`: what earlier steps left there leads no write elsewhere, and a failure is one warning."""

import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from sepurux_action.common.secret import Redactor
from sepurux_action.host.deadlines import Signals
from sepurux_action.host.output import Level
from sepurux_action.host.report_files import ReportFolders, ReportWriter, open_folder, write_file
from sepurux_action.step import from_step
from tests.fakes import FakeOutput

FILES = {"report.json": "{}", "report.xml": "<suites/>"}
SECRET = "made-up-secret"


def writer(folders: ReportFolders, signals: Signals | None = None) -> tuple[ReportWriter, FakeOutput]:
    output = FakeOutput()
    output.mask_secrets(Redactor([SECRET]))
    return ReportWriter(folders, output, signals or Signals()), output


@dataclass(frozen=True)
class Places:
    """A workspace, the runner's temporary folder, and a folder that nothing may be written to."""

    workspace: Path
    temporary: Path
    outside: Path

    @property
    def folders(self) -> ReportFolders:
        return ReportFolders(base=self.workspace, temporary=self.temporary)

    def write(
        self, report_dir: str | Path, files: Mapping[str, str] = FILES, folders: ReportFolders | None = None
    ) -> tuple[Mapping[str, str], str]:
        """Return the paths of the files, and the warning, '' without one."""
        made, output = writer(folders or self.folders)
        return made.write(str(report_dir), files), "".join(text for _, text in output.annotations)

    def refused(self, report_dir: str | Path) -> str:
        """Return why nothing was written, after a check that nothing was created, and nothing is read there."""
        before = self.everything()
        paths, problem = self.write(report_dir)
        assert (paths, self.everything()) == ({}, before)
        assert writer(self.folders)[0].read(str(report_dir), "baseline.json", 9)[0] is None
        assert problem.startswith('report.json, report.xml could not be written to "')
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


@pytest.mark.parametrize("report_dir", ["build", "build/reports/", "./build//reports", ".", ".gitlab/_build"])
def test_missing_folders_are_created_and_paths_are_relative_to_the_workspace(report_dir: str, places: Places) -> None:
    written = places.write(report_dir)
    folder = places.workspace / report_dir
    assert {name: (folder / name).read_text() for name in names_in(folder)} == FILES
    assert written == ({name: (PurePosixPath(report_dir) / name).as_posix() for name in FILES}, "")


def test_an_absolute_path_below_the_workspace_or_its_real_path_is_accepted(places: Places, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(places.workspace)
    folders = ReportFolders(base=link)
    for number, root in enumerate([link, places.workspace]):
        assert places.write(f"{root}/{number}", folders=folders)[0]["report.xml"] == f"{number}/report.xml"
        assert names_in(places.workspace / str(number)) == list(FILES)


def test_a_path_in_the_temporary_folder_is_shown_as_later_steps_know_it(places: Places) -> None:
    folders = ReportFolders(
        base=places.workspace, temporary=places.temporary, temporary_for_steps=PurePosixPath("/home/runner/work/_temp")
    )
    shown = places.write(places.temporary / "gate", folders=folders)[0]["report.json"]
    assert shown == "/home/runner/work/_temp/gate/report.json"
    assert places.write(places.temporary)[0]["report.json"] == f"{places.temporary}/report.json"
    assert names_in(places.temporary) == ["gate", *FILES]


@pytest.mark.parametrize(
    ("temp", "workspace", "shown"),
    [
        ("/github/runner_temp", "/home/runner/work/agents", "/home/runner/work/_temp"),
        ("/github/runner_temp", "", None),
        ("/home/runner/work/_temp", "/home/runner/work/agents", None),
    ],
)
def test_a_container_action_shows_its_temporary_folder_as_the_runner_knows_it(
    temp: str, workspace: str, shown: str | None
) -> None:
    environ = {"GITHUB_WORKSPACE": "/github/workspace", "RUNNER_TEMP": temp, "RUNNER_WORKSPACE": workspace}
    folders = from_step({}, environ, {}).report_folders
    assert (folders.base, folders.temporary) == (Path("/github/workspace"), Path(temp))
    assert folders.temporary_for_steps == (PurePosixPath(shown) if shown else None)


def test_later_steps_of_another_user_can_read_the_files(places: Places) -> None:
    before = os.umask(0o027)
    try:
        places.write("build")
    finally:
        os.umask(before)
    assert stat.S_IMODE((places.workspace / "build" / "report.json").stat().st_mode) == 0o640
    places.write("others")
    assert stat.S_IMODE((places.workspace / "others" / "report.json").stat().st_mode) == 0o644 & ~before


REFUSED = {
    '".." is not accepted': ["..", "../outside", "build/../../outside", "build/..", "linked/../build"],
    "outside the workspace or the runner's temporary folder": ["{top}/outside", "/", "{top}", "{top}/workspace-2"],
    'nothing is written below ".': [".git", ".GitHub/workflows", "sub/.git/hooks", "{top}/temp/sub/.GitHub/hooks"],
    "belongs to the runner": ["{top}/temp/_runner_file_commands", "{top}/temp/_new", "{top}/temp/_github_workflow/x"],
    '"file" is a symbolic link or not a folder': ["file", "file/reports"],
    '"fifo" is a symbolic link or not a folder': ["fifo", "fifo/reports"],
    "File name too long": ["x" * 300],
    "cannot encode this name": ["\ud800"],
}


@pytest.mark.parametrize(("why", "report_dir"), [(why, each) for why, listed in REFUSED.items() for each in listed])
def test_a_folder_that_is_refused_is_neither_created_nor_read(why: str, report_dir: str, places: Places) -> None:
    (places.workspace / "file").touch()
    os.mkfifo(places.workspace / "fifo")
    path = report_dir.format(top=places.outside.parent)
    assert why in places.refused(path)
    assert why in writer(places.folders)[0].read(path, "baseline.json", 9)[1]


def test_the_runners_own_names_are_rejected_by_each_path_that_leads_there_and_only_in_its_folder(
    places: Places, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    folders = ReportFolders(base=link, temporary=places.temporary)
    for path in ("temp/_github_home", f"{link}/temp/_github_home", f"{places.temporary}/_github_home"):
        assert "belongs to the runner" in places.write(path, folders=folders)[1]
    assert names_in(places.temporary) == []
    assert places.write(places.temporary / "gate" / "_new")[1] == ""


@pytest.mark.parametrize("target", ["../outside", "../outside/new", ".github", "real"])
def test_a_link_in_the_path_is_not_followed(target: str, places: Places) -> None:
    for folder in (".github", "real"):
        (places.workspace / folder).mkdir()
    (places.outside / "baseline.json").write_text("secret")
    for link in (places.workspace / "link", places.workspace / "real" / "link"):
        link.symlink_to(places.workspace / target)
    for report_dir in ("link", "link/sub", "real/link"):
        assert '"link" is a symbolic link or not a folder' in places.refused(report_dir)


def test_a_parent_that_a_link_replaces_meanwhile_leads_no_folder_elsewhere(places: Places) -> None:

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


def test_a_link_or_fifo_in_place_of_a_file_is_replaced_and_the_target_stays_as_it_is(places: Places) -> None:
    target, build = places.outside / "target", places.workspace / "build"
    target.write_text("before")
    build.mkdir()
    (build / "report.json").symlink_to(target)
    (build / "report.xml").hardlink_to(target)
    os.mkfifo(build / "third")
    files = {"third": "", **FILES}
    assert places.write("build", files)[1] == ""
    assert target.read_text() == "before"
    assert not (build / "report.json").is_symlink()
    assert {name: (build / name).read_text() for name in names_in(build)} == files


def test_a_folder_in_place_of_one_file_is_a_problem_of_that_file_only(places: Places) -> None:
    build = places.workspace / "build"
    (build / "report.json" / "kept").mkdir(parents=True)
    problem = 'report.json could not be written to "build": Is a directory.'
    assert places.write("build") == ({"report.xml": "build/report.xml"}, problem)
    assert names_in(build) == list(FILES)
    assert names_in(build / "report.json") == ["kept"]


def test_a_full_disk_is_one_problem_and_leaves_the_old_file_and_no_part_of_the_new_one(places: Places) -> None:
    places.write("build", {"report.json": "old"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))  # larger files fail, as on a full disk
    try:
        written = places.write("build", {"report.json": "x" * 5_000, "report.xml": "y" * 6_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert written == ({}, 'report.json, report.xml could not be written to "build": File too large.')
    assert names_in(places.workspace / "build") == ["report.json"]
    assert (places.workspace / "build" / "report.json").read_bytes() == b"old"


def test_a_workspace_or_temporary_folder_that_is_missing_is_a_problem_and_not_created(places: Places) -> None:
    places.temporary.rmdir()
    assert "No such file or directory" in places.refused(places.temporary / "gate")
    missing = ReportFolders(base=places.workspace / "missing")
    assert "No such file or directory" in places.write("build", folders=missing)[1]
    assert not places.temporary.exists()


@dataclass(frozen=True, kw_only=True)
class HangingFolders(ReportFolders):
    """Folders on a file system that does not respond so many times, each after a signal."""

    signals: Signals = field(default_factory=Signals)
    hangs: list[None]

    def locate(self, report_dir: str) -> tuple[Path, tuple[str, ...]]:
        if self.hangs:
            self.hangs.pop()
            self.signals.receive(15)
            threading.Event().wait(20)  # longer than each deadline
        return super().locate(report_dir)


def test_files_of_an_earlier_run_are_removed_and_links_are_not_followed(places: Places) -> None:
    for folder in (places.workspace / "build", places.outside):
        folder.mkdir(exist_ok=True)
        for name in ("report.json", "mine"):
            (folder / name).write_text("earlier")
    (places.workspace / "build" / "report.xml").symlink_to(places.outside / "report.json")
    (places.workspace / "linked").symlink_to(places.outside)
    (places.workspace / "folder" / "report.json").mkdir(parents=True)
    before = places.everything()
    for refused in ("linked", "linked/../build", ".git", "none/deeper", "folder", "\ud800", str(places.outside)):
        writer(places.folders)[0].remove(refused, FILES)
    assert places.everything() == before
    writer(places.folders)[0].remove("build", FILES)
    gone = {str(places.workspace / "build" / name) for name in FILES}
    assert set(places.everything()) == set(before) - gone


@pytest.mark.parametrize("link", ["linked", "sub/linked", "linked/deeper", "sub/../linked"])
@pytest.mark.parametrize(
    ("target", "remain"),
    [
        ("workspace/build", ["mine"]),
        ("temp/gate", ["mine"]),
        *((each, ["mine", *FILES]) for each in ("workspace/.github", "workspace/.git/hooks", "temp/_temp", "outside")),
    ],
)
def test_files_of_an_earlier_run_are_removed_behind_a_link_that_leads_to_another_allowed_folder(
    link: str, target: str, remain: list[str], places: Places, tmp_path: Path
) -> None:
    """Nothing is written there, and a later step that follows the link must not read the earlier result."""
    (places.workspace / "sub").mkdir()
    real = tmp_path / target / ("deeper" if link.endswith("deeper") else "")
    real.mkdir(parents=True, exist_ok=True)
    (places.workspace / link.removesuffix("/deeper")).symlink_to(tmp_path / target)
    for name in (*FILES, "mine"):
        (real / name).write_text("earlier")
    assert places.write(link)[0] == {}
    writer(places.folders)[0].remove(link, FILES)
    assert names_in(real) == remain


def test_no_secret_reaches_a_file(places: Places) -> None:
    files, output = writer(places.folders)
    assert files.write("build", {"report": f"text with {SECRET} and \ud800"}) == {"report": "build/report"}
    assert (places.workspace / "build" / "report").read_bytes() == b"text with *** and ?"
    assert output.annotations == []


@pytest.mark.timeout(8)
@pytest.mark.parametrize(("times", "written"), [(1, {"report": "build/report"}), (2, {})])
def test_a_write_that_a_signal_interrupts_is_repeated_once_and_a_removal_that_hangs_ends(
    times: int, written: dict[str, str], places: Places
) -> None:
    folders = HangingFolders(base=places.workspace, hangs=[None] * times)
    files, output = writer(folders, folders.signals)
    assert files.write("build", {"report": ""}) == written
    late = (Level.WARNING, 'report could not be written to "build": the file system did not respond in time.')
    assert output.annotations == [late] * (times - 1)
    assert folders.hangs == []
    folders.hangs.append(None)
    files.remove("build", ("report.json",))
    assert len(output.annotations) == times - 1


def test_a_file_is_read_up_to_a_size_and_an_absent_one_is_no_problem(places: Places) -> None:
    places.write("kept", {"baseline.json": "12345"})
    read = writer(places.folders)[0].read
    assert read("kept", "baseline.json", 3) == (b"123", "")
    assert read(f"{places.workspace}/kept", "baseline.json", 9) == (b"12345", "")
    for folder in ("kept", "absent/kept"):
        assert read(folder, "other.json", 9) == (None, "")
    assert names_in(places.workspace) == ["kept"]


@pytest.mark.parametrize("make", [lambda file: file.symlink_to(__file__), Path.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_not_read(make: Callable[[Path], None], places: Places) -> None:
    (places.workspace / "kept").mkdir()
    make(places.workspace / "kept" / "baseline.json")
    content, problem = writer(places.folders)[0].read("kept", "baseline.json", 9)
    assert content is None
    assert problem.startswith('baseline.json could not be read from "kept": ')
