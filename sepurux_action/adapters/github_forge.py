"""Owns the calls to GitHub, and is the only importer of PyGithub; never a retry of what could be done twice.

PyGithub is set up on purpose: PATCH is retried too, waits are bounded, there is no pause between writes, pages have
100 entries, and objects are lazy, so that one deed is one request. Foreign exceptions end here, as ForgeRefused.
Source: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import TypeVar

import requests
import urllib3
from github import Auth, Github, GithubException, GithubRetry
from github.GithubObject import NotSet

from sepurux_action import __version__
from sepurux_action.core import forge, wire
from sepurux_action.core.event import ByCommit, ByHead, ByNumber, Event, PullRequest, Question, parse_pull_request
from sepurux_action.core.forge import READ, Comment, Look, Refusal, State, read_look, read_variables
from sepurux_action.core.secret import Secret
from sepurux_action.errors import ForgeRefused

T = TypeVar("T")

TIMEOUT_S = 10  # of one request; PyGithub cannot tell connecting from reading
TRIES_AGAIN = 3
BACKOFF_S = 0.5  # the first pause is none, then 1 s and 2 s
PATIENCE_S = 60  # for a rate limit; the caller's own bound is shorter still for reads
LIMIT_STATUSES = frozenset({403, 429})
UNPROCESSABLE = 400  # what PyGithub makes of errors in a GraphQL answer
NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
# PyGithub builds objects from whatever JSON comes, and fails in these ways over an answer of another shape.
ODD_ANSWERS = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class GitHubForge:
    """One repository on GitHub, with one token."""

    def __init__(self, api_url: str, token: Secret, repository: str, *, patience_s: float = PATIENCE_S) -> None:
        """Take the API's address (https, or http on loopback), which may have a path as on GitHub Enterprise Server.

        `patience_s` is how many seconds a rate limit may be waited out.
        """
        auth = Auth.Token(token.reveal())
        retry = GithubRetry(
            total=TRIES_AGAIN,
            backoff_factor=BACKOFF_S,
            allowed_methods=None,
            max_rate_limit_wait=patience_s,
            retry_after_max=int(patience_s),
        )
        self._name = repository
        self._patient = _client(api_url, auth, retry)
        self._once = _client(api_url, auth, None)

    def candidates(self, question: Question) -> tuple[PullRequest, ...]:
        """Return the pull requests that may answer a question, as GitHub describes them."""
        match question:
            case ByNumber(number):
                return (_translated(lambda: self._raw(f"pulls/{number}")),)
            case ByHead():
                head = f"{question.owner}:{question.branch}"
                return _translated(lambda: self._listed("pulls", state="open", head=head))
            case ByCommit():
                return _translated(lambda: self._listed(f"commits/{question.commit}/pulls"))

    def look(self, event: Event, *, after: str = "", with_base: bool = True) -> Look:
        """Return the pull request, our comments on it and the base's results; `after` asks for later comments only."""
        variables = read_variables(event, after=after, with_base=with_base)
        _, answer = _translated(lambda: self._patient.requester.graphql_query(READ, variables))
        data = wire.fields(wire.fields(answer).get("data"))
        if not isinstance(data.get("repository"), dict):
            raise ForgeRefused(_ODD)
        return read_look(data, event)

    def set_status(self, commit: str, context: str, state: State, description: str, url: str) -> None:
        """Set a commit status; doing it twice shows the same."""
        repository = self._patient.get_repo(self._name)
        made = _translated(
            lambda: repository.get_commit(commit).create_status(
                state.value, target_url=url or NotSet, description=description, context=context
            )
        )
        _check(_translated(lambda: made.id))

    def create_comment(self, number: int, body: str) -> Comment:
        """Write a comment, once: after a failure nobody knows whether it is there, so the caller has to look."""
        made = _translated(lambda: self._once.get_repo(self._name).get_issue(number).create_comment(body))
        return _translated(lambda: Comment(id=_check(made.id), body=body, url=made.html_url))

    def edit_comment(self, comment: Comment, body: str) -> None:
        """Replace the body of a comment of our own."""
        self._change("PATCH", comment, {"body": body})

    def delete_comment(self, comment: Comment) -> None:
        """Delete a comment of our own; one that is gone already is a success."""
        try:
            self._change("DELETE", comment, None)
        except ForgeRefused as refused:
            if refused.refusal.status not in {404, 410}:
                raise

    def _change(self, verb: str, comment: Comment, body: dict[str, str] | None) -> None:
        # PyGithub reaches a comment through its issue, by a read of the comment first; the address is known.
        path = f"/repos/{self._name}/issues/comments/{comment.id}"
        _translated(lambda: self._patient.requester.requestJsonAndCheck(verb, path, input=body))

    def _raw(self, path: str) -> PullRequest:
        _, answer = self._patient.requester.requestJsonAndCheck("GET", f"/repos/{self._name}/{path}")
        return parse_pull_request(answer)

    def _listed(self, path: str, **parameters: str) -> tuple[PullRequest, ...]:
        _, answer = self._patient.requester.requestJsonAndCheck(
            "GET", f"/repos/{self._name}/{path}", parameters={**parameters, "per_page": "100"}
        )
        return tuple(map(parse_pull_request, wire.items(answer)))


def _client(api_url: str, auth: Auth.Token, retry: GithubRetry | None) -> Github:
    return Github(
        auth=auth,
        base_url=api_url,
        timeout=TIMEOUT_S,
        user_agent=f"sepurux-gate-action/{__version__}",
        per_page=forge.PAGE,
        retry=retry,
        seconds_between_requests=0,
        seconds_between_writes=0,
        lazy=True,
    )


def _translated(deed: Callable[[], T]) -> T:
    """Return what a deed returns; raises ForgeRefused for everything that PyGithub and the network raise."""
    try:
        return deed()
    except GithubException as error:
        raise ForgeRefused(_refusal(error)) from None
    except NETWORK_ERRORS as error:
        raise ForgeRefused(_unreached(error)) from None
    except ODD_ANSWERS:
        raise ForgeRefused(_ODD) from None


_ODD = Refusal(message="an answer of an unknown shape")


def _check(number: object) -> int:
    """Return the number of what was made; raises ForgeRefused where a success holds none, such as a proxy's page."""
    if not isinstance(number, int):
        raise ForgeRefused(_ODD)
    return number


def _refusal(error: GithubException) -> Refusal:
    data, headers = wire.fields(error.data), {k.lower(): v for k, v in (error.headers or {}).items()}
    faults = [wire.fields(fault) for fault in wire.items(data.get("errors"))]
    messages = [wire.text(data.get("message")), *(wire.text(fault.get("message")) for fault in faults)]
    message = "; ".join(dict.fromkeys(filter(None, messages)))
    kinds = {wire.text(fault.get("type")) for fault in faults}
    limited = "RATE_LIMITED" in kinds or (
        error.status in LIMIT_STATUSES
        and ("rate limit" in message.lower() or "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0")
    )
    graphql = error.status == UNPROCESSABLE and bool(kinds - {""})
    return Refusal(
        status=0 if graphql else error.status,
        message=message,
        accepted=str(headers.get("x-accepted-github-permissions", "")),
        forbidden=not limited and ("FORBIDDEN" in kinds or error.status == 403),  # noqa: PLR2004
        limited=limited,
    )


def _unreached(error: Exception) -> Refusal:
    """Return the refusal that no answer is; never the exception's text, which quotes addresses."""
    match error:
        case requests.exceptions.RetryError():
            limited = any(f"too many {status} " in str(error) for status in LIMIT_STATUSES)  # urllib3 says no more
            return Refusal(message="GitHub kept failing" if not limited else "rate limit", limited=limited)
        case requests.Timeout():
            return Refusal(message="GitHub did not answer in time")
        case _:
            return Refusal(message="the connection to GitHub failed")
