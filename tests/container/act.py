"""Runs workflows under `act` and parses its log.

act plays the runner: it reads the workflow, evaluates its expressions and starts the image for each step that uses the
action. It differs from GitHub: the job and its steps share the host's network, the checkout is copied and not fetched,
`permissions:` are not enforced, jobs share one temporary folder, and its runner has no node. In place of JavaScript
actions, the composite actions of examples/act run.
"""

import fcntl
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.container.engine import docker
from tests.runner import inherited

ACT = Path(sys.executable).with_name("act")
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

    `log` is what the steps said and came to; what act says about itself is left out.
    """

    exit_code: int
    jobs: dict[str, str]
    steps: dict[tuple[str, str], Step]
    log: str


def act(command: Iterable[str], image: str, secrets: Mapping[str, str], home: Path) -> WorkflowRun:
    """Run act with these arguments; `image` is the action's."""
    given = [f"--secret={name}" for name in secrets]  # act takes the values from its environment
    with only_workflow(image):
        done = run([str(ACT), *command, *given], {**secrets, "HOME": str(home)})
    return _read(done.returncode, done.stdout)


def run(
    command: Sequence[str], variables: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program that runs a workflow, with more environment variables; what it prints is in `stdout`."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**inherited(), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=LONGEST_S,
        check=False,
    )


@contextmanager
def only_workflow(image: str) -> Iterator[None]:
    """Wait until no other workflow runs here, and give the image the names for which act would build one.

    act names images and containers by what they are for, not by the run.
    """
    with (Path(tempfile.gettempdir()) / "gate-act.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in NAMES:
            docker("tag", image, name)
        yield


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
