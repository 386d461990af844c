"""Owns the walk from settings to exit status, and who takes part in it; never a rule, a format or a protocol.

It is the only module that knows everyone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol
from urllib.parse import urlsplit

from sepurux_action import __version__, ports
from sepurux_action.adapters.bounded import Bounded
from sepurux_action.adapters.courier import ThreadCourier
from sepurux_action.adapters.rendering import render_comment, render_summary
from sepurux_action.adapters.trace_files import TraceFolder
from sepurux_action.adapters.transport import Transport
from sepurux_action.conversation import Conversation
from sepurux_action.core import outputs
from sepurux_action.core.enforcement import EXIT_UNDECIDED, conclude, exit_status
from sepurux_action.core.event import contradiction, with_pull_request_number
from sepurux_action.core.gate import Gate, GateResult, RunResult
from sepurux_action.core.report import Context, Report, build_report, build_settings_report
from sepurux_action.core.secret import Blanker
from sepurux_action.core.settings import Layer, Settings, read_settings
from sepurux_action.core.verdict import Decision, Ruling
from sepurux_action.core.workflow_commands import Level
from sepurux_action.core.workplace import Workplace
from sepurux_action.errors import BadSettings
from sepurux_action.signals import Signals
from sepurux_action.watch import NO_ROW, Origin, watch

MOST_PROBLEM_ANNOTATIONS = 9  # bad settings that get one each; contract, section 1
UNHEARD = "there is no `github_token`"
UNFINISHED = "The gate did not run to its end."
UNASKED = "There is no secret to ask Sepurux with: `token` and `api_key` are both empty."
UNASKED_HINT = (
    "Give one of them, such as `token: ${{ secrets.SEPURUX_CI_TOKEN }}`. "
    "Pull requests from forks and from Dependabot are given no secrets of the repository."
)


class Place(ports.Place, Protocol):
    """Where the walk begins and ends: a workflow's step, or a command line."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return where settings come from, the ruling layer first."""

    @property
    def traces(self) -> TraceFolder:
        """Return where trace files are found."""

    def workplace(self) -> Workplace:
        """Return what is known about the change under judgement."""

    def hide(self, blank: Blanker, secrets: tuple[str, ...]) -> None:
        """Blank secrets from now on."""


def run(place: Place, signals: Signals) -> int:
    """Return the exit status of the whole walk: 0 open, 1 blocked, 2 closed otherwise, 130 or 143 after a signal."""
    place.outputs(outputs.no_verdict(UNFINISHED))
    workplace = place.workplace()
    try:
        settings = read_settings(place.layers, place.traces.find)
    except BadSettings as bad:
        return signals.status(_refuse_settings(place, bad, workplace))
    blank = _hide_secrets(settings, place)
    talk = _conversation(settings, workplace, place, signals)
    workplace = _begin(talk, settings, workplace, place)
    results = _judge(settings, workplace, place, signals, blank)
    report = build_report(results, _context(settings, workplace, talk))
    _publish(results, report, place)
    if talk and (address := _tell(talk, results, report, signals)):
        place.outputs(outputs.step_outputs(results, address))
    return signals.status(exit_status((gate.decision, gate.conclusion) for gate in results))


def _conversation(settings: Settings, workplace: Workplace, place: Place, signals: Signals) -> Conversation | None:
    """Return the talk with GitHub, or None where there is no token, or no repository to talk about."""
    event = with_pull_request_number(workplace.event, settings.pull_request)
    if settings.github_token is None or not event.repository or not workplace.api_url:
        return None
    from sepurux_action.adapters.github_forge import GitHubForge  # noqa: PLC0415 - costs 0.2 s, so only when needed

    clock = Bounded()
    signals.tell(clock.interrupt)
    forge = GitHubForge(workplace.api_url, settings.github_token, event.repository)
    secret = settings.token or settings.api_key
    manner = replace(settings.manner, run_url=workplace.run_url)
    return Conversation(forge, clock, place, event, manner=manner, secret=secret.reveal() if secret else "")


def _begin(talk: Conversation | None, settings: Settings, workplace: Workplace, place: Place) -> Workplace:
    """Return the workplace with its event settled as far as it can be; sets the pending statuses."""
    event = workplace.event
    if talk is None:
        if event.name:
            place.line(f"no comment and no status: {UNHEARD if event.repository else event.why_none}")
    else:
        talk.listen()
        event = talk.event
        talk.begin(gate.name for gate in settings.gates)
    if warning := contradiction(event, settings.pull_request):
        place.annotate(Level.WARNING, warning)
    return replace(workplace, event=event)


def _judge(
    settings: Settings, workplace: Workplace, place: Place, signals: Signals, blank: Blanker
) -> tuple[GateResult, ...]:
    """Return each gate's result; without a secret, or with nothing to judge, nothing is asked of the backend."""
    event = workplace.event
    if event.skipped:
        return _same_for_all(settings, Ruling(decision=Decision.SKIPPED, reason=event.skipped, row=NO_ROW))
    if not (settings.token or settings.api_key):
        return _same_for_all(settings, Ruling(decision=Decision.ERROR, reason=UNASKED, row=NO_ROW), UNASKED_HINT)
    transport = Transport(settings.base_url, token=settings.token, api_key=settings.api_key, blank=blank)
    courier = ThreadCourier(transport.send)
    signals.tell(courier.interrupt)
    given = settings.pull_request if not event.name or event.question else None  # nobody could be asked about it
    origin = Origin(repo=workplace.repository, pull_request=event.pull_request or given)
    for gate in settings.gates:
        place.line(f"gate {gate.name}: campaign {gate.campaign}, stage {gate.stage}, at {settings.base_url}")
    runs = watch(settings, origin, courier, place, lambda known: place.outputs(outputs.early_outputs(known)))
    return tuple(_concluded(gate, of_gate) for gate, of_gate in zip(settings.gates, runs, strict=True))


def _same_for_all(settings: Settings, ruling: Ruling, hint: str = "") -> tuple[GateResult, ...]:
    return tuple(
        _concluded(gate, [RunResult(trace=trace.label, ruling=ruling, hint=hint) for trace in gate.traces])
        for gate in settings.gates
    )


def _concluded(gate: Gate, runs: Sequence[RunResult]) -> GateResult:
    decision = min((run.decision for run in runs), key=lambda each: each.rank)
    return GateResult(gate=gate, runs=tuple(runs), conclusion=conclude(decision, gate.stage, gate.on_undecided))


def _publish(results: Sequence[GateResult], report: Report, place: Place) -> None:
    """Write outputs, summary and the verdict's annotation; none of them can change the verdict."""
    place.outputs(outputs.step_outputs(results))
    place.summary(render_summary(report))
    closed = any(gate.conclusion.closed for gate in results)
    sound = all(gate.decision in {Decision.PASS, Decision.SKIPPED} for gate in results)
    level = Level.ERROR if closed else Level.NOTICE if sound else Level.WARNING
    place.annotate(level, report.headline, title="Sepurux gate")


def _tell(talk: Conversation, results: Sequence[GateResult], report: Report, signals: Signals) -> str:
    """Set the decided statuses and keep the comment, whose address is returned; after a signal statuses are all."""
    if not signals.received:
        talk.conclude(results)
        if not signals.received:
            return talk.comment(results, lambda marker: render_comment(report, marker))
    talk.hurry(Bounded())
    talk.conclude(results)
    return ""


def _refuse_settings(place: Place, bad: BadSettings, workplace: Workplace) -> int:
    report = build_settings_report(bad.problems, _context(None, workplace, None))
    place.outputs(outputs.no_verdict(report.headline))
    place.summary(render_summary(report))
    for problem in bad.problems[:MOST_PROBLEM_ANNOTATIONS]:
        place.annotate(Level.ERROR, str(problem), title="Sepurux gate: bad settings")
    for problem in bad.problems[MOST_PROBLEM_ANNOTATIONS:]:
        place.line(f"bad settings: {problem}")
    return EXIT_UNDECIDED


def _hide_secrets(settings: Settings, place: Place) -> Blanker:
    given = (settings.token, settings.api_key, settings.github_token)
    secrets = tuple(secret.reveal() for secret in given if secret)
    blank = Blanker(secrets)
    place.hide(blank, secrets)
    return blank


def _context(settings: Settings | None, workplace: Workplace, talk: Conversation | None) -> Context:
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
        history=talk.history if talk else (),
    )
