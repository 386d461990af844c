"""A step that is canceled or killed: what it writes, how soon it ends, and with which exit status."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import backend
from tests.backend import decided, sound_backend
from tests.github_double import faults
from tests.runner import StepResult, interrupt
from tests.scenes import CAMPAIGN, Scene


@contextmanager
def hangup(handler: signal.Handlers) -> Iterator[None]:
    """Let new processes begin with this treatment of SIGHUP, which they inherit. nohup makes them ignore it."""
    before = signal.signal(signal.SIGHUP, handler)
    yield
    signal.signal(signal.SIGHUP, before)


RUNNING = backend.json(decided(status="running", decision="pending"))
UNDECIDED = "not decided yet"


def interrupted(
    workspace: Path, ready: str, *numbers: int, inputs: Mapping[str, str] = {}, files: Mapping[str, bytes] = {}
) -> StepResult:
    """Interrupt a step in a process of its own, whose CI run is running."""
    with sound_backend(**{"GET /v1/ci/batch/*": [RUNNING, backend.hang()]}) as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url, "report_dir": "build", **inputs}
        return interrupt(ready, *numbers, workspace=workspace / "agents", inputs=inputs, files=files, process=True)


@pytest.mark.parametrize(
    ("numbers", "status"), [((signal.SIGINT, signal.SIGTERM, signal.SIGTERM), 130), ((signal.SIGHUP,), 129)]
)
def test_after_a_signal_outputs_summary_and_report_are_written_and_the_exit_status_is_that_of_the_first(
    numbers: tuple[signal.Signals, ...], status: int, tmp_path: Path
) -> None:
    with hangup(signal.SIG_DFL):
        result = interrupted(tmp_path, UNDECIDED, *numbers)
    assert (result.exit_code, result.outputs["conclusion"]) == (status, "failure")
    assert result.outputs["batch_id"] == backend.BATCH_ID
    assert "canceled" in result.summary
    assert "Traceback" not in result.raw_log
    report = json.loads((tmp_path / "agents" / result.outputs["report_path"]).read_text())
    assert (report["short"], report["gates"][0]["state"]) == (True, "canceled")


def test_a_process_that_has_to_ignore_a_hangup_goes_on(tmp_path: Path) -> None:
    with hangup(signal.SIG_IGN):
        assert interrupted(tmp_path, UNDECIDED, signal.SIGHUP, signal.SIGTERM).exit_code == 143


@pytest.mark.parametrize(
    ("inputs", "file", "content"),
    [
        ({"trace_file": "slow.json"}, "slow.json", b'{"a":[' + b"[[[[1]]]]," * (1024 * 1024) + b"1]}"),
        ({}, ".github/sepurux-gate.yml", b"enforcement: [{stage: hard, branches: [" + b"a," * 131_000 + b"a]}]"),
    ],
    ids=["trace", "policy file"],
)
def test_a_signal_while_a_file_is_checked_ends_the_step(
    inputs: dict[str, str], file: str, content: bytes, tmp_path: Path
) -> None:
    """The parser needs seconds for each of these files, and the first one lets no other thread run meanwhile."""
    result = interrupted(tmp_path, "::add-mask::", inputs=inputs, files={file: content})
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (143, "error", "failure")
    assert "canceled" in result.outputs["reason"]
    assert result.outputs["batch_id"] == ""


def test_a_step_that_is_killed_leaves_its_ids_and_no_pass(tmp_path: Path) -> None:
    result = interrupted(tmp_path, "started batch", signal.SIGKILL)
    assert (result.outputs["decision"], result.outputs["conclusion"]) == ("error", "failure")
    assert result.outputs["batch_id"] == backend.BATCH_ID


def test_a_signal_after_an_error_blocks_although_errors_are_allowed(scene: Scene) -> None:
    """The run has ended before the signal, but another one goes on."""
    scene.sepurux.script("POST /v1/ci/runs", backend.json({"detail": "no"}, 409), backend.json({"batch_id": "b"}))
    scene.sepurux.script("GET /v1/ci/batch/*", RUNNING)
    result = interrupt(UNDECIDED, **scene.options(on_undecided="allow", trace_id="one, two"))
    assert result.outputs["conclusion"] == "failure"
    assert scene.status[0] == "failure"


def test_after_a_signal_a_status_call_that_hangs_is_abandoned(scene: Scene) -> None:
    scene.sepurux.script("GET /v1/ci/batch/*", RUNNING)
    scene.github.fault("repos/create-commit-status", faults.through, backend.hang(), always=True)
    assert interrupt(UNDECIDED, **scene.options()).exit_code == 143
