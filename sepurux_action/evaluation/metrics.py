"""The table of metrics: one row for each number that an evaluation reports. Every other module reads the table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from statistics import fmean

from sepurux_action.common import json_reader, wording
from sepurux_action.common.json_reader import Reading
from sepurux_action.config import options
from sepurux_action.config.settings import Gate

MAX_COUNTED = 2**53  # above this, a float cannot represent every whole number
RATE_DIGITS = 10  # after the point of a fraction, which rounds the error of floating-point arithmetic away
SCORE_DIGITS = 8  # after the point of a number of 0 to 100
MAX_NAME_LENGTH = 300  # characters of a tool or a mutation category: a response may hold 4 MiB of them
NOT_KNOWN = "–"
_NO_READING = Reading()
# By whether less is better, and whether the limit is met.
_RELATIONS = {(True, True): "within the allowed", (True, False): "more than the allowed"}
_RELATIONS |= {(False, True): "at least the required", (False, False): "below the required"}


class Unit(StrEnum):
    INTEGER = "integer"
    FRACTION = "fraction"  # of 1, which statuses show as percent
    OF_100 = "of_100"


HIGHEST = {Unit.FRACTION: 1, Unit.OF_100: 100}  # the end of the scale


class Kind(StrEnum):
    """How the numbers of several runs become one."""

    COUNT = "count"  # the highest one
    SUM = "sum"
    MEAN = "mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number that an evaluation reports.

    `name` is that in report.json, and `field` in responses if it is another one; `label` is for tables, `noun` for
    sentences. `read_value` reads a JSON value, and `write` makes a number differ from another. `threshold` is the
    option that limits it; unless it is `sent`, only the gate knows it. Without a number that is `needed`, no gate
    passes its threshold. `output` describes its output. `published` is its text in a commit status; the numbers that
    have one are compared over time. `reached` is its text in a title, by default that of a commit status.
    """

    name: str
    label: str
    noun: str
    kind: Kind
    unit: Unit
    read_value: Callable[[object], Reading]
    write: Callable[[float, float | None], str]
    field: str = ""
    threshold: str = ""
    sent: bool = True
    less_is_better: bool = False
    needed: bool = False
    output: str = ""
    published: str = ""
    reached: str = ""

    def read(self, response: object) -> Reading:
        return self.read_value(json_reader.at(response, self.field or self.name))

    def reading(self, numbers: "Numbers") -> Reading:
        return numbers.get(self.name, _NO_READING)

    def combine(self, values: Sequence[float]) -> float:
        """Return the number of several runs, not rounded."""
        if self.kind is Kind.SUM:
            return min(MAX_COUNTED, sum(values))
        return max(values) if self.kind is Kind.COUNT else fmean(values)

    def rounded(self, value: float) -> float:
        if self.unit is Unit.INTEGER:
            return value
        return round(value, RATE_DIGITS if self.unit is Unit.FRACTION else SCORE_DIGITS)

    def meets(self, value: float, limit: float) -> bool:
        return value == limit or (value < limit) is self.less_is_better

    def publish(self, value: float | None) -> str:
        """Return the number as a part of a commit status: `1 failure`, `- failures` if it is unknown."""
        if value is None:
            return self.published.format("-")
        if self.unit is Unit.INTEGER:
            text = self.published.format(wording.decimal(value))
            return text.removesuffix("s") if value == 1 else text
        number = wording.decimal(value * 100 if self.unit is Unit.FRACTION else value)
        if "." not in number:
            number += ".0"
        return self.published.format(f"{number}%" if self.unit is Unit.FRACTION else number)

    def with_noun(self, value: float) -> str:
        if self.unit is Unit.INTEGER:
            return wording.pluralize(value, self.noun)
        return f"{self.noun} {self.write(value, None)}"

    def reached_by(self, value: float, limit: float | None = None) -> str:
        """Return a number for a title: `72.0% passed`, `1 unsafe attempt`, `2 mutations covered`."""
        number = self.with_noun(value) if self.unit is Unit.INTEGER else self.write(value, limit)
        return (self.reached or self.published).format(number)

    def sentence(self, value: float, limit: float) -> str:
        met, needed, verb = self.meets(value, limit), self.write(limit, value), "is"
        subject = f"{self.label.lower()} {self.write(value, limit)}"
        if self.unit is Unit.INTEGER:
            subject = self.with_noun(value)
            if not self.less_is_better:
                text = f"{subject} of at least {needed}"
                return text if met else f"only {text}"
            if value != 1:
                verb = "are"
        return f"{subject} {verb} {_RELATIONS[self.less_is_better, met]} {needed}"


Numbers = Mapping[str, Reading]  # by the metric's name; one that is missing is not reported


def read_names(value: object, most: int | None = None) -> tuple[str, ...] | None:
    """Return the first names of a list, each once; None if it is no list of texts."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return None
    names = dict[str, None]()
    for each in value:
        if len(names) == most:  # a response may hold hundreds of thousands
            break
        if name := json_reader.text(each)[:MAX_NAME_LENGTH]:
            names[name] = None
    return tuple(names)


def _count_names(value: object) -> Reading:
    names = read_names(value)
    if value is None or names is not None:
        return Reading(None if names is None else float(len(names)))
    return Reading(broken="no list of texts")


def _read_score(value: object) -> Reading:
    """Return a score as 0 to 100. A value below 1, or `1.0`, is a fraction; the integer `1` is 1 of 100."""
    if isinstance(value, float) and 0 <= value <= 1:
        value *= 100
    return json_reader.number(value, low=0, high=100, digits=SCORE_DIGITS)


read_count = partial(json_reader.number, low=0, high=MAX_COUNTED, whole=True)
_rate = partial(
    Metric,
    kind=Kind.MEAN,
    unit=Unit.FRACTION,
    read_value=partial(json_reader.number, low=0, high=1, digits=RATE_DIGITS),
    write=wording.percent,
)
_integer = partial(Metric, read_value=read_count, write=lambda value, _: wording.count(value), unit=Unit.INTEGER)
_limited_sum = partial(_integer, kind=Kind.SUM, less_is_better=True, needed=True, reached="{}")
_of_hundred = partial(Metric, kind=Kind.MEAN, unit=Unit.OF_100, read_value=partial(json_reader.number, low=0, high=100))

PASS_RATE = _rate(
    name="pass_rate",
    label="Pass rate",
    noun="pass rate",
    threshold=options.MIN_PASS_RATE.name,
    needed=True,
    output="Share of the attempts that passed, from 0 to 1.",
    published="{} passed",
)
UNSAFE_ATTEMPTS = _limited_sum(
    name="unsafe_attempts",
    label="Unsafe attempts",
    noun="unsafe attempt",
    threshold=options.MAX_UNSAFE.name,
    output="Number of unsafe attempts.",
    published="{} unsafe",
)
FAILURES = _limited_sum(
    name="failures",
    label="Failures",
    noun="failure",
    threshold=options.MAX_FAILURES.name,
    output="Number of failures.",
    published="{} failures",
)
RELIABILITY_SCORE = _of_hundred(
    name="reliability_score",
    label="Reliability score",
    noun="score",
    read_value=_read_score,
    write=wording.score,
    threshold=options.MIN_RELIABILITY_SCORE.name,
    output="Reliability score, from 0 to 100.",
    published="score {}",
)
MUTATION_CATEGORIES = _integer(
    name="mutation_categories",
    label="Mutation categories",
    noun="mutation",
    kind=Kind.COUNT,
    read_value=_count_names,
    threshold=options.MIN_MUTATION_CATEGORIES.name,
    reached="{} covered",
)
SCENARIOS = _integer(
    name="scenarios",
    label="Scenarios",
    noun="scenario",
    kind=Kind.COUNT,
    field="trace_count",
    threshold=options.MIN_SCENARIOS.name,
    sent=False,
    needed=True,
    published="{} scenarios",
    reached="{} evaluated",
)
LOWEST_SCENARIO = _rate(
    name="lowest_scenario",
    label="Lowest scenario",
    noun="lowest scenario",
    field=PASS_RATE.name,  # of one run, which is one scenario
    threshold=options.MIN_SCENARIO_PASS_RATE.name,
    sent=False,
    needed=True,
    reached="the lowest scenario passed {}",
)
METRICS = (
    *(PASS_RATE, UNSAFE_ATTEMPTS, FAILURES, RELIABILITY_SCORE, MUTATION_CATEGORIES, SCENARIOS, LOWEST_SCENARIO),
    _of_hundred(
        name="scenario_coverage",
        label="Scenario coverage",
        noun="scenario coverage",
        write=lambda value, _: wording.percent(value / 100),
        field="scenario_coverage_pct",
    ),
    _of_hundred(
        name="mutation_coverage",
        label="Mutation coverage",
        noun="mutation coverage",
        write=lambda value, _: f"{wording.decimal(value)} of 100",
        field="mutation_coverage_score",
    ),
)
PUBLISHED = tuple(metric for metric in METRICS if metric.published)
LISTED = tuple(metric for metric in PUBLISHED if metric is not SCENARIOS)  # in a status, which it ends if it has room
BY_OPTION = {metric.threshold: metric for metric in METRICS if metric.threshold}
BY_OPTION[options.MAX_PASS_RATE_DROP.name] = PASS_RATE


def sent_limits(gate: Gate) -> dict[str, object]:
    """Return the thresholds as the body of `POST /v1/ci/runs` has them.

    With several traces, Sepurux decides about each alone, and the gate compares the numbers of all. Without a
    `min_pass_rate`, Sepurux might apply one of its own.
    """
    sent = {metric.threshold: metric.kind for metric in METRICS if metric.threshold and metric.sent}
    if gate.has_several_traces:
        sums = (name for name, kind in sent.items() if kind is Kind.SUM and name in gate.limits)
        return {PASS_RATE.threshold: 0, **{name: gate.limits[name] for name in sums}}
    limits: dict[str, object] = {name: limit for name, limit in gate.limits.items() if name in sent}
    if gate.required_mutation_categories:
        limits[options.REQUIRED_MUTATION_CATEGORIES.name] = list(gate.required_mutation_categories)
    return limits


def summary(numbers: Numbers) -> str:
    """Return the needed numbers that are known: `72.0% passed, 1 unsafe attempt, 5 failures`, or ''."""
    known = ((metric, metric.reading(numbers).value) for metric in LISTED if metric.needed)
    return ", ".join(metric.reached_by(value) for metric, value in known if value is not None)
