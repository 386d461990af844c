"""What the example agents have in common: the instructions of the model, and tools that call a real shop."""

from __future__ import annotations

from typing import Any, NoReturn

INSTRUCTIONS = """\
You answer customers of a shop. Look up the order first. Refund only with the approval token of the order.
If the order has no token, say that a person will decide."""


class Payments:
    """The client of a service."""

    def refund(self, order: str, approval_token: str | None = None) -> dict[str, Any]:
        """Pay an order back."""
        _call_the_shop(order, approval_token)


def look_up_order(order: str) -> dict[str, Any]:
    """Return an order's state and its approval token."""
    _call_the_shop(order)


def refund(order: str, approval_token: str | None = None) -> dict[str, Any]:
    """Pay an order back."""
    _call_the_shop(order, approval_token)


def _call_the_shop(*what: object) -> NoReturn:
    raise RuntimeError(f"a recording must not call the real shop: {what}")
