"""A refund agent on OpenAI's Agents SDK. record_openai_agents.py records it: pip install openai-agents."""

from __future__ import annotations

from agents import Agent, function_tool

from shop import INSTRUCTIONS, look_up_order, refund

agent = Agent(
    name="refunds",
    instructions=INSTRUCTIONS,
    model="gpt-4.1-mini",
    tools=[function_tool(look_up_order), function_tool(refund)],
)
