"""Replaces the tools of agents, whichever framework they are made with, by stubs."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import keyword
import re
from collections.abc import Callable, Collection, Mapping, MutableMapping, MutableSequence
from contextvars import ContextVar
from threading import RLock
from typing import Any

from sepurux_recorder import recording as rec
from sepurux_recorder.recording import MARK, Arguments, Parameters, Recording, is_added, like, parameters_of

NOT_REPLACED = object()
WITHOUT_STUB = "Tools of an MCP server without a stub: {}. Add stubs, or name in `keep` what may run."
_replacing = RLock()
_running: ContextVar[object] = ContextVar("running", default=None)  # the tool of LangChain whose own code runs


class Tool:
    """A tool. The model knows `parameters`, each with whether it must be given; a framework fills those in `added`."""

    added: Collection[str] = ()
    is_async = True

    def __init__(self, name: str, owner: str, parameters: Mapping[str, bool], code: object) -> None:
        self.name, self.owner, self.parameters = name, owner, parameters
        self.replaced_by = getattr(code, MARK, NOT_REPLACED)
        method = re.sub(r"\W", "_", name)
        self.method = f"{method}_" if keyword.iskeyword(method) else method

    def replace(self, stubs: type | None) -> None:
        """Make the tool call its stub, or without stubs its own code, and record it."""

    def signature(self) -> str:
        shown = [name for name in self.parameters if name.isidentifier() and not keyword.iskeyword(name)]
        shown.sort(key=lambda name: not self.parameters[name])
        return ", ".join(["self", *(name if self.parameters[name] else f"{name}=None" for name in shown)])

    def check(self, stubs: type) -> None:
        """Raise TypeError if the stub does not take what the model may give."""
        if inspect.iscoroutinefunction(getattr(stubs, self.method)) and not self.is_async:
            raise TypeError(f"the stub {self.method} is async, but its tool is not")
        parameters = rec.parameters_of_method(stubs, self.method)
        added = self.for_stub(parameters, dict.fromkeys(self.added))
        for given in (self.parameters, [name for name, is_required in self.parameters.items() if is_required]):
            try:
                inspect.Signature([*parameters.values()]).bind(**{**dict.fromkeys(given), **added})
            except TypeError as error:
                raise TypeError(f"the stub {self.method} does not fit its tool: {error}") from None

    def for_stub(self, parameters: Parameters, added: Arguments) -> Arguments:
        """Return what the framework adds and the stub has a parameter for."""
        return {name: added[name] for name in parameters if name in added}

    def call(self, stubs: type | None, own: Callable[[], Any], arguments: Arguments, added: Arguments) -> Any:
        def run(recording: Recording) -> Any:
            if stubs is None:
                return own()
            stub = getattr(recording.object_of(stubs), self.method)
            start = functools.partial(stub, **arguments, **self.for_stub(parameters_of(stub), added))
            # In a thread, a stub that waits blocks nothing, and a timeout of the agent ends it.
            return asyncio.to_thread(start) if self.is_async and not inspect.iscoroutinefunction(stub) else start()

        return rec.call(self.name, arguments, run, is_stub=stubs is not None)


class Function(Tool):
    """A function in a dict or a list."""

    def __init__(self, function: Callable[..., Any], owner: str, container: Any, key: Any) -> None:
        self._function, self._container, self._key = function, container, key
        self._all = parameters_of(function)
        self.added = [name for name, each in self._all.items() if is_added(each)]
        named = [each for each in self._all.values() if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}]
        parameters = {each.name: each.default is each.empty for each in named if each.name not in self.added}
        super().__init__(key if isinstance(key, str) else function.__name__, owner, parameters, function)
        self.is_async = inspect.iscoroutinefunction(function)

    def replace(self, stubs: type | None) -> None:
        def start(*args: Any, **kwargs: Any) -> Any:
            own = functools.partial(self._function, *args, **kwargs)
            return self.call(stubs, own, *rec.split(self._all, args, kwargs))

        self._container[self._key] = like(self._function, start, stubs)


class FunctionTool(Tool):
    """A tool of OpenAI's Agents SDK. Its approval, guardrails, timeout, and error function stay its own."""

    def __init__(self, tool: Any, owner: str) -> None:
        self._tool = tool
        required = tool.params_json_schema.get("required", ())
        properties = tool.params_json_schema.get("properties", ())
        # What runs the tool's function, inside of what makes a text for the model of its errors.
        self._own = getattr(tool.on_invoke_tool, "_invoke_tool_impl", tool.on_invoke_tool)
        super().__init__(tool.name, owner, {name: name in required for name in properties}, self._own)

    def replace(self, stubs: type | None) -> None:
        own, invoker = self._own, self._tool.on_invoke_tool

        @functools.wraps(own)
        async def invoke(context: Any, text: str) -> Any:
            given = json.loads(text or "{}")
            arguments = given if isinstance(given, dict) else {"input": given}
            return await self.call(stubs, lambda: own(context, text), arguments, {"": context})

        setattr(invoke, MARK, stubs)
        if own is invoker:
            self._tool.on_invoke_tool = invoke
        else:
            invoker._invoke_tool_impl = invoke  # noqa: SLF001 - the SDK has no other way into its handling of errors

    def for_stub(self, parameters: Parameters, added: Arguments) -> Arguments:
        """Return the context under the name of the stub's first parameter, if the model does not know that."""
        first = next(iter(parameters.values()), None)
        if first is None or first.name in self.parameters or first.kind is not first.POSITIONAL_OR_KEYWORD:
            return {}
        return {first.name: added.get("")} if first.default is first.empty else {}


class BaseTool(Tool):
    """A tool of LangChain."""

    def __init__(self, tool: Any, owner: str) -> None:
        self._tool = tool
        codes = [tool._run, tool._arun, getattr(tool, "func", None), getattr(tool, "coroutine", None)]  # noqa: SLF001
        by_type = {name for code in codes if code for name, each in parameters_of(code).items() if is_added(each)}
        fields = getattr(tool.get_input_schema(), "model_fields", ())
        self.added = {"run_manager", *getattr(tool, "_injected_args_keys", ()), *fields} - {*tool.args} | by_type
        parameters = {name: "default" not in each for name, each in tool.args.items() if name not in self.added}
        super().__init__(tool.name, owner, parameters, vars(tool).get("_run"))

    def replace(self, stubs: type | None) -> None:
        tool, own, own_async = self._tool, self._tool._run, self._tool._arun  # noqa: SLF001

        def start(*args: Any, **kwargs: Any) -> Any:
            if _running.get() is tool:  # its own `_arun` calls `_run`
                return own(*args, **kwargs)
            result = self._call(stubs, own, args, kwargs)
            return self._output(asyncio.run(result) if inspect.iscoroutine(result) else result)

        async def start_async(*args: Any, **kwargs: Any) -> Any:
            _running.set(tool)
            return self._output(await self._call(stubs, own_async, args, kwargs))

        vars(tool).update(_run=like(own, start, stubs), _arun=like(own_async, start_async, stubs))

    def _call(self, stubs: type | None, own: Callable[..., Any], args: tuple[Any, ...], kwargs: Arguments) -> Any:
        given = {**dict(zip(self.parameters, args, strict=False)), **kwargs}
        arguments = {name: value for name, value in given.items() if name not in self.added}
        added = {name: value for name, value in given.items() if name in self.added}
        return self.call(stubs, functools.partial(own, *args, **kwargs), arguments, added)

    def _output(self, result: Any) -> Any:
        is_pair = isinstance(result, tuple) or self._tool.response_format != "content_and_artifact"
        return result if is_pair else (result, None)


def replace_server(server: Any, stubs: type, kept: Collection[str]) -> None:
    """Replace the tools of an MCP server, which are known only when they are called."""
    own = server.call_tool
    if hasattr(own, MARK):
        return

    async def call_tool(tool_name: str, arguments: Arguments | None, *args: Any, **kwargs: Any) -> Any:
        tool, own_call = Tool(tool_name, "", {}, own), functools.partial(own, tool_name, arguments, *args, **kwargs)
        if tool.method not in rec.methods_of(stubs):
            if tool_name in kept:
                return await tool.call(None, own_call, arguments or {}, {})
            raise rec.wrong(WITHOUT_STUB, tool_name)
        from mcp.types import CallToolResult, TextContent  # noqa: PLC0415 - only those have it who have a server

        result = await tool.call(stubs, own_call, arguments or {}, {})
        text = result if isinstance(result, str) else json.dumps(rec.as_json(result))
        return CallToolResult(content=[TextContent(type="text", text=text)])

    server.call_tool = like(own, call_tool, stubs)


def replace_tools(target: Any, stubs: type, keep: str | Collection[str] = ()) -> None:
    """Replace the tools of an agent, a graph, a tool, a dict of functions, or a list of these, where they are.

    Each tool gets the method of its name in the class `stubs`. Those in `keep` run their own code, and record it.
    Raises TypeError if any other tool would run for real; then nothing is replaced.
    """
    stubs = getattr(stubs, MARK, stubs)  # of a class that is recorded
    if not isinstance(stubs, type):
        raise TypeError(f"replace_tools(agent, stubs) takes a class as stubs, not {stubs!r}")
    rec.without_arguments(stubs)
    kept, methods = {keep} if isinstance(keep, str) else {*keep}, {*rec.methods_of(stubs)}
    with _replacing:
        found = _Found(methods)
        found.visit(target)
        _check(found, stubs, kept)
        for tool in found.tools:
            if tool.replaced_by is NOT_REPLACED:
                tool.replace(stubs if tool.method in methods else None)
        for server in found.servers:
            replace_server(server, stubs, kept)
        rec.names.update([each.name for each in found.tools], methods, kept)


class _Found:
    """The tools that an agent can call, through every handoff, graph, and agent that is a tool."""

    def __init__(self, methods: Collection[str]) -> None:
        self.methods = methods
        self.tools: list[Tool] = []
        self.servers: list[Any] = []
        self._others: list[tuple[str, str]] = []  # what no stub can replace: its name, and what it is
        self._handoffs: list[Any] = []
        self._agents: list[str] = []
        self._seen: list[object] = []

    def visit(self, target: Any, owner: str = "") -> None:
        if any(target is each for each in self._seen):
            return
        self._seen.append(target)
        if hasattr(target, "on_invoke_tool") and hasattr(target, "params_json_schema"):
            tool, agent = FunctionTool(target, owner), getattr(target, "_agent_instance", None)
            if agent is None or tool.method in self.methods:
                self.tools.append(tool)
            else:
                self.visit(agent)
        elif hasattr(target, "_run") and hasattr(target, "args_schema"):
            self.tools.append(BaseTool(target, owner))
        elif hasattr(target, "on_invoke_handoff"):
            agent = (getattr(target, "_agent_ref", None) or bool)()
            if agent:
                self.visit(agent)
            else:
                self._handoffs.append(target)
        elif hasattr(target, "handoffs"):
            self._agents.append(target.name)
            self.visit((*target.tools, *target.handoffs), f"the agent {target.name}")
            self.servers += [each for each in target.mcp_servers if each not in self.servers]
            capabilities = getattr(target, "capabilities", None) or ()
            self._others += [(type(each).__name__, "a capability") for each in capabilities]
        else:
            self._visit_parts(target, owner)

    def _visit_parts(self, target: Any, owner: str) -> None:
        if hasattr(target, "tools_by_name"):
            self.visit(tuple(target.tools_by_name.values()), owner)
        elif isinstance(nodes := getattr(target, "nodes", None), Mapping):
            for node in nodes.values():
                bound = getattr(node, "bound", None) or getattr(node, "runnable", None)
                parts = (bound, *getattr(bound, "steps", ()), *getattr(node, "subgraphs", ()))
                known = [each for each in parts if hasattr(each, "tools_by_name") or hasattr(each, "nodes")]
                self.visit(tuple(known), "the graph")
        elif isinstance(target, MutableMapping | MutableSequence):
            entries = [*(target.items() if isinstance(target, MutableMapping) else enumerate(target))]
            self.tools += [Function(each, owner, target, key) for key, each in entries if inspect.isroutine(each)]
            self.visit(tuple(each for _, each in entries if not inspect.isroutine(each)), owner)
        elif isinstance(target, tuple):
            for each in target:
                self.visit(each, owner)
        elif owner:
            self._others.append((getattr(target, "name", type(target).__name__), f"a {type(target).__name__}"))
        else:
            takes = "an agent, a graph, a tool, a dict of functions, or a list of these"
            raise TypeError(f"replace_tools() takes {takes}, not an object of {type(target).__name__}")

    def unsafe(self) -> dict[str, str]:
        """Return what no stub can replace. An agent behind a handoff of one's own is known by its name only."""
        unknown = [each for each in self._handoffs if self._agents.count(each.agent_name) != 1]
        text = "a handoff to {}, which is not in the list that replace_tools() got"
        return dict([*self._others, *((each.tool_name, text.format(each.agent_name)) for each in unknown)])


def _check(found: _Found, stubs: type, kept: Collection[str]) -> None:
    """Raise TypeError unless each tool has a stub that fits, or is kept."""
    unsafe = found.unsafe()
    if listed := "".join(f"\n    {name}: {what}" for name, what in unsafe.items() if name not in kept):
        raise TypeError(f"No stub can replace these. Name in `keep` what may run:\n{listed}")
    if not (found.tools or unsafe or found.servers):
        raise TypeError("replace_tools() found no tool. Give it the list of the tools that the agent calls")
    missing = []
    for tool in found.tools:
        wanted = stubs if tool.method in found.methods else None
        if wanted:
            tool.check(stubs)
        if tool.replaced_by is NOT_REPLACED:
            missing += [] if wanted or tool.name in kept else [tool]
        elif tool.replaced_by is not wanted and (wanted or tool.name in kept):
            raise TypeError(f"{tool.name} is replaced or recorded already, by other code than this call wants")
    if missing:
        owners = {each.owner for each in missing}
        of = f" of {owners.pop()}" if len(owners) == 1 and all(owners) else ""
        lines = "".join(f"\n    def {each.method}({each.signature()}): ..." for each in missing)
        raise TypeError(
            f"{len(missing)} tool{'s' * (len(missing) > 1)}{of} would run for real. Add stubs with made-up results to "
            f"{stubs.__name__},\nor name in `keep` what may run:\n{lines}"
        )
    known = {each.name for each in found.tools} | {*unsafe}
    if not found.servers and (unknown := sorted({*kept} - known)):
        raise TypeError(f"`keep` names no tool: {', '.join(unknown)}. Known: {', '.join(sorted(known))}")
