"""Owns the turning of lanes: many walks over the backend in one thread, few calls at a time; never what a walk does.

A lane is a generator that yields what it wants next, a call or a pause, and is sent the answer (None after a pause).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sepurux_action.errors import Cancelled
from sepurux_action.evaluation import schedule
from sepurux_action.evaluation.api import ApiRequest, ApiResult, TransientError
from sepurux_action.evaluation.courier_protocol import Courier

T = TypeVar("T")

NO_TIME_LEFT = TransientError(reason="no time was left to ask")


@dataclass(frozen=True, slots=True)
class Send:
    """A lane wants this call made. `seconds` returns how long the call may take if it starts now: none if not positive.

    Polls are limited to ten a second over all lanes; other calls are not.
    """

    call: ApiRequest
    seconds: Callable[[], float]
    is_poll: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """A lane wants nothing for so many seconds."""

    seconds: float


Lane = Generator[Send | Pause, ApiResult | None, T]


def drive(lanes: Sequence[Lane[T]], courier: Courier, *, beat: Callable[[int], None]) -> list[T]:
    """Return what each lane returns, in their order.

    At most `MOST_CALLS_AT_ONCE` calls are under way at any time, and polls start at least `POLL_GAP_S` apart; the call
    that has waited longest goes first. `beat` is called every `HEARTBEAT_S` seconds with
    the number of lanes still open. After a signal Cancelled is thrown into each open lane, which must end with it.
    """
    return _Wheel(lanes, courier, beat).turn()


class _Wheel(Generic[T]):
    def __init__(self, lanes: Sequence[Lane[T]], courier: Courier, beat: Callable[[int], None]) -> None:
        self._lanes = lanes
        self._courier = courier
        self._beat = beat
        self._results: dict[int, T] = {}
        self._ready: deque[tuple[int, ApiResult | None]] = deque((index, None) for index in range(len(lanes)))
        self._pausing: list[tuple[float, int]] = []
        self._backlog: list[tuple[int, Send]] = []
        self._under_way = 0
        self._next_poll = courier.now()
        self._next_beat = courier.now() + schedule.HEARTBEAT_S

    def turn(self) -> list[T]:
        try:
            while len(self._results) < len(self._lanes):
                self._step_lanes()
                self._start_calls()
                self._wait()
        except Cancelled as cancelled:
            for index, lane in enumerate(self._lanes):
                if index not in self._results:
                    self._results[index] = _last_word(lane, cancelled)
        return [self._results[index] for index in range(len(self._lanes))]

    def _step_lanes(self) -> None:
        while self._ready:
            index, answer = self._ready.popleft()
            try:
                wish = self._lanes[index].send(answer)
            except StopIteration as end:
                self._results[index] = end.value
                continue
            if isinstance(wish, Pause):
                heapq.heappush(self._pausing, (self._courier.now() + max(0.0, wish.seconds), index))
            else:
                self._backlog.append((index, wish))

    def _start_calls(self) -> None:
        waiting, self._backlog = self._backlog, []
        for index, wish in waiting:
            seconds, now = wish.seconds(), self._courier.now()
            if seconds <= 0:
                self._ready.append((index, NO_TIME_LEFT))
            elif self._under_way >= schedule.MAX_CALLS_AT_ONCE or (wish.is_poll and now < self._next_poll):
                self._backlog.append((index, wish))
            else:
                self._courier.send(index, wish.call, seconds)
                self._under_way += 1
                if wish.is_poll:
                    self._next_poll = now + schedule.POLL_GAP_S

    def _wait(self) -> None:
        if self._ready or not (self._under_way or self._pausing or self._backlog):
            return
        now = self._courier.now()
        due = min([self._next_beat, *(at for at, _ in self._pausing[:1])])
        if self._backlog:  # its polls may have a turn, and its calls may run out of time
            due = min(due, self._next_poll if self._next_poll > now else now + schedule.POLL_GAP_S)
        arrival = self._courier.receive(max(0.0, due - now))
        if arrival is not None:
            self._under_way -= 1
            self._ready.append(arrival)
        now = self._courier.now()
        while self._pausing and self._pausing[0][0] <= now:
            self._ready.append((heapq.heappop(self._pausing)[1], None))
        if now >= self._next_beat:
            self._next_beat = now + schedule.HEARTBEAT_S
            self._beat(len(self._lanes) - len(self._results))


def _last_word(lane: Lane[T], cancelled: Cancelled) -> T:
    try:
        lane.throw(cancelled)
    except StopIteration as end:
        word: T = end.value
        return word
    raise AssertionError("a lane must end when it is cancelled")
