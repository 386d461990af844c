"""Records a refund agent on OpenAI's Agents SDK.

pip install openai-agents
python openai_agents_sdk.py FOLDER
"""

from __future__ import annotations

import recording
from agents import Agent, Runner, function_tool, set_tracing_disabled
from shop import INSTRUCTIONS, SCENARIOS, look_up_order, refund

TOOLS = [function_tool(look_up_order), function_tool(refund)]


async def answer(request: str, instructions: str = INSTRUCTIONS) -> str:
    agent = Agent(name="refunds", instructions=instructions, model="gpt-4.1-mini", tools=[*TOOLS])
    result = await Runner.run(agent, request)
    return str(result.final_output)


if __name__ == "__main__":
    set_tracing_disabled(disabled=True)  # the SDK would send its own traces to OpenAI
    recording.main(SCENARIOS, answer)
