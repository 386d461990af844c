"""Fakes: an hour passes in a millisecond, and nothing is patched."""

import heapq
import itertools
import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from sepurux_action.errors import DeadlineExceeded
from sepurux_action.evaluation.api import ApiRequest, Result
from sepurux_action.evaluation.engine import Engine
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.host.output import Level, Output

T = TypeVar("T")
MOST_S = 1_000_000.0  # the heartbeat goes on if nothing else does


@dataclass
class FakeClock(Timeouts):
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


class FakeEngine(Engine):
    """An engine on a clock that starts at 1,000 and moves only when every task waits.

    `backend` responds to a call; each response takes `takes_s` seconds.
    """

    def __init__(
        self,
        backend: Callable[[ApiRequest, float], Result],
        takes_s: float = 0.1,
        cancel_at: float | None = None,
        signals: Signals | None = None,
    ) -> None:
        self.signals = signals or Signals()
        super().__init__(lambda call, _: backend(call, self.time), self.signals)
        self.calls: list[tuple[float, ApiRequest]] = []
        self.max_at_once = 0
        self.time = 1_000.0
        self._takes_s = takes_s
        self._cancel_at = math.inf if cancel_at is None else cancel_at
        self._coming: list[tuple[float, int, Future[Result], Result]] = []

    def now(self) -> float:
        return self.time

    def jitter(self) -> float:
        return 1.0

    def start_call(self, call: ApiRequest, seconds: float) -> Future[Result]:
        self.calls.append((self.time, call))
        result, future = self._send(call, seconds), Future[Result]()
        at = self.time + (seconds if result.error == "hangs" else self._takes_s)
        heapq.heappush(self._coming, (at, len(self.calls), future, result))
        self.max_at_once = max(self.max_at_once, len(self._coming))
        return future

    def next_event(self, until: float) -> Future[Result] | None:
        at = self._coming[0][0] if self._coming else math.inf
        self.time = max(self.time, min(at, until, self._cancel_at))
        assert self.time < MOST_S, "every task waits for another one"
        if self.time >= self._cancel_at:
            self._cancel_at = math.inf
            self.signals.receive(15)
            return None
        if self.time < at:
            return None
        *_, future, result = heapq.heappop(self._coming)
        future.set_result(result)
        return self._events.get_nowait()

    def paths(self, part: str = "") -> list[str]:
        return [f"{call.method} {call.path}" for _, call in self.calls if part in call.path]


@dataclass
class FakeOutput(Output):
    lines: list[str] = field(default_factory=list)
    waits: list[tuple[str, float]] = field(default_factory=list)
    annotations: list[tuple[Level, str]] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.lines.append(text)

    def wait(self, what: str, left_s: float) -> None:
        self.waits.append((what, left_s))

    def annotate(self, level: Level, text: str, *, title: str = "") -> None:
        self.annotations.append((level, f"{title}: {text}" if title else text))


CAMPAIGN = "8c5f4f5e-0000-4000-8000-000000000001"


def backend(poll: Callable[[float], Result], **others: Result) -> Callable[[ApiRequest, float], Result]:
    """Return a backend that responds to polls with `poll(time)`; responses to other calls may be replaced by name."""
    routes = {
        "campaigns": Result(payload=[{"campaign_id": CAMPAIGN, "name": "core"}]),
        "reliability": Result(payload={"reliability_score": 0.9}),
        "failures": Result(payload=[]),
        **others,
    }

    made = itertools.count(1)

    def answer(call: ApiRequest, time: float) -> Result:
        last = call.path.rsplit("/", 1)[-1]
        if call.method == "POST" and last not in routes:
            number = next(made)
            return Result(
                payload={"batch_id": f"batch-{number}", "run_ids": [f"run-{number}"], "trace_id": f"trace-{number}"}
            )
        if call.method == "GET" and "/v1/ci/" in call.path:
            return poll(time)
        return routes.get(last, Result(error=f"no route {call.path}", status=404))

    return answer
