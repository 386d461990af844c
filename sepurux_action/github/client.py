"""The calls to GitHub that the gate makes, and what their responses mean; every method raises GitHubError."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from sepurux_action.common import json_reader
from sepurux_action.config.path_filter import ChangedFile
from sepurux_action.errors import ErrorDetails, GitHubError, GoneError
from sepurux_action.evaluation.decision import Refusal
from sepurux_action.evaluation.published_result import Result
from sepurux_action.github import base_branch, commit, permissions, snapshot
from sepurux_action.github.base_branch import BaseBranch
from sepurux_action.github.commit import Commit, PublishedStatus, parse_status
from sepurux_action.github.event import PERSON, Event, Head, PullRequest, parse_pull_request
from sepurux_action.github.snapshot import Comment, Snapshot

UNEXPECTED_SHAPE = ErrorDetails(message="a response of an unknown shape, or a redirect")


class CommitState(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    context: str
    state: CommitState
    description: str
    url: str = ""  # where it links to


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review of the pull request. `kind` is the type of its author's account, `state` is that of the REST API."""

    author: str
    state: str
    commit: str
    kind: str = PERSON


class GitHubClient:
    """The client for one repository, with one token.

    `send` takes an HTTP method, a path below the repository ('' is GraphQL), `query`, and `body`, and returns the
    response, whatever shape it has. `redact` removes secrets from all that is sent to be shown.
    """

    def __init__(self, send: Callable[..., object], repository: str, redact: Callable[[str], str] = str) -> None:
        self._call, self._name, self._redact = send, repository, redact

    def open_pull_requests(self, head: Head) -> tuple[PullRequest, ...]:
        """Return the open pull requests of a branch, and of those with its name in other repositories of the owner."""
        label = f"{head.repository.partition('/')[0]}:{head.branch}"
        return tuple(map(parse_pull_request, self._pages("pulls", state="open", head=label)))

    def commit(self, event: Event) -> Commit:
        """Return the policy files that concern an event, and the statuses of its commit."""
        response = self._query(commit.commit_query(event), may_fail=commit.MAY_FAIL)
        return commit.parse_commit(response, event)

    def snapshot(self, number: int, after: str = "") -> Snapshot:
        """Return a pull request, and the own comments of the page after a cursor."""
        response = self._query(snapshot.SNAPSHOT_QUERY, {"number": number, "after": after or None})
        if (found := snapshot.parse_snapshot(response)) is None:
            raise GitHubError(UNEXPECTED_SHAPE)
        return found

    def base_branch(self, event: Event, contexts: set[str]) -> BaseBranch:
        response = self._query(base_branch.base_query(event))
        return base_branch.parse_base_branch(response, event.commit, contexts, self.statuses)

    def statuses(self, commit: str, account: str) -> Iterator[PublishedStatus]:
        """Return every status of a commit, the newest first; `account` is this token's. A page is read when needed."""
        return (parse_status(each, account) for each in self._pages(f"commits/{commit}/statuses"))

    def set_status(self, commit: str, status: CommitStatus) -> None:
        texts = {"description": status.description, "context": status.context, "target_url": status.url}
        body = {"state": status.state.value, **{name: self._redact(text) for name, text in texts.items() if text}}
        _check_id(self._call("POST", f"statuses/{commit}", body=body))

    def create_comment(self, number: int, body: str) -> Comment:
        """Create a comment. After a failure the comment may exist."""
        body = self._redact(body)
        made = json_reader.as_object(self._call("POST", f"issues/{number}/comments", body={"body": body}))
        return Comment(id=_check_id(made), body=body, url=json_reader.safe_url(made.get("html_url")))

    def edit_comment(self, comment: Comment, body: str) -> bool:
        """Replace the body of an own comment; return False if it has been deleted."""
        with suppress(GoneError):
            _check_id(self._call("PATCH", f"issues/comments/{comment.id}", body={"body": self._redact(body)}))
            return True
        return False

    def delete_comment(self, comment: Comment) -> None:
        """Delete an own comment; it is no error if it has been deleted already."""
        with suppress(GoneError):
            if self._call("DELETE", f"issues/comments/{comment.id}") is not None:  # such as a redirect
                raise GitHubError(UNEXPECTED_SHAPE)

    def changed_files(self, base: str, head: str) -> tuple[ChangedFile, ...]:
        """Return the files that a head changes since it left a base, with old and new name; GitHub lists at most 300.

        They are on the first page, which has one commit then.
        """
        files = json_reader.at(self._call("GET", f"compare/{base}...{head}", query={"per_page": "1"}), "files")
        if not isinstance(files, list) or not all(json_reader.text(json_reader.at(each, "filename")) for each in files):
            raise GitHubError(UNEXPECTED_SHAPE)
        return tuple(ChangedFile(each["filename"], str(each.get("previous_filename") or "")) for each in files)

    def reviews(self, number: int) -> tuple[Review, ...]:
        return tuple(
            Review(
                author=json_reader.text(json_reader.at(review, "user", "login")),
                state=json_reader.text(review.get("state")).upper(),
                commit=json_reader.text(review.get("commit_id")),
                kind=json_reader.text(json_reader.at(review, "user", "type")),
            )
            for review in self._pages(f"pulls/{number}/reviews")
        )

    def requesters(self, number: int, head: str, *, by_agent: bool) -> tuple[Refusal, ...]:
        """Return who made the head commit of a pull request, or asked a bot for it."""
        response = self._query(commit.REQUESTERS_QUERY, {"head": head, "number": number})
        if (people := commit.parse_requesters(response, by_agent=by_agent)) is None:
            raise GitHubError(UNEXPECTED_SHAPE)
        return people

    def requested_reviewers(self, number: int) -> tuple[str, ...]:
        """Return the logins of whom a review is requested and who have not given one."""
        users = json_reader.at(self._call("GET", f"pulls/{number}/requested_reviewers"), "users")
        return tuple(json_reader.text(json_reader.at(user, "login")) for user in json_reader.as_array(users))

    def permission(self, login: str) -> str:
        """Return `admin`, `write` (also for `maintain`), `read`, or `none`; for a custom role, that of its base."""
        with suppress(GoneError):
            response = self._call("GET", f"collaborators/{quote(login, safe='')}/permission")
            return json_reader.text(json_reader.at(response, "permission"))
        return "none"  # there is no user of that name

    def request_review(self, number: int, login: str) -> None:
        """Request a review of one user; one call each, because one invalid login makes GitHub reject the whole list."""
        self._call("POST", f"pulls/{number}/requested_reviewers", body={"reviewers": [self._redact(login)]})

    def required_contexts(self, branch: str) -> tuple[str, ...]:
        """Return the contexts of the statuses that rulesets require."""
        rules = self._pages(f"rules/branches/{quote(branch, safe='')}")
        checks = (json_reader.at(rule, "parameters", "required_status_checks") for rule in rules)
        return tuple(
            json_reader.text(json_reader.at(each, "context")) for one in checks for each in json_reader.as_array(one)
        )

    def recent_results(self, base: str) -> Mapping[str, list[Result]]:
        last = base_branch.RECENT_PULL_REQUESTS
        response = self._query(base_branch.RECENT_RESULTS_QUERY, {"base": base, "last": last})
        return base_branch.parse_recent_results(response)

    def _query(
        self, query: str, variables: Mapping[str, object] = {}, may_fail: frozenset[str] = frozenset()
    ) -> object:
        """Return the response to a GraphQL query, whose errors are about fields that `may_fail`.

        Beyond its limit, GitHub returns a part, and its errors need not name each missing one.
        """
        owner, _, name = self._name.partition("/")
        body = {"query": query, "variables": {"owner": owner, "name": name, **variables}}
        response = self._call("POST", "", body=body)
        error, failed = self._graphql_error(response), permissions.failed_fields(response)
        if error and (error.over_limit or not failed or failed - may_fail):
            raise GitHubError(error)
        if not isinstance(json_reader.at(response, "data", "repository"), dict):
            raise GitHubError(UNEXPECTED_SHAPE)
        return response

    def _graphql_error(self, response: object) -> ErrorDetails | None:
        """Return the details of the errors in a GraphQL response, which has status 200; None if it has none."""
        if "errors" not in json_reader.as_object(response):
            return None
        errors = list(json_reader.as_array(json_reader.at(response, "errors")))
        kinds = {json_reader.text(json_reader.at(each, "type")) for each in errors}
        hidden = kinds == {"NOT_FOUND"} or ("NOT_FOUND" in kinds and ("repository",) in permissions.error_paths(errors))
        limited = "RATE_LIMITED" in kinds
        of_statuses = {path[-1:] for path in permissions.error_paths(errors)} == {("status",)}
        return ErrorDetails(
            status=404 if hidden else 0,
            message=self._redact(joined_messages(errors)),
            accepted="statuses=read" if of_statuses else "",  # no other missing permission is clear from the errors
            forbidden="FORBIDDEN" in kinds and not limited,
            rate_limited=limited,
            over_limit="RESOURCE_LIMITS_EXCEEDED" in kinds,
        )

    def _pages(self, path: str, **parameters: str) -> Iterator[Mapping[str, object]]:
        """Yield the entries of all pages, each of which is requested when its first entry is needed."""
        for number in range(1, snapshot.MAX_PAGES + 1):
            page = self._call("GET", path, query={**parameters, "per_page": str(snapshot.PAGE), "page": str(number)})
            if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
                raise GitHubError(UNEXPECTED_SHAPE)
            yield from page
            if len(page) < snapshot.PAGE:
                return
        raise GitHubError(ErrorDetails(message=f"more than {snapshot.MAX_PAGES * snapshot.PAGE} entries"))


def _check_id(created: object) -> int:
    """Return the id of a new object; raises GitHubError if a response has none, such as a proxy's page."""
    number = json_reader.at(created, "id")
    if not isinstance(number, int):
        raise GitHubError(UNEXPECTED_SHAPE)
    return number


def joined_messages(parts: Iterable[object]) -> str:
    messages = (json_reader.text(json_reader.at(part, "message")) for part in parts)
    return "; ".join(dict.fromkeys(filter(None, messages))).replace("`", "'")  # reports link what is between them
