"""The CI runs of an evaluation and its scenarios, of which any number may be missing."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Self

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.settings import Trace
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.base_results import ScenarioOnBase
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import UNSEEN, Decision, Rule, RunDecision
from sepurux_action.evaluation.failures import Failures, merge_failures
from sepurux_action.evaluation.metrics import Metric, Numbers

NOT_READ = RunDecision(decision=Decision.PENDING, reason="", rule=Rule.NOT_POLLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One CI run: that of a trace, a batch, or one of a batch. Unknown ids and names are ''.

    `uploaded`: `trace` is the path of a file. `of_batch` are the runs of a batch that were read for the report.
    `failures` are its classified failures by kind, with the path of an uploaded trace in place of the id.
    `unread`: not all of its numbers or failures were read. `flaky` is that of the trace.
    """

    trace: str = ""
    uploaded: bool = False
    run_decision: RunDecision = NOT_READ
    ci_run: CIRun = CIRun()
    campaign_id: str = ""
    trace_id: str = ""
    run_id: str = ""
    batch_id: str = ""
    hint: str = ""
    note: str = ""
    elapsed_s: float = 0
    name: str = ""
    failures: Failures = ()
    unread: bool = False
    of_batch: "tuple[RunResult, ...]" = ()
    flaky: date | None = None

    @classmethod
    def of(cls, trace: Trace, decided: RunDecision, hint: str) -> Self:
        return cls(
            trace=trace.label,
            uploaded=trace.uploaded,
            run_decision=decided,
            hint=hint,
            flaky=trace.flaky,
        )

    @property
    def decision(self) -> Decision:
        return self.run_decision.decision

    @property
    def counts_as_pass(self) -> bool:
        """Return whether it keeps no gate from passing. Of a flaky one, only the unsafe attempts count."""
        return self.decision is Decision.PASS or (self.flaky is not None and self.decision is Decision.FAIL)

    @property
    def path(self) -> str:
        """Return the path of an uploaded trace, else ''. It stands for the id, which is another one in each run."""
        return self.trace if self.uploaded else ""

    @property
    def evaluated(self) -> bool:
        """Return whether a response shows how the run ended, so that its numbers and failures can be read."""
        return self.run_decision.rule not in UNSEEN

    @property
    def reported(self) -> float:
        """Return how many failures and unsafe attempts it reports; infinite if one number is not known."""
        return sum(map(_or_infinity, self._counts))

    @property
    def listed(self) -> int:
        return sum(each.count for each in self.failures)

    @property
    def failed(self) -> bool:
        return bool(self.failures or self.ci_run.decision == "fail" or any(self._counts))

    @property
    def _counts(self) -> list[float | None]:
        return [self.ci_run.value(metric) for metric in (metrics.FAILURES, metrics.UNSAFE_ATTEMPTS)]


Runs = tuple[RunResult, ...]


def worst_of(runs: Runs) -> RunResult:
    return min(runs, key=lambda run: (run.flaky is not None, severity_key(run.decision, run.ci_run)))


def covered_by(runs: Iterable[CIRun]) -> tuple[str, ...] | None:
    """Return the mutation categories of any of the runs; None if no run names them."""
    names = [set(run.mutation_categories) for run in runs if run.mutation_categories is not None]
    return tuple(sorted(set().union(*names))) if names else None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario of an evaluation, with the CI run of each recording of it, and the pass rate that it needs.

    `key` is its name in the results of the base, '' for one of a batch. `base` is what these results say about it.
    `idle`: its recordings call no tool, or none that it called in every result of the base.
    """

    name: str
    recordings: Runs
    needed: float = 0
    key: str = ""
    base: ScenarioOnBase = ScenarioOnBase()
    idle: bool = False

    @property
    def read(self) -> bool:
        """Return whether a number of it may be known."""
        return any(each.evaluated for each in self.recordings)

    @property
    def flaky(self) -> date | None:
        return self.recordings[0].flaky if self.recordings else None

    @property
    def low(self) -> bool:
        return not self.flaky and self.rate is not None and metrics.PASS_RATE.rounded(self.rate) < self.needed

    @property
    def failed(self) -> bool:
        """Return whether it is known to have failed, and counts."""
        return not self.flaky and (self.low or any(each.failed for each in self.recordings))

    @property
    def incomplete(self) -> bool:
        return any(each.unread for each in self.recordings)

    @property
    def complete(self) -> bool:
        """Return whether all its failures are known."""
        counts = ((each.ci_run.value(metrics.FAILURES), each) for each in self.recordings)
        known = (count is not None and run.evaluated and run.listed >= count for count, run in counts)
        return all(known) and not self.incomplete

    @property
    def passed(self) -> bool:
        """Return whether it is known to have passed: no run reports a failure, or Sepurux decided so."""
        return all(each.ci_run.decision == "pass" or not each.reported for each in self.recordings)

    @property
    def numbers(self) -> Numbers:
        """Return the numbers that all recordings report."""
        known = ((metric, self._of_all(metric)) for metric in metrics.METRICS)
        return {metric.name: Reading(metric.rounded(value)) for metric, value in known if value is not None}

    def _of_all(self, metric: Metric) -> float | None:
        if any(each.ci_run.value(metric) is None for each in self.recordings):
            return None
        return self.value(metric)

    @property
    def failures(self) -> Failures:
        return merge_failures(failure for each in self.recordings for failure in each.failures)

    def value(self, metric: Metric) -> float | None:
        """Return the number of all recordings that report it, not rounded; None if none does."""
        values = [value for each in self.recordings if (value := each.ci_run.value(metric)) is not None]
        if not values:
            return None
        if metric is metrics.MUTATION_CATEGORIES:  # recordings may cover different ones
            values.append(len(covered_by(each.ci_run for each in self.recordings) or ()))
        return metric.together(values)

    @property
    def rate(self) -> float | None:
        """Return the pass rate, None if a recording reports none."""
        return self._of_all(metrics.PASS_RATE)

    @property
    def severity_key(self) -> tuple[float, ...]:
        """Return a key that sorts the worst one first, by unsafe attempts, pass rate, failures: flaky ones last."""
        return self.flaky is not None, not self.failed, *numbers_key(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatFailed:
    """What further calls add to the report on a gate: its scenarios, the worst first, and their classified failures.

    `unread_failures` counts those that Sepurux counts and that were not read, and `unread_scenarios` the scenarios that
    were not read, or not all of them. `missing` are scenarios that only the base's newest result has.
    """

    scenarios: tuple[Scenario, ...] = ()
    failures: Failures = ()
    unread_failures: int = 0
    unread_scenarios: int = 0
    missing: tuple[str, ...] = ()


def numbers_key(value: Callable[[Metric], float | None]) -> tuple[float, float, float]:
    """Return a key that sorts the worst numbers first; `value` returns the number of a metric."""
    unsafe, rate, failures = map(value, (metrics.UNSAFE_ATTEMPTS, metrics.PASS_RATE, metrics.FAILURES))
    return -(unsafe or 0), _or_infinity(rate), -(failures or 0)


def severity_key(decision: Decision, run: CIRun) -> tuple[int, float]:
    """Return a key that sorts the worst run first: by decision, then by the lowest pass rate."""
    return decision.rank, _or_infinity(run.value(metrics.PASS_RATE))


def _or_infinity(number: float | None) -> float:
    return math.inf if number is None else number
