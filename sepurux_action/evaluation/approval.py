"""What is known about the approval of a failed soft gate. Source: docs/configuration.md#the-soft-gate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why an account cannot approve a gate, or why its approval does not count."""

    BOT = "bot"
    AUTHOR = "author"
    NOT_LISTED = "not_listed"
    NO_WRITE_ACCESS = "no_write_access"
    OLDER_COMMIT = "older_commit"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An account whose approval does not count, and the reason."""

    login: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStatus:
    """Who approved a failed soft gate of a pull request, or who can.

    `commit` is the one to approve: the head of the pull request, also for a merge group. Once it is `approved_by`
    reviewers who may, only these are given. Until then:

    `can_approve` and `cannot_approve` are the listed reviewers. `anyone`: none are listed, so everyone with write
    access except the author can approve. `ignored` are approvals that do not count. `unread`: the reviews, or the
    permissions that decide, could not be read. `rerun_needed`: the running workflow does not run on
    `pull_request_review`, so an approval starts no run. `read_only`: the run is for a review of a pull request from a
    fork, and its token can only read.
    """

    commit: str = ""
    approved_by: tuple[str, ...] = ()
    can_approve: tuple[str, ...] = ()
    anyone: bool = False
    cannot_approve: tuple[Refusal, ...] = ()
    ignored: tuple[Refusal, ...] = ()
    unread: bool = False
    rerun_needed: bool = False
    read_only: bool = False

    @property
    def approved(self) -> bool:
        """Return whether the gate is approved."""
        return bool(self.approved_by)

    @property
    def possible(self) -> bool:
        """Return whether someone can still approve the gate; if that could not be read, someone may."""
        return self.unread or self.anyone or bool(self.can_approve)
