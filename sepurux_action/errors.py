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

from collections.abc import Iterable
from dataclasses import dataclass

from sepurux_action.core.forge import Refusal


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
    def place(self) -> str:
        """Return the file and line that hold it, '' if no file does."""
        return f"{self.file}:{self.line}" if self.file else ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class BadSettings(GateError):
    """The settings cannot be used; `problems` holds every mistake, in the order of the file or the option table."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class CannotJudge(GateError):
    """No verdict can be had from the backend: `reason` says what happened, `hint` what to do."""

    def __init__(self, reason: str, hint: str = "") -> None:
        self.reason = reason
        self.hint = hint
        super().__init__(reason)


class ForgeRefused(GateError):
    """GitHub did not do what it was asked: `refusal` says why, `partly` is what it answered all the same."""

    def __init__(self, refusal: Refusal, partly: object = None) -> None:
        self.refusal = refusal
        self.partly = partly
        super().__init__(refusal.message)


class OverTime(GateError):
    """Work was not done within its seconds."""


class Ended(OverTime):
    """The run was ended before the work was done."""
