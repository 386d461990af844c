"""Starts the program, in a workflow and on a command line, and ends it, also after a defect."""

import os
import signal

if os.name != "nt":  # a signal during the imports arrives once the gate can report it
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

import io
import logging
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from sepurux_action.errors import REPORT_DEFECT, describe_defect
from sepurux_action.evaluation.decision import EXIT_UNDECIDED
from sepurux_action.host.deadlines import Signals


def start_action(environ: Mapping[str, str] = os.environ) -> NoReturn:
    _prepare("::error title=Sepurux gate::")
    from sepurux_action.app import run_step  # noqa: PLC0415 - see _prepare

    _end(run_step(environ, sys.stdout, Signals.installed()))


def start_command_line() -> NoReturn:
    """Run as `sepurux-gate` or `python -m sepurux_action`."""
    _prepare("error: ")
    from sepurux_action.app import run_command_line  # noqa: PLC0415 - see _prepare

    try:
        match sys.argv[1:]:
            case ["demo" | "init" as name, *arguments]:
                _end_on_signals()
                status = import_module(f"sepurux_action.{name}").main(arguments)  # no other run needs them
            case arguments:
                status = run_command_line(arguments, os.environ, Signals.installed())
    except SystemExit as ended:  # by --help, --version, or an unknown flag
        status = int(ended.code or 0)
    _end(status)


def _end_on_signals() -> None:
    """Let a signal end the process, as it ends one that handles none."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def _prepare(prefix: str) -> None:
    """Silence libraries, and let an unexpected exception end the program with status 2; 1 means that a gate blocks.

    The exception's message is left out because it may quote a secret. The runner reads stderr too. This runs before the
    program's own imports, which fail in a broken installation.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - a closed stream is None
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character that the encoding lacks becomes `?`
    if os.name == "nt":
        sys.stderr.write(f"{prefix}The gate runs on Linux and macOS, not on Windows.\n")
        _end(EXIT_UNDECIDED)

    def end_after_defect(error: BaseException) -> None:
        with suppress(OSError):
            sys.stderr.write(f"{prefix}The gate has no result: {describe_defect(error)}. {REPORT_DEFECT}\n")
        _end(EXIT_UNDECIDED)

    threading.stack_size(2**22)  # bytes of each thread, whatever `ulimit -s` is; few of them are in memory
    logging.disable()  # libraries log URLs and response bodies to stderr
    sys.excepthook = lambda _kind, error, _where: end_after_defect(error)
    threading.excepthook = lambda defect: end_after_defect(defect.exc_value)  # type: ignore[arg-type]  # None is no case


def _end(status: int) -> NoReturn:
    """End at once: the interpreter's own exit waits for threads, ignores signals, and fails on closed streams."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    start_command_line()
