"""Sends the calls of a step: when, how often, and for how long (docs/architecture.md#limits-and-polling).

One loop in the main thread waits for everything. A task is a generator that yields the time until which it waits; the
loop resumes it at that time, or as soon as what it waits for is there. Only calls have threads, because a step may have
2,600 runs, whose stacks would take more memory than the rest of it.
"""

import math
import queue
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from sepurux_action.common import T, wording
from sepurux_action.errors import DEFECTS, REPORT_DEFECT, EvaluationError, Interrupted, describe_defect
from sepurux_action.evaluation.api import CALL_S, NO_TIME_LEFT, ApiRequest, Result
from sepurux_action.evaluation.runs import NO_OBJECT
from sepurux_action.host.deadlines import LONGEST_WAIT, Signals, start_thread

RETRY_BASE_S = 1.0
RETRY_CAP_S = 30.0
MIN_RETRY_AFTER_S = 1.0  # a backend that asks for 0 s is not polled without a pause
MIN_POLL_WAIT_S = 0.25
POLL_GAP_S = 0.025  # between two polls of a step: at most 40 a second, for all of its runs together
SILENCE_S = 60.0  # without any usable response: then a gate ends
LAST_CALL_S = 1.0  # what a call before the polls may take if no more time is left
LAST_POLL_S = 5.0  # what the poll at the deadline may take
GRACE_S = 0.25  # for the client to end a call by itself, with a better reason
MAX_CALLS_AT_ONCE = 8  # for each project
HEARTBEAT_S = 30.0
CHECK_NETWORK = "Check {base_url}, and that this machine may connect to its host through firewall and proxy. {Rerun}."

Steps = Generator[float, None, T]  # yields the time until which it waits at most


class Engine:
    """Sends calls, a few of each project at any time, the one that has waited longest first.

    After a response with `Retry-After`, no call is sent until that time has passed, because all calls go to one server.
    `last_error` is that of the last call of a run that was sent, None if it succeeded. `is_down`: all responses so far
    were HTTP 5xx, if there were any. `heard_s` is the time from the start to the last usable response.
    """

    now = staticmethod(time.monotonic)
    jitter = staticmethod(random.random)  # spreads retries, keeps no secret

    def __init__(self, send: Callable[[ApiRequest, float], Result], signals: Signals) -> None:
        self._send, self._signals = send, signals
        self._events = queue.SimpleQueue[Future[Result] | None]()  # a signal handler may add to it
        signals.listeners.append(lambda: self._events.put(None))
        self._ready = deque[Steps[None]]()
        self._waiting = dict[Steps[None], float]()  # until when
        self._calls = dict[Future[Result], Steps[None]]()  # that are under way, and what waits for them
        self._calls_under_way = defaultdict[str, int](int)  # by project
        self._queues = defaultdict[str, deque[Steps[None]]](deque)  # of what waits for the end of one of them
        self._next_poll = self._held_until = 0.0
        self._held_by = NO_TIME_LEFT  # the result whose `Retry-After` holds all calls
        self._said = set[str]()
        self._shared = dict[tuple[ApiRequest, float], tuple[list[Result], list[Steps[None]]]]()
        self.last_error: Result | None = None
        self.is_down, self.heard_s = True, 0.0

    def begin(self, runs: int, show_progress: Callable[[], None], log: Callable[[str], None]) -> None:
        """Start the clock, before the first call. `show_progress` is called after each result, `log` gets a line."""
        self._last_polls_s = max(LAST_POLL_S, POLL_GAP_S * runs + 1)  # after the timeout, for the last poll of each run
        self.show_progress, self._log, self._started = show_progress, log, self.now()

    def elapsed(self) -> float:
        return self.now() - self._started

    def left(self, timeout_s: float) -> float:
        return min(timeout_s, self.heard_s + SILENCE_S) - self.elapsed()

    def is_new(self, text: str) -> bool:
        """Return whether this is the first time that the step says a text."""
        is_new = text not in self._said
        self._said.add(text)
        return is_new

    # -- the loop -----------------------------------------------------------------------------------------------------

    def perform(self, work: Iterable[Steps[None]], beat: Callable[[], None] = lambda: None) -> None:
        """Perform all steps, and call `beat` every 30 seconds.

        A signal raises Interrupted in all of them; after a signal, none begin.
        """
        tasks = [] if self._signals.received else [*work]
        self._open = set(tasks)
        self._ready.extend(tasks)
        next_beat = self.now() + HEARTBEAT_S
        while self._open:
            if self._signals.received:
                for steps in tasks:
                    self._resume(steps, Interrupted())
            elif self._ready:
                self._resume(self._ready.popleft())
            elif self.now() >= next_beat:
                next_beat += HEARTBEAT_S
                beat()
            else:  # wait until a call has ended, or for the first time for which something waits
                ended = self.next_event(min([next_beat, *self._waiting.values()]))
                if ended in self._calls:
                    self._wake(self._calls[ended])
                now = self.now()
                due = [steps for steps, until in self._waiting.items() if until <= now]
                for steps in sorted(due, key=self._waiting.__getitem__):
                    self._wake(steps)

    def _resume(self, steps: Steps[None], signal: Interrupted | None = None) -> None:
        """Go on with steps until they wait again; they are the `_current` ones."""
        self._current = steps
        try:
            self._waiting[steps] = steps.throw(signal) if signal else next(steps)
        except (StopIteration, Interrupted):
            self._open.discard(steps)

    def _wake(self, steps: Steps[None]) -> None:
        if steps in self._waiting:  # else they are woken already
            del self._waiting[steps]
            self._ready.append(steps)

    def next_event(self, until: float) -> Future[Result] | None:
        """Return a call that has ended; None at a time or after a signal."""
        try:  # a signal just before the wait runs its handler only after it, so it is short
            return self._events.get(timeout=min(max(0.0, until - self.now()), LONGEST_WAIT))
        except queue.Empty:
            return None

    # -- one call -----------------------------------------------------------------------------------------------------

    def send(self, call: ApiRequest, until: float) -> Steps[Result]:
        """Return the result of a call that must end by a time, with its waits."""
        if not (yield from self._slot(call.project, until)):
            return NO_TIME_LEFT
        try:
            while held := self._held():
                if self._held_until >= until:
                    return held
                yield self._held_until
            return (yield from self._call(call, until - self.now()))
        finally:
            self._leave(call.project)

    def send_once(self, call: ApiRequest, seconds: float) -> Steps[Result]:
        return self._noted((yield from self.send(call, self.now() + seconds)))

    def send_all(self, calls: Iterable[tuple[ApiRequest, Callable[[Result], None]]], until: float) -> None:
        """Send calls that must end by a time, a few at once, and read each result at once; raises Interrupted."""
        left = iter(calls)

        def send_next() -> Steps[None]:
            for call, read in left:
                read((yield from self.send(call, until)))

        self.perform(send_next() for _ in range(MAX_CALLS_AT_ONCE))
        if self._signals.received:
            raise Interrupted

    def poll(self, call: ApiRequest, timeout_s: float) -> Steps[tuple[Result, bool]]:
        """Return the result of a poll, and whether it was the last: it starts at the timeout, and may end after it."""
        until = self.now() + self.left(timeout_s) + self._last_polls_s
        if not (yield from self._slot(call.project, until)):
            return self._noted(NO_TIME_LEFT), True
        try:
            if not self._held():
                start = max(self.now(), self._next_poll)
                self._next_poll = start + POLL_GAP_S
                yield min(start, until)
                if start > until:
                    return self._noted(NO_TIME_LEFT), True
            left = self.left(timeout_s)
            last = left < MIN_POLL_WAIT_S
            seconds = min(LAST_POLL_S, until - self.now()) if last else min(CALL_S, left)
            return self._noted(self._held() or (yield from self._call(call, seconds))), last
        finally:
            self._leave(call.project)

    def _slot(self, project: str, until: float) -> Steps[bool]:
        """Return whether a project may send a call in time, after those that have waited longer."""
        if self._calls_under_way[project] < MAX_CALLS_AT_ONCE:
            self._calls_under_way[project] += 1
            return True
        steps, waiting = self._current, self._queues[project]
        waiting.append(steps)
        yield until
        if steps not in waiting:
            return True
        waiting.remove(steps)
        return False

    def _leave(self, project: str) -> None:
        if waiting := self._queues[project]:  # whose number of calls stays the same
            self._wake(waiting.popleft())
        else:
            self._calls_under_way[project] -= 1

    def _held(self) -> Result | None:
        """Return the result of a call that is not sent because of a `Retry-After`, with the seconds left; else None."""
        left = self._held_until - self.now()
        return replace(self._held_by, retry_after_s=left, sent=False) if left > 0 else None

    def _call(self, call: ApiRequest, seconds: float) -> Steps[Result]:
        """Return the result of a call. One that takes too long is abandoned: it delays neither result nor exit."""
        if seconds <= 0:
            return NO_TIME_LEFT
        future = self.start_call(call, seconds)
        self._calls[future] = self._current
        future.add_done_callback(self._events.put)
        yield self.now() + seconds + GRACE_S
        del self._calls[future]
        if not future.done():
            return Result(error=f"no complete response within {seconds:.3g} s", temporary=True)
        try:
            result = future.result()
        except DEFECTS as defect:  # ends only the run that this call is for
            return Result(error=describe_defect(defect), hint=REPORT_DEFECT)
        if result.retry_after_s is not None:
            until = self.now() + max(MIN_RETRY_AFTER_S, result.retry_after_s)
            if until > self._held_until:
                self._held_until, self._held_by = until, result
        return result

    def start_call(self, call: ApiRequest, seconds: float) -> Future[Result]:
        return start_thread(partial(self._send, call, seconds))

    def _noted(self, result: Result) -> Result:
        """Return a result, and note what it shows. If no time was left, an earlier error is why."""
        if result is NO_TIME_LEFT:
            return result.because_of(self.last_error)
        self.last_error = result if result.temporary else None
        self.is_down &= result.temporary and (result.status or 500) // 100 == 5  # noqa: PLR2004
        self.show_progress()
        return result

    # -- calls that are tried again -----------------------------------------------------------------------------------

    def retried(self, call: ApiRequest, timeout_s: float, *, of_object: bool = False) -> Steps[Result]:
        """Return the result of a call that is tried again while its error, or with `of_object` its shape, may pass."""
        failed, error = 0, None
        while True:
            result = yield from self.send_once(call, min(CALL_S, max(LAST_CALL_S, self.left(timeout_s))))
            if of_object and not result.error and not isinstance(result.payload, dict):
                result = Result(error=NO_OBJECT, temporary=True)
            if not result.temporary:
                self.heard_s = self.elapsed()
                return result
            failed, error = failed + 1, result.because_of(error)
            wait, left = retry_wait(failed, error, self.jitter()), self.left(timeout_s)
            if error.retry_after_s is None:  # the last attempt is not left out because the backoff is long
                wait = min(wait, left - LAST_CALL_S)
            if wait >= left or wait < 0:
                return error
            if self.is_new(trouble := f"{call.purpose}: {error.error}"):
                self._log(f"{trouble}; next attempt in {wording.duration(wait)}")
            yield self.now() + wait

    def retried_together(
        self, calls: Sequence[ApiRequest], timeout_s: float, read: Callable[[Result], T]
    ) -> Steps[list[T]]:
        """Return what is read from the results of calls for objects, which are tried again at the same time."""
        steps, arrived, found = self._current, list[tuple[int, Result]](), dict[int, T]()

        def retry(number: int, call: ApiRequest) -> Steps[None]:
            result = yield from self.retried(call, timeout_s, of_object=True)
            arrived.append((number, result))
            self._wake(steps)

        self._ready.extend(retry(number, call) for number, call in enumerate(calls))
        while len(found) < len(calls):
            yield math.inf
            while arrived:
                number, result = arrived.pop()
                found[number] = read(result)
        return [found[number] for number in range(len(calls))]

    def shared(self, call: ApiRequest, timeout_s: float) -> Steps[Result]:
        """Return the result of a call that is tried again, for all who make it with the same timeout."""
        results, waiting = self._shared.setdefault((call, timeout_s), ([], []))
        if not results:
            waiting.append(self._current)
            if len(waiting) > 1:
                yield math.inf
            else:
                results.append((yield from self.retried(call, timeout_s)))
                for steps in waiting[1:]:
                    self._wake(steps)
        return results[0]

    def payload(self, call: ApiRequest, result: Result) -> object:
        """Return the payload of a call that was tried again until the timeout; raises EvaluationError."""
        if not result.error:
            return result.payload
        if not result.temporary:
            raise EvaluationError(result.error, result.hint)
        spent = wording.duration(self.elapsed() - self.heard_s)
        why = f"{call.purpose}: {result.error}"
        if asked := asked_to_wait(result):
            raise EvaluationError(f"{asked} ({why})", "{Rerun} after that time.")
        if not result.status:
            raise EvaluationError(f"Sepurux could not be reached within {spent}: {result.error}", CHECK_NETWORK)
        raise EvaluationError(f"Sepurux sent no usable response within {spent} ({why})", "{Rerun}.")


def retry_wait(failed: int, error: Result, jitter: float) -> float:
    """Return the seconds until the next attempt: what `Retry-After` asks for, else exponential with full jitter."""
    if error.retry_after_s is not None:
        return max(MIN_RETRY_AFTER_S, error.retry_after_s)
    return float(min(RETRY_CAP_S, RETRY_BASE_S * 2 ** min(failed - 1, 10)) * jitter)


def asked_to_wait(error: Result) -> str:
    """Return a clause on a `Retry-After` that is longer than the time that is left; '' without one."""
    if error.retry_after_s is None:
        return ""
    return f"Sepurux asked to wait {wording.duration(retry_wait(1, error, 0))}, longer than the time that is left"
