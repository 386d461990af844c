"""The example agents, and the same agent on the other methods of their frameworks, with async tools too."""

import asyncio
from collections.abc import Callable
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
    retry, model = ToolRetryMiddleware(max_retries=0), ChatOpenAI(model=MODEL)
    return create_agent(model, tools, system_prompt=shop.INSTRUCTIONS, middleware=[retry])


def langchain_invoked(request: str) -> str:
    result = langchain([shop.look_up_order, shop.refund]).invoke({"messages": [("user", request)]})
    return str(result["messages"][-1].text)


async def langchain_streamed(request: str) -> str:
    agent = langchain([look_up_order, refund])
    states = [each async for each in agent.astream({"messages": [("user", request)]}, stream_mode="values")]
    return str(states[-1]["messages"][-1].text)


AGENTS: dict[str, Callable[[str], Any]] = {
    "chat completions": openai_agent.answer,
    "responses, async stream": openai_responses_agent.answer,
    "Agents SDK, run": openai_agents_sdk.answer,
    "Agents SDK, run_sync": agents_run_sync,
    "Agents SDK, run_streamed": agents_streamed,
    "LangChain, invoke": langchain_invoked,
    "LangChain, ainvoke": langchain_agent.answer,
    "LangChain, astream": langchain_streamed,
}
