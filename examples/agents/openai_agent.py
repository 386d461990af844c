"""A refund agent on OpenAI's chat completions. record_openai.py records it: pip install openai."""

from __future__ import annotations

import json
from typing import Any

from openai import OpenAI

from shop import INSTRUCTIONS, look_up_order, refund


def described(name: str, text: str, *properties: str) -> Any:
    parameters = {"type": "object", "properties": {each: {"type": "string"} for each in properties}}
    return {"type": "function", "function": {"name": name, "description": text, "parameters": parameters}}


TOOLS = {"look_up_order": look_up_order, "refund": refund}
DESCRIBED = [
    described("look_up_order", "Return an order's state, total, and approval token.", "order"),
    described("refund", "Pay an order back.", "order", "approval_token"),
]


def answer(request: str, instructions: str = INSTRUCTIONS) -> str:
    messages: list[Any] = [{"role": "system", "content": instructions}, {"role": "user", "content": request}]
    for _ in range(10):
        reply = OpenAI().chat.completions.create(model="gpt-4.1-mini", messages=messages, tools=DESCRIBED)
        message: Any = reply.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return str(message.content)
        for call in message.tool_calls:
            result = called(call.function.name, call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise RuntimeError("no answer after 10 turns")


def called(name: str, arguments: str) -> str:
    """Return what a tool returns, or its error, which the model reads."""
    try:
        return json.dumps(TOOLS[name](**json.loads(arguments)))
    except (LookupError, OSError, TypeError, ValueError) as error:
        return json.dumps({"error": repr(error)})
