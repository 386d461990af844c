"""The fixture that the whole-gate tests share: a pull request on a GitHub double, and a backend that passes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend import sound_backend
from tests.github_double import GitHub
from tests.scenes import Scene, a_scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with GitHub() as github, sound_backend() as sepurux:
        yield a_scene(github, sepurux, tmp_path)
