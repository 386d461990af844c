"""Where a step may write its report files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from sepurux_action.step import from_step


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
