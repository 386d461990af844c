"""Fakes: an hour passes in a millisecond, and nothing is patched."""

import heapq
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sepurux_action.errors import DeadlineExceeded
from sepurux_action.evaluation.api import ApiRequest, Reply
from sepurux_action.evaluation.engine import Engine
from sepurux_action.host import deadlines, output

T = TypeVar("T")
MOST_S = 1_000_000.0  # the heartbeat goes on if nothing else does
CAMPAIGN = "8c5f4f5e-0000-4000-8000-000000000001"


@dataclass
class FakeClock(deadlines.Timeouts):
    """A clock that moves only when a test or a fake moves it; work is not begun when no time is left."""

    time: float = 1_000.0

    def now(self) -> float:
        return self.time

    def run(self, seconds: float, work: Callable[[], T]) -> T:
        if seconds <= 0:
            raise DeadlineExceeded
        until = self.time + seconds
        result = work()
        if self.time > until:
            self.time = until
            raise DeadlineExceeded
        return result

    def pause(self, seconds: float) -> None:
        self.time += seconds


class FakeEvent(threading.Event):
    """An event whose waits take no real time."""

    def __init__(self, threads: "FakeThreads") -> None:
        super().__init__()
        self._threads, self._waiting = threads, list[threading.Event]()

    def set(self) -> None:
        super().set()
        self._threads.ready.extend(self._waiting)

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set():
            turn = threading.Event()
            self._waiting.append(turn)
            self._threads.at(self._threads.time + (timeout or 0), lambda: self._threads.ready.append(turn))
            self._threads.wait(turn)
        return self.is_set()


class FakeThreads:
    """Lets one thread run at a time, until it waits or ends; the one that is ready for the longest time is next.

    The clock starts at 1,000, and moves only when every thread waits. The main thread is next after each event for it.
    """

    def __init__(self) -> None:
        self.time = 1_000.0
        self.ready = deque[threading.Event]()
        self.events: queue.SimpleQueue[object] = queue.SimpleQueue()  # for the main thread
        self._main: threading.Event | None = None
        self._coming: list[tuple[float, int, Callable[[], object]]] = []
        self._number = itertools.count()

    def at(self, time: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._coming, (time, next(self._number), action))

    def start(self, work: Callable[[], T]) -> Future[T]:
        turn = threading.Event()
        self.ready.append(turn)
        future = Future[T]()
        threading.Thread(target=self._perform, args=(turn, work, future), daemon=True).start()
        return future

    def _perform(self, turn: threading.Event, work: Callable[[], T], future: Future[T]) -> None:
        turn.wait()
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is read
            future.set_exception(error)
        self._run_next()

    def wait(self, turn: threading.Event) -> None:
        self._run_next()
        turn.wait()

    def wait_for_event(self, until: float) -> object:
        """Return the next event for the main thread, None at a time."""
        if self.events.empty():
            self._main = turn = threading.Event()
            self.at(until, lambda: self.ready.append(turn))
            self.wait(turn)
            self._main = None
        assert self.time < MOST_S, "every thread waits for another one"
        return None if self.events.empty() else self.events.get()

    def _run_next(self) -> None:
        while True:
            if self._main and not self.events.empty():
                turn, self._main = self._main, None
            elif self.ready:
                turn = self.ready.popleft()
            else:
                time, _, action = heapq.heappop(self._coming)
                self.time = max(self.time, time)
                action()
                continue
            if not turn.is_set():
                turn.set()
                return


class FakeEngine(Engine):
    """An engine on a clock that starts at 1,000 and moves only when every thread waits.

    `backend` responds to a call; each response takes `takes_s` seconds.
    """

    def __init__(
        self,
        backend: Callable[[ApiRequest, float], Reply],
        takes_s: float = 0.1,
        cancel_at: float | None = None,
        signals: deadlines.Signals | None = None,
    ) -> None:
        self.signals, self.threads = signals or deadlines.Signals(), FakeThreads()
        super().__init__(lambda call, _: backend(call, self.time), self.signals)
        self._events = self.threads.events
        self.calls: list[tuple[float, ApiRequest]] = []
        self.max_at_once = 0
        self._takes_s = takes_s
        self._under_way = 0
        if cancel_at is not None:
            self.threads.at(cancel_at, partial(self.signals.receive, 15))

    @property
    def time(self) -> float:
        return self.threads.time

    def now(self) -> float:
        return self.threads.time

    def jitter(self) -> float:
        return 1.0

    def start(self, work: Callable[[], T]) -> Future[T]:
        return self.threads.start(work)

    def new_event(self) -> threading.Event:
        return FakeEvent(self.threads)

    def next_event(self, until: float) -> object:
        return self.threads.wait_for_event(until)

    def start_call(self, call: ApiRequest, seconds: float) -> Future[Reply]:
        self.calls.append((self.time, call))
        result, future = self._send(call, seconds), Future[Reply]()
        self._under_way += 1
        self.max_at_once = max(self.max_at_once, self._under_way)

        def respond() -> None:
            self._under_way -= 1
            future.set_result(result)

        self.threads.at(self.time + (seconds if result.error == "hangs" else self._takes_s), respond)
        return future

    def paths(self, part: str = "") -> list[str]:
        return [f"{call.method} {call.path}" for _, call in self.calls if part in call.path]


@dataclass
class FakeOutput(output.Output):
    lines: list[str] = field(default_factory=list)
    waits: list[tuple[str, float]] = field(default_factory=list)
    annotations: list[tuple[output.Level, str]] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.lines.append(text)

    def wait(self, what: str, left_s: float) -> None:
        self.waits.append((what, left_s))

    def annotate(self, level: output.Level, text: str, *, title: str = "") -> None:
        self.annotations.append((level, f"{title}: {text}" if title else text))


def backend(poll: Callable[[float], Reply], **others: Reply) -> Callable[[ApiRequest, float], Reply]:
    """Return a backend that responds to polls with `poll(time)`; responses to other calls may be replaced by name."""
    routes = {
        "campaigns": Reply(payload=[{"campaign_id": CAMPAIGN, "name": "core"}]),
        "reliability": Reply(payload={"reliability_score": 0.9}),
        "failures": Reply(payload=[]),
        **others,
    }
    made = itertools.count(1)

    def answer(call: ApiRequest, time: float) -> Reply:
        last = call.path.rsplit("/", 1)[-1]
        if call.method == "POST" and last not in routes:
            number = next(made)
            ids = {"batch_id": f"batch-{number}", "run_ids": [f"run-{number}"], "trace_id": f"trace-{number}"}
            return Reply(payload=ids)
        if call.method == "GET" and "/v1/ci/" in call.path:
            return poll(time)
        return routes.get(last, Reply(error=f"no route {call.path}", status=404))

    return answer
