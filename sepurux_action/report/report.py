"""The facts of a report: frozen data without Markdown. Templates turn them into text, `report_json.py` into JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from sepurux_action.common import T
from sepurux_action.errors import Problem
from sepurux_action.evaluation.result import GateResult
from sepurux_action.report.context import Context
from sepurux_action.report.gate_facts import GateFacts

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Note:
    """A remark."""

    text: Annotated[str, "The sentence."]
    gates: Annotated[tuple[str, ...], "Names of the gates that it is about, empty for all."] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report on gates, the most important first, or on `problems` in the settings; `short` after a signal.

    With gates, the problems are those that the pull request brings into the policy file.
    """

    context: Context
    gates: tuple[GateFacts, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()
    short: bool = False

    @property
    def acting(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.blocks)

    @property
    def failed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.failed)

    @property
    def blocking(self) -> tuple[GateFacts, ...]:
        """Return the gates that block, and that no approval can help."""
        return tuple(gate for gate in self.acting if not gate.needs_approval)

    @property
    def registered(self) -> tuple[GateFacts, ...]:
        """Return the gates whose result a push to the pull request does not change."""
        there = self.context.pull_request is not None and not self.short
        decided = (gate for gate in self.gates if gate.decision.is_decided and not gate.skipped)
        return tuple(gate for gate in decided if there and not gate.gate.uploads_traces)

    @property
    def without_calls(self) -> tuple[GateFacts, ...]:
        """Return the gates whose traces call no tool."""
        return tuple(gate for gate in self.gates if gate.gate.calls_no_tool and not (gate.skipped or self.short))

    def in_state(self, state: str) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.state == state)

    @property
    def passed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.passed)

    @property
    def not_passed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)


def build_report(results: Sequence[GateResult], context: Context, *, short: bool = False) -> Report:
    """Return the report on gates. A `short` one takes little time: it leaves out what failed and the history."""
    facts = (GateFacts.of(result, context=context, short=short) for result in results)
    gates = tuple(sorted(facts, key=lambda gate: (not gate.blocks, gate.state.rank, gate.severity_key)))
    return Report(context=context, gates=gates, notes=() if short else tuple(_notes(results)), short=short)


def grouped(items: Iterable[T], key: Callable[[T], Key]) -> dict[Key, list[T]]:
    groups: dict[Key, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _notes(results: Sequence[GateResult]) -> Iterable[Note]:
    """Yield each note once, with the names of its gates unless it applies to all."""
    gates_by_note: dict[str, dict[str, None]] = {}
    for result in results:
        for note in (*result.notes, *result.what_failed.notes):
            gates_by_note.setdefault(note, {})[result.gate.name] = None
    for note, names in gates_by_note.items():
        if len(names) == len(results):
            yield Note(note)
        else:
            yield Note(note, tuple(names))
