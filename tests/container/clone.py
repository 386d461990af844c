"""A fresh clone of this repository, as a user has it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.runner import REPOSITORY


def a_clone(folder: Path) -> Path:
    """Return a new folder with the files that git has of this repository, or would have after `git add`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    return folder
