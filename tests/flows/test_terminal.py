"""The gate on a pseudo-terminal: one line is rewritten while it waits, and then only the result remains."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sepurux_action.host.terminal import START_OF_EMPTY_LINE, WAITING
from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import REPOSITORY, inherited

RUNNING = {"status": "running", "decision": "pending"}
LINK = "https://app.sepurux.dev/runs/f00d0000-0000-4000-8000-000000000001"


class InTerminal:
    """The command line with both output streams on a pseudo-terminal, and what it has written there."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.written = ""
        self._master = master

    def read_until(self, seen: Callable[[str], bool] = lambda _: False) -> None:
        """Read until the condition is true, or to the end."""
        while not seen(self.written):
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # Linux: the other end is closed
                break
            self.written += piece.decode()
        if not seen(self.written):
            self.process.wait(10)

    @property
    def remaining(self) -> list[str]:
        """Return the lines that remain on the terminal, without colors."""
        lines = self.written.replace("\r\n", "\n").removesuffix("\n").split("\n")
        return [re.sub(r"\x1b\[\d+m", "", line.rpartition(START_OF_EMPTY_LINE)[2]) for line in lines]


@contextmanager
def in_terminal(folder: Path) -> Iterator[tuple[InTerminal, threading.Event]]:
    """Start a gate in a terminal; its run is under way until the event is set, and then fails."""
    released = threading.Event()

    def poll(_: backend.Request) -> backend.Answer:
        failed = {"status": "done", "decision": "fail", "pass_rate": 0.5, "unsafe_attempts": 0}
        return backend.json(decided(**(failed if released.is_set() else RUNNING)))

    master, slave = pty.openpty()
    with sound_backend(**{"GET /v1/ci/batch/*": poll}) as sepurux:
        settings = {"SEPURUX_API_BASE_URL": sepurux.url, "SEPURUX_API_KEY": "api-key-0123456789", "TERM": "xterm"}
        process = subprocess.Popen(
            [sys.executable, "-m", "sepurux_action", "--campaign", "core-reliability"],
            env={
                **inherited(),
                "PYTHONPATH": str(REPOSITORY),
                "PYTHONIOENCODING": "utf-8",
                "TERM": "xterm",
                **settings,
            },
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        try:
            yield InTerminal(process, master), released
        finally:
            process.kill()
            process.wait()
            os.close(master)


def test_a_terminal_shows_one_line_that_is_rewritten_and_then_only_the_result(tmp_path: Path) -> None:
    with in_terminal(tmp_path) as (terminal, released):
        terminal.read_until(lambda written: written.count("core-reliability: running, ") > 2)
        released.set()
        terminal.read_until()
    assert terminal.process.returncode == 1
    assert terminal.remaining[:4] == [LINK, "", "✗ core-reliability failed: 50.0% passed, 90.0% needed", ""]
    assert terminal.remaining[-1] == f"  {LINK}"
    assert all(terminal.written.count(text) == 1 for text in ("needs ≥ 90.0%", "failed: 50.0%", "wrong_arguments"))
    assert "\x1b[31m✗\x1b[0m" in terminal.written
    frames = [each for each in terminal.written.split(START_OF_EMPTY_LINE) if each.startswith(WAITING)]
    assert all("\n" not in frame and len(frame) <= 77 and "(gives up in " in frame for frame in frames)
    assert "started batch" not in terminal.written


def test_a_signal_leaves_one_line(tmp_path: Path) -> None:
    with in_terminal(tmp_path) as (terminal, _):
        terminal.read_until(lambda written: "core-reliability: running, " in written)
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until()
    assert terminal.process.returncode == 130
    link, empty, title, *others = terminal.remaining
    assert (link, empty) == (LINK, "")
    assert re.fullmatch(r"! core-reliability: canceled after [0-9.]+ s", title)
    assert others == ["", "  The run goes on at Sepurux:", f"    {LINK}"]
