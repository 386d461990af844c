"""The report as data for tools, without Markdown: `report.json`, and the outputs that later steps can read.

`make generate` writes the schema of `report.json` from these shapes. Sources: docs/report-files.md,
docs/reference.md#outputs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import cache, partial
from operator import attrgetter as of
from operator import itemgetter
from types import NoneType
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

from sepurux_action.common import json_reader, wording
from sepurux_action.config.command_line import in_workflow
from sepurux_action.config.options import OPTIONS, OnOutage, SectionKind, Stage
from sepurux_action.config.settings import Change
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision
from sepurux_action.evaluation.gate_numbers import DROP, REQUIRED_CATEGORIES, CheckState
from sepurux_action.evaluation.metrics import HIGHEST, METRICS, PASS_RATE, PUBLISHED, Metric, Unit
from sepurux_action.evaluation.published_result import Result, median
from sepurux_action.evaluation.runs import Decision, OnBase, Rule, Run
from sepurux_action.report.report import Note, Report
from sepurux_action.report.thresholds import State, rows_of_checks

SCHEMA = "sepurux-gate/report@2"
# All outputs of a job together may have 1 MB of UTF-16: 524,288 characters.
MAX_LIST_LENGTH = 40_000  # characters of the ids of one kind, about 1,000 ids; further ones are left out
MAX_GATES_OUTPUT = 250_000  # characters of `gates`

GIVEN = {"type": "string"}  # never null
MEASURED = {metric.threshold: metric.name for metric in METRICS if metric.threshold}
MEASURED |= {REQUIRED_CATEGORIES: REQUIRED_CATEGORIES, DROP: f"{PASS_RATE.name}_drop"}
CONCLUSION = {"enum": ["success", "failure"]}
RULE = {"enum": [rule.name.lower() for rule in Rule]}
THRESHOLD = {"enum": [option.name for option in OPTIONS if SectionKind.THRESHOLDS in option.allowed_in]}
_Seconds = Annotated[float, {"minimum": 0}]


class Shape:
    """A JSON object whose fields are the annotations of a subclass, and `more` fields that a table defines.

    `Annotated` adds to a field its description, a dictionary for its JSON schema, and a function that returns its value
    from the object that is written, in place of the attribute with the name of the field.
    """

    more: ClassVar[Mapping[str, Any]] = {}


def _numbers(metrics: tuple[Metric, ...], read: Callable[..., float | None]) -> Mapping[str, Any]:
    fields: dict[str, Any] = {}
    for metric in metrics:
        kind = "integer" if metric.unit is Unit.INTEGER else "number"
        schema: dict[str, object] = {"type": [kind, "null"], "minimum": 0}
        if metric.unit in HIGHEST:
            schema["maximum"] = HIGHEST[metric.unit]
        fields[metric.name] = Annotated[float | None, f"{metric.label}.", schema, partial(read, metric=metric)]
    return fields


def conclusion(blocks: object) -> str:
    return "failure" if blocks else "success"


def run_ids(runs: Sequence[Run]) -> tuple[str, ...]:
    return tuple(each for run in runs for each in ([run.run_id] if run.run_id else run.run_ids))


class _Metrics(Shape):
    more = _numbers(METRICS, lambda numbers, metric: metric.reading(numbers).value)


class FailingTool(Shape):
    """A tool with the number of failures that the backend counts for it."""

    tool: Annotated[str, "Name of the tool.", itemgetter(0)]
    count: Annotated[int, "Number of failures.", itemgetter(1)]


class Category(Shape):
    """A mutation category."""

    name: Annotated[str, "Name of the category.", itemgetter(0)]
    covered: Annotated[bool, "Whether a CI run covers it.", itemgetter(1)]
    required: Annotated[bool, "Whether the gate requires it.", itemgetter(2)]


class _Threshold(Shape):
    name: Annotated[str, "The setting. A `max_` is the highest number accepted.", THRESHOLD, of("check.threshold")]
    label: Annotated[str, "Name of the metric in reports.", GIVEN, of("check.label")]
    metric: Annotated[
        str, "What is measured.", {"enum": list(MEASURED.values())}, lambda row: MEASURED[row.check.threshold]
    ]
    value: Annotated[float | None, "The result. Of a drop: by how much it is below `base`.", of("check.value")]
    limit: Annotated[float, "The number that is required.", {"minimum": 0}, of("check.limit")]
    state: Annotated[
        CheckState,
        "Whether the result meets the threshold. `no_number`: Sepurux reported something else, or the base could not be"
        " read. `within_range`: the drop is too large, but the base has results as low. `not_compared`: the base has"
        " too few results, or the evaluation has not ended.",
        lambda row: (
            "not_compared" if row.state is State.NO_DECISION and row.check.value is not None else row.check.state
        ),
    ]
    message: Annotated[str, "The comparison as a sentence.", of("check.sentence")]
    lacking: Annotated[tuple[str, ...], "The required categories that are not covered.", of("check.lacking")]
    reported_by: Annotated[str, "Such as `2 of 3 traces`; null if all report the number.", of("check.reported_by")]
    base: Annotated[float | None, "The median on the base branch.", {"minimum": 0}]
    change: Annotated[float | None, "The result minus `base`, both rounded as in a status.", of("difference")]


class _Failure(Shape):
    severity: Annotated[str, "Severity, as Sepurux names it."]
    type: Annotated[str, "Type, as Sepurux names it."]
    mutation: Annotated[str, "Mutation under which the agent failed."]
    tool: Annotated[str, "Name of the tool."]
    trace: Annotated[str, "ID of the trace, or the path of an uploaded one.", of("trace_id")]
    count: Annotated[int, "Number of such failures.", {"minimum": 1}]
    text: Annotated[str, "What happened in one of them.", of("description")]
    scenario: Annotated[str, "Name of the scenario of a trace."]
    on_base: Annotated[OnBase | None, "In how many results of the base it is; null if it was not compared."]
    steps: Annotated[
        tuple[str, ...],
        "What the agent did, at most 12 lines: `-` only on the base, `+` only here, `>` failed, the others in both.",
    ]


class _Recording(Shape):
    trace: Annotated[str, "Path of the trace file.", of("path")]
    trace_id: Annotated[str, "ID of the trace."]
    run_id: Annotated[str, "ID of the CI run."]
    batch_id: Annotated[str, "ID of the batch, if the trace was started as one."]
    decision: Annotated[Decision, "What Sepurux decided; `pending` if its run was not read."]
    reason: Annotated[str, "Why, in one sentence.", lambda run: in_workflow(run.reason)]
    hint: Annotated[str, "What to do.", lambda run: in_workflow(run.hint)]
    dashboard_url: Annotated[str, "Page of the run in Sepurux."]
    elapsed_s: Annotated[_Seconds, "Seconds that the run took.", lambda run: round(run.elapsed_s, 3)]
    metrics: Annotated[_Metrics, "The numbers of its run.", of("numbers")]


class _ScenarioOnBase(Shape):
    results: Annotated[
        int, "Number of results of the base that have it, at most five.", lambda scenario: len(scenario.base_rates)
    ]
    pass_rate: Annotated[
        float | None, "The mean pass rate of these results.", {"minimum": 0, "maximum": 1}, of("base_rate")
    ]


class _Scenario(Shape):
    name: Annotated[str, "Name of the task, path of the trace, or an ID."]
    base: Annotated[_ScenarioOnBase, "What the results of the base say about it.", lambda scenario: scenario]
    failed: Annotated[bool, "Whether it is known to have failed."]
    idle: Annotated[bool, "Whether it calls no tool, or none that it called in every result of the base."]
    metrics: Annotated[_Metrics, "The numbers of all recordings together.", of("numbers")]
    recordings: Annotated[tuple[_Recording, ...], "The CI run of each recording.", {"minItems": 1}]


class _BaselineResult(Shape):
    more = _numbers(PUBLISHED, Result.value)
    commit: Annotated[str, "SHA of the commit."]
    decision: Annotated[Decision, "The decision."]
    enforcement: Annotated[Stage, "The stage that applied.", of("stage")]
    url: Annotated[str, "The link of the commit status."]


class _Baseline(Shape):
    more = _numbers(PUBLISHED, median)
    results: Annotated[tuple[_BaselineResult, ...], "The results, the newest first: at most five.", lambda each: each]


class _Gate(Shape):
    name: Annotated[str, "Name of the gate.", GIVEN]
    decision: Annotated[Decision, "What Sepurux and the thresholds say.", of("result.decision")]
    state: Annotated[State, "What a reader has to know first; decision and conclusion in one word."]
    conclusion: Annotated[str, "`failure` if it blocks.", CONCLUSION, lambda gate: conclusion(gate.result.blocks)]
    blocked: Annotated[bool, "Whether the gate blocks.", of("result.blocks")]
    would_block: Annotated[bool, "Whether it would block with `enforcement: hard`."]
    enforcement: Annotated[Stage, "The stage that applies.", of("result.gate.stage")]
    on_outage: Annotated[OnOutage, "The setting `on_outage`.", of("result.gate.on_outage")]
    rule: Annotated[str, "How the decision came about.", RULE, lambda gate: gate.result.rule.name.lower()]
    reason: Annotated[str, "Why, in one sentence.", of("result.reason")]
    hint: Annotated[str, "What to do.", lambda gate: in_workflow(gate.result.hint)]
    campaign_id: Annotated[str, "ID of the campaign.", of("result.worst.campaign_id")]
    trace_id: Annotated[str, "ID of the trace of the worst CI run.", of("result.worst.trace_id")]
    run_id: Annotated[str, "ID of the worst CI run.", of("result.worst.run_id")]
    batch_id: Annotated[str, "ID of the worst batch.", of("result.worst.batch_id")]
    run_ids: Annotated[tuple[str, ...], "IDs of all CI runs.", lambda gate: run_ids(gate.result.runs)]
    dashboard_url: Annotated[str, "Page of the worst run in Sepurux.", of("result.worst.dashboard_url")]
    campaign: Annotated[str, "The setting `campaign`.", of("result.gate.campaign")]
    project: Annotated[str, "The setting `project`.", of("result.gate.project")]
    mutation_pack: Annotated[str, "The setting `mutation_pack`.", of("result.gate.mutation_pack")]
    timeout_s: Annotated[_Seconds, "The setting `timeout`, in seconds.", of("result.gate.timeout_s")]
    elapsed_s: Annotated[
        _Seconds, "Seconds of the longest run.", lambda gate: round(max(run.elapsed_s for run in gate.result.runs), 3)
    ]
    metrics: Annotated[_Metrics, "The numbers, those of all runs together.", of("result.numbers")]
    thresholds: Annotated[
        tuple[_Threshold, ...],
        "The thresholds that are set, missed ones first.",
        lambda gate: rows_of_checks(gate.result, gate.base_results),
    ]
    failures: Annotated[
        tuple[_Failure, ...],
        "The classified failures by severity, type, mutation, and trace: new ones first, then the most severe.",
        of("result.failures"),
    ]
    failures_complete: Annotated[
        bool,
        "Whether the action read all failures that Sepurux counts.",
        lambda gate: not (gate.result.failures_unread or gate.result.scenarios_unread or gate.short),
    ]
    failures_unread: Annotated[int, "Number of failures that were not read.", of("result.failures_unread")]
    scenarios_unread: Annotated[
        int, "Number of scenarios that were not read, or not completely.", of("result.scenarios_unread")
    ]
    tools: Annotated[tuple[FailingTool, ...], "The tools that failed, the most failing first.", of("tools")]
    categories: Annotated[
        tuple[Category, ...], "The mutation categories that are required or reported.", of("categories")
    ]
    scenarios: Annotated[
        tuple[_Scenario, ...],
        "The scenarios, the worst first. Of a batch, empty if they were not read, as after a pass without failures.",
        of("result.scenarios"),
    ]
    scenarios_missing: Annotated[
        tuple[str, ...], "The scenarios that only the newest result of the base has.", of("result.scenarios_missing")
    ]
    reviewers: Annotated[tuple[str, ...], "The setting `reviewers`; empty for everyone.", of("result.gate.reviewers")]
    approval: Annotated[
        ApprovalStatus | None, "Who approved, or can approve, a soft gate that failed.", of("result.approval")
    ]
    baseline: Annotated[
        _Baseline | None,
        "What the gate is compared with; null without results.",
        lambda gate: gate.base_results or None,
    ]
    reproduction: Annotated[tuple[str, ...], "Lines for a shell that repeat the evaluation."]


class _Problem(Shape):
    setting: Annotated[str, "Where the problem is.", lambda problem: problem.where.replace("`", "")]
    message: Annotated[str, "What the problem is."]
    file: Annotated[str, "Path of the policy file, if it is in there."]
    line: Annotated[int | None, "Line in this file, from 1.", {"minimum": 1}, lambda problem: problem.line or None]


class ReportJson(Shape):
    """The file report.json: what a step of the action learned and what follows from it.

    Every field is present; null is unknown. Rates are fractions, scores 0 to 100.
    """

    schema: Annotated[str, "Name and version of this format.", {"const": SCHEMA}, lambda _: SCHEMA]
    version: Annotated[str, "Version of the action.", of("context.version")]
    repository: Annotated[str, "Repository, as `owner/name`.", of("context.repository")]
    commit: Annotated[str, "SHA of the evaluated commit.", of("context.commit")]
    commit_url: Annotated[str, "Page of the commit.", of("context.commit_url")]
    pull_request: Annotated[int | None, "Number of the pull request.", of("context.pull_request")]
    pull_request_url: Annotated[str, "Page of the pull request.", of("context.pull_request_url")]
    base_branch: Annotated[str, "Branch that the results are compared with.", of("context.base_ref")]
    workflow_run_url: Annotated[str, "Page of the workflow run.", of("context.run_url")]
    policy_path: Annotated[str, "Path of the policy file that applies.", of("context.policy_path")]
    decision: Annotated[
        Decision,
        "The worst of all gates; `error` for invalid settings.",
        lambda report: min(
            (gate.result.decision for gate in report.gates), key=lambda each: each.rank, default="error"
        ),
    ]
    conclusion: Annotated[
        str,
        "`failure` if any gate blocks, and for invalid settings.",
        CONCLUSION,
        lambda report: conclusion(report.blocking or report.problems),
    ]
    short: Annotated[bool, "Whether details were left out because the step was canceled."]
    gates: Annotated[tuple[_Gate, ...], "The gates, the most important first; empty for invalid settings."]
    problems: Annotated[tuple[_Problem, ...], "The problems in the settings."]
    policy_changes: Annotated[
        tuple[Change, ...],
        "What the pull request changes in the policy. It applies once merged.",
        of("context.policy_changes"),
    ]
    notes: Annotated[tuple[Note, ...], "Remarks."]


def json_text(report: Report) -> str:
    """Return everything that the report contains, in printable texts; an empty text is unknown, so it is null."""
    return json.dumps(_clean(_dump(ReportJson, report)), indent=2, allow_nan=False) + "\n"


@cache
def described_fields(kind: type) -> Mapping[str, Any]:
    """Return the annotations of a shape or a record that are `Annotated`."""
    types = {**get_type_hints(kind, include_extras=True), **getattr(kind, "more", {})}
    return {name: each for name, each in types.items() if get_origin(each) is Annotated}


def _dump(kind: Any, value: Any) -> Any:  # noqa: ANN401 - any type, any value
    """Return a value as the JSON value of a type. A whole number is written as an integer: `1`, not `1.0`."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None:
        return None
    if hasattr(kind, "more"):  # a shape
        fields = ((name, *get_args(each)) for name, each in described_fields(kind).items())
        readable = ((name, each, next(filter(callable, more), of(name))) for name, each, *more in fields)
        return {name: _dump(each, read(value)) for name, each, read in readable}
    arguments = get_args(kind)
    if NoneType in arguments:
        return _dump(arguments[0], value)
    if get_origin(kind) is tuple:
        return [_dump(arguments[0], each) for each in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _clean(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value with printable texts, and null for empty ones."""
    match value:
        case dict():
            return {name: _clean(each) for name, each in value.items()}
        case list() | tuple():
            return list(map(_clean, value))
        case str():
            return "\n".join(map(json_reader.printable, value.split("\n"))) or None
    return value


OUTPUTS: dict[str, str] = {
    "decision": "Decision of the evaluation: `pass`, `fail`, `error`, `pending`, or `skipped`.",
    "conclusion": "`failure` if the step blocks, otherwise `success`.",
    "reason": "Reason for the decision, in one sentence.",
    **{metric.name: metric.output for metric in METRICS if metric.output},
    "run_id": "ID of the CI run. Several IDs are separated by commas.",
    "trace_id": "ID of the evaluated trace. Several IDs are separated by commas.",
    "campaign_id": "UUID of the campaign.",
    "dashboard_url": "URL of the CI run in Sepurux.",
    "comment_url": "URL of the comment on the pull request.",
    "gates": "JSON: a list with one object for each gate, with all that report.json has of it but the scenarios. If it "
    "is too long, the longest fields are null.",
}


def without_decision(reason: str) -> dict[str, str]:
    """Return the outputs of a step without a result: every name, decision `error`, conclusion `failure`."""
    known = {"decision": Decision.ERROR.value, "conclusion": "failure", "reason": reason, "gates": "[]"}
    return {name: known.get(name, "") for name in OUTPUTS}


def step_outputs(gates: Sequence[GateDecision], report: Report) -> dict[str, str]:
    """Return every output, empty if unknown: of the step, of the worst gate, and in `gates` of all in their order.

    The worst is one that blocks, then that with the worst decision, then the first one.
    """
    worst = min(gates, key=lambda gate: (not gate.blocks, gate.decision.rank))
    decision = min((gate.decision for gate in gates), key=lambda each: each.rank)
    run, facts = worst.worst, {each.name: each for each in report.gates}
    numbers = {metric.name: worst.value(metric) for metric in METRICS if metric.output}
    of_gates = [_clean(_dump(_Gate, facts[gate.gate.name])) for gate in gates]
    for each in of_gates:
        del each["scenarios"]
    while len(listed := json.dumps(of_gates)) > MAX_GATES_OUTPUT:
        longest = max(of_gates[0], key=lambda name: sum(len(json.dumps(each[name])) for each in of_gates))
        of_gates = [{**each, longest: None} for each in of_gates]
    return {
        "decision": decision.value,
        "conclusion": conclusion(any(gate.blocks for gate in gates)),
        "reason": worst.reason,
        **{name: "" if value is None else wording.decimal(value) for name, value in numbers.items()},
        "run_id": _joined(run_ids(worst.runs)),
        "trace_id": _joined([each.trace_id for each in worst.runs]),
        "campaign_id": run.campaign_id,
        "dashboard_url": run.dashboard_url,
        "comment_url": "",
        "gates": listed,
    }


def _joined(ids: Sequence[str]) -> str:
    listed = ",".join((*dict.fromkeys(filter(None, ids)), ""))
    return listed[: MAX_LIST_LENGTH + 1].rpartition(",")[0]
