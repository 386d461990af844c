"""The flow of a run, from settings to exit status. This is the only module that imports all packages."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TextIO
from urllib.parse import urlsplit

from sepurux_action import __version__
from sepurux_action.baseline import baseline_of, read_kept, write_kept
from sepurux_action.common import T, number_format
from sepurux_action.common.secret import Redactor
from sepurux_action.config import options
from sepurux_action.config.command_line import WRITE_BASELINE, Format, in_workflow, on_command_line, parse_command_line
from sepurux_action.config.gate import Gate
from sepurux_action.config.layers import flag
from sepurux_action.config.policy import Policy
from sepurux_action.config.settings import BASE, Settings, read_inputs, read_settings, with_policy
from sepurux_action.errors import ConfigurationError, Interrupted, Problem
from sepurux_action.evaluate import evaluate, no_credentials_hint, publish_notice, read_record
from sepurux_action.evaluation.base_results import BaselineFile
from sepurux_action.evaluation.enforcement import EXIT_UNDECIDED, exit_status
from sepurux_action.evaluation.result import GateResult
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.event import other_commit_warning, pr_number_warning, with_pull_request_number
from sepurux_action.github.policy_source import (
    FIRST_FILE,
    ResolvedPolicy,
    check_file,
    invalid_base_note,
    read_checkout,
    resolve_policy,
)
from sepurux_action.github.session import GitHubSession
from sepurux_action.github.snapshot import policy_ref
from sepurux_action.github.subject import Subject
from sepurux_action.host.actions_runner import ActionsRunner
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.host.output import Output
from sepurux_action.host.report_files import ReportWriter
from sepurux_action.host.terminal import Terminal
from sepurux_action.host.workflow_commands import Level
from sepurux_action.report import outputs
from sepurux_action.report.rendering import render_comment, render_lines, render_summary
from sepurux_action.report.report import Context, Report, build_report
from sepurux_action.report.report_json import REPORT_FILES, REPORT_JSON, json_text, report_files
from sepurux_action.step import Connections, Invocation, Step, from_command_line, from_step, ignored_variables

CONNECTIONS = Connections()
SHARED_STATUSES = (
    "`status_context` has no `{base}`, so a pull request with the same head commit into another branch sets the same "
    "status. The commit may pass there, because a drop or a stage depends on the branch. "
    'Write `status_context: "{prefix} ({base})"`, and require the new status on each branch.'
)
IGNORED_PATHS = (
    "The input `paths` is ignored, because a policy file applies. Set `paths` for its gates, under `gates:`."
)
UNKNOWN_GATE = ("Sepurux gate",)  # for a skipped run whose settings name no gate
NO_FOLDER = "it needs the folder for the result; accepted: with `--baseline-dir`"
CANCELLED_EARLY = "The run was cancelled before all settings were read."
UNFINISHED = "The step ended before the gate had a result. Re-run the job."


def run_step(environ: Mapping[str, str], log: TextIO, signals: Signals, connections: Connections = CONNECTIONS) -> int:
    """Run as a step of a workflow; return the exit status."""
    runner = ActionsRunner(environ, log)
    runner.set_outputs(outputs.without_decision(UNFINISHED))  # they remain if the step is killed
    if warning := ignored_variables(environ):
        runner.annotate(Level.WARNING, warning, title="Sepurux gate")
    invocation = from_step(runner.inputs, environ, runner.read_event())
    return run_gates(invocation, runner, signals, partial(_log_report, host=runner), connections)


def run_command_line(arguments: Sequence[str], environ: Mapping[str, str], signals: Signals) -> int:
    """Run as `sepurux-gate`; return the exit status. Exits for --help, --version, and unknown flags."""
    command = parse_command_line(arguments)
    terminal = Terminal(environ, quiet=command.quiet)
    if command.check is not None:
        return _check(command.check, terminal, signals, as_json=command.report_format is Format.JSON)
    show = partial(_print_report, terminal=terminal, report_format=command.report_format)
    try:
        invocation = from_command_line(command.texts, environ, write_baseline=command.write_baseline)
        return run_gates(invocation, terminal, signals, show)
    finally:
        terminal.close()


def _check(files: Sequence[str], terminal: Terminal, signals: Signals, *, as_json: bool) -> int:
    """Write the problems in policy files, by default the usual one, to stdout; return the exit status.

    A signal ends this also while a file, such as a FIFO, is being opened.
    """
    lines, problems = list[str](), list[Problem]()
    for path in files or [options.CONFIG.default]:
        try:
            gates = len(Timeouts(signals).run(math.inf, partial(check_file, path)).gates) or 1
            lines.append(f"{path}: valid, {number_format.pluralize(gates, 'gate')}")
        except ConfigurationError as error:
            problems += error.problems
            lines += [f"{each.file}:{each.line}:{each.column}: {each}" for each in error.problems]
        except Interrupted:
            break
    found = [{"file": each.file, "line": each.line, "column": each.column, "message": str(each)} for each in problems]
    terminal.write_result(() if as_json else lines, f"{json.dumps(found, indent=2)}\n" if as_json else "")
    return signals.status(EXIT_UNDECIDED if problems else 0)


def run_gates(
    invocation: Invocation,
    host: Output,
    signals: Signals,
    show: Callable[[Report], None],
    connections: Connections = CONNECTIONS,
) -> int:
    """Show the report; return the exit status: 0, 1 if a `fail` blocks, 2 if anything else does, or a signal's."""
    step = _begin(invocation, host, signals, connections)
    files = ReportWriter(invocation.report_folders, host, signals, step.redact)
    files.remove(step.inputs.report_dir, REPORT_FILES)
    step = replace(step, github=step.github.load())
    try:
        step = _with_policy(step)
        files.remove(step.inputs.report_dir, REPORT_FILES)
        step = _with_settings(step)
    except ConfigurationError as error:
        if not step.event.skip_reason:
            show(_publish_problems(step, error, files))
            return signals.status(EXIT_UNDECIDED)
        gates = tuple(Gate(name=name, campaign=name) for name in step.inputs.names or UNKNOWN_GATE)
        step = step.with_settings(Settings(gates=gates, comment_key=step.inputs.comment_key))
    step = read_kept(step, files)
    _log_start(step)
    step = replace(step, github=step.github.with_base(step.settings.gates))
    recorded = read_record(step)
    step.github.publisher.publish_pending(gate.name for gate in step.settings.gates if gate.name not in recorded)
    step = _with_lost_statuses(step)
    results = evaluate(step, recorded)
    status = exit_status((gate.decision, gate.blocks) for gate in results)
    if step.policy.problems:
        results, status = tuple(gate.blocked_by_policy() for gate in results), status or EXIT_UNDECIDED
    report = build_report(results, _report_context(step), short=bool(signals.received))  # 5 s are left for everything
    report = replace(report, problems=tuple(each.redacted(step.redact) for each in step.policy.problems))
    _publish(step, results, report, files)
    show(report)
    return signals.status(status)


def _begin(invocation: Invocation, host: Output, signals: Signals, connections: Connections) -> Step:
    """Return what a step has before the policy is read. From here on, the host redacts the secrets."""
    inputs, event = read_inputs(invocation.layers), invocation.event
    redact = Redactor(secret.reveal() for secret in (inputs.github_token, inputs.token, inputs.api_key) if secret)
    host.mask_secrets(redact)
    client = None
    if inputs.github_token and event.repository and event.api_url:
        from sepurux_action.github.connection import connect  # noqa: PLC0415 - takes 0.2 s, so only when needed

        client = connect(event.api_url, inputs.github_token, event.repository, redact)
        event = with_pull_request_number(event, inputs.pull_request)
    calls = BoundedCalls(client, connections.timeouts(signals), host, event)
    signing_key = inputs.secret.reveal() if inputs.secret else ""
    subject = Subject(
        event=event, settings=inputs, config=inputs.config, signing_key=signing_key, started=connections.now()
    )
    return Step(
        invocation=invocation,
        host=host,
        signals=signals,
        connections=connections,
        redact=redact,
        github=GitHubSession.of(calls, subject),
        inputs=inputs,
        baseline_file=BaselineFile(signing_key, event.repository),
    )


def _with_policy(step: Step) -> Step:
    """Return the step with the policy, and its folder for report files and its `comment`; raises ConfigurationError."""
    snapshot = step.github.subject.snapshot if step.github.calls.connected else None
    read_file = partial(read_checkout, step.invocation.traces())
    check = partial(_read_settings, step) if step.github.changes.of_policy(step.inputs.config) else None
    policy = _until_signal(step, partial(resolve_policy, step.inputs, step.event, snapshot, read_file, check))
    step = replace(step, policy=policy)
    if not policy.policy:
        return step
    return step.with_inputs(with_policy(step.inputs, step.invocation.layers, policy.policy))


def _with_settings(step: Step) -> Step:
    """Return the step with all settings; raises ConfigurationError with every problem."""
    settings = _until_signal(step, partial(_read_settings, step, step.policy.policy))
    if step.invocation.write_baseline and not settings.baseline_dir:
        raise ConfigurationError([Problem(where=WRITE_BASELINE, message=NO_FOLDER)], settings.comment_key)
    return step.with_settings(settings)


def _read_settings(step: Step, policy: Policy | None) -> Settings:
    """Return all settings with a policy; the limit on trace files is that of one reading."""
    layers, find = step.invocation.layers, step.invocation.traces().find
    return read_settings(layers, find, policy, branch=step.event.branch, today=step.today)


def _with_lost_statuses(step: Step) -> Step:
    """Return the step with a warning about required statuses that no gate sets after the merge of the pull request."""
    policy, merged = step.policy, Settings()
    if not policy.replaces:
        return step
    read = partial(read_settings, step.invocation.layers, lambda _: (), policy.merged, branch=step.event.branch)
    with suppress(ConfigurationError):  # no gate sets a status if inputs lack what the file no longer has
        merged = _until_signal(step, read)
    now = step.inputs if FIRST_FILE in policy.notes else step.settings
    lost = step.github.advice.lost_statuses(now, merged)
    for note in lost:
        step.host.annotate(Level.WARNING, str(note), title="Sepurux gate")
    return replace(step, policy=replace(policy, notes=(*policy.notes, *lost)))


def _until_signal(step: Step, work: Callable[[], T]) -> T:
    """Return what reading settings returns, which may take seconds; raises ConfigurationError, also after a signal."""
    try:
        return Timeouts(step.signals).run(math.inf, work)
    except Interrupted:
        raise ConfigurationError([Problem(where="", message=CANCELLED_EARLY)]) from None


def _log_start(step: Step) -> None:
    """Log what is evaluated, and which settings have no effect."""
    event, inputs, host = step.event, step.inputs, step.host
    if not step.github.calls.connected and event.name:
        no_token = event.repository and not inputs.github_token
        why = "there is no `github_token`" if no_token else "`GITHUB_REPOSITORY` or `GITHUB_API_URL` is not set"
        host.log(f"no comment and no status: {why}")
    if event.name and (warning := pr_number_warning(event, inputs.pull_request)):
        host.annotate(Level.WARNING, warning)
    gates = step.settings.gates
    uploads_traces = any(gate.uploads_traces for gate in gates)
    if warning := other_commit_warning(event, uploads_traces=uploads_traces):
        host.annotate(Level.WARNING, warning, title="Sepurux gate")
    _log_settings(step)
    several = len(gates) > 1
    if several:
        host.progress(f"evaluating {len(gates)} gates at {inputs.base_url}")
    for gate in gates:
        what = str(gate.stage) if gate.name == gate.campaign else f"campaign {gate.campaign}, {gate.stage}"
        one = f"evaluating gate {gate.name} ({what}) at {inputs.base_url}"
        host.progress(f"gate {gate.name}: {what}" if several else one)


def _log_settings(step: Step) -> None:
    settings, host = step.settings, step.host
    if step.policy.policy:
        host.log(f"policy file: {step.policy.policy.path}")
    if settings.overridden and step.event.name:
        host.log(f"the policy file overrides these inputs: {', '.join(settings.overridden)}")
    elif settings.overridden:
        host.log(f"these flags override the policy file: {', '.join(map(flag, settings.overridden))}")
    if step.github.calls.connected and settings.shares_statuses:
        text = SHARED_STATUSES.format(prefix=settings.status_context, base=BASE)
        host.annotate(Level.WARNING, text, title="Sepurux gate")
    if settings.uncompared:
        verb = "is" if len(settings.uncompared) == 1 else "are"
        host.log(f"{' and '.join(map(flag, settings.uncompared))} {verb} not compared without --baseline-dir")
    if settings.ignores_paths:
        host.annotate(Level.WARNING, IGNORED_PATHS, title="Sepurux gate")


def _publish(step: Step, results: Sequence[GateResult], report: Report, files: ReportWriter) -> None:
    """Write outputs, summary, and report files, set the statuses, and write the comment; no comment after a signal."""
    step.host.set_outputs(outputs.step_outputs(results))
    if report_path := _write_report(step, report, files):
        step.host.set_outputs(outputs.step_outputs(results, report_path=report_path))
    write_kept(step, results, files)
    github = step.github
    _set_statuses(step, partial(github.publisher.publish_results, results))
    if step.signals.received:
        publish_notice(step, step.settings.comment_key, "the run was cancelled")
        return
    comment_url = github.publisher.publish_comment(results, partial(render_comment, report))
    if not step.policy.problems:
        github.reviews.request_reviews()
    if comment_url:
        step.host.set_outputs(outputs.step_outputs(results, comment_url, report_path))


def _log_report(report: Report, host: ActionsRunner) -> None:
    """Log the decision, which stands out, the problems on their lines, and the lines about what failed."""
    if report.gates:
        level = Level.ERROR if report.acting else Level.WARNING if report.not_passed else Level.NOTICE
        host.annotate(level, "\n".join(render_lines(report, "annotation")), title="Sepurux gate")
    title = f"Sepurux gate: invalid {'policy' if report.gates else 'settings'}"
    for problem in report.problems:
        host.annotate(Level.ERROR, str(problem), title=title, file=problem.file, line=problem.line)
    for note in () if report.gates else report.context.notes:
        host.log(str(note))
    for line in render_lines(report, "log"):
        host.log_in_color(line)


def _print_report(report: Report, terminal: Terminal, report_format: Format) -> None:
    """Write the report to a terminal, the last lines of the output."""
    document = ""
    if report_format is not Format.TEXT:
        document = json_text(report) if report_format is Format.JSON else render_summary(report)
    terminal.write_result(render_lines(report, "terminal"), document, evaluated=not (report.problems or report.short))


def _write_report(step: Step, report: Report, files: ReportWriter) -> str:
    """Write the summary and the files of `report_dir`; return the path of `report.json` for later steps, or ''."""
    summary = render_summary(report)
    step.host.write_summary(summary)
    if not step.inputs.report_dir:
        return ""
    return files.write(step.inputs.report_dir, report_files(report, summary)).get(REPORT_JSON, "")


def _publish_problems(step: Step, error: ConfigurationError, files: ReportWriter) -> Report:
    """Write outputs, summary, and report files, and set the statuses; return the report of the problems."""
    known = set(map(str, error.problems))  # the file of the pull request may have them too
    of_pull_request = (each for each in step.policy.problems if str(each) not in known)
    problems = [each.redacted(step.redact) for each in (*of_pull_request, *error.problems)]
    if step.inputs.missing_secret:  # alone it is no problem; beside others, users can correct all at once
        words = in_workflow if step.event.name else on_command_line
        message = words(f"it is empty, and so is {{api_key}}. {no_credentials_hint(step.event)}")
        problems.append(Problem(where=step.inputs.missing_secret, message=message))
    context = _report_context(step, evaluated=False)
    invalid = next((each.file for each in error.problems if each.file), "")
    if step.github.calls.connected and policy_ref(step.event) and not step.policy.policy and invalid:
        context = replace(context, notes=(invalid_base_note(step.event, invalid, step.inputs.config),))
    report = Report(context=context, problems=tuple(problems))
    step.host.set_outputs(outputs.without_decision(outputs.settings_reason(problems)))
    if report_path := _write_report(step, report, files):
        step.host.set_outputs({"report_path": report_path})
    _set_statuses(step, partial(step.github.publisher.publish_config_error, step.inputs.names))
    if not step.signals.received:
        publish_notice(step, error.comment_key, f"{number_format.pluralize(len(problems), 'problem')} in the settings")
    return report


def _set_statuses(step: Step, publish: Callable[[], None]) -> None:
    """Set the statuses; after a signal, which may have interrupted this, set them in the time that is left."""
    if not step.signals.received:
        publish()
    if step.signals.received:
        step.github.publisher.enter_shutdown(Timeouts())
        publish()


def _report_context(step: Step, *, evaluated: bool = True) -> Context:
    event, policy = step.event, step.policy if evaluated else ResolvedPolicy()
    return Context(
        repository=event.repository,
        commit=event.commit,
        commit_url=event.url("commit", event.commit),
        run_url=event.run_url,
        base_url_host=urlsplit(step.inputs.base_url).hostname or "" if evaluated else "",
        pull_request=event.pull_request,
        pull_request_url=event.url("pull", event.pull_request),
        from_fork=event.fork,
        version=__version__,
        policy_path=policy.policy.path if policy.policy else "",
        baselines={
            gate.name: baseline for gate in step.settings.gates if evaluated and (baseline := baseline_of(step, gate))
        },
        base_ref=event.base_ref,
        committed=step.github.subject.snapshot.committed if evaluated else None,
        history=step.github.earlier.history if evaluated else (),
        policy_changes=policy.changes,
        policy_ref=event.commit if step.policy.problems else policy_ref(event) or event.commit,
        on_command_line=not event.name,
        notes=policy.notes,
    )
