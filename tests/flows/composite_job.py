"""A job of a runner without Docker, and its composite action, which a shell starts in the runner's own Python.

Inputs are a context and not variables, so only `env:` passes them on. Sources: CompositeActionHandler and ScriptHandler
of actions/runner.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.runner import REPOSITORY, StepOptions, StepResult, input_variable, read_manifest, run_action
from tests.sandboxed import SECRET, sound_inputs, trace_files

BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")  # the meaning of `shell: bash`
COMPOSITE = REPOSITORY / "composite"
PYTHON = Path(sys.executable).resolve()
# The settings of this machine for pip, such as its index.
PIPS_OWN = {
    name: value
    for name, value in os.environ.items()
    if name.startswith(("PIP_", "SSL_CERT_")) or name.lower().endswith("_proxy") or name == "HOME"
}
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


def read_action(folder: Path) -> dict[str, Any]:
    return read_manifest((folder / "action.yml").read_text(encoding="utf-8"))


def launch(folder: Path, names: Collection[str], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of the process that runs the action's only step; `names` are inputs."""
    action = read_action(folder)
    [step] = action["runs"]["steps"]
    assert (step["shell"], step["env"]) == ("bash", {"GATE_INPUTS": "${{ toJSON(inputs) }}"})
    assert "${{" not in step["run"]
    given = {input_variable(name): name for name in [*action["inputs"], *names]}
    inputs = {given[name]: value for name, value in environment.items() if name in given}
    variables = {name: value for name, value in environment.items() if name not in given}
    variables["GATE_INPUTS"] = json.dumps(inputs, indent=2)  # as the runner does it
    descriptor, path = tempfile.mkstemp(suffix=".sh", dir=environment["RUNNER_TEMP"])
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(step["run"])
    return [*BASH, path], {**variables, "GITHUB_ACTION_PATH": str(folder)}


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
            "env": {**PIPS_OWN, "PATH": path, **env},
            "files": {**trace_files(), **files},
            "secrets": [SECRET],
            "action_yml": self.action / "action.yml",
            "launch": partial(launch, self.action, inputs),
        }

    def run(self, *, env: Mapping[str, str] = {}, files: Mapping[str, str] = {}, **inputs: str) -> StepResult:
        return run_action(**self.step(inputs, env=env, files=files))


def tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script, encoding="utf-8")
    (folder / name).chmod(0o755)


def trap(file: Path) -> str:
    return f"open({str(file)!r}, 'a').close()\n"


def python(prepared: Path | None = None) -> str:
    """Return a script that runs this Python, but copies an environment instead of creating one."""
    replaces = f'for last; do :; done; rm -rf "$last"; exec cp -R "{prepared}" "$last"'
    copies = f'case "$*" in *"-m venv --clear "*) {replaces};; esac\n'
    return f'#!/bin/sh\n{copies if prepared else ""}exec "{PYTHON}" "$@"\n'


def a_copy(folder: Path, start: str) -> Path:
    shutil.copytree(COMPOSITE, folder / "composite", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "requirements.txt", folder)
    (folder / "composite" / "start.py").write_text(start, encoding="utf-8")
    return folder / "composite"
