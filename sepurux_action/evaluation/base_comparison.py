"""Compares the scenarios of an evaluation with the base's results, and makes such a result of an evaluation.

No decision depends on it. Source: docs/configuration.md#results-by-scenario
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from statistics import fmean

from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.base_results import BaseResult, BaseScenario, Results
from sepurux_action.evaluation.base_scenarios import ScenarioOnBase, scenarios_on_base
from sepurux_action.evaluation.failures import ClassifiedFailure, FixedFailure, merge_failures
from sepurux_action.evaluation.metrics import UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import published_numbers
from sepurux_action.evaluation.result import GateResult
from sepurux_action.evaluation.runs import RunResult, Scenario, WhatFailed, numbers_key
from sepurux_action.evaluation.trace_steps import (
    HIDDEN,
    Events,
    Steps,
    compare_steps,
    failed_step,
    read_events,
    steps_of,
)

MAX_LINES = 12  # that show the steps of a failure
LINES_BEFORE = 4  # of them, before the first difference, or the failed step
LINES_AROUND = 7  # that show a failed step: what follows it explains less
MAX_NAME_LENGTH = 300  # characters of a scenario's name; one with more is not kept
MAX_FAILURES = 100  # of a scenario that are kept; with more, nothing is said about it


def compare_with_base(gate: Gate, found: WhatFailed, results: Results) -> WhatFailed:
    """Return what failed, with what the base's results and the uploaded traces say about it; nothing of a batch."""
    if not gate.names_traces:
        return found
    known, events = scenarios_on_base(results), _Traces(gate)
    scenarios = tuple(_compared(each, known.get(each.key, ScenarioOnBase()), events) for each in found.scenarios)
    fixed = (failure for scenario in scenarios for failure in _fixed(scenario))
    runs = (run for scenario in scenarios for run in scenario.recordings)
    return replace(
        found,
        scenarios=scenarios,
        failures=merge_failures(failure for run in runs for failure in run.failures_by_path)[0],
        fixed=tuple(fixed),
    )


def _fixed(scenario: Scenario) -> Iterator[FixedFailure]:
    if scenario.complete:
        keys = {failure.key for failure in scenario.failures}
        for key, on_base in scenario.base.fixed(keys, len(scenario.recordings)).items():
            yield FixedFailure(scenario.name, key, on_base)


def _compared(scenario: Scenario, base: ScenarioOnBase, events: _Traces) -> Scenario:
    complete = scenario.complete

    def mark(failure: ClassifiedFailure) -> ClassifiedFailure:
        on_base = base.compare(failure.key) if complete else None
        having = [run for run in scenario.recordings if failure.kind in {_alike(each).kind for each in run.failures}]
        worst = min(having, key=_worst_first)
        steps = tuple(_lines(events(worst), failure, base.steps))
        return replace(failure, scenario=scenario.name, on_base=on_base, steps=steps)

    marked = {failure.kind: mark(failure) for failure in map(_alike, scenario.failures)}
    recordings = (
        replace(run, failures=tuple(_marked(each, marked[_alike(each).kind]) for each in run.failures))
        for run in scenario.recordings
    )
    return replace(scenario, recordings=tuple(recordings), base=base)


def _alike(failure: ClassifiedFailure) -> ClassifiedFailure:
    """Return a failure without what may differ between recordings of a scenario."""
    return replace(failure, trace_id="")


def _marked(failure: ClassifiedFailure, marked: ClassifiedFailure) -> ClassifiedFailure:
    return replace(failure, scenario=marked.scenario, on_base=marked.on_base, steps=marked.steps)


# -- steps ------------------------------------------------------------------------------------------------------------


class _Traces:
    """Reads the uploaded traces of a gate, each once; of another trace, there are no events."""

    def __init__(self, gate: Gate) -> None:
        self._contents = {trace.label: trace.content for trace in gate.traces if trace.content is not None}
        self._read = cache(read_events)

    def __call__(self, run: RunResult) -> Events:
        content = self._contents.get(run.path)
        return self._read(content) if content is not None else ()


def _worst_first(run: RunResult) -> tuple[float, float, float, str]:
    """Return a key that sorts the worst recording of a scenario first."""
    return *numbers_key(run.run.value), run.trace


def _lines(events: Events, failure: ClassifiedFailure, base: Steps) -> Sequence[str]:
    """Return the difference from the base's steps, else the steps with the failed one (`>`); () without both."""
    here = steps_of(events)
    compared = compare_steps(base, here) if base and here else ()
    if changed := [index for index, each in enumerate(compared) if each.sign != " "]:
        return first_lines([*map(str, compared)], changed[0])
    failed = failed_step(events, failure.tool, failure.event)
    if failed is None:
        return ()
    lines = [f"{'>' if each == failed else ' '} {each}" for each in here]
    return first_lines(lines, here.index(failed), LINES_AROUND)


def first_lines(lines: Sequence[str], at: int, most: int = MAX_LINES) -> Sequence[str]:
    """Return at most so many lines around that with the index `at`; `…` stands for those before and after them."""
    start = max(0, min(at - LINES_BEFORE, len(lines) - most))
    shown = [*lines[start : start + most]]
    if start:
        shown[0] = f"  {HIDDEN}"
    if start + most < len(lines):
        shown[-1] = f"  {HIDDEN}"
    return shown


# -- what is kept -----------------------------------------------------------------------------------------------------


def result_to_keep(result: GateResult, *, branch: str, commit: str, at: float) -> BaseResult:
    """Return the result of a gate that passed or failed, at a POSIX time, with the failures of both evaluations."""
    gate, events = result.gate, _Traces(result.gate)
    first = {each.key: each for each in result.first_failed.scenarios}
    every = result.what_failed.scenarios if gate.names_traces else ()
    names = Counter(each.key for each in every)
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
        scenarios=tuple(
            _to_keep(each, [first[each.key]] if each.key in first else [], events)
            for each in every
            if names[each.key] == 1 and len(each.key) <= MAX_NAME_LENGTH
        ),
    )


def _to_keep(scenario: Scenario, first: Sequence[Scenario], events: _Traces) -> BaseScenario:
    both = [*first, scenario]
    rates = [each.rate for each in both if each.rate is not None]
    unsafe = [value for each in both if (value := each.value(UNSAFE_ATTEMPTS)) is not None]
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
        steps=tuple(map(str, steps_of(events(best)))),
    )
