"""Finds, creates, and updates the one comment of a step on a pull request. Source: docs/configuration.md."""

from __future__ import annotations

from collections.abc import Sequence
from operator import methodcaller

from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.earlier import NO_ACCOUNT
from sepurux_action.github.permissions import Operation
from sepurux_action.github.snapshot import Comment, oldest_first


class StickyComment:
    """The comment on the pull request `number` that begins with `marker`. The token's `account` wrote it."""

    def __init__(self, calls: BoundedCalls, number: int, marker: str, account: str) -> None:
        self._calls, self._number, self._marker, self._account = calls, number, marker, account

    def upsert(self, ours: Sequence[Comment], text: str) -> str:
        """Create the comment, or edit the first of `ours` and delete the others; return its address, or ''."""
        ours = ours or self._create(text)
        if not ours:
            return ""
        first, *duplicates = ours
        edit = methodcaller("edit_comment", first, text)
        edited = first.body == text or self._calls.try_call(Operation.COMMENT, edit)
        if edited is False:  # deleted between the read and the edit
            return self.upsert(duplicates, text)
        if edited:
            for duplicate in duplicates:
                self._calls.try_call(Operation.COMMENT, methodcaller("delete_comment", duplicate))
        return first.url

    def _create(self, text: str, *, last: bool = False) -> tuple[Comment, ...]:
        """Return the new comment and those of another run that created one too, the oldest first; () if there is none.

        If the response is lost, the comment is searched for before it is sent again, once. A query may show a new
        comment late, so the comments are listed by REST.
        """
        created, listed, lost = list[Comment](), None, ErrorDetails()
        try:
            created = [self._calls.call(lambda github: github.create_comment(self._number, text), retry=False)]
        except GitHubError as error:
            lost = error.details
        if created or not (last or lost.permanent or lost.of_every_target):
            listed = self._calls.try_call(Operation.COMMENTS, self._newest)
        if listed is None and not created:
            self._calls.warn(Operation.COMMENT, lost)
            return ()
        return oldest_first([*(listed or ()), *created]) or self._create(text, last=True)

    def _newest(self, github: GitHubClient) -> tuple[Comment, ...]:
        """Return the comments with the marker that the token's account wrote since the start of the run."""
        if not self._account:
            raise GitHubError(NO_ACCOUNT)
        listed = github.newest_comments(self._number, self._account)
        return tuple(comment for comment in listed if comment.body.startswith(self._marker))
