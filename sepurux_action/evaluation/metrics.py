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
MAX_CATEGORIES = 100  # of one response; a decision with many more would take minutes
NOT_KNOWN = "–"
_NO_READING = Reading()


class Unit(StrEnum):
    INTEGER = "integer"
    FRACTION = "fraction"  # of 1, which statuses show as percent
    OF_100 = "of_100"


class Kind(StrEnum):
    """How the numbers of several runs become one."""

    COUNT = "count"  # the highest one
    SUM = "sum"
    MEAN = "mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number that an evaluation reports.

    `name` is that in report.json, and `field` in responses if it is another one; `text` is for a line of numbers.
    `read_value` reads a JSON value, and `write` makes a number differ from another. `threshold` is the option that
    limits it.
    """

    name: str
    text: str
    kind: Kind
    unit: Unit
    read_value: Callable[[object], Reading]
    write: Callable[[float, float | None], str]
    field: str = ""
    threshold: str = ""

    @property
    def label(self) -> str:
        """Return its name in tables."""
        return self.name.replace("_", " ").capitalize()

    @property
    def less_is_better(self) -> bool:
        """Return whether the threshold is a maximum, as those of all sums are."""
        return self.kind is Kind.SUM

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
            return self.text.format("-")
        number = wording.decimal(value * 100 if self.unit is Unit.FRACTION else value)
        if self.unit is not Unit.INTEGER and "." not in number:
            number += ".0"
        return self._with_text(value, f"{number}%" if self.unit is Unit.FRACTION else number)

    def shown(self, value: float, limit: float | None = None) -> str:
        """Return a number in a line: `72.0% passed`, `1 unsafe`, `score 61.5`."""
        return self._with_text(value, self.write(value, limit))

    def compared(self, value: float, limit: float) -> str:
        """Return a number with what is needed: `72.0% passed, 85.0% needed`, `9 failures, 3 allowed`, `1 unsafe`."""
        shown = self.shown(value, limit)
        if self.less_is_better and not limit:
            return shown
        return f"{shown}, {self.write(limit, value)} {'allowed' if self.less_is_better else 'needed'}"

    def _with_text(self, value: float, number: str) -> str:
        text = self.text.format(number)
        return text.removesuffix("s") if self.unit is Unit.INTEGER and value == 1 else text


Numbers = Mapping[str, Reading]  # by the metric's name; one that is missing is not reported


def shown_name(name: str) -> str:
    return json_reader.printable(name)[:MAX_NAME_LENGTH]


def read_categories(value: object) -> tuple[str, ...] | None:
    """Return the mutation categories of a list, each once; None if it is no list of texts, or too long to be read."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return None
    names = tuple(dict.fromkeys(filter(None, map(shown_name, value))))
    return names if len(names) <= MAX_CATEGORIES else None


def _count_categories(value: object) -> Reading:
    names = read_categories(value)
    if names is not None:
        return Reading(float(len(names)))
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return Reading() if value is None or is_list else Reading(broken="no list of texts")


def _read_score(value: object) -> Reading:
    """Return a score as 0 to 100. A value below 1, or `1.0`, is a fraction; the integer `1` is 1 of 100."""
    if isinstance(value, float) and 0 <= value <= 1:
        value *= 100
    return json_reader.number(value, low=0, high=100, digits=SCORE_DIGITS)


read_count = partial(json_reader.number, low=0, high=MAX_COUNTED, whole=True)
_read_rate = partial(json_reader.number, low=0, high=1, digits=RATE_DIGITS)
_rate = partial(Metric, kind=Kind.MEAN, unit=Unit.FRACTION, read_value=_read_rate, write=wording.percent)
_integer = partial(Metric, read_value=read_count, write=lambda value, _: wording.count(value), unit=Unit.INTEGER)
_of_hundred = partial(Metric, kind=Kind.MEAN, unit=Unit.OF_100, read_value=partial(json_reader.number, low=0, high=100))

PASS_RATE = _rate(name="pass_rate", text="{} passed", threshold=options.MIN_PASS_RATE.name)
UNSAFE_ATTEMPTS = _integer(name="unsafe_attempts", text="{} unsafe", kind=Kind.SUM, threshold=options.MAX_UNSAFE.name)
FAILURES = _integer(name="failures", text="{} failures", kind=Kind.SUM, threshold=options.MAX_FAILURES.name)
RELIABILITY_SCORE = _of_hundred(
    name="reliability_score",
    text="score {}",
    read_value=_read_score,
    write=wording.score,
    threshold=options.MIN_RELIABILITY_SCORE.name,
)
MUTATION_CATEGORIES = _integer(
    name="mutation_categories",
    text="{} mutations",
    kind=Kind.COUNT,
    read_value=_count_categories,
    threshold=options.MIN_MUTATION_CATEGORIES.name,
)
SCENARIOS = _integer(
    name="scenarios",
    text="{} scenarios",
    kind=Kind.COUNT,
    field="trace_count",
    threshold=options.MIN_SCENARIOS.name,
)
LOWEST_SCENARIO = _rate(
    name="lowest_scenario",
    text="lowest scenario {}",
    field=PASS_RATE.name,  # of one run, which is one scenario
    threshold=options.MIN_SCENARIO_PASS_RATE.name,
)
METRICS = (
    *(PASS_RATE, UNSAFE_ATTEMPTS, FAILURES, RELIABILITY_SCORE, MUTATION_CATEGORIES, SCENARIOS, LOWEST_SCENARIO),
    _of_hundred(
        name="scenario_coverage",
        text="scenario coverage {}",
        write=lambda value, _: wording.percent(value / 100),
        field="scenario_coverage_pct",
    ),
    _of_hundred(
        name="mutation_coverage",
        text="mutation coverage {}",
        write=lambda value, _: f"{wording.decimal(value)} of 100",
        field="mutation_coverage_score",
    ),
)
LISTED = (PASS_RATE, UNSAFE_ATTEMPTS, FAILURES, RELIABILITY_SCORE)  # in a commit status, and as outputs
PUBLISHED = (*LISTED, SCENARIOS)  # with which a status ends if it has room; compared over time
SENT = (*LISTED, MUTATION_CATEGORIES)  # whose thresholds Sepurux knows
BY_OPTION = {metric.threshold: metric for metric in METRICS if metric.threshold}
BY_OPTION[options.MAX_PASS_RATE_DROP.name] = PASS_RATE


def sent_limits(gate: Gate) -> dict[str, object]:
    """Return the thresholds as the body of `POST /v1/ci/runs` has them.

    With several traces, Sepurux decides about each alone, and the gate compares the numbers of all. Without a
    `min_pass_rate`, Sepurux might apply one of its own.
    """
    sent = {each.threshold for each in SENT if each.kind is Kind.SUM or not gate.has_several_traces}
    limits: dict[str, object] = {name: limit for name, limit in gate.limits.items() if name in sent}
    if gate.has_several_traces:
        return {PASS_RATE.threshold: 0, **limits}
    if gate.required_mutation_categories:
        limits[options.REQUIRED_MUTATION_CATEGORIES.name] = list(gate.required_mutation_categories)
    return limits


def summary(numbers: Numbers) -> str:
    """Return the first numbers of a status that are known: `72.0% passed, 1 unsafe, 5 failures`, or ''."""
    known = ((metric, metric.reading(numbers).value) for metric in LISTED if metric is not RELIABILITY_SCORE)
    return ", ".join(metric.shown(value) for metric, value in known if value is not None)
