"""Builds the image under test, and removes the containers that tests leave.

GATE_IMAGE names an image that is built already; without it one is built.
"""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.container.engine import BASE, build, docker, volume_of
from tests.runner import REPOSITORY


@pytest.fixture(scope="session")
def image() -> str:
    return os.environ.get("GATE_IMAGE") or build(REPOSITORY)


@pytest.fixture(scope="session")
def base() -> str:
    """Return the image that ours stands on; a build alone does not leave it where `docker run` finds it."""
    if not docker("image", "ls", "--quiet", BASE):
        docker("pull", "--quiet", BASE)
    return BASE


@pytest.fixture
def label() -> Iterator[str]:
    """Yield a label for the containers of one test; neither they nor their volume outlive it, however it ends."""
    label = f"gate-test={uuid4().hex}"
    yield label
    left = docker("ps", "--all", "--quiet", "--filter", f"label={label}").split()
    if left:
        docker("rm", "--force", *left)
    docker("volume", "rm", "--force", volume_of(label))
