"""The reviews of the pull request, which approve a soft gate, and the comment, which is created once and then edited.

Sources: docs/policy.md#who-can-approve; the permissions of a user,
https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from urllib.parse import quote

from sepurux_action.common import json_reader
from sepurux_action.config.options import CommentMode
from sepurux_action.config.settings import Settings
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision
from sepurux_action.github.client import NOT_FOUND, READS_S, Calls, Client, GitHubError, Operation, check_id
from sepurux_action.github.event import Event
from sepurux_action.github.queries import BOT_SUFFIX, PERSON, Comment, PullRequest, read_pull_request, read_requesters

MARKER = "sepurux-gate"
MAY_WRITE = frozenset({"write", "maintain", "admin"})
APPROVED = "APPROVED"
DECISIVE = frozenset({APPROVED, "CHANGES_REQUESTED", "DISMISSED"})


_REVIEW = (
    ("user", "login"),
    ("state",),
    ("commit_id",),
    ("user", "type"),
)  # in the REST API


class Review(NamedTuple):
    author: str
    state: str
    commit: str
    kind: str = PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """The reviews of a pull request, the oldest first, and its head. `authors` made or requested the change."""

    head: str
    given: Sequence[Review] = ()
    authors: Collection[str] = frozenset()  # lower-case logins


def approval(calls: Calls, event: Event, reviewers: tuple[str, ...]) -> ApprovalStatus:
    """Return whether the reviews approve a gate, and else who can; each part is read once for all gates."""
    reviews = calls.once("reviews", lambda: _read_reviews(calls, event))
    if reviews is None:
        return ApprovalStatus(unread=True)

    def read(client: Client) -> ApprovalStatus:
        def permission(login: str) -> str:
            path = f"collaborators/{quote(login, safe='')}/permission"
            try:
                return json_reader.text(calls.once(path, partial(client.send, "GET", path)), "permission")
            except GitHubError as error:
                if error.status != NOT_FOUND:
                    raise
                return ""  # there is no such user

        return approval_status(reviews, reviewers, permission)

    return calls.try_call(Operation.REVIEWS, read) or ApprovalStatus(commit=reviews.head, unread=True)


def _read_reviews(calls: Calls, event: Event) -> Reviews | None:
    """Return the reviews, or None if any part cannot be read: then no one can approve."""
    calls.set_timeout(READS_S)  # the deadline of the first reads passed during the evaluation
    number = event.pull_request

    def read(client: Client) -> Reviews:
        pull = read_pull_request(number, client)
        head = pull.head if event.name == "merge_group" else event.commit
        listed = client.pages(f"pulls/{number}/reviews")
        given = [Review(*(json_reader.text(each, *path) for path in _REVIEW)) for each in listed]
        return Reviews(head=head, given=given, authors=read_requesters(pull, number, head, client))

    return calls.try_call(Operation.REVIEWS, read)


def approval_status(reviews: Reviews, reviewers: tuple[str, ...], permission: Callable[[str], str]) -> ApprovalStatus:
    """Return whether the reviews approve the gate, and else who can. One approval is enough.

    Of each user, the last decisive review counts. `permission` returns that of a user by lower-case login. It is called
    only if it decides, because each call is a request.
    """
    listed = [login.lower() for login in reviewers]

    def may_approve(login: str, kind: str = PERSON) -> bool:
        name = login.lower()
        is_other_person = kind == PERSON and not name.endswith(BOT_SUFFIX) and name not in reviews.authors
        return is_other_person and (not listed or name in listed) and permission(name) in MAY_WRITE

    decisive = (each for each in reviews.given if each.author and each.state in DECISIVE)
    newest = {each.author.lower(): each for each in decisive}
    approvals = [each for each in newest.values() if each.state == APPROVED]
    of_head = [each for each in approvals if each.commit == reviews.head]
    for each in of_head:
        if may_approve(each.author, each.kind):
            return ApprovalStatus(commit=reviews.head, approved_by=(each.author,))
    return ApprovalStatus(
        commit=reviews.head,
        can_approve=tuple(filter(may_approve, reviewers)),
        anyone=not reviewers,
        outdated=tuple(each.author for each in approvals if each not in of_head),
        ignored=tuple(each.author for each in of_head),
    )


def request_reviews(calls: Calls, event: Event, results: Iterable[GateDecision]) -> None:
    """Request a review of all who can approve and gave none, one by one: a wrong login would reject the whole list."""
    can = [login for each in results if each.approval for login in each.approval.can_approve]
    reviews = calls.once("reviews", lambda: _read_reviews(calls, event)) if can else None
    if reviews is None:
        return
    path = f"pulls/{event.pull_request}/requested_reviewers"

    def request(login: str) -> None:
        calls.call(lambda client: client.send("POST", path, body={"reviewers": [client.redact(login)]}))

    users = calls.try_call(Operation.REQUEST_REVIEW, lambda client: client.send("GET", path))
    if users is None:
        return
    requested = (json_reader.text(user, "login").lower() for user in json_reader.as_array(users, "users"))
    given = (each for each in reviews.given if each.commit == reviews.head and each.state != "PENDING")
    done = {*requested, *(each.author.lower() for each in given)}
    to_ask = {login: partial(request, login) for login in can if login.lower() not in done}
    calls.try_each(Operation.REQUEST_REVIEW, to_ask)


def read_again(calls: Calls, event: Event, settings: Settings) -> PullRequest | None:
    """Return the pull request after the evaluation, with its comments; None if there is no comment."""
    calls.set_timeout(READS_S)
    if event.pull_request is None or event.name == "merge_group" or settings.comment is CommentMode.NEVER:
        return None
    return calls.try_call(Operation.PULL, partial(read_pull_request, event.pull_request))


def marker_of(settings: Settings) -> str:
    """Return the first line of the comment, by which it is found: only the gate's name differs from other steps."""
    key = settings.gates[0].name if len(settings.gates) == 1 else "gates"
    return f"<!-- {MARKER}:{quote(key, safe='', errors='surrogatepass')} -->"


def publish_comment(calls: Calls, event: Event, pull: PullRequest, text: str, *, create: bool) -> str:
    """Edit the comment that begins with the first line of `text`, or `create` it; return its address or ''."""
    if pull.head != event.commit:
        calls.output.log("no comment: the pull request has a newer commit, which gets a run of its own")
        return ""
    marker = text.partition("\n")[0]
    ours = [each for each in pull.comments if each.body.startswith(marker)]
    if ours:
        first, *duplicates = ours  # there is more than one after a race
        edit = partial(write_comment, "PATCH", f"comments/{first.id}", text)
        is_edited = first.body == text or calls.try_call(Operation.COMMENT, edit) is not None
        for duplicate in duplicates if is_edited else ():
            calls.try_call(Operation.COMMENT, partial(delete_comment, duplicate))
        return first.url
    try:  # once: after a failure, the comment may exist
        new = partial(write_comment, "POST", f"{event.pull_request}/comments", text)
        return calls.call(new, retry=False) if create else ""
    except GitHubError as error:
        calls.warn(Operation.COMMENT, error)
    return ""


def write_comment(verb: str, path: str, text: str, client: Client) -> str:
    """Create or edit a comment; return its address."""
    made = client.send(verb, f"issues/{path}", body={"body": client.redact(text)})
    check_id(made)
    return json_reader.safe_url(json_reader.at(made, "html_url"))


def delete_comment(comment: Comment, client: Client) -> None:
    client.send("DELETE", f"issues/comments/{comment.id}")
