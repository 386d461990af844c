"""The calls of `docker` that prepare and inspect a test."""

from __future__ import annotations

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


def build(folder: Path) -> str:
    """Build an image and return its id. GATE_BASE names a local image that replaces the pinned base."""
    base = os.environ.get("GATE_BASE")
    replaced = [f"--build-context={PINNED}=docker-image://{base}"] if base else []
    return docker("build", "--quiet", "--network=host", *replaced, str(folder))
