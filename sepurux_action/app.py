"""Owns the walk from settings to exit status, and who takes part in it; never a rule, a format or a protocol.

It is the only module that knows everyone.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import Protocol
from urllib.parse import urlsplit

from sepurux_action import __version__, ports
from sepurux_action.adapters.courier import ThreadCourier
from sepurux_action.adapters.rendering import render_summary
from sepurux_action.adapters.trace_files import TraceFolder
from sepurux_action.adapters.transport import Transport
from sepurux_action.core import outputs
from sepurux_action.core.enforcement import EXIT_SIGNAL_BASE, EXIT_UNDECIDED, conclude, exit_status
from sepurux_action.core.gate import Gate, GateResult, RunResult
from sepurux_action.core.report import Context, Report, build_report, build_settings_report
from sepurux_action.core.secret import Blanker
from sepurux_action.core.settings import Layer, Settings, read_settings
from sepurux_action.core.verdict import Decision, Ruling
from sepurux_action.core.workflow_commands import Level
from sepurux_action.core.workplace import Workplace
from sepurux_action.errors import BadSettings
from sepurux_action.watch import NO_ROW, Origin, watch

MOST_PROBLEM_ANNOTATIONS = 9  # bad settings that get one each; contract, section 1
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


def run(place: Place) -> int:
    """Return the exit status of the whole walk: 0 open, 1 blocked, 2 closed otherwise, 130 or 143 after a signal."""
    signals = _Signals()
    place.outputs(outputs.no_verdict(UNFINISHED))
    workplace = place.workplace()
    try:
        settings = read_settings(place.layers, place.traces.find)
    except BadSettings as bad:
        return signals.status(_refuse_settings(place, bad, workplace))
    settings = _for_this_change(settings, workplace, place)
    blank = _hide_secrets(settings, place)
    results = _judge(settings, workplace, place, signals, blank)
    report = build_report(results, _context(settings, workplace))
    _publish(results, report, place)
    return signals.status(exit_status((gate.decision, gate.conclusion) for gate in results))


def _judge(
    settings: Settings, workplace: Workplace, place: Place, signals: _Signals, blank: Blanker
) -> tuple[GateResult, ...]:
    """Return each gate's result; without a secret nothing is asked of the backend."""
    if not (settings.token or settings.api_key):
        return tuple(_concluded(gate, [_unasked(trace.label) for trace in gate.traces]) for gate in settings.gates)
    transport = Transport(settings.base_url, token=settings.token, api_key=settings.api_key, blank=blank)
    courier = ThreadCourier(transport.send)
    signals.tell(courier)
    origin = Origin(repo=workplace.repository, pull_request=settings.pull_request)
    for gate in settings.gates:
        place.line(f"gate {gate.name}: campaign {gate.campaign}, stage {gate.stage}, at {settings.base_url}")
    runs = watch(settings, origin, courier, place, lambda known: place.outputs(outputs.early_outputs(known)))
    return tuple(_concluded(gate, of_gate) for gate, of_gate in zip(settings.gates, runs, strict=True))


def _concluded(gate: Gate, runs: Sequence[RunResult]) -> GateResult:
    decision = min((run.decision for run in runs), key=lambda each: each.rank)
    return GateResult(gate=gate, runs=tuple(runs), conclusion=conclude(decision, gate.stage, gate.on_undecided))


def _unasked(trace: str) -> RunResult:
    return RunResult(trace=trace, ruling=Ruling(decision=Decision.ERROR, reason=UNASKED, row=NO_ROW), hint=UNASKED_HINT)


def _publish(results: Sequence[GateResult], report: Report, place: Place) -> None:
    """Write outputs, summary and the verdict's annotation; none of them can change the verdict."""
    place.outputs(outputs.step_outputs(results))
    place.summary(render_summary(report))
    closed = any(gate.conclusion.closed for gate in results)
    sound = all(gate.decision in {Decision.PASS, Decision.SKIPPED} for gate in results)
    level = Level.ERROR if closed else Level.NOTICE if sound else Level.WARNING
    place.annotate(level, report.headline, title="Sepurux gate")


def _refuse_settings(place: Place, bad: BadSettings, workplace: Workplace) -> int:
    report = build_settings_report(bad.problems, _context(None, workplace))
    place.outputs(outputs.no_verdict(report.headline))
    place.summary(render_summary(report))
    for problem in bad.problems[:MOST_PROBLEM_ANNOTATIONS]:
        place.annotate(Level.ERROR, str(problem), title="Sepurux gate: bad settings")
    for problem in bad.problems[MOST_PROBLEM_ANNOTATIONS:]:
        place.line(f"bad settings: {problem}")
    return EXIT_UNDECIDED


def _for_this_change(settings: Settings, workplace: Workplace, place: Place) -> Settings:
    """Return the settings with the event's pull request; a number given against it is ignored with a warning."""
    of_event, given = workplace.event.pull_request, settings.pull_request
    if of_event is not None and given not in {None, of_event}:
        place.annotate(Level.WARNING, f"`pr_number` {given} is ignored: this run belongs to pull request {of_event}.")
    return settings if of_event is None else replace(settings, pull_request=of_event)


def _hide_secrets(settings: Settings, place: Place) -> Blanker:
    secrets = tuple(secret.reveal() for secret in (settings.token, settings.api_key) if secret)
    blank = Blanker(secrets)
    place.hide(blank, secrets)
    return blank


def _context(settings: Settings | None, workplace: Workplace) -> Context:
    return Context(
        repository=workplace.repository,
        commit=workplace.event.commit,
        commit_url=workplace.commit_url,
        run_url=workplace.run_url,
        base_url_host=urlsplit(settings.base_url).hostname or "" if settings else "",
        pull_request=settings.pull_request if settings else workplace.event.pull_request,
        version=__version__,
    )


class _Signals:
    """SIGINT and SIGTERM, handled because the kernel gives a container's first process no default for them."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._courier: ThreadCourier | None = None
        signal.signal(signal.SIGINT, self._receive)
        signal.signal(signal.SIGTERM, self._receive)

    def tell(self, courier: ThreadCourier) -> None:
        """Interrupt this courier when a signal comes, or at once where one has come already."""
        self._courier = courier
        if self._received is not None:
            courier.interrupt(self._received)

    def status(self, decided: int) -> int:
        """Return the exit status: the signal's, whatever was decided before, else what was decided."""
        return decided if self._received is None else EXIT_SIGNAL_BASE + self._received

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the handler's signature
        self._received = self._received or number
        if self._courier is not None:
            self._courier.interrupt(number)
