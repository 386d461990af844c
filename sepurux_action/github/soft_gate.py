"""Owns what reviews do to a soft gate: reading them, and asking for them; never which of them counts.

Source: contract, section 6.
"""

from __future__ import annotations

from functools import partial

from sepurux_action.github.calls import READS_S, Asking
from sepurux_action.github.event import PullRequest
from sepurux_action.github.permissions import Deed
from sepurux_action.github.protocol import Forge
from sepurux_action.github.soft_gate_rules import GivenReview, Opening, Terms, in_question, opening, to_ask


class SoftGate:
    """The reviews of one pull request, read when a gate first asks for them."""

    def __init__(self, forge: Forge, asking: Asking) -> None:
        """Start with nothing read."""
        self._forge = forge
        self._asking = asking
        self._reviews: tuple[GivenReview, ...] | None = None
        self._asked = False
        self._permissions: dict[str, str] = {}  # of all terms; grows as they are read
        self._waiting: list[Terms] = []

    def opening(self, pull: PullRequest | None, reviewers: tuple[str, ...]) -> tuple[Opening, Terms] | None:
        """Return whether reviews open a gate, and on which terms; None when they cannot be read."""
        event = self._asking.event
        if event.pull_request is None or pull is None:
            return None
        if not self._asked:
            self._asked = True  # once for all gates, or each would wait again for a GitHub that hangs
            self._asking.allow(READS_S)  # again: the evaluation has used up the time of the first reads
            self._reviews = self._asking.ask(Deed.REVIEWS, self._forge.reviews, event.pull_request)
        if self._reviews is None:
            return None
        head = pull.head_sha if event.name == "merge_group" else event.commit
        terms = Terms(author=pull.author, head=head, reviewers=reviewers, permissions=self._permissions)
        known = self._read_approvers(terms)
        found = opening(self._reviews, terms)
        if not found.opened and not known:
            return None
        if not found.opened and reviewers:
            for login in reviewers:  # to tell who can approve, and to ask them
                self._read_permission(login)
            self._waiting.append(terms)
        return found, terms

    def _read_approvers(self, terms: Terms) -> bool:
        """Read the permissions that decide, until one opens the gate; return whether all of them could be read."""
        known = True
        for login in in_question(self._reviews or (), terms):
            known = self._read_permission(login) and known
            if not terms.obstacle(login):
                break  # one approval is enough: the older ones need no request
        return known

    def _read_permission(self, login: str) -> bool:
        """Read a user's permission if it is not known yet; return whether it is known now."""
        if login not in self._permissions:
            word = self._asking.ask(Deed.REVIEWS, self._forge.permission, login)
            if word is None:
                return False
            self._permissions[login] = word
        return True

    def ask_for_reviews(self) -> None:
        """Ask the listed reviewers who can open a waiting gate and are not asked yet, one call each."""
        number = self._asking.event.pull_request
        if number is None or not self._waiting:
            return
        asked = self._asking.ask(Deed.ASK, self._forge.asked, number)
        if asked is None:
            return
        wanted = [login for terms in self._waiting for login in to_ask(terms, self._reviews or (), asked)]
        self._asking.each(Deed.ASK, {login: partial(self._ask_one, number, login) for login in wanted})

    def _ask_one(self, number: int, login: str) -> None:
        self._asking.once(Deed.ASK, lambda: self._forge.ask_for_review(number, login))
