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
from sepurux_action.run import Run

ON_BRANCH = frozenset({"push", "schedule", "workflow_dispatch"})  # events that evaluate the branch of GITHUB_REF


def read_kept(run: Run, files: ReportWriter) -> Run:
    """Return the run with the results in its folder. One that cannot be used is a warning."""
    if not (run.settings.baseline_dir and run.settings.secret):
        return run
    content, problem = files.read(run.settings.baseline_dir, FILE, MAX_BYTES + 1)
    if problem:
        run.host.annotate(Level.WARNING, problem)
        return run
    results, note = run.baseline_file.read(content) if content is not None else ((), "")
    return replace(run, kept=Kept(results=results, note=note, usable=True))


def results_of(run: Run, gate: Gate) -> Results:
    """Return the results that a gate's scenarios are compared with: in a workflow, those before its commit."""
    event = run.event
    if not event.name:
        return find_results(run.kept.results, gate, "", None)
    branch = event.base_ref or _pushed_branch(event)
    return find_results(run.kept.results, gate, branch, run.github.snapshot.base_commits) if branch else ()


def baseline_of(run: Run, gate: Gate) -> Baseline | None:
    """Return the results that a gate's numbers are compared with, None if they could not be read."""
    if run.event.name or not run.settings.baseline_dir:
        return run.github.baseline(gate)
    passed = (each for each in run.kept.results if each.decision is Decision.PASS)
    results = (
        PreviousResult(decision=each.decision, stage=gate.stage, numbers=each.numbers)
        for each in find_results(passed, gate, "", None)
    )
    return Baseline(tuple(BaselineResult(commit="", url="", result=each) for each in results))


def is_kept(run: Run) -> bool:
    """Return whether the results of this run are added to the file."""
    event = run.event
    if not event.name:
        return run.write_baseline and run.kept.usable
    return run.kept.usable and event.pull_request is None and bool(_pushed_branch(event))


def write_kept(run: Run, results: Sequence[GateResult], files: ReportWriter) -> None:
    """Add the results of gates that this run evaluated to the file; nothing after a signal."""
    if run.signals.received or not is_kept(run):
        return
    event, at = run.event, run.github.started.timestamp()
    new = [
        result_to_keep(each, branch=_pushed_branch(event), commit=event.commit, at=at)
        for each in results
        if each.decision.is_decided and not each.recorded
    ]
    if new:
        files.write(run.settings.baseline_dir, {FILE: run.baseline_file.write([*run.kept.results, *new], run.redact)})


def _pushed_branch(event: Event) -> str:
    return event.head_branch if event.name in ON_BRANCH else ""
