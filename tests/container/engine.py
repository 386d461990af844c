"""The calls of `docker` that prepare and inspect a test, and a fresh clone of this repository."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.runner import REPOSITORY

PINNED: str = re.findall(r"^FROM (\S+)", (REPOSITORY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)[0]
BASE = PINNED.partition("@")[0]


def docker(*arguments: str) -> str:
    """Return what `docker` prints; its complaint is the error where it fails."""
    command = [shutil.which("docker") or "docker", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def volume_of(label: str) -> str:
    return label.replace("=", "-")


def build(folder: Path) -> str:
    """Build an image and return its id. GATE_BASE names a local image that replaces the pinned base."""
    base = os.environ.get("GATE_BASE")
    replaced = [f"--build-context={PINNED}=docker-image://{base}"] if base else []
    return docker("build", "--quiet", "--network=host", *replaced, str(folder))


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
