"""The packages of a composite step: what pip installs into its environment, and what a planted file cannot replace."""

import hashlib
import io
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from sepurux_action.sandbox import Sandbox
from tests.flows.composite_job import NO_INDEX, Job, a_copy, python, tool, trap
from tests.runner import REPOSITORY

# Modules that one of the interpreters on the way would import if it looked into the checkout.
PLANTED = ["ensurepip/__init__.py", "hashlib.py", "json.py", "pip/__init__.py", "pip/__main__.py"]
PLANTED += ["requests/__init__.py", "yaml.py"]
PLANTED += ["sepurux_action/__init__.py", "sitecustomize.py", "usercustomize.py", "venv/__init__.py"]


# What pip takes from the environment besides the way to an index: settings for the packages of the job.
FOR_OTHER_PACKAGES = {
    **dict.fromkeys(("PIP_CONSTRAINT", "PIP_EDITABLE", "PIP_REQUIREMENT"), "no-such-file"),
    **dict.fromkeys(("PIP_DRY_RUN", "PIP_REQUIRE_VIRTUALENV", "PIP_USER"), "1"),
    "PIP_NO_BINARY": ":all:",
}
BUILDS_ITSELF = "[build-system]\nrequires = []\nbuild-backend = 'builder'\nbackend-path = ['.']\n"


def a_package(folder: Path, trapped: Path) -> tuple[str, str]:
    """Write a package as a wheel and another one as source; return their lines of a lock file with hashes."""
    wheel, source = folder / "made_up-1.0-py3-none-any.whl", folder / "made_up_source-1.0.tar.gz"
    about = "Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\nRequires-Dist: not-locked\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("made_up.py", "")
        archive.writestr("made_up-1.0.dist-info/METADATA", about)
        archive.writestr(
            "made_up-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("made_up-1.0.dist-info/RECORD", "")
    with tarfile.open(source, "w:gz") as archive:
        for name, text in (("pyproject.toml", BUILDS_ITSELF), ("builder.py", trap(trapped))):
            member = tarfile.TarInfo(f"made_up_source-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    first, second = (hashlib.sha256(file.read_bytes()).hexdigest() for file in (wheel, source))
    return f"made-up==1.0 --hash=sha256:{first}\n", f"made-up-source==1.0 --hash=sha256:{second}\n"


@pytest.mark.container
def test_nothing_of_a_checkout_or_an_earlier_step_is_imported_while_installing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    workspace, trapped = tmp_path / "workspace", tmp_path / "trapped"
    variables = dict.fromkeys(("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX"), str(workspace))
    variables |= {"PYTHONSTARTUP": str(workspace / "yaml.py"), "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2"}
    variables |= dict.fromkeys(("PIP_PREFIX", "PIP_PYTHON", "PIP_ROOT", "PIP_TARGET"), str(workspace))
    variables |= {**FOR_OTHER_PACKAGES, "CDPATH": str(workspace)}
    tool(tmp_path / "tools", "python3", python())
    job = Job(workspace=workspace, temp=tmp_path / "the runner's _temp", tools=tmp_path / "tools", url=sandbox.url)
    result = job.run(env=variables, files=dict.fromkeys(PLANTED, trap(trapped)))
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log
    assert not trapped.exists()
    assert not list(workspace.rglob("*.pyc")), "an interpreter heeded PYTHONPYCACHEPREFIX"
    later = job.run(env=NO_INDEX)
    assert (later.exit_code, later.outputs.get("decision")) == (0, "pass"), later.log


def test_a_wheel_of_the_locks_hash_is_installed_and_nothing_else(fresh: Job, tmp_path: Path) -> None:
    """Its dependencies are not installed: the lock file lists everything."""
    trapped = tmp_path / "trapped"
    locked, source = a_package(tmp_path, trapped)
    action = a_copy(tmp_path, "import made_up\nprint('started')\n")
    step = replace(fresh, action=action)
    found = {**NO_INDEX, **FOR_OTHER_PACKAGES, "PIP_FIND_LINKS": str(tmp_path)}
    for lock, is_installed in (
        (locked, True),
        (locked.partition(" ")[0], False),  # any made-up 1.0 would do
        (locked[:-5] + "0000\n", False),
        (locked + source, False),  # it would run its own code to become a wheel
    ):
        (tmp_path / "requirements.txt").write_text(lock, encoding="utf-8")
        result = step.run(env=found)
        assert (result.exit_code == 0, "started" in result.log) == (is_installed, is_installed), result.log
        assert is_installed or "The gate's packages could not be installed" in result.messages("error")[-1]
    assert not trapped.exists()


def test_an_environment_that_has_lost_its_python_is_made_again(fresh: Job, tmp_path: Path) -> None:
    locked, _ = a_package(tmp_path, tmp_path / "trapped")
    step = replace(fresh, action=a_copy(tmp_path, "import made_up\nprint('started')\n"))
    (tmp_path / "requirements.txt").write_text(locked, encoding="utf-8")
    found = {**NO_INDEX, "PIP_FIND_LINKS": str(tmp_path)}
    assert step.run(env=found).raw_log == "started\n"
    (environment,) = step.environments
    for lost in ("bin", "bin/python"):
        shutil.move(environment / lost, tmp_path / lost.replace("/", " of "))
        result = step.run(env=found)
        assert (result.exit_code, result.raw_log) == (0, "started\n"), result.log


def test_no_file_beside_the_action_replaces_a_module_that_the_gate_imports(job: Job) -> None:
    """The workflow says `uses: ./composite`, and the checkout has other files with the names of modules."""
    for name in ("composite", "sepurux_action"):
        shutil.copytree(REPOSITORY / name, job.workspace / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "requirements.txt", job.workspace)
    files = dict.fromkeys(("json.py", "typing.py", "requests/__init__.py", "yaml.py"), "raise SystemExit(9)\n")
    result = replace(job, action=job.workspace / "composite").run(files=files)
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log
