"""Owns who opens a soft gate by a review, and who is asked for one; never fetches a review or a permission.

Source: contract, section 6. Permissions come as a mapping from login to GitHub's word for what the person may do here,
https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sepurux_action.config.parsers import BOT_SUFFIX

MAY_WRITE = frozenset({"write", "maintain", "admin"})
APPROVED = "APPROVED"
DECISIVE = frozenset({APPROVED, "CHANGES_REQUESTED", "DISMISSED"})
UNSENT = "PENDING"  # the state of a review that its author has not sent
PERSON = "User"  # GitHub's type of an account that is neither a bot nor an app


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review of the pull terms. `kind` is the type of its author's account, `state` as REST spells it."""

    author: str
    state: str
    commit: str
    kind: str = PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRules:
    """On what terms a review counts: the pull request's author and head commit, and the `reviewers` of the policy.

    No `reviewers`: whoever may write. `permissions` are GitHub's words by login; a login without one may not write.
    """

    author: str
    head: str
    reviewers: tuple[str, ...] = ()
    permissions: Mapping[str, str] = field(default_factory=dict)

    def ineligibility(self, login: str, kind: str = PERSON) -> str:
        """Return why this account cannot open the gate, a clause, or ''."""
        return self.account_ineligibility(login, kind) or (
            "" if self._permission(login) in MAY_WRITE else "may not write here"
        )

    def account_ineligibility(self, login: str, kind: str = PERSON) -> str:
        """Return why this account cannot open the gate whatever it may do in the repository, a clause, or ''."""
        if kind != PERSON or login.lower().endswith(BOT_SUFFIX):
            return "is a bot"
        if _same(login, self.author):
            return "is the author of the pull request"
        if self.reviewers and not any(_same(login, each) for each in self.reviewers):
            return "is not listed in `reviewers`"
        return ""

    def _permission(self, login: str) -> str:
        return next((word for each, word in self.permissions.items() if _same(login, each)), "")

    @property
    def eligible(self) -> str:
        """Return who can open the gate, to complete "... can open this gate by an approving review"."""
        if not self.reviewers:
            return "anyone with write access except the author of the pull request"
        able = [login for login in self.reviewers if not self.ineligibility(login)]
        return _listed(able, "or") if able else "nobody"

    @property
    def why_none_is_eligible(self) -> str:
        """Return, where no listed reviewer can open the gate, what keeps each of them; else ''."""
        kept = [(login, self.ineligibility(login)) for login in self.reviewers]
        return "; ".join(f"{login} {why}" for login, why in kept) if kept and all(why for _, why in kept) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Whether reviews open the gate: `by` names who approved, `ignored` tells why other approvals do not count."""

    by: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        """Return whether the gate is open."""
        return bool(self.by)

    @property
    def reason(self) -> str:
        """Return the reason, a clause: who opened the gate, or which approvals did not; '' when there was none."""
        return f"{_listed(self.by, 'and')} approved this commit" if self.by else "; ".join(self.ignored)


def approval(reviews: Iterable[Review], terms: ApprovalRules) -> Approval:
    """Return whether the reviews, the oldest first, open the gate."""
    by, ignored = [], []
    for review in _latest(reviews).values():
        if review.state != APPROVED:
            continue
        if not terms.head or review.commit != terms.head:
            ignored.append(f"{review.author} approved an older commit")
        elif obstacle := terms.ineligibility(review.author, review.kind):
            ignored.append(f"{review.author} approved, but {obstacle}")
        else:
            by.append(review.author)
    return Approval(by=tuple(by), ignored=tuple(ignored))


def approvers_to_check(reviews: Iterable[Review], terms: ApprovalRules) -> tuple[str, ...]:
    """Return the logins whose permission decides `opening`, the newest approval first.

    All else about their approval is well. One of them with write access is enough to open the gate.
    """
    return tuple(
        review.author
        for review in reversed(_latest(reviews).values())
        if review.state == APPROVED
        and review.commit == terms.head
        and not terms.account_ineligibility(review.author, review.kind)
    )


def reviewers_to_request(terms: ApprovalRules, reviews: Iterable[Review], asked: Iterable[str]) -> tuple[str, ...]:
    """Return whom to ask: listed, able to open the gate, neither asked already nor with a review of this head."""
    done = {review.author.lower() for review in reviews if review.commit == terms.head and review.state != UNSENT}
    done.update(login.lower() for login in asked)
    return tuple(each for each in terms.reviewers if each.lower() not in done and not terms.ineligibility(each))


def _latest(reviews: Iterable[Review]) -> dict[str, Review]:
    """Return each user's last decisive review, by login, the oldest first; so come the reviews."""
    standing: dict[str, Review] = {}
    for review in reviews:
        if review.author and review.state in DECISIVE:
            standing.pop(review.author.lower(), None)  # so that it moves to the end
            standing[review.author.lower()] = review
    return standing


def _same(login: str, other: str) -> bool:
    return login.lower() == other.lower()


def _listed(logins: Iterable[str], word: str) -> str:
    *first, last = logins
    return f"{', '.join(first)} {word} {last}" if first else last
