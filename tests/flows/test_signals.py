"""A step that is cancelled or killed: what it writes, how soon it ends, and with which exit status."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import backend
from tests.backend import decided, sound_backend
from tests.github_double import faults
from tests.runner import start_action
from tests.scenes import CAMPAIGN, NUMBERS, Scene, without_code


@contextmanager
def hangup(handler: signal.Handlers) -> Iterator[None]:
    """Let new processes begin with this treatment of SIGHUP, which they inherit. nohup makes them ignore it."""
    before = signal.signal(signal.SIGHUP, handler)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_after_a_signal_outputs_and_summary_are_written_and_the_exit_status_is_the_signals(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    running = backend.json(decided(status="running", decision="pending"))
    with (
        sound_backend(**{"GET /v1/ci/batch/*": [running, backend.hang()]}) as sepurux,
        hangup(signal.SIG_DFL),
        start_action(workspace=tmp_path, inputs={**CAMPAIGN, "base_url": sepurux.url}, process=True) as under_way,
    ):
        under_way.wait_for_log("not decided yet", 10)
        under_way.send_signal(number)
        result = under_way.finish(5)
    assert result.exit_code == status
    assert (result.outputs["decision"], result.outputs["conclusion"]) == ("error", "failure")
    assert result.outputs["batch_id"] == backend.BATCH_ID
    assert "cancelled" in result.summary
    assert "leaves out the details" in result.summary
    assert "Traceback" not in result.raw_log


def test_a_process_that_has_to_ignore_a_hangup_goes_on(tmp_path: Path) -> None:
    running = backend.json(decided(status="running", decision="pending"))
    with (
        sound_backend(**{"GET /v1/ci/batch/*": [running, backend.hang()]}) as sepurux,
        hangup(signal.SIG_IGN),
        start_action(workspace=tmp_path, inputs={**CAMPAIGN, "base_url": sepurux.url}, process=True) as under_way,
    ):
        under_way.wait_for_log("not decided yet", 10)
        under_way.send_signal(signal.SIGHUP)
        under_way.send_signal(signal.SIGTERM)
        assert under_way.finish(5).exit_code == 143


def test_a_signal_while_a_trace_is_checked_ends_the_step(tmp_path: Path) -> None:
    """The check of this trace builds four million lists, and no other thread runs meanwhile."""
    trace = b'{"a":[' + b"[[[[1]]]]," * (1024 * 1024) + b"1]}"
    with (
        sound_backend() as sepurux,
        start_action(
            workspace=tmp_path / "workspace",
            inputs={**CAMPAIGN, "base_url": sepurux.url, "trace_file": "slow.json"},
            files={"slow.json": trace},
            process=True,
        ) as under_way,
    ):
        under_way.wait_for_log("::add-mask::", 10)
        under_way.send_signal(signal.SIGTERM)
        result = under_way.finish(5)
        assert sepurux.requests == ()
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (143, "error", "failure")
    assert "cancelled" in result.summary


def test_a_signal_while_a_policy_file_is_parsed_ends_the_step(tmp_path: Path) -> None:
    """The parser needs more than 10 s for this file of 256 KiB."""
    policy = "enforcement: [{stage: hard, branches: [" + "a," * 131_000 + "a]}]"
    with (
        sound_backend() as sepurux,
        start_action(
            workspace=tmp_path / "workspace",
            inputs={**CAMPAIGN, "base_url": sepurux.url},
            files={".github/sepurux-gate.yml": policy},
            process=True,
        ) as under_way,
    ):
        under_way.wait_for_log("::add-mask::", 10)
        under_way.send_signal(signal.SIGTERM)
        result = under_way.finish(5)
        assert sepurux.requests == ()
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (143, "error", "failure")
    assert "cancelled" in result.outputs["reason"]


def test_a_step_that_is_killed_leaves_its_ids_and_no_pass(tmp_path: Path) -> None:
    with (
        sound_backend(**{"GET /v1/ci/batch/*": backend.hang()}) as sepurux,
        start_action(workspace=tmp_path, inputs={**CAMPAIGN, "base_url": sepurux.url}, process=True) as under_way,
    ):
        under_way.wait_for_log("started batch", 10)
        under_way.send_signal(signal.SIGKILL)
        result = under_way.finish(5)
    assert (result.outputs["decision"], result.outputs["conclusion"]) == ("error", "failure")
    assert result.outputs["batch_id"] == backend.BATCH_ID


def test_one_signal_after_another_ends_with_the_status_of_the_first(tmp_path: Path) -> None:
    running = backend.json(decided(status="running", decision="pending"))
    with (
        sound_backend(**{"GET /v1/ci/batch/*": running}) as sepurux,
        start_action(workspace=tmp_path, inputs={**CAMPAIGN, "base_url": sepurux.url}) as under_way,
    ):
        under_way.wait_for_log("not decided yet", 10)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            under_way.send_signal(number)
        result = under_way.finish(5)
    assert result.exit_code == 130


def test_a_signal_while_the_score_is_read_leaves_no_pass(scene: Scene) -> None:
    scene.answers(decision="pass", **NUMBERS)
    scene.sepurux.script("GET /v1/campaigns/*/reliability", backend.empty(503), backend.hang())
    with start_action(**scene.options(min_reliability_score="80")) as step:
        step.wait_for_log("the reliability score: HTTP 503", 20)
        step.send_signal(signal.SIGTERM)
        result = step.finish(6)
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (143, "error", "failure")
    assert scene.status[0] == "failure"


@pytest.mark.parametrize("stage", ["soft", "hard"])
def test_a_cancelled_run_blocks_although_errors_are_allowed(stage: str, scene: Scene) -> None:
    scene.sepurux.script("GET /v1/ci/batch/*", backend.json(decided(status="running", decision="pending")))
    with start_action(**scene.options(on_undecided="allow", enforcement=stage)) as step:
        step.wait_for_log("not decided yet", 20)
        step.send_signal(signal.SIGTERM)
        result = step.finish(6)
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (143, "error", "failure")
    assert scene.status[0] == "failure"
    assert "on_undecided: allow does not apply, because the step was cancelled" in without_code(result.summary)


def test_a_signal_after_an_error_blocks_although_errors_are_allowed(scene: Scene) -> None:
    """The run has ended before the signal, but another one goes on."""
    scene.sepurux.script("POST /v1/ci/runs", backend.json({"detail": "no"}, 409), backend.json({"batch_id": "b"}))
    scene.sepurux.script("GET /v1/ci/batch/*", backend.json(decided(status="running", decision="pending")))
    with start_action(**scene.options(on_undecided="allow", trace_id="one, two")) as step:
        step.wait_for_log("not decided yet", 20)
        step.send_signal(signal.SIGTERM)
        result = step.finish(6)
    assert result.outputs["conclusion"] == "failure"
    assert scene.status[0] == "failure"


def test_after_a_signal_a_status_that_hangs_is_left_behind(scene: Scene) -> None:
    scene.sepurux.script("GET /v1/ci/batch/*", backend.json(decided(status="running", decision="pending")))
    scene.github.fault("repos/create-commit-status", faults.through, backend.hang(), always=True)
    with start_action(**scene.options()) as step:
        step.wait_for_log("not decided yet", 20)
        step.send_signal(signal.SIGTERM)
        assert step.finish(6).exit_code == 143
