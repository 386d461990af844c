"""Owns what later steps can read: the names of the outputs and their texts; never writes them.

Source: contract, section 3. Numbers are plain decimals; what is not known is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sepurux_action.core import figures
from sepurux_action.core.gate import GateResult, RunResult
from sepurux_action.core.verdict import Decision
from sepurux_action.core.wire import Metric

MOST_TOOLS = 50  # in `top_failing_tools`; a job's outputs have 1 MB together
LONGEST_TOOL = 200  # characters of a tool's name

OUTPUTS: dict[str, str] = {
    "decision": "What was learnt: `pass`, `fail`, `error`, `pending` or `skipped`.",
    "conclusion": "What follows: `success` or `failure`; of several gates, `failure` if any of them blocks.",
    "enforcement": "The stage that ruled: `observe`, `soft` or `hard`.",
    "reason": "Why, in one sentence.",
    "run_id": "The CI run's id; several by comma.",
    "batch_id": "The batch's id; several by comma.",
    "trace_id": "The judged trace's id; several by comma.",
    "campaign_id": "The campaign's UUID.",
    "pass_rate": "Share of attempts that passed, a fraction from 0 to 1.",
    "reliability_score": "Reliability score, from 0 to 100.",
    "unsafe_attempts": "Number of unsafe attempts.",
    "failures": "Number of failures.",
    "top_failing_tools": "JSON: a list of `{tool, count}`, the most failing first.",
    "dashboard_url": "Where the run is shown in Sepurux.",
    "comment_url": "The comment on the pull request.",
    "gates": "JSON: a list of objects, one for each gate, with `name` and all of the other outputs.",
}


def no_verdict(reason: str) -> dict[str, str]:
    """Return the outputs of a step that judged nothing: every name, decision `error`, conclusion `failure`."""
    known = {"decision": Decision.ERROR.value, "conclusion": "failure", "reason": reason, "gates": "[]"}
    return {name: known.get(name, "") for name in OUTPUTS}


def step_outputs(gates: Sequence[GateResult], comment_url: str = "") -> dict[str, str]:
    """Return every output: the worst gate's values, and `gates` for all.

    Ties are decided by an exceeded `max_unsafe`, then the lowest pass rate, then order. `conclusion` alone is that of
    the whole step, as the exit status is: an `observe` gate may be the worst and not block, while another one blocks.
    """
    worst = min(gates, key=lambda gate: gate.badness)
    described = [{"name": gate.gate.name, **gate_outputs(gate, comment_url)} for gate in gates]
    closed = next((gate for gate in gates if gate.conclusion.closed), worst)
    return {**gate_outputs(worst, comment_url), "conclusion": closed.conclusion.word, "gates": json.dumps(described)}


def gate_outputs(gate: GateResult, comment_url: str = "") -> dict[str, str]:
    """Return the outputs of one gate, all but `gates`; the comment is one for all gates of a step."""
    run = gate.combined
    tools = [{"tool": each.tool[:LONGEST_TOOL], "count": each.count} for each in run.top_failing_tools[:MOST_TOOLS]]
    return {
        "decision": gate.decision.value,
        "conclusion": gate.conclusion.word,
        "enforcement": gate.gate.stage.value,
        "reason": gate.reason,
        **identities(gate.runs),
        "campaign_id": gate.worst.campaign_id,
        "pass_rate": _number(run.pass_rate),
        "reliability_score": _number(run.reliability_score),
        "unsafe_attempts": _number(run.unsafe_attempts),
        "failures": _number(run.failures),
        "top_failing_tools": json.dumps(tools) if tools else "",
        "dashboard_url": run.dashboard_url,
        "comment_url": comment_url,
    }


def identities(runs: Iterable[RunResult]) -> dict[str, str]:
    """Return the ids of runs that are known, several by comma."""
    runs = tuple(runs)
    return {
        "run_id": _listed(run.run_id or ",".join(run.run.run_ids) for run in runs),
        "batch_id": _listed(run.batch_id for run in runs),
        "trace_id": _listed(run.trace_id for run in runs),
    }


def early_outputs(runs: Sequence[RunResult]) -> dict[str, str]:
    """Return what later steps may want even when this one is killed: ids, and the first address that is known."""
    address = next((run.run.dashboard_url for run in runs if run.run.dashboard_url), "")
    return {**identities(runs), "dashboard_url": address}


def _listed(ids: Iterable[str]) -> str:
    return ",".join(dict.fromkeys(filter(None, ids)))


def _number(metric: Metric) -> str:
    return "" if metric.value is None else figures.decimal(metric.value)
