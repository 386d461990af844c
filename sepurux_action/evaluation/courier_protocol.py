"""Owns the shapes of the outer world that the program needs; never an implementation.

The real ones are in `adapters`; tests bring their own.
"""

from __future__ import annotations

from typing import Protocol

from sepurux_action.evaluation.api import ApiRequest, ApiResult


class Courier(Protocol):
    """Carries calls to the backend while time passes; the only clock that `watch` knows."""

    def now(self) -> float:
        """Return seconds on a clock that never jumps."""

    def jitter(self) -> float:
        """Return a random number, 0 to 1."""

    def new_key(self) -> str:
        """Return a fresh Idempotency-Key."""

    def send(self, tag: int, call: ApiRequest, within_s: float) -> None:
        """Start a call that ends within `within_s` seconds; its answer comes by `receive`, under its tag."""

    def receive(self, within_s: float) -> tuple[int, ApiResult] | None:
        """Return the next answer, or None after `within_s` seconds; raises Cancelled when the run was ended."""
