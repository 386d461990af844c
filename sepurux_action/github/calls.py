"""Owns how GitHub is asked: a call at a time, within the time that is left, one warning for a refusal; never what for.

Sources: contract, section 4; the limits of GitHub,
https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ParamSpec, TypeVar

from sepurux_action.errors import DeadlineExceeded, Ended, ErrorDetails, GitHubError
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import REQUIRED_PERMISSIONS, Operation, warning_text
from sepurux_action.github.protocol import GitHubClient
from sepurux_action.github.snapshot import MAX_PAGES, Comment, Snapshot
from sepurux_action.host.protocols import Output, Timeouts
from sepurux_action.host.workflow_commands import Level

T = TypeVar("T")
P = ParamSpec("P")

FIRST_READ_S = 60.0  # the read that includes the policy, and the search for the pull request before it
READS_S = 15.0  # the other reads at the start together with the start status; also the reads of reviews
RETRY_PAUSE_S = 5.0  # between two tries of the first read; the client makes shorter pauses within one try
WRITES_A_MINUTE = 80  # GitHub's limit on requests that create content; it allows 900 points, of which a write costs 5
COMMENT_WRITES = 2  # of these 80, which statuses leave for the comment that follows them
MINUTE_S = 60.0

_OVER_TIME = ErrorDetails(message="GitHub took longer than the gate waits for it", timed_out=True)
_TOO_MANY = ErrorDetails(
    message=f"GitHub takes {WRITES_A_MINUTE} writes a minute, and the time for more is over", timed_out=True
)
_ENDED = ErrorDetails(message="the run was ended before GitHub answered", timed_out=True)


class BoundedCalls:
    """Asks GitHub, about `event`, until the moment that `allow` sets."""

    def __init__(self, clock: Timeouts, output: Output, event: Event) -> None:
        """Start with no time at all."""
        self.event = event
        self._clock = clock
        self._output = output
        self._until = clock.now()
        self._denied: set[Operation] = set()
        self._warned: set[str] = set()
        self._paced = True
        self._writes: deque[float] = deque(maxlen=WRITES_A_MINUTE)  # when the last writes ended

    def set_timeout(self, seconds: float) -> None:
        """Give all calls from now on these seconds together."""
        self._until = self._clock.now() + seconds

    def extend(self, seconds: float) -> None:
        """Give all calls these seconds more."""
        self._until += seconds

    def replace_clock(self, clock: Timeouts) -> None:
        """Go on by a clock that a signal has not interrupted, and do not wait for the limit on writes any more."""
        self._clock = clock
        self._paced = False

    def try_call(self, operation: Operation, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
        """Return what the work returns, or None after one warning; what the token may not do is not tried again."""
        if operation in self._denied:
            return None
        try:
            return self.call(operation, lambda: work(*args, **options))
        except GitHubError as refused:
            self.warn(operation, refused.details)
        return None

    def try_write(self, operation: Operation, work: Callable[P, None], *args: P.args, **options: P.kwargs) -> bool:
        """Return whether the work was done; a refusal is one warning."""

        def done() -> bool:
            work(*args, **options)
            return True

        return self.try_call(operation, done) is True

    def try_each(self, operation: Operation, calls: Mapping[str, Callable[[], None]]) -> None:
        """Make all calls, each with a target of its own. Each refusal is one warning, which names its targets.

        A refusal of one target leaves the other targets alone. Any refusal that the next call would also get, because
        of the token, a rate limit or the time, ends the calls.
        """
        if operation in self._denied:
            return
        refused: dict[ErrorDetails, list[str]] = {}
        ended: ErrorDetails | None = None
        for target, call in calls.items():
            if ended is None:
                refusal = _refusal_of(call)
                ended = refusal if refusal and refusal.of_every_target else None
            else:
                refusal = ended
            if refusal is not None:
                refused.setdefault(refusal, []).append(target)
        for refusal, targets in refused.items():
            self.warn(operation, refusal, targets if len(calls) > 1 else ())

    def try_until_deadline(
        self, operation: Operation, work: Callable[[], T], gap: Callable[[T], ErrorDetails | None]
    ) -> T | None:
        """Return what the work returns; try again while the refusal may pass and time is left.

        `gap` returns why a result is not complete, or None. When the time is over, an incomplete result is returned.
        """
        found: T | None = None
        refusal: ErrorDetails | None = None
        while refusal is None or self._may_pass(refusal):
            try:
                if refusal:
                    left = f"for at most {self._left:.0f} s"
                    self._output.log(f"could not {operation} ({refusal.summary}): the gate tries again, {left}")
                    self._pause(RETRY_PAUSE_S)
                found = self.call(operation, work)
                refusal = gap(found)
            except GitHubError as refused:
                refusal = refused.details
            if refusal is None:
                return found
        if found is None:
            self.warn(operation, refusal)
        return found

    def call(self, operation: Operation, work: Callable[[], T]) -> T:
        """Return what the work returns; raises ForgeRefused, also when the time is over before the work is."""
        writes = REQUIRED_PERMISSIONS[operation].permission.endswith("write")
        if writes and self._paced:
            self._wait_for_turn(WRITES_A_MINUTE - (COMMENT_WRITES if operation is Operation.STATUS else 0))
        try:
            return self._clock.run(max(0.0, self._left), work)
        except Ended:
            raise GitHubError(_ENDED) from None
        except DeadlineExceeded:
            raise GitHubError(_OVER_TIME) from None
        finally:
            if writes:
                self._writes.append(self._clock.now())

    def warn(self, operation: Operation, refusal: ErrorDetails, targets: Sequence[str] = ()) -> None:
        """Tell of a refusal, unless that was told already; one of the token ends all asking for the deed."""
        if operation not in self._denied:
            self.warn_once(warning_text(operation, refusal, self.event, targets))
        if refusal.of_the_token:
            self._denied.add(operation)

    def warn_once(self, warning: str) -> None:
        """Tell of something, unless that was told already."""
        if warning not in self._warned:
            self._warned.add(warning)
            self._output.annotate(Level.WARNING, warning, title="Sepurux gate")

    # -- reads --------------------------------------------------------------------------------------------------------

    def fetch_first_snapshot(self, client: GitHubClient, config: str) -> Snapshot | None:
        """Return the event's pull request, its base, the policy and the first page of comments; None where it fails."""

        def gap(look: Snapshot) -> ErrorDetails | None:
            lacks_pull_request = self.event.pull_request is not None and look.pull_request is None
            return look.error if look.policy.error or lacks_pull_request else None

        look = self.try_until_deadline(
            Operation.READ, lambda: client.fetch_snapshot(self.event, with_base=True, config=config), gap
        )
        return self._told(look)

    def fetch_snapshot(self, client: GitHubClient) -> Snapshot | None:
        """Return the event's pull request as it is now, with all pages of comments; None where it cannot be read."""
        look = self._page(client)
        return look and self.fetch_more_comments(client, look)

    def fetch_more_comments(
        self, client: GitHubClient, look: Snapshot, *, enough: Callable[[Snapshot], bool] = lambda _: False
    ) -> Snapshot:
        """Return the look with the further pages of comments, or with those until there is enough."""
        for _ in range(MAX_PAGES - 1):
            if not look.after or enough(look):
                return look
            page = self._page(client, look.after)
            if page is None:
                break
            look = replace(
                look,
                comments=oldest_first((*look.comments, *page.comments)),
                comments_known=look.comments_known and page.comments_known,
                after=page.after,
            )
        return replace(look, comments_known=look.comments_known and not look.after)

    def _page(self, client: GitHubClient, after: str = "") -> Snapshot | None:
        return self._told(
            self.try_call(Operation.READ, client.fetch_snapshot, self.event, after=after, with_base=False)
        )

    def _told(self, look: Snapshot | None) -> Snapshot | None:
        if look and look.error and look.denied:
            self.warn(look.denied, look.error)
        return look

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def _left(self) -> float:
        return self._until - self._clock.now()

    def _may_pass(self, refusal: ErrorDetails) -> bool:
        """Return whether another try, after a pause, may not be refused."""
        return not (refusal.permanent or refusal.of_every_target) and self._left > RETRY_PAUSE_S

    def _wait_for_turn(self, limit: int) -> None:
        """Wait until the last minute has fewer than `limit` writes; raises GitHubError if there is no time for that."""
        full = len(self._writes) >= limit
        wait = self._writes[-limit] + MINUTE_S - self._clock.now() if full else 0.0
        if wait <= 0:
            return
        if wait >= self._left:
            raise GitHubError(_TOO_MANY)
        self._pause(wait)

    def _pause(self, seconds: float) -> None:
        try:
            self._clock.pause(seconds)
        except Ended:
            raise GitHubError(_ENDED) from None


def oldest_first(comments: Iterable[Comment]) -> tuple[Comment, ...]:
    """Return each comment once, as it was told last, the oldest first: a double is deleted, so it must be another."""
    each = {comment.id: comment for comment in comments}
    return tuple(each[number] for number in sorted(each))


def _refusal_of(call: Callable[[], None]) -> ErrorDetails | None:
    try:
        call()
    except GitHubError as refused:
        return refused.details
    return None
