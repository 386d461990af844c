"""The process of the gate: a signal before it handles signals, and streams that are closed or full."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import COMMAND_LINE, REPOSITORY, inherited, run_shell
from tests.scenes import SECRET

SLOW = "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"


def interrupted(command: list[str], number: signal.Signals, **env: str) -> tuple[int, str]:
    """Return the exit status and the errors of a program that gets a signal during its imports."""
    with subprocess.Popen(
        command,
        env={**inherited(), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout
        assert started.stdout.readline() == "importing\n"
        started.send_signal(number)
        _, errors = started.communicate(timeout=30)
    return started.returncode, errors


@pytest.mark.parametrize("start", ["entrypoint.py", "composite/start.py"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_imports_ends_the_step_without_a_traceback(
    number: signal.Signals, start: str, tmp_path: Path
) -> None:
    copy, package = tmp_path / start, tmp_path / "sepurux_action"
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / start, copy)
    package.mkdir()
    (package / "__init__.py").write_text(SLOW)
    assert interrupted([sys.executable, "-I", str(copy)], number) == (128 + number, "")


@pytest.mark.parametrize("module", ["difflib", "requests"])
def test_ctrl_c_during_the_imports_ends_the_command_line_without_a_traceback(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(SLOW)
    start = "from sepurux_action.__main__ import start_command_line; start_command_line()"  # as the installed command
    command = [sys.executable, "-c", start]
    assert interrupted(command, signal.SIGINT, PYTHONPATH=f"{tmp_path}:{REPOSITORY}") == (130, "")


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
