"""Fakes: an hour passes in a millisecond, and nothing is patched."""

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TypeVar

from sepurux_action.errors import DeadlineExceeded
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.host.output import Level, Output

T = TypeVar("T")


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


class _InstantSelector(selectors.DefaultSelector):
    """Adds up the seconds that an event loop wants to wait, and waits for none of them."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "every task waits for another one"
        self.waited += timeout
        return super().select(0)


class FakeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock starts at 1,000 and moves only when every task waits."""

    def __init__(self) -> None:
        self._instant = _InstantSelector()
        super().__init__(self._instant)

    def time(self) -> float:
        return 1_000 + self._instant.waited


class FakeApiCalls(ApiCalls):
    """Calls on a fake clock. `backend` responds to a call; each response takes `takes_s` seconds."""

    def __init__(
        self,
        backend: Callable[[ApiRequest, float], ApiResult],
        takes_s: float = 0.1,
        cancel_at: float | None = None,
        signals: Signals | None = None,
    ) -> None:
        self.signals = signals or Signals()
        super().__init__(lambda call, _: backend(call, self.time), self.signals)
        self.calls: list[tuple[float, ApiRequest]] = []
        self.max_at_once = 0
        self._takes_s = takes_s
        self._cancel_at = cancel_at
        self._loop = FakeLoop()
        self._under_way = 0

    @property
    def time(self) -> float:
        return self._loop.time()

    def until_complete(self, work: Coroutine[object, object, T]) -> T:
        if self._cancel_at is not None:
            self._loop.call_at(self._cancel_at, self.signals.receive, 15)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            return runner.run(work)

    def jitter(self) -> float:
        return 1.0

    async def perform(self, call: ApiRequest, seconds: float) -> ApiResult:
        self.calls.append((self.time, call))
        result = self._send(call, seconds)
        hangs = isinstance(result, TransientError) and result.reason == "hangs"
        self._under_way += 1
        self.max_at_once = max(self.max_at_once, self._under_way)
        try:
            await asyncio.sleep(seconds if hangs else self._takes_s)
        finally:
            self._under_way -= 1
        return result

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


def backend(poll: Callable[[float], ApiResult], **others: ApiResult) -> Callable[[ApiRequest, float], ApiResult]:
    """Return a backend that responds to polls with `poll(time)`; responses to other calls may be replaced by name."""
    routes = {
        "campaigns": Success([{"campaign_id": CAMPAIGN, "name": "core"}]),
        "reliability": Success({"reliability_score": 0.9}),
        "failures": Success([]),
        **others,
    }

    made = itertools.count(1)

    def answer(call: ApiRequest, time: float) -> ApiResult:
        last = call.path.rsplit("/", 1)[-1]
        if call.method == "POST" and last not in routes:
            number = next(made)
            return Success({"batch_id": f"batch-{number}", "run_ids": [f"run-{number}"], "trace_id": f"trace-{number}"})
        if call.method == "GET" and "/v1/ci/" in call.path:
            return poll(time)
        return routes.get(last, PermanentError(reason=f"no route {call.path}", status=404))

    return answer
