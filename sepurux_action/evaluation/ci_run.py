"""Parses a run or a batch, of which any field may be missing."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.metrics import METRICS, RELIABILITY_SCORE, SCENARIOS, Metric, Numbers

MAX_CATEGORIES = 100  # names of one response that are kept; a decision with many more would take minutes
NO_OBJECT = "a response that is not a JSON object"
OTHER_CAMPAIGN = "a response about another campaign"


@dataclass(frozen=True, slots=True)
class FailingTool:
    """A tool with the number of failures that the backend counts for it."""

    tool: Annotated[str, "Name of the tool."]
    count: Annotated[int, "Number of failures."]


@dataclass(frozen=True, slots=True, kw_only=True)
class CIRun:
    """What one poll of a run or a batch shows. `status` and `decision` are Sepurux's words, '' if missing or null.

    `mutation_categories` are at most MAX_CATEGORIES names; `numbers` counts them all.
    """

    status: str = ""
    decision: str = ""
    numbers: Numbers = field(default_factory=dict)
    mutation_categories: tuple[str, ...] | None = None
    top_failing_tools: tuple[FailingTool, ...] = ()
    dashboard_url: str = ""
    run_ids: tuple[str, ...] = ()
    sandbox: bool = False

    def reading(self, metric: Metric) -> Reading:
        return metric.of(self.numbers)

    def value(self, metric: Metric) -> float | None:
        return metric.of(self.numbers).value

    def with_score(self, reported: Reading) -> "CIRun":
        return replace(self, numbers={**self.numbers, RELIABILITY_SCORE.name: reported})


def parse_ci_run(payload: object) -> CIRun:
    """Return the run that a poll response describes; never raises, whatever JSON it is."""
    body = json_reader.as_object(payload)
    single = json_reader.identifier(body.get("run_id"))
    named = tuple(map(json_reader.identifier, json_reader.as_array(body.get("run_ids"))))
    numbers = {metric.name: reading for metric in METRICS if not (reading := metric.read(payload)).missing}
    if SCENARIOS.of(numbers).missing and named and all(named):
        numbers[SCENARIOS.name] = Reading(float(len(set(named))))
    return CIRun(
        status=_word(body.get("status")),
        decision=_word(body.get("decision")),
        numbers=numbers,
        mutation_categories=metrics.read_names(body.get("mutation_categories"), MAX_CATEGORIES),
        top_failing_tools=_tools(body.get("top_failing_tools")),
        dashboard_url=json_reader.safe_url(body.get("dashboard_url")),
        run_ids=tuple(dict.fromkeys(filter(None, named or (single,)))),
        sandbox=body.get("sandbox") is True,
    )


def wrong_shape(payload: object, *, run_id: str, batch_id: str, campaign_id: str) -> str:
    """Return why a response is not about this batch (without one, this run) or the given campaign; '' if it may be."""
    if not isinstance(payload, dict):
        return NO_OBJECT
    if not all(isinstance(payload.get(name), str | None) for name in ("run_id", "batch_id")):
        return "a response whose run_id or batch_id is not a text"
    named = payload.get("batch_id") if batch_id else payload.get("run_id")
    if named not in {None, "", batch_id or run_id}:
        return "a response about another run"
    return OTHER_CAMPAIGN if is_about_another(payload, campaign_id) else ""


def is_about_another(payload: object, campaign_id: str) -> bool:
    """Return whether a response names another campaign; ids are compared without regard to case."""
    named = json_reader.at(payload, "campaign_id")
    return isinstance(named, str) and bool(campaign_id) and named.lower() != campaign_id.lower()


def _word(value: object) -> str:
    """Return a status or decision, '' for null; anything but a short printable text becomes an unknown word."""
    if value is None:
        return ""
    quoted = json_reader.preview(value)
    return str(value) if quoted == f'"{value}"' else quoted


def _tools(value: object) -> tuple[FailingTool, ...]:
    items = map(json_reader.as_object, json_reader.as_array(value))
    named = ((metrics.read_name(item.get("tool")), metrics.read_count(item.get("count")).value) for item in items)
    return add_up(FailingTool(tool, int(count or 0)) for tool, count in named if tool)


def add_up(tools: Iterable[FailingTool]) -> tuple[FailingTool, ...]:
    counts: Counter[str] = Counter()
    for failing in tools:
        counts[failing.tool] += failing.count
    return tuple(FailingTool(tool, count) for tool, count in counts.most_common())
