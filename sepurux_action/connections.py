"""What a run connects to: the clients of GitHub and Sepurux, the clocks, and today's date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.client import Transport
from sepurux_action.github.client import GitHubClient
from sepurux_action.host.deadlines import ThreadTimeouts


def _github_client(api_url: str, token: Secret, repository: str, redact: Redactor) -> GitHubClient:
    from sepurux_action.github.transport import connect  # noqa: PLC0415 - takes 0.2 s, so only when needed

    return connect(api_url, token, repository, redact)


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """The functions that make each part of a run that interacts with the outside world. Tests replace them.

    `github` takes GitHub's address, a token, and a repository. `today` returns a day of UTC.
    """

    github: Callable[[str, Secret, str, Redactor], GitHubClient] = _github_client
    transport: Callable[..., Transport] = Transport
    calls: Callable[..., ApiCalls] = ApiCalls
    timeouts: Callable[[], ThreadTimeouts] = ThreadTimeouts
    today: Callable[[], date] = _today
