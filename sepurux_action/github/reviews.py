"""The soft gate: whose review approves it, reading these reviews, and requesting them.

Sources: docs/policy.md#who-can-approve; the permissions of a user,
https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from sepurux_action.common import json_reader
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision, Reason, Refusal
from sepurux_action.github.client import READS_S, Calls, Client, GitHubError, Operation
from sepurux_action.github.event import Event
from sepurux_action.github.queries import BOT_SUFFIX, PERSON, read_pull_request, read_requesters

NOT_FOUND = 404
MAY_WRITE = frozenset({"write", "maintain", "admin"})
APPROVED = "APPROVED"
DECISIVE = frozenset({APPROVED, "CHANGES_REQUESTED", "DISMISSED"})
UNREAD = Reason.UNKNOWN_REQUESTERS  # for an unknown permission too: no report shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review of the pull request. `kind` is the type of its author's account, `state` is that of the REST API."""

    author: str
    state: str
    commit: str
    kind: str = PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """The reviews of a pull request, the oldest first, with its author and its head.

    `requesters` made the commit, or asked a bot for it; None if they cannot be read: then no one can approve.
    """

    author: str
    head: str
    given: tuple[Review, ...] = ()
    requesters: tuple[Refusal, ...] | None = ()


def approval(calls: Calls, event: Event, reviewers: tuple[str, ...]) -> ApprovalStatus:
    """Return whether the reviews approve a gate, and else who can; each part is read once for all gates."""
    reviews = calls.once("reviews", lambda: _read_reviews(calls, event))
    if reviews is None:
        return ApprovalStatus(unread=True)

    def permission(login: str) -> str | None:
        path = f"collaborators/{quote(login, safe='')}/permission"

        def read(client: Client) -> str:
            try:
                found = client.send("GET", path)
            except GitHubError as error:
                if error.status != NOT_FOUND:
                    raise
                return ""  # there is no such user
            return json_reader.text(found, "permission")

        return calls.once(path, lambda: calls.try_call(Operation.REVIEWS, read))

    return approval_status(reviews, reviewers, permission)


def _read_reviews(calls: Calls, event: Event) -> Reviews | None:
    calls.set_timeout(READS_S)  # the deadline of the first reads passed during the evaluation
    number = event.pull_request
    pull = calls.try_call(Operation.PULL, partial(read_pull_request, number, ""))
    if pull is None or not pull.head:
        return None
    listed = calls.try_call(Operation.REVIEWS, lambda client: [*client.pages(f"pulls/{number}/reviews")])
    if listed is None:
        return None
    given = (
        Review(
            author=json_reader.text(review, "user", "login"),
            state=json_reader.text(review.get("state")).upper(),
            commit=json_reader.text(review.get("commit_id")),
            kind=json_reader.text(review, "user", "type"),
        )
        for review in listed
    )
    head = pull.head if event.name == "merge_group" else event.commit
    requesters = calls.try_call(Operation.REQUESTERS, partial(read_requesters, number, head, pull.by_agent))
    return Reviews(author=pull.author, head=head, given=tuple(given), requesters=requesters)


def approval_status(
    reviews: Reviews, reviewers: tuple[str, ...], permission: Callable[[str], str | None]
) -> ApprovalStatus:
    """Return whether the reviews approve the gate, and else who can. One approval is enough.

    Of each user, the last decisive review counts. The status is `unread` if an unknown permission may be that of an
    approver, or of the only reviewers who can approve. `permission` returns that of a user by lower-case login, None if
    it cannot be read. It is called only if it decides, because each call is a request.
    """
    refusal = partial(_refusal, reviews, [login.lower() for login in reviewers], permission)
    ignored, newest = list[Refusal](), dict[str, Review]()
    for review in reversed([review for review in reviews.given if review.author and review.state in DECISIVE]):
        newest.setdefault(review.author.lower(), review)
    for review in [review for review in newest.values() if review.state == APPROVED]:
        outdated = not reviews.head or review.commit != reviews.head
        reason = Reason.OLDER_COMMIT if outdated else refusal(review.author, review.kind)
        if reason is None:
            return ApprovalStatus(commit=reviews.head, approved_by=(review.author,))
        ignored.append(Refusal(review.author, reason))
    others = (each for each in reviews.requesters or () if each not in ignored)
    asked = [each.login for each in others if each.login.lower() != reviews.author.lower()]
    reasons = {login: refusal(login) for login in reviewers or asked}
    can = tuple(login for login, reason in reasons.items() if reason is None)
    unread = reviews.requesters is None or (not can and UNREAD in reasons.values())
    if unread or any(each.reason is UNREAD for each in ignored):
        return ApprovalStatus(commit=reviews.head, unread=True)
    return ApprovalStatus(
        commit=reviews.head,
        can_approve=can,
        anyone=not reviewers,
        cannot_approve=tuple(Refusal(login, why) for login, why in reasons.items() if why and why is not UNREAD),
        ignored=tuple(reversed(ignored)),
    )


def _refusal(
    reviews: Reviews, reviewers: list[str], permission: Callable[[str], str | None], login: str, kind: str = PERSON
) -> Reason | None:
    """Return why this account cannot approve the gate; an account of unknown permission cannot. None if it can."""
    if kind != PERSON or login.lower().endswith(BOT_SUFFIX):
        return Reason.BOT
    if login.lower() == reviews.author.lower():
        return Reason.AUTHOR
    for each in reviews.requesters or ():
        if each.login.lower() == login.lower():
            return each.reason
    if reviewers and login.lower() not in reviewers:
        return Reason.NOT_LISTED
    if reviews.requesters is None or (known := permission(login.lower())) is None:
        return UNREAD
    return None if known in MAY_WRITE else Reason.NO_WRITE_ACCESS


def request_reviews(calls: Calls, event: Event, results: Iterable[GateDecision]) -> None:
    """Request a review of all who can approve and gave none, one by one: a wrong login would reject the whole list."""
    can = [login for each in results if each.approval for login in each.approval.can_approve]
    reviews = calls.once("reviews", lambda: _read_reviews(calls, event)) if can else None
    if reviews is None:
        return
    path = f"pulls/{event.pull_request}/requested_reviewers"

    def read(client: Client) -> set[str]:
        users = json_reader.as_array(client.send("GET", path), "users")
        return {json_reader.text(user, "login").lower() for user in users}

    def request(login: str) -> None:
        calls.call(lambda client: client.send("POST", path, body={"reviewers": [client.redact(login)]}))

    requested = calls.try_call(Operation.REQUEST_REVIEW, read)
    if requested is None:
        return
    given = (each for each in reviews.given if each.commit == reviews.head and each.state != "PENDING")
    done = {*requested, *(each.author.lower() for each in given)}
    to_ask = {login: partial(request, login) for login in can if login.lower() not in done}
    calls.try_each(Operation.REQUEST_REVIEW, to_ask)
