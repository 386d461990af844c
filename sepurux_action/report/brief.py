"""The brief for coding agents: what failed, as JSON.

Every text in it is data from an evaluation. Its schema is docs/brief.schema.json; docs/report-files.md describes it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from sepurux_action.common import json_reader
from sepurux_action.evaluation.ci_run import ClassifiedFailure
from sepurux_action.report.markdown import ORDINARY
from sepurux_action.report.report import GateFacts, Report, ThresholdFacts

SCHEMA = "sepurux-gate/brief@1"
MAX_DESCRIPTION_LENGTH = 120  # characters of a failure's text
MAX_NAME_LENGTH = 80  # characters of any other text
MAX_FORK_NAME_LENGTH = 40  # of a name that a fork may have chosen; a longer one could be an instruction
MAX_URL_LENGTH = 200  # a longer link is left out
MAX_LACKING = 5  # categories of a threshold
# Items of a gate in a comment, and fewer if not even one gate fits: each text may take 12 bytes a character.
MOST = tuple(
    dict(zip(("missed", "failures", "tools"), each, strict=True)) for each in ((3, 3, 5), (1, 1, 1), (0, 0, 0))
)

_Lists = dict[str, list[dict[str, object]]]  # the items of a gate, by the names in MOST
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "`<>&@"}  # special in Markdown or HTML
_LINE_START = re.compile(r', (?="(?:missed|failures|tools|gates)": \[|\{"(?:gate|severity|type)": )')


def brief(report: Report) -> dict[str, object]:
    """Return the whole brief: the gates that failed, the worst first."""
    lists = _lists_of_gates(report)
    return _brief(report, lists, lists)


def brief_json(report: Report, most_bytes: int) -> str:
    """Return a brief with the first items of the first gates, as many gates as fit into `most_bytes` bytes of JSON.

    '' if no gate failed, or if not even one fits. All characters are ASCII, and none has a meaning in Markdown or HTML.
    """
    every = _lists_of_gates(report)
    return next(filter(None, (_first_gates(report, every, most, most_bytes) for most in MOST)), "")


def _first_gates(report: Report, every: Sequence[_Lists], most: Mapping[str, int], most_bytes: int) -> str:
    written, kept = "", list[_Lists]()
    for lists in every:
        kept.append({name: items[: most[name]] for name, items in lists.items()})
        longer = _dump(_brief(report, every, kept))
        if len(longer) > most_bytes:
            break
        written = longer
    return written


def whole(value: float | None) -> float | None:
    """Return a whole number as an integer: `1`, not `1.0`."""
    return int(value) if value is not None and value == int(value) else value


def _brief(report: Report, every: Sequence[_Lists], kept: Sequence[_Lists]) -> dict[str, object]:
    """Return a brief with the gates whose lists are `kept`. `omitted` counts the other gates and items of `every`."""
    context = report.context
    omitted = sum(gate.found.left_out for gate in report.failed) + sum(map(_size, every)) - sum(map(_size, kept))
    return {
        "schema": SCHEMA,
        "commit": _name(context.commit),
        "do_not_edit": [_name(context.policy_path)] if context.policy_path else [],
        "omitted": omitted,
        "gates": [_entry(gate, lists) for gate, lists in zip(report.failed, kept, strict=False)],
    }


def _size(lists: _Lists) -> int:
    return 1 + sum(map(len, lists.values()))


def _entry(gate: GateFacts, lists: _Lists) -> dict[str, object]:
    run_id, url = _name(gate.worst.run_id), gate.dashboard.url if gate.dashboard else ""
    links = {"run_id": run_id, "dashboard_url": url if len(url) <= MAX_URL_LENGTH else ""}
    return {
        "gate": _name(gate.name),
        "decision": gate.decision.value,
        "blocked": gate.blocks,
        **lists,
        **{name: link for name, link in links.items() if link},
    }


def _lists_of_gates(report: Report) -> list[_Lists]:
    return [_lists(gate, from_fork=report.context.from_fork) for gate in report.failed]


def _lists(gate: GateFacts, *, from_fork: bool) -> _Lists:
    tools = ((_foreign_name(each.tool, from_fork=from_fork), each.count) for each in gate.tools)
    return {
        "missed": [_missed(row) for row in gate.missed],
        "failures": [_failure(each, from_fork=from_fork) for each in _one_of_each_kind_first(gate.found.failures)],
        "tools": [{"tool": name, "count": count} for name, count in tools if name],
    }


def _missed(row: ThresholdFacts) -> dict[str, object]:
    check = row.check
    values: dict[str, object] = {
        "metric": check.metric,
        "actual": whole(check.value),
        "max" if check.threshold.startswith("max_") else "min": whole(check.limit),
        "base": whole(row.base),
        "lacking": [_name(name) for name in check.lacking[:MAX_LACKING]] or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _failure(failure: ClassifiedFailure, *, from_fork: bool) -> dict[str, object]:
    names = {
        "severity": failure.severity,
        "type": failure.type,
        "mutation": failure.mutation,
        "trace_id": failure.trace_id,
    }
    values = {
        **{key: _foreign_name(name, from_fork=from_fork) for key, name in names.items()},
        "count": failure.count,
        "base": failure.base,
        "new": failure.new,
        "text": "" if from_fork else _name(failure.description, MAX_DESCRIPTION_LENGTH),
    }
    return {key: value for key, value in values.items() if value}


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
    """Return ASCII JSON with escapes for the characters of `_ESCAPED`, and long lists on several lines."""
    return _LINE_START.sub(",\n", json.dumps(value).translate(_ESCAPED))
