"""Owns what reviews do to a soft gate: reading them, and asking for them; never which of them counts.

Source: contract, section 6.
"""

from __future__ import annotations

from functools import partial

from sepurux_action.github.calls import READS_S, BoundedCalls
from sepurux_action.github.event import PullRequest
from sepurux_action.github.permissions import Operation
from sepurux_action.github.protocol import GitHubClient
from sepurux_action.github.soft_gate_rules import (
    Approval,
    ApprovalRules,
    Review,
    approval,
    approvers_to_check,
    reviewers_to_request,
)


class ReviewGate:
    """The reviews of one pull request, read when a gate first asks for them."""

    def __init__(self, client: GitHubClient, calls: BoundedCalls) -> None:
        """Start with nothing read."""
        self._client = client
        self._calls = calls
        self._reviews: tuple[Review, ...] | None = None
        self._asked = False
        self._permissions: dict[str, str] = {}  # of all terms; grows as they are read
        self._waiting: list[ApprovalRules] = []

    def approval(self, pull: PullRequest | None, reviewers: tuple[str, ...]) -> tuple[Approval, ApprovalRules] | None:
        """Return whether reviews open a gate, and on which terms; None when they cannot be read."""
        event = self._calls.event
        if event.pull_request is None or pull is None:
            return None
        if not self._asked:
            self._asked = True  # once for all gates, or each would wait again for a GitHub that hangs
            self._calls.set_timeout(READS_S)  # again: the evaluation has used up the time of the first reads
            self._reviews = self._calls.try_call(Operation.REVIEWS, self._client.reviews, event.pull_request)
        if self._reviews is None:
            return None
        head = pull.head_sha if event.name == "merge_group" else event.commit
        terms = ApprovalRules(author=pull.author, head=head, reviewers=reviewers, permissions=self._permissions)
        known = self._read_approvers(terms)
        found = approval(self._reviews, terms)
        if not found.approved and not known:
            return None
        if not found.approved and reviewers:
            for login in reviewers:  # to tell who can approve, and to ask them
                self._read_permission(login)
            self._waiting.append(terms)
        return found, terms

    def _read_approvers(self, terms: ApprovalRules) -> bool:
        """Read the permissions that decide, until one opens the gate; return whether all of them could be read."""
        known = True
        for login in approvers_to_check(self._reviews or (), terms):
            known = self._read_permission(login) and known
            if not terms.ineligibility(login):
                break  # one approval is enough: the older ones need no request
        return known

    def _read_permission(self, login: str) -> bool:
        """Read a user's permission if it is not known yet; return whether it is known now."""
        if login not in self._permissions:
            word = self._calls.try_call(Operation.REVIEWS, self._client.permission, login)
            if word is None:
                return False
            self._permissions[login] = word
        return True

    def request_reviews(self) -> None:
        """Ask the listed reviewers who can open a waiting gate and are not asked yet, one call each."""
        number = self._calls.event.pull_request
        if number is None or not self._waiting:
            return
        asked = self._calls.try_call(Operation.ASK, self._client.requested_reviewers, number)
        if asked is None:
            return
        wanted = [login for terms in self._waiting for login in reviewers_to_request(terms, self._reviews or (), asked)]
        self._calls.try_each(Operation.ASK, {login: partial(self._ask_one, number, login) for login in wanted})

    def _ask_one(self, number: int, login: str) -> None:
        self._calls.call(Operation.ASK, lambda: self._client.request_review(number, login))
