"""A report as data for programs: `report.json`, `junit.xml`, and the outputs of a step.

Sources: docs/reference.md#report-files, docs/reference.md#outputs.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from sepurux_action.common import json_reader, wording
from sepurux_action.common.json_reader import Reading
from sepurux_action.common.wording import joined, optional
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.config.settings import Change
from sepurux_action.errors import Problem
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision
from sepurux_action.evaluation.gate_numbers import Check, Scenario
from sepurux_action.evaluation.metrics import LISTED, METRICS
from sepurux_action.evaluation.results import Result
from sepurux_action.evaluation.runs import Decision, Failure, OnBase, Run, Step
from sepurux_action.report.report import GateFacts, Note, Report

SCHEMA = "sepurux-gate/report@3"
Values = Mapping[str, Reading | float | None]  # of every metric, by its name
MAX_LIST_LENGTH = 40_000  # characters of the ids of one kind, about 1,000 ids; further ones are left out
MAX_GATES_OUTPUT = 120_000  # characters of `gates`: a variable in the environment of a later step has at most 131,072
MAX_NAME_LENGTH = 500  # characters of a case's name
MAX_TEXT_LENGTH = 1_000  # characters of a case's text; so junit.xml stays far below the 30 MB that GitLab reads
CaseState = Literal["passed", "failure", "error", "skipped"]  # all but `passed` are the name of an element
_OF_GATE: Mapping[str, CaseState] = {"fail": "failure", "pass": "passed", "skipped": "skipped"}  # others: error
_COUNTED: Mapping[str, CaseState] = {"failures": "failure", "errors": "error", "skipped": "skipped"}

# The fields of each object and what they mean: an attribute, or one of `COMPUTED`. The last part of a path is its name.
FIELDS: Mapping[type, Mapping[str, str]] = {
    Report: {
        "context.version": "Version of the action.",
        "context.repository": "Repository, as `owner/name`.",
        "context.commit": "SHA of the evaluated commit.",
        "context.pull_request": "Number of the pull request.",
        "context.base_ref": "Branch that the results are compared with.",
        "context.run_url": "Page of the workflow run.",
        "context.policy_path": "Path of the policy file that applies.",
        "decision": "The worst of all gates; `error` for invalid settings.",
        "conclusion": "`failure` if any gate blocks, and for invalid settings.",
        "short": "Whether details were left out because the step was canceled.",
        "gates": "The gates, the most important first; empty for invalid settings.",
        "problems": "The problems in the settings.",
        "context.policy_changes": "What the pull request changes in the policy. It applies once merged.",
        "notes": "Remarks.",
    },
    GateFacts: {
        "result.gate.name": "Name of the gate.",
        "result.decision": "What Sepurux and the thresholds say.",
        "state": "What a reader has to know first, in one word.",
        "result.blocks": "Whether the gate blocks.",
        "result.gate.stage": "The setting `enforcement`: the stage that applies.",
        "result.gate.on_outage": "The setting `on_outage`.",
        "result.rule": "How the decision came about.",
        "result.reason": "Why, in one sentence.",
        "result.hint": "What to do.",
        "result.gate.campaign": "The setting `campaign`.",
        "result.gate.project": "The setting `project`.",
        "result.gate.mutation_pack": "The setting `mutation_pack`.",
        "result.worst.campaign_id": "ID of the campaign.",
        "result.worst.trace_id": "ID of the trace of the worst CI run.",
        "result.worst.run_id": "ID of the worst CI run.",
        "result.worst.batch_id": "ID of the worst batch.",
        "result.run_ids": "IDs of all CI runs.",
        "result.worst.dashboard_url": "Page of the worst CI run in Sepurux.",
        "result.worst.elapsed_s": "Seconds that the worst CI run took.",
        "result.worst.failing_tools": "Number of failures that Sepurux counts for each tool in the worst CI run.",
        "result.worst.sandbox": "Whether the rules are those of the sandbox, not of Sepurux.",
        "result.link": "Page of the earlier run, if the commit's status records its decision.",
        "result.numbers": "The numbers, those of all CI runs together.",
        "result.categories": "The mutation categories that are covered; null if they are not reported.",
        "result.checks": "The thresholds that are set. Without a decision, numbers may still change.",
        "result.failures": "The classified failures that were read: new ones first, then the most severe.",
        "result.failures_unread": "Number of failures that were not read.",
        "result.scenarios_unread": "Number of scenarios that were not read, or not completely.",
        "result.scenarios": "The scenarios, the worst first. Of a batch, empty if they were not read, as after a pass.",
        "result.scenarios_missing": "The scenarios that only the newest result of the base has.",
        "result.approval": "Who approved, or can approve, a soft gate that failed.",
        "base_results": "The results on the base that the gate is compared with, the newest first: at most five.",
    },
    Check: {
        "threshold": "The setting. A `max_` is the highest number accepted.",
        "label": "Name of the number in reports.",
        "value": "The result. Of a drop: by how much it is below the median of the base.",
        "limit": "The number that is required.",
        "state": "If the result meets it. `within_range`: a drop that does not count, as the base has results as low.",
        "text": "The number with what is needed, or why they are not compared.",
        "lacking": "The required categories that are not covered.",
        "reported_by": "Such as `2 of 3 traces`; null if all report the number.",
    },
    Failure: {
        "severity": "Severity, as Sepurux names it.",
        "type": "Type, as Sepurux names it.",
        "mutation": "Mutation under which the agent failed.",
        "tool": "Name of the tool.",
        "trace_id": "ID of the trace, or the path of an uploaded one.",
        "count": "Number of such failures.",
        "description": "What happened.",
        "scenario": "Name of the scenario of a trace.",
        "flaky": "Whether the scenario is flaky, so that the failure does not count.",
        "is_new": "Whether such failures are more frequent than in every result of the base.",
        "on_base": "In how many results of the base it is; null if it was not compared.",
        "step": "The call at which the agent first did something else than on the base, else the one that failed.",
        "steps": "What the agent did: `-` only on the base, `+` only here, `>` failed, the others in both.",
    },
    Step: {
        "number": "Number of the call in its trace, from 1. Of a missing tool, that of the call before, or 0.",
        "tool": "Name of the tool.",
        "difference": "How it differs from the base; `with` and `without`: an argument.",
        "other": "Name of the tool that the base calls instead, or of the argument.",
    },
    OnBase: {
        "having": "Number of results that have such failures; 0: they are new.",
        "results": "Number of results of the base that have its scenario, at most five.",
        "here": "Such failures for each recording here.",
        "most": "The most for each recording in one of the results.",
    },
    Scenario: {
        "name": "Name of the task, path of the trace, or an ID.",
        "failed": "Whether it is known to have failed, and counts.",
        "idle": "Whether it calls no tool, or none that it called in every result of the base.",
        "complete": "Whether all its failures were read.",
        "numbers": "The numbers of all recordings together.",
        "base_rates": "Its pass rate in each result of the base that has it, the newest first.",
        "base_tools": "The tools that it called in every result of the base.",
        "recordings": "The CI run of each recording.",
    },
    Run: {
        "path": "Path of the trace file.",
        "trace_id": "ID of the trace.",
        "run_id": "ID of the CI run.",
        "batch_id": "ID of the batch, if the trace was started as one.",
        "decision": "What Sepurux decided; `pending` if its run was not read.",
        "reason": "Why, in one sentence.",
        "hint": "What to do.",
        "dashboard_url": "Page of the run in Sepurux.",
        "numbers": "The numbers of its run.",
    },
    ApprovalStatus: {
        "commit": "The commit to approve: the head of the pull request, also for a merge group.",
        "approved_by": "Logins of those who approved.",
        "can_approve": "Logins of the listed reviewers who can approve.",
        "anyone": "Whether everyone with write access but the author can approve: none are listed.",
        "outdated": "Logins of those who approved an older commit.",
        "ignored": "Logins of those whose approval of this commit does not count.",
        "unread": "Whether the reviews, or who can approve, could not be read.",
    },
    Result: {
        "commit": "SHA of the commit.",
        "decision": "The decision.",
        "stage": "The stage that applied.",
        "url": "The link of the commit status.",
        "numbers": "The numbers that the status has.",
    },
    Problem: {
        "where": "Where the problem is.",
        "message": "What the problem is.",
        "location": "Path and line, as `FILE:LINE`, if it is in the policy file.",
    },
    Change: {
        "setting": "Name of the setting; null for a gate as a whole, which one of the policies lacks.",
        "old": "Text on the base branch; null without one.",
        "new": "Text in the pull request; null without one.",
        "gate": "Name of the gate; null for the top level.",
    },
    Note: {"text": "The sentence.", "gates": "Names of the gates that it is about, empty for all."},
}


OUTPUTS: dict[str, str] = {
    "decision": "`pass`, `fail`, `error`, `pending`, or `skipped`.",
    "conclusion": "`failure` if the step blocks, otherwise `success`.",
    "reason": "Reason for the decision, in one sentence.",
    metrics.PASS_RATE.name: "Share of the attempts that passed, from 0 to 1.",
    metrics.UNSAFE_ATTEMPTS.name: "Number of unsafe attempts.",
    metrics.FAILURES.name: "Number of failures.",
    metrics.RELIABILITY_SCORE.name: "Reliability score, from 0 to 100.",
    "run_id": "ID of the run at Sepurux. Several IDs are separated by commas.",
    "trace_id": "ID of the evaluated trace. Several IDs are separated by commas.",
    "campaign_id": "UUID of the campaign.",
    "dashboard_url": "URL of the run at Sepurux.",
    "comment_url": "URL of the comment on the pull request.",
    "gates": "JSON: a list of the gates of report.json without scenarios. If too long, the longest fields are null.",
}


def decision(report: Report) -> Decision:
    return min((gate.result.decision for gate in report.gates), key=lambda each: each.rank, default=Decision.ERROR)


def conclusion(report: Report) -> Literal["success", "failure"]:
    return "failure" if report.problems or any(gate.result.blocks for gate in report.gates) else "success"


def numbers(record: GateDecision | Scenario | Run | Result) -> Values:
    known = record.numbers
    return {metric.name: known.get(metric.name) for metric in METRICS}


def hint(record: GateDecision | Run) -> str:
    return in_workflow(record.hint)


COMPUTED: Mapping[tuple[type, str], Callable[[Any], object]] = {
    (Report, "decision"): decision,
    (Report, "conclusion"): conclusion,
    **{(kind, "numbers"): numbers for kind in (GateDecision, Scenario, Run, Result)},
    **{(kind, "hint"): hint for kind in (GateDecision, Run)},
}


def json_text(report: Report) -> str:
    document = {"schema": SCHEMA, **dump_fields(report)}
    return json.dumps(document, separators=(",\n", ": "), allow_nan=False) + "\n"  # ten times as fast as `indent`


def dump_fields(record: object) -> dict[str, object]:
    """Return a record as a JSON object with its fields in `FIELDS`."""
    fields = dict[str, object]()
    for path in FIELDS[type(record)]:
        value, name = record, ""
        for name in path.split("."):
            function = COMPUTED.get((type(value), name))
            value = function(value) if function else getattr(value, name)
        fields[name] = _dump(value)
    return fields


def _dump(value: object) -> object:
    """Return a value as JSON: texts printable, null for empty ones, and whole numbers as integers: `1`, not `1.0`."""
    if isinstance(value, str):
        return json_reader.printable(value) or None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Reading):
        return _dump(value.value)
    if isinstance(value, tuple):
        return [_dump(each) for each in value]
    if isinstance(value, Mapping):
        return {json_reader.printable(name): _dump(each) for name, each in value.items()}
    return dump_fields(value)


# -- outputs --


def without_decision(reason: str) -> dict[str, str]:
    """Return the outputs of a step without a result: every name, decision `error`, conclusion `failure`."""
    known = {"decision": Decision.ERROR.value, "conclusion": "failure", "reason": reason, "gates": "[]"}
    return {name: known.get(name, "") for name in OUTPUTS}


def step_outputs(gates: Sequence[GateDecision], report: Report) -> dict[str, str]:
    """Return every output, empty if unknown: of the step, of the worst gate, and in `gates` of all in their order.

    The worst is one that blocks, then that with the worst decision, then the first one.
    """
    worst = min(gates, key=lambda gate: (not gate.blocks, gate.decision.rank))
    run, values = worst.worst, {metric.name: worst.value(metric) for metric in LISTED}
    by_name = {each.name: each for each in report.gates}
    listed = [dump_fields(by_name[gate.gate.name]) for gate in gates]
    for each in listed:
        del each["scenarios"]
    while len(text := json.dumps(listed)) > MAX_GATES_OUTPUT:
        longest = max(listed[0], key=lambda name: sum(len(json.dumps(each[name])) for each in listed))
        listed = [{**each, longest: None} for each in listed]
    return {
        "decision": decision(report).value,
        "conclusion": conclusion(report),
        "reason": worst.reason,
        **{name: "" if value is None else wording.decimal(value) for name, value in values.items()},
        "run_id": _joined(worst.run_ids),
        "trace_id": _joined(each.trace_id for each in worst.runs),
        "campaign_id": run.campaign_id,
        "dashboard_url": run.dashboard_url,
        "comment_url": "",
        "gates": text,
    }


def _joined(ids: Iterable[str]) -> str:
    listed = ",".join((*dict.fromkeys(filter(None, ids)), ""))
    return listed[: MAX_LIST_LENGTH + 1].rpartition(",")[0]


# -- junit.xml --


def junit_xml(report: Report) -> bytes:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - takes 10 ms, so only when needed; parses nothing

    root = ET.Element("testsuites", name="Sepurux gate")
    for suite, cases in _suites(report):
        states, used = [state for _, state, _ in cases], set[str]()
        counts = {name: str(states.count(state)) for name, state in _COUNTED.items()}
        of_suite = ET.SubElement(root, "testsuite", {"name": suite, "tests": str(len(states)), **counts})
        for name, state, said in cases:
            shown, number = json_reader.shorten(json_reader.printable(name), MAX_NAME_LENGTH), 1
            unique = shown
            while unique in used:  # readers show cases of one name as one
                number += 1
                unique = f"{shown} ({number})"
            used.add(unique)
            element = ET.SubElement(of_suite, "testcase", classname=suite, name=unique)
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
            no_failure = all(each.sepurux_decision == "pass" or not each.reported for each in scenario.recordings)
            passed = result.decision is Decision.PASS or (gate_failed and scenario.read and no_failure)
            state: CaseState = "passed" if passed and not scenario.flaky else "skipped"
            if gate_failed and scenario.failed:
                state = "failure"
            failures = dict.fromkeys(each.description or each.type for each in scenario.failures)
            flaky = optional("Flaky until {}", scenario.flaky)
            said = joined(". ", flaky, metrics.summary(scenario.numbers), "; ".join(failures))
            cases.append((scenario.name, state, said))
        yield json_reader.printable(result.gate.name), cases
    if report.problems:
        named = ((each.where.replace("`", "") or each.file or "settings", each) for each in report.problems)
        yield "settings", [(name, "error", str(each)) for name, each in named]
