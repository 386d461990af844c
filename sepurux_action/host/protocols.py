"""The protocols of the host, which tests replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from sepurux_action.common.secret import Redactor
from sepurux_action.host.workflow_commands import Level

T = TypeVar("T")


class Output(Protocol):
    """Where a run writes its log, its outputs, and its report."""

    def mask_secrets(self, redact: Redactor, secrets: tuple[str, ...]) -> None:
        """Redact secrets in everything that is written from now on."""

    def log(self, text: str) -> None:
        """Write one line to the log."""

    def progress(self, text: str) -> None:
        """Write what the run does now to the log; nothing where `wait` is shown."""

    def wait(self, what: str, left_s: float) -> None:
        """Show what the run waits for, and in how many seconds it gives up, in one line that is rewritten; or nothing.

        A log shows nothing, because its lines cannot be rewritten.
        """

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write a message that stands out, at a line of a repository file if one is given."""

    def set_outputs(self, values: Mapping[str, str]) -> None:
        """Set values for later steps; a later value of a name replaces an earlier one."""

    def write_summary(self, markdown: str) -> None:
        """Show the report."""


class Timeouts(Protocol):
    """Runs blocking work within a deadline."""

    def now(self) -> float:
        """Return the seconds of a monotonic clock."""

    def run(self, seconds: float, work: Callable[[], T]) -> T:
        """Return what the work returns; raises DeadlineExceeded after the seconds, Interrupted after a signal."""

    def pause(self, seconds: float) -> None:
        """Wait for the seconds; raises Interrupted after a signal."""
