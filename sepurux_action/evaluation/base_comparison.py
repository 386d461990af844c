"""Compares the scenarios of an evaluation with the base's results, and makes such a result of an evaluation.

No decision depends on it. Source: docs/configuration.md#results-by-scenario
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean

from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.base_results import (
    BaseResult,
    BaseScenario,
    FailureKey,
    FixedFailure,
    OnBase,
    Results,
    ScenarioOnBase,
    scenarios_on_base,
)
from sepurux_action.evaluation.failures import ClassifiedFailure, merge_failures
from sepurux_action.evaluation.metrics import UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import published_numbers
from sepurux_action.evaluation.result import GateResult
from sepurux_action.evaluation.runs import RunResult, Scenario, WhatFailed, numbers_key
from sepurux_action.evaluation.trace_steps import Events, Steps, shown_steps, steps_of

MAX_NAME_LENGTH = 300  # characters of a scenario's name; one with more is not kept
MAX_FAILURES = 100  # of a scenario that are kept; with more, nothing is said about it


def compare_with_base(gate: Gate, found: WhatFailed, results: Results) -> WhatFailed:
    """Return what failed, with what the base's results and the uploaded traces say about it; nothing of a batch."""
    if not gate.names_traces:
        return found
    known, events = scenarios_on_base(results), _events_of(gate)
    scenarios = tuple(_compared(each, known.get(each.key, ScenarioOnBase()), events) for each in found.scenarios)
    failures = (each for scenario in scenarios for run in scenario.recordings for each in run.failures)
    fixed = tuple(
        FixedFailure(each.name, key, on_base)
        for each in scenarios
        if each.complete
        for key, on_base in each.base.fixed({failure.key for failure in each.failures}, len(each.recordings)).items()
    )
    return replace(found, scenarios=scenarios, failures=merge_failures(failures)[0], fixed=fixed)


def _events_of(gate: Gate) -> Mapping[str, Events]:
    """Return the events of the uploaded traces by the path of their recording."""
    return {trace.label: trace.events for trace in gate.traces}


def _compared(scenario: Scenario, base: ScenarioOnBase, events: Mapping[str, Events]) -> Scenario:
    """Return a scenario with marks at its failures; the steps of one are those of the worst recording that has it."""
    steps, on_base = dict[tuple[FailureKey, str], Steps](), dict[FailureKey, OnBase | None]()
    for run in sorted(scenario.recordings, key=_worst_first):
        for each in run.failures:
            if (each.key, each.description) not in steps:
                shown = shown_steps(events.get(run.path, ()), base.steps, each.tool, each.event)
                steps[each.key, each.description] = shown
            if scenario.complete:
                on_base[each.key] = base.compare(each.key)

    def mark(each: ClassifiedFailure) -> ClassifiedFailure:
        shown = steps[each.key, each.description]
        return replace(each, scenario=scenario.name, on_base=on_base.get(each.key), steps=shown)

    recordings = (replace(run, failures=tuple(map(mark, run.failures))) for run in scenario.recordings)
    return replace(scenario, recordings=tuple(recordings), base=base)


def _worst_first(run: RunResult) -> tuple[float, float, float, str]:
    """Return a key that sorts the worst recording of a scenario first."""
    return *numbers_key(run.ci_run.value), run.trace


def result_to_keep(result: GateResult, *, branch: str, commit: str, at: float) -> BaseResult:
    """Return the result of a gate that passed or failed, at a POSIX time, with the failures of both evaluations."""
    gate, events = result.gate, _events_of(result.gate)
    first = {each.key: each for each in result.first_failed.scenarios}
    every = result.what_failed.scenarios
    names = Counter(each.key for each in every)
    named = [each for each in every if each.key and names[each.key] == 1 and len(each.key) <= MAX_NAME_LENGTH]
    return BaseResult(
        gate=gate.name,
        campaign=gate.campaign,
        project=gate.project,
        mutation_pack=gate.mutation_pack,
        branch=branch,
        commit=commit,
        time=at,
        decision=result.decision,
        numbers=published_numbers(result.numbers, gate),
        scenarios=tuple(_to_keep(each, first.get(each.key), events) for each in named),
    )


def _to_keep(scenario: Scenario, first: Scenario | None, events: Mapping[str, Events]) -> BaseScenario:
    both = [*filter(None, (first, scenario))]
    rates = [each.rate for each in both if each.rate is not None]
    unsafe = (value for each in both if (value := each.value(UNSAFE_ATTEMPTS)) is not None)
    keys = sorted({failure.key for each in both for failure in each.failures})
    complete = all(each.complete for each in both) and len(keys) <= MAX_FAILURES
    best = max(scenario.recordings, key=_worst_first)
    return BaseScenario(
        name=scenario.key,
        recordings=len(scenario.recordings),
        pass_rate=fmean(rates) if len(rates) == len(both) else None,
        unsafe_attempts=max(unsafe, default=None),
        complete=complete,
        failures=tuple(keys) if complete else (),
        steps=steps_of(events.get(best.path, ())),
    )
