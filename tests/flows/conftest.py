"""The fixture that the flow tests share: a pull request on a GitHub double."""

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
