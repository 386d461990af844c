"""Files that the gate writes: what earlier steps left there leads no write elsewhere, and a failure is one warning."""

import os
import resource
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sepurux_action.common.secret import Redactor
from sepurux_action.host.output import read_file, write_files
from tests.fakes import FakeOutput

FILES = {"report.json": "{}", "report.xml": "<suites/>"}
SECRET = "made-up-secret"


def write(folder: Path, files: Mapping[str, str] = FILES) -> str:
    """Write the files; return the warning, '' without one."""
    output = FakeOutput()
    output.mask_secrets(Redactor([SECRET]))
    write_files(folder, files, output)
    return "".join(text for _, text in output.annotations)


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_a_folder_is_created_and_files_are_replaced_without_secrets(tmp_path: Path) -> None:
    for text, written in (("{}", "{}"), (f"text with {SECRET} and \ud800", "text with *** and ?")):
        assert write(tmp_path / "a" / "b", {"report.json": text}) == ""
        assert content(tmp_path / "a" / "b") == {"report.json": written}


def test_a_link_or_fifo_in_place_of_a_file_is_replaced_and_the_target_stays_as_it_is(tmp_path: Path) -> None:
    target, folder = tmp_path / "target", tmp_path / "build"
    target.write_text("before")
    folder.mkdir()
    (folder / "report.json").symlink_to(target)
    (folder / "report.xml").hardlink_to(target)
    os.mkfifo(folder / "third")
    files = {**FILES, "third": ""}
    assert write(folder, files) == ""
    assert (target.read_text(), content(folder)) == ("before", files)
    assert not (folder / "report.json").is_symlink()


def test_a_full_disk_is_one_problem_and_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path: Path) -> None:
    write(tmp_path, {"report.json": "old"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))  # larger files fail, as on a full disk
    try:
        problem = write(tmp_path, {"report.json": "x" * 5_000, "report.xml": "y" * 6_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert problem.startswith(f'report.json, report.xml could not be written to "{tmp_path.parent.parent}')
    assert problem.endswith(": File too large.")
    assert content(tmp_path) == {"report.json": "old"}


@pytest.mark.parametrize(("make", "why"), [(Path.touch, "File exists"), (lambda path: path.symlink_to("x"), "exists")])
def test_a_folder_that_cannot_be_made_is_one_problem(make: Callable[[Path], None], why: str, tmp_path: Path) -> None:
    make(tmp_path / "build")
    assert why in write(tmp_path / "build")


@pytest.mark.parametrize("make", [lambda _: None, Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_not_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "baseline.json")
    assert read_file(tmp_path / "baseline.json", 9) is None


def test_a_file_is_read_up_to_a_size(tmp_path: Path) -> None:
    write(tmp_path, {"baseline.json": "12345"})
    assert [read_file(tmp_path / "baseline.json", most) for most in (3, 9)] == [b"123", b"12345"]
