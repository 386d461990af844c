"""The command line: runs the agent, several recordings at a time, within limits, and writes the traces."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import faulthandler
import inspect
import json
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from sepurux_recorder.recording import RECORDER, Recording, Stopped, as_json, current, described, names, session

RETRY_WAITS_S: Sequence[float] = (5, 20)
GRACE_S = 5.0  # for an agent to end after its limit
BEAT_S = 0.5
TRY_AGAIN = {408, 409, 425, 429}
REFUSED = {401, 403}
INTERRUPTED = 130
MAX_TRACEBACKS = 3
MAX_LINE = 500
NO_KEY = re.compile(r"api[ _]?key", re.IGNORECASE)
NO_CONNECTION = re.compile(r"(ConnectionError|ConnectError|APITimeoutError|ConnectTimeout|ReadTimeout)$")
OWN_LIMITS = {"MaxTurnsExceeded", "GraphRecursionError"}
NOTHING = "No recording has a call of a tool or an expectation. Check what replace_tools() or recorded() replaces."


@dataclass(frozen=True, eq=False)
class Job:
    """A recording to make."""

    scenario: str
    request: Any
    calls: Mapping[str, int | range]
    number: int
    file: Path

    def __str__(self) -> str:
        return f"{self.scenario} {self.number}"


class _Threads(ThreadPoolExecutor):
    """Starts a daemon thread for each call, so that one that hangs keeps nothing from ending."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = Future[Any]()
        future.set_running_or_notify_cancel()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - who waits for the thread gets what ended it
                future.set_exception(error)

        threading.Thread(target=work, daemon=True, name=RECORDER).start()
        return future


class Runs:
    """The recordings of one command."""

    def __init__(self, run: Callable[[Any], Any], jobs: Sequence[Job], *, timeout_s: int, max_calls: int) -> None:
        self._run, self._jobs, self._timeout_s, self._max_calls = run, jobs, timeout_s, max_calls
        self._ended: dict[Job, Recording] = {}
        self._lost: list[str] = []  # the recordings without a trace
        self._errors: dict[str, BaseException] = {}  # by what is shown of them
        self._left: list[asyncio.Task[None]] = []  # agents that did not end

    def record(self, parallel: int) -> int:
        """Return the exit status."""
        before = {*threading.enumerate()}
        session.parallel = parallel
        session.problems.clear()
        try:
            status = asyncio.run(self._record_all(parallel))
        except KeyboardInterrupt:
            say(f"Interrupted: {len(self._ended)} of {len(self._jobs)} recordings are written.")
            status = INTERRUPTED
        finally:
            faulthandler.cancel_dump_traceback_later()
        is_stopped = any(each.stopped for each in self._ended.values()) or status == INTERRUPTED
        if is_stopped and any(each not in before and each.name != RECORDER for each in threading.enumerate()):
            _leave(status)  # a framework's thread waits for a stub that hangs, and Python would wait for the thread
        return status

    async def _record_all(self, parallel: int) -> int:
        started, loop, places = monotonic(), asyncio.get_running_loop(), asyncio.Semaphore(parallel)
        loop.set_default_executor(_Threads())
        loop.set_exception_handler(_without_stopped)
        beat = asyncio.create_task(self._keep_beating())
        await asyncio.gather(*(self._record(job, places) for job in self._jobs))
        beat.cancel()
        status = self._report(monotonic() - started)
        if not all(each.done() for each in self._left):
            _leave(status)
        return status

    async def _keep_beating(self) -> None:
        """Let the command end, and show where, if a coroutine blocks all others by a call that blocks."""
        while True:
            faulthandler.dump_traceback_later(self._timeout_s + GRACE_S, exit=True, file=sys.__stderr__ or sys.stderr)
            await asyncio.sleep(BEAT_S)

    async def _record(self, job: Job, places: asyncio.Semaphore) -> None:
        async with places:
            waits_s = [*RETRY_WAITS_S]
            while True:
                started, recording = monotonic(), Recording(job.scenario, job.request, self._max_calls)
                error = await self._run_agent(recording, job.request)
                outage, is_final = outage_of(None if recording.stopped else error, recording.errors_of_tools)
                if not outage or is_final or not waits_s:
                    break
                await asyncio.sleep(waits_s.pop(0))
        problem = f"not recorded: {outage}" if outage else _finish(recording, job, error)
        if problem:
            self._lost.append(str(job))
        else:
            self._ended[job] = recording
        if error and not recording.stopped and type(error).__name__ not in OWN_LIMITS:
            self._errors.setdefault(described(error), error)
        shown = problem or f"{_count(recording.calls.total(), 'call')}, {monotonic() - started:.1f} s"
        say(f"  {len(self._ended) + len(self._lost)}/{len(self._jobs)} {job}: {shown}")
        for failure in [] if problem else recording.failures:
            say(f"      failure: {failure}")

    async def _run_agent(self, recording: Recording, request: object) -> BaseException | None:
        """Return what ended the agent, if it gave no answer."""
        loop, context = asyncio.get_running_loop(), copy_context()
        context.run(current.set, recording)
        task = loop.create_task(self._answer(recording, request), context=context)
        recording.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        session.running.add(recording)
        if not (await asyncio.wait({task}, timeout=self._timeout_s))[0]:
            recording.stop(f"no answer within {self._timeout_s} s")
            await asyncio.wait({task}, timeout=GRACE_S)
        session.running.discard(recording)
        if not task.done():
            self._left.append(task)
            return None
        return asyncio.CancelledError() if task.cancelled() else task.exception()

    async def _answer(self, recording: Recording, request: object) -> None:
        try:
            is_async = inspect.iscoroutinefunction(self._run)
            answer = self._run(request) if is_async else await asyncio.to_thread(self._run, request)
            if inspect.isawaitable(answer):
                answer = await answer
        except SystemExit as error:  # would end the whole command
            raise RuntimeError(f"the agent exits with {error.code}") from error
        if not recording.stopped:
            recording.add("agent_output", output=as_json(answer))

    def _report(self, seconds: float) -> int:
        """Say what was recorded, and return the exit status."""
        for error in [*self._errors.values()][:MAX_TRACEBACKS]:
            for line in "".join(traceback.format_exception(error, limit=-8, chain=False)).splitlines():
                say(f"| {line}")
        ended, scenarios = self._ended.values(), {job.scenario for job in self._ended}
        calls = sum(each.calls.total() for each in ended)
        many = f"{_count(len(ended), 'recording')} of {_count(len(scenarios), 'scenario')}"
        say(f"{many} in {seconds:.0f} s, {_count(calls, 'call')} of tools")
        if failed := sum(bool(each.failures) for each in ended):
            say(f"{failed} of them with a failure, which the gate decides on")
        if idle := sorted(scenarios - {job.scenario for job, each in self._ended.items() if each.calls}):
            say(f"No tool was called in {', '.join(idle)}.")
        problems = [text.format(", ".join(sorted(found))) for text, found in session.problems.items()]
        if self._lost:
            problems.append(f"Without a trace: {', '.join(sorted(self._lost))}.")
        if unknown := sorted({tool for job in self._jobs for tool in job.calls} - names):
            problems.append(f"`calls` names tools that no stub has: {', '.join(unknown)}.")
        if ended and not (calls or any(each.expectations or job.calls for job, each in self._ended.items())):
            problems.append(NOTHING)
        for problem in problems:
            say(problem)
        return 1 if problems else 0


def _finish(recording: Recording, job: Job, error: BaseException | None) -> str:
    """Add what was not met, and write the trace. Returns why it cannot be written."""
    if error and not recording.stopped:
        recording.fail(described(error))
    for tool, expected in job.calls.items():
        count, allowed = (
            recording.calls[tool],
            expected if isinstance(expected, range) else range(expected, expected + 1),
        )
        if count not in allowed:
            wanted = f"{allowed[0]} to {allowed[-1]}" if len(allowed) > 1 else allowed[0]
            recording.fail(f"{tool} was called {_count(count, 'time')}, {wanted} expected")
    partial = job.file.with_name(f".{job.file.name}.tmp")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(recording.trace(), encoding="utf-8")
        partial.replace(job.file)
    except OSError as refusal:
        with suppress(OSError):
            partial.unlink()
        return f"not written: {refusal}"
    return ""


def outage_of(error: BaseException | None, errors_of_tools: Sequence[BaseException]) -> tuple[str, bool]:
    """Return how the model could not be reached, and whether it makes no sense to try again. Empty: it was reached."""
    while error and not any(error is raised for raised in errors_of_tools):
        status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", 0)
        is_refused = status in REFUSED or (not status and bool(NO_KEY.search(str(error))))
        is_down = status in TRY_AGAIN or (isinstance(status, int) and status >= 500)  # noqa: PLR2004 - of HTTP
        if is_refused or is_down or isinstance(error, ConnectionError) or NO_CONNECTION.search(type(error).__name__):
            return described(error), is_refused
        first = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
        error = first or error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "", False


def _without_stopped(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log nothing about the tasks of an agent that was ended."""
    if not isinstance(context.get("exception"), Stopped):
        loop.default_exception_handler(context)


def _leave(status: int) -> None:
    """Exit although threads or tasks of an agent have not ended."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def say(text: str) -> None:
    """Write a line, whatever characters the text has."""
    line = "".join(each if each.isprintable() else " " for each in text)
    print(line[:MAX_LINE], file=sys.stderr, flush=True)


MAX_COUNT = 1_000_000
MAX_NAME = 100  # characters of a scenario's name, and bytes of its file's
OPTIONS = {
    "--times": (1, "recordings of each scenario"),
    "--parallel": (4, "recordings at a time"),
    "--timeout": (300, "seconds until an agent without an answer is ended"),
    "--max-calls": (100, "calls of tools until an agent is ended"),
}


@dataclass(frozen=True)
class Scenario:
    """A request to the agent. `calls` says how often a tool must be called: a number, or a range of numbers."""

    name: str
    request: Any
    calls: Mapping[str, int | range] = field(default_factory=dict)


def main(run: Callable[[Any], Any], scenarios: Sequence[Scenario], arguments: Sequence[str] | None = None) -> NoReturn:
    """Record the scenarios as the command line says, and exit: 0, or 1 if a recording is missing or wrong.

    `run` gives a request to the agent, and returns its answer. It is a coroutine function, or a function, which runs in
    a thread.
    """
    parser = argparse.ArgumentParser(description="Record an agent's scenarios as traces.")
    parser.add_argument("folder", type=Path, nargs="?", default="traces", help="of the traces (default: traces)")
    parser.add_argument("--only", action="append", default=[], metavar="SCENARIO", help="may be given several times")
    for option, (default, meaning) in OPTIONS.items():
        parser.add_argument(
            option, type=_whole_number, default=default, metavar="N", help=f"{meaning} (default: {default})"
        )
    options = parser.parse_args(arguments)
    if problems := _problems(run, scenarios) or _unknown(scenarios, options.only):
        parser.error("\n".join(problems))
    jobs = [
        Job(each.name, each.request, each.calls, number, options.folder / f"{_file_name(each.name)}-{number}.json")
        for number in range(1, options.times + 1)
        for each in scenarios
        if not options.only or {each.name, _file_name(each.name)} & {*options.only}
    ]
    try:
        problems = _prepare(options.folder, jobs, is_all=not options.only)
    except OSError as error:
        problems = [f"cannot write to the folder {options.folder}: {error}"]
    if problems:
        parser.error("\n".join(problems))
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"  # the Agents SDK would send traces of its own to OpenAI
    if disable := getattr(sys.modules.get("agents"), "set_tracing_disabled", None):
        disable(disabled=True)
    sys.exit(Runs(run, jobs, timeout_s=options.timeout, max_calls=options.max_calls).record(options.parallel))


def _file_name(scenario: str) -> str:
    return re.sub(r"[\W_]+", "-", scenario.casefold()).strip("-")


def _whole_number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:MAX_NAME]) <= MAX_COUNT:
        raise argparse.ArgumentTypeError(f"accepted: a whole number from 1 to {MAX_COUNT}")
    return int(text)


def _problems(run: object, scenarios: object) -> list[str]:
    """Return what is wrong with the script."""
    if not callable(run):
        return ["main(run, scenarios): `run` is no function"]
    if not isinstance(scenarios, list | tuple) or not scenarios:
        return ["main(run, scenarios): `scenarios` is not a list with at least one Scenario"]
    if others := [each for each in scenarios if not isinstance(each, Scenario)]:
        return [f"main(run, scenarios): {others[0]!r} is no Scenario"]
    problems = [text for each in scenarios for text in [*_problems_of_name(each.name), *_problems_of_calls(each)]]
    files: dict[str, list[str]] = {}
    for each in [] if problems else scenarios:
        files.setdefault(_file_name(each.name), []).append(each.name)
    same = [f"{', '.join(map(repr, found))} ({file}-1.json)" for file, found in files.items() if len(found) > 1]
    return problems + [f"scenarios with one name, or with one file: {each}" for each in same]


def _problems_of_name(name: object) -> list[str]:
    if not isinstance(name, str) or not name.isprintable() or not _file_name(name):
        return [f"the name of a scenario is a printable text with a letter or digit, not {name!a:.80}"]
    is_long = len(name) > MAX_NAME or len(_file_name(name).encode()) > MAX_NAME
    return [f"the name of a scenario has at most {MAX_NAME} characters: {name[:30]!a}…"] if is_long else []


def _problems_of_calls(scenario: Scenario) -> list[str]:
    calls: object = scenario.calls
    if not isinstance(calls, Mapping):
        return [f"`calls` of {scenario.name!a} is no dict"]
    problems = []
    for tool, expected in calls.items():
        if not (isinstance(expected, range) and len(expected)) and (type(expected) is not int or expected < 0):
            problems.append(
                f"`calls` of {scenario.name!a}: {tool!a} is not called {expected!r} times: a number or a range"
            )
        if names and tool not in names:  # without a name, stubs are made in `run`
            problems.append(f"`calls` of {scenario.name!a}: no stub has the name {tool!a}{_similar(str(tool), names)}")
    return problems


def _unknown(scenarios: Sequence[Scenario], only: Sequence[str]) -> list[str]:
    known = {name for each in scenarios for name in (_file_name(each.name), each.name)}
    return [f"--only: no scenario has the name {each!a}{_similar(each, known)}" for each in only if each not in known]


def _similar(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"


def _prepare(folder: Path, jobs: Sequence[Job], *, is_all: bool) -> list[str]:
    """Remove the traces of earlier runs, which must not take the place of a recording that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{RECORDER}.tmp"
    probe.write_bytes(b"")
    probe.unlink()
    found = {file: _recorded_scenario(file) for file in folder.glob("*.json")}
    old = [file for file, name in found.items() if name and (is_all or name in {job.scenario for job in jobs})]
    foreign = [job.file for job in jobs if job.file in found and job.file not in old]
    for file in [] if foreign else old:
        file.unlink()
    return [f"{file} is no trace of this scenario: move it, or take another folder" for file in foreign]


def _recorded_scenario(file: Path) -> str:
    """Return the scenario of a trace that this package has written, nothing for any other file."""
    try:
        found = json.loads(file.read_bytes())
        return str(found["task"]["name"]) if found["recorder"].startswith(f"{RECORDER} ") else ""
    except (AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError):
        return ""
