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
from sepurux_action.config.command_line import WRITE_BASELINE, Format, parse_command_line
from sepurux_action.config.gate import Gate
from sepurux_action.config.policy import Policy
from sepurux_action.config.settings import BASE, Settings, flag, read_inputs, read_settings
from sepurux_action.errors import ConfigurationError, Interrupted, Problem
from sepurux_action.evaluate import evaluate, no_credentials_hint, publish_notice, read_record
from sepurux_action.evaluation.base_results import BaselineFile
from sepurux_action.evaluation.enforcement import EXIT_UNDECIDED, exit_status
from sepurux_action.evaluation.result import GateResult
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
from sepurux_action.host.actions_runner import ActionsRunner
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.host.output import Output
from sepurux_action.host.report_files import ReportWriter
from sepurux_action.host.terminal import Terminal
from sepurux_action.host.workflow_commands import Level
from sepurux_action.report import outputs
from sepurux_action.report.context import Context
from sepurux_action.report.rendering import render_comment, render_lines, render_summary
from sepurux_action.report.report import Report, build_report
from sepurux_action.report.report_json import REPORT_FILES, REPORT_JSON, json_text, report_files
from sepurux_action.run import Connections, Invocation, Run, from_command_line, from_step, ignored_variables

CONNECTIONS = Connections()
SHARED_STATUSES = (
    "`status_context` has no `{base}`, so a pull request with the same head commit into another branch sets the same "
    "status. The commit may pass there, because a drop or a stage depends on the branch. "
    'Write `status_context: "{prefix} ({base})"`, and require the new status on each branch.'
)
UNKNOWN_GATE = Gate(name="Sepurux gate", campaign="Sepurux gate")  # for a skipped run whose settings name no gate
NO_FOLDER = "it needs the folder for the result; accepted: with `--baseline-dir`"
CANCELED_EARLY = "The run was canceled before all settings were read."
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
    run = _begin(invocation, host, signals, connections)
    files = ReportWriter(invocation.report_folders, host, signals, run.redact)
    files.remove(run.settings.report_dir, REPORT_FILES)
    run.github.load(run.settings.config)
    try:
        run = _with_policy(run, invocation)
        files.remove(run.settings.report_dir, REPORT_FILES)
        run = _with_settings(run, invocation)
    except ConfigurationError as error:
        if not run.event.skip_reason:
            show(_publish_problems(run, error, files))
            return signals.status(EXIT_UNDECIDED)
        settings = replace(run.settings, gates=run.settings.gates or (UNKNOWN_GATE,))  # no setting matters
        run = replace(run, settings=settings)
    run = read_kept(run, files)
    _log_start(run)
    run.github.load_base(run.settings.gates)
    recorded = read_record(run)
    run.github.publish_pending(gate.name for gate in run.settings.gates if gate.name not in recorded)
    run = _with_lost_statuses(run, invocation)
    results = evaluate(run, recorded)
    status = exit_status((gate.decision, gate.blocks) for gate in results)
    if run.policy.problems:
        results, status = tuple(gate.blocked_by_policy() for gate in results), status or EXIT_UNDECIDED
    report = build_report(results, _report_context(run), short=bool(signals.received))  # 5 s are left for everything
    report = replace(report, problems=tuple(each.redacted(run.redact) for each in run.policy.problems))
    _publish(run, results, report, files)
    show(report)
    return signals.status(status)


def _begin(invocation: Invocation, host: Output, signals: Signals, connections: Connections) -> Run:
    """Return what a run has before the policy is read. From here on, the host redacts the secrets."""
    inputs, event = read_inputs(invocation.layers), invocation.event
    redact = Redactor(secret.reveal() for secret in (inputs.github_token, inputs.token, inputs.api_key) if secret)
    host.mask_secrets(redact)
    client = None
    if inputs.github_token and event.repository and event.api_url:
        from sepurux_action.github.transport import connect  # noqa: PLC0415 - takes 0.2 s, so only when needed

        client = connect(event.api_url, inputs.github_token, event.repository, redact)
        event = with_pull_request_number(event, inputs.pull_request)
    timeouts = connections.timeouts(signals)
    signing_key = inputs.secret.reveal() if inputs.secret else ""
    github = GitHubSession(client, timeouts, host, event, signing_key=signing_key)
    github.settings, github.started = inputs, connections.now()
    return Run(
        host=host,
        signals=signals,
        connections=connections,
        redact=redact,
        github=github,
        today=github.started.date(),
        settings=inputs,
        baseline_file=BaselineFile(signing_key, event.repository),
        write_baseline=invocation.write_baseline,
    )


def _with_policy(run: Run, invocation: Invocation) -> Run:
    """Return the run with the policy, and its folder for report files and its `comment`; raises ConfigurationError."""
    snapshot = run.github.snapshot if run.github.connected else None
    read_file = partial(read_checkout, invocation.traces())
    check = _reader(run, invocation) if run.github.changes_policy(run.settings.config) else None
    policy = _until_signal(run, partial(resolve_policy, run.settings, run.event, snapshot, read_file, check))
    known = read_inputs(invocation.layers, policy.policy)
    run.github.settings = replace(run.github.settings, comment=known.comment)
    return replace(run, policy=policy, settings=replace(run.settings, report_dir=known.report_dir))


def _with_settings(run: Run, invocation: Invocation) -> Run:
    """Return the run with all settings; raises ConfigurationError with every problem."""
    settings = _until_signal(run, partial(_reader(run, invocation), run.policy.policy))
    if run.write_baseline and not settings.baseline_dir:
        raise ConfigurationError([Problem(where=WRITE_BASELINE, message=NO_FOLDER)], settings.comment_key)
    run.github.settings = settings
    return replace(run, settings=settings)


def _reader(run: Run, invocation: Invocation) -> Callable[[Policy | None], Settings]:
    """Return a function that reads all settings with a policy; the limit on trace files is that of one reading."""
    read = partial(read_settings, invocation.layers, invocation.traces().find)
    return partial(read, branch=run.event.branch, today=run.today)


def _with_lost_statuses(run: Run, invocation: Invocation) -> Run:
    """Return the run with a warning about required statuses that no gate sets after the merge of the pull request."""
    policy, merged = run.policy, Settings()
    if not policy.replaces:
        return run
    with suppress(ConfigurationError):  # no gate sets a status if inputs lack what the file no longer has
        read = partial(read_settings, invocation.layers, lambda _: (), policy.merged)
        merged = _until_signal(run, partial(read, branch=run.event.branch, today=run.today))
    now = read_inputs(invocation.layers) if FIRST_FILE in policy.notes else run.settings
    lost = run.github.lost_statuses(now, merged)
    for note in lost:
        run.host.annotate(Level.WARNING, str(note), title="Sepurux gate")
    return replace(run, policy=replace(policy, notes=(*policy.notes, *lost)))


def _until_signal(run: Run, work: Callable[[], T]) -> T:
    """Return what reading settings returns, which may take seconds; raises ConfigurationError, also after a signal."""
    try:
        return Timeouts(run.signals).run(math.inf, work)
    except Interrupted:
        raise ConfigurationError([Problem(where="", message=CANCELED_EARLY)]) from None


def _log_start(run: Run) -> None:
    """Log what is evaluated, and which settings have no effect."""
    event, settings, host = run.event, run.settings, run.host
    if not run.github.connected and event.name:
        no_token = event.repository and not settings.github_token
        why = "there is no `github_token`" if no_token else "`GITHUB_REPOSITORY` or `GITHUB_API_URL` is not set"
        host.log(f"no comment and no status: {why}")
    if event.name and (warning := pr_number_warning(event, settings.pull_request)):
        host.annotate(Level.WARNING, warning)
    uploads_traces = any(trace.content for gate in settings.gates for trace in gate.traces)
    if warning := other_commit_warning(event, uploads_traces=uploads_traces):
        host.annotate(Level.WARNING, warning, title="Sepurux gate")
    if run.policy.policy:
        host.log(f"policy file: {run.policy.policy.path}")
    if settings.overridden:
        flags = ", ".join(map(flag, settings.overridden))
        inputs = f"the policy file overrides these inputs: {', '.join(settings.overridden)}"
        host.log(inputs if event.name else f"these flags override the policy file: {flags}")
    if run.github.connected and settings.shares_statuses:
        prefix = settings.status_context
        host.annotate(Level.WARNING, SHARED_STATUSES.format(prefix=prefix, base=BASE), title="Sepurux gate")
    _log_ignored(settings, host)
    several = len(settings.gates) > 1
    if several:
        host.progress(f"evaluating {len(settings.gates)} gates at {settings.base_url}")
    for gate in settings.gates:
        what = str(gate.stage) if gate.name == gate.campaign else f"campaign {gate.campaign}, {gate.stage}"
        one = f"evaluating gate {gate.name} ({what}) at {settings.base_url}"
        host.progress(f"gate {gate.name}: {what}" if several else one)


def _log_ignored(settings: Settings, host: Output) -> None:
    if settings.uncompared:
        verb = "is" if len(settings.uncompared) == 1 else "are"
        host.log(f"{' and '.join(map(flag, settings.uncompared))} {verb} not compared without --baseline-dir")
    for setting in settings.ignored:
        why = "because a policy file applies. Set `paths` for its gates, under `gates:`"
        host.annotate(Level.WARNING, f"The {setting} is ignored, {why}.", title="Sepurux gate")


def _publish(run: Run, results: Sequence[GateResult], report: Report, files: ReportWriter) -> None:
    """Write outputs, summary, and report files, set the statuses, and write the comment; no comment after a signal."""
    run.host.set_outputs(outputs.step_outputs(results))
    if report_path := _write_report(run, report, files):
        run.host.set_outputs(outputs.step_outputs(results, report_path=report_path))
    write_kept(run, results, files)
    github = run.github
    _set_statuses(run, partial(github.publish_results, results))
    if run.signals.received:
        publish_notice(run, run.settings.comment_key, problems=0)
        return
    comment_url = github.publish_comment(results, partial(render_comment, report))
    if not run.policy.problems:
        github.soft_gate.request_reviews()
    if comment_url:
        run.host.set_outputs(outputs.step_outputs(results, comment_url, report_path))


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


def _write_report(run: Run, report: Report, files: ReportWriter) -> str:
    """Write the summary and the files of `report_dir`; return the path of `report.json` for later steps, or ''."""
    summary = render_summary(report)
    run.host.write_summary(summary)
    if not run.settings.report_dir:
        return ""
    return files.write(run.settings.report_dir, report_files(report, summary)).get(REPORT_JSON, "")


def _publish_problems(run: Run, error: ConfigurationError, files: ReportWriter) -> Report:
    """Write outputs, summary, and report files, and set the statuses; return the report of the problems."""
    known = set(map(str, error.problems))  # the file of the pull request may have them too
    of_pull_request = (each for each in run.policy.problems if str(each) not in known)
    problems = [each.redacted(run.redact) for each in (*of_pull_request, *error.problems)]
    if run.settings.missing_secret:  # alone it is no problem; beside others, users can correct all at once
        message = f"it is empty, and so is `api_key`. {no_credentials_hint(run.event)}"
        problems.append(Problem(where=run.settings.missing_secret, message=message))
    context = _report_context(run, evaluated=False)
    invalid = next((each.file for each in error.problems if each.file), "")
    if run.github.connected and policy_ref(run.event) and not run.policy.policy and invalid:
        context = replace(context, notes=(invalid_base_note(run.event, invalid, run.settings.config),))
    report = Report(context=context, problems=tuple(problems))
    run.host.set_outputs(outputs.without_decision(outputs.settings_reason(problems)))
    if report_path := _write_report(run, report, files):
        run.host.set_outputs({"report_path": report_path})
    _set_statuses(run, partial(run.github.publish_config_error, [gate.name for gate in run.settings.gates]))
    if not run.signals.received:
        publish_notice(run, error.comment_key, problems=len(problems))
    return report


def _set_statuses(run: Run, publish: Callable[[], None]) -> None:
    """Set the statuses; after a signal, which may have interrupted this, set them in the time that is left."""
    if not run.signals.received:
        publish()
    if run.signals.received:
        run.github.enter_shutdown(Timeouts())
        publish()


def _report_context(run: Run, *, evaluated: bool = True) -> Context:
    event, policy = run.event, run.policy if evaluated else ResolvedPolicy()
    return Context(
        repository=event.repository,
        commit=event.commit,
        commit_url=event.url("commit", event.commit),
        run_url=event.run_url,
        base_url_host=urlsplit(run.settings.base_url).hostname or "" if evaluated else "",
        pull_request=event.pull_request,
        pull_request_url=event.url("pull", event.pull_request),
        from_fork=event.fork,
        version=__version__,
        policy_path=policy.policy.path if policy.policy else "",
        baselines={
            gate.name: baseline for gate in run.settings.gates if evaluated and (baseline := baseline_of(run, gate))
        },
        base_ref=event.base_ref,
        committed=run.github.snapshot.committed if evaluated else None,
        history=run.github.previous_results if evaluated else (),
        policy_changes=policy.changes,
        policy_ref=event.commit if run.policy.problems else policy_ref(event) or event.commit,
        on_command_line=not event.name,
        notes=policy.notes,
    )
