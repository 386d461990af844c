"""Owns the calls of `docker` that set a scene or look at it; never runs a step."""

from __future__ import annotations

import shutil
import subprocess


def docker(*arguments: str) -> str:
    """Return what `docker` prints; its complaint is the error where it fails."""
    command = [shutil.which("docker") or "docker", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
