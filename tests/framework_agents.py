"""The example agents, and the same agent on the other clients and methods of their frameworks, with async tools too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import langchain_agent
import openai_agent
import openai_agents_sdk
import openai_responses_agent
import shop
from agents import Agent, Runner, function_tool
from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI
from recording import recorded

MODEL = "gpt-4.1-mini"


@recorded
async def look_up_order(order: str) -> dict[str, Any]:
    """Return an order's state, total, and approval token."""
    await asyncio.sleep(0)
    return shop.ORDERS[order]


@recorded
async def refund(order: str, approval_token: str | None = None) -> dict[str, Any]:
    """Pay an order back."""
    await asyncio.sleep(0)
    return {"ok": True, "order": order, "approved": approval_token is not None}


TOOLS = {"look_up_order": look_up_order, "refund": refund}


async def called(name: str, arguments: str) -> str:
    try:
        return json.dumps(await TOOLS[name](**json.loads(arguments)))
    except LookupError as error:
        return json.dumps({"error": repr(error)})


# -- OpenAI -----------------------------------------------------------------------------------------------------------


def chat(send: Callable[[Any], Any]) -> Callable[[str], str]:
    def answer(request: str) -> str:
        messages: list[Any] = [{"role": "system", "content": shop.INSTRUCTIONS}, {"role": "user", "content": request}]
        while calls := (message := send(messages).choices[0].message).tool_calls:
            messages.append(message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}))
            for call in calls:
                result = openai_agent.called(call.function.name, call.function.arguments)
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        return str(message.content)

    return answer


def chat_async(send: Callable[[Any], Awaitable[Any]]) -> Callable[[str], Awaitable[str]]:
    async def answer(request: str) -> str:
        messages: list[Any] = [{"role": "system", "content": shop.INSTRUCTIONS}, {"role": "user", "content": request}]
        while calls := (message := (await send(messages)).choices[0].message).tool_calls:
            messages.append(message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}))
            results = await asyncio.gather(*(called(each.function.name, each.function.arguments) for each in calls))
            for call, result in zip(calls, results, strict=True):
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        return str(message.content)

    return answer


def chat_streamed(messages: Any) -> Any:
    options: Any = {"model": MODEL, "messages": messages, "tools": openai_agent.DESCRIBED}
    with OpenAI().chat.completions.stream(**options) as stream:
        return stream.get_final_completion()


async def chat_streamed_async(messages: Any) -> Any:
    options: Any = {"model": MODEL, "messages": messages, "tools": openai_agent.DESCRIBED}
    async with AsyncOpenAI().chat.completions.stream(**options) as stream:
        return await stream.get_final_completion()


async def chat_created_async(messages: Any) -> Any:
    options: Any = {"model": MODEL, "messages": messages, "tools": openai_agent.DESCRIBED}
    return await AsyncOpenAI().chat.completions.create(**options)


def responses(request: str) -> str:
    items: list[Any] = [{"role": "user", "content": request}]
    options: Any = {"model": MODEL, "instructions": shop.INSTRUCTIONS, "tools": openai_responses_agent.FLAT}
    while True:
        response = OpenAI().responses.create(input=items, **options)
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return str(response.output_text)
        items += response.output
        for call in calls:
            result = openai_agent.called(call.name, call.arguments)
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})


# -- OpenAI's Agents SDK, and LangChain -------------------------------------------------------------------------------


def agents_sdk() -> Agent[Any]:
    tools = [function_tool(look_up_order), function_tool(refund)]
    return Agent(name="refunds", instructions=shop.INSTRUCTIONS, model=MODEL, tools=[*tools])


def agents_run_sync(request: str) -> str:
    with asyncio.Runner() as loops:  # the SDK leaves the loop of a thread open
        asyncio.set_event_loop(loops.get_loop())
        return str(Runner.run_sync(agents_sdk(), request).final_output)


async def agents_streamed(request: str) -> str:
    result = Runner.run_streamed(agents_sdk(), request)
    async for _ in result.stream_events():
        pass
    return str(result.final_output)


def langchain(tools: list[Any]) -> Any:
    return create_agent(
        ChatOpenAI(model=MODEL),
        tools,
        system_prompt=shop.INSTRUCTIONS,
        middleware=[ToolRetryMiddleware(max_retries=0)],
    )


def langchain_invoked(request: str) -> str:
    result = langchain([shop.look_up_order, shop.refund]).invoke({"messages": [("user", request)]})
    return str(result["messages"][-1].text)


def langchain_streamed(request: str) -> str:
    agent = langchain([shop.look_up_order, shop.refund])
    return str(list(agent.stream({"messages": [("user", request)]}, stream_mode="values"))[-1]["messages"][-1].text)


async def langchain_streamed_async(request: str) -> str:
    agent = langchain([look_up_order, refund])
    states = [each async for each in agent.astream({"messages": [("user", request)]}, stream_mode="values")]
    return str(states[-1]["messages"][-1].text)


AGENTS: dict[str, Callable[[str], Any]] = {
    "chat completions": openai_agent.answer,
    "chat completions, async": chat_async(chat_created_async),
    "chat completions, stream": chat(chat_streamed),
    "chat completions, async stream": chat_async(chat_streamed_async),
    "responses": responses,
    "responses, async stream": openai_responses_agent.answer,
    "Agents SDK, run": openai_agents_sdk.answer,
    "Agents SDK, run_sync": agents_run_sync,
    "Agents SDK, run_streamed": agents_streamed,
    "LangChain, invoke": langchain_invoked,
    "LangChain, ainvoke": langchain_agent.answer,
    "LangChain, stream": langchain_streamed,
    "LangChain, astream": langchain_streamed_async,
}
