"""Calls GitHub within a deadline, and turns each rejection into one warning."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain, repeat
from typing import cast

from sepurux_action.common import T
from sepurux_action.errors import DeadlineExceeded, ErrorDetails, GitHubError, Interrupted
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation, warning_text
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.output import Level, Output

READS_S = 15.0  # for the pending statuses; the same for reviews, and for the read at the end
RETRY_PAUSE_S = 5.0  # between two attempts at the first reads, after those with shorter pauses
RETRY_PAUSES_S = (0.0, 1.0, 2.0)  # before each further request of a call

_TIMED_OUT = ErrorDetails(message="GitHub did not respond in the time that the gate waits for it", timed_out=True)
_ENDED = ErrorDetails(message="the run was canceled before GitHub responded", timed_out=True)


class BoundedCalls:
    """Calls GitHub; `set_timeout` gives all following calls together its seconds. `work` gets the client.

    Without a client, nothing is called, nothing is known, and there is no warning. A warning depends on the `event`,
    as it is in the payload.
    """

    def __init__(self, client: GitHubClient | None, timeouts: Timeouts, output: Output, event: Event) -> None:
        self.connected = client is not None
        self.after_signal = False
        self.output = output
        self._client = cast(GitHubClient, client)  # without one, every operation is denied
        self._timeouts = timeouts
        self._event = event
        self._deadline = timeouts.now()
        self._denied = set(Operation) if client is None else set[Operation]()
        self._warned: set[str] = set()
        self.forbidden = set[Operation]()  # for lack of permission

    def now(self) -> float:
        return self._timeouts.now()

    def set_timeout(self, seconds: float, after_signal: float | None = None) -> None:
        """Begin the time of the following calls. After a signal, they have other seconds, or what is left."""
        if not self.after_signal:
            self._deadline = self.now() + seconds
        elif after_signal is not None:
            self._deadline = self.now() + after_signal

    def extend(self, seconds: float) -> None:
        self._deadline += seconds

    def enter_shutdown(self, timeouts: Timeouts) -> None:
        """Allow one attempt at each call, after a signal. `timeouts` are new: the signal interrupted the others."""
        self._timeouts, self.after_signal = timeouts, True

    def try_call(self, operation: Operation, work: Callable[[GitHubClient], T]) -> T | None:
        """Return what `work` returns, or None after one warning. An operation that the token may not do is skipped."""
        if operation in self._denied:
            return None
        try:
            return self.call(work)
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

    def read(self, operation: Operation, work: Callable[[GitHubClient], T]) -> T:
        """Return what a read returns that decides: while the error may be temporary and time is left, it is repeated.

        Raises GitHubError.
        """
        wait = 0.0
        for pause in chain(RETRY_PAUSES_S, repeat(RETRY_PAUSE_S)):
            try:
                return self._attempt(work, wait)
            except GitHubError as error:
                next_wait = _wait(error.details, pause)
                if self.after_signal or next_wait is None or next_wait >= self.left:
                    raise
                wait, why = next_wait, error.details.summary
            if wait >= RETRY_PAUSE_S:
                left = f"{wait:.0f} s, for at most {self.left:.0f} s"
                self.output.log(f"could not {operation.text} ({why}); next attempt in {left}")
        raise AssertionError  # the pauses do not end

    def call(self, work: Callable[[GitHubClient], T], *, retry: bool = True) -> T:
        """Return what `work` returns; raises GitHubError, also when the deadline passes first.

        A call that GitHub rejected with `Retry-After` had no effect, so it is made again after that time. With `retry`,
        this is so for every temporary failure. A retry that would begin after the deadline is not made, because a later
        write would replace newer ones.
        """
        wait = 0.0
        for pause in RETRY_PAUSES_S:
            try:
                return self._attempt(work, wait)
            except GitHubError as error:
                details = error.details
                wait, may_retry = details.retry_after_s or 0.0, details.retry_after_s is not None
                if not details.rate_limited:
                    wait, may_retry = max(pause, wait), retry and not self.after_signal and details.temporary
                if not may_retry or wait >= self.left:
                    raise
        return self._attempt(work, wait)

    def _attempt(self, work: Callable[[GitHubClient], T], wait: float) -> T:
        try:
            self._timeouts.pause(wait)
            return self._timeouts.run(max(0.0, self.left), partial(work, self._client))
        except Interrupted:
            raise GitHubError(_ENDED) from None
        except DeadlineExceeded:
            raise GitHubError(_TIMED_OUT) from None

    def warn(self, operation: Operation, details: ErrorDetails, targets: Sequence[str] = ()) -> None:
        """Write the warning for a rejection, once; if the token may not do the operation, it is not tried again."""
        self.warn_once(warning_text(operation, details, self._event, targets))
        if details.of_the_token:
            self._denied.add(operation)
        if details.forbidden:
            self.forbidden.add(operation)

    def warn_once(self, warning: str) -> None:
        if warning not in self._warned:
            self._warned.add(warning)
            self.output.annotate(Level.WARNING, warning, title="Sepurux gate")

    @property
    def left(self) -> float:
        """Return the seconds that the calls have; negative if they had fewer than they took."""
        return self._deadline - self.now()


def _wait(why: ErrorDetails, pause: float) -> float | None:
    """Return the seconds until a read may succeed, at least `pause`; None if it would fail again."""
    if why.rate_limited:
        return why.retry_after_s
    if why.permanent or why.timed_out or why.over_limit:
        return None
    return max(pause, why.retry_after_s or 0) if why.temporary else RETRY_PAUSE_S
