"""The report as JUnit XML for CI systems that show test results: docs/reference.md#report-files."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from sepurux_action.common import json_reader
from sepurux_action.common.wording import joined, optional
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.evaluation.metrics import summary
from sepurux_action.evaluation.runs import Decision
from sepurux_action.report.report import Report

MAX_NAME_LENGTH = 500  # characters
MAX_TEXT_LENGTH = 1_000  # characters; with both limits, a file stays far below the 30 MB that GitLab reads
CaseState = Literal["passed", "failure", "error", "skipped"]  # all but `passed` are the name of an element
_OF_GATE: Mapping[str, CaseState] = {"fail": "failure", "pass": "passed", "skipped": "skipped"}  # others: error
_COUNTED: Mapping[str, CaseState] = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def junit_xml(report: Report) -> bytes:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - takes 10 ms, so only when needed; parses nothing

    root, suites = ET.Element("testsuites", name="Sepurux gate"), list(_suites(report))
    for suite, (_, cases) in zip(_unique(name for name, _ in suites), suites, strict=True):
        states = [state for _, state, _ in cases]
        counts = {name: str(states.count(state)) for name, state in _COUNTED.items()}
        of_suite = ET.SubElement(root, "testsuite", {"name": suite, "tests": str(len(states)), **counts})
        for name, (_, state, said) in zip(_unique(name for name, _, _ in cases), cases, strict=True):
            element = ET.SubElement(of_suite, "testcase", classname=suite, name=name)
            if state != "passed":
                text = json_reader.shorten(json_reader.printable(said), MAX_TEXT_LENGTH)
                ET.SubElement(element, state, message=text).text = text
    ET.indent(root, "")
    return bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True))


def _suites(report: Report) -> Iterator[tuple[str, list[tuple[str, CaseState, str]]]]:
    """Yield name and cases of each suite, each with name, state, and text: one for each gate, and one for the settings.

    A scenario is skipped unless it failed in a gate that failed, or is known to have passed and is not flaky.
    """
    worded = on_command_line if report.context.on_command_line else in_workflow
    for result in (gate.result for gate in report.gates):
        gate_failed = result.decision is Decision.FAIL
        approval = optional("The gate needs an approval.", result.needs_approval)
        text = joined(" ", result.reason, worded(result.hint), approval)
        cases = [("gate", _OF_GATE.get(result.decision, "error"), text)]
        for scenario in result.known_scenarios:
            state: CaseState = "skipped"
            no_failure = all(each.sepurux_decision == "pass" or not each.reported for each in scenario.recordings)
            if gate_failed and scenario.failed:
                state = "failure"
            elif result.decision is Decision.PASS or (gate_failed and scenario.read and no_failure):
                state = "skipped" if scenario.flaky else "passed"
            failures = dict.fromkeys(
                joined(": ", joined(", ", each.severity, each.type, each.mutation), each.description)
                for each in scenario.failures
            )
            cases.append((scenario.name, state, joined(". ", summary(scenario.numbers), "; ".join(failures))))
        yield result.gate.name, cases
    if report.problems:
        named = ((each.where.replace("`", "") or each.file or "settings", each) for each in report.problems)
        yield "settings", [(name, "error", str(each)) for name, each in named]


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
