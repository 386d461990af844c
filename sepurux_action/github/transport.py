"""Sends calls to GitHub by PyGithub's requester: one request for each, and GitHubError for every failure.

PyGithub retries PATCH too, waits only for a bounded time, and does not pause between writes. Its own objects would
fetch each entry of a list once more, and a comment before it is changed.
Source: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self, TypeVar

import requests
import urllib3
from github import Auth, BadAttributeException, Github, GithubException, GithubRetry
from github.Requester import Requester

from sepurux_action import __version__
from sepurux_action.common import json_reader
from sepurux_action.common.secret import Secret
from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.github.client import UNEXPECTED_SHAPE, GitHubClient, joined_messages
from sepurux_action.host.deadlines import seconds_left

T = TypeVar("T")

TIMEOUT_S = 10  # of one request; PyGithub has no separate timeout for connecting
MAX_RETRIES = 3
BACKOFF_S = 0.5  # no pause before the first retry, then 1 s and 2 s
PATIENCE_S = 90  # the longest wait for a rate limit, if the caller waits as long
LIMIT_STATUSES = frozenset({403, 429})
NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
# PyGithub raises these for a response of an unexpected shape, and RuntimeError for a redirect to another host.
SHAPE_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class _Retry(GithubRetry):
    """Retries only before the caller's deadline: a later write would replace newer ones.

    With `only_rejected`, retries only a call that GitHub rejected with `Retry-After`, because it had no effect.
    """

    def __init__(self, *, only_rejected: bool = False, **options: Any) -> None:  # noqa: ANN401 - those of the library
        super().__init__(**options)
        self._only_rejected = only_rejected

    def new(self, **changes: Any) -> Self:  # noqa: ANN401 - those of the library
        """Return a copy with changes; the library counts attempts with it."""
        return super().new(only_rejected=self._only_rejected, **changes)

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: FBT001, FBT002
        """Return whether a response of this status is retried."""
        if self._only_rejected:
            return has_retry_after and status_code in LIMIT_STATUSES
        return super().is_retry(method, status_code, has_retry_after)

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        """Wait as GitHub asks; raises GitHubError at once if that is after the deadline."""
        retry_after = (self.get_retry_after(response) if response else None) or 0
        if retry_after > (self.max_rate_limit_wait or 0) or (retry_after or self.get_backoff_time()) >= seconds_left():
            limited = response is not None and response.status in LIMIT_STATUSES
            raise GitHubError(_RATE_LIMIT if limited else _OUTAGE)
        super().sleep(response)


def connect(
    api_url: str,
    token: Secret,
    repository: str,
    *,
    redact: Callable[[str], str] = str,
    waits_s: tuple[float, float] = (PATIENCE_S, BACKOFF_S),
) -> GitHubClient:
    """Return the client for a repository. `api_url` is https, or http on loopback, and may have a path.

    `waits_s` are the longest wait for a rate limit, and half of the first wait after a failure, in seconds.
    """
    patience_s, backoff_s = waits_s
    retry = partial(
        _Retry, total=MAX_RETRIES, backoff_factor=backoff_s, allowed_methods=None, max_rate_limit_wait=patience_s
    )
    always = _requester(api_url, token, retry())
    once = _requester(api_url, token, retry(only_rejected=True, connect=0, read=0, other=0))

    def send(
        verb: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None, retry: bool = True
    ) -> object:
        requester = always if retry else once
        url = f"/repos/{repository}/{path}" if path else requester.graphql_url
        parameters = dict(query) if query else None
        call = partial(requester.requestJsonAndCheck, verb, url, parameters=parameters, input=body)
        _, response = translate_errors(call)
        return response

    return GitHubClient(send, repository, redact)


def _requester(api_url: str, token: Secret, retry: _Retry) -> Requester:
    return Github(
        auth=Auth.Token(token.reveal()),
        base_url=api_url,
        timeout=TIMEOUT_S,
        user_agent=f"sepurux-gate-action/{__version__}",
        retry=retry,
        seconds_between_requests=0,
        seconds_between_writes=0,
    ).requester


def translate_errors(call: Callable[[], T]) -> T:
    """Return what a call returns; raises GitHubError for every exception of PyGithub and the network."""
    try:
        return call()
    except GithubException as error:
        raise GitHubError(_rejection(error)) from None
    except NETWORK_ERRORS as error:
        raise GitHubError(_no_response(error)) from None
    except (BadAttributeException, *SHAPE_ERRORS):
        raise GitHubError(UNEXPECTED_SHAPE) from None


_RATE_LIMIT = ErrorDetails(message="rate limit", rate_limited=True)
_OUTAGE = ErrorDetails(message="GitHub kept responding with errors")


def _rejection(error: GithubException) -> ErrorDetails:
    data, headers = json_reader.as_object(error.data), {k.lower(): v for k, v in (error.headers or {}).items()}
    message = joined_messages([data, *json_reader.as_array(data.get("errors"))])
    limited = error.status in LIMIT_STATUSES and (
        "rate limit" in message.lower() or "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    )
    return ErrorDetails(
        status=error.status,
        message=message,
        accepted=str(headers.get("x-accepted-github-permissions", "")),
        forbidden=not limited and error.status == 403,  # noqa: PLR2004
        rate_limited=limited,
    )


def _no_response(error: Exception) -> ErrorDetails:
    """Return the details of a call without a response, without the exception's text, because it quotes addresses."""
    match error:
        case requests.exceptions.RetryError():
            limited = any(f"too many {status} " in str(error) for status in LIMIT_STATUSES)  # only its text says so
            return _RATE_LIMIT if limited else _OUTAGE
        case requests.Timeout():
            return ErrorDetails(message="GitHub did not respond in time")
        case _:
            return ErrorDetails(message="the connection to GitHub failed")
