"""One recording: its calls of tools, what was expected, and why it ended. Functions and services that add to it."""

from __future__ import annotations

import functools
import inspect
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from numbers import Number
from pathlib import Path, PurePath
from threading import RLock
from typing import Any
from uuid import UUID

Arguments = dict[str, Any]
VERSION = "0.1.0"
RECORDER = "sepurux-recorder"
LOST = "Called outside of a recording: {}. Wait for it, and start threads by asyncio.to_thread or copy_context().run."
TEXTS = (Number, date, time, timedelta, UUID, PurePath, Enum)  # no JSON, but their texts say what they are


class Stopped(BaseException):
    """Ends an agent whose recording has ended. It is no Exception, because a framework gives those to the model."""


class Recording:
    """What happened in one run of the agent, whose threads and tasks add to it at the same time."""

    def __init__(self, scenario: str, request: object, max_calls: int) -> None:
        self.calls = Counter[str]()
        self.expectations = 0
        self.failures: list[str] = []
        self.errors_of_tools: list[BaseException] = []
        self.stopped = ""  # why, if it was
        self.cancel: Callable[[], object] = bool  # ends the agent
        self._objects: dict[type, Any] = {}
        self._lock = RLock()
        self._max_calls = max_calls
        shown = as_json(request)
        self._task = {"name": scenario, "input": {"request": shown}}
        self._events: list[dict[str, object]] = []
        self.add("prompt", input=shown)

    def add(self, kind: str, **fields: object) -> None:
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._events.append({"type": kind, "timestamp": timestamp, **fields})

    def fail(self, message: str) -> None:
        """Add a failure of the agent, or of the call that runs."""
        self.failures.append(message)
        tool = {"tool": running_tool.get()} if running_tool.get() else {}
        self.add("failure", **tool, error={"message": message})

    def object_of(self, stubs: type) -> Any:
        """Return this recording's own object of the class, which is made when it is needed first."""
        with self._lock:
            if stubs not in self._objects:
                self._objects[stubs] = stubs()
            return self._objects[stubs]

    def stop(self, reason: str) -> None:
        """End the agent, now or at its next call."""
        with self._lock:
            if not self.stopped:
                self.stopped = reason
                self.fail(reason)
                self.cancel()

    def begin(self, tool: str, arguments: Arguments) -> None:
        """Add a call. Raises Stopped if it is one too many, or if the recording has ended."""
        with self._lock:
            if self.calls.total() == self._max_calls:
                self.stop(f"more than {self._max_calls} calls of tools")
            if self.stopped:
                raise Stopped(self.stopped)
            self.calls[tool] += 1
            self.add("tool_call", tool=tool, args={name: as_json(value) for name, value in arguments.items()})

    @contextmanager
    def errors(self, tool: str, *, is_stub: bool) -> Iterator[None]:
        """Add the error of a call that has begun."""
        before = running_tool.get()
        running_tool.set(tool)
        try:
            yield
        except BaseException as error:
            self.errors_of_tools.append(error)
            # A stub raises these to see what the agent does then. A call that the agent cancels is the agent's.
            injected = {"injected": True} if is_stub and isinstance(error, TimeoutError | ConnectionError) else {}
            self.add("tool_result", tool=tool, status="error", error={"message": type(error).__name__}, **injected)
            raise
        finally:
            running_tool.set(before)

    def end(self, tool: str, result: Any) -> Any:
        """Add the result of a call, and return it."""
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            raise wrong("A generator is not recorded: {}. Return a list.", tool)
        self.add("tool_result", tool=tool, result=as_json(result), status="success")
        return result

    def trace(self) -> str:
        """Return the recording as docs/record.md#other-languages describes it."""
        about = {"trace_version": "0.1", "source": "sdk", "recorder": program(), "task": self._task}
        return json.dumps({**about, "events": [*self._events]}, indent=2) + "\n"


def program() -> str:
    """Return what has recorded a trace: this package, and the script with its folder."""
    return f"{RECORDER} {VERSION}, {'/'.join(Path(sys.argv[0]).resolve().parts[-2:])}"


current: ContextVar[Recording | None] = ContextVar("current", default=None)  # of this task or thread
running_tool: ContextVar[str] = ContextVar("running_tool", default="")
running: set[Recording] = set()
mistakes: dict[str, set[str]] = {}  # of the script: names of tools, by a text
names: set[str] = set()  # under which calls are recorded


def wrong(text: str, name: str) -> RuntimeError:
    """Return the error of a script that must be corrected, and remember it: a framework may catch the error."""
    mistakes.setdefault(text, set()).add(name)
    return RuntimeError(text.format(name))


def recording_of(name: str) -> Recording:
    """Return the recording that a call belongs to. Raises RuntimeError outside of a recording."""
    recording = current.get()
    if recording is not None and recording.stopped:
        raise Stopped(recording.stopped)
    if recording is None or recording not in running:
        raise wrong(LOST, name)
    return recording


def expect(outcome: str, met: object) -> bool:
    """Say in a stub or in `run` what should be true. Returns whether it is; if not, the recording has a failure."""
    recording = recording_of("expect")
    recording.expectations += 1
    if not met:
        recording.fail(f"not met: {outcome}")
    return bool(met)


def call(tool: str, arguments: Arguments, function: Callable[[Recording], Any], *, is_stub: bool = True) -> Any:
    """Call a function, and record it. If it returns an awaitable, so does this."""
    recording = recording_of(tool)
    recording.begin(tool, arguments)
    with recording.errors(tool, is_stub=is_stub):
        result = function(recording)
        if not inspect.isawaitable(result):
            return recording.end(tool, result)
    return _awaited(recording, tool, result, is_stub=is_stub)


async def _awaited(recording: Recording, tool: str, result: Awaitable[Any], *, is_stub: bool) -> Any:
    with recording.errors(tool, is_stub=is_stub):
        return recording.end(tool, await result)


def as_json(value: object) -> Any:
    """Return a copy of the value as JSON, and as a text what JSON does not have: of an object only its type."""
    try:
        return _as_json(value)
    except (RecursionError, TypeError, ValueError):
        return type(value).__name__


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {str(_as_json(key)): _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(each) for each in value]
    if hasattr(type(value), "model_dump"):  # Pydantic
        return _as_json(value.model_dump(mode="json"))
    return str(value) if isinstance(value, TEXTS) else type(value).__name__


# What a framework passes to a tool beside the model's arguments: the type of the parameter, or of the value.
FRAMEWORKS = re.compile(r"RunnableConfig|ToolRuntime|RunContextWrapper|ToolContext|Injected|CallbackManager")
CONTEXTS = {"RunContextWrapper", "ToolRuntime"}
MARK = "__sepurux_recorder__"  # on code that records its calls: the class of the stubs, None for its own code
Parameters = Mapping[str, inspect.Parameter]


def recorded(target: Any, name: str | None = None) -> Any:
    """Return the function, or the service that a class makes up, so that each call is recorded.

    A function has its own name or `name`. A class is for a service: each recording has its own object of it, and its
    methods are recorded as "NAME.METHOD", without a name as "METHOD".
    """
    if isinstance(target, type):
        return _Service(target, f"{name}." if name else "")
    if hasattr(target, "on_invoke_tool") or hasattr(target, "args_schema"):
        tool = getattr(target, "name", "it")
        raise TypeError(f"recorded() takes no {type(target).__name__}: give {tool} to replace_tools(agent, stubs)")
    if not inspect.isroutine(target):
        raise TypeError(f"recorded() takes a function or a class, not an object of {type(target).__name__}")
    if hasattr(target, MARK):
        return target
    return _recorded(target, name or target.__name__, parameters_of(target), lambda _: target)


def _recorded(
    function: Callable[..., Any], name: str, parameters: Parameters, bound: Callable[[Recording], Callable[..., Any]]
) -> Callable[..., Any]:
    def start(*args: Any, **kwargs: Any) -> Any:
        arguments, _ = split(parameters, args, kwargs)
        return call(name, arguments, lambda recording: bound(recording)(*args, **kwargs))

    names.add(name)
    made = like(function, start, None)
    made.__signature__ = inspect.Signature([*parameters.values()])  # type: ignore[attr-defined]
    return made


def like(function: Callable[..., Any], start: Callable[..., Any], stubs: type | None) -> Callable[..., Any]:
    """Return what calls `start`, with the signature of a function, and async if that is."""

    async def start_async(*args: Any, **kwargs: Any) -> Any:
        return await start(*args, **kwargs)

    made = functools.wraps(function)(start_async if inspect.iscoroutinefunction(function) else start)
    setattr(made, MARK, stubs)
    return made


class _Service:
    """Stands for the object of a class that the current recording has."""

    def __init__(self, stubs: type, prefix: str) -> None:
        without_arguments(stubs)
        vars(self).update({MARK: stubs, "_prefix": prefix})
        names.update(prefix + each for each in methods_of(stubs))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks, not the agent, and of a copy before it has its attributes
            raise AttributeError(name)
        stubs, full_name = vars(self)[MARK], vars(self)["_prefix"] + name
        if name not in methods_of(stubs):
            return getattr(recording_of(full_name).object_of(stubs), name)
        parameters = parameters_of_method(stubs, name)
        return _recorded(getattr(stubs, name), full_name, parameters, lambda each: getattr(each.object_of(stubs), name))

    def __setattr__(self, name: str, value: object) -> None:
        setattr(recording_of(vars(self)["_prefix"] + name).object_of(vars(self)[MARK]), name, value)


def without_arguments(stubs: type) -> None:
    """Raise TypeError for a class whose objects cannot be made without arguments."""
    try:
        inspect.signature(stubs).bind()
    except TypeError as error:
        raise TypeError(f"each recording makes an object of {stubs.__name__} without arguments, but: {error}") from None


def methods_of(stubs: type) -> list[str]:
    return [each for each in dir(stubs) if not each.startswith("_") and inspect.isroutine(getattr(stubs, each))]


def parameters_of(function: Callable[..., Any]) -> Parameters:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # some functions that are written in C have none
        return {}


def parameters_of_method(stubs: type, name: str) -> Parameters:
    """Return the parameters that a call of the method fills: without `self`."""
    has_self = inspect.isfunction(inspect.getattr_static(stubs, name))
    return dict([*parameters_of(getattr(stubs, name)).items()][has_self:])


def is_added(parameter: inspect.Parameter) -> bool:
    return parameter.name in {"run_manager", "callbacks"} or bool(FRAMEWORKS.search(str(parameter.annotation)))


def split(parameters: Parameters, args: tuple[Any, ...], kwargs: Arguments) -> tuple[Arguments, Arguments]:
    """Return the model's arguments, and what a framework adds."""
    positions = [name for name, each in parameters.items() if each.kind <= each.POSITIONAL_OR_KEYWORD]
    positions += [str(at) for at in range(len(positions), len(args))]
    arguments, added = Arguments(), Arguments()
    for name, value in {**dict(zip(positions, args, strict=False)), **kwargs}.items():
        is_context = any(each.__name__ in CONTEXTS for each in type(value).__mro__)
        by_framework = is_context or (name in parameters and is_added(parameters[name]))
        (added if by_framework else arguments)[name] = value
    return arguments, added
