"""The outputs that later steps can read: plain decimals, empty for an unknown value (docs/reference.md#outputs)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sepurux_action.common import number_format
from sepurux_action.errors import Problem
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.metrics import METRICS
from sepurux_action.evaluation.runs import Decision
from sepurux_action.report.report import Report
from sepurux_action.report.report_json import conclusion, gate_json, run_ids

# All outputs of a job together may have 1 MB of UTF-16: 524,288 characters.
MAX_LIST_LENGTH = 40_000  # characters of the ids of one kind, about 1,000 ids; further ones are left out
MAX_GATES_OUTPUT = 250_000  # characters of `gates`

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


def settings_reason(problems: Sequence[Problem]) -> str:
    first, *others = problems
    if not others:
        return first.located
    return f"{first.located} (and {number_format.pluralize(len(others), 'more problem')})"


def step_outputs(gates: Sequence[GateDecision], report: Report) -> dict[str, str]:
    """Return every output: of the step, of the worst gate, and in `gates` of all, in the order of the file.

    The worst is one that blocks, then that with the worst decision, then the first one.
    """
    worst = min(gates, key=lambda gate: (not gate.blocks, gate.decision.rank))
    decision = min((gate.decision for gate in gates), key=lambda each: each.rank)
    run, facts = worst.worst, {each.name: each for each in report.gates}
    numbers = {metric.name: worst.value(metric) for metric in METRICS if metric.output}
    return {
        "decision": decision.value,
        "conclusion": conclusion(any(gate.blocks for gate in gates)),
        "reason": worst.reason,
        **{name: "" if value is None else number_format.decimal(value) for name, value in numbers.items()},
        "run_id": _joined(run_ids(worst.runs)),
        "trace_id": _joined([each.trace_id for each in worst.runs]),
        "campaign_id": run.campaign_id,
        "dashboard_url": run.dashboard_url,
        "comment_url": "",
        "gates": _shortened([gate_json(facts[gate.gate.name]) for gate in gates]),
    }


def _joined(ids: Sequence[str]) -> str:
    listed = ",".join((*dict.fromkeys(filter(None, ids)), ""))
    return listed[: MAX_LIST_LENGTH + 1].rpartition(",")[0]


def _shortened(gates: Sequence[Mapping[str, Any]]) -> str:
    text = json.dumps(gates)
    while len(text) > MAX_GATES_OUTPUT:
        longest = max(gates[0], key=lambda name: sum(len(json.dumps(gate[name])) for gate in gates))
        gates = [{**gate, longest: None} for gate in gates]
        text = json.dumps(gates)
    return text
