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
from sepurux_action.evaluate import Judging
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.enforcement import EXIT_UNDECIDED, exit_status
from sepurux_action.evaluation.result import GateResult
from sepurux_action.evaluation.trace_files import TraceFolder
from sepurux_action.github.event import pr_number_warning, with_pull_request_number
from sepurux_action.github.policy_source import ResolvedPolicy, SnapshotResult, resolve_policy
from sepurux_action.github.run_context import RunContext
from sepurux_action.github.session import GitHubSession
from sepurux_action.host import protocols
from sepurux_action.host.deadlines import ThreadTimeouts
from sepurux_action.host.signals import Signals
from sepurux_action.host.workflow_commands import Level
from sepurux_action.report import outputs
from sepurux_action.report.rendering import render_comment, render_summary
from sepurux_action.report.report import Context, Report, build_report, build_settings_report

MAX_PROBLEM_ANNOTATIONS = 9  # bad settings that get one each; contract, section 1
UNHEARD = "there is no `github_token`"
UNREACHED = "the repository or GitHub's address is not known"
UNFINISHED = "The gate did not run to its end."


class Place(protocols.Place, Protocol):
    """Where the walk begins and ends: a workflow's step, or a command line."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return where settings come from, the verdict layer first."""

    @property
    def traces(self) -> TraceFolder:
        """Return where trace files are found."""

    def checkout(self, path: str) -> bytes | None:
        """Return a file of the checkout, or None where there is none."""

    def workplace(self) -> RunContext:
        """Return what is known about the change under judgement."""

    def hide(self, blank: Redactor, secrets: tuple[str, ...]) -> None:
        """Blank secrets from now on."""


def run(place: Place, signals: Signals) -> int:
    """Return the exit status of the whole walk: 0 open, 1 blocked, 2 closed otherwise, 130 or 143 after a signal."""
    place.outputs(outputs.no_verdict(UNFINISHED))
    early, workplace = read_bootstrap_settings(place.layers), place.workplace()
    blank = _hide_secrets(place, early.github_token, early.secret, early.api_key)
    talk = _conversation(early, workplace, place, signals)
    heard = SnapshotResult(talk.snapshot if talk.load(early.config) else None) if talk else None
    workplace = replace(workplace, event=talk.event if talk else workplace.event)
    today = datetime.now(UTC).date()
    try:
        found = resolve_policy(early, workplace.event, heard, place.checkout)
        settings = read_settings(
            place.layers, place.traces.find, found.policy, branch=workplace.event.branch, today=today
        )
    except ConfigurationError as bad:
        status = _refuse_settings(place, bad.redacted(blank), workplace)
        if talk:
            talk.configure(replace(early.publish_options, run_url=workplace.run_url))
            if not signals.received:
                talk.publish_config_error(early.gates)
            if signals.received:
                talk.enter_shutdown(ThreadTimeouts())
                talk.publish_config_error(early.gates)
        return signals.status(status)
    blank = _hide_secrets(place, settings.token, settings.api_key, settings.github_token)
    _introduce(settings, workplace, place, talk)
    if talk:
        talk.configure(replace(settings.publish_options, run_url=workplace.run_url))
    results = Judging(settings, workplace, place, signals, blank, talk, today).judge()
    short = signals.received is not None  # there are 5 s for everything
    report = build_report(results, _context(settings, workplace, talk, found), short=short)
    _publish(results, report, place)
    if talk and (address := _tell(talk, results, report, signals)):
        place.outputs(outputs.step_outputs(results, address))
    return signals.status(exit_status((gate.decision, gate.conclusion) for gate in results))


def _conversation(
    early: BootstrapSettings, workplace: RunContext, place: Place, signals: Signals
) -> GitHubSession | None:
    """Return the talk with GitHub, or None where there is no token, or no repository to talk about."""
    event = with_pull_request_number(workplace.event, early.pull_request)
    if early.github_token is None or not event.repository or not workplace.api_url:
        return None
    from sepurux_action.github.client import PyGithubClient  # noqa: PLC0415 - costs 0.2 s, so only when needed

    clock = ThreadTimeouts()
    signals.add_listener(clock.interrupt)
    forge = PyGithubClient(workplace.api_url, early.github_token, event.repository)
    return GitHubSession(forge, clock, place, event, secret=early.secret.reveal() if early.secret else "")


def _introduce(settings: Settings, workplace: RunContext, place: Place, talk: GitHubSession | None) -> None:
    """Say what is done, and what of the settings is not followed."""
    event = workplace.event
    if talk is None and event.name:
        why = UNHEARD if event.repository and not settings.github_token else UNREACHED
        place.line(f"no comment and no status: {why}")
    if event.name and (warning := pr_number_warning(event, settings.pull_request)):
        place.annotate(Level.WARNING, warning)
    if settings.overridden:
        place.line(f"the policy file overrides these inputs: {', '.join(settings.overridden)}")
    for setting in settings.ignored:
        why = "because a policy file applies: give `paths` to its gates, under `gates:`"
        place.annotate(Level.WARNING, f"The {setting} is ignored, {why}.", title="Sepurux gate")
    for gate in settings.gates:
        place.line(f"gate {gate.name}: campaign {gate.campaign}, stage {gate.stage}, at {settings.base_url}")


def _publish(results: Sequence[GateResult], report: Report, place: Place) -> None:
    """Write outputs, summary and the verdict's annotation; none of them can change the verdict."""
    place.outputs(outputs.step_outputs(results))
    place.summary(render_summary(report))
    closed = any(gate.conclusion.blocks for gate in results)
    sound = all(gate.decision in {Decision.PASS, Decision.SKIPPED} for gate in results)
    level = Level.ERROR if closed else Level.NOTICE if sound else Level.WARNING
    place.annotate(level, report.headline, title="Sepurux gate")


def _tell(talk: GitHubSession, results: Sequence[GateResult], report: Report, signals: Signals) -> str:
    """Set the decided statuses and keep the comment, whose address is returned; after a signal statuses are all."""
    if not signals.received:
        talk.publish_results(results)
        if not signals.received:
            address = talk.publish_comment(results, lambda marker: render_comment(report, marker))
            talk.soft_gate.request_reviews()
            return address
    talk.enter_shutdown(ThreadTimeouts())
    talk.publish_results(results)
    return ""


def _refuse_settings(place: Place, bad: ConfigurationError, workplace: RunContext) -> int:
    report = build_settings_report(bad.problems, _context(None, workplace, None, ResolvedPolicy()))
    place.outputs(outputs.no_verdict(report.headline))
    place.summary(render_summary(report))
    for problem in bad.problems[:MAX_PROBLEM_ANNOTATIONS]:
        place.annotate(
            Level.ERROR, str(problem), title="Sepurux gate: bad settings", file=problem.file, line=problem.line
        )
    for problem in bad.problems[MAX_PROBLEM_ANNOTATIONS:]:
        place.line(": ".join(filter(None, ("bad settings", problem.location, str(problem)))))
    return EXIT_UNDECIDED


def _hide_secrets(place: Place, *given: Secret | None) -> Redactor:
    secrets = tuple(secret.reveal() for secret in given if secret)
    blank = Redactor(secrets)
    place.hide(blank, secrets)
    return blank


def _context(
    settings: Settings | None, workplace: RunContext, talk: GitHubSession | None, found: ResolvedPolicy
) -> Context:
    event = workplace.event
    gates = settings.gates if settings else ()
    known = {gate.name: talk.baselines.get(talk.context_of(gate.name).lower()) for gate in gates} if talk else {}
    return Context(
        repository=workplace.repository,
        commit=event.commit,
        commit_url=workplace.commit_url,
        run_url=workplace.run_url,
        base_url_host=urlsplit(settings.base_url).hostname or "" if settings else "",
        pull_request=event.pull_request,
        version=__version__,
        baselines={name: baseline for name, baseline in known.items() if baseline is not None},
        base_ref=event.base_ref,
        history=talk.previous_results if talk else (),
        policy_changes=found.changes,
        notes=found.notes,
    )
