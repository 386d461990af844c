"""The gate on a pseudo-terminal: one line is rewritten while it waits, and then only the result remains."""

import os
import pty
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sepurux_action.host.output import START_OF_EMPTY_LINE, WAITING
from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import REPOSITORY, inherited

RUNNING = {"status": "running", "decision": "pending"}
LINK = "https://app.sepurux.dev/runs/f00d0000-0000-4000-8000-000000000001"


class Ended(NamedTuple):
    """The exit status, all that was written, and the lines that remain on the terminal, without colors."""

    status: int
    written: str
    remaining: list[str]


def in_terminal(folder: Path, lines: int) -> Ended:
    """Run a gate with both output streams on a pseudo-terminal; its run fails once the line was written so often."""
    released, written = threading.Event(), ""

    def poll(_: backend.Request) -> backend.Answer:
        failed = {"status": "done", "decision": "fail", "pass_rate": 0.5, "unsafe_attempts": 0}
        return backend.json(decided(**(failed if released.is_set() else RUNNING)))

    master, slave = pty.openpty()
    with sound_backend(**{"GET /v1/ci/batch/*": poll}) as sepurux:
        settings = {"SEPURUX_API_BASE_URL": sepurux.url, "SEPURUX_API_KEY": "api-key-0123456789", "TERM": "xterm"}
        process = subprocess.Popen(
            [sys.executable, "-m", "sepurux_action", "--campaign", "core-reliability"],
            env={**inherited(), "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8", **settings},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        with suppress(OSError):  # Linux: the other end is closed
            while piece := os.read(master, 65536):
                written += piece.decode()
                if written.count("core-reliability: running, ") >= lines:
                    released.set()
        os.close(master)
        status = process.wait(10)
    remaining = written.replace("\r\n", "\n").removesuffix("\n").split("\n")
    plain = [re.sub(r"\x1b\[\d+m", "", line.rpartition(START_OF_EMPTY_LINE)[2]) for line in remaining]
    return Ended(status, written, plain)


def test_a_terminal_shows_one_line_that_is_rewritten_and_then_only_the_result(tmp_path: Path) -> None:
    status, written, remaining = in_terminal(tmp_path, 3)
    assert status == 1
    assert remaining[0] == LINK
    assert "50.0%" in "".join(remaining)
    assert WAITING not in "".join(remaining)
    assert "\x1b[31m" in written  # red
    frames = [each for each in written.split(START_OF_EMPTY_LINE) if each.startswith(WAITING)]
    assert all("\n" not in frame and len(frame) <= 77 and "(gives up in " in frame for frame in frames)
    assert "started batch" not in written
