"""Owns what a gate is asked and what came of it, in frozen data; never how either is obtained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from sepurux_action.core import options
from sepurux_action.core.ci_run import CIRun, Enrichment, combine
from sepurux_action.core.enforcement import Conclusion, OnUndecided, Stage
from sepurux_action.core.path_filter import Filter
from sepurux_action.core.stage_rules import Rule
from sepurux_action.core.verdict import Check, Decision, Ruling, Thresholds, check_thresholds

REGISTERED = "registered scenarios"  # what runs when no trace is named: the campaign's own

MOST_NAMED = 10  # failed traces that a reason names; the others are counted


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
    thresholds: Thresholds = Thresholds(
        min_pass_rate=options.MIN_PASS_RATE.default_value, max_unsafe=options.MAX_UNSAFE.default_value
    )
    stage: Stage = options.ENFORCEMENT.default_value
    on_undecided: OnUndecided = options.ON_UNDECIDED.default_value
    timeout_s: float = options.TIMEOUT.default_value
    reviewers: tuple[str, ...] = ()
    paths: Filter | None = None
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What became of one CI run of a gate. Ids are '' where they are not known; `hint` tells what to do, or ''.

    `trace_may_be_cause` tells that the run's trace was to be uploaded and may be why there is no verdict.
    """

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
    trace_may_be_cause: bool = False

    @property
    def decision(self) -> Decision:
        """Return what was learnt of this run."""
        return self.ruling.decision


def trace_may_be_cause(runs: Iterable[RunResult]) -> bool:
    """Return whether an uploaded trace may be why one of the runs has no verdict."""
    return any(run.trace_may_be_cause for run in runs if run.decision in {Decision.ERROR, Decision.PENDING})


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
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

    @cached_property
    def ranked(self) -> tuple[RunResult, ...]:
        """Return the runs, the worst first: by decision, then an exceeded `max_unsafe`, then the lowest pass rate."""
        return tuple(sorted(self.runs, key=lambda run: _badness(run.decision, run.run, self.gate.thresholds)))

    @property
    def worst(self) -> RunResult:
        """Return the run that decides."""
        return self.ranked[0]

    @cached_property
    def combined(self) -> CIRun:
        """Return the worst run with each number replaced by the worst of all runs. All reports use these numbers."""
        return combine([run.run for run in self.ranked])

    @property
    def checks(self) -> tuple[Check, ...]:
        """Return the thresholds compared with the combined numbers; none if no run has been compared with them."""
        if not any(run.ruling.checks for run in self.runs):
            return ()
        return tuple(check_thresholds(self.combined, self.gate.thresholds))

    @property
    def badness(self) -> tuple[int, bool, float]:
        """Return a key that sorts the worst gate first, by the same rules as its runs."""
        return _badness(self.decision, self.combined, self.gate.thresholds)

    @property
    def decision(self) -> Decision:
        """Return the gate's decision, the worst of its runs'."""
        return self.worst.decision

    @property
    def reason(self) -> str:
        """Return the reason in one sentence. With several traces it names the worst one and all others that failed."""
        worst, *others = self.ranked
        if not others:
            return worst.ruling.reason
        reason = f"{worst.trace}: {worst.ruling.reason}"
        failed = [run.trace for run in others if run.decision is Decision.FAIL]
        if not failed:
            return reason
        more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
        return f"{reason.removesuffix('.')}; also failed: {', '.join(failed[:MOST_NAMED])}{more}."


def _badness(decision: Decision, run: CIRun, thresholds: Thresholds) -> tuple[int, bool, float]:
    unsafe, allowed, rate = run.unsafe_attempts.value, thresholds.max_unsafe, run.pass_rate.value
    exceeded = unsafe is not None and allowed is not None and unsafe > allowed
    return decision.rank, not exceeded, math.inf if rate is None else rate
