"""Owns the start of the program, in a workflow and elsewhere, and its end by a defect; never anything between."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from contextlib import suppress
from types import TracebackType

from sepurux_action.adapters.actions_runner import ActionsRunner
from sepurux_action.adapters.terminal import Terminal
from sepurux_action.app import run
from sepurux_action.core.enforcement import EXIT_UNDECIDED


def start_action() -> int:
    """Run as a step of a GitHub workflow; return the exit status."""
    _end_undecided_on_defects("::error title=Sepurux gate::")
    return run(ActionsRunner(os.environ))


def start_command_line() -> int:
    """Run as `python -m sepurux_action`; return the exit status."""
    _end_undecided_on_defects("error: ")
    return run(Terminal(sys.argv[1:], os.environ))


def _end_undecided_on_defects(prefix: str) -> None:
    """Have an exception that nobody expected end the program as undecided: Python's own status would mean blocked.

    Its message is not shown, for it may quote a secret; its kind and place are. Both streams of a step are read for
    commands, so one line on stderr serves both kinds of place.
    """

    def last_words(kind: type[BaseException], where: TracebackType | None) -> None:
        frame = traceback.extract_tb(where)[-1]
        place = f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119
        with suppress(OSError):  # a closed stderr must not bring back Python's own status
            sys.stderr.write(
                f"{prefix}Internal error ({kind.__name__} at {place}). No verdict was reached. "
                "Please report this line to sepurux/gate-action.\n"
            )
            sys.stderr.flush()
        os._exit(EXIT_UNDECIDED)

    sys.excepthook = lambda kind, _error, where: last_words(kind, where)
    threading.excepthook = lambda defect: last_words(defect.exc_type, defect.exc_traceback)


if __name__ == "__main__":
    sys.exit(start_command_line())
