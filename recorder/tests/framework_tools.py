"""The frameworks, whose import takes seconds, and tools of them, none of which may run for real."""

from typing import Annotated, Any

from agents import Agent, Handoff, RunContextWrapper, Runner, WebSearchTool, function_tool, handoff
from agents.mcp import MCPServer
from langchain.agents import create_agent
from langchain.tools import ToolRuntime, tool
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg
from langchain_openai import ChatOpenAI
from langgraph.graph import MessagesState, StateGraph
from mcp.types import Tool

__all__ = ["Agent", "ChatOpenAI", "Handoff", "MessagesState", "Runner", "StateGraph", "WebSearchTool", "create_agent"]
__all__ += ["function_tool", "handoff"]


def real(*what: object) -> Any:
    raise AssertionError(f"runs for real: {what}")


@function_tool(failure_error_function=lambda _, error: f"failed: {error}")
def refund(context: RunContextWrapper[Any], order: str) -> str:
    return str(real(context, order))


@function_tool
def look_up(order: str) -> str:
    return str(real(order))


@function_tool
def now() -> str:
    return "noon"


class Server(MCPServer):
    """Has a tool, and calls it for real."""

    name = "orders"

    async def connect(self) -> None: ...

    async def cleanup(self) -> None: ...

    async def list_tools(self, *_: object) -> Any:
        return [Tool(name="look_up", input_schema={"type": "object", "properties": {"order": {"type": "string"}}})]

    async def call_tool(self, *what: object) -> Any:
        return real(*what)

    async def list_prompts(self) -> Any: ...

    async def get_prompt(self, *_: object) -> Any: ...


@tool
def pay(order: str, runtime: ToolRuntime, config: RunnableConfig) -> str:
    """Pay."""
    return str(real(order, runtime, config))


@tool(response_format="content_and_artifact")
async def find(order: str, user: Annotated[str, InjectedToolArg] = "mona") -> tuple[str, str]:
    """Find."""
    return (str(real(order, user)), "")


class Ship(BaseTool):
    """Has no schema of its own."""

    name: str = "ship"
    description: str = "Ship."

    def _run(self, order: str, config: RunnableConfig) -> str:
        return f"{order} shipped in {type(config).__name__}"
