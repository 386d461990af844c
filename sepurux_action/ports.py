"""Owns the shapes of the outer world that the program needs; never an implementation.

The real ones are in `adapters`; tests bring their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sepurux_action.core.ci_api import Answer, Call
from sepurux_action.core.workflow_commands import Level


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
