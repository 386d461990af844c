"""Owns the one comment of a gate step on a pull request: found, written once, kept the only one; never what it says.

Source: contract, section 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sepurux_action.errors import GitHubError
from sepurux_action.github.calls import BoundedCalls, oldest_first
from sepurux_action.github.permissions import Operation
from sepurux_action.github.protocol import GitHubClient
from sepurux_action.github.snapshot import Comment

CREATE_TRIES = 2  # of a comment whose first answer was lost and that is not found


class StickyComment:
    """The comment that begins with one marker."""

    def __init__(self, client: GitHubClient, calls: BoundedCalls, marker: str) -> None:
        """Take the marker that tells it from the comments of other steps."""
        self._client = client
        self._calls = calls
        self._marker = marker

    def find_in(self, comments: Iterable[Comment]) -> tuple[Comment, ...]:
        """Return what there is of it, the oldest first: more than one after a race."""
        return tuple(comment for comment in comments if comment.body.startswith(self._marker))

    def upsert(self, ours: Sequence[Comment], text: str) -> str:
        """Make `text` its body and leave one of it; return its address, '' where there is none."""
        if not ours:
            created = self._create(text)
            if created is None:
                return ""
            ours = oldest_first([created, *self._refetch()])
        first, *duplicates = ours
        still = first.body == text or self._calls.try_call(Operation.COMMENT, self._client.edit_comment, first, text)
        if still is False:  # deleted between the read and the edit
            return self.upsert(duplicates, text)
        if still:
            for duplicate in duplicates:
                self._calls.try_write(Operation.COMMENT, self._client.delete_comment, duplicate)
        return first.url

    def _create(self, text: str) -> Comment | None:
        """Return the comment that was made. One whose answer was lost is looked for before it is sent again."""
        number = self._calls.event.pull_request or 0
        for attempt in range(1, CREATE_TRIES + 1):
            try:
                return self._calls.call(Operation.COMMENT, lambda: self._client.create_comment(number, text))
            except GitHubError as refused:
                why = refused.details
                if why.permanent or why.of_every_target or attempt == CREATE_TRIES:
                    self._calls.warn(Operation.COMMENT, why)
                    return None
            now = self._calls.fetch_snapshot(self._client)
            if found := self.find_in(now.comments if now else ()):
                return found[0]
            if now is None or not now.comments_known:
                self._calls.warn(Operation.COMMENT, why)
                return None
        return None

    def _refetch(self) -> tuple[Comment, ...]:
        now = self._calls.fetch_snapshot(self._client)
        return self.find_in(now.comments) if now else ()
