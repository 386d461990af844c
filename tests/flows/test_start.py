"""A signal during the imports of a step, before the gate handles signals."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner import REPOSITORY

SLOW = "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"


@pytest.mark.parametrize("start", ["entrypoint.py", "composite/start.py"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_imports_ends_the_step_without_a_traceback(
    number: signal.Signals, start: str, tmp_path: Path
) -> None:
    copy = tmp_path / start
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / start, copy)
    package = tmp_path / "sepurux_action"
    package.mkdir()
    (package / "__init__.py").write_text(SLOW)
    with subprocess.Popen(
        [sys.executable, "-I", copy],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as step:
        assert step.stdout
        assert step.stdout.readline() == "importing\n"
        step.send_signal(number)
        _, complaint = step.communicate(timeout=30)
    assert (step.returncode, complaint) == (128 + number, "")
