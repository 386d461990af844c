"""The soft gate: whose review approves it, reading these reviews, and requesting them.

Sources: docs/configuration.md#the-soft-gate; the permissions of a user,
https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from operator import methodcaller

from sepurux_action.config.parsers import BOT_SUFFIX
from sepurux_action.evaluation.decision import ApprovalStatus, Reason, Refusal
from sepurux_action.github.bounded_calls import READS_S, BoundedCalls
from sepurux_action.github.client import Review
from sepurux_action.github.event import PERSON, PullRequest
from sepurux_action.github.permissions import Operation
from sepurux_action.github.subject import Subject, fetch_page

MAY_WRITE = frozenset({"write", "maintain", "admin"})
APPROVED = "APPROVED"
DECISIVE = frozenset({APPROVED, "CHANGES_REQUESTED", "DISMISSED"})
UNSENT = "PENDING"  # the state of a review that its author has not submitted
UNREAD = Reason.UNKNOWN_REQUESTERS  # for an unknown permission too: no report shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRules:
    """What decides whether a review approves a gate: author and head of the pull request, `reviewers`, permissions.

    Without `reviewers`, everyone who may write can approve. `permission` returns GitHub's permission of a user, None if
    it cannot be read. `requesters` are the people who made the commit, or asked a bot for it; None if they cannot be
    read: then no one can approve. The function is called only if it decides, because each call is a request.
    """

    author: str
    head: str
    permission: Callable[[str], str | None]
    reviewers: tuple[str, ...] = ()
    requesters: tuple[Refusal, ...] | None = ()

    def refusal(self, login: str, kind: str = PERSON) -> Reason | None:
        """Return why this account cannot approve the gate; an account of unknown permission cannot. None if it can."""
        if kind != PERSON or login.lower().endswith(BOT_SUFFIX):
            return Reason.BOT
        if login.lower() == self.author.lower():
            return Reason.AUTHOR
        if reason := _reason_of(login, self.requesters):
            return reason
        if self.reviewers and login.lower() not in map(str.lower, self.reviewers):
            return Reason.NOT_LISTED
        if self.requesters is None or (permission := self.permission(login)) is None:
            return UNREAD
        return None if permission in MAY_WRITE else Reason.NO_WRITE_ACCESS


def _reason_of(login: str, refusals: Iterable[Refusal] | None) -> Reason | None:
    return next((each.reason for each in refusals or () if each.login.lower() == login.lower()), None)


def approval_status(reviews: Iterable[Review], rules: ApprovalRules) -> ApprovalStatus:
    """Return whether the reviews, the oldest first, approve the gate, and else who can. One approval is enough.

    Of each user, the last decisive review counts. The status is `unread` if an unknown permission may be that of an
    approver, or of the only reviewers who can approve.
    """
    ignored, newest = list[Refusal](), dict[str, Review]()
    for review in reversed([review for review in reviews if review.author and review.state in DECISIVE]):
        newest.setdefault(review.author.lower(), review)
    for review in [review for review in newest.values() if review.state == APPROVED]:
        outdated = not rules.head or review.commit != rules.head
        reason = Reason.OLDER_COMMIT if outdated else rules.refusal(review.author, review.kind)
        if reason is None:
            return ApprovalStatus(commit=rules.head, approved_by=(review.author,))
        ignored.append(Refusal(review.author, reason))
    others = (each for each in rules.requesters or () if each not in ignored)
    asked = [each.login for each in others if each.login.lower() != rules.author.lower()]
    reasons = {login: rules.refusal(login) for login in rules.reviewers or asked}
    can = tuple(login for login, reason in reasons.items() if reason is None)
    unread = rules.requesters is None or (not can and UNREAD in reasons.values())
    if unread or any(each.reason is UNREAD for each in ignored):
        return ApprovalStatus(commit=rules.head, unread=True)
    return ApprovalStatus(
        commit=rules.head,
        can_approve=can,
        anyone=not rules.reviewers,
        cannot_approve=tuple(Refusal(login, why) for login, why in reasons.items() if why and why is not UNREAD),
        ignored=tuple(reversed(ignored)),
    )


def reviewers_to_request(status: ApprovalStatus, reviews: Iterable[Review], requested: Iterable[str]) -> list[str]:
    done = {review.author.lower() for review in reviews if review.commit == status.commit and review.state != UNSENT}
    done.update(login.lower() for login in requested)
    return [login for login in status.can_approve if login.lower() not in done]


class ReviewGate:
    """Who may approve one pull request. Each part is read once for all gates, because GitHub may hang."""

    def __init__(self, calls: BoundedCalls, subject: Subject) -> None:
        self._calls, self._event = calls, subject.event
        self._permission = cache(lambda login: calls.try_call(Operation.REVIEWS, methodcaller("permission", login)))
        self._waiting: list[ApprovalStatus] = []

    def approval(self, reviewers: tuple[str, ...]) -> ApprovalStatus:
        status = ApprovalStatus(unread=True)
        if self._pull.head_sha and self._reviews is not None:
            status = approval_status(self._reviews, self._rules(reviewers))
            if status.can_approve:
                self._waiting.append(status)
        return status

    def _rules(self, reviewers: tuple[str, ...]) -> ApprovalRules:
        return ApprovalRules(
            author=self._pull.author,
            head=self._head,
            reviewers=reviewers,
            permission=lambda login: self._permission(login.lower()),
            requesters=self._requesters,
        )

    @property
    def _head(self) -> str:
        return self._pull.head_sha if self._event.name == "merge_group" else self._event.commit

    @cached_property
    def _requesters(self) -> tuple[Refusal, ...] | None:
        read = methodcaller("requesters", self._event.pull_request, self._head, by_agent=self._pull.by_agent)
        return self._calls.try_call(Operation.REQUESTERS, read)

    @cached_property
    def _pull(self) -> PullRequest:
        self._calls.set_timeout(READS_S)  # the deadline of the first reads passed during the evaluation
        page = fetch_page(self._calls, self._event)
        return page.pull_request if page else PullRequest()

    @cached_property
    def _reviews(self) -> tuple[Review, ...] | None:
        return self._calls.try_call(Operation.REVIEWS, methodcaller("reviews", self._event.pull_request))

    def request_reviews(self) -> None:
        if not self._waiting:
            return
        number, reviews = self._event.pull_request, self._reviews or ()
        requested = self._calls.try_call(Operation.REQUEST_REVIEW, methodcaller("requested_reviewers", number))
        if requested is None:
            return
        logins = [login for status in self._waiting for login in reviewers_to_request(status, reviews, requested)]
        calls = {login: partial(self._calls.call, methodcaller("request_review", number, login)) for login in logins}
        self._calls.try_each(Operation.REQUEST_REVIEW, calls)
