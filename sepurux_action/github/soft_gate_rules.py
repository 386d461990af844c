"""The rules of the soft gate: whose review approves it, and of whom a review is requested.

Sources: docs/configuration.md#the-soft-gate; the permissions of a user,
https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sepurux_action.config.kinds import BOT_SUFFIX
from sepurux_action.evaluation.enforcement import ApprovalStatus, Reason, Refusal

MAY_WRITE = frozenset({"write", "maintain", "admin"})
APPROVED = "APPROVED"
DECISIVE = frozenset({APPROVED, "CHANGES_REQUESTED", "DISMISSED"})
UNSENT = "PENDING"  # the state of a review that its author has not submitted
PERSON = "User"  # GitHub's type for an account that is neither a bot nor an app


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review of the pull request. `kind` is the type of its author's account, `state` is that of the REST API."""

    author: str
    state: str
    commit: str
    kind: str = PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRules:
    """What decides whether a review approves a gate: author and head of the pull request, `reviewers`, permissions.

    Without `reviewers`, everyone who may write can approve. `permissions` are GitHub's, by lower-case login; the others
    are not known.
    """

    author: str
    head: str
    reviewers: tuple[str, ...] = ()
    permissions: Mapping[str, str] = field(default_factory=dict)

    def refusal(self, login: str, kind: str = PERSON) -> Reason | None:
        """Return why this account cannot approve the gate; an account of unknown permission cannot. None if it can."""
        may_write = self.permissions.get(login.lower()) in MAY_WRITE
        return self.account_refusal(login, kind) or (None if may_write else Reason.NO_WRITE_ACCESS)

    def account_refusal(self, login: str, kind: str = PERSON) -> Reason | None:
        """Return why this account cannot approve the gate, whatever its permission; None if the permission decides."""
        if kind != PERSON or login.lower().endswith(BOT_SUFFIX):
            return Reason.BOT
        if login.lower() == self.author.lower():
            return Reason.AUTHOR
        if self.reviewers and login.lower() not in map(str.lower, self.reviewers):
            return Reason.NOT_LISTED
        return None

    def is_unknown(self, login: str, kind: str = PERSON) -> bool:
        """Return whether this account's permission decides, and is not known."""
        return self.account_refusal(login, kind) is None and login.lower() not in self.permissions


def approval_status(reviews: Iterable[Review], rules: ApprovalRules) -> ApprovalStatus:
    """Return whether the reviews, the oldest first, approve the gate, and else who can.

    It is `unread` if an unknown permission may be that of an approver, or of the only reviewers who can approve.
    """
    approvals = [review for review in _latest(reviews).values() if review.state == APPROVED]
    refusals = [(review, _refusal_of_approval(review, rules)) for review in approvals]
    if by := tuple(review.author for review, reason in refusals if reason is None):
        return ApprovalStatus(commit=rules.head, approved_by=by)
    can = tuple(login for login in rules.reviewers if rules.refusal(login) is None)
    missing = any(
        reason is Reason.NO_WRITE_ACCESS and rules.is_unknown(review.author, review.kind) for review, reason in refusals
    )
    if missing or (not can and any(map(rules.is_unknown, rules.reviewers))):
        return ApprovalStatus(commit=rules.head, unread=True)
    return ApprovalStatus(
        commit=rules.head,
        can_approve=can,
        anyone=not rules.reviewers,
        cannot_approve=tuple(
            Refusal(login, reason)
            for login in rules.reviewers
            if (reason := rules.refusal(login)) and not rules.is_unknown(login)
        ),
        ignored=tuple(Refusal(review.author, reason) for review, reason in refusals if reason),
    )


def _refusal_of_approval(review: Review, rules: ApprovalRules) -> Reason | None:
    if not rules.head or review.commit != rules.head:
        return Reason.OLDER_COMMIT
    return rules.refusal(review.author, review.kind)


def approvers_to_check(reviews: Iterable[Review], rules: ApprovalRules) -> tuple[str, ...]:
    """Return the approvers who are eligible if they may write, the newest approval first. One of them is enough."""
    return tuple(
        review.author
        for review in reversed(_latest(reviews).values())
        if review.state == APPROVED
        and review.commit == rules.head
        and rules.account_refusal(review.author, review.kind) is None
    )


def reviewers_to_request(rules: ApprovalRules, reviews: Iterable[Review], requested: Iterable[str]) -> tuple[str, ...]:
    """Return the listed reviewers who can approve, have not reviewed this head, and of whom no review is requested."""
    done = {review.author.lower() for review in reviews if review.commit == rules.head and review.state != UNSENT}
    done.update(login.lower() for login in requested)
    return tuple(each for each in rules.reviewers if each.lower() not in done and rules.refusal(each) is None)


def _latest(reviews: Iterable[Review]) -> dict[str, Review]:
    """Return each user's last decisive review, by login, the oldest first. The given reviews are in that order."""
    latest: dict[str, Review] = {}
    for review in reviews:
        if review.author and review.state in DECISIVE:
            latest.pop(review.author.lower(), None)  # so that it moves to the end
            latest[review.author.lower()] = review
    return latest
