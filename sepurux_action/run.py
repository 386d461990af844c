"""What a run has, as one object for the functions of the flow, and what it connects to, which tests replace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from sepurux_action.common.secret import Redactor
from sepurux_action.config.settings import Settings
from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.client import Transport
from sepurux_action.github.event import Event
from sepurux_action.github.policy_source import ResolvedPolicy
from sepurux_action.github.session import GitHubSession
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.output import Output
from sepurux_action.host.signals import Signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """The functions that make each part of a run that depends on the outside world. `today` returns a day of UTC.

    GitHub is not among them, because PyGithub has a place of its own for a test's connection.
    """

    transport: Callable[..., Transport] = Transport
    calls: Callable[..., ApiCalls] = ApiCalls
    timeouts: Callable[[Signals], Timeouts] = Timeouts
    today: Callable[[], date] = lambda: datetime.now(UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run has. `settings` and `policy` are those that are known so far; `today` is a day of UTC."""

    host: Output
    signals: Signals
    connections: Connections
    redact: Redactor
    github: GitHubSession
    today: date
    settings: Settings
    policy: ResolvedPolicy = field(default_factory=ResolvedPolicy)

    @property
    def event(self) -> Event:
        return self.github.event
