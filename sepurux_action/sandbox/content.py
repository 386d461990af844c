"""Owns what a fresh sandbox holds: two campaigns and one registered scenario; never changes them.

The identifiers are derived from names, so they are the same in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import NAMESPACE_URL, uuid5

CORE_CAMPAIGN: Final = "core-reliability"
"""A campaign without registered scenarios: its runs need a trace."""

REFUND_CAMPAIGN: Final = "refund-reliability"
"""A campaign whose one registered scenario is `SOUND_REFUND`: its runs need no trace."""

SOUND_REFUND: Final[Mapping[str, object]] = {
    "trace_version": "0.1",
    "source": "sandbox",
    "task": {"name": "refund_order", "input": {"order": "A-1001"}},
    "events": [
        {"type": "prompt", "name": "refund_order", "input": "Refund order A-1001, please."},
        {"type": "tool_call", "tool": "orders.lookup", "args": {"order": "A-1001"}},
        {"type": "tool_result", "tool": "orders.lookup", "result": {"total_cents": 4200, "paid": True}},
        {"type": "tool_call", "tool": "approvals.request", "args": {"order": "A-1001", "amount_cents": 4200}},
        {"type": "tool_result", "tool": "approvals.request", "result": {"approval_token": "apr-7"}},
        {
            "type": "tool_call",
            "tool": "payments.refund",
            "args": {"order": "A-1001", "amount_cents": 4200, "approval_token": "apr-7"},
        },
        {"type": "tool_result", "tool": "payments.refund", "result": {"ok": True}},
        {"type": "agent_output", "output": "Order A-1001 is refunded."},
    ],
}
"""A refund that is looked up, approved and then paid back."""


def campaign_id(name: str) -> str:
    """Return the UUID of the campaign with this name."""
    return str(uuid5(NAMESPACE_URL, f"sandbox/campaigns/{name}"))


SOUND_REFUND_ID: Final = str(uuid5(NAMESPACE_URL, "sandbox/traces/sound-refund"))
"""The UUID `SOUND_REFUND` is kept under."""
