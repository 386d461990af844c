"""The report as data for tools, without Markdown: `report.json`. Its schema is docs/report.schema.json.

Rates are fractions, scores 0 to 100. Every field is always present, null if its value is unknown.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TypeAlias

from sepurux_action.common import json_reader
from sepurux_action.config.policy import Change
from sepurux_action.errors import Problem
from sepurux_action.evaluation.approval import ApprovalStatus, Refusal
from sepurux_action.evaluation.baseline import Baseline
from sepurux_action.evaluation.ci_run import CIRun, ClassifiedFailure
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.metrics import METRICS, PUBLISHED
from sepurux_action.evaluation.published_result import PreviousResult, published_numbers
from sepurux_action.evaluation.result import RunResult
from sepurux_action.report.brief import brief, whole
from sepurux_action.report.report import GateFacts, Report, ThresholdFacts

SCHEMA = "sepurux-gate/report@1"
MAX_DIGITS = 10  # after the point of a difference, which hides the errors of floating-point numbers

Json: TypeAlias = dict[str, object]


def report_json(report: Report) -> Json:
    """Return everything that the report contains, for `json.dumps`.

    Texts have no control characters, and no invisible ones. An empty text is unknown, so it is null.
    """
    context = report.context
    decision = min((gate.decision for gate in report.gates), key=lambda each: each.rank, default=Decision.ERROR)
    facts: Json = {
        "schema": SCHEMA,
        "version": context.version,
        "repository": context.repository,
        "commit": context.commit,
        "commit_url": context.commit_url,
        "pull_request": context.pull_request,
        "pull_request_url": context.pull_request_url,
        "from_fork": context.from_fork,
        "base_branch": context.base_ref,
        "workflow_run_url": context.run_url,
        "policy_path": context.policy_path,
        "decision": decision,
        "conclusion": _conclusion(blocks=bool(report.acting or report.problems)),
        "short": report.short,
        "gates": [_gate(gate, report) for gate in report.gates],
        "problems": [_problem(problem) for problem in report.problems],
        "policy_changes": [_policy_change(change) for change in context.policy_changes],
        "notes": [
            *({"text": note, "gates": []} for note in context.notes),
            *({"text": note.text, "gates": note.gates} for note in report.notes),
        ],
    }
    return {**{name: _clean(value) for name, value in facts.items()}, "brief": brief(report)}


def _gate(gate: GateFacts, report: Report) -> Json:
    earlier = () if report.short else report.context.history
    return {
        "name": gate.name,
        "decision": gate.decision,
        "state": gate.state,
        "conclusion": _conclusion(blocks=gate.blocks),
        "blocked": gate.blocks,
        "would_block": gate.would_block,
        "enforcement": gate.gate.stage,
        "on_undecided": gate.gate.on_undecided,
        "rule": gate.worst.run_decision.rule.name.lower(),
        "reason": gate.reason,
        "hint": gate.worst.hint,
        **_ids(gate.worst),
        "campaign": gate.gate.campaign,
        "project": gate.gate.project,
        "mutation_pack": gate.gate.mutation_pack,
        "timeout_s": gate.gate.timeout_s,
        "elapsed_s": max(run.elapsed_s for run in gate.runs),
        "scenarios": gate.worst.run.trace_count.value,
        "metrics": _metrics(gate.combined),
        "thresholds": [_threshold(row, gate) for row in gate.thresholds],
        "failures": [_failure(failure) for failure in gate.found.failures],
        "failures_left_out": gate.found.left_out,
        "failures_complete": not (gate.found.more_failures or report.short),
        "failures_compared_with": gate.found.compared_with,
        "fixed": [_fixed(failure) for failure in gate.found.fixed],
        "tools": [{"tool": each.tool, "count": each.count} for each in gate.tools],
        "categories": [asdict(category) for category in gate.categories],
        "traces": [_trace(run) for run in gate.ranked],
        "reviewers": gate.gate.reviewers,
        "approval": _approval(gate.approval) if gate.approval else None,
        "baseline": _baseline(gate.baseline) if gate.baseline.results else None,
        "history": [
            {"commit": each.commit, **_previous(each.results[gate.name])}
            for each in earlier
            if gate.name in each.results
        ],
        "reproduction": gate.reproduction,
    }


def _threshold(row: ThresholdFacts, gate: GateFacts) -> Json:
    check = row.check
    return {
        "name": check.threshold,
        "label": check.label,
        "metric": check.metric,
        "value": check.value,
        "limit": check.limit,
        "state": check.state.replace(" ", "_") if row.final or check.value is None else "not_compared",
        "message": check.sentence,
        "lacking": check.lacking,
        "reported_by": check.reported_by,
        "base": row.base,
        "change": _change(row, gate),
    }


def _change(row: ThresholdFacts, gate: GateFacts) -> float | None:
    """Return the result minus the baseline's, both rounded as a commit status describes them."""
    numbers = published_numbers(gate.combined, gate.gate)
    now = numbers.get(row.check.metric)
    if now is None or row.base is None:
        return None
    return round(now - row.base, MAX_DIGITS)


def _metrics(run: CIRun) -> Json:
    return {metric.name: run.value(metric) for metric in METRICS}


def _baseline(baseline: Baseline) -> Json:
    """Return the median of each number, and the results."""
    return {
        **{metric.name: baseline.median(metric) for metric in PUBLISHED},
        "results": [{"commit": each.commit, "url": each.url, **_previous(each.result)} for each in baseline.results],
    }


def _previous(result: PreviousResult) -> Json:
    numbers = {metric.name: result.value(metric) for metric in PUBLISHED}
    return {"decision": result.decision, "enforcement": result.stage, **numbers}


def _failure(failure: ClassifiedFailure) -> Json:
    return {**_fixed(failure), "base": failure.base, "new": failure.new}


def _fixed(failure: ClassifiedFailure) -> Json:
    return {
        "severity": failure.severity,
        "type": failure.type,
        "mutation": failure.mutation,
        "trace": failure.trace_id,
        "count": failure.count,
        "text": failure.description,
    }


def _trace(run: RunResult) -> Json:
    return {
        "trace": run.trace,
        "decision": run.decision,
        "reason": run.run_decision.reason,
        "hint": run.hint,
        **_ids(run),
        "run_ids": run.run.run_ids,
        "elapsed_s": run.elapsed_s,
        "metrics": _metrics(run.run),
    }


def _ids(run: RunResult) -> Json:
    return {
        "campaign_id": run.campaign_id,
        "trace_id": run.trace_id,
        "run_id": run.run_id,
        "batch_id": run.batch_id,
        "dashboard_url": run.run.dashboard_url,
    }


def _approval(approval: ApprovalStatus) -> Json:
    return {field.name: _refusals(getattr(approval, field.name)) for field in fields(approval)}


def _refusals(value: object) -> object:
    """Return a field of an approval, refusals as JSON."""
    if isinstance(value, tuple):
        return [asdict(each) if isinstance(each, Refusal) else each for each in value]
    return value


def _problem(problem: Problem) -> Json:
    return {
        "setting": problem.where.replace("`", ""),
        "message": problem.message,
        "file": problem.file,
        "line": problem.line or None,
        "column": problem.column or None,
    }


def _policy_change(change: Change) -> Json:
    return {"gate": change.gate, "setting": change.setting, "old": change.old, "new": change.new}


def _conclusion(*, blocks: bool) -> str:
    return "failure" if blocks else "success"


def _clean(value: object) -> object:
    """Return a value with printable texts, null for empty ones, and whole numbers as integers."""
    match value:
        case dict():
            return {name: _clean(each) for name, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case str():
            return "\n".join(map(json_reader.printable, value.split("\n"))) or None
        case float():
            return whole(value)
        case _:
            return value
