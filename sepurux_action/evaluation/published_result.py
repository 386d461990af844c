"""A gate's result as the description of its commit status."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sepurux_action.common import json_reader
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.metrics import LISTED, PUBLISHED, SCENARIOS, Metric

MAX_STATUS_LENGTH = 140  # characters; GitHub responds 422 to more
_DESCRIPTION = re.compile(
    r"(?P<decision>pass|fail|error|pending|skipped) \((?P<stage>observe|soft|hard)\): (?P<numbers>[^;]+)"
    r"(?:; .*?)??(?:; (?P<scenarios>\d{1,16}) scenarios?)?",
    re.ASCII | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousResult:
    """A gate's result at a commit. `url` is the status's `target_url`, '' if it may not be linked or is not known."""

    decision: Decision
    stage: Stage
    numbers: Mapping[str, float]
    commit: str = ""
    url: str = ""

    def value(self, metric: Metric) -> float | None:
        return self.numbers.get(metric.name)


def published_numbers(run: CIRun, gate: Gate) -> Mapping[str, float]:
    """Return the numbers as a status has them, without those that some runs do not report."""
    return {
        metric.name: metric.format.rounded(value, gate.limits.get(metric.threshold))
        for metric in PUBLISHED
        if not run.reading(metric).partial and (value := run.value(metric)) is not None
    }


def format_description(result: PreviousResult, note: str = "") -> str:
    """Return the description of a decided status, as much of `note` as fits, and the scenarios if they fit."""
    shown = "-"
    if any(result.value(metric) is not None for metric in LISTED):
        shown = ", ".join(metric.publish(result.value(metric)) for metric in LISTED)
    text = f"{result.decision} ({result.stage}): {shown}"
    if printable := json_reader.printable(note):
        text += f"; {printable}"
    scenarios = result.value(SCENARIOS)
    if scenarios is not None:
        end = f"; {SCENARIOS.publish(scenarios)}"
        if len(text) + len(end) <= MAX_STATUS_LENGTH:
            return text + end
    return json_reader.shorten(text, MAX_STATUS_LENGTH)


def parse_description(text: object) -> PreviousResult | None:
    """Return the result in a description, None for any other text. An older one may lack the last numbers."""
    if not isinstance(text, str) or (match := _DESCRIPTION.fullmatch(text)) is None:
        return None
    try:
        numbers = dict(_parse_numbers(match["numbers"])) if match["numbers"] != "-" else {}
    except ValueError:
        return None
    if match["scenarios"]:
        numbers[SCENARIOS.name] = float(match["scenarios"])
    return PreviousResult(decision=Decision(match["decision"]), stage=Stage(match["stage"]), numbers=numbers)


def _parse_numbers(text: str) -> Iterator[tuple[str, float]]:
    parts = text.split(", ")
    if len(parts) > len(LISTED):
        raise ValueError
    for metric, part in zip(LISTED, parts, strict=False):
        value = metric.parse(part)
        if value is not None:
            yield metric.name, value
