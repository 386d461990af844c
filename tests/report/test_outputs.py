"""The outputs of a step."""

import json
from dataclasses import replace

import pytest

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.options import Stage
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.runs import Decision
from sepurux_action.report.data import OUTPUTS, json_text, step_outputs, without_decision
from sepurux_action.report.report import build_report
from tests import builders
from tests.builders import FAILING, PASSING, a_context, a_gate, a_result, a_run, run_with, states, undecided


def outputs_of(*results: GateDecision) -> dict[str, str]:
    """Return the outputs of a step, which a job may have."""
    values = step_outputs(results, build_report(results, a_context()))
    assert sum(len(f"{name}{text}".encode("utf-16-le")) for name, text in values.items()) <= 1024 * 1024
    return values


def test_the_outputs_of_a_failed_gate_are_plain_decimals() -> None:
    values = outputs_of(a_result(a_run(trace_id="t-1", batch_id="b-1")))
    assert {name: values[name] for name in values if name not in {"reason", "gates"}} == {
        "decision": "fail",
        "conclusion": "failure",
        "pass_rate": "0.72",
        "reliability_score": "61.5",
        "unsafe_attempts": "1",
        "failures": "5",
        "run_id": builders.RUN_ID,
        "trace_id": "t-1",
        "campaign_id": builders.CAMPAIGN_ID,
        "dashboard_url": builders.DASHBOARD,
        "comment_url": "",
    }
    assert values["reason"].startswith("72.0% passed, 85.0% needed")


def test_without_a_decision_every_output_is_there_and_the_step_failed() -> None:
    values = without_decision("It was canceled.")
    assert list(values) == list(OUTPUTS)
    known = {"decision": "error", "conclusion": "failure", "reason": "It was canceled.", "gates": "[]"}
    assert {name: text for name, text in values.items() if text} == known


@pytest.mark.parametrize("state", states())
def test_every_output_is_there_and_gates_are_those_of_report_json_in_their_order_without_scenarios(state: str) -> None:
    results, context = states()[state]
    report = build_report(results, context)
    values = step_outputs(results, report)
    assert list(values) == list(OUTPUTS)
    expected = {gate["name"]: gate for gate in json.loads(json_text(report))["gates"]}
    assert all(gate.pop("scenarios") is not None for gate in expected.values())
    assert json.loads(values["gates"]) == [expected[json_reader.printable(each.gate.name)] for each in results]


def test_what_is_not_known_or_makes_no_sense_is_empty_and_zero_is_zero() -> None:
    values = outputs_of(a_result(undecided(Decision.ERROR, "Nothing was heard.")))
    assert {values[name] for name in ("run_id", "trace_id", "pass_rate", "failures", "dashboard_url")} == {""}
    run = run_with(FAILING, pass_rate=Reading(broken='no number: "none"'), failures=0, unsafe_attempts=Reading())
    values = outputs_of(a_result(a_run(run)))
    assert (values["pass_rate"], values["failures"], values["unsafe_attempts"]) == ("", "0", "")


def test_a_gate_that_blocks_is_the_worst_then_the_decision_counts_then_the_order() -> None:
    failed, error, late, again = (
        a_result(a_run(run_id="r-0"), gate=a_gate(name="a", stage=Stage.OBSERVE)),
        a_result(undecided(Decision.ERROR, "Nothing was heard."), gate=a_gate(name="b", stage=Stage.OBSERVE)),
        *(a_result(a_run(run_id=run), gate=a_gate(name=run)) for run in ("r-1", "r-2")),
    )
    blocks = replace(error, blocks=True)
    worst = [outputs_of(*each)["run_id"] for each in ([error, failed], [failed, blocks], [failed, late, again])]
    assert worst == ["r-0", "", "r-1"]
    assert [outputs_of(failed, blocks)[name] for name in ("decision", "conclusion")] == ["fail", "failure"]


def test_ids_of_several_traces_are_separated_by_commas_once_each() -> None:
    runs = [a_run(PASSING, trace_id=f"t-{n}", run_id=f"r-{n // 2}", batch_id="") for n in range(3)]
    batch = a_run(replace(PASSING, run_ids=("r-1", "r-2")), run_id="", batch_id="b-1")
    values = outputs_of(a_result(*runs, batch))
    assert (values["trace_id"], values["run_id"]) == ("t-0,t-1,t-2", "r-0,r-1,r-2")


def test_outputs_fit_into_a_job_with_every_gate_and_the_worst_gates_ids() -> None:
    ids, names = [f"{number:032x}" for number in range(100)], [f"gate-{number}" for number in range(26)]
    runs = [a_run(run_id=each, trace_id=each, batch_id=each) for each in ids]
    values = outputs_of(*(a_result(*runs, gate=a_gate(name=name)) for name in names))
    assert values["run_id"].split(",") == ids
    assert [(each["name"], each["decision"]) for each in json.loads(values["gates"])] == [(n, "fail") for n in names]


def test_ids_without_end_are_cut_between_two_and_the_longest_fields_of_gates_are_null() -> None:
    tools = {"🚀" * 1_000 + str(n): 1 for n in range(1_000)}
    ids = tuple(f"{number:0200}" for number in range(1_000))
    run = a_run(replace(PASSING, run_ids=ids, failing_tools=tools), run_id="", batch_id="b")
    values = outputs_of(a_result(run, run))
    assert 39_000 < len(values["run_id"]) <= 40_000
    assert {len(each) for each in values["run_id"].split(",")} == {200}
    [gate] = json.loads(values["gates"])
    assert gate["failing_tools"] is None
    assert gate["checks"]
