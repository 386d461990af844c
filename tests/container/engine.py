"""The calls of `docker` that prepare and inspect a test."""

from __future__ import annotations

import re
import shutil
import subprocess

from tests.runner import REPOSITORY

BASE: str = re.findall(r"^FROM (\S+)", (REPOSITORY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)[0]


def docker(*arguments: str) -> str:
    """Return what `docker` prints; its complaint is the error where it fails."""
    command = [shutil.which("docker") or "docker", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
