"""Owns what the sandbox remembers and when a run is decided; never outlives its process and never takes a lock.

Whoever serves several threads holds a lock around each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from sepurux_action.sandbox.content import (
    CORE_CAMPAIGN,
    REFUND_CAMPAIGN,
    SOUND_REFUND,
    SOUND_REFUND_ID,
    campaign_id,
)
from sepurux_action.sandbox.judging import Judgement, Thresholds, judge, judge_together

Status = Literal["queued", "running", "done"]
Decision = Literal["pending", "pass", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """An uploaded trace with its judgement, made once when it came in."""

    trace_id: str
    payload: Mapping[str, object]
    judgement: Judgement
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A campaign with its registered scenarios (its eval-set), in the order they were registered."""

    campaign_id: str
    name: str
    trace_ids: tuple[str, ...] = ()
    min_scenarios: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One evaluation of one trace, or of a whole eval-set for a pack; `started` is the clock's seconds."""

    run_id: str
    campaign_id: str
    traces: tuple[Trace, ...]
    thresholds: Thresholds
    started: float
    created_at: str

    @property
    def judgement(self) -> Judgement:
        """The judgement over all of the run's traces."""
        return judge_together(trace.judgement for trace in self.traces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Runs started by one request; `coverage` is the campaign's scenarios in it in percent, None without any."""

    batch_id: str
    runs: tuple[Run, ...]
    coverage: float | None

    @property
    def judgement(self) -> Judgement:
        """The judgement over all attempts of all runs: the thresholds hold for the batch as a whole."""
        return judge_together(run.judgement for run in self.runs)


class Ledger:
    """What one sandbox remembers, each kind by its identifier.

    A run is `queued` for the first half of `decide_after` seconds, `running` for the second, then `done`.
    """

    def __init__(self, *, decide_after: float, clock: Callable[[], float], campaigns: Iterable[str]) -> None:
        self.traces: dict[str, Trace] = {}
        self.runs: dict[str, Run] = {}
        self.batches: dict[str, Batch] = {}
        self._decide_after = decide_after
        self._clock = clock
        self.keep_trace(SOUND_REFUND, trace_id=SOUND_REFUND_ID)
        names = dict.fromkeys((CORE_CAMPAIGN, REFUND_CAMPAIGN, *campaigns))
        self.campaigns = {campaign_id(name): Campaign(campaign_id=campaign_id(name), name=name) for name in names}
        self.register(campaign_id(REFUND_CAMPAIGN), add=[SOUND_REFUND_ID])

    def keep_trace(self, payload: Mapping[str, object], trace_id: str | None = None) -> Trace:
        """Judge and keep a trace whose shape was checked; returns it under a new UUID unless one is given."""
        events = payload["events"]
        trace = Trace(
            trace_id=trace_id or str(uuid4()),
            payload=payload,
            judgement=judge(events if isinstance(events, list) else []),
            created_at=_now(),
        )
        self.traces[trace.trace_id] = trace
        return trace

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

    def start_batch(self, campaign: Campaign, trace_ids: Iterable[str], thresholds: Thresholds) -> Batch:
        """Start one run for each trace, as one batch, and return it."""
        runs = tuple(self.start_run(campaign, [trace_id], thresholds) for trace_id in trace_ids)
        covered = {trace.trace_id for run in runs for trace in run.traces}
        registered = campaign.trace_ids
        share = 100 * len(covered.intersection(registered)) / len(registered) if registered else None
        batch = Batch(batch_id=str(uuid4()), runs=runs, coverage=share)
        self.batches[batch.batch_id] = batch
        return batch

    def start_run(self, campaign: Campaign, trace_ids: Iterable[str], thresholds: Thresholds) -> Run:
        """Start one run over all of the traces and return it."""
        run = Run(
            run_id=str(uuid4()),
            campaign_id=campaign.campaign_id,
            traces=tuple(self.traces[trace_id] for trace_id in trace_ids),
            thresholds=thresholds,
            started=self._clock(),
            created_at=_now(),
        )
        self.runs[run.run_id] = run
        return run

    def status(self, run: Run) -> Status:
        """Return how far the run is by now."""
        waited = self._clock() - run.started
        if waited >= self._decide_after:
            return "done"
        return "queued" if waited < self._decide_after / 2 else "running"

    def decided_runs(self, campaign: str) -> list[Run]:
        """Return the campaign's runs that are over, oldest first."""
        return [run for run in self.runs.values() if run.campaign_id == campaign and self.status(run) == "done"]


def decision(status: Status, judgement: Judgement, thresholds: Thresholds) -> Decision:
    """Return `pending` until the run is over, then what its thresholds make of the judgement."""
    if status != "done":
        return "pending"
    return "fail" if thresholds.broken_by(judgement) else "pass"


def _now() -> str:
    return datetime.now(UTC).isoformat()
