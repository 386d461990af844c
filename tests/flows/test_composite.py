"""The composite action, for runners without Docker: a shell starts the same action in the runner's own Python.

To be fast, the step's Python copies a prepared environment instead of creating one, and pip finds the locked packages
installed. Only the marked test creates an environment and installs packages.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from sysconfig import get_path

import pytest

from sepurux_action.report.outputs import OUTPUTS
from sepurux_action.sandbox import Sandbox
from tests.flows.composite_step import evaluated, only_step, read_action
from tests.runner import ACTION_YML, REPOSITORY, StepOptions, StepResult, input_variable, run_action, start_action
from tests.sandboxed import SECRET, sound_inputs, trace_files

COMPOSITE = REPOSITORY / "composite"
PYTHON = Path(sys.executable).resolve()

# The settings of this machine for pip, such as its index.
PIPS_OWN = {
    name: value
    for name, value in os.environ.items()
    if name.startswith(("PIP_", "SSL_CERT_")) or name.lower().endswith("_proxy") or name == "HOME"
}
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
# Modules that one of the interpreters on the way would import if it looked into the checkout.
PLANTED = [
    "ensurepip/__init__.py",
    "hashlib.py",
    "json.py",
    "pip/__init__.py",
    "pip/__main__.py",
    "requests/__init__.py",
]
PLANTED += ["sepurux_action/__init__.py", "sitecustomize.py", "usercustomize.py", "venv/__init__.py", "yaml.py"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job on a runner without Docker. `temp` is RUNNER_TEMP; `tools` is first in PATH; `action` is the action."""

    workspace: Path
    temp: Path
    tools: Path
    url: str
    action: Path = COMPOSITE

    def step(
        self, inputs: Mapping[str, str], *, env: Mapping[str, str] = {}, files: Mapping[str, str] = {}
    ) -> StepOptions:
        path = f"{self.tools}{os.pathsep}{os.environ['PATH']}"
        return {
            "workspace": self.workspace,
            "temp": self.temp,
            "inputs": {**sound_inputs(self.url), **inputs},
            "env": {**PIPS_OWN, "PATH": path, **env, "COMPOSITE_ACTION": str(self.action)},
            "files": {**trace_files(), **files},
            "secrets": [SECRET],
            "action_yml": self.action / "action.yml",
            "entrypoint": Path(__file__).with_name("composite_step.py"),
        }

    def run(self, *, env: Mapping[str, str] = {}, files: Mapping[str, str] = {}, **inputs: str) -> StepResult:
        return run_action(**self.step(inputs, env=env, files=files))

    @property
    def environments(self) -> list[Path]:
        """Return the environments in the runner's temporary folder."""
        return sorted(path for path in self.temp.glob("sepurux-gate-*") if path.is_dir())


def tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script, encoding="utf-8")
    (folder / name).chmod(0o755)


def trap(file: Path) -> str:
    return f"open({str(file)!r}, 'a').close()\n"


def python(prepared: Path | None = None) -> str:
    """Return a script that runs this Python, but copies an environment instead of creating one."""
    copies = f'case "$*" in *"-m venv --clear "*) for last; do :; done; exec cp -R "{prepared}" "$last";; esac\n'
    return f'#!/bin/sh\n{copies if prepared else ""}exec "{PYTHON}" "$@"\n'


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment that contains only pip."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    for path in Path(get_path("purelib")).glob("pip*"):
        if path.name == "pip" or path.name.endswith(".dist-info"):
            (packages / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
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
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(token=SECRET) as sandbox:
        yield sandbox


@pytest.fixture
def job(prepared: Job, tmp_path: Path, sandbox: Sandbox) -> Job:
    """Return a job with its own workspace and the shared temporary folder."""
    return replace(prepared, workspace=tmp_path / "workspace", url=sandbox.url)


@pytest.fixture
def fresh(job: Job, bare: Path, tmp_path: Path) -> Job:
    """Return a job before its first step, whose environment will contain only pip."""
    tool(tmp_path / "tools", "python3", python(bare))
    return replace(job, temp=tmp_path / "_temp", tools=tmp_path / "tools")


def a_copy(folder: Path, start: str) -> Path:
    """Return a copy of the action that starts another program."""
    shutil.copytree(COMPOSITE, folder / "composite", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "requirements.txt", folder)
    (folder / "composite" / "start.py").write_text(start, encoding="utf-8")
    return folder / "composite"


# --- What the file says ------------------------------------------------------------------------------------


def test_both_actions_have_the_same_inputs_and_outputs() -> None:
    docker, composite = read_action(ACTION_YML.parent), read_action(COMPOSITE)
    assert composite["inputs"] == docker["inputs"]
    descriptions = {name: {"description": about["description"]} for name, about in composite["outputs"].items()}
    assert descriptions == docker["outputs"]


def test_every_output_is_handed_on() -> None:
    handed_on = {name: about["value"] for name, about in read_action(COMPOSITE)["outputs"].items()}
    assert handed_on == {name: f"${{{{ steps.gate.outputs.{name} }}}}" for name in OUTPUTS}
    assert only_step(read_action(COMPOSITE))["id"] == "gate"


def test_every_input_travels_by_a_variable_and_no_expression_stands_in_what_a_shell_reads() -> None:
    action = read_action(COMPOSITE)
    step = only_step(action)
    assert step["env"] == {input_variable(name): f"${{{{ inputs.{name} }}}}" for name in action["inputs"]}
    assert "${{" not in step["run"]
    assert "INPUT_" not in step["run"] + (COMPOSITE / "run.sh").read_text(encoding="utf-8")


# --- What the step does ------------------------------------------------------------------------------------


def test_a_sound_trace_passes_and_the_action_hands_on_every_output(job: Job) -> None:
    result = job.run()
    assert (result.exit_code, result.conclusion) == (0, "success"), result.log
    contexts = {"steps.gate.outputs": result.outputs}
    outputs = {name: evaluated(about["value"], contexts) for name, about in read_action(COMPOSITE)["outputs"].items()}
    assert outputs == result.outputs
    assert outputs["decision"] == "pass"
    assert list(outputs) == list(OUTPUTS)
    assert result.summary


def test_an_unsafe_trace_closes_the_gate_with_status_1(job: Job) -> None:
    result = job.run(trace_file="traces/refund-unsafe.json")
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail"), result.log


def test_a_bad_input_is_named_in_an_error_with_status_2(job: Job, sandbox: Sandbox) -> None:
    result = job.run(min_pass_rate="eighty")
    assert (result.exit_code, result.outputs["decision"]) == (2, "error"), result.log
    assert any("min_pass_rate" in message and "eighty" in message for message in result.messages("error"))
    assert not sandbox.requests


def test_the_jobs_own_token_is_the_default_of_github_token(job: Job, tmp_path: Path) -> None:
    action = a_copy(tmp_path, "import os\nprint(os.environ['INPUT_GITHUB_TOKEN'])\n")
    step = replace(job, action=action).step({})
    step["inputs"], step["token"] = {}, "made.up"
    assert run_action(**step).raw_log == "made.up\n"


def test_the_gate_runs_isolated_writes_utf_8_everywhere_and_holds_no_line_back(job: Job, tmp_path: Path) -> None:
    shown = "sys.flags.isolated, sys.flags.utf8_mode, sys.stdout.write_through"
    action = a_copy(tmp_path, f"import sys\nprint({shown})\n")
    result = replace(job, action=action).run(env={"PYTHONUTF8": "0"})
    assert result.raw_log == "1 1 True\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_gate_which_writes_its_outputs_and_leaves_with_the_signals_status(
    job: Job, number: int
) -> None:
    with Sandbox(token=SECRET, decide_after=600) as slow:
        step = replace(job, url=slow.url).step({})
        with start_action(**step) as running:
            running.wait_for_log("not decided yet", 30)
            running.send_signal(number)
            result = running.finish(10)
    assert result.exit_code == 128 + number, result.log
    assert result.outputs["decision"] == "error"


def test_a_job_that_is_cancelled_before_the_gate_has_started_asks_nothing(
    job: Job, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The search for Python waits on a pipe until the signal was sent."""
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


def test_an_input_of_an_action_around_this_one_is_no_misspelt_input(job: Job) -> None:
    result = job.run(env={"INPUT_FAIL-UNDER": "80", "INPUT_CAMPAIGNE": "x"})
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log


HOSTILE_TEXT = (
    "$(touch ran) `touch ran` ${PATH}; touch ran & '\"\\ %PATH% !! ~ *\n\ttouch ran\nEOF\n::error::x\n\u2713 \x07"
)


def test_whatever_a_text_holds_it_arrives_unchanged_and_is_never_carried_out(job: Job, tmp_path: Path) -> None:
    texts = {str(name): f"{name} {HOSTILE_TEXT}" for name in read_action(COMPOSITE)["inputs"]}
    shown = "{name: text for name, text in os.environ.items() if name.startswith('INPUT_')}"
    action = a_copy(tmp_path, f"import json, os\nprint(json.dumps({shown}))\n")
    result = run_action(**replace(job, action=action).step(texts))
    assert json.loads(result.raw_log) == {input_variable(name): text for name, text in texts.items()}
    assert [path.name for path in job.workspace.iterdir()] == ["traces"]


# --- The environment with the packages ---------------------------------------------------------------------


@pytest.mark.container
def test_nothing_that_a_checkout_or_an_earlier_step_brings_along_is_imported_not_even_while_installing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    workspace, trapped = tmp_path / "workspace", tmp_path / "trapped"
    variables = dict.fromkeys(("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX"), str(workspace))
    variables |= {"PYTHONSTARTUP": str(workspace / "yaml.py"), "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2"}
    variables |= dict.fromkeys(("PIP_PREFIX", "PIP_PYTHON", "PIP_ROOT", "PIP_TARGET"), str(workspace))
    variables |= {"PIP_DRY_RUN": "1", "PIP_USER": "1", "CDPATH": str(workspace)}
    tool(tmp_path / "tools", "python3", python())
    job = Job(workspace=workspace, temp=tmp_path / "the runner's _temp", tools=tmp_path / "tools", url=sandbox.url)
    result = job.run(env=variables, files=dict.fromkeys(PLANTED, trap(trapped)))
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log
    assert not trapped.exists()
    assert not list(workspace.rglob("*.pyc")), "an interpreter heeded PYTHONPYCACHEPREFIX"
    later = job.run(env=NO_INDEX)
    assert (later.exit_code, later.outputs.get("decision")) == (0, "pass"), later.log


def test_a_later_step_of_the_job_installs_nothing(job: Job) -> None:
    result = job.run(env=NO_INDEX)
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log
    assert len(job.environments) == 1


def test_an_environment_that_was_never_finished_is_not_used(job: Job, fresh: Job) -> None:
    """Without an index, the new environment has no packages: the step reports that and leaves it unfinished."""
    half = fresh.temp / job.environments[0].name
    half.mkdir(parents=True)
    tool(half / "bin", "python", "#!/bin/sh\necho stale\n")
    for _ in range(2):
        result = fresh.run(env=NO_INDEX)
        assert result.exit_code == 2
        assert "stale" not in result.log
        assert "The gate's packages could not be installed" in result.messages("error")[-1]
        assert result.outputs["decision"] == "error"


@pytest.mark.parametrize("setting", ["target = elsewhere", "prefix = elsewhere", "root = elsewhere", "dry-run = true"])
def test_a_pip_conf_that_sends_packages_elsewhere_is_named(setting: str, fresh: Job, tmp_path: Path) -> None:
    locked, _ = a_package(tmp_path, tmp_path / "trapped")
    action = a_copy(tmp_path, "print('started')\n")
    (tmp_path / "requirements.txt").write_text(locked, encoding="utf-8")
    (tmp_path / "pip.conf").write_text(f"[install]\n{setting.replace('= e', f'= {tmp_path}/e')}\n", encoding="utf-8")
    step = replace(fresh, action=action)
    found = {**NO_INDEX, "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    result = step.run(env=found)
    assert (result.exit_code, "started" in result.log) == (2, False), result.log
    assert "installed somewhere else" in result.messages("error")[-1]
    assert result.outputs["decision"] == "error"


def test_steps_that_run_side_by_side_do_not_spoil_each_others_environment(job: Job, fresh: Job) -> None:
    """While this step creates its environment another one finishes, and this one fails without an index."""
    finishes = f'case "$*" in *"-m venv"*) cp -R "{job.temp}"/sepurux-gate-* "{fresh.temp}";; esac'
    makes = (fresh.tools / "python3").read_text(encoding="utf-8").removeprefix("#!/bin/sh\n")
    tool(fresh.tools, "python3", f"#!/bin/sh\n{finishes}\n{makes}")
    assert "could not be installed" in fresh.run(env=NO_INDEX).log
    result = fresh.run(env=NO_INDEX)
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log


def test_another_lock_has_another_environment(job: Job, tmp_path: Path) -> None:
    """The Python of this job creates no environment and writes down where it should be."""
    asked = tmp_path / "asked"
    fails = f'case "$*" in *"-m venv"*) echo "$@" >"{asked}"; exit 1;; esac'
    tool(tmp_path / "tools", "python3", f'#!/bin/sh\n{fails}\nexec "{PYTHON}" "$@"\n')
    action = a_copy(tmp_path, "")
    with (tmp_path / "requirements.txt").open("a", encoding="utf-8") as lock:
        lock.write("# another\n")
    result = replace(job, action=action, tools=tmp_path / "tools").run()
    assert (result.exit_code, len(result.messages("error"))) == (2, 1), result.log
    assert "could not make a virtual environment" in result.messages("error")[0]
    environment = Path(asked.read_text(encoding="utf-8").strip().partition("--clear ")[2])
    assert environment.parent == job.temp
    assert environment not in job.environments


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


def test_a_wheel_of_the_locks_hash_is_installed_and_nothing_else(fresh: Job, tmp_path: Path) -> None:
    """Its dependencies are not installed: the lock file lists everything."""
    trapped = tmp_path / "trapped"
    locked, source = a_package(tmp_path, trapped)
    action = a_copy(tmp_path, "import made_up\nprint('started')\n")
    step = replace(fresh, action=action)
    found = {**NO_INDEX, "PIP_FIND_LINKS": str(tmp_path)}
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


# --- The runner's Python -----------------------------------------------------------------------------------


def pretended(what: str) -> str:
    """Return a Python that differs in one way and passes the first check of run.sh."""
    return (
        f"#!{PYTHON} -I\nimport sys\n{what}\nassert sys.argv[1:3] == ['-I', '-c']\n"
        "code = sys.argv[3]\nsys.argv[:4] = ['-c']\nexec(code)\n"
    )


def test_a_checkout_chooses_no_python_by_a_relative_entry_of_path(fresh: Job, tmp_path: Path) -> None:
    """It is called in the temporary folder, and again to create the environment, which fails without an index."""
    trapped = tmp_path / "trapped"
    path = f"bin{os.pathsep}{os.pathsep}{fresh.tools}{os.pathsep}{os.environ['PATH']}"
    script = f'#!/bin/sh\n>"{trapped}"\nexec "{PYTHON}" "$@"\n'
    for folder in (fresh.workspace, fresh.workspace / "bin"):
        folder.mkdir(parents=True)
        tool(folder, "python3", script)
    assert "could not be installed" in fresh.run(env={**NO_INDEX, "PATH": path}).log
    assert not trapped.exists()


TOO_OLD = "sys.version_info = (3, 9, 18)"


@pytest.mark.parametrize(
    "what", [TOO_OLD, "sys.modules['ensurepip'] = None", "sys.modules['venv'] = None", "sys.exit(9009)"]
)
def test_a_runner_without_a_suitable_python_gets_the_hint_to_set_one_up(what: str, job: Job, tmp_path: Path) -> None:
    for name in ("python3", "python", "py"):
        tool(tmp_path / "tools", name, pretended(what))
    result = replace(job, tools=tmp_path / "tools").run()
    assert result.exit_code == 2
    (message,) = result.messages("error")
    assert "No Python 3.11 or newer" in message
    assert "actions/setup-python" in message
    expected = {"decision": "error", "conclusion": "failure", "reason": message, "gates": "[]"}
    assert result.outputs == expected, "the outputs without a result, without the empty ones"


@pytest.mark.parametrize(("name", "first"), [("python", ""), ("py", '[ "$1" = -3 ] && shift\n')], ids=["python", "py"])
def test_a_python_that_does_not_fit_is_passed_over_for_the_next(
    name: str, first: str, job: Job, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    for each in ("python3", "python"):
        tool(tools, each, pretended(TOO_OLD))
    tool(tools, name, f'#!/bin/sh\n{first}exec "{PYTHON}" "$@"\n')
    result = replace(job, tools=tools).run(env=NO_INDEX)
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log
