"""The scenarios of a gate, its numbers from those of its runs, and what its thresholds and the base say about them.

Sources: docs/reference.md#scenarios-and-numbers, docs/policy.md#block-only-what-gets-worse.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum, auto
from statistics import fmean

from sepurux_action.common import grouped, json_reader, wording
from sepurux_action.common.json_reader import Reading
from sepurux_action.config import options
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation import runs as ci_runs
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, METRICS, PASS_RATE, Kind, Metric, Numbers, shown_name
from sepurux_action.evaluation.results import Results, median, published_numbers, values_of
from sepurux_action.evaluation.runs import BaseScenario, Failure, FailureKind, Failures, OnBase, Run, Runs
from sepurux_action.evaluation.traces import HIDDEN, MAX_STEPS, with_steps

REQUIRED_CATEGORIES = options.REQUIRED_MUTATION_CATEGORIES.name
DROP = options.MAX_PASS_RATE_DROP.name
MIN_RESULTS = 3  # of two results and a third one, each is the lowest in one case of three, by chance alone


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
        return not self.flaky and self.rate is not None and self.rate < self.needed

    @property
    def failed(self) -> bool:
        """Return whether it is known to have failed, and counts."""
        return not self.flaky and (self.low or any(each.failed for each in self.recordings))

    @property
    def complete(self) -> bool:
        """Return whether all its failures are known."""
        for run in self.recordings:
            count, listed = run.value(metrics.FAILURES), sum(each.count for each in run.failures)
            if run.unread or not run.evaluated or count is None or listed < count:
                return False
        return True

    @property
    def failures(self) -> Failures:
        return ci_runs.merge_failures(failure for each in self.recordings for failure in each.failures)

    @property
    def numbers(self) -> Numbers:
        """Return all numbers; one is known if all recordings report it."""
        return {metric.name: Reading(self.value(metric)) for metric in METRICS}

    @property
    def rate(self) -> float | None:
        return self.value(PASS_RATE)

    @property
    def base_rate(self) -> float | None:
        """Return the mean pass rate on the base; None if it is not known."""
        rates = [each for each in self.base_rates if each is not None]
        return PASS_RATE.rounded(fmean(rates)) if rates else None

    def value(self, metric: Metric) -> float | None:
        """Return the number of all recordings; None if one does not report it."""
        value = combined(metric, self.recordings)
        if value is None or any(each.value(metric) is None for each in self.recordings):
            return None
        return metric.rounded(value)


def scenarios_of(gate: Gate, runs: Runs, of_batch: Runs = ()) -> tuple[Scenario, ...]:
    """Return the scenarios of an evaluation in their order; of a batch, those whose runs were read one by one."""
    needed = gate.limits.get(LOWEST_SCENARIO.threshold, 0)
    if not gate.names_traces:
        [run] = runs
        run_ids = {*run.run_ids} or {run.run_id} - {""}
        if len(run_ids) == 1 or (not run_ids and run.value(metrics.SCENARIOS) == 1):
            of_batch = runs
        return tuple(Scenario(each.name or each.trace_id or each.run_id, (each,), needed) for each in of_batch)
    scenarios, recordings = [], grouped((trace.scenario, run) for trace, run in zip(gate.traces, runs, strict=True))
    for (kind, key), every in recordings.items():
        # A trace with an id may have a task at Sepurux, whose name is read if it failed.
        shown = json_reader.printable((kind == "id" and every[0].name) or key)
        shown = json_reader.shorten(shown, json_reader.MAX_TEXT_LENGTH)
        scenarios.append(Scenario(shown, tuple(every), needed, key))
    return tuple(scenarios)


def compare_scenario(scenario: Scenario, results: Results) -> Scenario:
    """Return a scenario with marks at its failures; the steps of one are those of the worst recording that has it."""
    of_base = [each for result in results for each in result.scenarios if each.name == scenario.key]
    known = [each.failures for each in of_base if each.failures is not None]
    newest = of_base[0].steps if of_base else ()
    on_base, worst = dict[FailureKind, OnBase](), dict[tuple[FailureKind, str], Failure]()
    if known and scenario.complete:
        for kind, count in _for_each_recording(scenario).items():
            most = max(each.get(kind, 0) for each in known)
            on_base[kind] = OnBase(sum(kind in each for each in known), len(known), count, most)
    for run in sorted(scenario.recordings, key=_worst_first):
        for each in run.failures:
            if (each.kind, each.description) not in worst:
                worst[each.kind, each.description] = with_steps(each, run.trace, newest)

    def mark(failure: Failure) -> Failure:
        shown, compared = worst[failure.kind, failure.description], on_base.get(failure.kind)
        return replace(failure, scenario=scenario.name, on_base=compared, step=shown.step, steps=shown.steps)

    traces = [run.trace for run in scenario.recordings]
    called = {call.tool for trace in traces for call in trace.calls}
    in_all = set.intersection(*({call.tool for call in each.steps} for each in of_base)) if of_base else set[str]()
    expected = dict.fromkeys(call.tool for call in newest if call.tool in in_all - {HIDDEN})
    return replace(
        scenario,
        recordings=tuple(replace(run, failures=tuple(map(mark, run.failures))) for run in scenario.recordings),
        base_rates=tuple(each.pass_rate for each in of_base if each.failures is not None),
        base_tools=tuple(expected),
        idle=all(trace.content is not None for trace in traces)
        and not (called & expected.keys() if expected else called),
    )


def scenario_to_keep(scenario: Scenario) -> BaseScenario:
    failures = dict(sorted(_for_each_recording(scenario).items())) if scenario.complete else None
    best = max(scenario.recordings, key=_worst_first)
    return BaseScenario(
        name=scenario.key, pass_rate=scenario.rate, failures=failures, steps=best.trace.calls[:MAX_STEPS]
    )


def _worst_first(run: Run) -> tuple[float, float, float, str]:
    return *ci_runs.numbers_key(run.value), run.trace.label


def _for_each_recording(scenario: Scenario) -> Mapping[FailureKind, float]:
    """Return the number of failures of each kind for each recording."""
    counts = Counter[FailureKind]()
    for run in scenario.recordings:
        for each in run.failures:
            counts[each.kind] += each.count
    return {kind: count / len(scenario.recordings) for kind, count in counts.items()}


def covered_by(runs: Iterable[Run]) -> tuple[str, ...] | None:
    """Return the mutation categories of any of the runs; None if no run names them."""
    names = [set(run.categories) for run in runs if run.categories is not None]
    return tuple(sorted(set().union(*names))) if names else None


def combined(metric: Metric, runs: Iterable[Run]) -> float | None:
    """Return the number of all runs that report it, not rounded; None if none does."""
    every = [*runs]
    values = [value for run in every if (value := run.value(metric)) is not None]
    if values and metric is metrics.MUTATION_CATEGORIES:  # runs may cover different ones
        values.append(len(covered_by(every) or ()))
    return metric.combine(values) if values else None


def numbers_of(gate: Gate, runs: Runs, scenarios: Sequence[Scenario]) -> Numbers:
    """Return the numbers of all runs of a gate, which mean what those of a batch mean.

    Rates and scores are the mean over the recordings of each scenario, then over the scenarios. Other numbers are of
    all recordings, whichever scenario they are of. Of a flaky scenario, only the unsafe attempts count.
    """
    numbers, sound = dict(runs[0].numbers), [each.recordings for each in scenarios if not each.flaky]
    for metric in METRICS if gate.has_several_traces else ():
        parts = sound
        if metric.kind is not Kind.MEAN:
            parts = [tuple(run for run in runs if metric is metrics.UNSAFE_ATTEMPTS or not run.trace.flaky)]
        values = [value for each in parts if (value := combined(metric, each)) is not None]
        every = [metric.reading(run.numbers) for each in parts for run in each]
        known = sum(reading.value is not None for reading in every)
        value = metric.rounded(metric.combine(values)) if values else None
        numbers[metric.name] = _reading(value, known, len(every), "traces", every)
    numbers.pop(LOWEST_SCENARIO.name, None)
    if gate.names_traces:
        is_known = any(run.decision.is_decided for run in runs)
        numbers[metrics.SCENARIOS.name] = Reading(len(scenarios)) if is_known else Reading()
        rates = [each.rate for each in scenarios if each.rate is not None and not each.flaky]
        every = [PASS_RATE.reading(run.numbers) for each in sound for run in each]
        lowest = min(rates, default=None)
        numbers[LOWEST_SCENARIO.name] = _reading(lowest, len(rates), len(sound), "scenarios", every)
    return {name: reading for name, reading in numbers.items() if not reading.missing}


def _reading(value: float | None, known: int, total: int, noun: str, every: Sequence[Reading]) -> Reading:
    """Return a number that so many of all report; if none does, what is broken in the first one that is."""
    if value is None:
        return next((reading for reading in every if reading.broken), Reading())
    if known == total:
        return Reading(value)
    return Reading(reported_by=f"{known} of {total} {noun}", so_far=value)


class CheckState(StrEnum):
    MET = auto()
    MISSED = auto()
    NOT_REPORTED = auto()
    NO_NUMBER = auto()
    WITHIN_RANGE = auto()  # the drop is too large, but the base itself has results as low
    NOT_COMPARED = auto()  # the base has too few results


@dataclass(frozen=True, slots=True)
class Check:
    """One threshold compared with the numbers. In a table, `required` is the limit, and `actual` the number, if any.

    `text` is both in a line: `72.0% passed, 85.0% needed`, or why they are not compared. `lacking`: the required
    categories that no run covers.
    """

    threshold: str
    label: str
    required: str
    actual: str
    state: CheckState
    limit: float
    value: float | None
    text: str
    reported_by: str = ""
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a gate is compared with: the results on the base with this name, or those before the evaluated commit.

    If they could not be read, `results` is None, and `hint` says what to do. `kept` are the results by scenario.
    """

    results: Results | None
    kept: Results = ()
    name: str = "this branch"
    hint: str = (
        "Leave `github_token` at its default, and give the job `contents: read` and `statuses: write` under "
        "`permissions:`, then re-run it."
    )


def check_thresholds(
    gate: Gate, numbers: Numbers, categories: tuple[str, ...] | None, scenarios: Sequence[Scenario]
) -> Iterator[Check]:
    """Yield a check for each threshold but the drop."""
    low = sorted((each for each in scenarios if each.low), key=lambda each: each.rate or 0)
    for metric in METRICS:
        if metric.threshold in gate.limits:
            limit = gate.limits[metric.threshold]
            check = _check(metric, metric.reading(numbers), limit)
            if metric is LOWEST_SCENARIO and low and check.state is CheckState.MISSED:
                passed, needed = metric.write(check.value or 0, limit), metric.write(limit, check.value)
                text = f"{json_reader.preview(low[0].name)} passed {passed}, {needed} needed"
                check = replace(check, text=text)
            yield check
    required, reading = gate.required_mutation_categories, metrics.MUTATION_CATEGORIES.reading(numbers)
    if not required:
        return
    if reading.so_far is not None:
        categories = None
    lacking = tuple(name for name in required if categories is not None and shown_name(name) not in categories)
    if categories is not None:
        reading = replace(reading, value=len(required) - len(lacking))
    check, text = _check(metrics.MUTATION_CATEGORIES, reading, len(required)), "every required mutation is covered"
    if lacking:
        names = wording.listed([json_reader.preview(name) for name in lacking])
        text = f"{names} {'are' if lacking[1:] else 'is'} not covered"
    if check.state not in {CheckState.MET, CheckState.MISSED}:
        text = check.text
    check = replace(check, threshold=REQUIRED_CATEGORIES, label="Required mutations", text=text, lacking=lacking)
    yield replace(check, required=str(len(required)))


def _check(metric: Metric, reading: Reading, limit: float) -> Check:
    """Return a number compared with its limit, or what is not known for it.

    A number of some runs is missed only if those of the others can make it only worse.
    """
    value = reading.value
    if reading.so_far is not None and (metric is LOWEST_SCENARIO or metric.less_is_better):
        value = None if metric.meets(reading.so_far, limit) else reading.so_far
    required = metric.write(limit, value)
    if limit or not metric.less_is_better:  # at most 0 is shown as `0`
        required = f"{'≤' if metric.less_is_better else '≥'} {required}"
    if value is None:
        state = CheckState.NO_NUMBER if reading.broken else CheckState.NOT_REPORTED
        actual, text = reading.why_unknown, f"{metric.label.lower()}: {reading.why_unknown}"
    else:
        state = CheckState.MET if metric.meets(value, limit) else CheckState.MISSED
        of_some = wording.optional(" (in {})", reading.reported_by)
        actual, text = f"{metric.write(value, limit)}{of_some}", f"{metric.compared(value, limit)}{of_some}"
    return Check(metric.threshold, metric.label, required, actual, state, limit, value, text, reading.reported_by)


def lowest_allowed(gate: Gate, results: Results) -> float | None:
    """Return the lower of the median minus the allowed drop and the lowest result, None if no drop is compared."""
    values, middle, allowed = values_of(results, PASS_RATE), median(results, PASS_RATE), gate.limits.get(DROP)
    if allowed is None or middle is None or len(values) < MIN_RESULTS:
        return None
    return PASS_RATE.rounded(min(middle - allowed, *values))


def check_drop(gate: Gate, numbers: Numbers, base: Base) -> Check:
    """Return the check of the drop, which the gate limits. It compares numbers as a commit status has them."""
    reading, actual = PASS_RATE.reading(numbers), published_numbers(numbers, gate).get(PASS_RATE.name)
    values, middle, value = values_of(base.results or (), PASS_RATE), median(base.results or (), PASS_RATE), None
    limit, drop = round(gate.limits[DROP] * 100, wording.MAX_DIGITS), 0.0  # in points
    if actual is not None and middle is not None:
        drop = round((middle - actual) * 100, wording.MAX_DIGITS)
        value = round(drop / 100, wording.MAX_DIGITS)
    # with enough digits to differ from 0 and from the limit
    size = max(wording.score(abs(drop), 0.0), wording.score(abs(drop), limit), key=len)
    state, text = CheckState.MET, f"{size} points {'below' if drop > 0 else 'above'} {base.name}"
    if base.results is None:
        state, text = CheckState.NO_NUMBER, f"the results on {base.name} could not be read"
    elif actual is None and len(values) >= MIN_RESULTS:
        state, text = CheckState.NOT_REPORTED, f"pass rate: {reading.why_unknown}"
    elif actual is None or len(values) < MIN_RESULTS:
        state = CheckState.NOT_COMPARED
        text = f"not compared yet: {len(values)} of {MIN_RESULTS} results on {base.name}"
    elif drop > limit:
        state = CheckState.MISSED
        if actual >= min(values):
            state, text = CheckState.WITHIN_RANGE, f"{text}, as results there are as low"
    required, label = f"drop ≤ {wording.decimal(limit)}", "Drop of the pass rate"
    return Check(DROP, label, required, "", state, gate.limits[DROP], value, text, reading.reported_by)
