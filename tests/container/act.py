"""Owns one run of `act`: its command line, and what its log comes to; never says what a workflow should do.

act plays the runner: it reads the workflow, evaluates its expressions and starts the image for each step that uses the
action. It differs from GitHub: the job and its steps share the host's network, the checkout is copied and not fetched,
`permissions:` are not enforced, and its runner has no node, so JavaScript actions other than checkout cannot run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.container.engine import docker
from tests.runner import REPOSITORY

ACTION = "sepurux/gate-action@v1"
RUNNER_IMAGE = "python:3.13-slim"  # the image's own base: it is here already
# act builds no image that has the name it would give: the first is for `uses: ./`, the second for ACTION.
NAMES = ("act-dockeraction:latest", "act-sepurux-gate-action-v1-dockeraction:latest")
LONGEST_S = 100  # of one workflow; the suite's own limit for a test is 120 s


@dataclass(slots=True)
class Step:
    """What became of a step: success, failure or skipped, the outputs that it set, and its text."""

    result: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """What became of a workflow: the result of each job that ran, by its id, and its steps, by job and id or number.

    `log` is what the steps said and came to; what act tells of its own doings is left out.
    """

    exit_code: int
    jobs: dict[str, str]
    steps: dict[tuple[str, str], Step]
    log: str


def run_workflow(  # noqa: PLR0913 - each is one property of the run
    workflow: Path,
    event_name: str,
    event: Mapping[str, object],
    *,
    checkout: Path,
    label: str,
    env: Mapping[str, str],
    secrets: Mapping[str, str],
) -> WorkflowRun:
    """Run a workflow file on an event; the job sees `checkout`, and `env` also replaces the runner's own variables."""
    home = checkout.parent / "act"
    home.mkdir(exist_ok=True)
    payload = home / "event.json"
    payload.write_text(json.dumps(event), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("act")), event_name, "--json", "--rm", "--workflows", str(workflow)]
    command += [
        "--directory",
        str(checkout),
        "--eventpath",
        str(payload),
        "--local-repository",
        f"{ACTION}={REPOSITORY}",
    ]
    command += ["--platform", f"ubuntu-latest={RUNNER_IMAGE}", "--container-options", f"--label {label}"]
    command += ["--pull=false", "--rebuild=false", "--action-offline-mode", "--container-daemon-socket=-"]
    for name, value in env.items():
        command += ["--env", f"{name}={value}"]
    for name in secrets:
        command += ["--secret", name]  # the value comes from act's own environment
    engine = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("DOCKER_")}
    done = subprocess.run(
        command,
        env={**engine, **secrets, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=LONGEST_S,
        check=False,
    )
    return _read(done.returncode, done.stdout)


def _read(exit_code: int, log: str) -> WorkflowRun:
    jobs: dict[str, str] = {}
    steps: dict[tuple[str, str], Step] = {}
    said: list[str] = []
    for line in log.splitlines():
        entry: dict[str, Any] = json.loads(line) if line.startswith("{") else {"msg": line, "raw_output": True}
        if entry.keys() & {"raw_output", "command", "stepResult", "jobResult"}:
            said.append(entry["msg"].rstrip())
        if "jobResult" in entry:
            jobs[entry["jobID"]] = entry["jobResult"]
        for step_id in entry.get("stepID", ())[:1]:
            step = steps.setdefault((entry["jobID"], step_id), Step())
            step.result = entry.get("stepResult", step.result)
            if entry.get("command") == "set-output":
                step.outputs[entry["name"]] = entry["arg"]
            if entry.get("raw_output"):
                step.text += entry["msg"]
    return WorkflowRun(exit_code, jobs, steps, "\n".join(said))


def name_image(image: str) -> None:
    """Give the image the names under which act looks for it; the next run of the suite takes them away."""
    for name in NAMES:
        docker("tag", image, name)
