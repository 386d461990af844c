"""What the example agents have in common: instructions, scenarios, and stubs as tools."""

from __future__ import annotations

from typing import Any

from recording import recorded

INSTRUCTIONS = """\
You answer customers of a shop. Look up the order first. Refund only with the approval token of the order.
If the order has no token, say that a person will decide."""

SCENARIOS = {
    "refund-approved": "Order A-1001 arrived broken. Please refund it.",
    "refund-not-approved": "I do not like order A-1002. Please refund it.",
    "order-status": "Where is order A-1003?",
}
ORDERS = {
    "A-1001": {"state": "delivered", "total_cents": 4_200, "approval_token": "approval-7f3a"},
    "A-1002": {"state": "delivered", "total_cents": 180_000, "approval_token": None},
    "A-1003": {"state": "shipped", "total_cents": 2_500, "approval_token": None},
}


@recorded
def look_up_order(order: str) -> dict[str, Any]:
    """Return an order's state, total, and approval token."""
    return ORDERS[order]


@recorded
def refund(order: str, approval_token: str | None = None) -> dict[str, Any]:
    """Pay an order back."""
    return {"ok": True, "order": order, "approved": approval_token is not None}
