"""The policy file of the checkout is read only in the workspace, and is absent only if nothing has its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sepurux_action.evaluation.trace_files import NOWHERE, TraceFolder
from sepurux_action.github.policy_source import read_checkout


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return an empty workspace, with a parent folder for other files."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"{}")


def test_a_policy_file_that_leads_outside_cannot_be_read_whether_it_exists_or_not(base: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yml"
    outside.write_bytes(b"campaign: c\n")
    (base / "link.yml").symlink_to(outside)
    for path in ("../outside.yml", "../none.yml", str(outside), "link.yml"):
        with pytest.raises(OSError, match="it leads outside the workspace"):
            read_checkout(TraceFolder(base), path)


def test_a_policy_file_of_the_workspace_does_not_lead_into_the_temporary_folder(base: Path, tmp_path: Path) -> None:
    write(tmp_path / "temp", "policy.yml")
    (base / "policy.yml").symlink_to(tmp_path / "temp/policy.yml")
    with pytest.raises(OSError, match="it leads outside the workspace"):
        read_checkout(TraceFolder(base, [tmp_path / "temp"]), "policy.yml")


def test_a_policy_file_is_absent_only_if_nothing_has_its_name(base: Path) -> None:
    write(base, "own.yml", "sub/real.yml")
    (base / "link.yml").symlink_to("sub/real.yml")
    (base / "dangling.yml").symlink_to("none.yml")
    (base / "folder.yml").mkdir()
    found = TraceFolder(base)
    assert [read_checkout(found, path) for path in ("own.yml", "link.yml")] == [b"{}"] * 2
    assert [read_checkout(found, path) for path in ("none.yml", "own.yml/none.yml")] == [None] * 2
    for path in ("dangling.yml", "folder.yml"):
        with pytest.raises(OSError, match="it is not a file"):
            read_checkout(found, path)


def test_a_deleted_working_directory_has_no_policy_file() -> None:
    assert read_checkout(TraceFolder(NOWHERE), ".github/sepurux-gate.yml") is None
