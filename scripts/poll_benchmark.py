"""Owns the measurement of polling, against a backend on loopback; never part of a release.

    python -m scripts.poll_benchmark delay     how late the gate sees a decision, and after how many polls
    python -m scripts.poll_benchmark memory    time and peak memory of 50 runs, two poll responses of 4 MiB each

A run of 600 s is measured on a fake clock, the others in real time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.settings import Settings
from sepurux_action.evaluation.api import Success
from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.client import Transport
from sepurux_action.evaluation.polling import RunMetadata, run_all
from sepurux_action.host.signals import Signals
from tests import backend
from tests.fakes import CAMPAIGN, FakeApiCalls, FakeOutput
from tests.fakes import backend as fake_backend

DURATIONS_S = (0, 1, 3, 10, 60)
FAKE_DURATION_S = 600
RUNS = 50
RESPONSE_BYTES = 4 * 1024 * 1024 - 1024
TOKEN = "token-of-nobody-71c4"  # noqa: S105 - of nobody
RUNNING = {"status": "running", "decision": "pending"}
PASSED = {"status": "done", "decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1}
FILLERS: dict[str, tuple[str, object]] = {
    "failing tools": ("top_failing_tools", {"tool": "payments.refund.partial", "count": 3}),
    "long texts": ("mutation_categories", "x" * 4_000),
    "short texts": ("mutation_categories", "ab"),
    "empty objects": ("top_failing_tools", {}),
    "lists in lists": ("run_ids", [[]]),
    "unknown objects": ("anything", {"a": {}}),
}


def main() -> None:
    """Run the measurement that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("delay", "memory", "gates"))
    parser.add_argument("url", nargs="?", default="")
    arguments = parser.parse_args()
    if arguments.what == "gates":
        gates(arguments.url)
    else:
        {"delay": delay, "memory": memory}[arguments.what]()


def delay() -> None:
    """Print a row for each duration of a run: seconds until the decision is seen, and polls."""
    say("run (s) | seen after (s) | polls")
    for duration in DURATIONS_S:
        with backend.sound_backend() as server:
            server.script("GET /v1/ci/batch/*", decided_after(duration, server))
            run_gates(server.url, 1)
            (start,) = server.calls("POST /v1/ci/runs")
            polls = server.calls("GET /v1/ci/batch/*")
            seen = server.calls("GET /v1/campaigns/*/reliability")[0].at
            say(f"{duration:7} | {seen - start.at - duration:14.2f} | {len(polls):5}")
    calls = FakeApiCalls(
        fake_backend(lambda now: Success(PASSED if now >= 1_000 + FAKE_DURATION_S else RUNNING)), takes_s=0.01
    )
    settings = Settings(gates=(Gate(name="core", campaign=CAMPAIGN, timeout_s=3_600),))
    run_all(settings, RunMetadata(), calls, FakeOutput(), lambda _: None)
    polls_at = [at for at, call in calls.calls if "/v1/ci/batch" in call.path]
    say(f"{FAKE_DURATION_S:7} | {polls_at[-1] - 1_000 - FAKE_DURATION_S:14.2f} | {len(polls_at):5} (fake clock)")


def decided_after(seconds: float, server: backend.ScriptedBackend) -> Callable[[backend.Request], backend.Answer]:
    """Return poll responses that are undecided for so many seconds after the run was started."""

    def poll(request: backend.Request) -> backend.Answer:
        (start,) = server.calls("POST /v1/ci/runs")
        return backend.json(PASSED if request.at - start.at >= seconds else RUNNING)

    return poll


def memory() -> None:
    """Print a row for each kind of response: seconds and peak memory of a process that polls 50 runs."""
    say("filled with     | seconds | peak MB")
    for name, (field, item) in FILLERS.items():
        count = RESPONSE_BYTES // (len(json.dumps(item, separators=(",", ":"))) + 1)
        running, passed = (
            backend.raw(json.dumps({**answer, field: [item] * count}, separators=(",", ":")).encode())
            for answer in (RUNNING, PASSED)
        )
        with backend.sound_backend() as server:
            server.script("POST /v1/ci/runs", started_runs())
            server.script("GET /v1/ci/batch/*", *[running] * RUNS, passed)
            command = [sys.executable, "-m", "scripts.poll_benchmark", "gates", server.url]
            ended = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
        say(f"{name:15} | {ended.stdout.strip()}")


def gates(url: str) -> None:
    """Poll 50 runs at a backend; print seconds and peak memory of this process."""
    began = time.monotonic()
    run_gates(url, RUNS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"{time.monotonic() - began:7.1f} | {peak:7.0f}")


def started_runs() -> Callable[[backend.Request], backend.Answer]:
    """Return an answer that gives each run a batch of its own."""
    numbers = iter(range(RUNS))
    return lambda _: backend.json({"batch_id": f"batch-{next(numbers)}"})


def run_gates(url: str, count: int) -> None:
    """Run so many gates at a backend to their end."""
    transport = Transport(url, token=Secret(TOKEN), api_key=None, redact=Redactor([TOKEN]))
    traces = tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(count))
    settings = Settings(gates=(Gate(name="core", campaign=CAMPAIGN, traces=traces, timeout_s=300),))
    run_all(settings, RunMetadata(), ApiCalls(transport.send, Signals()), FakeOutput(), lambda _: None)


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
