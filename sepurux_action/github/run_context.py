"""Parses GitHub's default variables: the repository, the event, and the addresses of the run.

Source: https://docs.github.com/actions/reference/workflows-and-actions/variables
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sepurux_action.common import json_reader
from sepurux_action.common.urls import safe_url
from sepurux_action.github.event import Event, parse_event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The workflow run that the gate is part of; unknown fields are ''.

    `api_url` is https, or http on loopback, because the token is sent there.
    """

    event: Event = field(default_factory=Event)
    repository: str = ""
    server_url: str = ""
    api_url: str = ""
    run_url: str = ""

    @property
    def commit_url(self) -> str:
        """Return the address of the evaluated commit."""
        commit = self.event.commit
        return safe_url(f"{self.server_url}/{self.repository}/commit/{commit}") if commit else ""

    @property
    def pull_request_url(self) -> str:
        """Return the address of the pull request, or ''."""
        number = self.event.pull_request
        return safe_url(f"{self.server_url}/{self.repository}/pull/{number}") if number else ""


def parse_run_context(environ: Mapping[str, str], payload: object) -> RunContext:
    """Return the context that GitHub's variables and the event's payload describe."""
    server, api = (safe_url(environ.get(f"GITHUB_{name}_URL", "")).rstrip("/") for name in ("SERVER", "API"))
    repository = json_reader.printable(environ.get("GITHUB_REPOSITORY", ""))
    run, attempt = environ.get("GITHUB_RUN_ID", ""), environ.get("GITHUB_RUN_ATTEMPT", "")
    address = f"{server}/{repository}/actions/runs/{run}" + (f"/attempts/{attempt}" if attempt else "")
    return RunContext(
        event=parse_event(environ.get("GITHUB_EVENT_NAME", ""), payload, environ),
        repository=repository,
        server_url=server,
        api_url=api,
        run_url=safe_url(address) if run else "",
    )
