"""Owns the walk from settings to exit status, and who takes part in it; never a rule, a format or a protocol.

It is the only module that knows everyone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urlsplit

from sepurux_action import __version__
from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.config.settings import BootstrapSettings, Layer, Settings, read_bootstrap_settings, read_settings
from sepurux_action.errors import ConfigurationError
from sepurux_action.evaluate import GateEvaluator
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.enforcement import EXIT_UNDECIDED, exit_status
from sepurux_action.evaluation.result import GateResult
from sepurux_action.evaluation.trace_files import TraceFolder
from sepurux_action.github.event import pr_number_warning, with_pull_request_number
from sepurux_action.github.policy_source import ResolvedPolicy, resolve_policy
from sepurux_action.github.run_context import RunContext
from sepurux_action.github.session import GitHubSession
from sepurux_action.host.deadlines import ThreadTimeouts
from sepurux_action.host.protocols import Output
from sepurux_action.host.signals import Signals
from sepurux_action.host.workflow_commands import Level
from sepurux_action.report import outputs
from sepurux_action.report.rendering import render_comment, render_summary
from sepurux_action.report.report import Context, Report, build_report, build_settings_report

MAX_PROBLEM_ANNOTATIONS = 9  # bad settings that get one each; contract, section 1
NOT_AUTHENTICATED = "there is no `github_token`"
NO_ADDRESS = "the repository or GitHub's address is not known"
UNFINISHED = "The gate did not run to its end."


class Host(Output, Protocol):
    """Where the walk begins and ends: a workflow's step, or a command line."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return where settings come from, the one that overrides the others first."""

    @property
    def traces(self) -> TraceFolder:
        """Return where trace files are found."""

    def read_repo_file(self, path: str) -> bytes | None:
        """Return a file of the checkout, or None where there is none."""

    def run_context(self) -> RunContext:
        """Return what is known about the change under judgement."""

    def mask_secrets(self, blank: Redactor, secrets: tuple[str, ...]) -> None:
        """Blank secrets from now on."""


def run(host: Host, signals: Signals) -> int:
    """Return the exit status of the whole walk: 0 open, 1 blocked, 2 closed otherwise, 130 or 143 after a signal."""
    host.set_outputs(outputs.no_verdict(UNFINISHED))
    early, run_context = read_bootstrap_settings(host.layers), host.run_context()
    blank = _hide_secrets(host, early.github_token, early.secret, early.api_key)
    github = _connect(early, run_context, host, signals)
    if github:
        github.load(early.config)
    run_context = replace(run_context, event=github.event if github else run_context.event)
    today = datetime.now(UTC).date()
    try:
        found = resolve_policy(early, run_context.event, github.snapshot if github else None, host.read_repo_file)
        settings = read_settings(
            host.layers, host.traces.find, found.policy, branch=run_context.event.branch, today=today
        )
    except ConfigurationError as bad:
        status = _refuse_settings(host, bad.redacted(blank), run_context)
        if github:
            github.configure(replace(early.publish_options, run_url=run_context.run_url))
            if not signals.received:
                github.publish_config_error(early.gates)
            if signals.received:
                github.enter_shutdown(ThreadTimeouts())
                github.publish_config_error(early.gates)
        return signals.status(status)
    blank = _hide_secrets(host, settings.token, settings.api_key, settings.github_token)
    _log_start(settings, run_context, host, github)
    if github:
        github.configure(replace(settings.publish_options, run_url=run_context.run_url))
    results = GateEvaluator(settings, run_context, host, signals, blank, github, today).evaluate()
    short = signals.received is not None  # there are 5 s for everything
    report = build_report(results, _context(settings, run_context, github, found), short=short)
    _publish(results, report, host)
    if github and (address := _publish_to_github(github, results, report, signals)):
        host.set_outputs(outputs.step_outputs(results, address))
    return signals.status(exit_status((gate.decision, gate.conclusion) for gate in results))


def _connect(early: BootstrapSettings, run_context: RunContext, host: Host, signals: Signals) -> GitHubSession | None:
    """Return the talk with GitHub, or None where there is no token, or no repository to talk about."""
    event = with_pull_request_number(run_context.event, early.pull_request)
    if early.github_token is None or not event.repository or not run_context.api_url:
        return None
    from sepurux_action.github.client import PyGithubClient  # noqa: PLC0415 - costs 0.2 s, so only when needed

    clock = ThreadTimeouts()
    signals.add_listener(clock.interrupt)
    forge = PyGithubClient(run_context.api_url, early.github_token, event.repository)
    return GitHubSession(forge, clock, host, event, secret=early.secret.reveal() if early.secret else "")


def _log_start(settings: Settings, run_context: RunContext, host: Host, github: GitHubSession | None) -> None:
    """Say what is done, and what of the settings is not followed."""
    event = run_context.event
    if github is None and event.name:
        why = NOT_AUTHENTICATED if event.repository and not settings.github_token else NO_ADDRESS
        host.log(f"no comment and no status: {why}")
    if event.name and (warning := pr_number_warning(event, settings.pull_request)):
        host.annotate(Level.WARNING, warning)
    if settings.overridden:
        host.log(f"the policy file overrides these inputs: {', '.join(settings.overridden)}")
    for setting in settings.ignored:
        why = "because a policy file applies: give `paths` to its gates, under `gates:`"
        host.annotate(Level.WARNING, f"The {setting} is ignored, {why}.", title="Sepurux gate")
    for gate in settings.gates:
        host.log(f"gate {gate.name}: campaign {gate.campaign}, stage {gate.stage}, at {settings.base_url}")


def _publish(results: Sequence[GateResult], report: Report, host: Host) -> None:
    """Write outputs, summary and the verdict's annotation; none of them can change the verdict."""
    host.set_outputs(outputs.step_outputs(results))
    host.write_summary(render_summary(report))
    closed = any(gate.conclusion.blocks for gate in results)
    sound = all(gate.decision in {Decision.PASS, Decision.SKIPPED} for gate in results)
    level = Level.ERROR if closed else Level.NOTICE if sound else Level.WARNING
    host.annotate(level, report.headline, title="Sepurux gate")


def _publish_to_github(github: GitHubSession, results: Sequence[GateResult], report: Report, signals: Signals) -> str:
    """Set the decided statuses and keep the comment, whose address is returned; after a signal statuses are all."""
    if not signals.received:
        github.publish_results(results)
        if not signals.received:
            address = github.publish_comment(results, lambda marker: render_comment(report, marker))
            github.soft_gate.request_reviews()
            return address
    github.enter_shutdown(ThreadTimeouts())
    github.publish_results(results)
    return ""


def _refuse_settings(host: Host, bad: ConfigurationError, run_context: RunContext) -> int:
    report = build_settings_report(bad.problems, _context(None, run_context, None, ResolvedPolicy()))
    host.set_outputs(outputs.no_verdict(report.headline))
    host.write_summary(render_summary(report))
    for problem in bad.problems[:MAX_PROBLEM_ANNOTATIONS]:
        host.annotate(
            Level.ERROR, str(problem), title="Sepurux gate: bad settings", file=problem.file, line=problem.line
        )
    for problem in bad.problems[MAX_PROBLEM_ANNOTATIONS:]:
        host.log(": ".join(filter(None, ("bad settings", problem.location, str(problem)))))
    return EXIT_UNDECIDED


def _hide_secrets(host: Host, *given: Secret | None) -> Redactor:
    secrets = tuple(secret.reveal() for secret in given if secret)
    blank = Redactor(secrets)
    host.mask_secrets(blank, secrets)
    return blank


def _context(
    settings: Settings | None, run_context: RunContext, github: GitHubSession | None, found: ResolvedPolicy
) -> Context:
    event = run_context.event
    gates = settings.gates if settings else ()
    known = {gate.name: github.baselines.get(github.context_of(gate.name).lower()) for gate in gates} if github else {}
    return Context(
        repository=run_context.repository,
        commit=event.commit,
        commit_url=run_context.commit_url,
        run_url=run_context.run_url,
        base_url_host=urlsplit(settings.base_url).hostname or "" if settings else "",
        pull_request=event.pull_request,
        version=__version__,
        baselines={name: baseline for name, baseline in known.items() if baseline is not None},
        base_ref=event.base_ref,
        history=github.previous_results if github else (),
        policy_changes=found.changes,
        notes=found.notes,
    )
