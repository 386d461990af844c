"""Parses a run or a batch and its classified failures, of which any field may be missing, and combines several runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.metrics import RELIABILITY_SCORE, Metric, Numbers, read_count, read_name

FAILURES_PAGE = 200  # classified failures that a call requests; the page size of the vendor's own client
MAX_READ_TOOLS = 100  # of one response; a report shows fewer
MAX_LISTED_FAILURES = 5_000  # of one response
MAX_KINDS = 1_000  # of classified failures that a step keeps; a summary shows 500 of a gate
MIN_KINDS = 10  # that each run may keep, however many runs a step has; a comment shows as many of a gate at once
MAX_FAILURE_TEXT_LENGTH = 1_000  # characters; a report shows at most 200
MAX_RUN_IDS = 1_000  # of one batch; outputs contain them, and a job's outputs have 1 MB together
MAX_CATEGORIES = 100  # distinct ones of one response
SEVERITIES = ("critical", "high", "medium", "low", "info")  # the worst first
NO_OBJECT = "a response that is not a JSON object"
MAX_WORD_LENGTH = 40  # characters of a status or a decision


@dataclass(frozen=True, slots=True)
class FailingTool:
    """A tool with the number of failures that the backend counts for it."""

    tool: Annotated[str, "Name of the tool."]
    count: Annotated[int, "Number of failures."]


@dataclass(frozen=True, slots=True, kw_only=True)
class CIRun:
    """What one poll of a run or a batch shows. `status` and `decision` are the backend's words, '' if missing or null.

    `mutation_categories` are at most MAX_CATEGORIES names, of several runs those that all cover. `numbers` counts them.
    """

    status: str = ""
    decision: str = ""
    numbers: Numbers = field(default_factory=dict)
    mutation_categories: tuple[str, ...] | None = None
    trace_count: Reading = Reading()
    top_failing_tools: tuple[FailingTool, ...] = ()
    dashboard_url: str = ""
    run_ids: tuple[str, ...] = ()

    def reading(self, metric: Metric) -> Reading:
        return metric.of(self.numbers)

    def value(self, metric: Metric) -> float | None:
        return metric.of(self.numbers).value

    def with_score(self, reported: Reading) -> CIRun:
        if reported.missing or not self.reading(RELIABILITY_SCORE).missing:
            return self
        return replace(self, numbers={**self.numbers, RELIABILITY_SCORE.name: reported})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedFailure:
    """Failures of one kind. Every text is foreign. `new` of the `count` are not known from the base, or it is None."""

    type: str
    severity: str
    description: str
    mutation: str
    trace_id: str = ""
    count: int = 1
    new: int | None = None

    @property
    def kind(self) -> tuple[str, ...]:
        return self.severity, self.type, self.mutation, self.trace_id

    @property
    def base(self) -> str | None:
        """Return `new` if some of the failures are, else `known`; None if they were not compared with the base."""
        return None if self.new is None else "new" if self.new else "known"

    @property
    def compared(self) -> str:
        return f"{self.new} new" if self.new and self.new != self.count else self.base or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrichment:
    """What further calls add to the report. `left_out` counts the failures of kinds that were not kept.

    `fixed` are those that one of the `compared_with` results of the base had and this run lacks.
    """

    failures: tuple[ClassifiedFailure, ...] = ()
    left_out: int = 0
    more_failures: bool = False
    fixed: tuple[ClassifiedFailure, ...] = ()
    compared_with: int = 0
    notes: tuple[str, ...] = ()

    def with_each(self, change: Callable[[ClassifiedFailure], ClassifiedFailure]) -> Enrichment:
        return replace(self, failures=tuple(map(change, self.failures)), fixed=tuple(map(change, self.fixed)))


def parse_ci_run(payload: object) -> CIRun:
    """Return the run that a poll response describes; never raises, whatever JSON it is."""
    body = json_reader.as_object(payload)
    categories = metrics.read_names(body.get("mutation_categories"))
    single = json_reader.identifier(body.get("run_id"))
    listed = tuple(filter(None, map(json_reader.identifier, json_reader.as_array(body.get("run_ids")))))[:MAX_RUN_IDS]
    return CIRun(
        status=_word(body.get("status")),
        decision=_word(body.get("decision")),
        numbers=metrics.parse_numbers(payload),
        mutation_categories=None if categories is None else categories[:MAX_CATEGORIES],
        trace_count=read_count(body.get("trace_count")),
        top_failing_tools=_tools(body.get("top_failing_tools")),
        dashboard_url=json_reader.safe_url(body.get("dashboard_url")),
        run_ids=listed or ((single,) if single else ()),
    )


def wrong_shape(payload: object, *, run_id: str, batch_id: str) -> str:
    """Return why a poll response is not about this run (or this batch, if `batch_id` is not ''); '' if it may be."""
    if not isinstance(payload, dict):
        return NO_OBJECT
    if not all(isinstance(payload.get(name), str | None) for name in ("run_id", "batch_id")):
        return "a response whose run_id or batch_id is not a text"
    actual, expected = (payload.get("batch_id"), batch_id) if batch_id else (payload.get("run_id"), run_id)
    return "a response about another run" if actual and actual != expected else ""


def incomplete_list(payload: object, *, campaign_id: str, run_id: str) -> str:
    """Return why a response may not be the complete list of a run's failures, as a clause; '' if it is."""
    if not isinstance(payload, list) or not all(isinstance(item, dict) for item in payload):
        return "Sepurux sent no list of failures"
    if len(payload) >= FAILURES_PAGE:
        return f"only the first {FAILURES_PAGE} failures were read"
    expected = {"campaign_id": campaign_id, "run_id": run_id}
    others = [name for name, value in expected.items() for item in payload if item.get(name) not in (None, value)]
    return f"Sepurux listed failures of another {others[0].removesuffix('_id')}" if others else ""


def combine(runs: Sequence[CIRun]) -> CIRun:
    """Return the first run with the worst of each number. A category counts if all runs that report some cover it."""
    if len(runs) == 1:
        return runs[0]
    reported = [set(run.mutation_categories) for run in runs if run.mutation_categories is not None]
    return replace(
        runs[0],
        numbers=metrics.combine_numbers(run.numbers for run in runs),
        mutation_categories=tuple(sorted(set.intersection(*reported))) if reported else None,
        top_failing_tools=_add_up(failing for run in runs for failing in run.top_failing_tools),
    )


def parse_failures(payload: object) -> tuple[ClassifiedFailure, ...]:
    items = map(json_reader.as_object, list(json_reader.as_array(payload))[:MAX_LISTED_FAILURES])

    def text(item: Mapping[str, object], name: str) -> str:
        return json_reader.text(item.get(name))[:MAX_FAILURE_TEXT_LENGTH]

    return tuple(
        ClassifiedFailure(
            type=text(item, "type"),
            severity=text(item, "severity"),
            description=text(item, "description"),
            mutation=text(item, "mutation"),
            trace_id=json_reader.identifier(item.get("trace_id")),
        )
        for item in items
        if item
    )


def merge_failures(failures: Iterable[ClassifiedFailure], max_kinds: int) -> tuple[tuple[ClassifiedFailure, ...], int]:
    """Return at most `max_kinds` kinds, first the new, severe, and frequent ones, and the number of other failures."""
    kinds: dict[tuple[str, ...], list[ClassifiedFailure]] = {}
    for failure in failures:
        kinds.setdefault(failure.kind, []).append(failure)
    merged = []
    for alike in kinds.values():
        description = next((each.description for each in alike if each.description), "")
        new = [each.new for each in alike if each.new is not None]
        all_new = sum(new) if len(new) == len(alike) else None
        count = sum(each.count for each in alike)
        merged.append(replace(alike[0], description=description, count=count, new=all_new))
    ranked = sorted(merged, key=lambda each: (not each.new, severity_rank(each.severity), -each.count))
    return tuple(ranked[:max_kinds]), sum(each.count for each in ranked[max_kinds:])


def combine_found(found: Sequence[Enrichment], max_kinds: int) -> Enrichment:
    """Return what was found about several runs: at most `max_kinds` kinds of failures, with the number of the others.

    What is fixed is left out if it does not fit: a part of it would have another count.
    """
    failures, left_out = merge_failures((each for one in found for each in one.failures), max_kinds)
    fixed, more_fixed = merge_failures((each for one in found for each in one.fixed), max_kinds)
    return Enrichment(
        failures=failures,
        left_out=left_out + sum(one.left_out for one in found),
        more_failures=any(one.more_failures for one in found),
        fixed=() if more_fixed else fixed,
        compared_with=sum(one.compared_with for one in found),
    )


def severity_rank(severity: str) -> int:
    """Return the rank of a severity, 0 for the worst; unknown words come last."""
    word = severity.lower()
    return SEVERITIES.index(word) if word in SEVERITIES else len(SEVERITIES)


def _word(value: object) -> str:
    """Return a status or decision, '' for null; anything but a short printable text becomes an unknown word."""
    if value is None:
        return ""
    if isinstance(value, str) and value.isprintable() and len(value) <= MAX_WORD_LENGTH:
        return value
    return json_reader.preview(value)


def _tools(value: object) -> tuple[FailingTool, ...]:
    items = map(json_reader.as_object, list(json_reader.as_array(value))[:MAX_READ_TOOLS])
    named = ((read_name(item.get("tool")), read_count(item.get("count")).value) for item in items)
    return _add_up(FailingTool(tool, int(count or 0)) for tool, count in named if tool)


def _add_up(tools: Iterable[FailingTool]) -> tuple[FailingTool, ...]:
    counts: Counter[str] = Counter()
    for failing in tools:
        counts[failing.tool] += failing.count
    return tuple(FailingTool(tool, count) for tool, count in counts.most_common())
