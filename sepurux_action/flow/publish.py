"""Publishes what a step found: its outputs, summary, and report files, the statuses, and the comment."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from sepurux_action import __version__
from sepurux_action.common import wording
from sepurux_action.config.options import CommentMode
from sepurux_action.errors import ConfigurationError, Interrupted
from sepurux_action.evaluation.base_results import FILE, result_to_keep, write_results
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.runs import Decision
from sepurux_action.flow.execution import Execution
from sepurux_action.flow.results import baseline_of, writes_baseline
from sepurux_action.github.comment import marker_of, publish_comment
from sepurux_action.github.queries import PullRequest, Status
from sepurux_action.github.reviews import request_reviews
from sepurux_action.github.statuses import Record, publish_results
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.output import write_files
from sepurux_action.report.junit import junit_xml
from sepurux_action.report.outputs import step_outputs, without_decision
from sepurux_action.report.rendering import render_comment, render_summary
from sepurux_action.report.report import Context, Report, shortened
from sepurux_action.report.report_json import json_text


def publish(
    execution: Execution, record: Record, pull: PullRequest | None, results: Sequence[GateDecision], report: Report
) -> None:
    """Write outputs, summary, and files, set the statuses, and write the comment; no comment after a signal.

    A review changes only the statuses of gates that it approved, or that lost an approval, as `record` says.
    """
    host, signals, calls, event = execution.host, execution.signals, execution.calls, execution.event
    host.set_outputs(step_outputs(results, report))
    _write_report(execution, report)
    if writes_baseline(execution) and not signals.received:
        at, decided = execution.started.timestamp(), [each for each in results if each.decision.is_decided]
        new = [result_to_keep(each, branch=event.head_branch, commit=event.commit, at=at) for each in decided]
        if new and (folder := execution.folder(execution.settings.baseline_dir)):
            every = [*(execution.earlier or ()), *new]
            text = write_results(every, execution.signing_key, event.repository, host.redact)
            write_files(folder, {FILE: text}, host)
    changed, done = results, dict[str, Status]()
    if event.by_review:
        fails = [each for each in results if each.decision is Decision.FAIL]
        approved = {each.gate.name for each in fails if each.approval and each.approval.approved_by}
        changed = [each for each in fails if (each.gate.name in approved) is not (each.gate.name in record.approved)]
    if not signals.received:
        publish_results(calls, execution.subject, changed, done)
    if signals.received:  # it may have interrupted this, and some time is left
        calls.enter_shutdown(Timeouts())
        publish_results(calls, execution.subject, [each for each in changed if each.blocks], done)
    if signals.received or event.by_review:
        return
    comment_url = ""
    if pull:
        text = render_comment(report, marker_of(execution.settings))
        passed = all(result.decision in {Decision.PASS, Decision.SKIPPED} for result in results)
        create = not passed or execution.settings.comment is not CommentMode.ON_FAILURE
        comment_url = publish_comment(calls, event, pull, text, create=create)
    request_reviews(calls, event, results)
    if comment_url:
        host.set_outputs({"comment_url": comment_url})


def publish_problems(execution: Execution, error: ConfigurationError) -> Report:
    """Write outputs, summary, and report files; return the report of the problems. No status is set."""
    host = execution.host
    problems = tuple(each.redacted(host.redact) for each in error.problems)
    report = Report(context=report_context(execution), problems=problems)
    reason = problems[0].located
    if problems[1:]:
        reason += f" (and {wording.pluralize(len(problems) - 1, 'more problem')})"
    host.set_outputs(without_decision(reason))
    _write_report(execution, report)
    return report


def _write_report(execution: Execution, report: Report) -> None:
    """Write the summary and the files of `report_dir`; the short ones if a signal ends the rendering."""
    report_dir = execution.settings.report_dir

    def render(shown: Report) -> tuple[str, Mapping[str, str]]:
        summary = render_summary(shown)
        if not report_dir:
            return summary, {}
        return summary, {"report.json": json_text(shown), "junit.xml": junit_xml(shown).decode()}

    try:
        summary, files = Timeouts(execution.signals).run(math.inf, partial(render, report))
    except Interrupted:
        summary, files = render(shortened(report))
    execution.host.write_summary(summary)
    if files and (folder := execution.folder(report_dir)):
        write_files(folder, files, execution.host)


def report_context(execution: Execution) -> Context:
    event, subject, settings, policy = execution.event, execution.subject, execution.settings, execution.policy
    return Context(
        repository=event.repository,
        commit=event.commit,
        commit_url=event.url("commit", event.commit),
        run_url=event.run_url,
        pull_request=event.pull_request,
        pull_request_url=event.url("pull", event.pull_request),
        version=__version__,
        policy_path=policy.policy.file if policy.policy else "",
        policy_changes=policy.changes,
        base_results={gate.name: baseline_of(execution, gate) or () for gate in settings.gates},
        base_ref=event.base_ref,
        committed=subject.committed,
        on_command_line=not event.name,
    )
