"""The brief for coding agents: what failed, as JSON that can be cut to a number of bytes.

Every text in it is data from an evaluation. Its schema is docs/brief.schema.json; docs/report-files.md describes it.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from sepurux_action.common import json_reader
from sepurux_action.evaluation.ci_run import ClassifiedFailure
from sepurux_action.report.markdown import ORDINARY
from sepurux_action.report.report import GateFacts, Report, ThresholdFacts

SCHEMA = "sepurux-gate/brief@1"
MAX_DESCRIPTION_LENGTH = 120  # characters of a failure's text
MAX_NAME_LENGTH = 80  # characters of any other text
MAX_FORK_NAME_LENGTH = 40  # of a name that a fork may have chosen; a longer one could be an instruction
METRICS = {
    "min_pass_rate": "pass_rate",
    "max_unsafe": "unsafe_attempts",
    "max_failures": "failures",
    "min_reliability_score": "reliability_score",
    "min_mutation_categories": "mutation_categories",
    "required_mutation_categories": "required_mutation_categories",
    "max_pass_rate_drop": "pass_rate_drop",
    "max_reliability_score_drop": "reliability_score_drop",
}

_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "`<>&@"}  # special in Markdown or HTML
_LINE_START = re.compile(r', (?="(?:missed|failures|tools|gates)": \[|\{"(?:gate|severity|type)": )')


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part that a cut brief may lack: an item of the list `within[key]`, or the value of a new `key`."""

    within: dict[str, object]
    key: str
    value: object

    @property
    def size(self) -> int:
        """Return by how many bytes the piece makes the brief longer."""
        items = self.within.get(self.key)
        if isinstance(items, list):
            return len(_dump([self.value])) - (0 if items else len(", "))
        return len(_dump({self.key: self.value}))

    def put(self) -> None:
        """Put the piece in its place."""
        items = self.within.get(self.key)
        if isinstance(items, list):
            items.append(self.value)
        else:
            self.within[self.key] = self.value


def brief(report: Report) -> dict[str, object]:
    """Return the whole brief: the gates that failed, the worst first."""
    return _fill(report, math.inf)


def brief_json(report: Report, most_bytes: int) -> str:
    """Return the brief as JSON of at most `most_bytes` bytes; '' if no gate failed, or if not even `omitted` fits.

    All characters are ASCII, and none has a meaning in Markdown or HTML.
    """
    for room in (math.inf, most_bytes) if report.failed else ():
        written = _dump(_fill(report, room))
        if len(written) <= most_bytes:
            return written
    return ""


def whole(value: float | None) -> float | None:
    """Return a whole number as an integer: `1`, not `1.0`."""
    return int(value) if value is not None and value == int(value) else value


def _fill(report: Report, most_bytes: float) -> dict[str, object]:
    """Return a brief with every piece that there is room for. `omitted` counts the others."""
    context = report.context
    found: dict[str, object] = {
        "schema": SCHEMA,
        "commit": _name(context.commit),
        "do_not_edit": [_name(context.policy_path)] if context.policy_path else [],
        "omitted": 0,
        "gates": [],
    }
    pieces = tuple(_pieces(report, found))
    omitted = sum(gate.failures_left_out for gate in report.failed) + len(pieces)
    room = most_bytes - len(_dump({**found, "omitted": omitted}))
    present = {id(found)}  # the objects that are in the brief, whose pieces may follow
    for piece in pieces:
        if id(piece.within) in present and (size := piece.size) <= room:
            piece.put()
            present.add(id(piece.value))
            room -= size
            omitted -= 1
    return {**found, "omitted": omitted}


def _pieces(report: Report, found: dict[str, object]) -> Iterator[_Piece]:
    """Yield all pieces, the most important first.

    The gates take turns: each adds a missed threshold, a failure, and a tool before the first one adds its second. So a
    long list of one gate does not displace another gate. The links, which an agent can do without, come last.
    """
    entries = [(gate, _entry(gate)) for gate in report.failed]
    turns = (_turns(gate, entry, found, from_fork=report.context.from_fork) for gate, entry in entries)
    for turn in zip_longest(*turns, fillvalue=()):
        yield from chain.from_iterable(turn)
    for gate, entry in entries:
        if run_id := json_reader.printable(gate.worst.run_id):
            yield _Piece(entry, "run_id", run_id)
        if gate.dashboard:
            yield _Piece(entry, "dashboard_url", gate.dashboard.url)


def _entry(gate: GateFacts) -> dict[str, object]:
    return {
        "gate": _name(gate.name),
        "decision": gate.decision.value,
        "blocked": gate.blocks,
        "missed": [],
        "failures": [],
        "tools": [],
    }


def _turns(
    gate: GateFacts, entry: dict[str, object], found: dict[str, object], *, from_fork: bool
) -> Iterator[tuple[_Piece, ...]]:
    rows = [_missed(row) for row in gate.missed]
    tools = ((_foreign_name(each.tool, from_fork=from_fork), each.count) for each in gate.tools)
    lists: list[Iterable[tuple[_Piece, ...]]] = [
        [(_Piece(found, "gates", entry),)],
        [(_Piece(entry, "missed", row),) for row in rows],
        [tuple(_failure(each, entry, from_fork=from_fork)) for each in _one_of_each_kind_first(gate.failures_by_trace)],
        [(_Piece(entry, "tools", {"tool": name, "count": count}),) for name, count in tools if name],
    ]
    for index, (row, values) in enumerate(zip(gate.missed, rows, strict=True)):  # the names come after their row
        lists.append([*[()] * index, *((_Piece(values, "lacking", _name(name)),) for name in row.check.lacking)])
    for turn in zip_longest(*lists, fillvalue=()):
        yield tuple(chain.from_iterable(turn))


def _missed(row: ThresholdFacts) -> dict[str, object]:
    check = row.check
    values: dict[str, object] = {
        "metric": METRICS[check.threshold],
        "actual": whole(check.value),
        "max" if check.threshold.startswith("max_") else "min": whole(check.limit),
        "base": whole(row.base),
        "lacking": [] if check.lacking else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _failure(failure: ClassifiedFailure, entry: dict[str, object], *, from_fork: bool) -> Iterator[_Piece]:
    names = {
        "severity": failure.severity,
        "type": failure.type,
        "mutation": failure.mutation,
        "trace_id": failure.trace_id,
    }
    shown = {key: _foreign_name(name, from_fork=from_fork) for key, name in names.items()}
    values: dict[str, object] = {key: name for key, name in shown.items() if name}
    values["count"] = failure.count
    if failure.base:
        values["base"] = failure.base
    if failure.new:
        values["new"] = failure.new
    yield _Piece(entry, "failures", values)
    if not from_fork and (text := _name(failure.description, MAX_DESCRIPTION_LENGTH)):
        yield _Piece(values, "text", text)


def _one_of_each_kind_first(failures: Sequence[ClassifiedFailure]) -> list[ClassifiedFailure]:
    """Return the failures so that the traces of one kind come after the first trace of every other kind."""
    seen: Counter[tuple[str, str, str]] = Counter()

    def turn(failure: ClassifiedFailure) -> int:
        kind = (failure.severity, failure.type, failure.mutation)
        seen[kind] += 1
        return seen[kind]

    return sorted(failures, key=turn)


def _foreign_name(text: str, *, from_fork: bool) -> str:
    """Return a name that Sepurux reports, or ''. In a fork, only an ordinary one: its traces may choose these names."""
    if not from_fork:
        return _name(text)
    name = json_reader.printable(text)
    return name if len(name) <= MAX_FORK_NAME_LENGTH and ORDINARY.match(name) else ""


def _name(text: str, longest: int = MAX_NAME_LENGTH) -> str:
    return json_reader.shorten(json_reader.printable(text), longest)


def _dump(value: object) -> str:
    """Return ASCII JSON with escapes for the characters of `_ESCAPED`, and long lists on several lines.

    A line break takes the place of a space, so the length of a part does not depend on what is around it.
    """
    return _LINE_START.sub(",\n", json.dumps(value).translate(_ESCAPED))
