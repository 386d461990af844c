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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from sepurux_recorder.recording import RECORDER, Recording, Stopped, as_json, current, mistakes, names, program, running

GRACE_S = 5.0  # for an agent to end after its limit
BEAT_S = 0.5
OUTAGES = {401, 403, 408, 409, 425, 429, *range(500, 600)}  # the statuses of HTTP
NO_KEY = re.compile(r"api[ _]?key", re.IGNORECASE)
NO_CONNECTION = re.compile(r"(ConnectionError|ConnectError|APITimeoutError|ConnectTimeout|ReadTimeout)$")
OWN_LIMITS = {"MaxTurnsExceeded", "GraphRecursionError"}
INTERRUPTED = 130
MAX_TRACEBACKS = 3
MAX_LINE = 500
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


@dataclass(frozen=True, eq=False)
class Job:
    """A recording to make."""

    scenario: Scenario
    number: int
    file: Path

    def __str__(self) -> str:
        return f"{self.scenario.name} {self.number}"


def main(run: Callable[[Any], Any], scenarios: Sequence[Scenario], arguments: Sequence[str] | None = None) -> NoReturn:
    """Record the scenarios as the command line says, and exit: 0, or 1 if a recording is missing or wrong.

    `run` gives a request to the agent, and returns its answer. It is a coroutine function, or a function, which runs in
    a thread.
    """
    parser = argparse.ArgumentParser(description="Record an agent's scenarios as traces.")
    parser.add_argument("folder", type=Path, nargs="?", default="traces", help="of the traces (default: traces)")
    parser.add_argument("--only", action="append", default=[], metavar="SCENARIO", help="may be given several times")
    for option, (default, meaning) in OPTIONS.items():
        help_text = f"{meaning} (default: {default})"
        parser.add_argument(option, type=_whole_number, default=default, metavar="N", help=help_text)
    options = parser.parse_args(arguments)
    if problems := [*_problems(run, scenarios, options.only)]:
        parser.error("\n".join(problems))
    only = {*options.only} or {each.name for each in scenarios}
    jobs = [
        Job(each, number, options.folder / f"{_file_name(each.name)}-{number}.json")
        for number in range(1, options.times + 1)
        for each in scenarios
        if {each.name, _file_name(each.name)} & only
    ]
    try:
        _remove_earlier(options.folder, jobs, is_all=not options.only)
    except OSError as error:
        parser.error(f"cannot write to the folder {options.folder}: {error}")
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"  # the Agents SDK would send traces of its own to OpenAI
    if disable := getattr(sys.modules.get("agents"), "set_tracing_disabled", None):
        disable(disabled=True)
    sys.exit(_Runs(run, jobs, options).record())


def _whole_number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:MAX_NAME]) <= MAX_COUNT:
        raise argparse.ArgumentTypeError(f"accepted: a whole number from 1 to {MAX_COUNT}")
    return int(text)


def _file_name(scenario: str) -> str:
    return re.sub(r"[\W_]+", "-", scenario.casefold()).strip("-")


def _problems(run: object, scenarios: Any, only: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the script, and the names that no scenario has."""
    if not callable(run) or not isinstance(scenarios, list | tuple) or not scenarios:
        yield "main(run, scenarios) takes a function, and a list with at least one Scenario"
        return
    if others := [each for each in scenarios if not isinstance(each, Scenario)]:
        yield f"main(run, scenarios): {others[0]!r} is no Scenario"
        return
    files: dict[str, list[str]] = {}
    for each in scenarios:
        file = _file_name(each.name) if isinstance(each.name, str) and each.name.isprintable() else ""
        if not file or max(len(each.name), len(file.encode())) > MAX_NAME:
            accepted = f"a printable text of at most {MAX_NAME} characters with a letter or digit"
            yield f"the name of a scenario is {accepted}, not {each.name!a:.80}"
        else:
            files.setdefault(file, []).append(each.name)
            yield from _problems_of_calls(each.name, each.calls)
        try:
            json.dumps(each.request, allow_nan=False)
        except (RecursionError, TypeError, ValueError):
            yield f"the request of {each.name!a:.80} is no JSON"
    for file, found in files.items():
        if len(found) > 1:
            yield f"scenarios with one name, or with one file: {', '.join(map(repr, found))} ({file}-1.json)"
    known = {*files, *(name for found in files.values() for name in found)}
    for name in only:
        if name not in known:
            yield f"--only: no scenario has the name {name!a}{_similar(name, known)}"


def _problems_of_calls(scenario: str, calls: object) -> Iterator[str]:
    if not isinstance(calls, Mapping):
        yield f"`calls` of {scenario!a} is no dict"
        return
    for tool, expected in calls.items():
        if not (isinstance(expected, range) and len(expected)) and (type(expected) is not int or expected < 0):
            yield f"`calls` of {scenario!a}: {tool!a} is not called {expected!r} times: a number or a range"
        if names and tool not in names:  # without a name, stubs are made in `run`
            yield f"`calls` of {scenario!a}: no stub has the name {tool!a}{_similar(str(tool), names)}"


def _similar(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"


def _remove_earlier(folder: Path, jobs: Sequence[Job], *, is_all: bool) -> None:
    """Remove the traces of earlier runs. Nothing else may be in the folder, because it would count as a recording."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError("no permission to write")
    scenarios = {_file_name(job.scenario.name) for job in jobs}
    found = {file: _recorded_scenario(file) for file in sorted(folder.iterdir())}
    if others := [file.name for file, name in found.items() if not name]:
        raise FileExistsError(f"{others[0]!a} is not of this script: remove it, or take another folder")
    for file, name in found.items():
        if is_all or _file_name(name) in scenarios:
            file.unlink()


def _recorded_scenario(file: Path) -> str:
    """Return the scenario of a trace that this script has recorded, nothing for any other file."""
    try:
        found = json.loads(file.read_bytes()) if file.is_file() else {}
        return str(found["task"]["name"]) if found["recorder"] == program() else ""
    except (LookupError, OSError, RecursionError, TypeError, ValueError):
        return ""


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


class _Runs:
    """The recordings of one command."""

    def __init__(self, run: Callable[[Any], Any], jobs: Sequence[Job], options: argparse.Namespace) -> None:
        self._run, self._jobs, self._options = run, jobs, options
        self._ended: dict[Job, Recording] = {}
        self._lost: list[str] = []  # the recordings without a trace
        self._errors: dict[str, BaseException] = {}  # by what is shown of them
        self._left: list[asyncio.Task[None]] = []  # agents that did not end

    def record(self) -> int:
        """Return the exit status."""
        before = {*threading.enumerate()}
        mistakes.clear()
        try:
            status = asyncio.run(self._record_all())
        except (KeyboardInterrupt, SystemExit):  # the latter of a task that the agent has started
            say(f"Interrupted: {len(self._ended)} of {len(self._jobs)} recordings are written.")
            status = INTERRUPTED
        finally:
            faulthandler.cancel_dump_traceback_later()
        is_stopped = any(each.stopped for each in self._ended.values()) or status == INTERRUPTED
        if is_stopped and any(each not in before and each.name != RECORDER for each in threading.enumerate()):
            _leave(status)  # a framework's thread waits for a stub that hangs, and Python would wait for the thread
        return status

    async def _record_all(self) -> int:
        started, loop, places = monotonic(), asyncio.get_running_loop(), asyncio.Semaphore(self._options.parallel)
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
        limit_s = self._options.timeout + GRACE_S
        while True:
            faulthandler.dump_traceback_later(limit_s, exit=True, file=sys.__stderr__ or sys.stderr)
            await asyncio.sleep(BEAT_S)

    async def _record(self, job: Job, places: asyncio.Semaphore) -> None:
        async with places:
            recording = Recording(job.scenario.name, job.scenario.request, self._options.max_calls)
            started, error = monotonic(), await self._run_agent(recording, job.scenario.request)
        # What has a failure is recorded. Nothing is repeated: an agent that did wrong could ask for it by its error.
        outage = outage_of(None if recording.failures else error, recording.errors_of_tools)
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
        running.add(recording)
        if not (await asyncio.wait({task}, timeout=self._options.timeout))[0]:
            recording.stop(f"no answer within {self._options.timeout} s")
            await asyncio.wait({task}, timeout=GRACE_S)
        running.discard(recording)
        if not task.done():
            self._left.append(task)
            return None
        return asyncio.CancelledError() if task.cancelled() else task.exception()

    async def _answer(self, recording: Recording, request: object) -> None:
        try:
            is_async, request = inspect.iscoroutinefunction(self._run), deepcopy(request)  # an agent may change it
            answer = self._run(request) if is_async else await asyncio.to_thread(self._run, request)
            if inspect.isawaitable(answer):
                answer = await answer
            if not recording.stopped:
                recording.add("agent_output", output=as_json(answer))
        except (KeyboardInterrupt, SystemExit) as error:  # would end the whole command
            recording.fail(f"the agent raises {type(error).__name__}")

    def _report(self, seconds: float) -> int:
        """Say what was recorded, and return the exit status."""
        for error in [*self._errors.values()][:MAX_TRACEBACKS]:
            for line in "".join(traceback.format_exception(error, limit=-8, chain=False)).splitlines():
                say(f"| {line}")
        ended, scenarios = self._ended.values(), {job.scenario.name for job in self._ended}
        calls = sum(each.calls.total() for each in ended)
        many = f"{_count(len(ended), 'recording')} of {_count(len(scenarios), 'scenario')}"
        say(f"{many} in {seconds:.0f} s, {_count(calls, 'call')} of tools")
        if failed := sum(bool(each.failures) for each in ended):
            say(f"{failed} of them with a failure, which the gate decides on")
        if idle := sorted(scenarios - {job.scenario.name for job, each in self._ended.items() if each.calls}):
            say(f"No tool was called in {', '.join(idle)}.")
        expected = {tool for job in self._jobs for tool in job.scenario.calls}
        problems = {
            **mistakes,
            "Without a trace: {}.": {*self._lost},
            "`calls` names tools that no stub has: {}.": expected - names,
        }
        found = [text.format(", ".join(sorted(listed))) for text, listed in problems.items() if listed]
        if ended and not (calls or any(each.expectations or job.scenario.calls for job, each in self._ended.items())):
            found.append("No recording has a call of a tool or an expectation. Check what is replaced or recorded.")
        for problem in found:
            say(problem)
        return 1 if found else 0


def _finish(recording: Recording, job: Job, error: BaseException | None) -> str:
    """Add what was not met, and write the trace. Returns why it cannot be written."""
    if error and not recording.stopped:
        recording.fail(type(error).__name__)  # its text could have a key
    for tool, expected in job.scenario.calls.items():
        count = recording.calls[tool]
        allowed = expected if isinstance(expected, range) else range(expected, expected + 1)
        if count not in allowed:
            wanted = f"{allowed[0]} to {allowed[-1]}" if len(allowed) > 1 else allowed[0]
            recording.fail(f"{tool} was called {_count(count, 'time')}, {wanted} expected")
    try:
        job.file.write_text(recording.trace(), encoding="utf-8")
    except (OSError, RecursionError, ValueError) as refusal:
        return f"not written: {refusal}"
    return ""


def described(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def outage_of(error: BaseException | None, errors_of_tools: Sequence[BaseException]) -> str:
    """Return how the model could not be reached. Empty: it was."""
    while error and not any(error is raised for raised in errors_of_tools):
        status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", 0)
        is_unreachable = isinstance(error, ConnectionError) or NO_CONNECTION.search(type(error).__name__)
        if status in OUTAGES or is_unreachable or (not status and NO_KEY.search(described(error))):
            return described(error)
        first = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
        error = first or error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ""


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
