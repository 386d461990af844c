"""Owns the shapes of the outer world that the program needs; never an implementation.

The real ones are in `adapters`; tests bring their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from sepurux_action.host.workflow_commands import Level

T = TypeVar("T")


class Output(Protocol):
    """Where the program runs: what it is given there, and how it speaks."""

    def log(self, text: str) -> None:
        """Write one line to the log."""

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write a line that stands out, on a line of a file of the repository where one is named."""

    def set_outputs(self, values: Mapping[str, str]) -> None:
        """Hand values to later steps; a later value of a name replaces an earlier one."""

    def write_summary(self, markdown: str) -> None:
        """Show the report."""


class Timeouts(Protocol):
    """Bounds what blocks."""

    def now(self) -> float:
        """Return seconds on a clock that never jumps."""

    def run(self, seconds: float, work: Callable[[], T]) -> T:
        """Return what the work returns; raises OverTime after the seconds, Ended when the run is ended."""

    def pause(self, seconds: float) -> None:
        """Wait so many seconds; raises Ended when the run is ended."""
