"""The scenarios of a gate, and its numbers, from those of its runs. Source: docs/configuration.md#scenarios."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import fmean

from sepurux_action.common import grouped, json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.failures import Failures, merge_failures
from sepurux_action.evaluation.metrics import (
    FAILURES,
    LOWEST_SCENARIO,
    METRICS,
    MUTATION_CATEGORIES,
    PASS_RATE,
    SCENARIOS,
    UNSAFE_ATTEMPTS,
    Kind,
    Metric,
    Numbers,
)
from sepurux_action.evaluation.runs import Runs, covered_by, numbers_key


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario of an evaluation, with the CI run of each recording of it, and the pass rate that it needs.

    `key` is its name in the results of the base, '' for one of a batch. `base_rates` are the pass rates of the results
    that have all its failures, the newest first. `base_tools` are those that it called in every result. `idle`: its
    recordings call no tool, or none of these.
    """

    name: str
    recordings: Runs
    needed: float = 0
    key: str = ""
    base_rates: tuple[float | None, ...] = ()
    base_tools: tuple[str, ...] = ()
    idle: bool = False

    @property
    def read(self) -> bool:
        """Return whether a number of it may be known."""
        return any(each.evaluated for each in self.recordings)

    @property
    def flaky(self) -> date | None:
        return self.recordings[0].trace.flaky if self.recordings else None

    @property
    def low(self) -> bool:
        return not self.flaky and self.rate is not None and PASS_RATE.rounded(self.rate) < self.needed

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
        for run in self.recordings:
            count, listed = run.value(FAILURES), sum(each.count for each in run.failures)
            if count is None or not run.evaluated or listed < count:
                return False
        return not self.incomplete

    @property
    def failures(self) -> Failures:
        return merge_failures(failure for each in self.recordings for failure in each.failures)

    @property
    def numbers(self) -> Numbers:
        """Return the numbers that all recordings report."""
        known = (metric for metric in METRICS if all(each.value(metric) is not None for each in self.recordings))
        values = ((metric, self.value(metric)) for metric in known)
        return {metric.name: Reading(metric.rounded(value)) for metric, value in values if value is not None}

    def value(self, metric: Metric) -> float | None:
        """Return the number of all recordings that report it, not rounded; None if none does."""
        values = [value for each in self.recordings if (value := each.value(metric)) is not None]
        if not values:
            return None
        if metric is MUTATION_CATEGORIES:  # recordings may cover different ones
            values.append(len(covered_by(self.recordings) or ()))
        return metric.together(values)

    @property
    def rate(self) -> float | None:
        """Return the pass rate, not rounded; None if a recording reports none."""
        if any(each.value(PASS_RATE) is None for each in self.recordings):
            return None
        return self.value(PASS_RATE)

    @property
    def base_rate(self) -> float | None:
        """Return the mean pass rate on the base, not rounded; None if it is not known."""
        rates = [each for each in self.base_rates if each is not None]
        return fmean(rates) if rates else None

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


def scenarios_of(gate: Gate, runs: Runs) -> tuple[Scenario, ...]:
    """Return the scenarios of an evaluation in their order; of a batch, those whose runs are known one by one."""
    needed = gate.limits.get(LOWEST_SCENARIO.threshold, 0)
    if not gate.names_traces:
        [run] = runs
        run_ids, known = {*run.run_ids} or {run.run_id} - {""}, run.of_batch
        if len(run_ids) == 1 or (not run_ids and run.value(SCENARIOS) == 1):
            known = runs
        return tuple(Scenario(each.name or each.run_id, (each,), needed) for each in known)
    recordings = grouped((trace.scenario, run) for trace, run in zip(gate.traces, runs, strict=True))
    scenarios = []
    for (kind, key), every in recordings.items():
        # A trace with an id may have a task at Sepurux, whose name is read if it failed.
        shown = json_reader.printable((kind == "id" and every[0].name) or key)
        if every[0].trace.flaky:
            shown += f" (flaky until {every[0].trace.flaky})"
        scenarios.append(Scenario(shown, tuple(every), needed, key))
    return tuple(scenarios)


def numbers_of(gate: Gate, runs: Runs, scenarios: Sequence[Scenario]) -> Numbers:
    """Return the numbers of all runs of a gate, which mean what those of a batch mean.

    Rates and scores are the mean over the recordings of each scenario, then over the scenarios. Of a flaky scenario,
    only the unsafe attempts count.
    """
    numbers, sound = dict(runs[0].numbers), [each for each in scenarios if not each.flaky]
    if gate.has_several_traces:
        for metric in METRICS:
            of_metric: Sequence[Scenario] = sound
            if metric.kind is not Kind.MEAN:  # it is that of all recordings, whichever scenario they are of
                counted = tuple(run for run in runs if metric is UNSAFE_ATTEMPTS or not run.trace.flaky)
                of_metric = [Scenario("", counted)]
            numbers[metric.name] = _together(metric, of_metric)
    if gate.names_traces:
        is_known = any(run.decision.is_decided for run in runs)
        numbers[SCENARIOS.name] = Reading(len(scenarios)) if is_known else Reading()
        numbers[LOWEST_SCENARIO.name] = _lowest_of(sound)
    else:
        numbers.pop(LOWEST_SCENARIO.name, None)
    return {name: reading for name, reading in numbers.items() if not reading.missing}


def _together(metric: Metric, scenarios: Sequence[Scenario]) -> Reading:
    every = [metric.reading(run.numbers) for each in scenarios for run in each.recordings]
    values = [value for each in scenarios if (value := each.value(metric)) is not None]
    if not values:
        return next((reading for reading in every if reading.broken), Reading())
    value, known = metric.rounded(metric.together(values)), sum(reading.value is not None for reading in every)
    if known == len(every):
        return Reading(value)
    return Reading(value, reported_by=f"{known} of {len(every)} traces", partial=True)


def _lowest_of(scenarios: Sequence[Scenario]) -> Reading:
    """Return the lowest pass rate of the scenarios; a partial one if not all are known."""
    known = [each.rate for each in scenarios if each.rate is not None]
    if not known:
        every = (PASS_RATE.reading(run.numbers).broken for each in scenarios for run in each.recordings)
        return Reading(broken=next(filter(None, every), ""))
    lowest = PASS_RATE.rounded(min(known))
    if len(known) == len(scenarios):
        return Reading(lowest)
    return Reading(lowest, reported_by=f"{len(known)} of {len(scenarios)} scenarios", partial=True)
