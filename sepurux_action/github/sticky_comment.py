"""Finds, creates, and updates the one comment of a step on a pull request. Source: docs/configuration.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.github.calls import BoundedCalls, oldest_first
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.permissions import Operation
from sepurux_action.github.snapshot import Comment

MAX_CREATE_ATTEMPTS = 2  # the second one if the first response was lost and the comment is not there
NO_ACCOUNT = ErrorDetails(message="GitHub did not return the account of the token")


class StickyComment:
    """The comment that begins with one marker."""

    def __init__(self, calls: BoundedCalls, marker: str, account: str = "") -> None:
        """`marker` distinguishes the comment from those of other steps. `account` is the token's, to create one."""
        self._calls = calls
        self._marker = marker
        self._account = account

    def find_in(self, comments: Iterable[Comment]) -> tuple[Comment, ...]:
        """Return the comments with the marker, the oldest first; there is more than one after a race."""
        return tuple(comment for comment in comments if comment.body.startswith(self._marker))

    def upsert(self, ours: Sequence[Comment], text: str) -> str:
        """Create the comment, or edit the first of `ours` and delete the others; return its address, or ''."""
        ours = ours or self._create(text)
        if not ours:
            return ""
        first, *duplicates = ours
        edited = first.body == text or self._calls.try_call(
            Operation.COMMENT, lambda github: github.edit_comment(first, text)
        )
        if edited is False:  # deleted between the read and the edit
            return self.upsert(duplicates, text)
        if edited:
            for duplicate in duplicates:
                self._calls.try_call(Operation.COMMENT, partial(_delete, duplicate))
        return first.url

    def _create(self, text: str) -> tuple[Comment, ...]:
        """Return the new comment and those of another run that created one too, the oldest first; () if there is none.

        If the response is lost, the comment is searched for before it is sent again. A query may show a new comment
        late, so the comments are listed by REST.
        """
        number = self._calls.event.pull_request or 0
        for attempt in range(1, MAX_CREATE_ATTEMPTS + 1):
            created: list[Comment] = []
            lost = ErrorDetails()
            try:
                created = [self._calls.call(lambda github: github.create_comment(number, text), retry=False)]
            except GitHubError as error:
                lost = error.details
                if lost.permanent or lost.of_every_target or attempt == MAX_CREATE_ATTEMPTS:
                    self._calls.warn(Operation.COMMENT, lost)
                    return ()
            listed = self._calls.try_call(Operation.COMMENTS, lambda github: self._newest(github, number))
            if listed is None and not created:
                self._calls.warn(Operation.COMMENT, lost)
                return ()
            if ours := oldest_first([*(listed or ()), *created]):
                return ours
        return ()

    def _newest(self, github: GitHubClient, number: int) -> tuple[Comment, ...]:
        """Return the comments with the marker that the token's account wrote since the start of the run."""
        if not self._account:
            raise GitHubError(NO_ACCOUNT)
        return self.find_in(github.newest_comments(number, self._account))


def _delete(comment: Comment, github: GitHubClient) -> None:
    github.delete_comment(comment)
