"""Owns the passing of time: calls under way, each in a thread of its own, and the wait for their answers.

Never lets a call outlive its seconds: one that drips is left behind, and its late answer is thrown away.
"""

from __future__ import annotations

import queue
import random
import threading
import time
import uuid
from collections.abc import Callable

from sepurux_action.errors import DEFECTS, REPORT_DEFECT, Cancelled, describe_defect
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, TransientError
from sepurux_action.host.arrivals import Arrivals

GRACE_S = 0.25  # for the transport to end a call by itself, with a better reason


class ThreadCourier:
    """A courier with one daemon thread for each call under way; `interrupt` may be called by a signal handler."""

    def __init__(self, send: Callable[[ApiRequest, float], ApiResult]) -> None:
        """Take what performs one call, such as `Transport.send`."""
        self._send = send
        self._arrivals: Arrivals[tuple[int, ApiResult] | None] = Arrivals()
        self._signal: int | None = None
        self._under_way: dict[int, tuple[int, float, float]] = {}
        self._sent = 0

    def now(self) -> float:
        """Return the monotonic clock's seconds."""
        return time.monotonic()

    def jitter(self) -> float:
        """Return a random number, 0 to 1."""
        return random.random()  # noqa: S311 - spreads retries, keeps no secret

    def new_key(self) -> str:
        """Return a random UUID."""
        return str(uuid.uuid4())

    def interrupt(self, signal: int) -> None:
        """Make every `send` and `receive` from now on, and one under way, raise Cancelled."""
        self._signal = signal
        self._arrivals.put(None)

    def send(self, tag: int, call: ApiRequest, within_s: float) -> None:
        """Start the call in a thread; a defect that it meets is its answer, because only its own run may end by it."""
        self._heed()
        self._sent += 1
        number = self._sent
        self._under_way[number] = (tag, self.now() + within_s + GRACE_S, within_s)

        def deliver() -> None:
            try:
                answer = self._send(call, within_s)
            except DEFECTS as defect:
                answer = PermanentError(reason=describe_defect(defect), hint=REPORT_DEFECT)
            self._arrivals.put((number, answer))

        threading.Thread(target=deliver, name=f"call {number}", daemon=True).start()

    def receive(self, within_s: float) -> tuple[int, ApiResult] | None:
        """Return the next answer with its tag; a call that overstays answers with Trouble."""
        until = self.now() + within_s
        while True:
            self._heed()
            first = min(self._under_way.items(), key=lambda each: each[1][1], default=None)
            overdue_at = first[1][1] if first else until
            try:
                arrival = self._arrivals.next(min(until, overdue_at))
            except queue.Empty:
                if first and self.now() >= overdue_at:
                    tag, _, seconds = self._under_way.pop(first[0])
                    return tag, TransientError(reason=f"no complete answer within {seconds:.3g} s")
                return None
            if arrival is None:
                continue
            number, answer = arrival
            if number in self._under_way:
                return self._under_way.pop(number)[0], answer

    def _heed(self) -> None:
        if self._signal is not None:
            raise Cancelled(self._signal)
