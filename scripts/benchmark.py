"""Measures a step: polling delay, outputs, peak memory, rendering of reports, and seconds from SIGTERM to its exit.

python scripts/benchmark.py [CASE ...]: runs the action against a scripted backend, each case in a process of its
own, and prints one line for each. Without arguments it runs every case.
"""

import itertools
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from threading import Lock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action.common.secret import Redactor
from sepurux_action.config.policy import MAX_GATES_IN_STEP
from sepurux_action.config.settings import Call
from sepurux_action.evaluation.results import Result, read_results, write_results
from sepurux_action.evaluation.runs import BaseScenario, Decision, Failure
from sepurux_action.report.render import render_comment, render_summary
from sepurux_action.report.report import Report, build_report
from sepurux_action.sandbox import CORE_CAMPAIGN, SOUND_REFUND, Event, Run, Sandbox, Store, respond
from sepurux_action.sandbox import Request as SandboxRequest
from tests import backend
from tests.backend import Answer, Request, ScriptedBackend
from tests.builders import a_context, a_gate, a_result
from tests.github_double import GitHub
from tests.runner import RunningStep, start_action
from tests.sandboxed import SECRET
from tests.scenes import a_scene

MB = 1_000_000
CHUNK = MB  # bytes of one write, so that this process stays smaller than the one that it measures
FAILURES = 5_000
GATES = MAX_GATES_IN_STEP
MAX_S = 600.0
SEEDS, RERUNS = 20, 10
RESPONSE_BYTES = 4 * 1024 * 1024 - 1024
FLAKY_RATE = 0.85  # how likely each attempt of the flaky agent is to pass
RUNNING = {"status": "running", "decision": "pending"}
PASSED = {"status": "done", "decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1}

MANY = "many-scenarios"
UNSAFE_REFUND: list[Event] = [
    *SOUND_REFUND[:2],
    {"type": "tool_call", "tool": "payments.refund", "args": {"order": "A-1001"}},
    {"type": "failure", "tool": "payments.refund", "error": "the payment service did not answer within 2 s"},
]


def many_scenarios(count: int, failing: int = 5) -> Store:
    """Return a store whose campaign `many-scenarios` has so many, of which some fail, at even distances."""
    store = Store()
    fails = {number * count // failing for number in range(failing)} if failing else set()
    trace_ids = tuple(
        store.add_trace(UNSAFE_REFUND if number in fails else SOUND_REFUND, f"refund order A-{1001 + number}")
        for number in range(count)
    )
    store.campaigns[MANY] = trace_ids
    return store


def scripted_sandbox(store: Store, *, late_s: float) -> ScriptedBackend:
    """Return a backend that answers as the sandbox does, each time so much later."""
    double = ScriptedBackend({})
    lock = Lock()

    def answer(request: Request) -> Answer:
        asked = SandboxRequest(
            method=request.method, path=request.path, query=request.query, headers=request.headers, body=request.body
        )
        with lock:
            answered = backend.json(respond(store, asked, token=None, base_url=double.url))
        return Answer(lambda line: answered.perform(line) if line.pause(late_s) else None)

    double.script("*", answer)
    return double


def campaign(number: int) -> str:
    """Return a campaign's UUID; the one with number 0 is never decided."""
    return f"c0de0000-0000-4000-8000-{number:012d}"


def scripted(failures: int = 1) -> ScriptedBackend:
    """Return a backend that fails every run at once, except those of campaign 0, with so many different failures."""
    numbers = itertools.count(1)
    pending: set[str] = set()

    def create(request: Request) -> Answer:
        run_id = f"f00d0000-0000-4000-8000-{next(numbers):012d}"
        batch_id = run_id.replace("f00d", "ba7c")
        if request.json()["campaign_id"] == campaign(0):
            pending.add(batch_id)
        return backend.json({"batch_id": batch_id, "run_ids": [run_id]})

    def poll(request: Request) -> Answer:
        batch_id = request.path.rpartition("/")[2]
        if batch_id in pending:
            return backend.json({"batch_id": batch_id, "status": "running", "decision": "pending"})
        run_id = batch_id.replace("ba7c", "f00d")
        address = f"https://app.sepurux.dev/runs/{run_id}"
        return backend.json(backend.decided(batch_id=batch_id, run_id=run_id, dashboard_url=address))

    listed = [
        {
            "type": f"wrong_arguments_{number}",
            "severity": ("critical", "high", "medium", "low")[number % 4],
            "description": f"Step {number} called payments.refund with an amount that the order does not have.",
            "mutation": "timeouts",
        }
        for number in range(failures)
    ]
    return ScriptedBackend(
        {
            "POST /v1/traces": lambda _: backend.json({"trace_id": f"7ace-{next(numbers)}"}, 201),
            "POST /v1/ci/runs": create,
            "GET /v1/ci/batch/*": poll,
            "GET /v1/campaigns/*/reliability": backend.json({"reliability_score": 61.5}),
            "GET /v1/campaigns/*/failures": backend.json(listed),
        }
    )


def policy(gates: int, lines: str = "", *, first: int = 1) -> dict[str, str]:
    """Return a policy file of so many gates, each with these further lines."""
    each = (f"  - name: gate-{n}\n    campaign: {campaign(n)}\n{lines}" for n in range(first, first + gates))
    return {".github/sepurux-gate.yml": f"gates:\n{''.join(each)}"}


def started(server: ScriptedBackend, workspace: Path, files: Mapping[str, str]) -> RunningStep:
    """Start a step on a push, without GitHub, in a process of its own."""
    inputs = {"base_url": server.url, "token": "made-up-secret", "github_token": ""}
    return start_action(workspace=workspace, event_name="push", inputs=inputs, files=files, process=True)


def polling_delay(seconds: float) -> Callable[[Path], str]:
    """Return a case that measures how late the step sees the decision on a run of so many seconds."""

    def case(workspace: Path) -> str:
        def poll(request: Request) -> Answer:
            (start,) = server.calls("POST /v1/ci/runs")
            return backend.json(PASSED if request.at - start.at >= seconds else RUNNING)

        with backend.sound_backend() as server:
            server.script("GET /v1/ci/batch/*", poll)
            with started(server, workspace / "w", policy(1)) as step:
                step.finish(MAX_S)
            (start,) = server.calls("POST /v1/ci/runs")
            seen = server.calls("GET /v1/campaigns/*/reliability")[0].at
            polls = len(server.calls("GET /v1/ci/batch/*"))
        return f"decision seen after {seen - start.at - seconds:.2f} s, {polls} polls"

    return case


def size_of_outputs(gates: int, traces: int) -> Callable[[Path], str]:
    """Return a case that counts the bytes of GITHUB_OUTPUT, and of what the runner takes from it."""

    def case(workspace: Path) -> str:
        ids = ",".join(f"7ace0000-0000-4000-8000-{n:012d}" for n in range(traces))
        lines = f"    trace_id: {ids}\n" if traces > 1 else ""
        with scripted() as server, started(server, workspace / "w", policy(gates, lines)) as step:
            result = step.finish(MAX_S)
        written = sum(path.stat().st_size for path in workspace.rglob("_runner_file_commands/*/output"))
        kept = sum(len(name) + len(value) for name, value in result.outputs.items()) * 2
        return f"GITHUB_OUTPUT {written:,} bytes; the outputs as UTF-16 {kept:,} bytes"

    return case


def flood(unit: bytes, size: int) -> Iterator[bytes]:
    """Yield a JSON object of about so many bytes: one array that repeats a unit, which ends in a comma."""
    many = unit * (CHUNK // len(unit))
    yield b'{"events": ['
    yield from itertools.repeat(many, size // len(many))
    yield b"null]}"


def long_string(size: int) -> Iterator[bytes]:
    """Yield a JSON object that holds one string."""
    yield b'{"text": "'
    yield from itertools.repeat(b"a" * CHUNK, size // CHUNK)
    yield b'"}'


def memory(gates: int, *traces: Iterator[bytes]) -> Callable[[Path], str]:
    """Return a case that measures the step's peak memory; every gate has all of the traces."""

    def case(workspace: Path) -> str:
        folder = workspace / "w" / "traces"
        folder.mkdir(parents=True)
        for number, trace in enumerate(traces):
            with (folder / f"{number}.json").open("wb") as file:
                file.writelines(trace)
        largest = max(path.stat().st_size for path in folder.iterdir()) / MB
        lines = "    trace_file: traces/*.json\n"
        with scripted() as server:
            peak = peak_memory(server, workspace / "w", policy(gates, lines))
        return f"{peak} (target {200 + 6 * largest:.0f} MB)"

    return case


def responses(field: str, item: object) -> Callable[[Path], str]:
    """Return a case of many runs with two poll responses of 4 MiB each, which are filled with an item."""

    def case(workspace: Path) -> str:
        count = RESPONSE_BYTES // (len(json.dumps(item, separators=(",", ":"))) + 1)
        running, passed = (
            backend.raw(json.dumps({**fields, field: [item] * count}, separators=(",", ":")).encode())
            for fields in (RUNNING, PASSED)
        )
        with scripted() as server:
            server.script("GET /v1/ci/batch/*", *[running] * GATES, passed)
            return peak_memory(server, workspace / "w", policy(GATES, "    timeout: 60\n"))

    return case


def peak_memory(server: ScriptedBackend, workspace: Path, files: Mapping[str, str]) -> str:
    """Run a step to its end, and return its peak memory, its seconds, and its decision."""
    start = time.monotonic()
    with started(server, workspace, files) as step:
        result = step.finish(MAX_S)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / MB
    return f"at most {peak:.0f} MB, {seconds:.1f} s, decision {result.outputs['decision']}"


def seconds_after_sigterm(failures: int) -> Callable[[Path], str]:
    """Return a case of gates that failed, and one more that is still pending when the signal comes."""

    def case(workspace: Path) -> str:
        gates = policy(GATES, first=0)
        with scripted(failures) as server, started(server, workspace / "w", gates) as step:
            for number in range(1, GATES):
                step.wait_for(f"[gate-{number}] fail after ", MAX_S)
            began = time.monotonic()
            step.send_signal(signal.SIGTERM)
            result = step.finish(MAX_S)
            took = time.monotonic() - began
        return f"{took:.2f} s, exit status {result.exit_code}, summary of {len(result.summary):,} characters"

    return case


def scenarios(count: int, *, sound: bool = False) -> Callable[[Path], str]:
    """Return a case of a campaign with so many scenarios, of which five or none fail, and 50 ms for each response."""

    def case(workspace: Path) -> str:
        server = scripted_sandbox(many_scenarios(count, 0 if sound else 5), late_s=0.05)
        files = {".github/sepurux-gate.yml": f"campaign: {MANY}\n"}
        with server, started(server, workspace / "w", files) as step:
            step.wait_for("pass after" if sound else "fail after", MAX_S)
            decided, until_decided = time.monotonic(), len(server.requests)
            result = step.finish(MAX_S)
        seconds = time.monotonic() - decided
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / MB
        after = len(server.requests) - until_decided
        about_runs = sum("/ci/runs/" in each.path or each.path.endswith("/failures") for each in server.requests)
        return (
            f"{after} requests and {seconds:.1f} s from the decision to exit status {result.exit_code}, "
            f"{about_runs} requests about single scenarios, at most {peak:.0f} MB"
        )

    return case


class FlakyAgent(Store):
    """A store whose agent makes 50 attempts in each run; a seed decides which of them pass."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = Random(seed)  # noqa: S311 - it keeps no secret

    def start_batch(self, campaign: str, trace_ids: tuple[str, ...], thresholds: Mapping[str, object]) -> Run:
        statuses = ("ok" if self._chance.random() < FLAKY_RATE else "error" for _ in range(50))
        calls = [{"type": "tool_call", "tool": "orders.lookup", "status": status} for status in statuses]
        trace_ids = (self.add_trace(calls, "refund an order, now and then"),)
        return super().start_batch(campaign, trace_ids, thresholds)


def reruns(**inputs: str) -> Callable[[Path], str]:
    """Return a case of an agent five points below its threshold, whose author re-runs a failed job up to ten times."""

    def case(workspace: Path) -> str:
        passed = 0
        for seed in range(SEEDS):
            with GitHub() as github, Sandbox(FlakyAgent(seed)) as sandbox, backend.sound_backend() as unused:
                scene = a_scene(github, unused, workspace / str(seed))
                of_agent = {"base_url": sandbox.url, "campaign": CORE_CAMPAIGN, **inputs}
                runs = (scene.on("pull_request", scene.event(), of_agent) for _ in range(1 + RERUNS))
                passed += any(run.outputs["decision"] == "pass" for run in runs)
        return f"{passed} of {SEEDS} end with a pass"

    return case


def rendering(render: Callable[[Report], str]) -> Callable[[Path], str]:
    """Return the case of a report on many gates with 200 failures each: its length and the seconds that it takes."""

    def case(_: Path) -> str:
        failures = tuple(
            Failure(type=f"kind_{n}", severity="high", description="x " * 100, mutation="timeouts") for n in range(200)
        )
        results = [a_result(gate=a_gate(name=f"gate-{n}"), failures=failures) for n in range(GATES)]
        start = time.monotonic()
        report = render(build_report(results, a_context()))
        return f"{len(report):,} characters in {time.monotonic() - start:.2f} s"

    return case


def kept_results(_: Path) -> str:
    """Return the bytes of a file with five results of each gate, the seconds of writing and reading, and the memory."""
    numbers = {"pass_rate": 0.95, "unsafe_attempts": 0.0, "failures": 3.0, "scenarios": 100.0}
    scenarios = tuple(
        BaseScenario(
            name=f"refund after a timeout, case {number}",
            pass_rate=0.95,
            failures={("unsafe_action", "timeouts", "", "payments.refund"): 1.0},
            steps=(Call("payments.refund", ("order", "amount_cents")),) * 10,
        )
        for number in range(100)
    )
    results = [
        Result(
            origin=(f"gate-{number}", CORE_CAMPAIGN, "", "", "main"),
            commit=f"{at:040}",
            decision=Decision.PASS,
            numbers=numbers,
            scenarios=scenarios,
        )
        for number in range(GATES)
        for at in range(5)
    ]
    began = time.perf_counter()
    content = write_results(results, SECRET, "octo/shop", Redactor([SECRET])).encode()
    written = time.perf_counter()
    tracemalloc.start()
    found, _note = read_results(content, SECRET, "octo/shop")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    read = time.perf_counter()
    read_results(content, SECRET, "octo/shop")
    seconds = f"written in {written - began:.2f} s, read in {time.perf_counter() - read:.2f} s"
    return f"{len(found)} results in {len(content):,} bytes, {seconds} with {peak / MB:.0f} MB"


CASES: dict[str, Callable[[Path], str]] = {
    **{f"delay of a run of {seconds} s": polling_delay(seconds) for seconds in (0, 1, 3, 10, 60)},
    "outputs of 1 gate": size_of_outputs(1, 1),
    f"outputs of {GATES} gates": size_of_outputs(GATES, 1),
    "outputs of 20 x 100 traces": size_of_outputs(20, 100),
    "memory without a trace file": memory(1, flood(b"{},", MB)),
    "memory for 50 MB of {}": memory(1, flood(b"{},", 50 * MB)),
    "memory for 50 MB of one string": memory(1, long_string(50 * MB)),
    "memory for 50 MB of short strings": memory(1, flood(b'"ab",', 50 * MB)),
    f"memory for 10 MB shared by {GATES} gates": memory(GATES, flood(b"{},", 10 * MB)),
    "responses of failing tools": responses("top_failing_tools", {"tool": "payments.refund.partial", "count": 3}),
    "responses of long texts": responses("mutation_categories", "x" * 4_000),
    "responses of unknown objects": responses("anything", {"a": {}}),
    "scenarios: 40, of which 5 fail": scenarios(40),
    "scenarios: 300, of which 5 fail": scenarios(300),
    "scenarios: 300, none fails": scenarios(300, sound=True),
    "re-runs if each one evaluates": reruns(comment="never"),
    "re-runs": reruns(),
    f"summary of {GATES} gates with 200 failures": rendering(render_summary),
    f"comment of {GATES} gates with 200 failures": rendering(lambda report: render_comment(report, "")),
    f"results of {GATES} gates with 100 scenarios": kept_results,
    f"SIGTERM after {FAILURES} failures in each of {GATES - 1} gates": seconds_after_sigterm(FAILURES),
}


def main(*wanted: str) -> None:
    """Run one case here, or several in a process each: a process knows only the peak of all its children."""
    for name in wanted or CASES:
        if len(wanted) == 1:
            with tempfile.TemporaryDirectory() as folder:
                print(f"{name}: {CASES[name](Path(folder))}", flush=True)
        else:
            subprocess.run([sys.executable, __file__, name], check=True)  # noqa: S603 - this very script


if __name__ == "__main__":
    main(*sys.argv[1:])
