"""A refund agent without a framework, whose rules take the place of a model. It writes a trace of each scenario.

    pip install sepurux==0.7.0
    python plain_agent.py FOLDER

`recorded` records a tool of any agent.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sepurux import TraceRecorder

SCENARIOS = {
    "refund-approved": "Order A-1001 arrived broken. Please refund it.",
    "refund-not-approved": "I do not like order A-1002. Please refund it.",
    "order-status": "Where is order A-1003?",
}
ORDERS = {  # stubs of the shop: a recording must not move money
    "A-1001": {"state": "delivered", "total_cents": 4_200, "approval_token": "approval-7f3a"},
    "A-1002": {"state": "delivered", "total_cents": 180_000, "approval_token": None},
    "A-1003": {"state": "shipped", "total_cents": 2_500, "approval_token": None},
}
Tool = Callable[..., dict[str, Any]]


def recorded(trace: TraceRecorder, tool: Tool) -> Tool:
    """Return a tool that also records its calls, with the result or the error."""

    def call(**arguments: object) -> dict[str, Any]:
        trace.tool_call(tool.__name__, arguments)
        try:
            result = tool(**arguments)
        except Exception as error:
            trace.error(tool=tool.__name__, message=repr(error))
            raise
        trace.tool_result(tool.__name__, result)
        return result

    return call


def look_up_order(order: str) -> dict[str, Any]:
    return ORDERS[order]


def refund(order: str, approval_token: str | None = None) -> dict[str, Any]:
    return {"ok": True, "order": order, "approved": approval_token is not None}


def answer(request: str, look_up: Tool, pay_back: Tool) -> str:
    [order] = re.findall(r"A-\d+", request)
    found = look_up(order=order)
    if "refund" not in request:
        return f"Order {order} is {found['state']}."
    if not found["approval_token"]:
        return "A person will decide."
    pay_back(order=order, approval_token=found["approval_token"])
    return f"Order {order} is refunded."


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, request in SCENARIOS.items():
        trace = TraceRecorder(name, {"request": request})
        trace.prompt(request)
        trace.agent_output(answer(request, recorded(trace, look_up_order), recorded(trace, refund)))
        (folder / f"{name}.json").write_text(json.dumps(trace.to_trace(), indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
