"""Finds the result of each gate: skipped, recorded, evaluated, or another run's, and publishes all results.

Source: docs/reference.md#decisions
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from sepurux_action import __version__
from sepurux_action.common import wording
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.config.options import BASE_URL, CommentMode, Stage
from sepurux_action.config.settings import Gate
from sepurux_action.errors import ConfigurationError, Interrupted
from sepurux_action.evaluation.api import Credentials
from sepurux_action.evaluation.decision import GateDecision, decide_gate, is_blocking, result_to_keep, without_failures
from sepurux_action.evaluation.gate_numbers import Base
from sepurux_action.evaluation.results import FILE, MAX_BYTES, Results, comparable, read_results, write_results
from sepurux_action.evaluation.runs import Decision, Rule, Run
from sepurux_action.evaluation.step_evaluation import CANCELED, StepEvaluation
from sepurux_action.flow.execution import Execution
from sepurux_action.github import statuses
from sepurux_action.github.client import GitHubError, Kind, Operation, advice
from sepurux_action.github.pull_request import approval, marker_of, publish_comment, read_again, request_reviews
from sepurux_action.github.queries import PullRequest, Status
from sepurux_action.github.statuses import Record
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.output import Level, read_file, write_files
from sepurux_action.report.data import json_text, junit_xml, step_outputs, without_decision
from sepurux_action.report.render import render_comment, render_summary
from sepurux_action.report.report import Context, Report, build_report, shortened

NOT_AFFECTED = "No changed file matches the gate's `paths`."
UNDECIDED = "A review evaluates nothing, and no run has decided on this commit yet."
NO_RECORD = "no record: the token may not set statuses, so a `fail` of this run does not stay with its commit"
RECORD_UNREAD = "The statuses of the commit could not be read, so an earlier run of this gate may have failed."
RECORD_HINT = "Give the job `statuses: write` under `permissions:` if it lacks it, then {rerun}."
NO_CREDENTIALS = "{token} and {api_key} are both empty, so the gate has no secret for Sepurux."
EXPORT_ONE = "Run `export SEPURUX_API_KEY=...` or `export SEPURUX_CI_TOKEN=...` first."
FORKS_GET_NONE = (
    "Pull requests from forks get no secrets: evaluate them in a `workflow_run` workflow, as "
    "examples/workflows/forks-record.yml and forks-evaluate.yml of sepurux/gate-action do."
)
ON_BRANCH = frozenset({"push", "schedule", "workflow_dispatch"})  # events that evaluate the branch of GITHUB_REF


def read_earlier(execution: Execution) -> Execution:
    """Return the execution with the results in its folder. Any other content counts as none, with a note."""
    settings, event, key = execution.settings, execution.event, execution.signing_key
    folder = execution.folder(settings.baseline_dir) if settings.baseline_dir else None
    if folder is None or not key or event.by_review:
        return execution
    try:
        results, note = read_results(read_file(folder / FILE, MAX_BYTES), key, event.repository)
    except OSError as error:
        results, note = (), f"{FILE} could not be read: {error.strerror}."
    if note and not event.name:  # a terminal shows no notes, and drops are compared with these results there
        execution.host.annotate(Level.WARNING, note)
    return replace(execution, earlier=results, earlier_note=note)


def open_record(execution: Execution) -> Record:
    """Return the record with the `fail` of each gate that an earlier run found at this commit; make others pending.

    A gate whose `fail` stays is not evaluated, whatever its other settings are. If the record cannot be read, each gate
    is an error, unless the token may not set statuses: then there is no record. A review evaluates nothing: every gate
    has its newest decision, or is skipped. Source: docs/policy.md#a-failure-stays-with-its-commit.
    """
    gates = execution.settings.gates
    if execution.event.skip_reason:
        return Record()
    record = statuses.read_record(execution.calls, execution.subject, gates)
    if execution.event.by_review and record is not None:
        undecided = {gate.name: _not_run(gate, Decision.SKIPPED, UNDECIDED) for gate in gates}
        return replace(record, results={**undecided, **record.results})
    decided = record.results if record else {}
    fails = {name: each for name, each in decided.items() if each.decision is Decision.FAIL}
    if not execution.event.by_review:  # this also shows whether the token may set statuses
        pending = [gate.name for gate in gates if gate.name not in fails]
        statuses.publish_pending(execution.calls, execution.subject, pending)
    if execution.calls.connected and Operation.STATUS in execution.calls.forbidden:
        execution.host.log(NO_RECORD)
    elif record is None:
        unread = Decision.ERROR, RECORD_UNREAD, RECORD_HINT, Rule.RECORD_UNREAD
        return Record(results={gate.name: _not_run(gate, *unread) for gate in gates})
    for name in fails:
        execution.host.progress(f"gate {name} failed at this commit already, so it is not evaluated again")
    return replace(record or Record(), results=fails)


def find_results(execution: Execution, record: Record) -> tuple[tuple[GateDecision, ...], PullRequest | None]:
    """Return the result of each gate, some of `record`, and the pull request afterwards if the comment needs it.

    A gate that did not fail gets the `fail` that another run published in the meantime. If that cannot be read, it is
    an error. After a signal nothing is read, and no gate passes.
    """
    gates, skip_reason, found = execution.settings.gates, execution.event.skip_reason, dict(record.results)
    for gate in gates:
        if gate.name not in found and (skip_reason or gate.skipped):
            why = f"{skip_reason}." if skip_reason else NOT_AFFECTED
            found[gate.name] = _not_run(gate, Decision.SKIPPED, why)
    to_evaluate, names = [gate for gate in gates if gate.name not in found], [gate.name for gate in gates]
    advise = partial(statuses.advise, execution.calls, execution.subject, names)
    advised = {gate.name: tuple(advise(gate)) for gate in to_evaluate}
    found |= _evaluate(execution, to_evaluate)
    results = {gate.name: _enforced(execution, found[gate.name], advised.get(gate.name, ())) for gate in gates}
    if execution.event.by_review or all(each.recorded for each in results.values()):
        return tuple(results.values()), None
    known = (each for each in results.values() if each.rule is not Rule.RECORD_UNREAD)
    not_failed = [each for each in known if each.decision is not Decision.FAIL]
    newer, pull, rule, why, hint = None, None, Rule.RECORD_UNREAD, RECORD_UNREAD, RECORD_HINT
    if not execution.signals.received:
        pull = read_again(execution.calls, execution.event, execution.settings)
        newer = statuses.read_record(execution.calls, execution.subject, [each.gate for each in not_failed], record)
    if execution.signals.received:
        rule, why, hint = CANCELED.rule, CANCELED.reason, CANCELED.hint
        newer, not_failed = None, [each for each in not_failed if each.decision is Decision.PASS]
    unread = partial(replace, decision=Decision.ERROR, rule=rule, reason=why, hint=hint)
    errors = (unread(without_failures(each)) for each in not_failed)
    changed = errors if newer is None else newer.results.values()
    results |= {each.gate.name: _enforced(execution, each) for each in changed}
    return tuple(results.values()), pull


def _evaluate(execution: Execution, gates: Sequence[Gate]) -> Mapping[str, GateDecision]:
    settings, event = execution.settings, execution.event
    if not gates:
        return {}
    words, where, hint = on_command_line, "", EXPORT_ONE
    if event.name:
        store = "Dependabot" if event.dependabot else "Actions"
        words, where = in_workflow, f" under `Settings > Secrets and variables > {store}`, then {{rerun}}"
        hint = f"Set one of them, such as `api_key: ${{{{ secrets.SEPURUX_API_KEY }}}}`, and add that secret{where}."
    if event.fork and event.name == "pull_request":
        hint = FORKS_GET_NONE
    if not (settings.token or settings.api_key):
        return {each.name: _not_run(each, Decision.ERROR, words(NO_CREDENTIALS), hint) for each in gates}
    credentials = Credentials(token=settings.token, api_key=settings.api_key, where=where, words=words)
    transport = execution.connections.transport(settings.base_url, credentials, execution.host.redact)
    evaluation = StepEvaluation(
        compared=[(gate, _base(execution, gate)) for gate in gates],
        metadata={"repo": event.repository or None, "pull_request_number": event.pull_request},
        engine=execution.connections.engine(transport.send, execution.signals),
        output=execution.host,
        with_passed=writes_baseline(execution),
    )
    return evaluation.evaluate()


def _enforced(execution: Execution, found: GateDecision, advised: Sequence[str] = ()) -> GateDecision:
    gate, interrupted, status = found.gate, execution.signals.received, None
    if found.decision is Decision.FAIL and gate.stage is Stage.SOFT and not interrupted:
        status = approval(execution.calls, execution.event, gate.reviewers)
    notes = [*advised]
    if gate.names_traces and execution.earlier_note:
        notes.append(execution.earlier_note)
    if any(run.evaluated for run in found.runs):
        notes += gate.remarks_on_flaky(execution.started.date())
    # Anyone who may cancel a run must not get past a gate with it, so nothing is allowed after a signal.
    allowed = found.is_allowed_outage and not interrupted
    by_decision = is_blocking(found.decision, gate.stage, approved=bool(status and status.approved))
    return replace(found, blocks=by_decision and not allowed, approval=status, notes=tuple(notes))


def _origin(execution: Execution, gate: Gate) -> tuple[str, ...]:
    branch = execution.event.base_ref or execution.event.head_branch
    return gate.name, gate.campaign, gate.project, gate.mutation_pack, branch


def _base(execution: Execution, gate: Gate) -> Base:
    """Return what a gate is compared with, without the results by scenario of the evaluated commit itself."""
    event, origin, kept = execution.event, _origin(execution, gate), Results()
    if origin[-1] or not event.name:
        same = (each for each in execution.earlier or () if each.origin == origin)
        kept = tuple(each for each in same if not event.commit or each.commit != event.commit)
    if not event.name:
        return Base(results=comparable(kept, gate), kept=kept, name="the base")
    name, error = f"`{event.base_ref}`" if event.base_ref else "this branch", execution.subject.results
    base = Base(results=execution.subject.baseline(gate), kept=kept, name=name)
    if isinstance(error, GitHubError) and error.kind is not Kind.FORBIDDEN:
        return replace(base, hint=advice(Operation.BASE, error))
    return base


def writes_baseline(execution: Execution) -> bool:
    if execution.earlier is None:
        return False
    if not execution.event.name:
        return execution.invocation.write_baseline
    return execution.event.name in ON_BRANCH and bool(execution.event.head_branch)


def _not_run(gate: Gate, decision: Decision, reason: str, hint: str = "", rule: Rule = Rule.NOT_POLLED) -> GateDecision:
    runs = (Run(trace=trace, decision=decision, rule=rule, reason=reason, hint=hint) for trace in gate.traces)
    return decide_gate(gate, tuple(runs), Base(results=None))


# -- what is published ------------------------------------------------------------------------------------------------


def publish(execution: Execution, record: Record, pull: PullRequest | None, results: Sequence[GateDecision]) -> Report:
    """Write outputs, summary, and files, set the statuses, and write the comment; return the report.

    After a signal there is no comment. A review changes only the statuses of gates that it approved, or that lost an
    approval, as `record` says.
    """
    host, signals, calls, event = execution.host, execution.signals, execution.calls, execution.event
    report = build_report(results, _context(execution))
    if signals.received:  # 5 s are left for everything
        report = shortened(report)
    host.set_outputs(step_outputs(results, report))
    _write_report(execution, report)
    if writes_baseline(execution) and not signals.received:
        _write_baseline(execution, results)
    changed, done = results, dict[str, Status]()
    if event.by_review:
        fails = [each for each in results if each.decision is Decision.FAIL]
        approved = {each.gate.name for each in fails if each.approval and each.approval.approved}
        changed = [each for each in fails if (each.gate.name in approved) is not (each.gate.name in record.approved)]
    if not signals.received:
        statuses.publish_results(calls, execution.subject, changed, done)
    if signals.received:  # it may have interrupted this, and some time is left
        calls.enter_shutdown(Timeouts())
        statuses.publish_results(calls, execution.subject, [each for each in changed if each.blocks], done)
    if signals.received or event.by_review:
        return report
    comment_url = ""
    if pull:
        text = render_comment(report, marker_of(execution.settings))
        passed = all(result.decision in {Decision.PASS, Decision.SKIPPED} for result in results)
        create = not passed or execution.settings.comment is not CommentMode.ON_FAILURE
        comment_url = publish_comment(calls, event, pull, text, create=create)
    request_reviews(calls, event, results)
    if comment_url:
        host.set_outputs({"comment_url": comment_url})
    return report


def publish_problems(execution: Execution, error: ConfigurationError) -> Report:
    """Write outputs, summary, and report files; return the report of the problems. No status is set."""
    host = execution.host
    problems = tuple(each.redacted(host.redact) for each in error.problems)
    report = Report(context=_context(execution), problems=problems)
    reason = problems[0].located
    if problems[1:]:
        reason += f" (and {wording.pluralize(len(problems) - 1, 'more problem')})"
    host.set_outputs(without_decision(reason))
    _write_report(execution, report)
    return report


def _write_baseline(execution: Execution, results: Sequence[GateDecision]) -> None:
    host, event = execution.host, execution.event
    decided = [each for each in results if each.decision.is_decided]
    new = [result_to_keep(each, origin=_origin(execution, each.gate), commit=event.commit) for each in decided]
    if new and (folder := execution.folder(execution.settings.baseline_dir)):
        every = [*new, *(execution.earlier or ())]
        write_files(folder, {FILE: write_results(every, execution.signing_key, event.repository, host.redact)}, host)


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


def _context(execution: Execution) -> Context:
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
        base_results={gate.name: _base(execution, gate).results or () for gate in settings.gates},
        base_ref=event.base_ref,
        committed=subject.committed,
        on_command_line=not event.name,
        base_url="" if settings.base_url == BASE_URL.default else execution.host.redact(settings.base_url),
    )
