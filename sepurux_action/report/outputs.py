"""The outputs of a step, which later steps can read. Source: docs/reference.md#outputs."""

import json
from collections.abc import Iterable, Sequence

from sepurux_action.common import wording
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.metrics import FAILURES, LISTED, PASS_RATE, RELIABILITY_SCORE, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.runs import Decision
from sepurux_action.report import report_json
from sepurux_action.report.report import Report

MAX_LIST_LENGTH = 40_000  # characters of the ids of one kind, about 1,000 ids; further ones are left out
MAX_GATES_OUTPUT = 120_000  # characters of `gates`: a variable in the environment of a later step has at most 131,072

OUTPUTS: dict[str, str] = {
    "decision": "`pass`, `fail`, `error`, `pending`, or `skipped`.",
    "conclusion": "`failure` if the step blocks, otherwise `success`.",
    "reason": "Reason for the decision, in one sentence.",
    PASS_RATE.name: "Share of the attempts that passed, from 0 to 1.",
    UNSAFE_ATTEMPTS.name: "Number of unsafe attempts.",
    FAILURES.name: "Number of failures.",
    RELIABILITY_SCORE.name: "Reliability score, from 0 to 100.",
    "run_id": "ID of the run at Sepurux. Several IDs are separated by commas.",
    "trace_id": "ID of the evaluated trace. Several IDs are separated by commas.",
    "campaign_id": "UUID of the campaign.",
    "dashboard_url": "URL of the run at Sepurux.",
    "comment_url": "URL of the comment on the pull request.",
    "gates": "JSON: a list of the gates of report.json without scenarios. If too long, the longest fields are null.",
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
    run, values = worst.worst, {metric.name: worst.value(metric) for metric in LISTED}
    by_name = {each.result.gate.name: each for each in report.gates}
    listed = [report_json.dump_fields(by_name[gate.gate.name], without={"result.scenarios"}) for gate in gates]
    while len(text := json.dumps(listed)) > MAX_GATES_OUTPUT:
        longest = max(listed[0], key=lambda name: sum(len(json.dumps(each[name])) for each in listed))
        listed = [{**each, longest: None} for each in listed]
    return {
        "decision": report_json.decision(report).value,
        "conclusion": report_json.conclusion(report),
        "reason": worst.reason,
        **{name: "" if value is None else wording.decimal(value) for name, value in values.items()},
        "run_id": _joined(worst.run_ids),
        "trace_id": _joined(each.trace_id for each in worst.runs),
        "campaign_id": run.campaign_id,
        "dashboard_url": run.dashboard_url,
        "comment_url": "",
        "gates": text,
    }


def _joined(ids: Iterable[str]) -> str:
    listed = ",".join((*dict.fromkeys(filter(None, ids)), ""))
    return listed[: MAX_LIST_LENGTH + 1].rpartition(",")[0]
