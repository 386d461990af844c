"""The image is a step as the runner expects it; the flow tests cover the rest."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from sepurux_action.sandbox import Sandbox, Store
from tests.container.engine import BASE, docker
from tests.gfm import read
from tests.runner import RunningStep, StepResult, start_action
from tests.sandboxed import SECRET, sound_inputs, trace_files

pytestmark = pytest.mark.container
# What a planted module does when something imports it.
VENV_PYTHON = "/app/venv/bin/python3"
TRAP = "open('/github/workspace/trapped', 'a').close()\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job with one step, which runs in the image and asks a sandbox; `folder` holds its workspace and temp."""

    image: str
    label: str
    folder: Path
    url: str

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def temp(self) -> Path:
        return self.folder / "_temp"

    def start(
        self, inputs: Mapping[str, str] = {}, *, files: Mapping[str, str] = {}, env: Mapping[str, str] = {}
    ) -> RunningStep:
        """Start the step; `inputs` change or add to a sound one's."""
        return start_action(
            workspace=self.workspace,
            temp=self.temp,
            inputs={**sound_inputs(self.url), **inputs},
            env={**env, "GATE_IMAGE": self.image, "GATE_LABEL": self.label},
            files={**trace_files(), **files},
            secrets=[SECRET],
            entrypoint=Path(__file__).with_name("docker_step.py"),
        )

    def run(self, inputs: Mapping[str, str] = {}, **more: Mapping[str, str]) -> StepResult:
        with self.start(inputs, **more) as step:
            return step.finish()


@pytest.fixture
def job(image: str, label: str, tmp_path: Path, sandbox: Sandbox) -> Job:
    return Job(image=image, label=label, folder=tmp_path, url=sandbox.url)


def test_a_passing_trace_passes_with_outputs_and_a_summary_and_shows_no_secret(job: Job, sandbox: Sandbox) -> None:
    result = job.run()
    assert result.exit_code == 0, result.log
    assert result.errors == []
    assert result.outputs["decision"] == "pass"
    assert result.outputs["dashboard_url"].startswith(job.url)
    assert "refund-reliability" in read(result.summary).code
    shown = [line for line in result.raw_log.splitlines() if not line.startswith("::add-mask::")]
    assert any(request.headers.get("x-sepurux-token") == SECRET for request in sandbox.requests)
    assert SECRET not in "\n".join([*shown, *result.outputs.values(), result.summary])


def test_a_path_below_the_workspace_is_found_though_the_container_has_it_elsewhere(job: Job) -> None:
    result = job.run({"trace_file": f"{job.workspace}/traces/refund-sound.json"})
    assert result.outputs["decision"] == "pass", result.log


def test_nothing_that_a_checkout_an_earlier_step_or_a_home_brings_along_is_imported(job: Job) -> None:
    """Modules, a start-up file and PYTHON* variables of others change neither the decision nor run at all."""
    modules = ["yaml.py", "json.py", "sitecustomize.py", "usercustomize.py"]
    modules += ["requests/__init__.py", "sepurux_action/__init__.py"]
    version = BASE.partition(":")[2].partition("-")[0]
    site_packages = job.temp / f"_github_home/.local/lib/python{version}/site-packages"
    site_packages.mkdir(parents=True)
    (site_packages / "usercustomize.py").write_text(TRAP)
    (site_packages / "trap.pth").write_text(f"import sys; {TRAP}")
    workspace = str(job.workspace)
    variables = {"PYTHONPATH": workspace, "PYTHONHOME": workspace, "PYTHONUSERBASE": str(site_packages.parents[2])}
    result = job.run(files=dict.fromkeys(modules, TRAP), env=variables)
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log
    assert not (job.workspace / "trapped").exists()


def test_a_step_needs_no_file_of_the_image_to_be_writable(job: Job) -> None:
    result = job.run(env={"GATE_OPTIONS": "--read-only"})
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log
    assert result.summary


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_canceled_container_has_outputs(image: str, label: str, tmp_path: Path, number: int, status: int) -> None:
    """The first process of a container ignores a signal without a handler, so this needs the real thing."""
    with Sandbox(Store(decide_after=600), token=SECRET) as slow:
        job = Job(image=image, label=label, folder=tmp_path, url=slow.url)
        with job.start() as step:
            step.wait_for(lambda: any(request.path.startswith("/v1/ci/batch/") for request in slow.requests), 30)
            step.send_signal(number)
            result = step.finish(timeout=30)
    assert result.exit_code == status, result.log
    assert result.outputs["decision"] == "error"
    assert result.summary


def found_by(image: str, python: str, code: str) -> str:
    """Return what one of the image's interpreters prints, without network and away from what a caller has set."""
    return docker("run", "--rm", "--network=none", f"--entrypoint={python}", image, "-I", "-c", code)


def test_the_image_holds_the_package_its_entry_point_its_dependencies_and_no_more(image: str) -> None:
    listed = found_by(image, VENV_PYTHON, "import os; print(*sorted(os.listdir('/app')))")
    assert listed == "entrypoint.py sepurux_action venv"
    uncompiled = (
        "import importlib.util, pathlib;"
        "print([str(p) for p in pathlib.Path('/app').glob('*/**/*.py')"
        " if not pathlib.Path(importlib.util.cache_from_source(p)).exists()])"
    )
    assert found_by(image, VENV_PYTHON, uncompiled) == "[]"


@pytest.mark.parametrize(
    ("python", "packages"),
    [(VENV_PYTHON, ["pip", "ensurepip", "setuptools", "wheel"]), ("python3", ["pip", "ensurepip"])],
)
def test_the_image_has_nothing_that_builds_or_installs(python: str, packages: list[str], image: str) -> None:
    found = (
        "import importlib.util, os, shutil;"
        f"print([name for name in {packages} if importlib.util.find_spec(name)],"
        " [name for name in ('cc', 'gcc', 'make', 'git', 'pip', 'pip3') if shutil.which(name)],"
        " os.path.exists(os.path.expanduser('~/.cache')))"
    )
    assert found_by(image, python, found) == "[] [] False"


def bytes_of(image: str) -> int:
    return sum(map(int, docker("history", "--human=false", "--format={{.Size}}", image).split()))


def test_what_the_image_adds_to_its_base_is_at_most_45_mb(image: str, base: str) -> None:
    """Everybody's every run builds or pulls it."""
    assert 0 < bytes_of(image) - bytes_of(base) <= 45_000_000
