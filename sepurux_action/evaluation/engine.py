"""Sends the calls of a step: when, how often, and for how long.

Each run has a thread, whose calls block; so has each call. The main thread waits for the runs, and is the only one that
handles signals: a handler may use no lock that the main thread could hold, so it only adds to a queue.
"""

import math
import queue
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from sepurux_action.common import T, wording
from sepurux_action.errors import DEFECTS, REPORT_DEFECT, EvaluationError, Interrupted, describe_defect
from sepurux_action.evaluation.api import CALL_S, NO_TIME_LEFT, ApiRequest, Reply
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
MAX_RUNS_AT_ONCE = 800  # of a step: systems allow a process some 1,000 threads
HEARTBEAT_S = 30.0
Found = TypeVar("Found")
CHECK_NETWORK = "Check {base_url}, and that this machine may connect to its host through firewall and proxy. {Rerun}."


class Engine:
    """Sends calls, a few of each project at any time, the one that has waited longest first.

    After a response with `Retry-After`, no call is sent until that time has passed, because all calls go to one server.
    `last_error` is that of the last call of a run that was sent, None if it succeeded. `is_down`: all responses so far
    were HTTP 5xx, if there were any. `heard_s` is the time from the start to the last usable response.
    """

    now = staticmethod(time.monotonic)
    jitter = staticmethod(random.random)  # spreads retries, keeps no secret
    start = staticmethod(start_thread)
    new_event = staticmethod(threading.Event)

    def __init__(self, send: Callable[[ApiRequest, float], Reply], signals: Signals) -> None:
        self._send, self._signals = send, signals
        self._events = queue.SimpleQueue[object]()  # for the main thread; a signal handler may add to it
        signals.listeners.append(lambda: self._events.put(None))
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # of all that follows; no thread waits, calls, or writes while it has it
        self._waited_for = set[threading.Event]()  # by any thread but the main one
        self._calls_under_way = defaultdict[str, int](int)  # by project
        self._queues = defaultdict[str, deque[threading.Event]](deque)  # of what waits for the end of one of them
        self._next_poll = self._held_until = 0.0
        self._held_by = NO_TIME_LEFT  # the result whose `Retry-After` holds all calls
        self._said = set[str]()
        self._shared = dict[tuple[ApiRequest, float], Future[Reply]]()
        self.last_error: Reply | None = None
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
        with self._lock:
            is_new = text not in self._said
            self._said.add(text)
        return is_new

    def perform(self, work: Iterable[Callable[[], T]], beat: Callable[[], None] = lambda: None) -> list[T]:
        """Return the results of work, each done in a thread of its own. Every 30 seconds, call `beat`.

        Only the main thread may call this. A signal raises Interrupted in all threads, and so does another exception
        that one of them raises, which is raised here when all have ended.
        """
        if self._signals.received:
            raise Interrupted
        waiting, started, running = deque(work), list[Future[T]](), set[object]()
        next_beat = self.now() + HEARTBEAT_S
        while waiting or running:
            while waiting and len(running) < MAX_RUNS_AT_ONCE:
                future = self.start(waiting.popleft())
                started.append(future)
                running.add(future)
                future.add_done_callback(self._events.put)
            event = self.next_event(next_beat)
            has_failed = isinstance(event, Future) and event in running and event.exception() is not None
            running.discard(event)
            if has_failed or self._signals.received:
                waiting.clear()
                self._stopped.set()
                with self._lock:
                    for each in self._waited_for:
                        each.set()
            if self.now() >= next_beat:
                next_beat += HEARTBEAT_S
                beat()
        return [each.result() for each in started]

    def next_event(self, until: float) -> object:
        """Return what has ended; None at a time or after a signal."""
        try:  # a signal just before the wait runs its handler only after it, so it is short
            return self._events.get(timeout=min(max(0.0, until - self.now()), LONGEST_WAIT))
        except queue.Empty:
            return None

    def wait(self, until: float, event: threading.Event | None = None) -> None:
        """Wait for an event, or until a time, in any thread but the main one; raises Interrupted."""
        event = event or self.new_event()
        with self._lock:
            self._waited_for.add(event)
        if not (self._stopped.is_set() or self._signals.received):
            event.wait(min(max(0.0, until - self.now()), threading.TIMEOUT_MAX))
        with self._lock:
            self._waited_for.discard(event)
        if self._stopped.is_set() or self._signals.received:
            raise Interrupted

    def _wait_for(self, future: Future[T], until: float = math.inf) -> None:
        ended = self.new_event()
        future.add_done_callback(lambda _: ended.set())
        self.wait(until, ended)

    def share(self, items: Iterable[T], work: Callable[[T], Found]) -> list[Found]:
        """Return the results of work with each item, which a few threads do; raises what one of them raises."""
        left, results = deque(enumerate(items)), dict[int, Found]()

        def take() -> None:
            try:
                while True:
                    with self._lock:
                        if not left:
                            return
                        number, item = left.popleft()
                    results[number] = work(item)
            finally:
                with self._lock:
                    left.clear()  # after an exception, the others end too

        threads = [self.start(take) for _ in range(min(len(left), MAX_CALLS_AT_ONCE))]
        for thread in threads:
            self._wait_for(thread)
            thread.result()
        return [results[number] for number in sorted(results)]

    def send(self, call: ApiRequest, until: float) -> Reply:
        """Return the result of a call that must end by a time, with its waits."""
        with self._slot(call.project, until) as in_time:
            if not in_time:
                return NO_TIME_LEFT
            while held := self._held():
                if self._held_until >= until:
                    return held
                self.wait(self._held_until)
            return self._call(call, until - self.now())

    def poll(self, call: ApiRequest, timeout_s: float) -> tuple[Reply, bool]:
        """Return the result of a poll, and whether it was the last: it starts at the timeout, and may end after it."""
        until = self.now() + self.left(timeout_s) + self._last_polls_s
        with self._slot(call.project, until) as in_time:
            if not in_time:
                return self.noted(NO_TIME_LEFT), True
            if not self._held():
                with self._lock:
                    start = max(self.now(), self._next_poll)
                    self._next_poll = start + POLL_GAP_S
                self.wait(min(start, until))
                if start > until:
                    return self.noted(NO_TIME_LEFT), True
            left = self.left(timeout_s)
            last = left < MIN_POLL_WAIT_S
            seconds = min(LAST_POLL_S, until - self.now()) if last else min(CALL_S, left)
            return self.noted(self._held() or self._call(call, seconds)), last

    @contextmanager
    def _slot(self, project: str, until: float) -> Iterator[bool]:
        """Wait until a project may send a call, after those that have waited longer; give whether it may in time."""
        turn = self.new_event()
        with self._lock:
            waiting = self._queues[project]
            if self._calls_under_way[project] < MAX_CALLS_AT_ONCE:
                self._calls_under_way[project] += 1
                turn.set()
            else:
                waiting.append(turn)
        self.wait(until, turn)
        with self._lock:
            in_time = turn not in waiting
            if not in_time:
                waiting.remove(turn)
        try:
            yield in_time
        finally:
            with self._lock:
                if in_time and waiting:  # whose number of calls stays the same
                    waiting.popleft().set()
                elif in_time:
                    self._calls_under_way[project] -= 1

    def _held(self) -> Reply | None:
        """Return the result of a call that is not sent because of a `Retry-After`, with the seconds left; else None."""
        with self._lock:
            left = self._held_until - self.now()
            return replace(self._held_by, retry_after_s=left, sent=False) if left > 0 else None

    def _call(self, call: ApiRequest, seconds: float) -> Reply:
        """Return the result of a call. One that takes too long is abandoned: it delays neither result nor exit."""
        if seconds <= 0:
            return NO_TIME_LEFT
        future = self.start_call(call, seconds)
        self._wait_for(future, self.now() + seconds + GRACE_S)
        if not future.done():
            return Reply(error=f"no complete response within {seconds:.3g} s", temporary=True)
        try:
            result = future.result()
        except DEFECTS as defect:  # ends only the run that this call is for
            return Reply(error=describe_defect(defect), hint=REPORT_DEFECT)
        if result.retry_after_s is not None:
            until = self.now() + max(MIN_RETRY_AFTER_S, result.retry_after_s)
            with self._lock:
                if until > self._held_until:
                    self._held_until, self._held_by = until, result
        return result

    def start_call(self, call: ApiRequest, seconds: float) -> Future[Reply]:
        return self.start(partial(self._send, call, seconds))

    def noted(self, result: Reply) -> Reply:
        """Return a result, and note what it shows. If no time was left, an earlier error is why."""
        if result is NO_TIME_LEFT:
            return result.because_of(self.last_error)
        with self._lock:
            self.last_error = result if result.temporary else None
            self.is_down &= result.temporary and (result.status or 500) // 100 == 5  # noqa: PLR2004
        self.show_progress()
        return result

    def retried(self, call: ApiRequest, timeout_s: float, *, of_object: bool = False) -> Reply:
        """Return the result of a call that is tried again while its error, or with `of_object` its shape, may pass."""
        failed, error = 0, None
        while True:
            seconds = min(CALL_S, max(LAST_CALL_S, self.left(timeout_s)))
            result = self.noted(self.send(call, self.now() + seconds))
            if of_object and not result.error and not isinstance(result.payload, dict):
                result = replace(result, payload=None, error=NO_OBJECT, temporary=True)
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
            self.wait(self.now() + wait)

    def shared(self, call: ApiRequest, timeout_s: float) -> Reply:
        """Return the result of a call that is tried again, for all who make it with the same timeout."""
        with self._lock:
            if (call, timeout_s) not in self._shared:
                self._shared[call, timeout_s] = self.start(partial(self.retried, call, timeout_s))
            future = self._shared[call, timeout_s]
        self._wait_for(future)
        return future.result()

    def payload(self, call: ApiRequest, result: Reply) -> object:
        """Return the payload of a call that was tried again until the timeout; raises EvaluationError."""
        if result.error:
            raise self.failure(call, result)
        return result.payload

    def failure(self, call: ApiRequest, result: Reply) -> EvaluationError:
        if not result.temporary:
            return EvaluationError(result.error, result.hint)
        spent, why = wording.duration(self.elapsed() - self.heard_s), f"{call.purpose}: {result.error}"
        if result.retry_after_s is not None:
            asked = wording.duration(retry_wait(1, result, 0))
            told = f"Sepurux asked to wait {asked}, longer than the time that is left ({why})"
            return EvaluationError(told, "{Rerun} after that time.")
        if not result.status:
            return EvaluationError(f"Sepurux could not be reached within {spent}: {result.error}", CHECK_NETWORK)
        return EvaluationError(f"Sepurux sent no usable response within {spent} ({why})", "{Rerun}.")


def retry_wait(failed: int, error: Reply, jitter: float) -> float:
    """Return the seconds until the next attempt: what `Retry-After` asks for, else exponential with full jitter."""
    if error.retry_after_s is not None:
        return max(MIN_RETRY_AFTER_S, error.retry_after_s)
    return float(min(RETRY_CAP_S, RETRY_BASE_S * 2 ** min(failed - 1, 10)) * jitter)
