"""Functions and services that record their calls."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from sepurux_recorder.recording import Recording, call, names, recording_of

# What a framework passes to a tool beside the model's arguments: the type of the parameter, or of the value.
FRAMEWORKS = re.compile(r"RunnableConfig|ToolRuntime|RunContextWrapper|ToolContext|Injected|CallbackManager")
CONTEXTS = {"RunContextWrapper", "ToolRuntime"}
MARK = "__sepurux_recorder__"  # on code that records its calls: the class of the stubs, None for its own code
Parameters = Mapping[str, inspect.Parameter]
Arguments = dict[str, Any]


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
        raise TypeError(f"recorded() takes a function or a class, not {target!r}")
    return target if hasattr(target, MARK) else _recorded(target, name or target.__name__, lambda _: target)


def _recorded(
    function: Callable[..., Any], name: str, bound: Callable[[Recording], Callable[..., Any]], skipped: int = 0
) -> Callable[..., Any]:
    names.add(name)
    parameters = dict([*parameters_of(function).items()][skipped:])

    def start(*args: Any, **kwargs: Any) -> Any:
        arguments, _ = split(parameters, args, kwargs)
        return call(name, arguments, lambda recording: bound(recording)(*args, **kwargs))

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
        stubs, full_name = vars(self)[MARK], vars(self)["_prefix"] + name
        if name.startswith("__"):  # Python asks, not the agent
            raise AttributeError(name)
        if name not in methods_of(stubs):
            return getattr(recording_of(full_name).object_of(stubs), name)
        has_self = inspect.isfunction(inspect.getattr_static(stubs, name))
        return _recorded(getattr(stubs, name), full_name, lambda each: getattr(each.object_of(stubs), name), has_self)

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
