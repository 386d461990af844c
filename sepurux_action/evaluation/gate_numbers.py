"""The scenarios of a gate, its numbers from those of its runs, and what its thresholds and the base say about them.

Sources: docs/configuration.md#scenarios, docs/noisy-agents.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum, auto
from statistics import fmean

from sepurux_action.common import grouped, json_reader, wording
from sepurux_action.common.json_reader import Reading
from sepurux_action.config import options
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, METRICS, PASS_RATE, Kind, Metric, Numbers
from sepurux_action.evaluation.published_result import Results, median, published_numbers, values_of
from sepurux_action.evaluation.runs import Failures, Run, Runs, merge_failures

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
        return not self.flaky and self.rate is not None and PASS_RATE.rounded(self.rate) < self.needed

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
        return merge_failures(failure for each in self.recordings for failure in each.failures)

    @property
    def numbers(self) -> Numbers:
        """Return the numbers that all recordings report."""
        known = (metric for metric in METRICS if all(each.value(metric) is not None for each in self.recordings))
        values = ((metric, self.value(metric)) for metric in known)
        return {metric.name: Reading(metric.rounded(value)) for metric, value in values if value is not None}

    @property
    def rate(self) -> float | None:
        """Return the pass rate, not rounded; None if a recording reports none."""
        return None if any(each.value(PASS_RATE) is None for each in self.recordings) else self.value(PASS_RATE)

    @property
    def base_rate(self) -> float | None:
        """Return the mean pass rate on the base, not rounded; None if it is not known."""
        rates = [each for each in self.base_rates if each is not None]
        return fmean(rates) if rates else None

    def value(self, metric: Metric) -> float | None:
        """Return the number of all recordings that report it, not rounded; None if none does."""
        values = [value for each in self.recordings if (value := each.value(metric)) is not None]
        if values and metric is metrics.MUTATION_CATEGORIES:  # recordings may cover different ones
            values.append(len(covered_by(self.recordings) or ()))
        return metric.combine(values) if values else None


def scenarios_of(gate: Gate, runs: Runs, of_batch: Runs = ()) -> tuple[Scenario, ...]:
    """Return the scenarios of an evaluation in their order; of a batch, those whose runs were read one by one."""
    needed = gate.limits.get(LOWEST_SCENARIO.threshold, 0)
    if not gate.names_traces:
        [run] = runs
        run_ids = {*run.run_ids} or {run.run_id} - {""}
        if len(run_ids) == 1 or (not run_ids and run.value(metrics.SCENARIOS) == 1):
            of_batch = runs
        return tuple(Scenario(each.name or each.run_id, (each,), needed) for each in of_batch)
    scenarios, recordings = [], grouped((trace.scenario, run) for trace, run in zip(gate.traces, runs, strict=True))
    for (kind, key), every in recordings.items():
        # A trace with an id may have a task at Sepurux, whose name is read if it failed.
        shown = json_reader.printable((kind == "id" and every[0].name) or key)
        if every[0].trace.flaky:
            shown += f" (flaky until {every[0].trace.flaky})"
        scenarios.append(Scenario(shown, tuple(every), needed, key))
    return tuple(scenarios)


def covered_by(runs: Iterable[Run]) -> tuple[str, ...] | None:
    """Return the mutation categories of any of the runs; None if no run names them."""
    names = [set(run.categories) for run in runs if run.categories is not None]
    return tuple(sorted(set().union(*names))) if names else None


def numbers_of(gate: Gate, runs: Runs, scenarios: Sequence[Scenario]) -> Numbers:
    """Return the numbers of all runs of a gate, which mean what those of a batch mean.

    Rates and scores are the mean over the recordings of each scenario, then over the scenarios. Other numbers are of
    all recordings, whichever scenario they are of. Of a flaky scenario, only the unsafe attempts count.
    """
    numbers, sound = dict(runs[0].numbers), [each for each in scenarios if not each.flaky]
    if gate.has_several_traces:
        for metric in METRICS:
            parts: Sequence[Scenario] = sound
            if metric.kind is not Kind.MEAN:
                counted = (run for run in runs if metric is metrics.UNSAFE_ATTEMPTS or not run.trace.flaky)
                parts = [Scenario("", tuple(counted))]
            every = [metric.reading(run.numbers) for each in parts for run in each.recordings]
            values = [value for each in parts if (value := each.value(metric)) is not None]
            value = metric.rounded(metric.combine(values)) if values else None
            known = sum(reading.value is not None for reading in every)
            numbers[metric.name] = _reading(value, known, len(every), "traces", every)
    if gate.names_traces:
        is_known = any(run.decision.is_decided for run in runs)
        numbers[metrics.SCENARIOS.name] = Reading(len(scenarios)) if is_known else Reading()
        every = [PASS_RATE.reading(run.numbers) for each in sound for run in each.recordings]
        rates = [each.rate for each in sound if each.rate is not None]
        lowest = PASS_RATE.rounded(min(rates)) if rates else None
        numbers[LOWEST_SCENARIO.name] = _reading(lowest, len(rates), len(sound), "scenarios", every)
    else:
        numbers.pop(LOWEST_SCENARIO.name, None)
    return {name: reading for name, reading in numbers.items() if not reading.missing}


def _reading(value: float | None, known: int, total: int, noun: str, every: Sequence[Reading]) -> Reading:
    """Return a number that so many of all report; if none does, what is broken in the first one that is."""
    if value is None:
        return next((reading for reading in every if reading.broken), Reading())
    if known == total:
        return Reading(value)
    return Reading(value, reported_by=f"{known} of {total} {noun}", partial=True)


class CheckState(StrEnum):
    MET = auto()
    MISSED = auto()
    NOT_REPORTED = auto()
    NO_NUMBER = auto()
    WITHIN_RANGE = auto()  # the drop is too large, but the base itself has results as low
    NOT_COMPARED = auto()  # the base has too few results


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One threshold compared with the numbers. `actual` and `required` are `value` and `limit` as text.

    `remark`: why a drop does not count. `lacking`: the required categories that no run covers.
    """

    threshold: str
    label: str
    required: str
    actual: str
    state: CheckState
    limit: float
    value: float | None = None
    remark: str = ""
    lacking: tuple[str, ...] = ()
    sentence: str = ""
    reported_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a gate is compared with: the results on the base with this name, or those before the evaluated commit.

    If they could not be read, `results` is None, and `hint` says what to do.
    """

    results: Results | None
    name: str = "this branch"
    hint: str = ""


def check_thresholds(
    gate: Gate, numbers: Numbers, categories: tuple[str, ...] | None, scenarios: Sequence[Scenario]
) -> Iterator[Check]:
    """Yield a check for each threshold; a sentence names the lowest of the scenarios."""
    for metric in METRICS:
        if (limit := gate.limits.get(metric.threshold)) is None:
            continue
        reading = metric.reading(numbers)
        value, met, actual = reading.value, False, reading.broken or "not reported"
        if value is not None:
            met, actual = metric.meets(value, limit), metric.write(value, limit)
        (state, sentence), required = _state(metric, reading, met=met), metric.write(limit, value)
        if state is CheckState.MISSED and metric is LOWEST_SCENARIO:
            low, *others = sorted((each for each in scenarios if each.low), key=lambda each: each.rate or 0)
            sentence = f"scenario {json_reader.preview(low.name)} passed {actual}, less than the required {required}"
            if others:
                sentence += f", and so did {wording.pluralize(len(others), 'other')}"
        elif state is CheckState.MISSED or not sentence:
            sentence = metric.sentence(value or 0, limit)
        if not metric.less_is_better:
            required = f"≥ {required}"
        elif limit:  # at most 0 is shown as `0`
            required = f"≤ {required}"
        yield Check(
            threshold=metric.threshold,
            label=metric.label,
            required=required,
            actual=actual,
            state=state,
            limit=limit,
            value=value,
            sentence=sentence,
            reported_by=reading.reported_by,
        )
    if gate.required_mutation_categories:
        yield _check_categories(gate.required_mutation_categories, categories, numbers)


def _check_categories(required: tuple[str, ...], covered: tuple[str, ...] | None, numbers: Numbers) -> Check:
    reading = metrics.MUTATION_CATEGORIES.reading(numbers)
    value, actual, lacking = None, reading.broken or "not reported", tuple[str, ...]()
    sentence = "all categories are covered"
    if covered is not None:
        lacking = tuple(name for name in required if name not in covered)
        value = len(required) - len(lacking)
        actual = str(value)
    if lacking:
        sentence = f"mutation categories lack {', '.join(map(json_reader.preview, lacking))}"
    state, unknown = _state(metrics.MUTATION_CATEGORIES, reading, met=covered is not None and not lacking)
    return Check(
        threshold=REQUIRED_CATEGORIES,
        label="Required mutations",
        required=str(len(required)),
        actual=actual,
        state=state,
        limit=len(required),
        value=value,
        lacking=lacking,
        sentence=unknown or sentence,
        reported_by=reading.reported_by,
    )


def _state(metric: Metric, reading: Reading, *, met: bool) -> tuple[CheckState, str]:
    """Return the state, and a sentence on a number that is not known, or not of all runs; '' if it is.

    A number of some runs is missed only if those of the others can make it only worse.
    """
    only_worsens = metric is LOWEST_SCENARIO or (metric.kind is Kind.SUM and metric.less_is_better)
    if reading.value is None:
        state = CheckState.NO_NUMBER if reading.broken else CheckState.NOT_REPORTED
        return state, f"{metric.label.lower()}: {reading.broken or 'not reported'}"
    state = CheckState.MET if met else CheckState.MISSED
    if not reading.partial:
        return state, ""
    if met or not only_worsens:
        state = CheckState.NOT_REPORTED
    return state, f"{metric.label.lower()}: only known of {reading.reported_by}"


def lowest_allowed(gate: Gate, results: Results) -> float | None:
    """Return the lower of the median minus the allowed drop and the lowest result, None if no drop is compared."""
    values, middle, allowed = values_of(results, PASS_RATE), median(results, PASS_RATE), gate.limits.get(DROP)
    if allowed is None or middle is None or len(values) < MIN_RESULTS:
        return None
    return PASS_RATE.rounded(min(middle - allowed, *values))


def check_drop(gate: Gate, numbers: Numbers, base: Base) -> Check:
    """Return the check of the drop, which the gate limits. It compares numbers as a commit status has them."""
    reading, actual = PASS_RATE.reading(numbers), published_numbers(numbers, gate).get(PASS_RATE.name)
    middle, drop, value, shown = median(base.results or (), PASS_RATE), 0.0, None, metrics.NOT_KNOWN
    limit = round(gate.limits[DROP] * 100, wording.MAX_DIGITS)
    if actual is not None and middle is not None:
        drop, shown = round((middle - actual) * 100, wording.MAX_DIGITS), "0"
        value = round(drop / 100, wording.MAX_DIGITS)
        if drop > 0:
            shown = _size(drop, limit)
    state, remark, sentence = _compare(actual, drop, limit, base, broken=reading.broken)
    shown = {CheckState.NO_NUMBER: "not known", CheckState.NOT_REPORTED: "not reported"}.get(state, shown)
    return Check(
        threshold=DROP,
        label=f"Drop of the {PASS_RATE.noun}",
        required=f"≤ {_size(limit, drop)}",
        actual=shown,
        state=state,
        limit=gate.limits[DROP],
        value=value,
        remark=remark,
        sentence=sentence,
        reported_by=reading.reported_by,
    )


def _compare(
    actual: float | None, drop: float, limit: float, base: Base, *, broken: str
) -> tuple[CheckState, str, str]:
    """Return the state of a drop in points, the remark why it does not count, and the sentence."""
    if base.results is None:
        remark = f"the results on {base.name} could not be read"
        return CheckState.NO_NUMBER, remark, f"{remark}, so no drop can be compared"
    values = values_of(base.results, PASS_RATE)
    if actual is None and (len(values) >= MIN_RESULTS or broken):
        sentence = f"it did not report the {PASS_RATE.noun}, which is compared with {base.name}"
        return CheckState.NOT_REPORTED, "", f"{PASS_RATE.noun}: {broken}" if broken else sentence
    if actual is None or len(values) < MIN_RESULTS:
        remark = f"not compared yet: {len(values)} of {MIN_RESULTS} results on {base.name}"
        return CheckState.NOT_COMPARED, remark, f"a drop of the {PASS_RATE.noun} is {remark}"
    if drop <= limit:
        return CheckState.MET, "", f"{PASS_RATE.with_noun(actual)} is within the allowed drop"
    results = wording.pluralize(len(values), "result")
    below = f"{PASS_RATE.with_noun(actual)} is {_size(drop, limit)} points below the median of {results} on {base.name}"
    if actual < min(values):
        return CheckState.MISSED, "", f"{below}, more than the allowed {_size(limit, drop)}, and below each of them"
    lowest, highest = (PASS_RATE.write(each, None) for each in (min(values), max(values)))
    remark = f"within {base.name}'s range, {lowest} to {highest}"
    return CheckState.WITHIN_RANGE, remark, f"{below}, but {remark}"


def _size(points: float, distinct_from: float) -> str:
    """Return a number of points with enough digits to differ from 0 and from another number."""
    return max((wording.score(abs(points), other) for other in (0.0, abs(distinct_from))), key=len)
