"""What a script records without a framework: each call, each failure, and nothing that is not the agent's."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from threading import Barrier, Lock, Thread
from typing import Any

import pytest
from sepurux_recorder import Scenario, expect, main, recorded, recording, replace_tools, runs

REQUEST = "Please refund A-1."
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
def without_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each test begin as a script does."""
    known = {*recording.names}
    recording.names.clear()
    monkeypatch.setattr(runs, "RETRY_WAITS_S", (0.01, 0.01))
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
        payments.refund("A-1", approval_token="a")
        await payments.look_up(order="A-2")
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


def test_a_request_that_cannot_be_copied_loses_no_other_recording(tmp_path: Path) -> None:
    def run(_request: object) -> None:
        expect("an answer", met=True)

    with pytest.raises(SystemExit) as ended:
        main(run, [Scenario("lock", Lock()), Scenario("text", "Refund it.")], [str(tmp_path)])
    texts = {each.name: each.read_text() for each in tmp_path.glob("*.json")}
    assert (ended.value.code, [*sorted(texts)]) == (0, ["lock-1.json", "text-1.json"])
    assert "cannot pickle" in texts["lock-1.json"]


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
    ("order", "error", "injected"),
    [
        ("A-9", "TimeoutError: no answer", (True,)),
        ("A-7", "ConnectionError: no connection", (True,)),  # and not of the model, so there is a trace
        ("A-8", "LookupError: A-8", ()),
    ],
)
def test_an_error_of_a_stub_is_in_its_result_and_a_timeout_is_injected(
    order: str, error: str, injected: tuple[bool, ...], tmp_path: Path
) -> None:
    pay = recorded(Shop).refund
    result = ("tool_result", "refund", "error", {"message": error}, *injected)
    assert events_of(lambda _: pay(order), tmp_path) == [
        ("tool_call", "refund", {"order": order}),
        result,
        failed(error),
    ]


def test_a_call_that_the_agent_cancels_is_injected(tmp_path: Path) -> None:
    @recorded
    async def wait() -> None:
        await asyncio.sleep(60)

    async def run(_: object) -> str:
        try:
            return str(await asyncio.wait_for(wait(), 0.01))
        except TimeoutError:
            return "later"

    result = ("tool_result", "wait", "error", {"message": "CancelledError"}, True)
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
def test_a_model_that_cannot_be_reached_leaves_no_trace_and_is_tried_again_if_that_can_help(
    status: int | None, tmp_path: Path
) -> None:
    tries = 0

    def run(_: object) -> None:
        nonlocal tries
        tries += 1
        cause = ProviderError(status) if status else ValueError("The api_key client option must be set")
        raise RuntimeError("no answer") from ExceptionGroup("of tasks", [cause])

    assert record(run, tmp_path) == (1, {})
    assert tries == (3 if status in {429, 503} else 1)


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


def test_a_call_outside_of_a_recording_makes_the_script_fail_unless_recordings_run_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = recorded(Shop)

    def call() -> None:
        try:
            shop.refund("A-1")
        except RuntimeError:
            return

    def run(_: object) -> None:
        thread = Thread(target=call)
        thread.start()
        thread.join()

    assert record(run, tmp_path)[0] == 1
    assert "Called outside of a recording: refund. Let the agent wait" in capsys.readouterr().err
    assert record(run, tmp_path, "--parallel", "1")[0] == 0


def test_a_script_that_observes_nothing_fails_and_keeps_its_traces(tmp_path: Path) -> None:
    assert [*record(lambda _: None, tmp_path)[1]] == ["refund-approved-1.json"]
    assert record(lambda _: None, tmp_path)[0] == 1
    assert record(lambda _: None, tmp_path, refund=0)[0] == 1  # no stub has the name


def test_only_earlier_traces_of_the_same_scenarios_are_removed(tmp_path: Path) -> None:
    scenarios = [Scenario("one", REQUEST), Scenario("two", REQUEST)]
    for options in (["--times", "2"], ["--only", "two"]):
        with pytest.raises(SystemExit, match="0"):
            main(recorded(lambda _: expect("runs", met=True), "run"), scenarios, [str(tmp_path), *options])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["one-1.json", "one-2.json", "two-1.json"]
    (tmp_path / "two-1.json").write_text('{"events": []}', encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        main(lambda _: None, scenarios, [str(tmp_path)])
    assert len([*tmp_path.iterdir()]) == 3
    with pytest.raises(SystemExit, match="0"):
        main(recorded(lambda _: expect("runs", met=True), "run"), scenarios[:1], [str(tmp_path)])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["one-1.json", "two-1.json"]


def test_a_folder_that_breaks_half_way_loses_no_other_trace(tmp_path: Path) -> None:
    shop = recorded(Shop)
    (tmp_path / "refund-approved-1.json").mkdir()  # cannot be replaced
    with pytest.raises(SystemExit, match="2"):
        main(shop.refund, [Scenario("refund approved", "A-1")], [str(tmp_path)])

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
        import sys, time
        from concurrent.futures import ThreadPoolExecutor
        from sepurux_recorder import Scenario, main, recorded, runs

        runs.GRACE_S = 1
        work = recorded(lambda: None, "work")

        def in_thread(request):
            work()
            if request == "exits":
                sys.exit(3)
            if request == "hangs":
                ThreadPoolExecutor().submit(time.sleep, 60).result()

        async def blocks(request):
            in_thread(request)

        run = {"thread": in_thread, "coroutine": blocks}[sys.argv.pop()]
        main(run, [Scenario(each, each) for each in ("works", "exits", "hangs")])
    """
    (tmp_path / "record_traces.py").write_text(dedent(script), encoding="utf-8")
    command = [sys.executable, "record_traces.py", "traces", "--timeout", "1", "--parallel", "1"]
    for how, status, count in (("thread", 0, 3), ("coroutine", 1, 2)):
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
        assert "failure: RuntimeError: the agent exits with 3" in done.stderr
