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

SECRET = "api-key-0123456789"
RUNNING = {"status": "running", "decision": "pending"}
LINK = "https://app.sepurux.dev/runs/f00d0000-0000-4000-8000-000000000001"
TITLE = "✗ core-reliability failed: 50.0% passed, 90.0% needed"
ROW = "  ✗ Pass rate         50.0%   needs ≥ 90.0%"


class InTerminal:
    """The command line with both output streams on a pseudo-terminal, and what it has written there."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.written = ""
        self._master = master

    def read_until(self, seen: Callable[[str], bool]) -> None:
        while not seen(self.written):
            assert self._read(), self.written

    def read_until_end(self) -> None:
        while self._read():
            pass
        self.process.wait(10)

    def _read(self) -> bool:
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # Linux: the other end is closed
            return False
        self.written += piece.decode()
        return bool(piece)

    @property
    def frames(self) -> set[str]:
        """Return the different versions of the line that is rewritten."""
        versions = self.written.replace("\r\n", "\n").split(START_OF_EMPTY_LINE)
        return {each for each in versions if each.startswith(WAITING)}

    @property
    def remaining(self) -> list[str]:
        """Return the lines that remain on the terminal, without colors."""
        lines = self.written.replace("\r\n", "\n").removesuffix("\n").split("\n")
        return [re.sub(r"\x1b\[\d+m", "", line.rpartition(START_OF_EMPTY_LINE)[2]) for line in lines]


@contextmanager
def in_terminal(folder: Path, **environ: str) -> Iterator[tuple[InTerminal, threading.Event]]:
    """Start a gate in a terminal; its run is under way until the event is set, and then fails."""
    released = threading.Event()

    def poll(_: backend.Request) -> backend.Answer:
        failed = {"status": "done", "decision": "fail", "pass_rate": 0.5, "unsafe_attempts": 0}
        return backend.json(decided(**(failed if released.is_set() else RUNNING)))

    master, slave = pty.openpty()
    with sound_backend(**{"GET /v1/ci/batch/*": poll}) as sepurux:
        process = subprocess.Popen(
            [sys.executable, "-m", "sepurux_action", "--campaign", "core-reliability"],
            env={
                **inherited(),
                "PYTHONPATH": str(REPOSITORY),
                "PYTHONIOENCODING": "utf-8",
                "TERM": "xterm",
                "SEPURUX_API_BASE_URL": sepurux.url,
                "SEPURUX_API_KEY": SECRET,
                **environ,
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
        terminal.read_until_end()
    assert terminal.process.returncode == 1
    assert terminal.remaining[:4] == [LINK, "", TITLE, ""]
    assert terminal.remaining[-1] == f"  {LINK}"
    assert all(terminal.written.count(text) == 1 for text in (ROW[4:], "failed: 50.0%", "wrong_arguments"))
    assert "\x1b[31m✗\x1b[0m" in terminal.written
    assert all("\n" not in frame and len(frame) <= 77 and "(gives up in " in frame for frame in terminal.frames)
    assert "started batch" not in terminal.written


def test_a_dumb_terminal_gets_a_log_of_whole_lines(tmp_path: Path) -> None:
    with in_terminal(tmp_path, TERM="dumb") as (terminal, released):
        terminal.read_until(lambda written: "not decided yet" in written)
        released.set()
        terminal.read_until_end()
    assert "\x1b" not in terminal.written
    assert terminal.written.count("started batch") == 1
    assert f"{TITLE}\r\n\r\n" in terminal.written
    assert f"\r\n{ROW}\r\n" in terminal.written


def test_a_signal_leaves_one_line(tmp_path: Path) -> None:
    with in_terminal(tmp_path) as (terminal, _):
        terminal.read_until(lambda written: "core-reliability: running, " in written)
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until_end()
    assert terminal.process.returncode == 130
    link, empty, title, *others = terminal.remaining
    assert (link, empty) == (LINK, "")
    assert re.fullmatch(r"! core-reliability: canceled after [0-9.]+ s", title)
    assert others == ["", "  The run goes on at Sepurux:", f"    {LINK}"]
