"""Reads the reviews of a pull request for its soft gates, and requests reviews. Source: docs/configuration.md."""

from __future__ import annotations

from functools import cached_property, partial
from operator import methodcaller

from sepurux_action.evaluation.enforcement import ApprovalStatus
from sepurux_action.github.calls import READS_S, BoundedCalls
from sepurux_action.github.event import PullRequest
from sepurux_action.github.permissions import Operation
from sepurux_action.github.soft_gate_rules import ApprovalRules, Review, approval_status, reviewers_to_request


class ReviewGate:
    """The reviews of one pull request, fetched when the first gate needs them."""

    def __init__(self, calls: BoundedCalls) -> None:
        self._calls = calls
        self._permissions: dict[str, str | None] = {}  # by lower-case login
        self._waiting: list[ApprovalRules] = []

    def approval(self, pull: PullRequest | None, reviewers: tuple[str, ...]) -> ApprovalStatus:
        event = self._calls.event
        if pull is None or self._reviews is None:
            return ApprovalStatus(unread=True)
        head = pull.head_sha if event.name == "merge_group" else event.commit
        rules = ApprovalRules(author=pull.author, head=head, reviewers=reviewers, permission=self._permission)
        status = approval_status(self._reviews, rules)
        if status.can_approve:
            self._waiting.append(rules)
        return status

    @cached_property
    def _reviews(self) -> tuple[Review, ...] | None:
        """Fetched once for all gates, because each attempt may wait for a GitHub that hangs."""
        number = self._calls.event.pull_request
        if number is None:
            return None
        self._calls.set_timeout(READS_S)  # the deadline of the first reads passed during the evaluation
        return self._calls.try_call(Operation.REVIEWS, lambda github: github.reviews(number))

    def _permission(self, login: str) -> str | None:
        """Return the permission of a user, which is fetched once for all gates, also if it cannot be read."""
        if login.lower() not in self._permissions:
            found = self._calls.try_call(Operation.REVIEWS, lambda github: github.permission(login))
            self._permissions[login.lower()] = found
        return self._permissions[login.lower()]

    def request_reviews(self) -> None:
        """Request a review of each listed reviewer who can approve a waiting gate, unless it is requested already."""
        number = self._calls.event.pull_request
        if number is None or not self._waiting:
            return
        requested = self._calls.try_call(Operation.REQUEST_REVIEW, lambda github: github.requested_reviewers(number))
        if requested is None:
            return
        reviews = self._reviews or ()
        logins = [login for rules in self._waiting for login in reviewers_to_request(rules, reviews, requested)]
        requests = {login: methodcaller("request_review", number, login) for login in logins}
        calls = {login: partial(self._calls.call, request) for login, request in requests.items()}
        self._calls.try_each(Operation.REQUEST_REVIEW, calls)
