"""Owns the calls to GitHub, and is the only importer of PyGithub; never a retry of what could be done twice.

PyGithub is set up on purpose: PATCH is retried too, waits are bounded, there is no pause between writes, pages have
100 entries, and objects are lazy, so that one deed is one request. Foreign exceptions end here, as ForgeRefused.
Source: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

import requests
import urllib3
from github import Auth, BadAttributeException, Github, GithubException, GithubRetry
from github.GithubObject import NotSet

from sepurux_action import __version__
from sepurux_action.common import json_reader
from sepurux_action.common.secret import Secret
from sepurux_action.common.urls import safe_address
from sepurux_action.config.path_filter import ChangedFile
from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.github import permissions, snapshot
from sepurux_action.github.commit_status import CommitState
from sepurux_action.github.event import (
    ByCommit,
    ByHead,
    ByNumber,
    Event,
    PullRequest,
    PullRequestLookup,
    parse_pull_request,
)
from sepurux_action.github.snapshot import (
    RECENT_RESULTS_QUERY,
    SNAPSHOT_QUERY,
    Comment,
    Snapshot,
    parse_partial,
    parse_recent_results,
    parse_snapshot,
    snapshot_variables,
)
from sepurux_action.github.soft_gate_rules import Review
from sepurux_action.github.stage_advice import LOOKED_AT
from sepurux_action.host.deadlines import seconds_left

T = TypeVar("T")

TIMEOUT_S = 10  # of one request; PyGithub cannot tell connecting from reading
TRIES_AGAIN = 3
BACKOFF_S = 0.5  # the first pause is none, then 1 s and 2 s
PATIENCE_S = 90  # for a rate limit, where the caller still waits that long
LIMIT_STATUSES = frozenset({403, 429})
GONE = frozenset({404, 410})
UNPROCESSABLE = 400  # what PyGithub makes of errors in a GraphQL answer
NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
# PyGithub builds objects from whatever JSON comes, and fails in these ways over an answer of another shape; a redirect
# to another host, which it rightly does not follow, is a RuntimeError.
ODD_ANSWERS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class _Retry(GithubRetry):
    """Tries again only while somebody waits for it: what a later try did would land behind what was done since."""

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        """Wait as GitHub asks; raises ForgeRefused at once where that is longer than anybody waits."""
        asked = (self.get_retry_after(response) if response else None) or 0
        if asked > (self.max_rate_limit_wait or 0) or (asked or self.get_backoff_time()) >= seconds_left():
            limited = response is not None and response.status in LIMIT_STATUSES
            raise GitHubError(
                ErrorDetails(message="rate limit" if limited else "GitHub kept failing", rate_limited=limited)
            )
        super().sleep(response)


class _RetryRejected(urllib3.Retry):
    """Tries again only what GitHub rejected and named a time for: that had no effect, whatever the call is."""

    RETRY_AFTER_STATUS_CODES = LIMIT_STATUSES

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        """Wait as GitHub asks; raises ForgeRefused at once where that is longer than anybody waits."""
        if ((self.get_retry_after(response) if response else None) or 0) >= seconds_left():
            raise GitHubError(ErrorDetails(message="rate limit", rate_limited=True))
        super().sleep(response)


class PyGithubClient:
    """One repository on GitHub, with one token."""

    def __init__(self, api_url: str, token: Secret, repository: str, *, patience_s: float = PATIENCE_S) -> None:
        """Take the API's address (https, or http on loopback), which may have a path as on GitHub Enterprise Server.

        `patience_s` is how many seconds a rate limit may be waited out.
        """
        auth = Auth.Token(token.reveal())
        retry = _Retry(
            total=TRIES_AGAIN,
            backoff_factor=BACKOFF_S,
            allowed_methods=None,
            max_rate_limit_wait=patience_s,
        )
        self._name = repository
        self._patient = _client(api_url, auth, retry)
        rejected = _RetryRejected(
            total=TRIES_AGAIN, connect=0, read=0, other=0, backoff_factor=BACKOFF_S, allowed_methods=None
        )
        self._once = _client(api_url, auth, rejected)

    def find_pull_requests(self, question: PullRequestLookup) -> tuple[PullRequest, ...]:
        """Return the pull requests that may answer a question, as GitHub describes them."""
        match question:
            case ByNumber(number):
                return (parse_pull_request(self._call("GET", f"pulls/{number}")),)
            case ByHead():
                return self._open_from(question.owner, question.branch)
            case ByCommit(commit=commit, branch=branch):
                owner = self._name.partition("/")[0]
                listed = self._open_from(owner, branch) if branch else ()
                listed += tuple(map(parse_pull_request, self._pages(f"commits/{commit}/pulls")))
                return tuple({pull.number: pull for pull in listed}.values())

    def fetch_snapshot(self, event: Event, *, after: str = "", with_base: bool = True, config: str = "") -> Snapshot:
        """Return the pull request, our comments on it, the base's results and the policy file at `config`.

        `after` asks for later comments only.
        """
        variables = snapshot_variables(event, after=after, with_base=with_base, config=config)
        try:
            _, answer = translate_errors(lambda: self._patient.requester.graphql_query(SNAPSHOT_QUERY, variables))
        except GitHubError as refused:
            data = json_reader.fields(json_reader.fields(refused.partial_data).get("data"))
            if not isinstance(data.get("repository"), dict):
                raise
            return parse_partial(refused.partial_data, event, refused.details)
        data = json_reader.fields(json_reader.fields(answer).get("data"))
        if not isinstance(data.get("repository"), dict):
            raise GitHubError(_ODD)
        return parse_snapshot(data, event)

    def set_status(  # noqa: PLR0913 - the parts of a status
        self, commit: str, context: str, state: CommitState, description: str, url: str, *, retry: bool = True
    ) -> None:
        """Set a commit status; doing it twice shows the same."""
        repository = (self._patient if retry else self._once).get_repo(self._name)
        made = translate_errors(
            lambda: repository.get_commit(commit).create_status(
                state.value, target_url=url or NotSet, description=description, context=context
            )
        )
        _check(translate_errors(lambda: made.id))

    def create_comment(self, number: int, body: str) -> Comment:
        """Write a comment, once: after a failure nobody knows whether it is there, so the caller has to look.

        A rejection with `Retry-After` is no such failure: the call is then made again.
        """
        made = translate_errors(lambda: self._once.get_repo(self._name).get_issue(number).create_comment(body))
        return translate_errors(lambda: Comment(id=_check(made.id), body=body, url=safe_address(made.html_url)))

    def edit_comment(self, comment: Comment, body: str) -> bool:
        """Replace the body of a comment of our own; return whether there still is one."""
        try:
            answer = self._change("PATCH", comment, {"body": body})
        except GitHubError as refused:
            if refused.details.status in GONE:
                return False
            raise
        _check(json_reader.fields(answer).get("id"))
        return True

    def delete_comment(self, comment: Comment) -> None:
        """Delete a comment of our own; one that is gone already is a success."""
        try:
            answer = self._change("DELETE", comment, None)
        except GitHubError as refused:
            if refused.details.status not in GONE:
                raise
        else:
            if answer is not None:  # such as a redirect
                raise GitHubError(_ODD)

    def changed_files(self, number: int) -> tuple[ChangedFile, ...]:
        """Return the files that a pull request changes, a rename with both names; GitHub lists at most 3,000."""
        files = self._pages(f"pulls/{number}/files")
        return tuple(
            ChangedFile(str(file.get("filename", "")), str(file.get("previous_filename") or "")) for file in files
        )

    def reviews(self, number: int) -> tuple[Review, ...]:
        """Return the reviews of a pull request, the oldest first."""
        return tuple(map(_given, self._pages(f"pulls/{number}/reviews")))

    def requested_reviewers(self, number: int) -> tuple[str, ...]:
        """Return the logins that are asked for a review and have not given one."""
        answer = self._call("GET", f"pulls/{number}/requested_reviewers")
        return tuple(
            json_reader.text(json_reader.fields(user).get("login"))
            for user in json_reader.items(json_reader.fields(answer).get("users"))
        )

    def permission(self, login: str) -> str:
        """Return what a user may do in the repository: `admin`, `write`, `read` or `none`.

        GitHub's word for `maintain` is `write` here, and for a role of the organization's own the one it builds on.
        """
        try:
            answer = self._call("GET", f"collaborators/{quote(login, safe='')}/permission")
        except GitHubError as refused:
            if refused.details.status == 404:  # noqa: PLR2004 - no user of that name
                return "none"
            raise
        return json_reader.text(json_reader.fields(answer).get("permission"))

    def request_review(self, number: int, login: str) -> None:
        """Ask one user for a review; one call each, because GitHub refuses a list as a whole."""
        self._call("POST", f"pulls/{number}/requested_reviewers", body={"reviewers": [login]})

    def required_contexts(self, branch: str) -> tuple[str, ...]:
        """Return the status contexts that rules of a branch require."""
        answer = self._call("GET", f"rules/branches/{quote(branch, safe='')}")
        rules = [json_reader.fields(json_reader.fields(rule).get("parameters")) for rule in json_reader.items(answer)]
        checks = [check for rule in rules for check in json_reader.items(rule.get("required_status_checks"))]
        return tuple(json_reader.text(json_reader.fields(check).get("context")) for check in checks)

    def recent_results(self, base: str) -> tuple[Mapping[str, PreviousResult], ...]:
        """Return what the last pull requests into a branch came to, by context, the newest first."""
        owner, _, name = self._name.partition("/")
        variables = {"owner": owner, "name": name, "base": base, "last": LOOKED_AT}
        _, answer = translate_errors(lambda: self._patient.requester.graphql_query(RECENT_RESULTS_QUERY, variables))
        return parse_recent_results(json_reader.fields(answer).get("data"))

    def _change(self, verb: str, comment: Comment, body: dict[str, str] | None) -> object:
        # PyGithub reaches a comment through its issue, by a read of the comment first; the address is known.
        return self._call(verb, f"issues/comments/{comment.id}", body=body)

    def _call(
        self,
        verb: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> object:
        """Return the answer to one call below the repository, whatever shape it has."""
        below = f"/repos/{self._name}/{path}"
        given = dict(parameters) if parameters else None
        _, answer = translate_errors(
            lambda: self._patient.requester.requestJsonAndCheck(verb, below, parameters=given, input=body)
        )
        return answer

    def _open_from(self, owner: str, branch: str) -> tuple[PullRequest, ...]:
        return tuple(map(parse_pull_request, self._pages("pulls", state="open", head=f"{owner}:{branch}")))

    def _pages(self, path: str, **parameters: str) -> list[Mapping[str, object]]:
        # PyGithub's list would read each entry once more to give its raw data.
        entries: list[Mapping[str, object]] = []
        for number in range(1, snapshot.MAX_PAGES + 1):
            answer = self._call(
                "GET", path, parameters={**parameters, "per_page": str(snapshot.PAGE), "page": str(number)}
            )
            if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
                raise GitHubError(_ODD)
            entries += answer
            if len(answer) < snapshot.PAGE:
                return entries
        raise GitHubError(ErrorDetails(message=f"more than {snapshot.MAX_PAGES * snapshot.PAGE} entries"))


def _given(review: Mapping[str, object]) -> Review:
    user = json_reader.fields(review.get("user"))
    return Review(
        author=json_reader.text(user.get("login")),
        state=json_reader.text(review.get("state")).upper(),
        commit=json_reader.text(review.get("commit_id")),
        kind=json_reader.text(user.get("type")),
    )


def _client(api_url: str, auth: Auth.Token, retry: urllib3.Retry) -> Github:
    return Github(
        auth=auth,
        base_url=api_url,
        timeout=TIMEOUT_S,
        user_agent=f"sepurux-gate-action/{__version__}",
        per_page=snapshot.PAGE,
        retry=retry,
        seconds_between_requests=0,
        seconds_between_writes=0,
        lazy=True,
    )


def translate_errors(deed: Callable[[], T]) -> T:
    """Return what a deed returns; raises ForgeRefused for everything that PyGithub and the network raise."""
    try:
        return deed()
    except GithubException as error:
        raise GitHubError(_refusal(error), error.data) from None  # GraphQL gives beside a refusal what may be read
    except NETWORK_ERRORS as error:
        raise GitHubError(_unreached(error)) from None
    except (BadAttributeException, *ODD_ANSWERS):
        raise GitHubError(_ODD) from None


_ODD = ErrorDetails(message="an answer of an unknown shape, or a redirect")


def _check(number: object) -> int:
    """Return the number of what was made; raises ForgeRefused where a success holds none, such as a proxy's page."""
    if not isinstance(number, int):
        raise GitHubError(_ODD)
    return number


def _refusal(error: GithubException) -> ErrorDetails:
    data, headers = json_reader.fields(error.data), {k.lower(): v for k, v in (error.headers or {}).items()}
    faults = [json_reader.fields(fault) for fault in json_reader.items(data.get("errors"))]
    messages = [json_reader.text(data.get("message")), *(json_reader.text(fault.get("message")) for fault in faults)]
    message = "; ".join(dict.fromkeys(filter(None, messages)))
    kinds = {json_reader.text(fault.get("type")) for fault in faults}
    limited = "RATE_LIMITED" in kinds or (
        error.status in LIMIT_STATUSES
        and ("rate limit" in message.lower() or "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0")
    )
    graphql = error.status == UNPROCESSABLE and bool(kinds - {""})
    return ErrorDetails(
        status=0 if graphql else error.status,
        message=message,
        accepted=permissions.accepted(data.get("errors"))
        if graphql
        else str(headers.get("x-accepted-github-permissions", "")),
        forbidden=not limited and ("FORBIDDEN" in kinds or error.status == 403),  # noqa: PLR2004
        rate_limited=limited,
    )


def _unreached(error: Exception) -> ErrorDetails:
    """Return the refusal that no answer is; never the exception's text, which quotes addresses."""
    match error:
        case requests.exceptions.RetryError():
            limited = any(f"too many {status} " in str(error) for status in LIMIT_STATUSES)  # urllib3 says no more
            return ErrorDetails(message="GitHub kept failing" if not limited else "rate limit", rate_limited=limited)
        case requests.Timeout():
            return ErrorDetails(message="GitHub did not answer in time")
        case _:
            return ErrorDetails(message="the connection to GitHub failed")
