"""The report as JUnit XML for CI systems that show test results; docs/report-files.md says what becomes what.

A reader that fails a build for a failure or an error must agree with the gate. So the file has one if and only if the
report blocks; what does not block is skipped, with a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from html import escape

from sepurux_action.common import json_reader
from sepurux_action.errors import Problem
from sepurux_action.evaluation.ci_run import ClassifiedFailure
from sepurux_action.evaluation.decision import CheckState, Decision
from sepurux_action.report.report import GateFacts, Report
from sepurux_action.report.states import State

MAX_BYTES = 20_000_000  # of all test cases; GitLab reads files of up to 30 MB
MAX_NAME_LENGTH = 500  # characters
# A text has at most the 10,000 characters of `printable`, each at most 6 bytes as an entity: publish-unit-test-result
# cuts after 64,000 bytes.
RESULT = "result"  # the test case of a gate as a whole
NOT_BLOCKING = "Not blocking."
NEEDS_APPROVAL = "The gate needs an approval."
NOT_COMPARED = "Not compared, because the gate has no result."


class CaseState(StrEnum):
    """The result of a test case. All but `passed` are the name of an element."""

    PASSED = "passed"
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


_BY_DECISION = {
    Decision.FAIL: CaseState.FAILURE,
    Decision.ERROR: CaseState.ERROR,
    Decision.PENDING: CaseState.ERROR,
    Decision.PASS: CaseState.PASSED,
    Decision.SKIPPED: CaseState.SKIPPED,
}
_BY_CHECK = {
    CheckState.MET: CaseState.PASSED,
    CheckState.MISSED: CaseState.FAILURE,
    CheckState.NOT_REPORTED: CaseState.SKIPPED,
    CheckState.NO_NUMBER: CaseState.SKIPPED,
    CheckState.WITHIN_RANGE: CaseState.PASSED,
    CheckState.NOT_COMPARED: CaseState.SKIPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One test case. `kind` is the type of a failure or an error."""

    name: str
    case_state: CaseState
    text: str = ""
    kind: str = ""
    seconds: float = 0
    file: str = ""
    line: int = 0

    def xml(self, suite: str) -> str:
        """Return the element."""
        place = {"file": self.file, "line": str(self.line or "")} if self.file else {}
        attributes = _attributes({"classname": suite, "name": self.name, "time": _time(self.seconds), **place})
        if self.case_state is CaseState.PASSED:
            return f"<testcase{attributes}/>\n"
        text = json_reader.printable(self.text)
        kind = self.kind if self.case_state is not CaseState.SKIPPED else ""
        element = f"<{self.case_state}{_attributes({'message': text, 'type': kind})}>{escape(text)}</{self.case_state}>"
        return f"<testcase{attributes}>{element}</testcase>\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite:
    """A test suite; its first case is the most important one."""

    name: str
    cases: Sequence[_Case]
    seconds: float = 0


def junit_xml(report: Report) -> bytes:
    """Return the report as JUnit XML: a suite for each gate, or one suite for the problems in the settings.

    If there are too many test cases for one file, a last suite says how many are left out.
    """
    suites = [_settings(report.problems)] if report.problems else list(_gates(report.gates))
    kept, left_out = _fitting(suites)
    if left_out:
        text = f"This file has no room for {left_out} more results. All results are in report.json."
        case = _Case(name="left out", case_state=CaseState.SKIPPED, text=text)
        kept.append(_Suite(name="report", cases=(case,)))
    written = "".join(map(_suite_xml, kept))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="Sepurux gate">\n{written}</testsuites>\n'.encode()
    )


def _fitting(suites: Sequence[_Suite]) -> tuple[list[_Suite], int]:
    """Return the suites with the cases that fit, first cases first, and the number of the other cases."""
    room, left_out = MAX_BYTES, 0
    kept: list[list[_Case]] = [[] for _ in suites]
    firsts = ((number, suite.name, suite.cases[:1]) for number, suite in enumerate(suites))
    others = ((number, suite.name, suite.cases[1:]) for number, suite in enumerate(suites))
    for number, name, cases in (*firsts, *others):
        for case in cases:
            size = len(case.xml(name).encode())
            if size <= room:
                kept[number].append(case)
                room -= size
            else:
                left_out += 1
    return [replace(suite, cases=cases) for suite, cases in zip(suites, kept, strict=True) if cases], left_out


def _settings(problems: Sequence[Problem]) -> _Suite:
    names = _unique(_name(problem.where.replace("`", "")) or "policy file" for problem in problems)
    cases = (
        _Case(
            name=name,
            case_state=CaseState.ERROR,
            text=str(problem),
            kind="bad_settings",
            file=_name(problem.file),
            line=problem.line,
        )
        for name, problem in zip(names, problems, strict=True)
    )
    return _Suite(name="settings", cases=tuple(cases))


def _gates(gates: Sequence[GateFacts]) -> Iterator[_Suite]:
    names = _unique(_name(gate.name) for gate in gates)
    for name, gate in zip(names, gates, strict=True):
        seconds = max(run.elapsed_s for run in gate.result.runs)
        approval = NEEDS_APPROVAL if gate.state is State.NEEDS_APPROVAL else ""
        result = _case(gate, RESULT, _BY_DECISION[gate.decision], f"{gate.reason} {gate.hint} {approval}")
        cases = (replace(result, seconds=seconds), *_thresholds(gate), *_failures(gate))
        yield _Suite(name=name, cases=cases, seconds=seconds)


def _thresholds(gate: GateFacts) -> Iterator[_Case]:
    for row in gate.thresholds:
        sentence = f"{row.check.sentence[:1].upper()}{row.check.sentence[1:]}."
        yield _compared_case(gate, row.check.threshold, _BY_CHECK[row.check.state], sentence)


def _failures(gate: GateFacts) -> Iterator[_Case]:
    """Yield a case for each type, mutation, and trace. Severities and counts vary between runs, so no name has them.

    What is fixed is a case that passed, because a reader shows a test as fixed only if it is in the file.
    """
    texts: dict[str, list[str]] = {}
    for failure in gate.failures_by_trace:
        counted = f"{failure.severity or 'no severity'} ×{failure.count}{_compared(failure)}"
        texts.setdefault(_failure_name(failure), []).append(f"{counted}: {failure.description or 'no description'}")
    for name, alike in texts.items():
        yield _compared_case(gate, name, CaseState.FAILURE, "; ".join(alike))
    for name in dict.fromkeys(map(_failure_name, gate.fixed)):
        if name not in texts:
            yield _compared_case(gate, name, CaseState.PASSED, "Fixed.")


def _compared(failure: ClassifiedFailure) -> str:
    return f", {failure.new} new" if failure.new else ", known" if failure.base else ""


def _failure_name(failure: ClassifiedFailure) -> str:
    mutation = f" under {failure.mutation}" if failure.mutation else ""
    trace = f" in {failure.trace_id}" if failure.trace_id else ""
    return _name(f"failure: {failure.type or 'no type'}{mutation}{trace}")


def _compared_case(gate: GateFacts, name: str, case_state: CaseState, text: str) -> _Case:
    """Return a case that only counts if the gate is decided."""
    if _BY_DECISION[gate.decision] is CaseState.ERROR:
        return _Case(name=name, case_state=CaseState.SKIPPED, text=f"{NOT_COMPARED} {text}")
    return _case(gate, name, case_state, text)


def _case(gate: GateFacts, name: str, case_state: CaseState, text: str) -> _Case:
    """Return a case that is a failure or an error only if the gate blocks."""
    if case_state in {CaseState.FAILURE, CaseState.ERROR} and not gate.blocks:
        return _Case(name=name, case_state=CaseState.SKIPPED, text=f"{NOT_BLOCKING} {text}")
    return _Case(name=name, case_state=case_state, text=text, kind=gate.state.value)


def _suite_xml(suite: _Suite) -> str:
    case_states = [case.case_state for case in suite.cases]
    counts = {
        "tests": len(case_states),
        "failures": case_states.count(CaseState.FAILURE),
        "errors": case_states.count(CaseState.ERROR),
        "skipped": case_states.count(CaseState.SKIPPED),
    }
    numbers = {name: str(count) for name, count in counts.items()}
    attributes = _attributes({"name": suite.name, **numbers, "time": _time(suite.seconds)})
    return f"<testsuite{attributes}>\n{''.join(case.xml(suite.name) for case in suite.cases)}</testsuite>\n"


def _attributes(values: dict[str, str]) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in values.items() if value)


def _time(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds else ""


def _name(text: str) -> str:
    return json_reader.shorten(json_reader.printable(text), MAX_NAME_LENGTH)


def _unique(names: Iterable[str]) -> Iterator[str]:
    """Yield the names, with a number for each that came before."""
    used: set[str] = set()
    for name in names:
        candidate, number = name, 1
        while candidate in used:
            number += 1
            candidate = f"{name} ({number})"
        used.add(candidate)
        yield candidate
