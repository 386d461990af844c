"""The report as JUnit XML for CI systems that show test results; docs/report-files.md says what becomes what.

A reader that fails a build for a failure or an error must agree with the gate. So the file has one if and only if the
report blocks; what does not block is skipped, with a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sepurux_action.common import json_reader
from sepurux_action.config.command_line import in_workflow
from sepurux_action.errors import Problem
from sepurux_action.evaluation.decision import CheckState
from sepurux_action.evaluation.failures import ClassifiedFailure
from sepurux_action.report.report import CaseState, GateFacts, Report, State

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


def junit_xml(report: Report) -> bytes:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - takes 10 ms, so only when needed; parses nothing

    names, suites = [gate.name for gate in report.gates], [tuple(_cases(gate)) for gate in report.gates]
    if report.problems:
        names, suites = ["settings"], [tuple(map(_of_problem, report.problems))]
    root = ET.Element("testsuites", name="Sepurux gate")
    for suite, cases in zip(_unique(names), suites, strict=True):
        states = [case.state for case in cases]
        counts = {
            "tests": len(states),
            "failures": states.count(CaseState.FAILURE),
            "errors": states.count(CaseState.ERROR),
            "skipped": states.count(CaseState.SKIPPED),
        }
        of_suite = ET.SubElement(root, "testsuite", _given(name=suite, **counts, time=_time(cases[0].seconds)))
        for name, case in zip(_unique(case.name for case in cases), cases, strict=True):
            place = {"file": case.file, "line": case.line or ""} if case.file else {}
            of_case = _given(classname=suite, name=name, time=_time(case.seconds), **place)
            element = ET.SubElement(of_suite, "testcase", of_case)
            if case.state is not CaseState.PASSED:
                text = json_reader.shorten(json_reader.printable(case.text), MAX_CASE_TEXT_LENGTH)
                kind = case.kind if case.state is not CaseState.SKIPPED else ""
                ET.SubElement(element, case.state, _given(message=text, type=kind)).text = text
    ET.indent(root, "")
    written: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return written


def _given(**attributes: object) -> dict[str, str]:
    return {name: json_reader.printable(str(value)) for name, value in attributes.items() if value != ""}


def _of_problem(problem: Problem) -> _Case:
    return _Case(
        name=problem.where.replace("`", "") or "policy file",
        state=CaseState.ERROR,
        text=str(problem),
        kind="bad_settings",
        file=problem.file,
        line=problem.line,
    )


def _cases(gate: GateFacts) -> Iterator[_Case]:
    approval = NEEDS_APPROVAL if gate.state is State.NEEDS_APPROVAL else ""
    yield _case(gate, RESULT, gate.state.case, f"{gate.reason} {in_workflow(gate.worst.hint)} {approval}")
    for row in gate.thresholds:
        sentence = f"{row.check.sentence[:1].upper()}{row.check.sentence[1:]}."
        yield _case(gate, row.check.threshold, _BY_CHECK[row.check.state], sentence)
    yield from _failures(gate)


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
        yield _case(gate, name, CaseState.FAILURE, "; ".join(alike))
    if (more := len(texts) - MAX_FAILURE_CASES) > 0:
        yield _Case(name="more failures", state=CaseState.SKIPPED, text=f"{more} more failures are in report.json.")
    for name in dict.fromkeys(map(_failure_name, gate.found.fixed)):
        if name not in texts:
            yield _case(gate, name, CaseState.PASSED, "Fixed.")


def _failure_name(failure: ClassifiedFailure) -> str:
    mutation = f" under {failure.mutation}" if failure.mutation else ""
    trace = f" in {failure.trace_id}" if failure.trace_id else ""
    return f"failure: {failure.type or 'no type'}{mutation}{trace}"


def _case(gate: GateFacts, name: str, state: CaseState, text: str) -> _Case:
    """Return a case that counts only if the gate is decided, and is a failure or an error only if the gate blocks."""
    if gate.decision.is_undecided and name != RESULT:
        state, text = CaseState.SKIPPED, f"{CASE_NOT_COMPARED} {text}"
    elif state in {CaseState.FAILURE, CaseState.ERROR} and not gate.blocks:
        state, text = CaseState.SKIPPED, f"{NOT_BLOCKING} {text}"
    seconds = max(run.elapsed_s for run in gate.runs) if name == RESULT else 0
    return _Case(name=name, state=state, text=text, kind=gate.state.value, seconds=seconds)


def _time(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds else ""


def _unique(names: Iterable[str]) -> Iterator[str]:
    """Yield the names, shortened, with a number for each that came before."""
    used: set[str] = set()
    for each in names:
        name = json_reader.shorten(json_reader.printable(each), MAX_CASE_NAME_LENGTH)
        candidate, number = name, 1
        while candidate in used:
            number += 1
            candidate = f"{name} ({number})"
        used.add(candidate)
        yield candidate
