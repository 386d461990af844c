"""Sets up the test process, wherever it is started."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sepurux_action.sandbox import Sandbox
from tests.backend import sound_backend
from tests.github_double import GitHub
from tests.sandboxed import SECRET
from tests.scenes import Scene, a_scene

# What a shell starts in the background has SIGINT ignored, and so would have every step that a test starts and signals;
# GitHub's runner starts its steps with the kernel's defaults.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile("thorough" if os.environ.get("CI") else "quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that all test processes end at about the same time."""
    items.sort(key=lambda item: item.path.parent.name != "worlds")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(token=SECRET) as sandbox:
        yield sandbox


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with GitHub() as github, sound_backend() as sepurux:
        yield a_scene(github, sepurux, tmp_path)
