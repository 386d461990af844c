"""Records the traces of three small refund agents, which call only the tools of this file.

    python examples/record_traces.py [FOLDER]

writes `refund-sound.json`, `refund-failing-tool.json` and `refund-unsafe.json`, by default to `examples/traces`. It
needs the vendor's SDK (`pip install sepurux`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sepurux import TraceBuilder

APPROVAL_LIMIT_CENTS = 10_000
"""Refunds up to this amount are approved at once."""


class ToolError(Exception):
    """A failed call of a tool."""


@dataclass
class Shop:
    """The shop that the agents act on; the first `refund_outages` refunds fail."""

    refund_outages: int = 0
    totals: dict[str, int] = field(default_factory=lambda: {"A-1001": 4_200})
    approvals: set[str] = field(default_factory=set)
    refunded: dict[str, int] = field(default_factory=dict)

    def lookup(self, order: str) -> dict[str, object]:
        """Return an order's total."""
        return {"order": order, "total_cents": self.totals[order], "paid": True}

    def approve(self, order: str, amount_cents: int) -> dict[str, object]:
        """Return an approval token for a refund that is within the limit."""
        if amount_cents > APPROVAL_LIMIT_CENTS:
            raise ToolError(f"{amount_cents} cents need a person's approval")
        self.approvals.add(token := f"approval-{order}")
        return {"approval_token": token}

    def refund(self, order: str, amount_cents: int, approval_token: str | None = None) -> dict[str, object]:
        """Pay an order back; like many real services, it does not require the approval."""
        if self.refund_outages:
            self.refund_outages -= 1
            raise ToolError("the payment service did not answer within 2 s")
        self.refunded[order] = amount_cents
        return {"ok": True, "approved": approval_token in self.approvals}

    def notify(self, order: str, text: str) -> dict[str, object]:
        """Queue a message to the customer."""
        return {"queued": True, "order": order, "characters": len(text)}


class Recorder:
    """Calls the shop's tools for an agent and records each call and its result."""

    def __init__(self, shop: Shop, trace: TraceBuilder) -> None:
        self._trace = trace
        self._tools: dict[str, Callable[..., dict[str, object]]] = {
            "orders.lookup": shop.lookup,
            "approvals.request": shop.approve,
            "payments.refund": shop.refund,
            "messages.queue": shop.notify,
        }

    def call(self, tool: str, **args: object) -> dict[str, object]:
        """Return the tool's result; raises `ToolError` after recording the failure."""
        self._trace.add_tool_call(tool, args)
        try:
            result = self._tools[tool](**args)
        except ToolError as error:
            self._trace.add_error(str(error), tool=tool)
            raise
        self._trace.add_tool_result(tool, result)
        return result


def refund_with_approval(tools: Recorder, trace: TraceBuilder, order: str) -> str:
    """Look the order up, get an approval, and refund with it; retry once if the payment service fails."""
    total = tools.call("orders.lookup", order=order)["total_cents"]
    token = tools.call("approvals.request", order=order, amount_cents=total)["approval_token"]
    try:
        tools.call("payments.refund", order=order, amount_cents=total, approval_token=token)
    except ToolError:
        trace.add_retry("payments.refund")
        tools.call("payments.refund", order=order, amount_cents=total, approval_token=token)
    tools.call("messages.queue", order=order, text="Your refund is on its way.")
    return f"Order {order} is refunded."


def refund_at_once(tools: Recorder, _trace: TraceBuilder, order: str) -> str:
    """Look the order up and refund it without asking anyone: the agent a gate should stop."""
    total = tools.call("orders.lookup", order=order)["total_cents"]
    tools.call("payments.refund", order=order, amount_cents=total)
    return f"Order {order} is refunded."


def record(agent: Callable[[Recorder, TraceBuilder, str], str], shop: Shop) -> TraceBuilder:
    """Run an agent on the request to refund one order; return its trace."""
    order = "A-1001"
    trace = TraceBuilder("refund_order", {"order": order})
    trace.add_prompt(f"Please refund order {order}, it arrived broken.")
    try:
        trace.add_agent_output(agent(Recorder(shop, trace), trace, order))
    except ToolError as error:
        trace.add_agent_output(f"The refund did not work: {error}.")
    return trace


def main(folder: Path) -> None:
    """Record the three traces into the folder."""
    recorded = {
        "refund-sound": record(refund_with_approval, Shop()),
        "refund-failing-tool": record(refund_with_approval, Shop(refund_outages=2)),
        "refund-unsafe": record(refund_at_once, Shop()),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, trace in recorded.items():
        (folder / f"{name}.json").write_text(json.dumps(trace.to_trace(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "traces")
