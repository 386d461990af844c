"""The gate on a pseudo-terminal: one line is rewritten while it waits, and then only the result remains."""

import os
import pty
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from sepurux_action.host.output import START_OF_EMPTY_LINE, WAITING
from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import REPOSITORY, inherited

RUNNING = {"status": "running", "decision": "pending"}
LINK = "https://app.sepurux.dev/runs/f00d0000-0000-4000-8000-000000000001"


def test_a_terminal_shows_one_line_that_is_rewritten_and_then_only_the_result(tmp_path: Path) -> None:
    released, written = threading.Event(), ""

    def poll(_: backend.Request) -> backend.Answer:
        failed = {"status": "done", "decision": "fail", "pass_rate": 0.5, "unsafe_attempts": 0}
        return backend.json(decided(**(failed if released.is_set() else RUNNING)))

    master, slave = pty.openpty()
    with sound_backend(**{"GET /v1/ci/batch/*": poll}) as sepurux:
        settings = {"SEPURUX_API_BASE_URL": sepurux.url, "SEPURUX_API_KEY": "api-key-0123456789", "TERM": "xterm"}
        command = [sys.executable, "-m", "sepurux_action", "--campaign", "core-reliability"]
        env = {**inherited(), "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8", **settings}
        process = subprocess.Popen(command, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
        os.close(slave)
        with suppress(OSError):  # Linux: the other end is closed
            while piece := os.read(master, 65536):
                written += piece.decode()
                if written.count("core-reliability: running, ") >= 3:
                    released.set()
        os.close(master)
        assert process.wait(10) == 1
    lines = written.replace("\r\n", "\n").removesuffix("\n").split("\n")
    remaining = [re.sub(r"\x1b\[\d+m", "", line.rpartition(START_OF_EMPTY_LINE)[2]) for line in lines]
    assert remaining[0] == LINK
    assert "50.0%" in "".join(remaining)
    assert WAITING not in "".join(remaining)
    assert "\x1b[31m" in written  # red
    frames = [each for each in written.split(START_OF_EMPTY_LINE) if each.startswith(WAITING)]
    assert all("\n" not in frame and len(frame) <= 77 and "(gives up in " in frame for frame in frames)
    assert "started batch" not in written
