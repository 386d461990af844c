"""What the sandbox keeps in memory: traces, campaigns, runs and batches. The caller holds a lock around each call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import NAMESPACE_URL, uuid4, uuid5

from sepurux_action.sandbox.judging import Judgement, Thresholds, judge

Status = Literal["queued", "running", "done"]

CORE_CAMPAIGN: Final = "core-reliability"
"""A campaign without registered scenarios: its runs need a trace."""

REFUND_CAMPAIGN: Final = "refund-reliability"
"""A campaign whose one registered scenario is `SOUND_REFUND`: its runs need no trace."""

SOUND_REFUND: Final[list[Mapping[str, object]]] = [
    {"type": "tool_call", "tool": "orders.lookup", "args": {"order": "A-1001"}},
    {"type": "tool_result", "tool": "orders.lookup", "result": {"total_cents": 4200, "paid": True}},
    {"type": "tool_call", "tool": "payments.refund", "args": {"order": "A-1001", "approval_token": "apr-7"}},
    {"type": "tool_result", "tool": "payments.refund", "result": {"ok": True}},
]
"""The events of a refund that is approved."""

SOUND_REFUND_ID: Final = str(uuid5(NAMESPACE_URL, "sandbox/traces/sound-refund"))


def campaign_id(name: str) -> str:
    """Return the UUID of the campaign with this name, the same in every process."""
    return str(uuid5(NAMESPACE_URL, f"sandbox/campaigns/{name}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A campaign with its registered scenarios (its eval-set), in the order of their registration."""

    campaign_id: str
    name: str
    trace_ids: tuple[str, ...] = ()
    min_scenarios: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One evaluation of one trace; `started` is the clock's seconds."""

    run_id: str
    campaign_id: str
    trace_id: str
    judgement: Judgement
    thresholds: Thresholds
    started: float
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Runs started by one request; `coverage` is their percentage of the campaign's scenarios, None without any."""

    batch_id: str
    runs: tuple[Run, ...]
    coverage: float | None

    @property
    def judgement(self) -> Judgement:
        """The judgement over all attempts of all runs: the thresholds hold for the batch as a whole."""
        return Judgement(tuple(attempt for run in self.runs for attempt in run.judgement.attempts))


class Store:
    """What one sandbox keeps, each kind by its identifier.

    A run is `queued` for the first half of `decide_after` seconds, `running` for the second, then `done`.
    """

    def __init__(self, *, decide_after: float, clock: Callable[[], float], campaigns: Iterable[str]) -> None:
        self.traces = {SOUND_REFUND_ID: judge(SOUND_REFUND)}
        self.runs: dict[str, Run] = {}
        self.batches: dict[str, Batch] = {}
        self._decide_after = decide_after
        self._clock = clock
        names = dict.fromkeys((CORE_CAMPAIGN, REFUND_CAMPAIGN, *campaigns))
        self.campaigns = {campaign_id(name): Campaign(campaign_id=campaign_id(name), name=name) for name in names}
        self.register(campaign_id(REFUND_CAMPAIGN), add=[SOUND_REFUND_ID])

    def keep_trace(self, events: list[Mapping[str, object]]) -> str:
        """Judge a trace, keep the judgement, and return the trace's new UUID."""
        trace_id = str(uuid4())
        self.traces[trace_id] = judge(events)
        return trace_id

    def register(
        self,
        campaign: str,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        min_scenarios: int | None = None,
    ) -> Campaign:
        """Change a campaign's eval-set and return the changed campaign; None leaves `min_scenarios` as it is."""
        old, gone = self.campaigns[campaign], frozenset(remove)
        kept = (trace_id for trace_id in dict.fromkeys((*old.trace_ids, *add)) if trace_id not in gone)
        least = old.min_scenarios if min_scenarios is None else min_scenarios
        self.campaigns[campaign] = replace(old, trace_ids=tuple(kept), min_scenarios=least)
        return self.campaigns[campaign]

    def start_batch(self, campaign: Campaign, trace_ids: tuple[str, ...], thresholds: Thresholds) -> Batch:
        """Start one run for each trace, as one batch, and return it."""
        started, created_at = self._clock(), datetime.now(UTC).isoformat()
        runs = tuple(
            Run(
                run_id=str(uuid4()),
                campaign_id=campaign.campaign_id,
                trace_id=trace_id,
                judgement=self.traces[trace_id],
                thresholds=thresholds,
                started=started,
                created_at=created_at,
            )
            for trace_id in trace_ids
        )
        registered = campaign.trace_ids
        share = 100 * len({*trace_ids}.intersection(registered)) / len(registered) if registered else None
        batch = Batch(batch_id=str(uuid4()), runs=runs, coverage=share)
        self.runs |= {run.run_id: run for run in runs}
        self.batches[batch.batch_id] = batch
        return batch

    def status(self, run: Run) -> Status:
        """Return the run's status at this time."""
        waited = self._clock() - run.started
        if waited >= self._decide_after:
            return "done"
        return "queued" if waited < self._decide_after / 2 else "running"
