"""Owns the one comment of a gate step on a pull request: found, written once, kept the only one; never what it says.

Source: contract, section 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sepurux_action.errors import GitHubError
from sepurux_action.github.calls import Asking, by_age
from sepurux_action.github.permissions import Deed
from sepurux_action.github.protocol import Forge
from sepurux_action.github.snapshot import Comment

CREATE_TRIES = 2  # of a comment whose first answer was lost and that is not found


class OneComment:
    """The comment that begins with one marker."""

    def __init__(self, forge: Forge, asking: Asking, marker: str) -> None:
        """Take the marker that tells it from the comments of other steps."""
        self._forge = forge
        self._asking = asking
        self._marker = marker

    def among(self, comments: Iterable[Comment]) -> tuple[Comment, ...]:
        """Return what there is of it, the oldest first: more than one after a race."""
        return tuple(comment for comment in comments if comment.body.startswith(self._marker))

    def keep(self, ours: Sequence[Comment], text: str) -> str:
        """Make `text` its body and leave one of it; return its address, '' where there is none."""
        if not ours:
            created = self._create(text)
            if created is None:
                return ""
            ours = by_age([created, *self._now()])
        first, *doubles = ours
        still = first.body == text or self._asking.ask(Deed.COMMENT, self._forge.edit_comment, first, text)
        if still is False:  # deleted between the read and the edit
            return self.keep(doubles, text)
        if still:
            for double in doubles:
                self._asking.do(Deed.COMMENT, self._forge.delete_comment, double)
        return first.url

    def _create(self, text: str) -> Comment | None:
        """Return the comment that was made. One whose answer was lost is looked for before it is sent again."""
        number = self._asking.event.pull_request or 0
        for attempt in range(1, CREATE_TRIES + 1):
            try:
                return self._asking.once(Deed.COMMENT, lambda: self._forge.create_comment(number, text))
            except GitHubError as refused:
                why = refused.details
                if why.permanent or why.of_every_target or attempt == CREATE_TRIES:
                    self._asking.warn(Deed.COMMENT, why)
                    return None
            now = self._asking.read(self._forge)
            if found := self.among(now.comments if now else ()):
                return found[0]
            if now is None or not now.comments_known:
                self._asking.warn(Deed.COMMENT, why)
                return None
        return None

    def _now(self) -> tuple[Comment, ...]:
        now = self._asking.read(self._forge)
        return self.among(now.comments) if now else ()
