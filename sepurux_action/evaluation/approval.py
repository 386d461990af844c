"""What is known about the approval of a failed soft gate. Source: docs/configuration.md#the-soft-gate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self


class Reason(StrEnum):
    """Why an account cannot approve a gate, or why its approval does not count. `words` follow its name."""

    words: str

    def __new__(cls, value: str, words: str) -> Self:
        """Return the member with its words."""
        reason = str.__new__(cls, value)
        reason._value_, reason.words = value, words
        return reason

    BOT = "bot", "is a bot"
    AUTHOR = "author", "is the author of the pull request"
    NOT_LISTED = "not_listed", "is not listed in `reviewers`"
    NO_WRITE_ACCESS = "no_write_access", "has no write access"
    OLDER_COMMIT = "older_commit", "approved an older commit"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An account whose approval does not count, and the reason."""

    login: Annotated[str, "Login of the user."]
    reason: Annotated[Reason, "Why the approval does not count."]

    @property
    def of_older_commit(self) -> bool:
        """Return whether the account approved another commit."""
        return self.reason is Reason.OLDER_COMMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStatus:
    """Who approved a failed soft gate of a pull request, or who can. Once it is approved, only `approved_by` is given.

    `rerun_needed`: the running workflow does not run on `pull_request_review`. `read_only`: the run is for a review of
    a pull request from a fork, and its token can only read.
    """

    commit: Annotated[str, "The commit to approve: the head of the pull request, also for a merge group."] = ""
    approved_by: Annotated[tuple[str, ...], "Logins of those who approved."] = ()
    can_approve: Annotated[tuple[str, ...], "Logins of the listed reviewers who can approve."] = ()
    anyone: Annotated[bool, "Whether everyone with write access but the author can approve: none are listed."] = False
    cannot_approve: Annotated[tuple[Refusal, ...], "Listed reviewers who may not approve, and why."] = ()
    ignored: Annotated[tuple[Refusal, ...], "Approvals that do not count, and why."] = ()
    unread: Annotated[bool, "Whether the reviews, or the permissions that decide, could not be read."] = False
    rerun_needed: Annotated[bool, "Whether the job has to be re-run after an approval."] = False
    read_only: Annotated[bool, "Whether the token can only read, so that a review event cannot help."] = False

    @property
    def approved(self) -> bool:
        """Return whether the gate is approved."""
        return bool(self.approved_by)

    @property
    def possible(self) -> bool:
        """Return whether someone can still approve the gate; if that could not be read, someone may."""
        return self.unread or self.anyone or bool(self.can_approve)
