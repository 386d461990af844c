"""The flow of a run, from settings to exit status. This is the only module that imports all packages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TextIO, TypeVar
from urllib.parse import urlsplit

from sepurux_action import __version__
from sepurux_action.common.secret import Redactor
from sepurux_action.config.command_line import Format, parse_command_line
from sepurux_action.config.gate import Gate
from sepurux_action.config.settings import (
    BASE,
    BootstrapSettings,
    Settings,
    flag,
    read_bootstrap_settings,
    read_report_dir,
    read_settings,
    settings_without_evaluation,
)
from sepurux_action.connections import Connections
from sepurux_action.errors import ConfigurationError, Interrupted, Problem
from sepurux_action.evaluate import GateEvaluator, no_credentials_hint
from sepurux_action.evaluation.enforcement import EXIT_UNDECIDED, exit_status
from sepurux_action.evaluation.result import GateResult
from sepurux_action.github.event import Event, other_commit_warning, pr_number_warning, with_pull_request_number
from sepurux_action.github.policy_source import ResolvedPolicy, read_checkout, resolve_policy
from sepurux_action.github.run_context import RunContext
from sepurux_action.github.session import GitHubSession
from sepurux_action.host.actions_runner import ActionsRunner
from sepurux_action.host.deadlines import ThreadTimeouts
from sepurux_action.host.protocols import Host
from sepurux_action.host.report_files import ReportWriter
from sepurux_action.host.signals import Signals
from sepurux_action.host.terminal import Terminal
from sepurux_action.host.workflow_commands import Level
from sepurux_action.invocation import Invocation, from_command_line, from_step
from sepurux_action.report import outputs
from sepurux_action.report.files import REPORT_FILES, REPORT_JSON, json_text, report_files
from sepurux_action.report.rendering import render_comment, render_lines, render_paragraphs, render_summary
from sepurux_action.report.report import Context, Report, build_report, build_settings_report

T = TypeVar("T")

CONNECTIONS = Connections()
MAX_PROBLEM_ANNOTATIONS = 9  # problems in settings with an annotation each; contract, section 1
NOT_AUTHENTICATED = "there is no `github_token`"
NO_ADDRESS = "`GITHUB_REPOSITORY` or `GITHUB_API_URL` is not set"
SHARED_STATUSES = (
    "`status_context` has no `{base}`, so a pull request with the same head commit into another branch sets the same "
    "status. The commit may pass there, because a drop or a stage depends on the branch. "
    'Write `status_context: "{prefix} ({base})"`, and require the new status on each branch.'
)
CANCELLED = "The run was cancelled before all settings were read. Re-run the job."
UNFINISHED = "The step ended before the gate had a result. Re-run the job."


def run_step(environ: Mapping[str, str], log: TextIO, signals: Signals, connections: Connections = CONNECTIONS) -> int:
    """Run as a step of a workflow; return the exit status."""
    runner = ActionsRunner(environ, log)
    runner.set_outputs(outputs.without_decision(UNFINISHED))  # they remain if the step is killed
    invocation = from_step(runner.inputs, environ, runner.read_event())
    return run(invocation, runner, signals, partial(_log_report, host=runner), connections)


def run_command_line(arguments: Sequence[str], environ: Mapping[str, str], signals: Signals) -> int:
    """Run as `sepurux-gate`; return the exit status. Exits for --help, --version, and unknown flags."""
    command = parse_command_line(arguments)
    terminal = Terminal(environ, quiet=command.quiet)
    show = partial(_print_report, terminal=terminal, report_format=command.report_format)
    try:
        return run(from_command_line(command.texts, environ), terminal, signals, show)
    finally:
        terminal.close()


def run(
    invocation: Invocation,
    host: Host,
    signals: Signals,
    show: Callable[[Report], None],
    connections: Connections = CONNECTIONS,
) -> int:
    """Show the report, and return the exit status.

    It is 0 for success, 1 if a `fail` blocks, 2 if something else blocks, and 130 or 143 after a signal.
    """
    bootstrap, run_context = read_bootstrap_settings(invocation.layers), invocation.run_context
    redact, report_dir = _mask_secrets(host, bootstrap), bootstrap.report_dir
    writer = ReportWriter(invocation.report_folders, host, signals, redact)
    writer.remove(report_dir, REPORT_FILES)
    github = _connect(bootstrap, run_context, host, signals, redact, connections=connections)
    if github:
        github.load(bootstrap.config)
    run_context = replace(run_context, event=github.event) if github else run_context
    event, today = run_context.event, connections.today()
    policy = ResolvedPolicy()
    try:
        snapshot = github.snapshot if github else None
        read_file = partial(read_checkout, invocation.traces)
        policy = _until_signal(signals, partial(resolve_policy, bootstrap, event, snapshot, read_file))
        report_dir = read_report_dir(invocation.layers, policy.policy)
        if report_dir != bootstrap.report_dir:
            writer.remove(report_dir, REPORT_FILES)
        settings = _until_signal(
            signals,
            partial(
                read_settings,
                invocation.layers,
                invocation.traces.find,
                policy.policy,
                branch=event.branch,
                today=today,
                in_workflow=bool(event.name),
            ),
        )
    except ConfigurationError as error:
        if event.skip_reason:  # nothing is evaluated, so no setting matters
            settings = settings_without_evaluation(bootstrap, report_dir)
        else:
            problems = (*error.redacted(redact).problems, *_missing_secret(bootstrap, event))
            show(_publish_config_error(problems, run_context, host, writer, report_dir))
            if github:
                _publish_config_error_to_github(github, bootstrap, run_context, signals)
            return signals.status(EXIT_UNDECIDED)
    _log_start(settings, run_context, host, github, policy)
    if github:
        github.configure(replace(settings.publish_options, run_url=run_context.run_url))
    results = GateEvaluator(settings, run_context, host, signals, redact, github, today, connections).evaluate()
    report = build_report(
        results,
        _report_context(settings, run_context, github, policy),
        short=signals.is_received(),  # 5 s are left for everything
    )
    report_path = _publish(results, report, host, writer, settings.report_dir)
    if github and (comment_url := _publish_to_github(github, results, report, signals)):
        host.set_outputs(outputs.step_outputs(results, comment_url, report_path))
    show(report)
    return signals.status(exit_status((gate.decision, gate.conclusion) for gate in results))


def _until_signal(signals: Signals, work: Callable[[], T]) -> T:
    """Return what the work returns, which reads settings; raises ConfigurationError, also after a signal.

    A large policy file takes seconds, so a signal leaves the work behind in its thread.
    """
    timeouts = ThreadTimeouts()
    signals.add_listener(timeouts.interrupt)
    try:
        return timeouts.run(math.inf, work)
    except Interrupted:
        raise ConfigurationError([Problem(where="", message=CANCELLED)]) from None


def _mask_secrets(host: Host, bootstrap: BootstrapSettings) -> Redactor:
    given = (bootstrap.github_token, bootstrap.signing_key, bootstrap.api_key)
    secrets = tuple(secret.reveal() for secret in given if secret)
    redact = Redactor(secrets)
    host.mask_secrets(redact, secrets)
    return redact


def _connect(  # noqa: PLR0913 - the parts of a run
    bootstrap: BootstrapSettings,
    run_context: RunContext,
    host: Host,
    signals: Signals,
    redact: Redactor,
    *,
    connections: Connections,
) -> GitHubSession | None:
    """Return a session with GitHub, or None without a token, a repository, or GitHub's address."""
    event = with_pull_request_number(run_context.event, bootstrap.pull_request)
    if bootstrap.github_token is None or not event.repository or not run_context.api_url:
        return None
    timeouts = connections.timeouts()
    signals.add_listener(timeouts.interrupt)
    client = connections.github(run_context.api_url, bootstrap.github_token, event.repository, redact)
    signing_key = bootstrap.signing_key.reveal() if bootstrap.signing_key else ""
    return GitHubSession(client, timeouts, host, event, signing_key=signing_key)


def _log_start(
    settings: Settings, run_context: RunContext, host: Host, github: GitHubSession | None, policy: ResolvedPolicy
) -> None:
    """Log what is evaluated, and which settings have no effect."""
    event = run_context.event
    if github is None and event.name:
        why = NOT_AUTHENTICATED if event.repository and not settings.github_token else NO_ADDRESS
        host.log(f"no comment and no status: {why}")
    if event.name and (warning := pr_number_warning(event, settings.pull_request)):
        host.annotate(Level.WARNING, warning)
    uploads_traces = any(trace.content for gate in settings.gates for trace in gate.traces)
    if warning := other_commit_warning(event, uploads_traces=uploads_traces):
        host.annotate(Level.WARNING, warning, title="Sepurux gate")
    if policy.policy:
        host.log(f"policy file: {policy.policy.path}")
    if settings.overridden:
        flags = ", ".join(map(flag, settings.overridden))
        inputs = f"the policy file overrides these inputs: {', '.join(settings.overridden)}"
        host.log(inputs if event.name else f"these flags override the policy file: {flags}")
    for setting in settings.ignored:
        why = "because a policy file applies. Set `paths` for its gates, under `gates:`"
        host.annotate(Level.WARNING, f"The {setting} is ignored, {why}.", title="Sepurux gate")
    if github and settings.shares_statuses:
        prefix = settings.publish_options.status_context
        host.annotate(Level.WARNING, SHARED_STATUSES.format(prefix=prefix, base=BASE), title="Sepurux gate")
    if len(settings.gates) == 1:
        [gate] = settings.gates
        host.progress(f"evaluating gate {gate.name} ({_campaign_and_stage(gate)}) at {settings.base_url}")
        return
    host.progress(f"evaluating {len(settings.gates)} gates at {settings.base_url}")
    for gate in settings.gates:
        host.progress(f"gate {gate.name}: {_campaign_and_stage(gate)}")


def _campaign_and_stage(gate: Gate) -> str:
    """Return the gate's stage, and before it the campaign that does not give the gate its name."""
    return str(gate.stage) if gate.name == gate.campaign else f"campaign {gate.campaign}, {gate.stage}"


def _publish(results: Sequence[GateResult], report: Report, host: Host, writer: ReportWriter, report_dir: str) -> str:
    """Write the outputs, the summary, and the report's files; return the path of `report.json`."""
    host.set_outputs(outputs.step_outputs(results))
    report_path = _write_report(report, host, writer, report_dir)
    if report_path:
        host.set_outputs(outputs.step_outputs(results, report_path=report_path))
    return report_path


def _log_report(report: Report, host: Host) -> None:
    """Log the problems in the settings, or the decision, which stands out, and the lines about what failed."""
    for problem in report.problems[:MAX_PROBLEM_ANNOTATIONS]:
        host.annotate(
            Level.ERROR, str(problem), title="Sepurux gate: invalid settings", file=problem.file, line=problem.line
        )
    for problem in report.problems[MAX_PROBLEM_ANNOTATIONS:]:
        host.log(f"invalid settings: {problem.located}")
    if report.problems:
        return
    level = Level.ERROR if report.acting else Level.WARNING if report.not_passed else Level.NOTICE
    host.annotate(level, "\n".join(render_lines(report, "annotation")), title="Sepurux gate")
    for line in render_lines(report, "log"):
        host.log(line)


def _print_report(report: Report, terminal: Terminal, report_format: Format) -> None:
    """Write the report to a terminal, the last lines of the output."""
    document = ""
    if report_format is not Format.TEXT:
        document = json_text(report) if report_format is Format.JSON else render_summary(report)
    evaluated = not (report.problems or report.short)
    terminal.write_result(render_paragraphs(report, "terminal"), document, evaluated=evaluated)


def _write_report(report: Report, host: Host, writer: ReportWriter, report_dir: str) -> str:
    """Write the summary and the files of `report_dir`; return the path of `report.json` for later steps, or ''."""
    summary = render_summary(report)
    host.write_summary(summary)
    if not report_dir:
        return ""
    return writer.write(report_dir, report_files(report, summary)).get(REPORT_JSON, "")


def _publish_to_github(github: GitHubSession, results: Sequence[GateResult], report: Report, signals: Signals) -> str:
    """Set the statuses, write the comment, and return its URL; after a signal only set the statuses."""
    if not signals.is_received():
        github.publish_results(results)
        if not signals.is_received():
            comment_url = github.publish_comment(results, lambda marker: render_comment(report, marker))
            github.soft_gate.request_reviews()
            return comment_url
    github.enter_shutdown(ThreadTimeouts())
    github.publish_results(results)
    return ""


def _missing_secret(bootstrap: BootstrapSettings, event: Event) -> Iterator[Problem]:
    """Yield the missing secret as a problem. Alone it is none; beside others, users can correct all at once."""
    if bootstrap.missing_secret:
        message = f"it is empty, and so is `api_key`. {no_credentials_hint(event)}"
        yield Problem(where=bootstrap.missing_secret, message=message)


def _publish_config_error(
    problems: Sequence[Problem], run_context: RunContext, host: Host, writer: ReportWriter, report_dir: str
) -> Report:
    report = build_settings_report(problems, _report_context(None, run_context, None, ResolvedPolicy()))
    host.set_outputs(outputs.without_decision(outputs.settings_reason(problems)))
    if report_path := _write_report(report, host, writer, report_dir):
        host.set_outputs({"report_path": report_path})
    return report


def _publish_config_error_to_github(
    github: GitHubSession, bootstrap: BootstrapSettings, run_context: RunContext, signals: Signals
) -> None:
    github.configure(replace(bootstrap.publish_options, run_url=run_context.run_url))
    if not signals.is_received():
        github.publish_config_error(bootstrap.gates)
    if signals.is_received():
        github.enter_shutdown(ThreadTimeouts())
        github.publish_config_error(bootstrap.gates)


def _report_context(
    settings: Settings | None,
    run_context: RunContext,
    github: GitHubSession | None,
    policy: ResolvedPolicy,
) -> Context:
    event = run_context.event
    gates = settings.gates if settings else ()
    return Context(
        repository=run_context.repository,
        commit=event.commit,
        commit_url=run_context.commit_url,
        run_url=run_context.run_url,
        base_url_host=urlsplit(settings.base_url).hostname or "" if settings else "",
        pull_request=event.pull_request,
        pull_request_url=run_context.pull_request_url,
        from_fork=event.fork,
        version=__version__,
        policy_path=policy.policy.path if policy.policy else "",
        baselines={gate.name: known for gate in gates if github and (known := github.baseline(gate.name))},
        base_ref=event.base_ref,
        history=github.previous_results if github else (),
        policy_changes=policy.changes,
        notes=policy.notes,
    )
