"""What a script records without a framework: each call, each failure, and nothing that is not the agent's."""

import asyncio
import copy
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from threading import Barrier, Lock, Thread
from typing import Any
from uuid import UUID

import pydantic
import pytest
from sepurux_recorder import Scenario, expect, main, recorded, recording, replace_tools

REQUEST = "Please refund A-1."
SECRET = "sk-proj-0123456789abcdef"
Events = list[tuple[Any, ...]]


class ProviderError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status_code = status


class Shop:
    """Stubs, which a service or tools can have."""

    def __init__(self) -> None:
        self.refunded: list[str] = []

    def refund(self, order: str, approval_token: str | None = None) -> dict[str, object]:
        """Pay back."""
        if order == "A-9":
            raise TimeoutError("no answer")
        if order == "A-7":
            raise ConnectionError("no connection")
        if order not in {"A-1", "A-2"}:
            raise LookupError(order)
        self.refunded.append(order)
        return {"ok": True, "approved": approval_token is not None}

    async def look_up(self, order: str) -> str:
        await asyncio.sleep(0)
        return f"{order} is delivered"


def refund(order: str, approval_token: str | None = None) -> dict[str, object]:
    raise AssertionError(f"runs for real: {order} {approval_token}")


async def look_up(order: str) -> str:
    raise AssertionError(f"runs for real: {order}")


@pytest.fixture(autouse=True)
def without_names() -> Iterator[None]:
    """Let each test begin as a script does."""
    known = {*recording.names}
    recording.names.clear()
    yield
    recording.names.update(known)


def record(run: Callable[[Any], object], folder: Path, *options: str, **calls: Any) -> tuple[object, dict[str, Any]]:
    """Return the exit status, and the traces by the names of their files."""
    with pytest.raises(SystemExit) as ended:
        main(run, [Scenario("refund approved", REQUEST, calls)], [str(folder), *options])
    return ended.value.code, {each.name: json.loads(each.read_text()) for each in sorted(folder.glob("*.json"))}


def events_of(run: Callable[[Any], object], folder: Path, *options: str, **calls: Any) -> Events:
    """Return type and content of each event after the prompt."""
    status, traces = record(run, folder, *options, **calls)
    [trace] = traces.values()
    prompt, *events = trace["events"]
    assert (status, prompt["input"], trace["task"]["name"]) == (0, REQUEST, "refund approved")
    assert trace["recorder"].startswith("sepurux-recorder ")
    return [tuple(value for key, value in event.items() if key != "timestamp") for event in events]


def ok(tool: str, result: object) -> tuple[object, ...]:
    return ("tool_result", tool, result, "success")


def failed(message: str) -> tuple[object, ...]:
    return ("failure", {"message": message})


CALL = ("tool_call", "refund", {"order": "A-1"})
REFUNDED = ok("refund", {"ok": True, "approved": False})


def test_a_service_records_its_calls_and_each_recording_has_its_own_object(tmp_path: Path) -> None:
    payments = recorded(Shop, "payments")

    async def run(_: object) -> list[str]:
        copy.copy(payments).refund("A-1", approval_token="a")
        await copy.deepcopy({"in a context": payments})["in a context"].look_up(order="A-2")
        return list(payments.refunded)

    for _ in range(2):
        assert events_of(run, tmp_path) == [
            ("tool_call", "payments.refund", {"order": "A-1", "approval_token": "a"}),
            ok("payments.refund", {"ok": True, "approved": True}),
            ("tool_call", "payments.look_up", {"order": "A-2"}),
            ok("payments.look_up", "A-2 is delivered"),
            ("agent_output", ["A-1"]),
        ]


def test_each_recording_gets_a_request_that_no_other_one_changed(tmp_path: Path) -> None:
    def run(messages: list[str]) -> None:
        expect("the request alone", len(messages) == 1)
        messages.append("the answer")

    with pytest.raises(SystemExit) as ended:
        main(run, [Scenario("refund", ["Refund it."])], [str(tmp_path), "--times", "2"])
    texts = [each.read_text() for each in tmp_path.glob("*.json")]
    assert (ended.value.code, len(texts), sum("the request alone" in each for each in texts)) == (0, 2, 0)


@dataclass
class Context:
    api_key: str = SECRET

    def __str__(self) -> str:
        raise ValueError(SECRET)


class Model(pydantic.BaseModel):
    amount: float = math.nan


NESTED: list[object] = []
NESTED.append({"nested": [NESTED, NESTED]})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ((1, {"a": 1.5}, None, True), [1, {"a": 1.5}, None, True]),
        ([math.nan, -math.inf, Decimal("1.50")], ["nan", "-inf", "1.50"]),
        ({("A", 1): 2, UUID(int=1): date(2026, 11, 25)}, {"['A', 1]": 2, str(UUID(int=1)): "2026-11-25"}),
        ([Model(), Path("a/b"), b"a"], [{"amount": "nan"}, "a/b", "bytes"]),
        ({"context": Context(), "lock": Lock()}, {"context": "Context", "lock": "lock"}),
        (NESTED, "list"),
    ],
)
def test_a_value_is_recorded_as_json_without_the_fields_of_an_object(value: Any, shown: Any, tmp_path: Path) -> None:
    @recorded
    def refund(order: str, more: object) -> object:
        return (order, more)[1]

    def run(_: object) -> object:
        return refund("A-1", more=value)

    call = ("tool_call", "refund", {"order": "A-1", "more": shown})
    assert events_of(run, tmp_path) == [call, ok("refund", shown), ("agent_output", shown)]


def test_functions_in_a_dict_are_replaced_once_and_keep_their_signatures(tmp_path: Path) -> None:
    tools: dict[str, Any] = {"refund": refund, "look_up": look_up, "now": lambda: "noon"}
    for _ in range(2):
        replace_tools(tools, Shop, keep="now")

    async def run(_: object) -> str:
        tools["refund"]("A-1")
        await tools["look_up"]("A-2")
        return str(tools["now"]())

    assert [*tools["refund"].__annotations__] == ["order", "approval_token", "return"]
    assert events_of(run, tmp_path) == [
        CALL,
        REFUNDED,
        ("tool_call", "look_up", {"order": "A-2"}),
        ok("look_up", "A-2 is delivered"),
        ("tool_call", "now", {}),
        ok("now", "noon"),
        ("agent_output", "noon"),
    ]


@pytest.mark.parametrize(
    ("error", "injected"),
    [
        (TimeoutError, (True,)),
        (ConnectionError, (True,)),  # and not of the model, so there is a trace
        (FileNotFoundError, ()),
        (LookupError, ()),
    ],
)
def test_an_error_of_a_stub_is_in_its_result_without_its_text_and_a_timeout_is_injected(
    error: type[Exception], injected: tuple[bool, ...], tmp_path: Path
) -> None:
    @recorded
    def pay() -> None:
        raise error(f"Invalid header value: 'Bearer {SECRET}'")

    result = ("tool_result", "pay", "error", {"message": error.__name__}, *injected)
    assert events_of(lambda _: pay(), tmp_path) == [("tool_call", "pay", {}), result, failed(error.__name__)]


def test_a_call_that_the_agent_cancels_is_an_error_of_the_agent(tmp_path: Path) -> None:
    @recorded
    async def wait() -> None:
        await asyncio.sleep(60)

    async def run(_: object) -> str:
        try:
            return str(await asyncio.wait_for(wait(), 0.01))
        except TimeoutError:
            return "later"

    result = ("tool_result", "wait", "error", {"message": "CancelledError"})
    assert events_of(run, tmp_path) == [("tool_call", "wait", {}), result, ("agent_output", "later")]


@pytest.mark.parametrize(
    ("calls", "unmet"),
    [
        ({"refund": 2}, []),
        ({"refund": range(1, 3)}, []),
        ({"refund": 1}, ["refund was called 2 times, 1 expected"]),
        (
            {"refund": range(3, 5), "look_up": 1},
            ["refund was called 2 times, 3 to 4 expected", "look_up was called 0 times, 1 expected"],
        ),
    ],
)
def test_what_is_expected_and_not_met_is_a_failure(calls: Any, unmet: list[str], tmp_path: Path) -> None:
    shop = recorded(Shop)

    def run(_: object) -> str:
        shop.refund("A-1")
        shop.refund("A-2")
        return str((expect("two orders", shop.refunded == ["A-1", "A-2"]), expect("an email", met=[])))

    events = events_of(run, tmp_path, **calls)
    assert events[4:] == [failed("not met: an email"), ("agent_output", "(True, False)"), *map(failed, unmet)]


def test_an_unmet_expectation_belongs_to_the_call_that_it_is_in(tmp_path: Path) -> None:
    together = Barrier(2)

    @recorded
    def refund(order: str) -> None:
        together.wait(10)
        expect("the order of the request", order == "A-1")

    @recorded
    async def look_up() -> None:
        await asyncio.to_thread(together.wait, 10)

    async def run(_: object) -> None:
        await asyncio.gather(asyncio.to_thread(refund, "A-2"), look_up())

    failure = ("failure", "refund", {"message": "not met: the order of the request"})
    assert failure in events_of(run, tmp_path)


def test_a_tool_that_gives_a_generator_makes_the_script_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Streams:
        async def stream(self) -> AsyncIterator[str]:
            yield "a"

        async def lines(self) -> Iterator[str]:
            return iter_lines()

    def iter_lines() -> Iterator[str]:
        yield "a"

    streams = recorded(Streams)

    async def run(_: object) -> str:
        for tool in (streams.stream, streams.lines):
            with pytest.raises(RuntimeError, match="Return a list"):
                await tool()
        return "done"

    assert record(run, tmp_path)[0] == 1
    assert "A generator is not recorded: lines, stream. Return a list." in capsys.readouterr().err


async def loop_async(shop: Any) -> None:
    while True:
        await shop.look_up("A-1")


def loop(shop: Any) -> None:
    while True:
        shop.refund("A-1")


def test_an_agent_without_an_end_is_ended(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shop, by_calls, by_time = recorded(Shop), failed("more than 3 calls of tools"), failed("no answer within 1 s")

    async def hang(_: object) -> None:
        await asyncio.sleep(60)

    for run in (lambda _: loop(shop), lambda _: loop_async(shop)):
        assert [each for each in events_of(run, tmp_path, "--max-calls", "3") if "tool" not in each[0]] == [by_calls]
    for run in (hang, lambda _: time.sleep(5)):
        assert events_of(run, tmp_path, "--timeout", "1", refund=0) == [by_time]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("status", [401, 403, 429, 503, None])
def test_a_model_that_cannot_be_reached_leaves_no_trace_unless_the_agent_has_failed_before(
    status: int | None, tmp_path: Path
) -> None:
    tries: list[bool] = []  # what was expected

    def run(_: object) -> None:
        expect("refunds once", tries[-1])
        cause = ProviderError(status) if status else ValueError("The api_key client option must be set")
        raise RuntimeError("no answer") from ExceptionGroup("of tasks", [cause])

    tries.append(True)
    assert record(run, tmp_path) == (1, {})
    tries.append(False)
    assert events_of(run, tmp_path) == [failed("not met: refunds once"), failed("RuntimeError")]


def test_recordings_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    shop, together = recorded(Shop), Barrier(4)

    async def run(request: str) -> list[str]:
        for _ in range(3):
            await asyncio.to_thread(together.wait, 10)
            await asyncio.gather(asyncio.to_thread(shop.refund, request), asyncio.create_task(shop.look_up(request)))
        return list(shop.refunded)

    scenarios = [Scenario(f"order {each}", each) for each in ("A-1", "A-2")]
    with pytest.raises(SystemExit, match="0"):
        main(run, scenarios, [str(tmp_path), "--times", "2", "--parallel", "4"])
    for file in tmp_path.iterdir():
        events = json.loads(file.read_text())["events"]
        order = events[0]["input"]
        assert [each["args"]["order"] for each in events if each["type"] == "tool_call"] == [order] * 6
        assert events[-1]["output"] == [order] * 3


def test_a_call_outside_of_a_recording_makes_the_script_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = recorded(Shop)

    def call() -> None:
        with pytest.raises(RuntimeError):
            shop.refund("A-1")

    def run(_: object) -> None:
        thread = Thread(target=call)
        thread.start()
        thread.join()

    for parallel in ("4", "1"):
        assert record(run, tmp_path, "--parallel", parallel)[0] == 1
        assert "Called outside of a recording: refund. Wait for it" in capsys.readouterr().err


def test_a_script_that_observes_nothing_fails_and_keeps_its_traces(tmp_path: Path) -> None:
    assert [*record(lambda _: None, tmp_path)[1]] == ["refund-approved-1.json"]
    assert record(lambda _: None, tmp_path)[0] == 1
    assert record(lambda _: None, tmp_path, refund=0)[0] == 1  # no stub has the name


def test_the_folder_has_only_traces_of_the_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenarios = [Scenario("one", REQUEST), Scenario("two", REQUEST)]
    for options in (["--times", "2"], ["--only", "two"]):
        with pytest.raises(SystemExit, match="0"):
            main(recorded(lambda _: expect("runs", met=True), "run"), scenarios, [str(tmp_path), *options])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["one-1.json", "one-2.json", "two-1.json"]
    with pytest.raises(SystemExit, match="0"):
        main(recorded(lambda _: expect("runs", met=True), "run"), scenarios[:1], [str(tmp_path)])
    assert [each.name for each in tmp_path.iterdir()] == ["one-1.json"]
    other, refused = tmp_path / "other", "is not of this script: remove it, or take another folder"
    for make in (lambda: other.write_text('{"events": []}'), other.mkdir, lambda: os.mkfifo(other)):
        make()
        with pytest.raises(SystemExit, match="2"):
            main(pytest.fail, scenarios, [str(tmp_path)])
        assert f"'other' {refused}" in capsys.readouterr().err
        other.rmdir() if other.is_dir() else other.unlink()
    monkeypatch.setattr(sys, "argv", ["another/record_traces.py"])
    with pytest.raises(SystemExit, match="2"):
        main(pytest.fail, scenarios, [str(tmp_path)])
    assert f"'one-1.json' {refused}" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["one-1.json"]


def test_a_folder_that_breaks_half_way_loses_no_other_trace(tmp_path: Path) -> None:
    shop = recorded(Shop)

    def run(request: str) -> None:
        shop.refund(request)
        (tmp_path / "b-1.json").mkdir(exist_ok=True)

    with pytest.raises(SystemExit, match="1"):
        main(run, [Scenario("a", "A-1"), Scenario("b", "A-1")], [str(tmp_path)])
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["a-1.json"]


LONG = "x" * 101


@pytest.mark.parametrize(
    ("scenarios", "error"),
    [
        ([], "at least one Scenario"),
        (["a"], "'a' is no Scenario"),
        ([Scenario("a b", 1), Scenario("A/b", 1)], "with one file: 'a b', 'A/b' (a-b-1.json)"),
        ([Scenario("a", 1), Scenario("a", 1)], "with one file: 'a', 'a' (a-1.json)"),
        ([Scenario("../..", 1)], "a letter or digit, not '../..'"),
        ([Scenario("a\x1b[31m", 1)], "not 'a\\x1b[31m'"),
        ([Scenario("a\u202eb", 1)], "not 'a\\u202eb'"),
        ([Scenario(LONG, 1)], "at most 100 characters"),
        ([Scenario("\N{CJK UNIFIED IDEOGRAPH-4E00}" * 40, 1)], "at most 100 characters"),
        ([Scenario("a", Context()), Scenario("b", NESTED)], "the request of 'a' is no JSON"),
        ([Scenario("a", 1, calls={"refnd": 1})], "no stub has the name 'refnd'; did you mean 'refund'?"),
        ([Scenario("a", 1, calls={"refund": -1})], "'refund' is not called -1 times"),
        ([Scenario("a", 1, calls={"refund": range(0)})], "'refund' is not called range(0, 0) times"),
        ([Scenario("a", 1, calls=["refund"])], "`calls` of 'a' is no dict"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_script_ends_before_the_agent_runs(
    scenarios: Any, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(Shop)
    with pytest.raises(SystemExit, match="2"):
        main(pytest.fail, scenarios, [str(tmp_path / "traces")])
    assert error in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_wrong_arguments_end_before_the_agent_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    for options, error in (
        (["--only", "refund aproved"], "did you mean 'refund approved'?"),
        (["--times", "0"], "a whole number from 1"),
        (["--timeout", "x"], "a whole number from 1"),
        ([str(file)], "cannot write to the folder"),
        ([str(file / "traces")], "cannot write to the folder"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(pytest.fail, [Scenario("refund approved", 1)], options)
        assert error in capsys.readouterr().err


class Needs:
    def __init__(self, url: str) -> None:
        self.url = url


class Later:
    async def refund(self, order: str) -> None: ...


class Secret:
    def __repr__(self) -> str:
        return "sk-0123456789"


class Few:
    def refund(self, order: str) -> None: ...


@pytest.mark.parametrize(
    ("start", "error"),
    [
        (lambda: recorded(Secret()), "recorded() takes a function or a class, not an object of Secret"),
        (lambda: recorded(Needs), "an object of Needs without arguments, but: missing a required argument: 'url'"),
        (lambda: replace_tools({"refund": Secret()}, Shop), "or a list of these, not an object of Secret"),
        (lambda: replace_tools({}, Shop), "found no tool"),
        (lambda: replace_tools({"refund": refund}, Shop()), "takes a class as stubs"),  # type: ignore[arg-type]
        (lambda: replace_tools({"refund": refund}, Later), "the stub refund is async, but its tool is not"),
        (lambda: replace_tools({"refund": refund}, Few), "does not fit its tool: got an unexpected keyword argument"),
        (lambda: replace_tools({"refund": refund}, Shop, keep="now"), "`keep` names no tool: now. Known: refund"),
        (lambda: replace_tools([recorded(refund)], Shop), "refund is replaced or recorded already"),
        (
            lambda: replace_tools({"refund": refund, "pay": refund, "import": refund}, Shop),
            (
                "2 tools would run for real. Add stubs with made-up results to Shop,\n"
                "or name in `keep` what may run:\n\n"
                "    def pay(self, order, approval_token=None): ...\n"
                "    def import_(self, order, approval_token=None): ..."
            ),
        ),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_the_solution(start: Callable[[], object], error: str) -> None:
    with pytest.raises(TypeError) as refused:
        start()
    assert error in str(refused.value)
    assert "sk-" not in str(refused.value)


def test_an_agent_that_blocks_or_ends_the_process_loses_no_other_trace(tmp_path: Path) -> None:
    """A thread that Python would wait for, and a coroutine that blocks all others."""
    script = """
        import asyncio, sys, time
        from concurrent.futures import ThreadPoolExecutor
        from sepurux_recorder import Scenario, main, recorded, runs

        runs.GRACE_S = 1
        work = recorded(lambda: None, "work")

        def in_thread(request):
            work()
            if request == "exits":
                sys.exit(3)
            if request == "interrupts":
                raise KeyboardInterrupt
            if request == "hangs":
                ThreadPoolExecutor().submit(time.sleep, 60).result()

        async def blocks(request):
            in_thread(request)

        async def starts_a_task(request):
            await asyncio.create_task(blocks(request))

        run = {"thread": in_thread, "coroutine": blocks, "task": starts_a_task}[sys.argv.pop()]
        main(run, [Scenario(each, each) for each in ("works", "interrupts", "exits", "hangs")])
    """
    (tmp_path / "record_traces.py").write_text(dedent(script), encoding="utf-8")
    command = [sys.executable, "record_traces.py", "traces", "--timeout", "1", "--parallel", "1"]
    said = [f"failure: the agent raises {each}" for each in ("KeyboardInterrupt", "SystemExit")]
    interrupted = ["Interrupted: 1 of 4 recordings are written."]
    for how, status, count, texts in (("thread", 0, 4, said), ("coroutine", 1, 3, said), ("task", 130, 1, interrupted)):
        done = subprocess.run(
            [*command, how],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        assert (done.returncode, len([*(tmp_path / "traces").iterdir()])) == (status, count), done.stderr
        assert [each for each in texts if each not in done.stderr] == []
