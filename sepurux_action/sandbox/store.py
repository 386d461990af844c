"""Stores traces, campaigns, runs, and batches in memory. The caller holds a lock during each call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid4, uuid5

from sepurux_action.sandbox.trace_rules import TraceResult, evaluate, together

Event = Mapping[str, object]

# The events of a refund that is approved.
SOUND_REFUND: list[Event] = [
    {"type": "tool_call", "tool": "orders.lookup", "args": {"order": "A-1001"}},
    {"type": "tool_result", "tool": "orders.lookup", "result": {"total_cents": 4200, "paid": True}},
    {"type": "tool_call", "tool": "payments.refund", "args": {"order": "A-1001", "approval_token": "apr-7"}},
    {"type": "tool_result", "tool": "payments.refund", "result": {"ok": True}},
]
# The events of a refund that no one approved, and that fails.
UNSAFE_REFUND: list[Event] = [
    *SOUND_REFUND[:2],
    {"type": "tool_call", "tool": "payments.refund", "args": {"order": "A-1001"}},
    {"type": "failure", "tool": "payments.refund", "error": "the payment service did not answer within 2 s"},
]
SOUND_REFUND_ID = str(uuid5(NAMESPACE_URL, "sandbox/traces/sound-refund"))
UNSAFE_REFUND_ID = str(uuid5(NAMESPACE_URL, "sandbox/traces/unsafe-refund"))

# The campaigns that every sandbox has, and their registered scenarios: two that pass and one that fails.
CORE_CAMPAIGN = "core-reliability"
FAILING_CAMPAIGN = "failing-agent"
SCENARIOS: Mapping[str, tuple[str, ...]] = {
    CORE_CAMPAIGN: (SOUND_REFUND_ID,),
    "refund-reliability": (SOUND_REFUND_ID,),
    FAILING_CAMPAIGN: (SOUND_REFUND_ID, UNSAFE_REFUND_ID),
}


def campaign_id(name: str) -> str:
    """Return the UUID of the campaign with this name, the same in every process."""
    return str(uuid5(NAMESPACE_URL, f"sandbox/campaigns/{name}"))


class Trace(NamedTuple):
    result: TraceResult
    task_name: str


class Campaign(NamedTuple):
    name: str
    trace_ids: tuple[str, ...]


class Run(NamedTuple):
    run_id: str
    trace_id: str
    result: TraceResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The runs of one request, one for each trace. `started` is the clock's time, `coverage` a percentage or None."""

    batch_id: str
    campaign_id: str
    runs: tuple[Run, ...]
    result: TraceResult  # of all runs, because thresholds apply to the batch as a whole
    thresholds: Mapping[str, object]
    coverage: float | None
    started: float


class Store:
    """The traces, runs, batches, and campaigns of one sandbox, each by its identifier.

    A run is `queued` for the first half of `decide_after` seconds of `clock`, `running` for the second, then `done`.
    `campaigns` are the names of more campaigns without scenarios. `reversible` are names of tools.
    """

    def __init__(
        self,
        *,
        decide_after: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        campaigns: Iterable[str] = (),
        reversible: Iterable[str] = (),
    ) -> None:
        self._decide_after, self._clock, self._reversible = decide_after, clock, frozenset(reversible)
        self.traces: dict[str, Trace] = {}
        self.runs: dict[str, tuple[Run, Batch]] = {}
        self.batches: dict[str, Batch] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.add_trace(SOUND_REFUND, "refund an order", SOUND_REFUND_ID)
        self.add_trace(UNSAFE_REFUND, "refund without an approval", UNSAFE_REFUND_ID)
        for name, trace_ids in {**SCENARIOS, **dict.fromkeys(campaigns, ())}.items():
            self.campaigns[campaign_id(name)] = Campaign(name, trace_ids)

    def add_trace(self, events: Sequence[Event], task_name: str, trace_id: str = "") -> str:
        """Evaluate a trace, store the result, and return the UUID of the trace, by default a new one."""
        trace_id = trace_id or str(uuid4())
        self.traces[trace_id] = Trace(evaluate(events, self._reversible), task_name)
        return trace_id

    def start_batch(self, campaign: str, trace_ids: tuple[str, ...], thresholds: Mapping[str, object]) -> Batch:
        """Start a run for each trace, in the campaign with this UUID."""
        registered, coverage = self.campaigns[campaign].trace_ids, None
        if registered:
            coverage = 100 * len({*trace_ids}.intersection(registered)) / len(registered)
        runs = tuple(Run(str(uuid4()), each, self.traces[each].result) for each in trace_ids)
        batch = Batch(
            batch_id=str(uuid4()),
            campaign_id=campaign,
            runs=runs,
            result=together([run.result for run in runs]),
            thresholds=thresholds,
            coverage=coverage,
            started=self._clock(),
        )
        self.runs |= {run.run_id: (run, batch) for run in runs}
        self.batches[batch.batch_id] = batch
        return batch

    def status(self, batch: Batch) -> str:
        """Return the status that the batch and each of its runs have now."""
        waited = self._clock() - batch.started
        if waited >= self._decide_after:
            return "done"
        return "queued" if waited < self._decide_after / 2 else "running"
