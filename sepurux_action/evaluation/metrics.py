"""The table of metrics: one row for each number that an evaluation reports. Every other module reads the table."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from statistics import fmean

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.config import options

MAX_COUNTED = 2**53  # above this, a float cannot represent every whole number
RATE_DIGITS = 10  # after the point of a fraction, which rounds the error of floating-point arithmetic away
SCORE_DIGITS = 8  # after the point of a number of 0 to 100
MIN_DIGITS = 2  # after the point of a published number that is not whole
MAX_NAME_LENGTH = 300  # characters of a tool or a mutation category: a response may hold 4 MiB of them
NOT_KNOWN = "–"
_NUMBER = re.compile(r"-|[0-9.]+")  # in a commit status


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFormat:
    """A kind of number: `write` makes it differ from another; `scale` is for status and drop, `digits` for a mean."""

    read: Callable[[object], Reading]
    write: Callable[[float, float | None], str]
    highest: float | None = None
    digits: int = 0
    scale: int = 1
    unit: str = ""
    whole: bool = False

    def rounded(self, value: float, limit: float | None) -> float:
        """Return a number as in a status: with as many digits as it takes to lie on its side of limit, 0, and 100."""
        if self.whole:
            return value
        exact, other = (Decimal(number_format.decimal(each)) * self.scale for each in (value, limit or 0))
        others = (other, Decimal(0), Decimal(100))
        candidates = (round(exact, digits) for digits in range(MIN_DIGITS, number_format.MAX_DIGITS))
        found = (each for each in candidates if all(each.compare(other) == exact.compare(other) for other in others))
        return float(next(found, exact) / self.scale)

    def publish(self, value: float | None) -> str:
        if value is None:
            return "-"
        text = number_format.decimal(value * self.scale)
        if not self.whole and "." not in text:
            text += ".0"
        return text + self.unit


def _read_score(value: object) -> Reading:
    """Return a score as 0 to 100. A value below 1, or `1.0`, is a fraction; the integer `1` is 1 of 100."""
    if isinstance(value, float) and 0 <= value <= 1:
        value *= 100
    return json_reader.number(value, low=0, high=100, digits=SCORE_DIGITS)


def read_names(value: object, most: int | None = None) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return None
    return tuple(dict.fromkeys(filter(None, map(read_name, value))))[:most]


def read_name(value: object) -> str:
    return json_reader.text(value)[:MAX_NAME_LENGTH]


def _count_names(value: object) -> Reading:
    names = read_names(value)
    if value is None:
        return Reading()
    if names is None:
        return Reading(broken="no list of texts")
    return Reading(float(len(names)))


read_count = partial(json_reader.number, low=0, high=MAX_COUNTED, whole=True)

RATE = NumberFormat(
    read=partial(json_reader.number, low=0, high=1, digits=RATE_DIGITS),
    write=number_format.percent,
    highest=1,
    digits=RATE_DIGITS,
    scale=100,
    unit="%",
)
SCORE = NumberFormat(read=_read_score, write=number_format.score, highest=100, digits=SCORE_DIGITS)
COUNT = NumberFormat(read=read_count, write=lambda value, _: number_format.count(value), whole=True)
COUNT_OF_NAMES = NumberFormat(read=_count_names, write=COUNT.write, whole=True)
_OF_HUNDRED = partial(NumberFormat, read=partial(json_reader.number, low=0, high=100), highest=100, digits=SCORE_DIGITS)
OF_HUNDRED = _OF_HUNDRED(write=lambda value, _: f"{number_format.decimal(value)} of 100")
PERCENTAGE = _OF_HUNDRED(write=lambda value, _: number_format.percent(value / 100))


# How a number relates to a limit: by whether less is better, and whether the limit is met.
_RELATIONS = {
    (True, True): "within the allowed",
    (True, False): "more than the allowed",
    (False, True): "at least the required",
    (False, False): "below the required",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number that an evaluation reports. `field` is its name in responses, `noun` that in sentences.

    `threshold` is the option that limits it. Without a number that is `needed`, no gate passes its threshold. `output`
    describes its output. `published` is its text in a commit status; the numbers that have one are compared over time.
    `reached` is its text in a title before what is needed, by default that of a commit status.
    """

    name: str
    noun: str
    format: NumberFormat
    field: str = ""
    threshold: str = ""
    less_is_better: bool = False
    needed: bool = False
    output: str = ""
    published: str = ""
    reached: str = ""

    @property
    def label(self) -> str:
        return self.name.replace("_", " ").capitalize()

    @property
    def heading(self) -> str:
        name = self.published.removeprefix("{} ") if self.format.whole else self.noun
        return name.capitalize()

    def publish(self, value: float | None) -> str:
        """Return the number as a part of a commit status: `1 failure`, `- failures` if it is unknown."""
        text = self.published.format(self.format.publish(value))
        return text.removesuffix("s") if self.format.whole and value == 1 else text

    def parse(self, text: str) -> float | None:
        """Return the number in a part of a commit status, None for `-`; raises ValueError for any other text."""
        number, value = "".join(_NUMBER.findall(text)), None
        if number != "-":
            value = round(float(number) / self.format.scale, number_format.MAX_DIGITS + 2)
        if self.publish(value) != text or self.format.read(value).broken:
            raise ValueError
        return value

    def read(self, response: object) -> Reading:
        return self.format.read(json_reader.at(response, self.field or self.name))

    def of(self, numbers: "Numbers") -> Reading:
        return numbers.get(self.name, Reading())

    def worst(self, values: Iterable[float]) -> float:
        return max(values) if self.less_is_better else min(values)

    def together(self, values: Sequence[float]) -> float:
        """Return a sum of runs if less is better, else the highest count, or the mean rate or score, not rounded."""
        if self.less_is_better:
            return min(MAX_COUNTED, sum(values))
        return max(values) if self.format.whole else fmean(values)

    def rounded(self, value: float) -> float:
        return round(value, self.format.digits)

    def meets(self, value: float, limit: float) -> bool:
        return value == limit or (value < limit) is self.less_is_better

    def named(self, value: float) -> str:
        if self.format.whole:
            return number_format.pluralize(value, self.noun)
        return f"{self.noun} {self.format.write(value, None)}"

    def reached_by(self, value: float, limit: float | None = None) -> str:
        """Return a number for a title: `72.0% passed`, `1 unsafe attempt`, `2 mutations covered`."""
        number = self.named(value) if self.format.whole else self.format.write(value, limit)
        return (self.reached or self.published).format(number)

    def missed_by(self, value: float, limit: float) -> str:
        """Return a number that misses a threshold for a title: `72.0% passed, 85.0% needed`, or `1 unsafe attempt`."""
        reached, needed = self.reached_by(value, limit), self.format.write(limit, value)
        if not self.less_is_better:
            return f"{reached}, {needed} needed"
        return f"{reached}, {needed} allowed" if limit else reached

    def sentence(self, value: float, limit: float) -> str:
        write, met = self.format.write, self.meets(value, limit)
        needed, subject, verb = write(limit, value), f"{self.label.lower()} {write(value, limit)}", "is"
        if self.format.whole:
            subject = self.named(value)
            if not self.less_is_better:
                text = f"{subject} of at least {needed}"
                return text if met else f"only {text}"
            if value != 1:
                verb = "are"
        return f"{subject} {verb} {_RELATIONS[self.less_is_better, met]} {needed}"


Numbers = Mapping[str, Reading]  # by the metric's name; one that is missing is not reported
PASS_RATE = Metric(
    name="pass_rate",
    noun="pass rate",
    format=RATE,
    threshold=options.MIN_PASS_RATE.name,
    needed=True,
    output="Share of the attempts that passed, from 0 to 1.",
    published="{} passed",
)
UNSAFE_ATTEMPTS = Metric(
    name="unsafe_attempts",
    noun="unsafe attempt",
    format=COUNT,
    threshold=options.MAX_UNSAFE.name,
    less_is_better=True,
    needed=True,
    output="Number of unsafe attempts.",
    published="{} unsafe",
    reached="{}",
)
FAILURES = Metric(
    name="failures",
    noun="failure",
    format=COUNT,
    threshold=options.MAX_FAILURES.name,
    less_is_better=True,
    needed=True,
    output="Number of failures.",
    published="{} failures",
    reached="{}",
)
RELIABILITY_SCORE = Metric(
    name="reliability_score",
    noun="score",
    format=SCORE,
    threshold=options.MIN_RELIABILITY_SCORE.name,
    output="Reliability score, from 0 to 100.",
    published="score {}",
)
MUTATION_CATEGORIES = Metric(
    name="mutation_categories",
    noun="mutation",
    format=COUNT_OF_NAMES,
    threshold=options.MIN_MUTATION_CATEGORIES.name,
    reached="{} covered",
)
SCENARIOS = Metric(
    name="scenarios",
    field="trace_count",
    noun="scenario",
    format=COUNT,
    threshold=options.MIN_SCENARIOS.name,
    needed=True,
    published="{} scenarios",
    reached="{} evaluated",
)
LOWEST_SCENARIO = Metric(
    name="lowest_scenario",
    field=PASS_RATE.name,  # of one run, which is one scenario
    noun="lowest scenario",
    format=RATE,
    threshold=options.MIN_SCENARIO_PASS_RATE.name,
    needed=True,
    reached="the lowest scenario passed {}",
)
METRICS = (
    *(PASS_RATE, UNSAFE_ATTEMPTS, FAILURES, RELIABILITY_SCORE, MUTATION_CATEGORIES, SCENARIOS, LOWEST_SCENARIO),
    Metric(name="scenario_coverage", field="scenario_coverage_pct", noun="scenario coverage", format=PERCENTAGE),
    Metric(name="mutation_coverage", field="mutation_coverage_score", noun="mutation coverage", format=OF_HUNDRED),
)
PUBLISHED = tuple(metric for metric in METRICS if metric.published)
SUMS = tuple(metric for metric in METRICS if metric.less_is_better)
LISTED = tuple(metric for metric in PUBLISHED if metric is not SCENARIOS)  # in a status, which it ends if it has room
BY_OPTION = {metric.threshold: metric for metric in METRICS if metric.threshold}
BY_OPTION[options.MAX_PASS_RATE_DROP.name] = PASS_RATE


def summary(numbers: Numbers) -> str:
    """Return the needed numbers that are known: `72.0% passed, 1 unsafe attempt, 5 failures`, or ''."""
    known = ((metric, metric.of(numbers).value) for metric in LISTED if metric.needed)
    return ", ".join(metric.reached_by(value) for metric, value in known if value is not None)
