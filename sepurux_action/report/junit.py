"""The report as JUnit XML for CI systems that show test results; docs/report-files.md says what becomes what."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sepurux_action.common import json_reader
from sepurux_action.common.wording import joined, optional
from sepurux_action.evaluation.gate_numbers import Scenario
from sepurux_action.evaluation.metrics import summary
from sepurux_action.evaluation.runs import Decision
from sepurux_action.report import remarks
from sepurux_action.report.report import GateFacts, Report
from sepurux_action.report.view import COMMENT_LIMITS, View
from sepurux_action.report.what_failed import groups
from sepurux_action.report.words import Words

MAX_NAME_LENGTH = 500  # characters
MAX_TEXT_LENGTH = 1_000  # characters; with both limits, a file stays far below the 30 MB that GitLab reads
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
    name: str
    state: CaseState
    text: str = ""


def junit_xml(report: Report) -> bytes:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - takes 10 ms, so only when needed; parses nothing

    root, suites = ET.Element("testsuites", name="Sepurux gate"), list(_suites(report))
    for suite, (_, cases) in zip(_unique(name for name, _ in suites), suites, strict=True):
        states = [case.state for case in cases]
        counts = {
            "tests": len(states),
            "failures": states.count("failure"),
            "errors": states.count("error"),
            "skipped": states.count("skipped"),
        }
        of_suite = ET.SubElement(root, "testsuite", {"name": suite} | {name: str(counts[name]) for name in counts})
        for name, case in zip(_unique(case.name for case in cases), cases, strict=True):
            element = ET.SubElement(of_suite, "testcase", classname=suite, name=name)
            if case.state != "passed":
                text = json_reader.shorten(json_reader.printable(case.text), MAX_TEXT_LENGTH)
                ET.SubElement(element, case.state, message=text).text = text
    ET.indent(root, "")
    written: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return written


def _suites(report: Report) -> Iterator[tuple[str, tuple[_Case, ...]]]:
    """Yield name and cases of each suite: one for each gate, and one for problems in the settings."""
    say = Words(View(report=report, place="junit", limits=COMMENT_LIMITS))
    for gate in report.gates:
        scenarios = gate.found.read.scenarios or gate.result.scenarios
        approval = optional("The gate needs an approval.", gate.result.needs_approval)
        text = joined(" ", gate.result.reason, say.worded(gate.result.hint), approval)
        of_gate = _Case("gate", _OF_GATE[gate.result.decision], text)
        yield gate.name, (of_gate, *(_case(say, gate, each) for each in scenarios))
    if report.problems:
        yield (
            "settings",
            tuple(_Case(each.where.replace("`", "") or "policy file", "error", str(each)) for each in report.problems),
        )


def _case(say: Words, gate: GateFacts, scenario: Scenario) -> _Case:
    """Return the case of a scenario: skipped unless it failed in a gate that failed, or is known to have passed.

    One that is flaky is skipped.
    """
    failures = ((remarks.type_of_failure(say, gate, each, named=False), each) for each in groups(scenario.failures))
    text = joined(". ", summary(scenario.numbers), "; ".join(f"{what}: {each.description}" for what, each in failures))
    if gate.failed and scenario.failed:
        return _Case(scenario.name, "failure", text)
    no_failure = all(each.sepurux_decision == "pass" or not each.reported for each in scenario.recordings)
    passed = gate.result.decision is Decision.PASS or (gate.failed and scenario.read and no_failure)
    return _Case(scenario.name, "passed" if passed and not scenario.flaky else "skipped", text)


def _unique(names: Iterable[str]) -> Iterator[str]:
    """Yield the names, shortened, with a number for each that came before."""
    used: set[str] = set()
    for each in names:
        name = json_reader.shorten(json_reader.printable(each), MAX_NAME_LENGTH)
        candidate, number = name, 1
        while candidate in used:
            number += 1
            candidate = f"{name} ({number})"
        used.add(candidate)
        yield candidate
