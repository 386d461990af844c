"""The report as JUnit XML for CI systems that show test results; docs/report-files.md says what becomes what.

A reader that fails a build for a failure or an error must agree with the gate. So the file has one if and only if the
report blocks; what does not block is skipped, with a message.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.wording import capitalized, joined, optional
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.drops import base_heading
from sepurux_action.evaluation.failures import ClassifiedFailure
from sepurux_action.evaluation.metrics import summary
from sepurux_action.report import remarks
from sepurux_action.report.report import GateFacts, Report
from sepurux_action.report.thresholds import ThresholdFacts
from sepurux_action.report.view import COMMENT_LIMITS, View
from sepurux_action.report.what_failed import groups
from sepurux_action.report.words import Words

# With these limits, a file stays far below the 30 MB that GitLab reads.
MAX_CASE_NAME_LENGTH = 500  # characters
MAX_CASE_TEXT_LENGTH = 1_000  # characters
MAX_LISTED_LENGTH = 800  # characters of the failures in it
CaseState = Literal["passed", "failure", "error", "skipped"]  # all but `passed` are the name of an element
_OF_GATE: Mapping[Decision, CaseState] = {
    Decision.FAIL: "failure",
    Decision.ERROR: "error",
    Decision.PENDING: "error",
    Decision.PASS: "passed",
    Decision.SKIPPED: "skipped",
}


@dataclass(frozen=True, slots=True)
class _Case:
    """One test case. `kind` is the type of a failure or an error."""

    name: str
    state: CaseState
    text: str = ""
    kind: str = ""
    file: str = ""
    line: int = 0


def junit_xml(report: Report) -> bytes:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - takes 10 ms, so only when needed; parses nothing

    root, suites = ET.Element("testsuites", name="Sepurux gate"), list(_suites(report))
    for suite, (_, time, cases, properties) in zip(_unique(name for name, *_ in suites), suites, strict=True):
        states = [case.state for case in cases]
        counts = {
            "tests": len(states),
            "failures": states.count("failure"),
            "errors": states.count("error"),
            "skipped": states.count("skipped"),
        }
        of_suite = ET.SubElement(root, "testsuite", _given(name=suite, **counts, time=time))
        if properties:
            listed = ET.SubElement(of_suite, "properties")
            for name, value in properties.items():
                ET.SubElement(listed, "property", _given(name=name, value=value))
        for name, case in zip(_unique(case.name for case in cases), cases, strict=True):
            of_case = _given(classname=suite, name=name, file=case.file, line=case.line or "")
            element = ET.SubElement(of_suite, "testcase", of_case)
            text = json_reader.shorten(json_reader.printable(case.text), MAX_CASE_TEXT_LENGTH)
            if case.state != "passed":
                ET.SubElement(element, case.state, _given(message=text, type=case.kind)).text = text
            elif text:
                ET.SubElement(element, "system-out").text = text
    ET.indent(root, "")
    written: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return written


def _given(**attributes: object) -> dict[str, str]:
    texts = {name: json_reader.printable(str(value)) for name, value in attributes.items() if value != ""}
    return {name: json_reader.shorten(text, MAX_CASE_TEXT_LENGTH) for name, text in texts.items()}


def _suites(report: Report) -> Iterator[tuple[str, str, tuple[_Case, ...], Mapping[str, str]]]:
    """Yield name, seconds, cases, and properties of each suite. The properties are thresholds that have no case."""
    say = Words(View(report=report, place="junit", limits=COMMENT_LIMITS))
    for gate in report.gates:
        cases, seconds = tuple(_cases(say, gate)), max(run.elapsed_s for run in gate.runs)
        rows = {row.check.threshold: _sentence(row) for row in gate.thresholds.requested}
        without_case = {name: rows[name] for name in rows if name not in {case.name for case in cases}}
        yield gate.name, optional("{:.3f}", seconds), cases, without_case
    if report.problems:
        named = [(each.where.replace("`", "") or "policy file", each) for each in report.problems]
        cases = tuple(_Case(name, "error", str(each), "bad_settings", each.file, each.line) for name, each in named)
        yield "settings", "", cases, {}


def _cases(say: Words, gate: GateFacts) -> Iterator[_Case]:
    """Yield a case for each scenario with numbers, then for each missed threshold if no scenario failed.

    Without such scenarios, or if none of these cases says why the gate has its result, the gate itself is a case.
    """
    read = [each for each in gate.found.read.scenarios if each.read or each.failed]
    missed = gate.thresholds.missed if read and not gate.found.failed_scenarios else ()
    if not read or gate.decision.is_undecided or (gate.failed and not (missed or gate.found.failed_scenarios)):
        approval = optional("The gate needs an approval.", gate.needs_approval)
        failures = "" if read else _listed(say, gate, gate.found.failures)
        text = joined(" ", gate.reason, say.worded(gate.hint), approval, failures)
        yield _case(gate, "result", _OF_GATE[gate.decision], text)
    for row in missed:
        yield _case(gate, row.check.threshold, "failure", _sentence(row))
    for scenario in read:
        state: CaseState = "skipped"
        if scenario.failed:
            state = "failure"
        elif scenario.passed:
            state = "passed"
        rate = gate.found.rate_on_base(scenario)
        on_base = rate and f"{base_heading(gate.context.base_ref)}: {rate}"
        text = joined(". ", summary(scenario.numbers), on_base, _listed(say, gate, groups(scenario.failures)))
        if gate.decision.is_undecided:
            state, text = "skipped", f"Not compared, because the gate has no result. {text}"
        yield _case(gate, scenario.name, state, text)
    if read and (more := max(len(gate.found.read.scenarios), gate.found.count or 0) - len(read)):
        text = f"{number_format.pluralize(more, 'more scenario')} without numbers."
        yield _Case("more scenarios", "skipped", text)


def _listed(say: Words, gate: GateFacts, failures: Iterable[ClassifiedFailure]) -> str:
    """Return the failures that fit into a case, at least one, and the number of the others."""
    texts = []
    for each in failures:
        what, compared = remarks.type_of_failure(say, gate, each, named=False), remarks.compared(say, gate, each)
        texts.append(f"{each.severity or 'no severity'} {what}: {each.description or 'no description'}{compared}")
    most = max(1, sum(length <= MAX_LISTED_LENGTH for length in accumulate(map(len, texts))))
    if texts[most:]:
        texts[most:] = [number_format.pluralize(len(texts) - most, "more failure")]
    return "; ".join(texts)


def _sentence(row: ThresholdFacts) -> str:
    return f"{capitalized(row.check.sentence)}."


def _case(gate: GateFacts, name: str, state: CaseState, text: str) -> _Case:
    """Return a case that is a failure or an error only if the gate blocks.

    What failed in a gate that passed is the output of a case that passed.
    """
    if state == "failure" and gate.decision is Decision.PASS:
        state = "passed"
    elif state in {"failure", "error"} and not gate.blocks:
        state, text = "skipped", f"Not blocking. {text}"
    return _Case(name, state, text, "" if state == "skipped" else gate.state)


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
