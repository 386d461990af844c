"""Owns what a gate is asked and what came of it, in frozen data; never how either is obtained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sepurux_action.core.ci_run import CIRun, Enrichment
from sepurux_action.core.enforcement import Conclusion, OnUndecided, Stage
from sepurux_action.core.path_filter import Filter
from sepurux_action.core.stage_rules import Rule
from sepurux_action.core.verdict import Decision, Ruling, Thresholds

REGISTERED = "registered scenarios"  # what runs when no trace is named: the campaign's own


@dataclass(frozen=True, slots=True)
class TraceContent:
    """The JSON text of a trace file, `size` bytes of UTF-8; an iteration yields it in pieces.

    An iteration may read the file again. It raises CannotJudge, before the last piece, if the file has changed.
    """

    sha256: str
    size: int
    pieces: Callable[[], Iterator[bytes]] = field(compare=False, repr=False)

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace to judge: an id that the backend knows, or a file's content to upload first, or neither."""

    label: str
    trace_id: str = ""
    content: TraceContent | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate's settings, complete: nothing is looked up later. `timeout_s` is in seconds.

    `stage` is the one that rules today; `rules` are what it comes from, where a policy lists rules.
    """

    name: str
    campaign: str
    project: str = ""
    traces: tuple[Trace, ...] = (Trace(label=REGISTERED),)
    mutation_pack: str = ""
    thresholds: Thresholds = Thresholds(min_pass_rate=0.9, max_unsafe=0)
    stage: Stage = Stage.HARD
    on_undecided: OnUndecided = OnUndecided.BLOCK
    timeout_s: float = 600
    reviewers: tuple[str, ...] = ()
    paths: Filter | None = None
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What became of one CI run of a gate. Ids are '' where they are not known; `hint` tells what to do, or ''."""

    trace: str
    ruling: Ruling
    run: CIRun = CIRun()
    campaign_id: str = ""
    trace_id: str = ""
    run_id: str = ""
    batch_id: str = ""
    enrichment: Enrichment = Enrichment()
    hint: str = ""
    elapsed_s: float = 0

    @property
    def decision(self) -> Decision:
        """Return what was learnt of this run."""
        return self.ruling.decision

    @property
    def badness(self) -> tuple[int, float]:
        """Return a key that sorts the worst run first: by decision, then by the lowest pass rate."""
        rate = self.run.pass_rate.value
        return self.decision.rank, math.inf if rate is None else rate


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What became of a gate: its runs, one for each trace, and what follows.

    `waits_for_review` tells that a review can still open it; `review` says who can and how, or who did. `notes` are
    sentences about its stage.
    """

    gate: Gate
    runs: tuple[RunResult, ...]
    conclusion: Conclusion
    waits_for_review: bool = False
    review: str = ""
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> RunResult:
        """Return the run that decides: the worst decision, ties by the lowest pass rate, then by order."""
        return min(self.runs, key=lambda run: run.badness)

    @property
    def decision(self) -> Decision:
        """Return the gate's decision, the worst of its runs'."""
        return self.worst.decision

    @property
    def reason(self) -> str:
        """Return the reason in one sentence, with the trace's name where there are several."""
        return self.worst.ruling.reason if len(self.runs) == 1 else f"{self.worst.trace}: {self.worst.ruling.reason}"
