"""What a run has, as one object for the functions of the flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from sepurux_action.common.secret import Redactor
from sepurux_action.config.settings import Settings
from sepurux_action.connections import Connections
from sepurux_action.github.event import Event
from sepurux_action.github.policy_source import ResolvedPolicy
from sepurux_action.github.session import GitHubSession
from sepurux_action.host.output import Output
from sepurux_action.host.signals import Signals


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
        """Return the event; its pull request is known once GitHub has been asked for it."""
        return self.github.event
