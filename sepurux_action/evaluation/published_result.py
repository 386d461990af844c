"""A gate's result as the description of its commit status; later runs parse it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sepurux_action.common import json_reader, number_format
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.result import GateResult

MAX_DESCRIPTION_LENGTH = 140  # characters; GitHub responds 422 to more


_COUNT = r"-|\d{1,16}"  # the largest count is 2**53
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
        """Return whether the result is `pass` or `fail`."""
        return self.decision in {Decision.PASS, Decision.FAIL}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResults:
    """The results of one evaluated commit, by the gates' names."""

    commit: str
    results: Mapping[str, PreviousResult]


def summarize(result: GateResult) -> PreviousResult:
    """Return the part of a gate's result that a status describes; each number is the worst of its runs."""
    return PreviousResult(decision=result.decision, stage=result.gate.stage, metrics=_metrics(result.combined))


def published_metrics(run: CIRun) -> Metrics:
    """Return the numbers of a run as a description has them, which can be compared with parsed ones."""
    return as_published(PreviousResult(decision=Decision.PASS, stage=Stage.HARD, metrics=_metrics(run))).metrics


def _metrics(run: CIRun) -> Metrics:
    return Metrics(
        pass_rate=run.pass_rate.value,
        unsafe=run.unsafe_attempts.value,
        failures=run.failures.value,
        score=run.reliability_score.value,
    )


def format_description(result: PreviousResult, note: str = "") -> str:
    """Return the description of a decided status, at most 140 characters; `note` is shortened to fit."""
    numbers = result.metrics
    rate = "-" if numbers.pass_rate is None else _of_hundred(numbers.pass_rate * 100) + "%"
    score = "-" if numbers.score is None else _of_hundred(numbers.score)
    shown = f"{rate} passed, {_whole(numbers.unsafe)} unsafe, {_whole(numbers.failures)} failures, score {score}"
    if result.decision is Decision.SKIPPED and numbers == Metrics():
        shown = "-"
    text = f"{result.decision} ({result.stage}): {shown}"
    if printable := json_reader.printable(note):
        text += f"; {printable}"
    return json_reader.shorten(text, MAX_DESCRIPTION_LENGTH)


def parse_description(text: object) -> PreviousResult | None:
    """Return the result in a description, or None for a text that `format_description` does not write."""
    if not isinstance(text, str) or (match := _DESCRIPTION.fullmatch(text)) is None:
        return None
    rate, unsafe, failures, score = (
        None if match[name] in {None, "-"} else float(match[name].rstrip("%"))
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
    result = PreviousResult(decision=Decision(match["decision"]), stage=Stage(match["stage"]), metrics=numbers)
    return result if format_description(result) == text.partition(";")[0] else None


def as_published(result: PreviousResult) -> PreviousResult:
    """Return the result with the rounded numbers of its description, which can be compared with parsed ones."""
    return parse_description(format_description(result)) or result


def _whole(value: float | None) -> str:
    return "-" if value is None else number_format.decimal(value)


def _of_hundred(value: float) -> str:
    """Return a number of 0 to 100 with one or two digits, or more if it would round to 0 or 100.

    Decimal arithmetic makes a parsed number format the same again.
    """
    exact = Decimal(number_format.decimal(value))
    end = Decimal(0 if exact < 50 else 100)  # noqa: PLR2004 - the middle of the scale
    texts = (f"{exact:.{digits}f}" for digits in range(2, number_format.MAX_DIGITS + 1))
    return next(text for text in texts if exact == end or Decimal(text) != end).removesuffix("0")
