"""The exceptions of the package. The module that uses a library translates that library's exceptions into these."""

import re
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sepurux_action.common import json_reader
from sepurux_action.common.wording import joined, location, optional

# What a defect of this program raises when it reads data from outside. It is caught only to keep a defect in one run
# from ending the others.
DEFECTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
REPORT_DEFECT = "Report this line at https://github.com/sepurux/gate-action/issues."
MAX_GITHUB_MESSAGE_LENGTH = 200  # characters of a GitHub message that a warning repeats
_GATEWAY_ERRORS = frozenset({502, 503, 504})
_TIMEOUT = re.compile(r"time[ds]?[ -]?out", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in the settings: which setting (`where`), what is accepted, and its line in the policy file.

    `where` is '' for a file as a whole. With a `file`, the settings that the texts name are keys of the policy file, or
    an input that the file does not override.
    """

    where: str
    message: str
    file: str = ""
    line: int = 0

    @property
    def location(self) -> str:
        return location(self.file, self.line)

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
    """The gate has no result, so the decision is `error`. `reason` says what happened, and `hint` what to do.

    `status` is that of the response which rejected a call, if that is why.
    """

    def __init__(self, reason: str, hint: str = "", *, status: int = 0, detail: str = "") -> None:
        self.reason, self.hint, self.status, self.detail = reason, hint, status, detail
        super().__init__(reason)


class StillPending(EvaluationError):
    """A poll succeeded, but the backend had not decided within the timeout: `pending`. `detail` is why, or ''."""


class GitHubError(Exception):
    """A call to GitHub failed, which is one warning and never a decision."""

    def __init__(self, details: "ErrorDetails") -> None:
        self.details = details
        super().__init__(details.message)


class GoneError(GitHubError):
    """GitHub does not have an object (any more), or the token may not see it."""


class DeadlineExceeded(Exception):
    """Work was not done within its seconds."""


class Interrupted(DeadlineExceeded):
    """A signal came before the work was done."""


def describe_defect(error: BaseException) -> str:
    """Return an exception's type and location, without its message, which may quote a secret."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = frame.filename.rpartition("/")[2]
    return f"internal error ({type(error).__name__} at {file}:{frame.lineno})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetails:
    """Why a call to GitHub failed.

    `status` is that of the response, 0 without one. `accepted` is the header `x-accepted-github-permissions`.
    `temporary`: the same call may succeed later. `retry_after_s` are the seconds after which GitHub accepts it, if it
    says so. `timed_out`: no time is left to try again. `over_limit`: GitHub says that the query costs too much.
    """

    status: int = 0
    message: str = ""
    accepted: str = ""
    forbidden: bool = False
    rate_limited: bool = False
    temporary: bool = False
    retry_after_s: float | None = field(default=None, compare=False)
    timed_out: bool = False
    over_limit: bool = False

    @property
    def too_large(self) -> bool:
        """Return whether GitHub may respond to a smaller query, because this one costs or takes too much.

        Source: https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
        """
        return self.over_limit or self.status in _GATEWAY_ERRORS or bool(_TIMEOUT.search(self.message))

    @property
    def of_the_token(self) -> bool:
        """Return whether the token may not make such a call for any target."""
        return self.forbidden or self.status in {401, 410}

    @property
    def of_one_target(self) -> bool:
        return not self.of_the_token and self.status in {404, 422}

    @property
    def of_every_target(self) -> bool:
        """Return whether a call for another target would fail too if it followed at once."""
        return self.of_the_token or self.rate_limited or self.timed_out

    @property
    def permanent(self) -> bool:
        return self.of_the_token or self.of_one_target

    @property
    def summary(self) -> str:
        message = json_reader.shorten(json_reader.printable(self.message), MAX_GITHUB_MESSAGE_LENGTH).rstrip(". ")
        return joined(" ", optional("HTTP {}", self.status), message) or "no response"
