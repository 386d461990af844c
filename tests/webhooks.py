"""Owns GitHub's own example payloads: fetched when first asked for, in one fixed version, kept in the test cache.

Never uses what is not byte for byte the package it names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "@octokit/webhooks-examples"
VERSION = "7.6.1"
ARCHIVE = f"octokit-webhooks-examples-{VERSION}.tgz"
SHA512 = "De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ=="
LONGEST_FETCH = 100  # seconds; below the limit of a test
# npm comes with the development requirements, so that no machine has to have it.
NPM = shutil.which("npm", path=str(Path(sys.executable).parent))


def example_payloads(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the payloads of github.com by event name; `folder` keeps the package's archive.

    Raises `CalledProcessError` when npm cannot fetch it, `ValueError` when it is not the package that was meant.
    """
    kept = folder / ARCHIVE
    if not kept.exists():
        _fetch(kept)
    if base64.b64encode(hashlib.sha512(kept.read_bytes()).digest()).decode() != SHA512:
        raise ValueError(f"{kept} is not {PACKAGE} {VERSION}; delete it")
    with tarfile.open(kept) as archive:
        index = archive.extractfile("package/api.github.com/index.json")
        assert index is not None
        return {each["name"]: each["examples"] for each in json.load(index)}


def _fetch(kept: Path) -> None:
    """Fetch the archive beside its place and move it there: several test processes may do so at once."""
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        subprocess.run(
            [NPM or "npm", "pack", "--silent", "--pack-destination", folder, f"{PACKAGE}@{VERSION}"],
            check=True,
            cwd=folder,
            env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
            stdout=subprocess.DEVNULL,
            timeout=LONGEST_FETCH,
        )
        (Path(folder) / ARCHIVE).replace(kept)
