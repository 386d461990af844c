"""Owns how GitHub is asked: a call at a time, within the time that is left, one warning for a refusal; never what for.

Source: contract, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import ParamSpec, TypeVar

from sepurux_action.core.event import Event
from sepurux_action.core.forge import MOST_PAGES, Comment, Deed, Look, Refusal, explain
from sepurux_action.core.workflow_commands import Level
from sepurux_action.errors import Ended, ForgeRefused, OverTime
from sepurux_action.ports import Clock, Forge, Place

T = TypeVar("T")
P = ParamSpec("P")

READS_S = 15.0  # what is read at one stage of the walk, and the start status; contract, section 4

_OVER_TIME = Refusal(message="GitHub took longer than the gate waits for it", late=True)
_ENDED = Refusal(message="the run was ended before GitHub answered", late=True)


class Asking:
    """Asks GitHub, about `event`, until the moment that `allow` sets."""

    def __init__(self, clock: Clock, place: Place, event: Event) -> None:
        """Start with no time at all."""
        self.event = event
        self._clock = clock
        self._place = place
        self._until = clock.now()
        self._given_up: set[Deed] = set()
        self._warned: set[str] = set()

    def allow(self, seconds: float) -> None:
        """Give all calls from now on these seconds together."""
        self._until = self._clock.now() + seconds

    def hurry(self, clock: Clock) -> None:
        """Go on by a clock that a signal has not interrupted."""
        self._clock = clock

    def ask(self, deed: Deed, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
        """Return what the work returns, or None after one warning; what was refused for good is not tried again."""
        if deed in self._given_up:
            return None
        try:
            return self.once(lambda: work(*args, **options))
        except ForgeRefused as refused:
            self.warn(deed, refused.refusal)
        return None

    def do(self, deed: Deed, work: Callable[P, None], *args: P.args, **options: P.kwargs) -> bool:
        """Return whether the work was done; a refusal is one warning."""

        def done() -> bool:
            work(*args, **options)
            return True

        return self.ask(deed, done) is True

    def once(self, work: Callable[[], T]) -> T:
        """Return what the work returns; raises ForgeRefused, also when the time is over before the work is."""
        try:
            return self._clock.within(max(0.0, self._until - self._clock.now()), work)
        except Ended:
            raise ForgeRefused(_ENDED) from None
        except OverTime:
            raise ForgeRefused(_OVER_TIME) from None

    def warn(self, deed: Deed, refusal: Refusal) -> None:
        """Tell of a refusal, unless that was told already; one that lasts ends all asking for the deed."""
        warning = explain(deed, refusal, self.event)
        if deed not in self._given_up and warning not in self._warned:
            self._warned.add(warning)
            self._place.annotate(Level.WARNING, warning, title="Sepurux gate")
        if refusal.lasting:
            self._given_up.add(deed)

    def read(self, forge: Forge, *, with_base: bool, config: str = "") -> Look | None:
        """Return what there is on the event's pull request and base, over all pages of comments.

        None where it cannot be read; with the base, further pages of comments may be missing.
        """
        look = page = self.ask(Deed.READ, forge.look, self.event, with_base=with_base, config=config)
        if look and look.refusal and look.refused:
            self.warn(look.refused, look.refusal)
        comments: list[Comment] = []
        for _ in range(MOST_PAGES):
            if page is None and with_base and look:
                break  # before a write all comments have to be known; at the start the rest is worth having
            if page is None:
                return None
            comments += page.comments
            if not page.after:
                break
            page = self.ask(Deed.READ, forge.look, self.event, after=page.after, with_base=False)
        return look and replace(look, comments=by_age(comments), after="")


def by_age(comments: Iterable[Comment]) -> tuple[Comment, ...]:
    """Return each comment once, as it was told last, the oldest first: a double is deleted, so it must be another."""
    each = {comment.id: comment for comment in comments}
    return tuple(each[number] for number in sorted(each))
