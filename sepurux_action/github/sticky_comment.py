"""Finds, creates, and updates the one comment of a step on a pull request. Source: contract, section 8."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sepurux_action.errors import GitHubError
from sepurux_action.github.calls import BoundedCalls, oldest_first
from sepurux_action.github.permissions import Operation
from sepurux_action.github.protocol import GitHubClient
from sepurux_action.github.snapshot import Comment

MAX_CREATE_ATTEMPTS = 2  # the second one if the first response was lost and the comment is not there


class StickyComment:
    """The comment that begins with one marker."""

    def __init__(self, client: GitHubClient, calls: BoundedCalls, marker: str) -> None:
        """`marker` distinguishes the comment from those of other steps."""
        self._client = client
        self._calls = calls
        self._marker = marker

    def find_in(self, comments: Iterable[Comment]) -> tuple[Comment, ...]:
        """Return the comments with the marker, the oldest first; there is more than one after a race."""
        return tuple(comment for comment in comments if comment.body.startswith(self._marker))

    def upsert(self, ours: Sequence[Comment], text: str) -> str:
        """Create the comment, or edit the first of `ours` and delete the others; return its address, or ''."""
        if not ours:
            created = self._create(text)
            if created is None:
                return ""
            ours = oldest_first([created, *self._refetch()])
        first, *duplicates = ours
        edited = first.body == text or self._calls.try_call(Operation.COMMENT, self._client.edit_comment, first, text)
        if edited is False:  # deleted between the read and the edit
            return self.upsert(duplicates, text)
        if edited:
            for duplicate in duplicates:
                self._calls.try_write(Operation.COMMENT, self._client.delete_comment, duplicate)
        return first.url

    def _create(self, text: str) -> Comment | None:
        """Return the new comment, or None. If the response is lost, search for the comment before sending it again."""
        number = self._calls.event.pull_request or 0
        for attempt in range(1, MAX_CREATE_ATTEMPTS + 1):
            try:
                return self._calls.call(Operation.COMMENT, lambda: self._client.create_comment(number, text))
            except GitHubError as error:
                details = error.details
                if details.permanent or details.of_every_target or attempt == MAX_CREATE_ATTEMPTS:
                    self._calls.warn(Operation.COMMENT, details)
                    return None
            now = self._calls.fetch_snapshot(self._client)
            if created := self.find_in(now.comments if now else ()):
                return created[0]
            if now is None or not now.comments_known:
                self._calls.warn(Operation.COMMENT, details)
                return None
        return None

    def _refetch(self) -> tuple[Comment, ...]:
        now = self._calls.fetch_snapshot(self._client)
        return self.find_in(now.comments) if now else ()
