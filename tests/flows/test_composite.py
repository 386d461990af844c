"""The composite action, for runners without Docker: its step, the Python that it chooses, and its packages."""

import hashlib
import io
import json
import os
import shutil
import signal
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from sysconfig import get_path

import pytest

from sepurux_action.report.data import OUTPUTS
from sepurux_action.sandbox import Sandbox, Store
from tests.flows.composite_job import COMPOSITE, NO_INDEX, PYTHON, Job, a_copy, launch, python, read_action, tool, trap
from tests.runner import REPOSITORY, run_action, start_action
from tests.sandboxed import SECRET

HOSTILE_TEXT = (
    "$(touch ran) `touch ran` ${PATH}; touch ran & '\"\\ %PATH% !! ~ *\n\ttouch ran\nEOF\n::error::x\n\u2713 \x07"
)
NO_FOLDER = "The runner's temporary folder does not exist. Set RUNNER_TEMP to a folder."
NO_INPUTS = "The inputs did not reach the gate: GATE_INPUTS is not a JSON object of texts."
TOO_OLD = "sys.version_info = (3, 9, 18)"
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

# To be fast, the Python of a job copies a prepared environment instead of creating one. Only the test that is marked
# `container` creates an environment and installs the locked packages.


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


def test_a_passing_trace_passes_and_the_action_passes_on_every_output(job: Job) -> None:
    result = job.run(env={**NO_INDEX, "INPUT_FAIL-UNDER": "80", "INPUT_CAMPAIGNE": "x"})
    assert len([path for path in job.temp.glob("sepurux-gate-*") if path.is_dir()]) == 1
    assert (result.exit_code, result.errors, result.outputs["decision"]) == (0, [], "pass"), result.log
    passed_on = {name: about["value"] for name, about in read_action(COMPOSITE)["outputs"].items()}
    assert passed_on == {name: f"${{{{ steps.gate.outputs.{name} }}}}" for name in OUTPUTS}
    assert result.outputs.keys() == OUTPUTS.keys()
    assert job.run(trace_file="traces/refund-unsafe.json").exit_code == 1


def test_a_signal_reaches_the_gate_which_exits_with_its_status(job: Job) -> None:
    with Sandbox(Store(decide_after=600), token=SECRET) as slow:
        step = replace(job, url=slow.url).step({})
        with start_action(**step) as running:
            running.wait_for("not decided yet", 30)
            running.send_signal(signal.SIGTERM)
            result = running.finish(10)
    assert result.exit_code == 143, result.log
    assert result.outputs["decision"] == "error"


def test_a_job_that_is_canceled_at_its_start_sends_no_request(job: Job, sandbox: Sandbox, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tool(tools, "python3", f'#!/bin/sh\n>"{tools}/asked"\ncat "{tools}/go" >&2\nexec "{PYTHON}" "$@"\n')
    os.mkfifo(tools / "asked")
    os.mkfifo(tools / "go")
    with start_action(**replace(job, tools=tools).step({})) as running:
        (tools / "asked").read_bytes()
        running.send_signal(signal.SIGINT)
        (tools / "go").write_bytes(b"")
        result = running.finish(10)
    assert result.exit_code == 130, result.log
    assert not sandbox.requests
    reason = "The step ended before the gate started. Re-run the job."
    assert result.outputs == {"decision": "error", "conclusion": "failure", "reason": reason, "gates": "[]"}


def test_a_misspelled_input_is_an_error_with_status_2(job: Job, sandbox: Sandbox) -> None:
    names = ["trace_fil", "Trace-File", "a=b"]
    result = run_action(**job.step(dict.fromkeys(names, "traces/refund-sound.json")))
    assert (result.exit_code, result.outputs["decision"], sandbox.requests) == (2, "error", []), result.log
    assert all(f"`{name.lower()}`" in "".join(result.messages("error")) for name in names)


def test_any_text_of_an_input_arrives_unchanged_and_is_never_run(job: Job, tmp_path: Path) -> None:
    texts = {str(name): f"{name} {HOSTILE_TEXT}" for name in read_action(COMPOSITE)["inputs"]}
    shows = "import os, sys\nprint(sys.flags.isolated, sys.stdout.write_through, os.environ['GATE_INPUTS'])\n"
    result = run_action(**replace(job, action=a_copy(tmp_path, shows)).step(texts))
    assert result.raw_log.startswith("1 True {")
    assert json.loads(result.raw_log[7:]) == texts
    assert [path.name for path in job.workspace.iterdir()] == ["traces"]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("RUNNER_OS", "Windows", "The gate runs on Linux and macOS, not on Windows. Use another runner for this job."),
        *(("RUNNER_TEMP", "", NO_FOLDER), ("RUNNER_TEMP", "/nowhere/_temp", NO_FOLDER), ("GATE_INPUTS", "", NO_INPUTS)),
        ("GATE_INPUTS", '{"campaign": null}', NO_INPUTS),
    ],
)
def test_a_variable_that_prevents_a_start_is_a_clear_error(variable: str, value: str, message: str, job: Job) -> None:
    def launch_broken(environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        command, usual = launch(job.action, (), environment)
        return command, {**usual, variable: value}

    step = job.step({})
    step["launch"] = launch_broken
    result = run_action(**step)
    assert (result.exit_code, result.outputs["decision"]) == (2, "error"), result.log
    [shown] = result.messages("error")
    assert shown.startswith(message)
    assert "Traceback" not in result.raw_log


def test_a_folder_of_the_action_without_its_package_or_lock_is_an_error_that_says_so(job: Job, tmp_path: Path) -> None:
    action = a_copy(tmp_path, (COMPOSITE / "start.py").read_text(encoding="utf-8"))
    step = replace(job, action=action)
    without_package = step.run(env=NO_INDEX)
    (tmp_path / "sepurux_action").mkdir()
    (tmp_path / "sepurux_action" / "__init__.py").touch()
    (tmp_path / "sepurux_action" / "__main__.py").write_text("import made_up\n", encoding="utf-8")
    incomplete = step.run(env=NO_INDEX)
    (tmp_path / "requirements.txt").unlink()
    without_lock = step.run(env=NO_INDEX)
    use = "Use sepurux/gate-action/composite or a copy of the whole repository, and re-run the job."
    missing = "The gate's files or packages are incomplete: there is no module made_up."
    for result, says in ((without_package, use), (incomplete, missing), (without_lock, use)):
        assert (result.exit_code, result.outputs["decision"]) == (2, "error"), result.log
        assert says in result.messages("error")[0]
        assert "Traceback" not in result.raw_log


def pretended(what: str) -> str:
    """Return a Python that differs in one way and passes the first check of run.sh."""
    return (
        f"#!{PYTHON} -I\nimport sys\n{what}\nassert sys.argv[1:3] == ['-I', '-c']\n"
        "code = sys.argv[3]\nsys.argv[:4] = ['-c']\nexec(code)\n"
    )


def test_a_checkout_chooses_no_python_by_a_relative_entry_of_path(fresh: Job, tmp_path: Path) -> None:
    trapped = tmp_path / "trapped"
    path = f"bin{os.pathsep}{os.pathsep}{fresh.tools}{os.pathsep}{os.environ['PATH']}"
    script = f'#!/bin/sh\n>"{trapped}"\nexec "{PYTHON}" "$@"\n'
    for folder in (fresh.workspace, fresh.workspace / "bin"):
        folder.mkdir(parents=True)
        tool(folder, "python3", script)
    assert "could not be installed" in fresh.run(env={**NO_INDEX, "PATH": path}).log
    assert not trapped.exists()


@pytest.mark.parametrize("what", [TOO_OLD, "sys.modules['ensurepip'] = None"])
def test_a_runner_without_a_suitable_python_gets_the_hint_to_set_one_up(what: str, job: Job, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    for name in ("python3", "python"):
        tool(tools, name, pretended(what))
    result = replace(job, tools=tools).run()
    [message] = result.messages("error")
    assert message.startswith("No Python 3.11 or newer")
    assert "actions/setup-python" in message
    expected = {"decision": "error", "conclusion": "failure", "reason": message, "gates": "[]"}
    assert (result.exit_code, result.outputs) == (2, expected), "the outputs without a result, without the empty ones"
    tool(tools, "python", f'#!/bin/sh\nexec "{PYTHON}" "$@"\n')  # the next one, which fits
    started = replace(job, action=a_copy(tmp_path, "print('started')\n"), tools=tools).run(env=NO_INDEX)
    assert (started.exit_code, started.raw_log) == (0, "started\n"), started.log


def a_package(folder: Path, trapped: Path) -> tuple[str, str]:
    """Write a package as a wheel and another one as source; return their lines of a lock file with hashes."""
    wheel, source = folder / "made_up-1.0-py3-none-any.whl", folder / "made_up_source-1.0.tar.gz"
    about = "Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\nRequires-Dist: not-locked\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("made_up.py", "")
        archive.writestr("made_up-1.0.dist-info/METADATA", about)
        kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("made_up-1.0.dist-info/WHEEL", kind)
        archive.writestr("made_up-1.0.dist-info/RECORD", "")
    with tarfile.open(source, "w:gz") as archive:
        for name, text in (("pyproject.toml", BUILDS_ITSELF), ("builder.py", trap(trapped))):
            member = tarfile.TarInfo(f"made_up_source-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    first, second = (hashlib.sha256(file.read_bytes()).hexdigest() for file in (wheel, source))
    return f"made-up==1.0 --hash=sha256:{first}\n", f"made-up-source==1.0 --hash=sha256:{second}\n"


@pytest.mark.container
def test_nothing_of_a_checkout_or_earlier_step_is_imported_while_installing(sandbox: Sandbox, tmp_path: Path) -> None:
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
    trapped = tmp_path / "trapped"
    locked, source = a_package(tmp_path, trapped)
    action = a_copy(tmp_path, "import made_up\nprint('started')\n")
    step = replace(fresh, action=action)
    found = {**NO_INDEX, **FOR_OTHER_PACKAGES, "PIP_FIND_LINKS": str(tmp_path)}
    for lock, is_installed in (
        (locked, True),
        (locked.partition(" ")[0], False),  # any made-up 1.0 would do
        (locked[:-5] + "0000\n", False),
        (locked[:-5] + "0000\n", False),  # an environment that was never finished is not used
        (locked + source, False),  # it would run its own code to become a wheel
    ):
        (tmp_path / "requirements.txt").write_text(lock, encoding="utf-8")
        result = step.run(env=found)
        assert (result.exit_code == 0, "started" in result.log) == (is_installed, is_installed), result.log
        assert is_installed or "The gate's packages could not be installed" in result.messages("error")[-1]
    assert not trapped.exists()


def test_no_file_beside_the_action_replaces_a_module_that_the_gate_imports(job: Job) -> None:
    for name in ("composite", "sepurux_action"):
        shutil.copytree(REPOSITORY / name, job.workspace / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "requirements.txt", job.workspace)
    files = dict.fromkeys(("json.py", "typing.py", "requests/__init__.py", "yaml.py"), "raise SystemExit(9)\n")
    result = replace(job, action=job.workspace / "composite").run(files=files)
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log
