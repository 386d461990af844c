"""The protocol of the GitHub client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sepurux_action.config.path_filter import ChangedFile
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.github.commit_status import CommitStatus
from sepurux_action.github.event import Event, PullRequest, PullRequestLookup
from sepurux_action.github.snapshot import Comment, Snapshot
from sepurux_action.github.soft_gate_rules import Review


class GitHubClient(Protocol):
    """The calls to GitHub that the gate makes; every method raises GitHubError."""

    def find_pull_requests(self, lookup: PullRequestLookup) -> tuple[PullRequest, ...]:
        """Return the pull requests that may match; `event.resolve` checks them."""

    def fetch_snapshot(self, event: Event, *, after: str = "", with_base: bool = True, config: str = "") -> Snapshot:
        """Return the pull request, its base, and one page of comments, by one query."""

    def commit_statuses(self, commit: str) -> Mapping[str, str]:
        """Return the description of each status of a commit, by context."""

    def changed_files(self, number: int) -> tuple[ChangedFile, ...]:
        """Return the files that a pull request changes."""

    def reviews(self, number: int) -> tuple[Review, ...]:
        """Return the reviews of a pull request, the oldest first."""

    def requested_reviewers(self, number: int) -> tuple[str, ...]:
        """Return the logins of whom a review is requested."""

    def permission(self, login: str) -> str:
        """Return what a user may do in the repository."""

    def request_review(self, number: int, login: str) -> None:
        """Request a review of one user."""

    def required_contexts(self, branch: str) -> tuple[str, ...]:
        """Return the status contexts that rules of a branch require."""

    def recent_results(self, base: str) -> tuple[Mapping[str, PreviousResult], ...]:
        """Return the results of the last pull requests into a branch, by context, the newest first."""

    def set_status(self, commit: str, status: CommitStatus, *, retry: bool = True) -> None:
        """Set a commit status; without `retry` a failure is final."""

    def create_comment(self, number: int, body: str) -> Comment:
        """Create a comment, without a retry."""

    def newest_comments(self, number: int, account: str) -> tuple[Comment, ...]:
        """Return the comments of the token's account that were written or edited since the start of the run."""

    def edit_comment(self, comment: Comment, body: str) -> bool:
        """Replace the body of an own comment; return False if it has been deleted."""

    def delete_comment(self, comment: Comment) -> None:
        """Delete an own comment."""
