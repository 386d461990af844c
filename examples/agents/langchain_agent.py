"""Records a refund agent on LangChain, which runs it on LangGraph.

pip install langchain langchain-openai
python langchain_agent.py FOLDER
"""

from __future__ import annotations

import recording
from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain.messages import HumanMessage
from langchain_openai import ChatOpenAI
from shop import INSTRUCTIONS, SCENARIOS, look_up_order, refund


async def answer(request: str, instructions: str = INSTRUCTIONS) -> str:
    agent = create_agent(
        ChatOpenAI(model="gpt-4.1-mini"),
        [look_up_order, refund],
        system_prompt=instructions,
        middleware=[ToolRetryMiddleware(max_retries=0)],  # the model reads the error of a tool
    )
    result = await agent.ainvoke({"messages": [HumanMessage(request)]})
    return str(result["messages"][-1].text)


if __name__ == "__main__":
    recording.main(SCENARIOS, answer)
