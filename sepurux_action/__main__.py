"""Owns the start of the program, in a workflow and elsewhere, and its end, by a defect too; never anything between."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, TextIO

from sepurux_action.evaluation.enforcement import EXIT_UNDECIDED
from sepurux_action.host.signals import Signals


def start_action() -> NoReturn:
    """Run as a step of a GitHub workflow."""
    signals = _prepare("::error title=Sepurux gate::")
    _end(run_step(os.environ, sys.stdout, signals))


def run_step(environ: Mapping[str, str], log: TextIO, signals: Signals) -> int:
    """Return the exit status of a step whose environment, log, and signals are given."""
    from sepurux_action.app import run  # noqa: PLC0415
    from sepurux_action.host.actions_runner import ActionsRunner  # noqa: PLC0415 - see _prepare

    return run(ActionsRunner(environ, log), signals)


def start_command_line() -> NoReturn:
    """Run as `python -m sepurux_action`."""
    signals = _prepare("error: ")
    from sepurux_action.app import run  # noqa: PLC0415
    from sepurux_action.host.terminal import Terminal  # noqa: PLC0415 - see _prepare

    _end(run(Terminal(sys.argv[1:], os.environ), signals))


def _prepare(prefix: str) -> Signals:
    """Silence libraries, and have an exception that nobody expected end the program as undecided.

    Python's own status would mean blocked. The exception's message is not shown, for it may quote a secret; its kind
    and place are. Both streams of a step are read for commands, so one line on stderr serves both kinds of place. All
    this comes before the program's own imports, which are where a broken installation shows.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - a closed stream is None
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115

    def last_words(kind: type[BaseException], where: TracebackType | None) -> None:
        frame = traceback.extract_tb(where)[-1]
        place = f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119
        with suppress(OSError):
            sys.stderr.write(
                f"{prefix}Internal error ({kind.__name__} at {place}). No verdict was reached. "
                "Please report this line to sepurux/gate-action.\n"
            )
        _end(EXIT_UNDECIDED)

    logging.disable()  # libraries' own logs quote addresses and bodies, and come out on stderr
    sys.excepthook = lambda kind, _error, where: last_words(kind, where)
    threading.excepthook = lambda defect: last_words(defect.exc_type, defect.exc_traceback)
    signals = Signals()
    signals.install()
    return signals


def _end(status: int) -> NoReturn:
    """End at once: the interpreter's own end waits, takes the signals' handlers away, and minds a closed stream."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    start_command_line()
