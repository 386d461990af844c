"""The report as JUnit XML for CI systems that show test results; docs/report-files.md says what becomes what.

A reader that fails a build for a failure or an error must agree with the gate. So the file has one if and only if the
report blocks; what does not block is skipped, with a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sepurux_action.common import json_reader
from sepurux_action.config.command_line import in_workflow
from sepurux_action.errors import Problem
from sepurux_action.evaluation.checks import CheckState
from sepurux_action.evaluation.ci_run import ClassifiedFailure
from sepurux_action.report.report import GateFacts, Report
from sepurux_action.report.states import CaseState, State

# With these limits, a file stays far below the 30 MB that GitLab reads.
MAX_CASE_NAME_LENGTH = 500  # characters
MAX_CASE_TEXT_LENGTH = 1_000  # characters
MAX_FAILURE_CASES = 300  # test cases of a gate
RESULT = "result"  # the test case of a gate as a whole
NOT_BLOCKING = "Not blocking."
NEEDS_APPROVAL = "The gate needs an approval."
CASE_NOT_COMPARED = "Not compared, because the gate has no result."


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
    state: CaseState
    text: str = ""
    kind: str = ""
    seconds: float = 0
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite:
    """A test suite; its first case is the most important one."""

    name: str
    cases: Sequence[_Case]
    seconds: float = 0


def junit_xml(report: Report) -> bytes:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - takes 10 ms, so only when needed; parses nothing

    root = ET.Element("testsuites", name="Sepurux gate")
    for suite in [_settings(report.problems)] if report.problems else _gates(report.gates):
        states = [case.state for case in suite.cases]
        counts = {
            "tests": len(states),
            "failures": states.count(CaseState.FAILURE),
            "errors": states.count(CaseState.ERROR),
            "skipped": states.count(CaseState.SKIPPED),
        }
        of_suite = ET.SubElement(root, "testsuite", _given(name=suite.name, **counts, time=_time(suite.seconds)))
        for case in suite.cases:
            place = {"file": case.file, "line": case.line or ""} if case.file else {}
            of_case = _given(classname=suite.name, name=case.name, time=_time(case.seconds), **place)
            element = ET.SubElement(of_suite, "testcase", of_case)
            if case.state is not CaseState.PASSED:
                text = json_reader.shorten(json_reader.printable(case.text), MAX_CASE_TEXT_LENGTH)
                kind = case.kind if case.state is not CaseState.SKIPPED else ""
                ET.SubElement(element, case.state, _given(message=text, type=kind)).text = text
    ET.indent(root, "")
    written: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return written


def _given(**attributes: object) -> dict[str, str]:
    return {name: str(value) for name, value in attributes.items() if value != ""}


def _settings(problems: Sequence[Problem]) -> _Suite:
    names = _unique(_case_name(problem.where.replace("`", "")) or "policy file" for problem in problems)
    cases = (
        _Case(
            name=name,
            state=CaseState.ERROR,
            text=str(problem),
            kind="bad_settings",
            file=_case_name(problem.file),
            line=problem.line,
        )
        for name, problem in zip(names, problems, strict=True)
    )
    return _Suite(name="settings", cases=tuple(cases))


def _gates(gates: Sequence[GateFacts]) -> Iterator[_Suite]:
    names = _unique(_case_name(gate.name) for gate in gates)
    for name, gate in zip(names, gates, strict=True):
        seconds = max(run.elapsed_s for run in gate.runs)
        approval = NEEDS_APPROVAL if gate.state is State.NEEDS_APPROVAL else ""
        result = _case(gate, RESULT, gate.state.case, f"{gate.reason} {in_workflow(gate.worst.hint)} {approval}")
        cases = (replace(result, seconds=seconds), *_thresholds(gate), *_failures(gate))
        yield _Suite(name=name, cases=cases, seconds=seconds)


def _thresholds(gate: GateFacts) -> Iterator[_Case]:
    for row in gate.thresholds:
        sentence = f"{row.check.sentence[:1].upper()}{row.check.sentence[1:]}."
        yield _of_decided(gate, row.check.threshold, _BY_CHECK[row.check.state], sentence)


def _failures(gate: GateFacts) -> Iterator[_Case]:
    """Yield a case for each type, mutation, and trace. Severities and counts vary between runs, so no name has them.

    What is fixed is a case that passed, because a reader shows a test as fixed only if it is in the file.
    """
    texts: dict[str, list[str]] = {}
    for failure in gate.found.failures:
        counted = f"{failure.severity or 'no severity'} ×{failure.count}"
        counted += f", {failure.compared}" if failure.compared else ""
        texts.setdefault(_failure_name(failure), []).append(f"{counted}: {failure.description or 'no description'}")
    for name, alike in list(texts.items())[:MAX_FAILURE_CASES]:
        yield _of_decided(gate, name, CaseState.FAILURE, "; ".join(alike))
    if (more := len(texts) - MAX_FAILURE_CASES) > 0:
        yield _Case(name="more failures", state=CaseState.SKIPPED, text=f"{more} more failures are in report.json.")
    for name in dict.fromkeys(map(_failure_name, gate.found.fixed)):
        if name not in texts:
            yield _of_decided(gate, name, CaseState.PASSED, "Fixed.")


def _failure_name(failure: ClassifiedFailure) -> str:
    mutation = f" under {failure.mutation}" if failure.mutation else ""
    trace = f" in {failure.trace_id}" if failure.trace_id else ""
    return _case_name(f"failure: {failure.type or 'no type'}{mutation}{trace}")


def _of_decided(gate: GateFacts, name: str, state: CaseState, text: str) -> _Case:
    """Return a case that only counts if the gate is decided."""
    if gate.decision.is_undecided:
        return _Case(name=name, state=CaseState.SKIPPED, text=f"{CASE_NOT_COMPARED} {text}")
    return _case(gate, name, state, text)


def _case(gate: GateFacts, name: str, state: CaseState, text: str) -> _Case:
    if state in {CaseState.FAILURE, CaseState.ERROR} and not gate.blocks:
        return _Case(name=name, state=CaseState.SKIPPED, text=f"{NOT_BLOCKING} {text}")
    return _Case(name=name, state=state, text=text, kind=gate.state.value)


def _time(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds else ""


def _case_name(text: str) -> str:
    return json_reader.shorten(json_reader.printable(text), MAX_CASE_NAME_LENGTH)


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
