"""A refund agent on LangChain. It runs three scenarios and writes a trace of each for the gate.

    pip install langchain-openai sepurux==0.7.0
    OPENAI_API_KEY=... python langchain_agent.py FOLDER

`TraceHandler` also records agents of `langchain.agents.create_agent` and LangGraph.
"""

import json
import sys
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException, tool
from sepurux.integrations.langchain import SepuruxCallbackHandler

MAX_TURNS = 10
INSTRUCTIONS = """\
You answer customers of a shop. Look up the order first. Refund only with the approval token of the order.
If the order has no token, say that a person will decide."""

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


class TraceHandler(SepuruxCallbackHandler):
    """Records arguments and results of tools as JSON; the handler of sepurux 0.7.0 records their `repr`."""

    def on_tool_start(self, serialized: Any, input_str: str, *, inputs: Any = None, **kwargs: Any) -> None:
        super().on_tool_start(serialized, json.dumps(inputs, default=str) if inputs else input_str, **kwargs)

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        if isinstance(output, ToolMessage):
            output = {"status": output.status, "content": output.content}
        super().on_tool_end(output, **kwargs)

    def write(self, answer: str, path: Path) -> None:
        self._recorder.agent_output(answer)
        path.write_text(json.dumps(self._recorder.to_trace(), indent=2), encoding="utf-8")


@tool
def look_up_order(order: str) -> dict[str, Any]:
    """Return an order's state, total, and approval token."""
    if order not in ORDERS:
        raise ToolException(f"there is no order {order}")
    return ORDERS[order]


@tool
def refund(order: str, approval_token: str | None = None) -> dict[str, Any]:
    """Pay an order back."""
    return {"ok": True, "order": order, "approved": approval_token is not None}


TOOLS = {"look_up_order": look_up_order, "refund": refund}


def answer(model: BaseChatModel, request: str, config: RunnableConfig) -> str:
    messages: list[BaseMessage] = [SystemMessage(INSTRUCTIONS), HumanMessage(request)]
    agent = model.bind_tools(list(TOOLS.values()))
    for _ in range(MAX_TURNS):
        message = agent.invoke(messages, config)
        messages.append(message)
        if not message.tool_calls:
            return message.text
        messages += [TOOLS[call["name"]].invoke(call, config) for call in message.tool_calls]
    raise RuntimeError(f"no answer after {MAX_TURNS} turns")


def main(model: BaseChatModel, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for each in TOOLS.values():
        each.handle_tool_error = each.handle_validation_error = True  # the model reads what went wrong
    for name, request in SCENARIOS.items():
        handler = TraceHandler(name, {"request": request})
        handler.write(answer(model, request, {"callbacks": [handler]}), folder / f"{name}.json")


if __name__ == "__main__":
    from langchain_openai import ChatOpenAI

    main(ChatOpenAI(model="gpt-4.1-mini"), Path(sys.argv[1]))
