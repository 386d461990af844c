"""Replaces the tools of agents, whichever framework they are made with, by stubs."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, MutableMapping, MutableSequence
from threading import RLock
from typing import Any

from sepurux_recorder.kinds import NOT_REPLACED, BaseTool, Function, FunctionTool, Tool, replace_server
from sepurux_recorder.recording import names
from sepurux_recorder.services import MARK, methods_of, without_arguments

_replacing = RLock()
TAKES = "an agent, a graph, a tool, a dict of functions, or a list of these"


def replace_tools(target: Any, stubs: type, keep: str | Collection[str] = ()) -> None:
    """Replace the tools of an agent, a graph, a tool, a dict of functions, or a list of these, where they are.

    Each tool gets the method of its name in the class `stubs`. Those in `keep` run their own code, and record it.
    Raises TypeError if any other tool would run for real; then nothing is replaced.
    """
    stubs = getattr(stubs, MARK, stubs)  # of a class that is recorded
    if not isinstance(stubs, type):
        raise TypeError(f"replace_tools(agent, stubs) takes a class as stubs, not {stubs!r}")
    without_arguments(stubs)
    kept, methods = {keep} if isinstance(keep, str) else {*keep}, {*methods_of(stubs)}
    with _replacing:
        found = _Found(methods)
        found.visit(target)
        _check(found, stubs, kept)
        for tool in found.tools:
            if tool.replaced_by is NOT_REPLACED:
                tool.replace(stubs if tool.method in methods else None)
        for server in found.servers:
            replace_server(server, stubs, kept)
        names.update([each.name for each in found.tools], methods, kept)


class _Found:
    """The tools that an agent can call, through every handoff, graph, and agent that is a tool."""

    def __init__(self, methods: Collection[str]) -> None:
        self.methods = methods
        self.tools: list[Tool] = []
        self.servers: list[Any] = []
        self.others: list[tuple[str, str]] = []  # what no stub can replace: its name, and what it is
        self._handoffs: list[Any] = []
        self._agents: list[Any] = []
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
            self._visit_agent(target)
        else:
            self._visit_parts(target, owner)

    def _visit_agent(self, agent: Any) -> None:
        self._agents.append(agent)
        self._visit_all([*agent.tools, *agent.handoffs], f"the agent {agent.name}")
        self.servers += [each for each in agent.mcp_servers if each not in self.servers]
        self.others += [(type(each).__name__, "a capability") for each in getattr(agent, "capabilities", None) or ()]

    def _visit_parts(self, target: Any, owner: str) -> None:
        nodes = getattr(target, "nodes", None)
        if hasattr(target, "tools_by_name"):
            self._visit_all(target.tools_by_name.values(), owner)
        elif isinstance(nodes, Mapping):
            for node in nodes.values():
                bound = getattr(node, "bound", None) or getattr(node, "runnable", None)
                parts = [bound, *getattr(bound, "steps", ()), *getattr(node, "subgraphs", ())]
                known = [each for each in parts if hasattr(each, "tools_by_name") or hasattr(each, "nodes")]
                self._visit_all(known, "the graph")
        elif isinstance(target, MutableMapping | MutableSequence):
            for key, each in [*(target.items() if isinstance(target, MutableMapping) else enumerate(target))]:
                if inspect.isroutine(each):
                    self.tools.append(Function(each, owner, target, key))
                else:
                    self.visit(each, owner)
        elif isinstance(target, tuple):
            self._visit_all(target, owner)
        elif owner:
            self.others.append((getattr(target, "name", type(target).__name__), f"a {type(target).__name__}"))
        else:
            raise TypeError(f"replace_tools() takes {TAKES}, not {target!r}")

    def _visit_all(self, targets: Iterable[Any], owner: str) -> None:
        for each in targets:
            self.visit(each, owner)

    def unsafe(self) -> list[tuple[str, str]]:
        """Return what no stub can replace. An agent behind a handoff of one's own is known by its name only."""
        known = [each.name for each in self._agents]
        unknown = [each for each in self._handoffs if known.count(each.agent_name) != 1]
        text = "a handoff to {}, which is not in the list that replace_tools() got"
        return self.others + [(each.tool_name, text.format(each.agent_name)) for each in unknown]


def _check(found: _Found, stubs: type, kept: Collection[str]) -> None:
    """Raise TypeError unless each tool has a stub that fits, or is kept."""
    unsafe = found.unsafe()
    if listed := "".join(f"\n    {name}: {what}" for name, what in unsafe if name not in kept):
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
    known = {each.name for each in found.tools} | {name for name, _ in unsafe}
    if not found.servers and (unknown := sorted({*kept} - known)):
        raise TypeError(f"`keep` names no tool: {', '.join(unknown)}. Known: {', '.join(sorted(known))}")
