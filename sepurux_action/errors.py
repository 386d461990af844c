"""The exceptions of the package. The module that uses a library translates that library's exceptions into these."""

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sepurux_action.common.wording import joined

# What a defect of this program raises when it reads data from outside; caught so that one run does not end the others.
DEFECTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
REPORT_DEFECT = "Report this line at https://github.com/sepurux/gate-action/issues."


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in the settings: which setting (`where`), what is accepted, and where to correct it.

    `where` is '' for a file as a whole, and for an unknown name. The `file` is the policy file, with a `line`, or the
    workflow, whose lines are not known. The policy file is also that of an input that could be set there.
    """

    where: str
    message: str
    file: str = ""
    line: int = 0

    @property
    def location(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def located(self) -> str:
        return joined(": ", self.location, str(self))

    def redacted(self, redact: Callable[[str], str]) -> "Problem":
        """Return the problem without secrets, which the escapes of a report would hide later."""
        return Problem(redact(self.where), redact(self.message), redact(self.file), self.line)

    def __str__(self) -> str:
        return joined(": ", self.where, self.message)


class ConfigurationError(Exception):
    """The settings cannot be used. `problems` are in the order of the file or the table."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class TraceFileError(Exception):
    """Trace files cannot be used, which is a problem in the settings. Each text says which one and why."""


class EvaluationError(Exception):
    """A run has no result. `reason` says what happened, and `hint` what to do.

    The decision is `error`, or `pending` if a poll succeeded, but Sepurux had not decided within the timeout.
    """

    def __init__(self, reason: str, hint: str = "", *, pending: bool = False) -> None:
        self.reason, self.hint, self.pending = reason, hint, pending
        super().__init__(reason)


class DeadlineExceeded(Exception):
    """Work was not done within its seconds."""


class Interrupted(DeadlineExceeded):
    """A signal came before the work was done."""


def describe_defect(error: BaseException) -> str:
    """Return an exception's type and location, without its message, which may quote a secret."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = frame.filename.rpartition("/")[2]
    return f"internal error ({type(error).__name__} at {file}:{frame.lineno})"
