"""The report as data for tools: `report.json`, whose schema `make generate` writes: docs/reference.md#report-files."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.command_line import in_workflow
from sepurux_action.config.settings import Change
from sepurux_action.errors import Problem
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision, Refusal
from sepurux_action.evaluation.gate_numbers import Check, Scenario
from sepurux_action.evaluation.metrics import METRICS
from sepurux_action.evaluation.results import Result
from sepurux_action.evaluation.runs import Decision, Failure, OnBase, Run, Step
from sepurux_action.report.report import GateFacts, Note, Report

SCHEMA = "sepurux-gate/report@3"
Values = Mapping[str, Reading | float | None]  # of every metric, by its name

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
        "cannot_approve": "Who of the listed reviewers may not approve, and why.",
        "ignored": "Approvals that do not count, and why.",
        "unread": "Whether the reviews, or who can approve, could not be read.",
    },
    Refusal: {"login": "Login of the user.", "reason": "Why the approval does not count."},
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


def dump_fields(record: object, without: Collection[str] = ()) -> dict[str, object]:
    """Return a record as a JSON object with its fields in `FIELDS`, but for the paths `without`."""
    fields = dict[str, object]()
    for path in FIELDS[type(record)]:
        if path not in without:
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
