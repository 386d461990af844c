"""The CI runs of an evaluation and its scenarios, of which any number may be missing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from sepurux_action.config.gate import Gate, Trace
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import Decision, Rule, RunDecision
from sepurux_action.evaluation.failures import Failures, fewer_listed, merge_failures
from sepurux_action.evaluation.metrics import FAILURES, PASS_RATE, UNSAFE_ATTEMPTS, Metric

_RUN_NUMBER = re.compile(r"/runs/([0-9]{1,20})\b", re.ASCII)
NOT_READ = RunDecision(decision=Decision.PENDING, reason="", rule=Rule.NOT_POLLED)


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A workflow run that evaluated a gate. `at` is the POSIX time of its start, in seconds."""

    url: str
    at: float

    @property
    def number(self) -> str:
        found = _RUN_NUMBER.search(self.url)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One CI run: that of a trace, a batch, or one of a batch. Unknown ids and names are ''.

    `trace_may_be_cause`: an uploaded trace may be why there is no decision. `earlier` is the workflow run that started
    it, None for the present one. `failures` are its classified failures by kind: `listed` is the number of entries that
    were read, and `left_out` counts those of kinds that were not kept. `problem` is a clause that says why its numbers
    or failures were not all read, '' if they were.
    """

    trace: str = ""
    run_decision: RunDecision = NOT_READ
    run: CIRun = CIRun()
    campaign_id: str = ""
    trace_id: str = ""
    run_id: str = ""
    batch_id: str = ""
    hint: str = ""
    note: str = ""
    elapsed_s: float = 0
    trace_may_be_cause: bool = False
    earlier: WorkflowRun | None = None
    name: str = ""
    failures: Failures = ()
    listed: int = 0
    left_out: int = 0
    problem: str = ""

    @classmethod
    def of(cls, trace: Trace, decided: RunDecision, hint: str) -> Self:
        uploaded = trace.content is not None
        return cls(trace=trace.label, run_decision=decided, hint=hint, trace_may_be_cause=uploaded)

    @property
    def decision(self) -> Decision:
        return self.run_decision.decision

    @property
    def evaluated(self) -> bool:
        """Return whether a response shows how the run ended, so that its numbers and failures can be read."""
        return self.run_decision.rule not in {Rule.NOT_POLLED, Rule.CANCELLED}

    @property
    def reported(self) -> float:
        """Return how many failures and unsafe attempts it reports; infinite if one number is not known."""
        return sum(math.inf if number is None else number for number in self._counts)

    @property
    def failed(self) -> bool:
        return bool(self.failures or self.run.decision == "fail" or any(self._counts))

    @property
    def _counts(self) -> list[float | None]:
        return [self.run.value(metric) for metric in (FAILURES, UNSAFE_ATTEMPTS)]

    def with_failures(self, failures: Failures, listed: int, left_out: int, problem: str) -> RunResult:
        """Return the run with its failures. Without a trace of its own, their trace is the run's."""
        trace_id = self.trace_id or next((each.trace_id for each in failures if each.trace_id), "")
        named = (replace(each, trace_id=each.trace_id or trace_id) for each in failures)
        problem = problem or fewer_listed(listed, self.run.value(FAILURES))
        merged = replace(self, trace_id=trace_id, name=self.name or trace_id, failures=merge_failures(named)[0])
        return replace(merged, listed=listed, left_out=left_out, problem=problem)


Runs = tuple[RunResult, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario of an evaluation, with the CI run of each recording of it."""

    name: str
    recordings: Runs

    @property
    def read(self) -> bool:
        """Return whether a number of it may be known."""
        return any(each.evaluated for each in self.recordings)

    @property
    def failed(self) -> bool:
        return any(each.failed for each in self.recordings)

    @property
    def reported(self) -> float:
        return sum(each.reported for each in self.recordings)

    @property
    def incomplete(self) -> bool:
        return any(each.problem for each in self.recordings)

    @property
    def failures(self) -> Failures:
        return merge_failures(failure for each in self.recordings for failure in each.failures)[0]

    @property
    def numbers(self) -> CIRun:
        return self.recordings[0].run

    def value(self, metric: Metric) -> float | None:
        return self.numbers.value(metric)

    @property
    def severity_key(self) -> tuple[float, ...]:
        """Return a key that sorts the worst scenario first: unsafe attempts, the pass rate, failures."""
        unsafe, rate, failures = map(self.value, (UNSAFE_ATTEMPTS, PASS_RATE, FAILURES))
        return not self.failed, -(unsafe or 0), math.inf if rate is None else rate, -(failures or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatFailed:
    """What further calls add to the report on a gate: its scenarios, the worst first, and their classified failures.

    `left_out` counts the failures of kinds that were not kept, `unread_failures` those that Sepurux counts and that
    were not read, and `unread_scenarios` the scenarios that were not read, or not all of them. `notes` say why. `fixed`
    are those that a result of the base had and this gate lacks; `compared_with` counts the results of the base that the
    failures were compared with.
    """

    scenarios: tuple[Scenario, ...] = ()
    failures: Failures = ()
    left_out: int = 0
    unread_failures: int = 0
    unread_scenarios: int = 0
    fixed: Failures = ()
    compared_with: int = 0
    notes: tuple[str, ...] = ()


def ranked(runs: Iterable[RunResult], gate: Gate) -> Runs:
    """Return the runs, the worst first: by decision, then an exceeded `max_unsafe`, then the lowest pass rate."""
    return tuple(sorted(runs, key=lambda run: severity_key(run.decision, run.run, gate)))


def severity_key(decision: Decision, run: CIRun, gate: Gate) -> tuple[int, bool, float]:
    unsafe, allowed = run.value(UNSAFE_ATTEMPTS), gate.limits.get(UNSAFE_ATTEMPTS.threshold)
    exceeded = unsafe is not None and allowed is not None and unsafe > allowed
    rate = run.value(PASS_RATE)
    return decision.rank, not exceeded, math.inf if rate is None else rate
