"""The process of the gate: signals at any time, and streams that are closed or full."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import backend
from tests.backend import decided, sound_backend
from tests.github_double import faults
from tests.runner import COMMAND_LINE, REPOSITORY, StepResult, inherited, interrupt, run_shell
from tests.scenes import CAMPAIGN, NUMBERS, SECRET, Scene

RUNNING = backend.json(decided(status="running", decision="pending"))
UNDECIDED = "not decided yet"
# The statuses of `docs/reference.md`.
STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def interrupted(
    workspace: Path, ready: str, *signals: int | str, inputs: Mapping[str, str] = {}, files: Mapping[str, bytes] = {}
) -> StepResult:
    """Interrupt a step in a process of its own, whose CI run is running."""
    with sound_backend(**{"GET /v1/ci/batch/*": [RUNNING, backend.hang()]}) as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url, "report_dir": "build", **inputs}
        return interrupt(ready, *signals, workspace=workspace / "agents", inputs=inputs, files=files, process=True)


@pytest.mark.parametrize(
    ("signals", "status"),
    [((signal.SIGINT, "error after", signal.SIGTERM, signal.SIGTERM), 130), ((signal.SIGTERM,), 143)],
)
def test_after_a_signal_everything_is_written(signals: tuple[int | str, ...], status: int, tmp_path: Path) -> None:
    result = interrupted(tmp_path, UNDECIDED, *signals)
    assert (result.exit_code, result.outputs["conclusion"]) == (status, "failure")
    assert result.gate["batch_id"] == backend.BATCH_ID
    assert result.summary
    assert "Traceback" not in result.raw_log
    report = json.loads((tmp_path / "agents" / "build" / "report.json").read_text())
    assert (report["short"], report["gates"][0]["rule"]) == (True, "canceled")


@pytest.mark.parametrize(
    ("inputs", "file", "content"),
    [
        ({"trace_file": "slow.json"}, "slow.json", b'{"a":[' + b"[[[[1]]]]," * (1024 * 1024) + b"1]}"),
        ({}, ".github/sepurux-gate.yml", b"gates: [{paths: [" + b"a," * 131_000 + b"a]}]"),
    ],
)
def test_a_signal_ends_the_check_of_a_file(inputs: dict[str, str], file: str, content: bytes, tmp_path: Path) -> None:
    """The parser needs seconds for each of these files, and the first one lets no other thread run meanwhile."""
    result = interrupted(tmp_path, "::add-mask::", inputs=inputs, files={file: content})
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (143, "error", "failure")
    assert "canceled" in result.outputs["reason"]


def test_a_step_that_is_killed_leaves_no_pass(tmp_path: Path) -> None:
    result = interrupted(tmp_path, "started batch", signal.SIGKILL)
    assert (result.outputs["decision"], result.outputs["conclusion"]) == ("error", "failure")


def test_a_signal_while_the_score_is_read_leaves_no_pass(scene: Scene) -> None:
    scene.answers(decision="pass", **NUMBERS)
    scene.sepurux.script("GET /v1/campaigns/*/reliability", backend.empty(503), backend.hang())
    result = interrupt("the reliability of the run: HTTP 503", **scene.options(min_reliability_score="80"))
    assert (result.exit_code, result.outputs["decision"], scene.status[0]) == (143, "error", "failure")


def test_a_signal_after_an_outage_that_is_allowed_blocks(scene: Scene) -> None:
    policy = "on_outage: allow\ngates: [{name: one, timeout: 1}, {name: two}]\n"
    scene.repository.commit("main", {".github/sepurux-gate.yml": policy})
    scene.pull = scene.repository.pull("mona", head="allowed")
    scene.sepurux.script("GET /v1/campaigns", backend.empty(503))
    interrupt("[one] error after", **scene.options())
    assert scene.states() == {"Sepurux / one": "failure", "Sepurux / two": "failure"}


def test_a_signal_while_many_failures_are_rendered_ends_with_a_short_report(scene: Scene, tmp_path: Path) -> None:
    failures = [{"type": f"type {n}", "description": f"<b>@mona {n}" * 50} for n in range(1_000)]
    scene.answers(decision="fail", run_ids=[f"run-{n}" for n in range(20)])
    scene.sepurux.script(
        "GET /v1/ci/runs/*", lambda request: backend.json(decided(run_id=request.path[12:], failures=1_000))
    )
    scene.sepurux.script("GET /v1/campaigns/*/failures", backend.json(failures))

    def has_outputs() -> bool:
        return any("0.72" in each.read_text() for each in tmp_path.glob("temp/*/*/output"))

    result = interrupt(has_outputs, **scene.options(report_dir="build"), temp=tmp_path / "temp")
    assert (result.exit_code, result.outputs["decision"], scene.status[0]) == (143, "fail", "failure")
    report = json.loads((scene.workspace / "build" / "report.json").read_text())
    assert (report["short"], "@mona" in json.dumps(report), "mona" in result.summary) == (True, False, False)


def test_after_a_signal_a_status_call_that_hangs_is_abandoned(scene: Scene) -> None:
    scene.sepurux.script("GET /v1/ci/batch/*", RUNNING)
    scene.github.fault("repos/create-commit-status", faults.through, backend.hang(), always=True)
    assert interrupt(UNDECIDED, **scene.options()).exit_code == 143


def waits(folder: Path) -> str:
    """Return a module for the folder that waits for a signal while it is imported, then imports the real one."""
    return f"""
import importlib, signal, sys, time
print("importing", flush=True)
until = time.monotonic() + 10
while not signal.sigpending() and time.monotonic() < until:
    time.sleep(0.01)
sys.path[:] = [{str(REPOSITORY)!r}, *(each for each in sys.path if each != {str(folder)!r})]
del sys.modules[__name__]
importlib.import_module(__name__)
"""


@pytest.mark.parametrize("start", ["entrypoint.py", "composite/start.py"])
@pytest.mark.parametrize("number", STATUSES)
def test_a_signal_during_the_imports_is_reported(number: signal.Signals, start: str, tmp_path: Path) -> None:
    copy, package = tmp_path / start, tmp_path / "sepurux_action"
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / start, copy)
    package.mkdir()
    (package / "__init__.py").write_text(waits(tmp_path))
    inputs = {**CAMPAIGN, "report_dir": "build"}
    env, workspace = {"GATE_INPUTS": json.dumps(inputs)}, tmp_path / "agents"
    result = interrupt("importing", number, workspace=workspace, inputs=inputs, env=env, entrypoint=copy)
    assert (result.exit_code, result.outputs["decision"]) == (STATUSES[number], "error"), result.log
    assert "canceled" in result.outputs["reason"]
    assert result.summary
    assert (tmp_path / "agents" / "build" / "report.json").exists()
    assert "Traceback" not in result.raw_log


@pytest.mark.parametrize("number", STATUSES)
def test_a_signal_during_the_imports_of_the_command_line_is_reported(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "difflib.py").write_text(waits(tmp_path))
    start = "from sepurux_action.__main__ import start_command_line; start_command_line()"  # as the installed command
    command = [sys.executable, "-c", start, "--campaign", "core-reliability", "--token", SECRET]
    env, pipe = {**inherited(), "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}, subprocess.PIPE
    with subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True) as started:
        assert started.stdout
        assert started.stdout.readline() == "importing\n"
        started.send_signal(number)
        _, errors = started.communicate(timeout=30)
    assert started.returncode == STATUSES[number]
    assert errors
    assert "Traceback" not in errors


def test_the_gate_starts_without_cryptography_which_the_lock_file_leaves_out_and_not_on_windows(tmp_path: Path) -> None:
    start = "import os; from sepurux_action.__main__ import start_command_line; os.name = 'nt'; start_command_line()"
    windows = "error: The gate runs on Linux and macOS, not on Windows.\n"
    without = "import sys; sys.modules['cryptography'] = None; import sepurux_action.app, github"
    for code, status, error in ((start, 2, windows), (without, 0, "")):
        ended = run_shell(f'{sys.executable} -c "{code}"', tmp_path)
        assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", error)


@pytest.mark.parametrize(
    ("flags", "redirected", "decision", "status"),
    [
        *(("", each, "pass", 0) for each in ("| true", ">&- 2>&-", ">/dev/full")),
        *(("--format json", ">/dev/full", "fail", 1), ("--help", ">&- 2>&-", "fail", 0)),
    ],
)
def test_a_bad_stream_changes_nothing(flags: str, redirected: str, decision: str, status: int, tmp_path: Path) -> None:
    answer = backend.json(decided(decision=decision, pass_rate=1, unsafe_attempts=0))
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        gate = f"--campaign core-reliability --token {SECRET} --base-url {sepurux.url} {flags}"
        ended = run_shell(f"exec 3>&1; ({COMMAND_LINE} {gate}; echo $? >&3) {redirected}", tmp_path)
    assert ended.stdout.splitlines()[-1] == str(status)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_deep_json_ends_no_process_also_with_a_small_stack(tmp_path: Path) -> None:
    deep, nested = (b"[" * levels + b"]" * levels for levels in (9_000, 97))
    failing = backend.json(decided(decision="fail", pass_rate=0, unsafe_attempts=0, failures=2))
    files = {
        "deep.json": b'{"events": %b}' % deep,
        "nested.json": b'{"events": [{"type": "tool_call", "args": %b}]}' % nested,
    }
    files |= {"policy.yml": b"paths: " + deep, "repeated.yml": b"campaign: a\npaths: " + b"{a: " * 9_000}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with sound_backend(**{"GET /v1/ci/batch/*": failing, "GET /v1/campaigns/*/failures": backend.raw(deep)}) as sepurux:
        gate = f"{COMMAND_LINE} --campaign core-reliability --token {SECRET} --base-url {sepurux.url}"
        commands = (gate, f"{gate} --trace-file nested.json", f"{gate} --trace-file deep.json")
        checks = (f"{gate} --config {name}" for name in ("policy.yml", "repeated.yml"))
        found = [run_shell(f"ulimit -s 1024; {command}", tmp_path) for command in (*commands, *checks)]
    assert [each.returncode for each in found] == [1, 1, 2, 2, 2]
    assert "has more than 100 levels of objects and lists" in found[2].stderr
    assert "nested too deeply" in found[3].stderr
