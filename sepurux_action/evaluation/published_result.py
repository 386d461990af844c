"""A gate result as its commit status describes it; later runs parse it back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sepurux_action.common import json_reader, number_format
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.result import GateResult

MAX_DESCRIPTION_LENGTH = 140  # characters; GitHub answers 422 beyond


_COUNT = r"-|\d{1,16}"  # a backend's largest is 2**53
_DESCRIPTION = re.compile(
    r"(?P<decision>pass|fail|error|pending|skipped) \((?P<stage>observe|soft|hard)\): "
    r"(?:-|(?P<rate>-|\d{1,3}\.\d{1,10}%) passed, "
    rf"(?P<unsafe>{_COUNT}) unsafe, (?P<failures>{_COUNT}) failures, "
    r"score (?P<score>-|\d{1,3}\.\d{1,10}))(?:; .*)?",
    re.ASCII | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The four numbers that are compared over time. `pass_rate` is a fraction, `score` 0 to 100; None is unknown."""

    pass_rate: float | None = None
    unsafe: float | None = None
    failures: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousResult:
    """What one gate decided on one commit."""

    decision: Decision
    stage: Stage
    metrics: Metrics

    @property
    def decided(self) -> bool:
        """Return whether there was a verdict on the agent."""
        return self.decision in {Decision.PASS, Decision.FAIL}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResults:
    """The results of one judged commit, by the gates' names."""

    commit: str
    results: Mapping[str, PreviousResult]


def summarize(result: GateResult) -> PreviousResult:
    """Return what is remembered of a gate's result; each number is the worst of its runs."""
    run = result.combined
    numbers = Metrics(
        pass_rate=run.pass_rate.value,
        unsafe=run.unsafe_attempts.value,
        failures=run.failures.value,
        score=run.reliability_score.value,
    )
    return PreviousResult(decision=result.decision, stage=result.gate.stage, metrics=numbers)


def format_description(past: PreviousResult, remark: str = "") -> str:
    """Return the description of a decided status, at most 140 characters; `remark` is cut where there is no room."""
    numbers = past.metrics
    rate = "-" if numbers.pass_rate is None else _of_hundred(numbers.pass_rate * 100) + "%"
    score = "-" if numbers.score is None else _of_hundred(numbers.score)
    shown = f"{rate} passed, {_whole(numbers.unsafe)} unsafe, {_whole(numbers.failures)} failures, score {score}"
    if past.decision is Decision.SKIPPED and numbers == Metrics():
        shown = "-"
    text = f"{past.decision} ({past.stage}): {shown}"
    if said := json_reader.printable(remark):
        text += f"; {said}"
    return json_reader.shorten(text, MAX_DESCRIPTION_LENGTH)


def parse_description(text: object) -> PreviousResult | None:
    """Return the result that a description tells, or None for a text that `describe` does not write."""
    if not isinstance(text, str) or (found := _DESCRIPTION.fullmatch(text)) is None:
        return None
    rate, unsafe, failures, score = (
        None if found[name] in {None, "-"} else float(found[name].rstrip("%"))
        for name in ("rate", "unsafe", "failures", "score")
    )
    if max(rate or 0, score or 0) > 100:  # noqa: PLR2004 - the scale's end
        return None
    numbers = Metrics(
        pass_rate=None if rate is None else round(rate / 100, number_format.MAX_DIGITS + 2),
        unsafe=unsafe,
        failures=failures,
        score=score,
    )
    past = PreviousResult(decision=Decision(found["decision"]), stage=Stage(found["stage"]), metrics=numbers)
    return past if format_description(past) == text.partition(";")[0] else None


def as_published(past: PreviousResult) -> PreviousResult:
    """Return the result as a later run reads it in the status: what two results compare by.

    A description rounds; a result held against it would differ where nothing has changed.
    """
    return parse_description(format_description(past)) or past


def _whole(value: float | None) -> str:
    return "-" if value is None else number_format.decimal(value)


def _of_hundred(value: float) -> str:
    """Return a number of 0 to 100 with one digit, two where they tell more, and never as an end that it is not.

    What is read back is written the same: in decimals a half rounds to the even end, as what lies beyond it did.
    """
    exact = Decimal(number_format.decimal(value))
    end = Decimal(0 if exact < 50 else 100)  # noqa: PLR2004 - the middle of the scale
    texts = (f"{exact:.{digits}f}" for digits in range(2, number_format.MAX_DIGITS + 1))
    return next(text for text in texts if exact == end or Decimal(text) != end).removesuffix("0")
