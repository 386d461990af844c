"""Publishes what a step found: its outputs, summary, and report files, the statuses, and the comment."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

from sepurux_action import __version__
from sepurux_action.common import wording
from sepurux_action.config import options
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.config.options import CommentMode
from sepurux_action.errors import ConfigurationError, Interrupted
from sepurux_action.evaluate import baseline_of, is_kept, no_credentials_hint
from sepurux_action.evaluation.base_results import FILE, result_to_keep, write_results
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.runs import Decision
from sepurux_action.github.comment import marker_of, publish_comment
from sepurux_action.github.queries import PullRequest, Status
from sepurux_action.github.reviews import request_reviews
from sepurux_action.github.statuses import Record, publish_results
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.output import write_files
from sepurux_action.report.junit import junit_xml
from sepurux_action.report.rendering import render_comment, render_summary
from sepurux_action.report.report import Context, Report, shortened
from sepurux_action.report.report_json import json_text, step_outputs, without_decision
from sepurux_action.step import Step


def publish(
    step: Step, record: Record, pull: PullRequest | None, results: Sequence[GateDecision], report: Report
) -> None:
    """Write outputs, summary, and report files, set the statuses, and write the comment; no comment after a signal.

    `record` has the gates that were approved, and `pull` is the pull request as it was after the evaluation.
    """
    step.host.set_outputs(step_outputs(results, report))
    _write_report(step, report)
    _write_base_results(step, results)
    _set_statuses(step, _changed(step, record, results))
    if step.signals.received or step.event.by_review:
        return
    comment_url = ""
    if pull:
        text = render_comment(report, marker_of(step.settings))
        passed = all(result.decision in {Decision.PASS, Decision.SKIPPED} for result in results)
        create = not passed or step.settings.comment is not CommentMode.ON_FAILURE
        comment_url = publish_comment(step.calls, step.event, pull, text, create=create)
    request_reviews(step.calls, step.event, results)
    if comment_url:
        step.host.set_outputs({"comment_url": comment_url})


def _write_base_results(step: Step, results: Sequence[GateDecision]) -> None:
    """Add the results of gates that this run evaluated to the file; nothing after a signal."""
    if step.signals.received or not is_kept(step):
        return
    event, at = step.event, step.started.timestamp()
    decided = [each for each in results if each.decision.is_decided]
    new = [result_to_keep(each, branch=event.head_branch, commit=event.commit, at=at) for each in decided]
    folder = step.folder(step.settings.baseline_dir)
    if new and folder:
        text = write_results([*(step.kept or ()), *new], step.signing_key, event.repository, step.host.redact)
        write_files(folder, {FILE: text}, step.host)


def _changed(step: Step, record: Record, results: Sequence[GateDecision]) -> Sequence[GateDecision]:
    """Return the results whose status is set: after a review, those that it approved, or that lost their approval."""
    if not step.event.by_review:
        return results
    fails = [each for each in results if each.decision is Decision.FAIL]
    approved = {each.gate.name for each in fails if each.approval and each.approval.approved_by}
    return [each for each in fails if (each.gate.name in approved) is not (each.gate.name in record.approved)]


def publish_problems(step: Step, error: ConfigurationError) -> Report:
    """Write outputs, summary, and report files; return the report of the problems. No status is set."""
    problems = [each.redacted(step.host.redact) for each in error.problems]
    layers = step.invocation.layers
    by_review = step.event.by_review  # which needs no secret
    if not by_review and not any(layer.text(option) for layer in layers for option in (options.TOKEN, options.API_KEY)):
        # alone it is no problem; beside others, users can correct all at once
        words = in_workflow if step.event.name else on_command_line
        message = words(f"it is empty, and so is {{api_key}}. {no_credentials_hint(step.event)}")
        problems.append(layers[0].problem(options.TOKEN, message))
    report = Report(context=_context(step)(), problems=tuple(problems))
    reason = problems[0].located
    if problems[1:]:
        reason += f" (and {wording.pluralize(len(problems) - 1, 'more problem')})"
    step.host.set_outputs(without_decision(reason))
    _write_report(step, report)
    return report


def _write_report(step: Step, report: Report) -> None:
    """Write the summary and the files of `report_dir`; the short ones if a signal ends the rendering."""
    try:
        summary, files = Timeouts(step.signals).run(math.inf, partial(_render, step, report))
    except Interrupted:
        summary, files = _render(step, shortened(report))
    step.host.write_summary(summary)
    if files and (folder := step.folder(step.settings.report_dir)):
        write_files(folder, files, step.host)


def _render(step: Step, report: Report) -> tuple[str, Mapping[str, str]]:
    summary = render_summary(report)
    if not step.settings.report_dir:
        return summary, {}
    return summary, {"report.json": json_text(report), "junit.xml": junit_xml(report).decode()}


def _set_statuses(step: Step, results: Sequence[GateDecision]) -> None:
    """Set the statuses; after a signal, which may have interrupted this, only of gates that block, in the time left."""
    done: dict[str, Status] = {}
    if not step.signals.received:
        publish_results(step.calls, step.subject, results, done)
    if step.signals.received:
        step.calls.enter_shutdown(Timeouts())
        publish_results(step.calls, step.subject, [each for each in results if each.blocks], done)


def report_context(step: Step) -> Context:
    """Return what a report says about the step and the policy, if the gates were evaluated."""
    policy = step.policy
    base_results = {gate.name: baseline_of(step, gate) or () for gate in step.settings.gates}
    return _context(step)(
        base_url_host=urlsplit(step.settings.base_url).hostname or "",
        policy_path=policy.policy.file if policy.policy else "",
        base_results=base_results,
        committed=step.subject.committed,
        policy_changes=policy.changes,
    )


def _context(step: Step) -> Callable[..., Context]:
    event, subject = step.event, step.subject
    return partial(
        Context,
        repository=event.repository,
        commit=event.commit,
        commit_url=event.url("commit", event.commit),
        run_url=event.run_url,
        pull_request=event.pull_request,
        pull_request_url=event.url("pull", event.pull_request),
        version=__version__,
        base_ref=event.base_ref,
        policy_ref=subject.base if subject.policy and isinstance(subject.policy, str) else event.commit,
        on_command_line=not event.name,
    )
