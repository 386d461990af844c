"""The fixture that the tests of a session share."""

from collections.abc import Iterator

import pytest

from tests.github.scene import Scene
from tests.github_double import GitHub
from tests.github_double.in_process import connected


@pytest.fixture
def scene() -> Iterator[Scene]:
    github = GitHub()
    with connected(github):
        yield Scene(github)
