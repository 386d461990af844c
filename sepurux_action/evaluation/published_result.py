"""A gate's result as the description of its commit status; later runs parse it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sepurux_action.common import json_reader, number_format
from sepurux_action.config.gate import Thresholds
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.result import GateResult

MAX_DESCRIPTION_LENGTH = 140  # characters; GitHub responds 422 to more
MIN_DIGITS = 2  # after the point of a number of 0 to 100


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResults:
    """The results of one evaluated commit, by the gates' names."""

    commit: str
    results: Mapping[str, PreviousResult]


def summarize(result: GateResult) -> PreviousResult:
    """Return the part of a gate's result that a status describes; each number is the worst of its runs."""
    metrics = published_metrics(result.combined, result.gate.thresholds)
    return PreviousResult(decision=result.decision, stage=result.gate.stage, metrics=metrics)


def published_metrics(run: CIRun, thresholds: Thresholds) -> Metrics:
    """Return the numbers of a run as a description has them, which can be compared with parsed ones.

    A rate and a score have two digits after the point, or as many as it takes to lie on the right side of their
    threshold, of 0, and of 100.
    """
    return Metrics(
        pass_rate=_rounded(run.pass_rate.value, thresholds.min_pass_rate, scale=100),
        unsafe=run.unsafe_attempts.value,
        failures=run.failures.value,
        score=_rounded(run.reliability_score.value, thresholds.min_reliability_score),
    )


def _rounded(value: float | None, threshold: float | None, scale: int = 1) -> float | None:
    if value is None:
        return None
    exact, limit = (Decimal(number_format.decimal(each)) * scale for each in (value, threshold or 0))
    others = (limit, Decimal(0), Decimal(100))
    candidates = (round(exact, digits) for digits in range(MIN_DIGITS, number_format.MAX_DIGITS))
    rounded = (each for each in candidates if all(each.compare(other) == exact.compare(other) for other in others))
    return float(next(rounded, exact) / scale)


def format_description(result: PreviousResult, note: str = "") -> str:
    """Return the description of a decided status, at most 140 characters; `note` is shortened to fit."""
    numbers = result.metrics
    rate = "-" if numbers.pass_rate is None else _with_point(numbers.pass_rate * 100) + "%"
    score = "-" if numbers.score is None else _with_point(numbers.score)
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


def _whole(value: float | None) -> str:
    return "-" if value is None else number_format.decimal(value)


def _with_point(value: float) -> str:
    text = number_format.decimal(value)
    return text if "." in text else f"{text}.0"
