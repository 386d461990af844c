"""What a run connects to: the client of Sepurux, the clocks, and today's date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.client import Transport
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.signals import Signals


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """The functions that make each part of a run that depends on the outside world. `today` returns a day of UTC.

    Tests replace them. GitHub is not among them, because PyGithub has a place of its own for a test's connection.
    """

    transport: Callable[..., Transport] = Transport
    calls: Callable[..., ApiCalls] = ApiCalls
    timeouts: Callable[[Signals], Timeouts] = Timeouts
    today: Callable[[], date] = _today
