"""The process of the gate: a signal during its imports, and streams that are closed or full."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import COMMAND_LINE, REPOSITORY, inherited, run_shell, start_action
from tests.scenes import SECRET

# The statuses of `docs/reference.md`.
STATUSES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(autouse=True)
def _receives_hangups() -> Iterator[None]:
    """Let the gate receive SIGHUP, also if the tests were started with `nohup`, which a process inherits."""
    earlier = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, earlier)


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
    inputs = {"campaign": "core-reliability", "token": SECRET, "report_dir": "build"}
    with start_action(
        workspace=tmp_path / "agents",
        inputs=inputs,
        env={"GATE_INPUTS": json.dumps(inputs)},
        entrypoint=copy,
        process=True,
    ) as running:
        running.wait_for("importing")
        running.send_signal(number)
        result = running.finish(10)
    assert (result.exit_code, result.outputs["decision"]) == (STATUSES[number], "error"), result.log
    assert "canceled" in result.outputs["reason"]
    assert "canceled" in result.summary
    assert (tmp_path / "agents" / "build" / "report.json").exists()
    assert "Traceback" not in result.raw_log


@pytest.mark.parametrize(
    ("number", "module"), [(signal.SIGHUP, "difflib"), (signal.SIGINT, "requests"), (signal.SIGTERM, "difflib")]
)
def test_a_signal_during_the_imports_of_the_command_line_is_reported(
    number: signal.Signals, module: str, tmp_path: Path
) -> None:
    (tmp_path / f"{module}.py").write_text(waits(tmp_path))
    start = "from sepurux_action.__main__ import start_command_line; start_command_line()"  # as the installed command
    with subprocess.Popen(
        [sys.executable, "-c", start, "--campaign", "core-reliability", "--token", SECRET],
        env={**inherited(), "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout
        assert started.stdout.readline() == "importing\n"
        started.send_signal(number)
        _, errors = started.communicate(timeout=30)
    assert started.returncode == STATUSES[number]
    assert "canceled" in errors
    assert "Traceback" not in errors


def test_the_action_needs_no_package_that_its_lock_file_leaves_out() -> None:
    locked = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")
    assert "\ncryptography==" not in locked
    start = "import sys; sys.modules['cryptography'] = None; import sepurux_action.app, github"
    done = subprocess.run([sys.executable, "-c", start], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_on_windows_the_command_line_ends_with_an_error() -> None:
    start = "import os\nfrom sepurux_action.__main__ import start_command_line\nos.name = 'nt'\nstart_command_line()"
    ended = subprocess.run(
        [sys.executable, "-c", start],
        env={**inherited(), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: The gate runs on Linux and macOS, not on Windows.\n"


@pytest.mark.parametrize(
    ("flags", "redirected", "decision", "status"),
    [
        *(("", each, "pass", 0) for each in ("| true", ">&-", ">&- 2>&-", ">/dev/full")),
        ("--format json", ">/dev/full", "fail", 1),
        ("--help", ">&- 2>&-", "fail", 0),
    ],
)
def test_a_report_or_log_that_cannot_be_written_changes_no_exit_status(
    flags: str, redirected: str, decision: str, status: int, tmp_path: Path
) -> None:
    answer = backend.json(decided(decision=decision, pass_rate=1, unsafe_attempts=0))
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        gate = f"--campaign core-reliability --token {SECRET} --base-url {sepurux.url} {flags}"
        ended = run_shell(f"exec 3>&1; ({COMMAND_LINE} {gate}; echo $? >&3) {redirected}", tmp_path)
    assert ended.stdout.splitlines()[-1] == str(status)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
