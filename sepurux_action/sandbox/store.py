"""Stores traces, campaigns, runs, and batches in memory. The caller holds a lock during each call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final, Literal
from uuid import NAMESPACE_URL, uuid4, uuid5

from sepurux_action.sandbox.trace_rules import Attempt, Evaluation, Thresholds, Together, evaluate

Status = Literal["queued", "running", "done"]

# The events of a refund that is approved.
SOUND_REFUND: Final[list[Mapping[str, object]]] = [
    {"type": "tool_call", "tool": "orders.lookup", "args": {"order": "A-1001"}},
    {"type": "tool_result", "tool": "orders.lookup", "result": {"total_cents": 4200, "paid": True}},
    {"type": "tool_call", "tool": "payments.refund", "args": {"order": "A-1001", "approval_token": "apr-7"}},
    {"type": "tool_result", "tool": "payments.refund", "result": {"ok": True}},
]
# The events of a refund that no one approved, and that fails.
UNSAFE_REFUND: Final[list[Mapping[str, object]]] = [
    *SOUND_REFUND[:2],
    {"type": "tool_call", "tool": "payments.refund", "args": {"order": "A-1001"}},
    {"type": "failure", "tool": "payments.refund", "error": "the payment service did not answer within 2 s"},
]
SOUND_REFUND_ID: Final = str(uuid5(NAMESPACE_URL, "sandbox/traces/sound-refund"))
UNSAFE_REFUND_ID: Final = str(uuid5(NAMESPACE_URL, "sandbox/traces/unsafe-refund"))

# The campaigns that every sandbox has, and their registered scenarios: two that pass and one that fails.
CORE_CAMPAIGN: Final = "core-reliability"
REFUND_CAMPAIGN: Final = "refund-reliability"
FAILING_CAMPAIGN: Final = "failing-agent"
SCENARIOS: Final[Mapping[str, tuple[str, ...]]] = {
    CORE_CAMPAIGN: (SOUND_REFUND_ID,),
    REFUND_CAMPAIGN: (SOUND_REFUND_ID,),
    FAILING_CAMPAIGN: (SOUND_REFUND_ID, UNSAFE_REFUND_ID),
}
FLAKY_CAMPAIGN: Final = "flaky-agent"  # the campaign that a sandbox with `flaky` has
FLAKY_ATTEMPTS, FLAKY_RATE = 50, 0.85  # of each of its runs, and how likely each attempt is to pass
MANY_CAMPAIGN: Final = "many-scenarios"  # the campaign that a sandbox with `scenarios` has
FAILING_SCENARIOS: Final = 5  # of these scenarios; the others pass


def campaign_id(name: str) -> str:
    """Return the UUID of the campaign with this name, the same in every process."""
    return str(uuid5(NAMESPACE_URL, f"sandbox/campaigns/{name}"))


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace with the name of its task. `created_at` is a time in ISO 8601."""

    evaluation: Evaluation
    task_name: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    campaign_id: str
    name: str
    trace_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    run_id: str
    trace_id: str
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The runs of one request, one for each trace. `started` is the clock's time, `coverage` a percentage or None."""

    batch_id: str
    campaign_id: str
    runs: tuple[Run, ...]
    thresholds: Thresholds
    coverage: float | None
    started: float
    created_at: str

    @property
    def evaluation(self) -> Together:
        """Return the numbers of all runs, because thresholds apply to the batch as a whole."""
        return Together(tuple(run.evaluation for run in self.runs))


class Store:
    """The traces, runs, batches, and campaigns of one sandbox, each by its identifier.

    A run is `queued` for the first half of `decide_after` seconds of `clock`, `running` for the second, then `done`.
    `campaigns` are the names of more campaigns without scenarios. If `scenarios` is not 0, MANY_CAMPAIGN has so many.
    With the seed `flaky`, each run of FLAKY_CAMPAIGN has other attempts that pass. `reversible` are names of tools.
    """

    def __init__(  # noqa: PLR0913 - what the command line sets, each by its name
        self,
        *,
        decide_after: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        campaigns: Iterable[str] = (),
        scenarios: int = 0,
        flaky: int | None = None,
        reversible: Iterable[str] = (),
    ) -> None:
        self._reversible = frozenset(reversible)
        self.traces: dict[str, Trace] = {}
        self.add_trace(SOUND_REFUND, "refund an order", SOUND_REFUND_ID)
        self.add_trace(UNSAFE_REFUND, "refund without an approval", UNSAFE_REFUND_ID)
        self._chance, self._flaky_id = Random(flaky), ""  # noqa: S311 - it keeps no secret
        if flaky is not None:
            self._flaky_id = self.add_trace(SOUND_REFUND, "refund an order, now and then")
        failing = {number * scenarios // FAILING_SCENARIOS for number in range(FAILING_SCENARIOS)}
        many = tuple(str(uuid5(NAMESPACE_URL, f"sandbox/traces/many/{number}")) for number in range(scenarios))
        for number, trace_id in enumerate(many):
            events = UNSAFE_REFUND if number in failing else SOUND_REFUND
            self.add_trace(events, f"refund order A-{1001 + number}", trace_id)
        self.runs: dict[str, tuple[Run, Batch]] = {}
        self.batches: dict[str, Batch] = {}
        self._decide_after, self._clock = decide_after, clock
        asked_for = {MANY_CAMPAIGN: many, FLAKY_CAMPAIGN: tuple(filter(None, [self._flaky_id]))}
        kept = {name: ids for name, ids in asked_for.items() if ids}
        scenarios_of = {**SCENARIOS, **kept, **dict.fromkeys(campaigns, ())}
        made = (Campaign(campaign_id=campaign_id(each), name=each, trace_ids=ids) for each, ids in scenarios_of.items())
        self.campaigns = {campaign.campaign_id: campaign for campaign in made}

    def add_trace(self, events: list[Mapping[str, object]], task_name: str, trace_id: str = "") -> str:
        """Evaluate a trace, store the evaluation, and return the UUID of the trace, by default a new one."""
        trace_id = trace_id or str(uuid4())
        self.traces[trace_id] = Trace(evaluate(events, self._reversible), task_name, datetime.now(UTC).isoformat())
        return trace_id

    def start_batch(self, campaign: Campaign, trace_ids: tuple[str, ...], thresholds: Thresholds) -> Batch:
        registered = campaign.trace_ids
        runs = tuple(Run(run_id=str(uuid4()), trace_id=each, evaluation=self._evaluation(each)) for each in trace_ids)
        batch = Batch(
            batch_id=str(uuid4()),
            campaign_id=campaign.campaign_id,
            runs=runs,
            thresholds=thresholds,
            coverage=100 * len({*trace_ids}.intersection(registered)) / len(registered) if registered else None,
            started=self._clock(),
            created_at=datetime.now(UTC).isoformat(),
        )
        self.runs |= {run.run_id: (run, batch) for run in batch.runs}
        self.batches[batch.batch_id] = batch
        return batch

    def _evaluation(self, trace_id: str) -> Evaluation:
        if trace_id != self._flaky_id:
            return self.traces[trace_id].evaluation
        errors = ("timed out" if self._chance.random() >= FLAKY_RATE else None for _ in range(FLAKY_ATTEMPTS))
        return Evaluation(tuple(Attempt("orders.lookup", n, error, "timeouts") for n, error in enumerate(errors)))

    def status(self, batch: Batch) -> Status:
        """Return the status that the batch and each of its runs have now."""
        waited = self._clock() - batch.started
        if waited >= self._decide_after:
            return "done"
        return "queued" if waited < self._decide_after / 2 else "running"
