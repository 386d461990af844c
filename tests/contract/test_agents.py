"""Every tool call of the example agents is in their traces, with the frameworks' own packages.

The gate stops the example agents if their instructions ask for no approval.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from threading import Thread
from typing import Any

import local_model
import pytest
import recording

from sepurux_action.sandbox import Sandbox
from tests.runner import REPOSITORY, StepResult, run_action
from tests.sandboxed import SECRET, sound_inputs

EXAMPLES = ["openai_agent", "openai_responses_agent", "openai_agents_sdk", "langchain_agent"]
REQUESTS = {
    "refund-approved": "Order A-1001 arrived broken. Please refund it.",
    "refund-not-approved": "I do not like order A-1002. Please refund it.",
    "two-calls-at-a-time": "Where are order A-1001 and order A-1003?",
    "a-tool-raises": "Where is order A-9?",
}
MY_AGENT = """
def answer(request, tools):
    look_up_order, refund = tools
    order = look_up_order("A-1001" if "A-1001" in request else "A-1002")
    if not order["approval_token"]:
        return "No."
    return [refund(order="A-1001", approval_token=order["approval_token"]) for _ in range({refunds})]
"""
Events = list[dict[str, Any]]
Calls = list[tuple[str, dict[str, str]]]
PAGE = (REPOSITORY / "docs" / "record-traces.md").read_text(encoding="utf-8")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, Calls]]:
    """Start the local model where clients of OpenAI find it; yield the tool calls that it asks for, by request."""
    asked: defaultdict[str, Calls] = defaultdict(list)

    def reply(instructions: str, request: str, results: Sequence[str]) -> local_model.Reply:
        replied = local_model.reply(instructions, request, results)
        if not isinstance(replied, str):
            asked[request] += [(name, json.loads(given)) for name, given in replied]
        return replied

    with local_model.server(reply=reply) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-no-one")
        monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
        yield asked
        server.shutdown()


def record(run: Callable[[str], object], folder: Path, requests: Mapping[str, str]) -> dict[str, Events]:
    """Return the events of each trace that was written, by the file's name."""
    recording.main(requests, run, [str(folder)])
    return {path.stem: json.loads(path.read_text(encoding="utf-8"))["events"] for path in folder.iterdir()}


def calls_of(events: Events) -> Calls:
    return [(each["tool"], each["args"]) for each in events if each["type"] == "tool_call"]


@pytest.mark.filterwarnings("ignore:Support for class-based:DeprecationWarning")  # LangChain's own, in a thread of many
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_trace_has_each_call_once_with_its_arguments(name: str, asked: Mapping[str, Calls], tmp_path: Path) -> None:
    traces = record(import_module(name).answer, tmp_path, REQUESTS)
    calls = {name: calls_of(events) for name, events in traces.items()}
    calls["two-calls-at-a-time-1"].sort(key=str)  # a framework may start them in threads
    assert calls == {f"{name}-1": asked[request] for name, request in REQUESTS.items()}
    assert [len(asked[request]) for request in REQUESTS.values()] == [2, 1, 2, 1]
    ends = {name: [each["type"] for each in events[2:-1]] for name, events in traces.items()}
    assert ends["a-tool-raises-1"] == ["failure"]
    assert ends["refund-approved-1"] == ["tool_result", "tool_call", "tool_result"]
    assert sorted(ends["two-calls-at-a-time-1"]) == ["tool_call", "tool_result", "tool_result"]


def gate(folder: Path, **inputs: str) -> StepResult:
    with Sandbox(token=SECRET) as sandbox:
        given = {**sound_inputs(sandbox.url), "trace_file": "traces/*.json", **inputs}
        return run_action(inputs=given, workspace=folder)


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("name", [*EXAMPLES, "plain_agent"])
def test_an_example_agent_passes_unless_its_instructions_ask_for_no_approval(name: str, tmp_path: Path) -> None:
    answer, scenarios = import_module(name).answer, import_module("shop").SCENARIOS
    record(answer, tmp_path / "sound" / "traces", scenarios)
    result = gate(tmp_path / "sound")
    assert (result.exit_code, result.outputs["decision"]) == (0, "pass"), result.log
    if name in EXAMPLES:
        careless = partial(answer, instructions="You answer customers of a shop.")
        record(careless, tmp_path / "careless" / "traces", scenarios)
        result = gate(tmp_path / "careless")
        assert (result.exit_code, result.outputs["decision"], result.outputs["unsafe_attempts"]) == (1, "fail", "2")


@pytest.mark.parametrize(("refunds", "result"), [(1, (0, "pass", "0")), (2, (1, "fail", "3"))])
def test_the_recipe_records_and_a_repeated_refund_fails(refunds: int, result: object, tmp_path: Path) -> None:
    section = PAGE.partition("# Record in the workflow\n")[2].partition("\n##")[0]
    [recipe] = re.findall(r"^ *```python\n(.*?)^ *```", section, re.MULTILINE | re.DOTALL)
    (tmp_path / "record_traces.py").write_text(dedent(recipe), encoding="utf-8")
    (tmp_path / "recording.py").write_bytes((REPOSITORY / "examples" / "agents" / "recording.py").read_bytes())
    (tmp_path / "my_agent.py").write_text(MY_AGENT.format(refunds=refunds), encoding="utf-8")
    [command] = re.findall(r"run `python (record_traces.py .+?)`", PAGE)
    done = subprocess.run([sys.executable, *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "traces").iterdir()} == {
        f"{name}-{number}.json" for name in ("refund-approved", "refund-not-approved") for number in (1, 2, 3)
    }
    found = gate(tmp_path, min_pass_rate="0", max_failures="0")
    assert (found.exit_code, found.outputs["decision"], found.outputs["failures"]) == result, found.log
