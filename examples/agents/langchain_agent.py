"""A refund agent on LangChain and LangGraph. record_langchain.py records it: pip install langchain langchain-openai."""

from __future__ import annotations

from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_openai import ChatOpenAI

from shop import INSTRUCTIONS, look_up_order, refund

graph = create_agent(
    ChatOpenAI(model="gpt-4.1-mini"),
    [look_up_order, refund],
    system_prompt=INSTRUCTIONS,
    middleware=[ToolRetryMiddleware(max_retries=0)],  # the model reads the error of a tool
)
