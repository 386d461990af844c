"""The fixtures that the flow tests share: a pull request on a GitHub double, and jobs for the composite action.

To be fast, the Python of such a job copies a prepared environment instead of creating one. Only the test that is marked
`container` creates an environment and installs the locked packages.
"""

import shutil
import venv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from sysconfig import get_path

import pytest

from sepurux_action.sandbox import Sandbox
from tests.backend import sound_backend
from tests.flows.composite_job import NO_INDEX, Job, python, tool
from tests.github_double import GitHub
from tests.sandboxed import SECRET
from tests.scenes import Scene, a_scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with GitHub() as github, sound_backend() as sepurux:
        yield a_scene(github, sepurux, tmp_path)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    for path in Path(get_path("purelib")).glob("pip*"):
        if path.name == "pip" or path.name.endswith(".dist-info"):
            (packages / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, bare: Path) -> Job:
    """Return a job in which a step has created an environment, with the packages of this test suite."""
    folder = tmp_path_factory.mktemp("prepared")
    full = folder / "venv"
    shutil.copytree(bare, full, symlinks=True)
    (packages,) = full.glob("lib/python*/site-packages")
    (packages / "suite.pth").write_text(get_path("purelib"), encoding="utf-8")
    tool(folder / "tools", "python3", python(full))
    with Sandbox(token=SECRET) as sandbox:
        job = Job(workspace=folder / "workspace", temp=folder / "_temp", tools=folder / "tools", url=sandbox.url)
        result = job.run(env=NO_INDEX)
    assert result.exit_code == 0, result.log
    return job


@pytest.fixture
def job(prepared: Job, tmp_path: Path, sandbox: Sandbox) -> Job:
    return replace(prepared, workspace=tmp_path / "workspace", url=sandbox.url)


@pytest.fixture
def fresh(bare: Path, tmp_path: Path, sandbox: Sandbox) -> Job:
    """Return a job before its first step, whose environment will contain only pip."""
    tool(tmp_path / "tools", "python3", python(bare))
    return Job(workspace=tmp_path / "workspace", temp=tmp_path / "_temp", tools=tmp_path / "tools", url=sandbox.url)
