"""Each call of a tool is in the traces of agents on the frameworks' own packages, and no tool runs for real.

A test imports the frameworks, so that only the process that runs it waits for them.
"""

import asyncio
import json
import runpy
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import local_model
import pytest
from jsonschema import Draft202012Validator
from sepurux_recorder import Scenario, main, recorded, replace_tools, runs

from scripts import trace_schema
from sepurux_action.app import run_command_line
from sepurux_action.host.deadlines import Signals
from tests.runner import REPOSITORY

AGENTS = REPOSITORY / "examples" / "agents"
EXAMPLES = [
    ("openai_agents", "openai_agents_sdk.py"),
    ("langchain", "langchain_agent.py"),
    ("openai", "openai_agent.py"),
    ("openai", "openai_responses_agent.py"),
    ("plain", "plain_agent.py"),
]
MISTAKES = dict.fromkeys(["openai_agents", "langchain", "openai"], ("shop.py", " with the approval token of the order"))
MISTAKES["plain"] = ("my_agent.py", ', approval_token="approval-7"')
Reply = Callable[[str, str, Sequence[str]], local_model.Reply]
Calls = list[tuple[str, Any]]


def ask(*calls: tuple[str, dict[str, object]]) -> Reply:
    """Return a model that asks for these calls, one after another."""

    def reply(_: str, __: str, results: Sequence[str]) -> local_model.Reply:
        if len(results) == len(calls):
            return " | ".join(results)
        name, arguments = calls[len(results)]
        return [(name, json.dumps(arguments))]

    return reply


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Reply], None]]:
    """Start the local model where clients of OpenAI find it; yield what sets its replies."""
    replies: list[Reply] = [local_model.reply]

    def reply(*said: Any) -> local_model.Reply:
        return replies[-1](*said)

    with local_model.server(reply=reply) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-no-one")
        monkeypatch.setattr(runs, "_leave", lambda _: None)  # idle threads of frameworks are left in the test's process
        yield replies.append
        server.shutdown()


@pytest.mark.filterwarnings("ignore:Support for class-based:DeprecationWarning")  # LangChain's own, in a thread
@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(("variant", "agent"), EXAMPLES, ids=[agent for _, agent in EXAMPLES])
def test_the_example_of_a_framework_records_what_the_gate_passes_or_blocks(
    variant: str, agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shop.py", "openai_agent.py"):
        shutil.copy(AGENTS / name, tmp_path)
    written = (REPOSITORY / "sepurux_action" / "init" / f"record_{variant}.txt").read_bytes()  # by sepurux-gate init
    (tmp_path / "record_traces.py").write_bytes(written)
    shutil.copy(AGENTS / agent, tmp_path / "my_agent.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["record_traces.py", "--times", "2"])
    file, approval = tmp_path / MISTAKES[variant][0], MISTAKES[variant][1]
    for exit_code in (0, 1):
        for name in ("my_agent", "openai_agent", "shop"):
            sys.modules.pop(name, None)
        with pytest.raises(SystemExit, match="0"):
            runpy.run_path("record_traces.py", run_name="__main__")
        traces = [json.loads(each.read_text()) for each in (tmp_path / "traces").glob("refund-*-[12].json")]
        assert len(traces) == 4
        for trace in traces:
            Draft202012Validator(json.loads(trace_schema.text())).validate(trace)
        assert run_command_line(["--sandbox", "--trace-file", "traces/*.json"], {}, Signals()) == exit_code
        assert approval in file.read_text(encoding="utf-8")
        file.write_text(file.read_text(encoding="utf-8").replace(approval, ""), encoding="utf-8")
        approval = ""


def recorded_by(run: Callable[[str], object], folder: Path, *options: str, status: int = 0) -> tuple[Calls, Any]:
    """Return the calls of one recording with their results, and the answer or the last failure."""
    with pytest.raises(SystemExit, match=str(status)):
        main(run, [Scenario("a scenario", "go")], [str(folder), *options])
    [file] = folder.glob("*.json")
    events = json.loads(file.read_text())["events"]
    calls = [(each["tool"], each["args"]) for each in events if each["type"] == "tool_call"]
    assert [each["tool"] for each in events if each["type"] == "tool_result"] == [name for name, _ in calls]
    return calls, events


class Stubs:
    def refund(self, context: Any, order: str) -> str:
        if order == "A-9":
            raise LookupError(f"no order {order}")
        return f"{order} refunded for {context.context}"

    async def look_up(self, order: str) -> str:
        return f"{order} delivered"


def run_sync(agent: Any, request: str) -> object:
    """Run an agent as `Runner.run_sync` does, in a loop that is closed afterwards."""
    from tests.framework_tools import Runner

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return Runner.run_sync(agent, request, context="Mona").final_output
    finally:
        loop.close()


def test_agents_sdk_records_through_handoffs_and_agents_as_tools(
    model: Callable[[Reply], None], tmp_path: Path
) -> None:
    from tests.framework_tools import Agent, Runner, handoff, look_up, now, refund

    clerk = Agent("clerk", tools=[look_up])
    payer = Agent("payer", tools=[refund, now])
    first = Agent("first", tools=[clerk.as_tool("ask_clerk", "Ask.")], handoffs=[handoff(payer)])
    with pytest.raises(TypeError, match=r"1 tool of the agent payer would run for real[\s\S]*def now\(self\): \.\.\."):
        replace_tools(first, Stubs)
    for _ in range(2):
        replace_tools(first, Stubs, keep="now")

    def reply(instructions: str, request: str, results: Sequence[str]) -> local_model.Reply:
        if request == "order?":
            return ask(("look_up", {"order": "A-1"}))(instructions, request, results)
        calls: list[Any] = [("ask_clerk", {"input": "order?"}), ("transfer_to_payer", {}), ("refund", {"order": "A-9"})]
        return ask(*calls, ("refund", {"order": "A-1"}), ("now", {}))(instructions, request, results)

    model(reply)

    async def streamed(request: str) -> object:
        result = Runner.run_streamed(first, request, context="Mona")
        async for _ in result.stream_events():
            pass
        return result.final_output

    expected = [("look_up", {"order": "A-1"}), ("refund", {"order": "A-9"}), ("refund", {"order": "A-1"}), ("now", {})]
    for run in (streamed, lambda each: run_sync(first, each)):
        calls, events = recorded_by(run, tmp_path)
        assert calls == expected
        assert "failed: no order A-9" in events[-1]["output"], "the model reads what the tool's own error function says"
        assert "A-1 refunded for Mona | noon" in events[-1]["output"]


def test_agents_sdk_refuses_what_no_stub_replaces_unless_it_is_kept_or_known() -> None:
    from tests.framework_tools import Agent, Handoff, WebSearchTool, look_up, now

    clerk, own = Agent("clerk", tools=[look_up]), Agent("own")

    async def invoke(*_: object) -> Any:
        return clerk

    made = Handoff("to_clerk", "Hand off.", {}, invoke, "clerk")
    own.handoffs.append(made)
    own.tools.append(WebSearchTool())
    with pytest.raises(
        TypeError, match=r"web_search: a WebSearchTool\n    to_clerk: a handoff to clerk, which is not in"
    ):
        replace_tools(own, Stubs)
    replace_tools([own, clerk], Stubs, keep={"web_search"})
    with pytest.raises(TypeError, match="recorded\\(\\) takes no FunctionTool: give now to replace_tools"):
        recorded(now)


def test_agents_sdk_a_timeout_of_a_tool_is_an_error_of_the_agent(
    model: Callable[[Reply], None], tmp_path: Path
) -> None:
    from tests.framework_tools import Agent, Runner, function_tool, real

    async def slow() -> str:
        return str(real())

    class Slow:
        def slow(self) -> None:
            time.sleep(0.5)

    agent = Agent("slow", tools=[function_tool(slow, timeout=0.1)])
    replace_tools(agent, Slow)
    model(ask(("slow", {})))
    _, events = recorded_by(lambda each: Runner.run(agent, each), tmp_path)
    assert (events[2]["status"], "injected" in events[2]) == ("error", False)


def test_agents_sdk_replaces_a_tool_of_an_mcp_server_when_it_is_called(
    model: Callable[[Reply], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.framework_tools import Agent, Runner, Server

    model(ask(("look_up", {"order": "A-1"})))

    class Nothing:
        pass

    for stubs, status, calls in ((Stubs, 0, [("look_up", {"order": "A-1"})]), (Nothing, 1, [])):
        agent: Agent[Any] = Agent("mcp", mcp_servers=[Server()])
        replace_tools(agent, stubs)
        assert recorded_by(partial(Runner.run, agent), tmp_path, status=status)[0] == calls
    assert "Tools of an MCP server without a stub: look_up." in capsys.readouterr().err


class PayStubs:
    def pay(self, order: str, runtime: Any) -> str:
        return f"{order} paid after {len(runtime.state['messages'])} messages"

    async def find(self, order: str) -> str:
        return f"{order} found"


@pytest.mark.filterwarnings("ignore:Support for class-based:DeprecationWarning")  # LangChain's own, in a thread
@pytest.mark.usefixtures("model")
def test_langgraph_records_through_subgraphs_whatever_is_injected(
    model: Callable[[Reply], None], tmp_path: Path
) -> None:
    from tests.framework_tools import ChatOpenAI, MessagesState, Ship, StateGraph, create_agent, find, pay

    graph: Any = StateGraph(MessagesState)
    graph.add_node("agent", create_agent(ChatOpenAI(model="m"), [pay, find, Ship()]))
    graph.add_edge("__start__", "agent")
    compiled = graph.compile()
    with pytest.raises(
        TypeError, match=r"1 tool of the graph would run for real[\s\S]*def ship\(self, order\): \.\.\."
    ):
        replace_tools(compiled, PayStubs)
    for _ in range(2):
        replace_tools(compiled, PayStubs, keep=["ship"])
    expected: Calls = [(each, {"order": "A-1"}) for each in ("pay", "find", "ship")]
    model(ask(*expected))
    request = {"messages": [("user", "go")]}

    async def streamed(_: str) -> object:
        chunks = [chunk async for chunk in compiled.astream(request, stream_mode="values")]
        return chunks[-1]["messages"][-1].text

    async def awaited(_: str) -> object:
        return (await compiled.ainvoke(request))["messages"][-1].text

    for run in (streamed, awaited, lambda _: compiled.invoke(request)["messages"][-1].text):
        calls, events = recorded_by(run, tmp_path)
        assert calls == expected
        assert events[-1]["output"] == "A-1 paid after 2 messages | A-1 found | A-1 shipped in dict"


@pytest.mark.filterwarnings("ignore:Support for class-based:DeprecationWarning")
def test_an_agent_that_calls_too_often_is_ended_without_a_traceback(
    model: Callable[[Reply], None], tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    from tests.framework_tools import Agent, ChatOpenAI, Runner, create_agent, function_tool

    model(lambda *_: [("look", json.dumps({"order": "A-1"}))])

    def look(order: str) -> str:
        """Look."""
        return order

    class Look:
        def look(self, order: str) -> str:
            return order

    agent: Agent[Any] = Agent("looks", tools=[function_tool(look)])
    graph: Any = create_agent(ChatOpenAI(model="m"), [look])
    replace_tools([agent, graph], Look)
    request = {"messages": [("user", "go")]}
    ways: list[Callable[[str], object]] = [
        lambda each: Runner.run(agent, each),
        lambda each: run_sync(agent, each),
        lambda _: graph.ainvoke(request),
        lambda _: graph.invoke(request),
    ]
    for run in ways:
        calls, events = recorded_by(run, tmp_path, "--max-calls", "3")
        assert (len(calls), events[-1]["error"]["message"]) == (3, "more than 3 calls of tools")
    assert "Traceback" not in capfd.readouterr().err + caplog.text
