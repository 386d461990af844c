"""Owns packages of npm: each in one fixed version, fetched when first asked for, kept as the archive that npm names.

Never unpacks, installs or runs one, and never uses an archive that is not byte for byte the package it names.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

LONGEST_FETCH = 100  # seconds; below the limit of a test
# npm comes with the development requirements, so that no machine has to have it.
NPM = shutil.which("npm", path=str(Path(sys.executable).parent)) or "npm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One version of a package; `sha512` is the sum of its archive as the registry tells it, in base64."""

    name: str
    version: str
    sha512: str

    @property
    def archive(self) -> str:
        """Return the name that npm gives the archive."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    def read(self, member: str, folder: Path) -> bytes:
        """Return a file of the package; `folder` keeps the archive.

        Raises `CalledProcessError` when npm cannot fetch it, `ValueError` when it is not the package that was meant,
        `KeyError` when it has no such file.
        """
        kept = folder / self.archive
        if not kept.exists():
            self._fetch(kept)
        if base64.b64encode(hashlib.sha512(kept.read_bytes()).digest()).decode() != self.sha512:
            raise ValueError(f"{kept} is not {self.name} {self.version}; delete it")
        with tarfile.open(kept) as archive:
            file = archive.extractfile(f"package/{member}")
            if file is None:
                raise KeyError(member)
            return file.read()

    def _fetch(self, kept: Path) -> None:
        """Fetch the archive beside its place and move it there: several processes may do so at once."""
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            subprocess.run(  # noqa: S603 - fixed words, and no shell
                [NPM, "pack", "--silent", "--pack-destination", folder, f"{self.name}@{self.version}"],
                check=True,
                cwd=folder,
                env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
                stdout=subprocess.DEVNULL,
                timeout=LONGEST_FETCH,
            )
            (Path(folder) / self.archive).replace(kept)
