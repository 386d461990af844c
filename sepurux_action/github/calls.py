"""Calls GitHub within a deadline, and turns each rejection into one warning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import methodcaller

from sepurux_action.common import T
from sepurux_action.errors import DeadlineExceeded, ErrorDetails, GitHubError, Interrupted
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation, warning_text
from sepurux_action.github.snapshot import MAX_PAGES, Comment, Snapshot, policy_ref, unread
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.output import Output
from sepurux_action.host.workflow_commands import Level

FIRST_READ_S = 60.0  # for finding the pull request and the first snapshot, which has the policy
READS_S = 15.0  # for the pending statuses and the reads after them; the same for reviews, and for the read at the end
WHOLE_QUERY_S = 8.0  # for one try to read all at once; GitHub ends a query after 10 s
RETRY_PAUSE_S = 5.0  # between two attempts at the first read, each of which may be several requests
RETRY_PAUSES_S = (0.0, 1.0, 2.0)  # before each further request of a call

_TIMED_OUT = ErrorDetails(message="GitHub did not respond in the time that the gate waits for it", timed_out=True)
_SLOW = ErrorDetails(message=f"GitHub's response timed out after {WHOLE_QUERY_S:.0f} s")
_NOT_USED = ErrorDetails(message="GitHub is not used")
_ENDED = ErrorDetails(message="the run was canceled before GitHub responded", timed_out=True)


class BoundedCalls:
    """Calls GitHub about `event`; `set_timeout` gives all following calls together its seconds. `work` gets the client.

    Without a client, nothing is called, nothing is known, and there is no warning. `timeouts` is replaced after a
    signal, which interrupted the others.
    """

    def __init__(self, client: GitHubClient | None, timeouts: Timeouts, output: Output, event: Event) -> None:
        self.event = event
        self.timeouts = timeouts
        self.base_left_out: ErrorDetails | None = None  # why the first snapshot is without the base branch
        self._client = client
        self._output = output
        self._deadline = timeouts.now()
        self._denied = set(Operation) if client is None else set[Operation]()
        self._warned: set[str] = set()

    def set_timeout(self, seconds: float) -> None:
        self._deadline = self.timeouts.now() + seconds

    def extend(self, seconds: float) -> None:
        self._deadline += seconds

    def try_call(self, operation: Operation, work: Callable[[GitHubClient], T], *, retry: bool = True) -> T | None:
        """Return what `work` returns, or None after one warning. An operation that the token may not do is skipped."""
        if operation in self._denied:
            return None
        try:
            return self.call(work, retry=retry)
        except GitHubError as error:
            self.warn(operation, error.details)
        return None

    def try_each(self, operation: Operation, calls: Mapping[str, Callable[[], None]]) -> None:
        """Make all calls, by target, up to a rejection that the next would get too; one warning for each rejection."""
        if operation in self._denied:
            return
        rejected: dict[ErrorDetails, list[str]] = {}
        targets = iter(calls)
        for target in targets:
            try:
                calls[target]()
            except GitHubError as error:
                alike = rejected.setdefault(error.details, [])
                alike.append(target)
                if error.details.of_every_target:
                    alike.extend(targets)  # all that are left, which ends the loop
        for details, of_targets in rejected.items():
            self.warn(operation, details, of_targets if len(calls) > 1 else ())

    def call_until_deadline(self, operation: Operation, work: Callable[[GitHubClient], T], *, whole: bool = False) -> T:
        """Return what `work` returns; raises GitHubError. Retries while the error may be temporary and time is left.

        A query that is too large is not retried if it is `whole`: the caller has a smaller one.
        """
        while True:
            try:
                return self.call(work, whole=whole)
            except GitHubError as error:
                details = error.details
                too_large = whole and details.too_large
                if too_large or details.permanent or details.of_every_target or self.left <= RETRY_PAUSE_S:
                    raise
            left = f"{RETRY_PAUSE_S:.0f} s, for at most {self.left:.0f} s"
            self._output.log(f"could not {operation.text} ({details.summary}); next attempt in {left}")
            self._pause(RETRY_PAUSE_S)

    def call(self, work: Callable[[GitHubClient], T], *, retry: bool = True, whole: bool = False) -> T:
        """Return what `work` returns; raises GitHubError, also when the deadline passes first.

        A call that GitHub rejected with `Retry-After` had no effect, so it is made again after that time. With `retry`,
        this is so for every temporary failure, but not for a `whole` query that is too large. A retry that would begin
        after the deadline is not made, because a later write would replace newer ones.
        """
        for pause in RETRY_PAUSES_S:
            try:
                return self._attempt(work, whole=whole)
            except GitHubError as error:
                details = error.details
                wait = details.retry_after_s if details.rate_limited else max(pause, details.retry_after_s or 0)
                may_retry = details.rate_limited or (retry and details.temporary)
                if (whole and details.too_large) or not may_retry or wait is None or wait >= self.left:
                    raise
            self._pause(wait)
        return self._attempt(work, whole=whole)

    def _attempt(self, work: Callable[[GitHubClient], T], *, whole: bool) -> T:
        if (client := self._client) is None:
            raise GitHubError(_NOT_USED)
        left = max(0.0, self.left)
        slow = whole and left > WHOLE_QUERY_S
        try:
            return self.timeouts.run(WHOLE_QUERY_S if slow else left, lambda: work(client))
        except DeadlineExceeded as error:
            why = _SLOW if slow else _TIMED_OUT
            raise GitHubError(_ENDED if isinstance(error, Interrupted) else why) from None

    def warn(self, operation: Operation, details: ErrorDetails, targets: Sequence[str] = ()) -> None:
        """Write the warning for a rejection, once; if the token may not do the operation, it is not tried again."""
        if operation not in self._denied:
            self.warn_once(warning_text(operation, details, self.event, targets))
        if details.of_the_token:
            self._denied.add(operation)

    def warn_once(self, warning: str) -> None:
        if warning not in self._warned:
            self._warned.add(warning)
            self._output.annotate(Level.WARNING, warning, title="Sepurux gate")

    def fetch_first_snapshot(self, config: str) -> Snapshot:
        """Return the first snapshot, which is fetched again while it lacks policy or pull request and time is left.

        If the query is too large for GitHub, the base branch is left out from then on. If that fails, the snapshot has
        a policy file that is not read. If the file applies to the event, there is no warning, because the error about
        the policy says the same.
        """
        incomplete: list[Snapshot] = []

        def fetch(github: GitHubClient) -> Snapshot:
            whole = self.base_left_out is None
            fetched = github.fetch_snapshot(self.event, config=config, with_base=whole)
            lacks_pull_request = self.event.pull_request is not None and fetched.pull_request is None
            if (why := fetched.error) and (fetched.policy.error or lacks_pull_request or (whole and why.too_large)):
                incomplete.append(fetched)
                raise GitHubError(why)
            return fetched

        try:
            snapshot = self._whole_or_without_base(fetch)
        except GitHubError as error:
            unknown = Snapshot(policy=unread(error.details), error=error.details, denied=Operation.READ)
            snapshot = incomplete[-1] if incomplete else unknown
        if not (snapshot.policy.error and policy_ref(self.event)):
            self._warn_of(snapshot)
        return snapshot

    def _whole_or_without_base(self, fetch: Callable[[GitHubClient], Snapshot]) -> Snapshot:
        try:
            return self.call_until_deadline(Operation.READ, fetch, whole=True)
        except GitHubError as error:
            if not error.details.too_large:
                raise
            self.base_left_out = error.details
        why = self.base_left_out.summary
        self._output.log(f"could not {Operation.READ.text} at once ({why}); next attempt without the base branch")
        return self.call_until_deadline(Operation.READ, fetch)

    def fetch_more_comments(
        self, snapshot: Snapshot, *, enough: Callable[[Snapshot], object] = lambda _: False
    ) -> Snapshot:
        for _ in range(MAX_PAGES - 1):
            if not snapshot.after or enough(snapshot):
                return snapshot
            page = self.fetch_page(snapshot.after)
            if page is None:
                break
            comments = oldest_first((*snapshot.comments, *page.comments))
            known = snapshot.comments_known and page.comments_known
            snapshot = replace(snapshot, comments=comments, comments_known=known, after=page.after)
        return replace(snapshot, comments_known=snapshot.comments_known and not snapshot.after)

    def fetch_page(self, after: str = "") -> Snapshot | None:
        read = methodcaller("fetch_snapshot", self.event, after=after, with_base=False)
        page: Snapshot | None = self.try_call(Operation.READ, read)
        if page is not None:
            self._warn_of(page)
        return page

    def _warn_of(self, snapshot: Snapshot) -> None:
        if snapshot.error and snapshot.denied:
            self.warn(snapshot.denied, snapshot.error)

    def _pause(self, seconds: float) -> None:
        try:
            self.timeouts.pause(seconds)
        except Interrupted:
            raise GitHubError(_ENDED) from None

    @property
    def left(self) -> float:
        """Return the seconds that the calls have; negative if they had fewer than they took."""
        return self._deadline - self.timeouts.now()


def oldest_first(comments: Iterable[Comment]) -> tuple[Comment, ...]:
    """Return each comment once, in its last version; one that occurred twice would be deleted as its own duplicate."""
    by_id = {comment.id: comment for comment in comments}
    return tuple(by_id[number] for number in sorted(by_id))
