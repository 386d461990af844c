"""Owns the tree of what can go wrong; never decides what follows from it.

    GateError
    ├── BadSettings          the author of the workflow must change something; every mistake at once
    ├── CannotJudge          the backend gives no verdict; becomes decision `error` (or `pending`)
    ├── ForgeRefused         GitHub did not do what it was asked; becomes one warning, never a verdict
    └── OverTime             something took longer than it may; becomes one warning, never a verdict
        └── Ended            a signal came first

Foreign exceptions (requests, OS, JSON, Jinja) are translated at the border of their adapter.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sepurux_action.common import json_reader


class GateError(Exception):
    """Anything that this program reports instead of raising on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in the settings: the setting, what is accepted, and the place in a file if a file holds it.

    `where` names the setting, '' for a mistake in the file as a whole. Lines and columns count from 1.
    """

    where: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0

    @property
    def location(self) -> str:
        """Return the file and line that hold it, '' if no file does."""
        return f"{self.file}:{self.line}" if self.file else ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ConfigurationError(GateError):
    """The settings cannot be used; `problems` holds every mistake, in the order of the file or the option table."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def redacted(self, blank: Callable[[str], str]) -> ConfigurationError:
        """Return the same with every text blanked: a report's escapes would hide a secret from later blanking."""
        return ConfigurationError(
            replace(each, where=blank(each.where), message=blank(each.message)) for each in self.problems
        )


class EvaluationError(GateError):
    """No verdict can be had from the backend: `reason` says what happened, `hint` what to do.

    `is_outage` tells that no trace can cause this (contract, section 7).
    """

    def __init__(self, reason: str, hint: str = "", *, is_outage: bool = False) -> None:
        self.reason = reason
        self.hint = hint
        self.is_outage = is_outage
        super().__init__(reason)


class GitHubError(GateError):
    """GitHub did not do what it was asked: `refusal` says why, `partly` is what it answered all the same."""

    def __init__(self, refusal: ErrorDetails, partly: object = None) -> None:
        self.details = refusal
        self.partial_data = partly
        super().__init__(refusal.message)


class DeadlineExceeded(GateError):
    """Work was not done within its seconds."""


class Ended(DeadlineExceeded):
    """The run was ended before the work was done."""


# What a defect of this program raises when it reads data from outside. Each module that reads such data returns
# or raises one of the errors above; these kinds are caught only to keep a defect in one run from ending the others.
DEFECTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
REPORT_DEFECT = "Please report this line to sepurux/gate-action."


def describe_defect(error: BaseException) -> str:
    """Return an exception's kind and place; never its message, which may quote a secret."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"internal error ({type(error).__name__} at {os.path.basename(frame.filename)}:{frame.lineno})"  # noqa: PTH119


class TraceFileError(ValueError):
    """A trace file that cannot be used; the text says which and why."""


class TimedOut(EvaluationError):
    """The time is over, and no look at the run ever succeeded."""


class StillPending(EvaluationError):
    """The time is over, and the backend was heard: it just has not decided."""


MAX_MESSAGE_LENGTH = 200  # characters of GitHub's own words that a warning repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetails:
    """An answer of GitHub's that is no success. `status` is 0 for no answer; `accepted` is the header of that name.

    `late`: there is no time left to try again.
    """

    status: int = 0
    message: str = ""
    accepted: str = ""
    forbidden: bool = False
    rate_limited: bool = False
    timed_out: bool = False

    @property
    def of_the_token(self) -> bool:
        """Return whether the token may not make such a call at all, whatever the target."""
        return self.forbidden or self.status in {401, 410}

    @property
    def of_one_target(self) -> bool:
        """Return whether only the target of the call, or what was sent for it, was refused."""
        return not self.of_the_token and self.status in {404, 422}

    @property
    def of_every_target(self) -> bool:
        """Return whether a call for another target would be refused as well if it followed at once."""
        return self.of_the_token or self.rate_limited or self.timed_out

    @property
    def permanent(self) -> bool:
        """Return whether the same call would be refused again in this run."""
        return self.of_the_token or self.of_one_target

    @property
    def summary(self) -> str:
        """Return what GitHub said, for a warning."""
        message = json_reader.shorten(json_reader.printable(self.message), MAX_MESSAGE_LENGTH).rstrip(". ")
        return " ".join(filter(None, [f"HTTP {self.status}" if self.status else "", message])) or "no answer"
