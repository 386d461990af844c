"""Records what an agent does, as traces for the gate. Copy this file whole; docs/record-traces.md shows how to use it.

    pip install sepurux==0.7.0
    python record_traces.py traces --times 3

`recorded` makes a tool record its calls. `main` runs the scenarios, and writes one trace for each recording.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import inspect
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar, cast

from sepurux import TraceRecorder

CONTEXTS = {"RunContextWrapper", "ToolRuntime"}  # what a framework passes to a tool beside the model's arguments
NO_CALLS = "No recording has a tool call. Check whether the agent calls the tools that are wrapped."
LOST = "Let the agent wait for each call, and start threads with asyncio.to_thread or contextvars.copy_context().run."
Tool = TypeVar("Tool", bound=Callable[..., Any])
_trace: ContextVar[TraceRecorder] = ContextVar("trace")  # of the recording that the current thread or task belongs to
_running: set[TraceRecorder] = set()
_lost: set[str] = set()  # tools that were called in a thread of no recording, or after its end


# -- the tools --------------------------------------------------------------------------------------------------------


def recorded(tool: Tool, name: str = "") -> Tool:
    """Return the tool, sync or async, so that it records each call before it runs, then the result or the error.

    Give it to the framework in place of the tool: it has the same signature. Raises TypeError for anything but a
    function or a method, such as a tool that a framework has wrapped already.
    """
    if not inspect.isroutine(tool):
        raise TypeError(f"{tool!r} is not a function: wrap the function before the framework does")
    name = name or tool.__name__
    parameters = inspect.signature(tool).parameters.values()
    positions = dict(enumerate(each.name for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD))

    def call(*args: Any, **kwargs: Any) -> Any:
        trace = _current_trace(name)
        # Defaults too, if a framework passes every argument: OpenAI's Agents SDK does, and the tool sees no difference.
        given = {positions.get(number, str(number)): value for number, value in enumerate(args)} | kwargs
        trace.tool_call(name, {key: _as_json(value) for key, value in given.items() if not _is_context(value)})
        with _errors(trace, name):
            result = tool(*args, **kwargs)
        if inspect.isawaitable(result):
            return _awaited(trace, name, result)
        trace.tool_result(name, _as_json(result))
        return result

    async def call_async(*args: Any, **kwargs: Any) -> Any:
        return await call(*args, **kwargs)

    return cast("Tool", functools.wraps(tool)(call_async if inspect.iscoroutinefunction(tool) else call))


def _current_trace(name: str) -> TraceRecorder:
    trace = _trace.get(None)
    if trace not in _running:
        _lost.add(name)  # a framework may catch the error
        raise RuntimeError(f"{name} was called outside of a recording. {LOST}")
    return trace


async def _awaited(trace: TraceRecorder, name: str, running: Awaitable[Any]) -> Any:
    with _errors(trace, name):
        result = await running
    trace.tool_result(name, _as_json(result))
    return result


@contextmanager
def _errors(trace: TraceRecorder, name: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        trace.error(tool=name, message=repr(error))
        raise


def _is_context(value: object) -> bool:
    return any(base.__name__ in CONTEXTS for base in type(value).__mro__)


def _as_json(value: object) -> Any:
    """Return a copy of the value as JSON, and as a text what JSON does not have."""
    try:
        return json.loads(json.dumps(value, default=_fields, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _fields(value: Any) -> Any:
    if hasattr(value, "model_dump"):  # Pydantic
        return value.model_dump(mode="json")
    return vars(value) if hasattr(value, "__dataclass_fields__") else str(value)


# -- the recordings ---------------------------------------------------------------------------------------------------


def main(scenarios: Mapping[str, Any], run: Callable[[Any], Any], arguments: list[str] | None = None) -> None:
    """Record the scenarios as the command line says. Exit with status 1 if a recording fails, and name it.

    `scenarios` has a request by the scenario's name. `run` gives a request to the agent and returns its answer. It is a
    coroutine function, or a function, which runs in a thread.
    """
    parser = argparse.ArgumentParser(description="Record an agent's scenarios as traces.")
    parser.add_argument("folder", type=Path, help="gets one JSON file for each recording")
    parser.add_argument("--times", type=_count, default=1, metavar="N", help="recordings of each scenario (default: 1)")
    parser.add_argument("--parallel", type=_count, default=4, metavar="N", help="recordings at a time (default: 4)")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    _lost.clear()
    results = asyncio.run(_record_all(scenarios, run, options))
    failed = {name: result for name, result in results.items() if isinstance(result, BaseException)}
    for error in list(failed.values())[:1]:
        traceback.print_exception(error)
    if all(result == 0 for result in results.values()):
        _say(NO_CALLS)
    if failed:
        _say(f"Failed: {', '.join(sorted(failed))}")
    if _lost:
        _say(f"Called outside of a recording: {', '.join(sorted(_lost))}. {LOST}")
    if failed or _lost:
        sys.exit(1)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError("accepted: a whole number of at least 1")
    return int(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _record_all(
    scenarios: Mapping[str, Any], run: Callable[[Any], Any], options: argparse.Namespace
) -> Mapping[str, int | BaseException]:
    """Write the traces, and return how many calls of tools each has, or its error, by the recording's name."""
    for old in options.folder.glob("*.json"):
        name, _, number = old.stem.rpartition("-")
        if name in scenarios and number.isdecimal():
            old.unlink()  # the trace of an earlier run must not take the place of a recording that fails
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(options.parallel))
    places = asyncio.Semaphore(options.parallel)
    waiting = {
        asyncio.create_task(_record(places, name, request, run, file), name=file.stem)
        for number in range(1, options.times + 1)
        for name, request in scenarios.items()
        for file in [options.folder / f"{name}-{number}.json"]
    }
    every, results = len(waiting), dict[str, int | BaseException]()
    while waiting:
        ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            name, error = task.get_name(), task.exception()
            results[name] = error or task.result()
            shown = f"failed: {error!r}" if error else f"tool calls: {task.result()}"
            _say(f"{len(results)}/{every} {name}: {shown}")
    return results


async def _record(places: asyncio.Semaphore, name: str, request: Any, run: Callable[[Any], Any], file: Path) -> int:
    """Write the trace of one recording, and return how many calls of tools it has."""
    trace = TraceRecorder(name, {"request": request})
    trace.prompt(request)
    _trace.set(trace)  # for this task, and for the tasks and threads that it starts
    async with places:
        _running.add(trace)
        try:
            answer = run(request) if inspect.iscoroutinefunction(run) else await asyncio.to_thread(run, request)
            if inspect.isawaitable(answer):
                answer = await answer
        finally:
            _running.remove(trace)
    trace.agent_output(_as_json(answer))
    return _write(trace, file)


def _write(trace: TraceRecorder, file: Path) -> int:
    content = trace.to_trace()
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return sum(event["type"] == "tool_call" for event in content["events"])
