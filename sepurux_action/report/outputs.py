"""The outputs that later steps can read: plain decimals, empty for an unknown value (docs/reference.md#outputs)."""

import json
from collections.abc import Sequence

from sepurux_action.common import number_format
from sepurux_action.errors import Problem
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.metrics import METRICS
from sepurux_action.evaluation.result import GateResult
from sepurux_action.evaluation.runs import RunResult

# All outputs of a job together may have 1 MB of UTF-16: 524,288 characters.
MAX_TOOLS = 50  # in `top_failing_tools`
MAX_TOOL_LENGTH = 200  # characters of a tool's name
MAX_LIST_LENGTH = 40_000  # characters of the ids of one kind, about 1,000 ids; further ones are left out
MAX_EARLY_LIST_LENGTH = 100_000  # characters; these lists contain the ids of all gates
MAX_GATES_OUTPUT = 250_000  # characters of `gates`
# The values that are left empty in `gates`, one after the other, until it is short enough.
EMPTIED = ("top_failing_tools", "trace_id", "batch_id", "run_id", "dashboard_url", "reason")

OUTPUTS: dict[str, str] = {
    "decision": "Decision of the evaluation: `pass`, `fail`, `error`, `pending`, or `skipped`.",
    "conclusion": "`failure` if a gate blocks, otherwise `success`.",
    "enforcement": "Stage that applied: `observe`, `soft`, or `hard`.",
    "reason": "Reason for the decision, in one sentence.",
    "run_id": "ID of the CI run. Several IDs are separated by commas.",
    "batch_id": "ID of the batch of CI runs. Several IDs are separated by commas.",
    "trace_id": "ID of the evaluated trace. Several IDs are separated by commas.",
    "campaign_id": "UUID of the campaign.",
    **{metric.name: metric.output for metric in METRICS if metric.output},
    "top_failing_tools": "JSON: a list of `{tool, count}`. The tool that failed most often is first.",
    "dashboard_url": "URL of the CI run in Sepurux.",
    "comment_url": "URL of the comment on the pull request.",
    "gates": "JSON: a list with one object for each gate, with `name` and all other outputs. With many gates, "
    "tools and IDs may be empty.",
}


def without_decision(reason: str) -> dict[str, str]:
    """Return the outputs of a step without a result: every name, decision `error`, conclusion `failure`."""
    known = {"decision": Decision.ERROR.value, "conclusion": "failure", "reason": reason, "gates": "[]"}
    return {name: known.get(name, "") for name in OUTPUTS}


def settings_reason(problems: Sequence[Problem]) -> str:
    first, *others = problems
    if not others:
        return first.located
    return f"{first.located} (and {number_format.pluralize(len(others), 'more problem')})"


def step_outputs(gates: Sequence[GateResult], comment_url: str = "") -> dict[str, str]:
    """Return every output: the values of the worst gate, and all gates in `gates`.

    Of equal decisions, an exceeded `max_unsafe` is worse, then the lower pass rate, then the earlier gate. `conclusion`
    is that of the whole step: an `observe` gate may be the worst and not block while another one blocks.
    """
    worst = min(gates, key=lambda gate: gate.severity_key)
    described = [{"name": gate.gate.name, **gate_outputs(gate, comment_url)} for gate in gates]
    values = gate_outputs(worst, comment_url)
    return {**values, "conclusion": conclusion(any(gate.blocks for gate in gates)), "gates": _shortened(described)}


def _shortened(gates: list[dict[str, str]]) -> str:
    text = json.dumps(gates)
    for name in EMPTIED:
        if len(text) <= MAX_GATES_OUTPUT:
            break
        gates = [{**gate, name: ""} for gate in gates]
        text = json.dumps(gates)
    return text


def gate_outputs(gate: GateResult, comment_url: str = "") -> dict[str, str]:
    run = gate.numbers
    tools = [{"tool": each.tool[:MAX_TOOL_LENGTH], "count": each.count} for each in run.top_failing_tools[:MAX_TOOLS]]
    numbers = {metric.name: run.value(metric) for metric in METRICS if metric.output}
    return {
        "decision": gate.decision.value,
        "conclusion": conclusion(gate.blocks),
        "enforcement": gate.gate.stage.value,
        "reason": gate.reason,
        **identities(gate.runs),
        "campaign_id": gate.worst.campaign_id,
        **{name: "" if value is None else number_format.decimal(value) for name, value in numbers.items()},
        "top_failing_tools": json.dumps(tools) if tools else "",
        "dashboard_url": run.dashboard_url,
        "comment_url": comment_url,
    }


def conclusion(blocks: object) -> str:
    return "failure" if blocks else "success"


def identities(runs: Sequence[RunResult], longest: int = MAX_LIST_LENGTH) -> dict[str, str]:
    ids = {
        "run_id": run_ids(runs),
        "batch_id": [run.batch_id for run in runs],
        "trace_id": [run.trace_id for run in runs],
    }
    lists = {name: ",".join((*dict.fromkeys(filter(None, each)), "")) for name, each in ids.items()}
    return {name: listed[: longest + 1].rpartition(",")[0] for name, listed in lists.items()}


def run_ids(runs: Sequence[RunResult]) -> tuple[str, ...]:
    return tuple(each for run in runs for each in ([run.run_id] if run.run_id else run.ci_run.run_ids))


def early_outputs(runs: Sequence[RunResult]) -> dict[str, str]:
    """Return what later steps can use if this one is killed: the ids, and the first URL that is known."""
    dashboard_url = next((run.ci_run.dashboard_url for run in runs if run.ci_run.dashboard_url), "")
    return {**identities(runs, MAX_EARLY_LIST_LENGTH), "dashboard_url": dashboard_url}
