"""Owns the shapes of the outer world that the program needs; never an implementation.

The real ones are in `adapters`; tests bring their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from sepurux_action.core.ci_api import Answer, Call
from sepurux_action.core.event import Event, PullRequest, Question
from sepurux_action.core.forge import Comment, Look, State
from sepurux_action.core.past import PastResult
from sepurux_action.core.path_filter import ChangedFile
from sepurux_action.core.review import GivenReview
from sepurux_action.core.workflow_commands import Level

T = TypeVar("T")


class Cancelled(Exception):
    """Somebody ended the run: `signal` is the number of the signal."""

    def __init__(self, signal: int) -> None:
        self.signal = signal
        super().__init__(f"signal {signal}")


class Courier(Protocol):
    """Carries calls to the backend while time passes; the only clock that `watch` knows."""

    def now(self) -> float:
        """Return seconds on a clock that never jumps."""

    def jitter(self) -> float:
        """Return a random number, 0 to 1."""

    def new_key(self) -> str:
        """Return a fresh Idempotency-Key."""

    def send(self, tag: int, call: Call, within_s: float) -> None:
        """Start a call that ends within `within_s` seconds; its answer comes by `receive`, under its tag."""

    def receive(self, within_s: float) -> tuple[int, Answer] | None:
        """Return the next answer, or None after `within_s` seconds; raises Cancelled when the run was ended."""


class Place(Protocol):
    """Where the program runs: what it is given there, and how it speaks."""

    def line(self, text: str) -> None:
        """Write one line to the log."""

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write a line that stands out, on a line of a file of the repository where one is named."""

    def outputs(self, values: Mapping[str, str]) -> None:
        """Hand values to later steps; a later value of a name replaces an earlier one."""

    def summary(self, markdown: str) -> None:
        """Show the report."""


class Forge(Protocol):
    """GitHub, as far as the gate needs it; every method raises ForgeRefused."""

    def candidates(self, question: Question) -> tuple[PullRequest, ...]:
        """Return the pull requests that may answer a question."""

    def look(self, event: Event, *, after: str = "", with_base: bool = True, config: str = "") -> Look:
        """Return one page of what can be read at once."""

    def changed_files(self, number: int) -> tuple[ChangedFile, ...]:
        """Return the files that a pull request changes."""

    def reviews(self, number: int) -> tuple[GivenReview, ...]:
        """Return the reviews of a pull request, the oldest first."""

    def asked(self, number: int) -> tuple[str, ...]:
        """Return who is asked for a review."""

    def permission(self, login: str) -> str:
        """Return what a user may do in the repository."""

    def ask_for_review(self, number: int, login: str) -> None:
        """Ask one user for a review."""

    def required_contexts(self, branch: str) -> tuple[str, ...]:
        """Return the status contexts that rules of a branch require."""

    def last_results(self, base: str) -> tuple[Mapping[str, PastResult], ...]:
        """Return what the last pull requests into a branch came to, by context, the newest first."""

    def set_status(  # noqa: PLR0913 - the parts of a status
        self, commit: str, context: str, state: State, description: str, url: str, *, retry: bool = True
    ) -> None:
        """Set a commit status; without `retry` a failure is final."""

    def create_comment(self, number: int, body: str) -> Comment:
        """Write a comment, trying once."""

    def edit_comment(self, comment: Comment, body: str) -> bool:
        """Replace the body of a comment of our own; return whether there still is one."""

    def delete_comment(self, comment: Comment) -> None:
        """Delete a comment of our own."""


class Clock(Protocol):
    """Bounds what blocks."""

    def now(self) -> float:
        """Return seconds on a clock that never jumps."""

    def within(self, seconds: float, work: Callable[[], T]) -> T:
        """Return what the work returns; raises OverTime after the seconds, Ended when the run is ended."""

    def pause(self, seconds: float) -> None:
        """Wait so many seconds; raises Ended when the run is ended."""
