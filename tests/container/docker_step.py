"""Runs a step in a container of the image, in place of `entrypoint.py`, with the `docker run` of GitHub's runner.

Sources: ContainerActionHandler, DockerCommandManager and ContainerInfo of actions/runner. Different are the network,
which is the host's because the backend of a test listens on loopback, and the engine's socket, which is not mounted.
GATE_IMAGE is the image, GATE_LABEL a label of its containers, GATE_OPTIONS has further options of `docker run`.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import yaml

ACTION_YML = Path(__file__).resolve().parents[2] / "action.yml"  # what is started alone finds no package of tests
_OURS = ("PATH", "GATE_", "DOCKER_", "COVERAGE_")  # what this side needs and no container gets


def mounts(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the runner's folders and where the container has them, in the order in which paths are translated."""
    temp = environment["RUNNER_TEMP"]
    return {
        f"{temp}/_github_home": "/github/home",
        f"{temp}/_github_workflow": "/github/workflow",
        f"{temp}/_runner_file_commands": "/github/file_commands",
        temp: "/github/runner_temp",
        environment["GITHUB_WORKSPACE"]: "/github/workspace",
    }


def translated(value: str, folders: Mapping[str, str]) -> str:
    for outside, inside in folders.items():
        if value == outside or value.startswith(f"{outside}/"):
            return inside + value.removeprefix(outside)
    return value


def docker_run(environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    folders = mounts(environment)
    runs = yaml.safe_load(ACTION_YML.read_text(encoding="utf-8"))["runs"]
    ours = {name: value for name, value in environment.items() if name.startswith(_OURS)}
    theirs = {name: translated(value, folders) for name, value in environment.items() if name not in ours}
    command = ["docker", "run", "--name", f"gate-{uuid4().hex}", "--label", environment["GATE_LABEL"]]
    command += ["--workdir", "/github/workspace", "--rm"]
    for name in theirs:
        command += ["-e", name]
    command += ["--entrypoint", runs["entrypoint"], "--network", "host"]
    for outside, inside in folders.items():
        command += ["-v", f"{outside}:{inside}"]
    command += shlex.split(environment.get("GATE_OPTIONS", ""))
    return [*command, environment["GATE_IMAGE"], *runs["args"]], ours | theirs


if __name__ == "__main__":
    arguments, variables = docker_run(os.environ)
    os.execvpe(arguments[0], arguments, variables)  # noqa: S606 - signals must reach docker itself, as on a runner
