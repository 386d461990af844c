"""The rules of the soft gate: whose review approves it, and of whom a review is requested.

Sources: contract, section 6; the permissions of a user,
https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sepurux_action.config.parsers import BOT_SUFFIX

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

    Without `reviewers`, everyone who may write can approve. `permissions` are GitHub's, by login; a login that is not
    among them may not write.
    """

    author: str
    head: str
    reviewers: tuple[str, ...] = ()
    permissions: Mapping[str, str] = field(default_factory=dict)

    def ineligibility(self, login: str, kind: str = PERSON) -> str:
        """Return why this account cannot approve the gate, as a clause, or ''."""
        return self.account_ineligibility(login, kind) or (
            "" if self._permission(login) in MAY_WRITE else "may not write here"
        )

    def account_ineligibility(self, login: str, kind: str = PERSON) -> str:
        """Return why this account cannot approve the gate, whatever its permission, as a clause, or ''."""
        if kind != PERSON or login.lower().endswith(BOT_SUFFIX):
            return "is a bot"
        if _same(login, self.author):
            return "is the author of the pull request"
        if self.reviewers and not any(_same(login, each) for each in self.reviewers):
            return "is not listed in `reviewers`"
        return ""

    def _permission(self, login: str) -> str:
        return next((permission for each, permission in self.permissions.items() if _same(login, each)), "")

    @property
    def eligible(self) -> str:
        """Return who can approve the gate, to complete "... can open this gate by an approving review"."""
        if not self.reviewers:
            return "anyone with write access except the author of the pull request"
        able = [login for login in self.reviewers if not self.ineligibility(login)]
        return _listed(able, "or") if able else "nobody"

    @property
    def why_none_is_eligible(self) -> str:
        """Return why each of the listed reviewers is ineligible; '' if one of them is eligible."""
        reasons = {login: self.ineligibility(login) for login in self.reviewers}
        return "; ".join(f"{login} {why}" for login, why in reasons.items()) if all(reasons.values()) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Whether reviews approve the gate: `by` names who approved, `ignored` says why other approvals do not count."""

    by: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        """Return whether the gate is approved."""
        return bool(self.by)

    @property
    def reason(self) -> str:
        """Return who approved the gate, or why approvals do not count, as a clause; '' if there was no approval."""
        return f"{_listed(self.by, 'and')} approved this commit" if self.by else "; ".join(self.ignored)


def approval(reviews: Iterable[Review], rules: ApprovalRules) -> Approval:
    """Return whether the reviews, the oldest first, approve the gate."""
    by, ignored = [], []
    for review in _latest(reviews).values():
        if review.state != APPROVED:
            continue
        if not rules.head or review.commit != rules.head:
            ignored.append(f"{review.author} approved an older commit")
        elif why := rules.ineligibility(review.author, review.kind):
            ignored.append(f"{review.author} approved, but {why}")
        else:
            by.append(review.author)
    return Approval(by=tuple(by), ignored=tuple(ignored))


def approvers_to_check(reviews: Iterable[Review], rules: ApprovalRules) -> tuple[str, ...]:
    """Return the approvers who are eligible if they may write, the newest approval first. One of them is enough."""
    return tuple(
        review.author
        for review in reversed(_latest(reviews).values())
        if review.state == APPROVED
        and review.commit == rules.head
        and not rules.account_ineligibility(review.author, review.kind)
    )


def reviewers_to_request(rules: ApprovalRules, reviews: Iterable[Review], requested: Iterable[str]) -> tuple[str, ...]:
    """Return the listed reviewers who can approve, have not reviewed this head, and of whom no review is requested."""
    done = {review.author.lower() for review in reviews if review.commit == rules.head and review.state != UNSENT}
    done.update(login.lower() for login in requested)
    return tuple(each for each in rules.reviewers if each.lower() not in done and not rules.ineligibility(each))


def _latest(reviews: Iterable[Review]) -> dict[str, Review]:
    """Return each user's last decisive review, by login, the oldest first. The given reviews are in that order."""
    latest: dict[str, Review] = {}
    for review in reviews:
        if review.author and review.state in DECISIVE:
            latest.pop(review.author.lower(), None)  # so that it moves to the end
            latest[review.author.lower()] = review
    return latest


def _same(login: str, other: str) -> bool:
    return login.lower() == other.lower()


def _listed(logins: Iterable[str], word: str) -> str:
    *first, last = logins
    return f"{', '.join(first)} {word} {last}" if first else last
