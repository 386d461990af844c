"""A refund agent on `AsyncOpenAI` that streams OpenAI's responses: pip install openai."""

from __future__ import annotations

from typing import Any

from openai import AsyncOpenAI

from openai_agent import DESCRIBED, TOOLS, called
from shop import INSTRUCTIONS

__all__ = ["TOOLS", "answer"]

FLAT: list[Any] = [{"type": "function", "strict": False, **each["function"]} for each in DESCRIBED]


async def answer(request: str, instructions: str = INSTRUCTIONS) -> str:
    items: list[Any] = [{"role": "user", "content": request}]
    for _ in range(10):
        async with AsyncOpenAI().responses.stream(
            model="gpt-4.1-mini", instructions=instructions, input=items, tools=FLAT
        ) as stream:
            response = await stream.get_final_response()
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return response.output_text
        items += response.output
        for call in calls:
            result = called(call.name, call.arguments)
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    raise RuntimeError("no answer after 10 turns")
