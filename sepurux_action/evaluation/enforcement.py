"""Whether a decision blocks in each stage, the approval of a soft gate, and the exit status (docs/reference.md)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from sepurux_action.config.options import OnOutage, Stage
from sepurux_action.evaluation.decision import Decision, Rule

EXIT_BLOCKED = 1  # a gate blocks because of a `fail`
EXIT_UNDECIDED = 2  # a gate blocks for any other reason


def enforce(decision: Decision, stage: Stage, *, approved: bool = False) -> bool:
    """Return whether a gate with this decision blocks. A soft gate that failed is `approved` by a review."""
    if decision in {Decision.PASS, Decision.SKIPPED} or stage is Stage.OBSERVE:
        return False
    return not (approved and stage is Stage.SOFT and decision is Decision.FAIL)


def is_allowed(rule: Rule, on_outage: OnOutage) -> bool:
    """Return whether a gate does not block because Sepurux is down."""
    return rule is Rule.OUTAGE and on_outage is OnOutage.ALLOW


def exit_status(gates: Iterable[tuple[Decision, bool]]) -> int:
    blocking = [decision for decision, blocks in gates if blocks]
    if Decision.FAIL in blocking:
        return EXIT_BLOCKED
    return EXIT_UNDECIDED if blocking else 0


class Reason(StrEnum):
    """Why an account cannot approve a gate, or why its approval does not count. `words` follow its name."""

    words: str

    def __new__(cls, value: str, words: str) -> Self:
        reason = str.__new__(cls, value)
        reason._value_, reason.words = value, words
        return reason

    BOT = "bot", "is a bot"
    AUTHOR = "author", "is the author of the pull request"
    ASSIGNEE = "assignee", "is assigned to this pull request, which a bot opened"
    COMMIT_AUTHOR = "commit_author", "is an author of the commit"
    NOT_LISTED = "not_listed", "is not listed in `reviewers`"
    NO_WRITE_ACCESS = "no_write_access", "has no write access"
    UNKNOWN_REQUESTERS = "unknown_requesters", "may have made the commit, which could not be read"
    OLDER_COMMIT = "older_commit", "approved an older commit"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An account whose approval does not count, and the reason."""

    login: Annotated[str, "Login of the user."]
    reason: Annotated[Reason, "Why the approval does not count."]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStatus:
    """Who approved a failed soft gate of a pull request, or who can. Once approved, only `approved_by` is given."""

    commit: Annotated[str, "The commit to approve: the head of the pull request, also for a merge group."] = ""
    approved_by: Annotated[tuple[str, ...], "Logins of those who approved."] = ()
    can_approve: Annotated[tuple[str, ...], "Logins of the listed reviewers who can approve."] = ()
    anyone: Annotated[bool, "Whether everyone with write access but the author can approve: none are listed."] = False
    cannot_approve: Annotated[tuple[Refusal, ...], "Who may not approve: of the listed, or who made the commit."] = ()
    ignored: Annotated[tuple[Refusal, ...], "Approvals that do not count, and why."] = ()
    unread: Annotated[bool, "Whether the reviews, or who can approve, could not be read."] = False

    @property
    def approved(self) -> bool:
        return bool(self.approved_by)
