"""Owns what reviews do to a soft gate: reading them, and asking for them; never which of them counts.

Source: contract, section 6.
"""

from __future__ import annotations

from dataclasses import replace

from sepurux_action.asking import READS_S, Asking
from sepurux_action.core.event import PullRequest
from sepurux_action.core.forge import Deed
from sepurux_action.core.review import GivenReview, Opening, Terms, in_question, opening, to_ask
from sepurux_action.ports import Forge


class SoftGate:
    """The reviews of one pull request, read when a gate first asks for them."""

    def __init__(self, forge: Forge, asking: Asking) -> None:
        """Start with nothing read."""
        self._forge = forge
        self._asking = asking
        self._reviews: tuple[GivenReview, ...] | None = None
        self._asked = False
        self._permissions: dict[str, str] = {}
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
        terms = Terms(author=pull.author, head=head, reviewers=reviewers)
        needed = in_question(self._reviews, terms)
        for login in dict.fromkeys((*needed, *reviewers)):  # whoever approved first: the others are only told about
            if login not in self._permissions:
                word = self._asking.ask(Deed.REVIEWS, self._forge.permission, login)
                if word is None and login in needed:
                    return None
                if word is None:
                    break
                self._permissions[login] = word
        terms = replace(terms, permissions=self._permissions)
        found = opening(self._reviews, terms)
        if not found.opened and terms.reviewers:
            self._waiting.append(terms)
        return found, terms

    def ask_for_reviews(self) -> None:
        """Ask the listed reviewers who can open a waiting gate and are not asked yet, one call each."""
        number = self._asking.event.pull_request
        if number is None or not self._waiting:
            return
        asked = self._asking.ask(Deed.ASK, self._forge.asked, number)
        if asked is None:
            return
        wanted = [login for terms in self._waiting for login in to_ask(terms, self._reviews or (), asked)]
        for login in dict.fromkeys(wanted):
            self._asking.do(Deed.ASK, self._forge.ask_for_review, number, login)
