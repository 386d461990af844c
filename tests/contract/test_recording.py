"""The module that users copy records each call of a tool, and names each recording that fails."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from recording import main, recorded


@dataclass
class Order:
    name: str
    total: Decimal


class RunContextWrapper:
    """What OpenAI's Agents SDK passes to a tool has a class of this name, or one that inherits from it."""


class ToolContext(RunContextWrapper):
    pass


ORDER = Order("A-1", Decimal("42.00"))


def look_up(order: str, *_: object, **__: object) -> Order:
    if order == "A-9":
        raise LookupError(order)
    return ORDER


async def look_up_later(order: str, *more: object, **options: object) -> Order:
    await asyncio.sleep(0)
    return look_up(order, *more, **options)


def look_up_awaitable(order: str, *more: object, **options: object) -> object:
    return look_up_later(order, *more, **options)


TOOLS: list[Callable[..., Any]] = [look_up, look_up_later, look_up_awaitable]


def record(
    run: Callable[[Any], object], folder: Path, *options: str, scenarios: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """Return the traces by the names of their files."""
    main(scenarios or {"a-scenario": "a request"}, run, [str(folder), *options])
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.iterdir())}


def events_of(run: Callable[[Any], object], folder: Path) -> list[tuple[object, ...]]:
    """Return the type, the tool, and what an event says, for each event but the prompt and the answer."""
    [trace] = record(run, folder).values()
    prompt, *events, answer = trace["events"]
    assert (prompt["type"], prompt["input"], answer["type"]) == ("prompt", "a request", "agent_output")
    return [(e["type"], e["tool"], e.get("args", e.get("result", e.get("error")))) for e in events]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_records_each_call_then_its_result_or_its_error(tool: Callable[..., Any], tmp_path: Path) -> None:
    wrapped = recorded(tool)
    assert inspect.signature(wrapped) == inspect.signature(tool)
    assert inspect.iscoroutinefunction(wrapped) == inspect.iscoroutinefunction(tool)

    async def ended(*args: object, **kwargs: object) -> object:
        result = wrapped(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    async def run(_: object) -> None:
        assert await ended("A-1") == await ended(order="A-1") == ORDER
        with pytest.raises(LookupError):
            await ended("A-9")
        with pytest.raises(TypeError):
            await ended(approval_token="apr-7")
        await ended("A-1", "A-2", "A-3", approval_token="apr-7")

    name, returned = tool.__name__, {"name": "A-1", "total": "42.00"}
    everything = {"order": "A-1", "1": "A-2", "2": "A-3", "approval_token": "apr-7"}
    events = events_of(run, tmp_path)
    assert events[:6] == [
        *[("tool_call", name, {"order": "A-1"}), ("tool_result", name, returned)] * 2,
        ("tool_call", name, {"order": "A-9"}),
        ("failure", name, {"message": "LookupError('A-9')"}),
    ]
    assert events[6] == ("tool_call", name, {"approval_token": "apr-7"})
    assert events[7][0] == "failure"
    assert events[8:] == [("tool_call", name, everything), ("tool_result", name, returned)]


def test_a_method_under_another_name_records_its_arguments_without_the_frameworks_context(tmp_path: Path) -> None:
    class Shop:
        def change(self, _context: object, orders: list[object]) -> None:
            orders.append("another")

    def run(_: object) -> None:
        change = recorded(Shop().change, "orders.change")
        change(ToolContext(), [ORDER])
        change(None, [float("nan"), {("no", "JSON"): 1}])

    result = ("tool_result", "orders.change", None)
    assert events_of(run, tmp_path) == [
        ("tool_call", "orders.change", {"orders": [{"name": "A-1", "total": "42.00"}]}),
        result,
        ("tool_call", "orders.change", {"_context": None, "orders": "[nan, {('no', 'JSON'): 1}]"}),
        result,
    ]


def test_each_scenario_is_recorded_under_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options, tool = ["--times", "3", "--parallel", "1"], recorded(look_up)
    traces = record(tool, tmp_path, *options, scenarios={"one": "A-1", "two": "A-2"})
    names = ("one-1", "two-1", "one-2", "two-2", "one-3", "two-3")
    assert {name: trace["task"]["name"] for name, trace in traces.items()} == {
        f"{each}.json": each[:3] for each in names
    }
    progress = [f"{number}/6 {name}: tool calls: 1" for number, name in enumerate(names, 1)]
    assert capsys.readouterr().err.splitlines() == progress


def test_recordings_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    in_thread, in_task, together = recorded(look_up), recorded(look_up_later), Barrier(4)

    async def run(order: str) -> None:
        for _ in range(3):
            await asyncio.to_thread(together.wait, 10)
            await asyncio.gather(asyncio.to_thread(in_thread, order), asyncio.create_task(in_task(order)))

    scenarios = {f"scenario-{number}": f"A-{number}" for number in range(4)}
    for trace in record(run, tmp_path, "--parallel", "4", scenarios=scenarios).values():
        orders = [each["args"]["order"] for each in trace["events"] if each["type"] == "tool_call"]
        assert orders == [trace["task"]["input"]["request"]] * 6


def test_so_many_recordings_run_at_a_time_as_parallel_says(tmp_path: Path) -> None:
    now, most = 0, 0

    async def run(_: object) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    record(run, tmp_path, "--times", "20", "--parallel", "3")
    assert most == 3


def test_a_failed_recording_is_named_and_has_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenarios = {"good": "A-1", "bad": "A-9"}
    record(lambda _: None, tmp_path, "--times", "2", scenarios=scenarios)
    (tmp_path / "good-by-hand.json").write_text("{}", encoding="utf-8")
    assert "No recording has a tool call." in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        record(recorded(look_up_later), tmp_path, scenarios=scenarios)
    assert ended.value.code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good-1.json", "good-by-hand.json"]
    *_, error, names = capsys.readouterr().err.splitlines()
    assert (error, names) == ("LookupError: A-9", "Failed: bad-1")


async def in_a_thread_of_no_recording(call: Callable[[], None]) -> None:
    thread = Thread(target=call)
    thread.start()
    await asyncio.to_thread(thread.join)


async def after_the_answer(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(call)


@pytest.mark.parametrize("start", [in_a_thread_of_no_recording, after_the_answer])
def test_a_call_outside_of_a_recording_makes_the_script_fail_even_if_the_agent_catches_the_error(
    start: Callable[[Callable[[], None]], Awaitable[None]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call() -> None:
        with pytest.raises(RuntimeError):
            recorded(look_up)("A-1")

    with pytest.raises(SystemExit, match="1"):
        record(lambda _: start(call), tmp_path)
    assert "Called outside of a recording: look_up. Let the agent wait" in capsys.readouterr().err


def test_a_number_that_is_not_at_least_1_is_rejected(tmp_path: Path) -> None:
    for options in (["--times", "0"], ["--parallel", "-1"], ["--parallel", "x"]):
        with pytest.raises(SystemExit, match="2"):
            record(lambda _: None, tmp_path, *options)
