"""Reads the base's results by scenario from the folder `baseline_dir`, and adds those of this run.

No decision in a workflow depends on them. Source: docs/configuration.md#results-by-scenario
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.base_comparison import result_to_keep
from sepurux_action.evaluation.base_results import FILE, MAX_BYTES, Kept, Results, find_results
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.drops import Baseline, BaselineResult
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.evaluation.result import GateResult
from sepurux_action.github.event import Event
from sepurux_action.host.report_files import ReportWriter
from sepurux_action.host.workflow_commands import Level
from sepurux_action.step import Step

ON_BRANCH = frozenset({"push", "schedule", "workflow_dispatch"})  # events that evaluate the branch of GITHUB_REF


def read_kept(step: Step, files: ReportWriter) -> Step:
    """Return the run with the results in its folder. One that cannot be used is a warning."""
    if not (step.settings.baseline_dir and step.inputs.secret):
        return step
    content, problem = files.read(step.settings.baseline_dir, FILE, MAX_BYTES + 1)
    if problem:
        step.host.annotate(Level.WARNING, problem)
        return step
    results, note = step.baseline_file.read(content) if content is not None else ((), "")
    return replace(step, kept=Kept(results=results, note=note, usable=True))


def results_of(step: Step, gate: Gate) -> Results:
    """Return the results that a gate's scenarios are compared with: in a workflow, those before its commit."""
    event = step.event
    if not event.name:
        return find_results(step.kept.results, gate, "", None)
    branch = event.base_ref or _pushed_branch(event)
    return find_results(step.kept.results, gate, branch, step.github.subject.base.commits) if branch else ()


def baseline_of(step: Step, gate: Gate) -> Baseline | None:
    """Return the results that a gate's numbers are compared with, None if they could not be read."""
    if step.event.name or not step.settings.baseline_dir:
        return step.github.subject.baseline(gate)
    passed = (each for each in step.kept.results if each.decision is Decision.PASS)
    results = (
        PreviousResult(decision=each.decision, stage=gate.stage, numbers=each.numbers)
        for each in find_results(passed, gate, "", None)
    )
    return Baseline(tuple(BaselineResult(commit="", url="", result=each) for each in results))


def is_kept(step: Step) -> bool:
    """Return whether the results of this run are added to the file."""
    event = step.event
    if not event.name:
        return step.invocation.write_baseline and step.kept.usable
    return step.kept.usable and event.pull_request is None and bool(_pushed_branch(event))


def write_kept(step: Step, results: Sequence[GateResult], files: ReportWriter) -> None:
    """Add the results of gates that this run evaluated to the file; nothing after a signal."""
    if step.signals.received or not is_kept(step):
        return
    event, at = step.event, step.github.subject.started.timestamp()
    new = [
        result_to_keep(each, branch=_pushed_branch(event), commit=event.commit, at=at)
        for each in results
        if each.decision.is_decided and not each.recorded
    ]
    if new:
        text = step.baseline_file.write([*step.kept.results, *new], step.redact)
        files.write(step.settings.baseline_dir, {FILE: text})


def _pushed_branch(event: Event) -> str:
    return event.head_branch if event.name in ON_BRANCH else ""
