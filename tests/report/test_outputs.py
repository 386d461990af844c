"""The outputs of a step."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.evaluation.ci_run import FailingTool
from sepurux_action.evaluation.decision import Decision
from sepurux_action.report.outputs import (
    MAX_TOOLS,
    OUTPUTS,
    early_outputs,
    gate_outputs,
    step_outputs,
    without_decision,
)
from tests.builders import (
    CAMPAIGN_ID,
    DASHBOARD,
    FAILING,
    PASSING,
    RUN_ID,
    a_gate,
    a_gate_with,
    a_result,
    a_run,
    run_with,
    states,
    undecided,
)


def test_the_outputs_of_a_failed_gate_are_plain_decimals() -> None:
    values = step_outputs([a_result(a_run(trace_id="t-1", batch_id="b-1"))])
    assert {name: values[name] for name in values if name not in {"reason", "gates"}} == {
        "decision": "fail",
        "conclusion": "failure",
        "enforcement": "hard",
        "run_id": RUN_ID,
        "batch_id": "b-1",
        "trace_id": "t-1",
        "campaign_id": CAMPAIGN_ID,
        "pass_rate": "0.72",
        "reliability_score": "61.5",
        "unsafe_attempts": "1",
        "failures": "5",
        "top_failing_tools": '[{"tool": "payments.refund", "count": 3}, {"tool": "crm.lookup_customer", "count": 2}]',
        "dashboard_url": DASHBOARD,
        "comment_url": "",
    }
    assert values["reason"].startswith("Pass rate 72.0%")


def test_every_output_is_written_on_every_path() -> None:
    for results, _ in states().values():
        assert list(step_outputs(results)) == list(OUTPUTS)
        assert all(list(gate_outputs(each)) == [name for name in OUTPUTS if name != "gates"] for each in results)
    values = without_decision("It was canceled.")
    assert list(values) == list(OUTPUTS)
    known = {"decision": "error", "conclusion": "failure", "reason": "It was canceled.", "gates": "[]"}
    assert {name: text for name, text in values.items() if text} == known


def test_what_is_not_known_or_makes_no_sense_is_empty_and_zero_is_zero() -> None:
    values = step_outputs([a_result(undecided(Decision.ERROR, "Nothing was heard."))])
    empty = ["run_id", "batch_id", "trace_id", "pass_rate", "failures", "top_failing_tools", "dashboard_url"]
    assert [values[name] for name in empty] == [""] * len(empty)
    run = run_with(FAILING, pass_rate=Reading(broken='no number: "none"'), failures=0, unsafe_attempts=Reading())
    values = step_outputs([a_result(a_run(run))])
    assert (values["pass_rate"], values["failures"], values["unsafe_attempts"]) == ("", "0", "")


def test_of_gates_that_are_equally_bad_the_lowest_pass_rate_counts_then_the_order() -> None:
    runs = [a_run(run_with(FAILING, pass_rate=rate), run_id=f"r-{n}") for n, rate in enumerate((0.7, 0.6, 0.6))]
    assert step_outputs([a_result(run) for run in runs])["run_id"] == "r-1"


@pytest.mark.parametrize(
    ("unsafe", "rate", "worst"), [(1, 0.1, ("0.45", "2")), (2, 0.5, ("0.45", "2")), (2, 0.4, ("0.4", "2"))]
)
def test_a_gate_is_ranked_by_the_numbers_of_all_its_traces(unsafe: int, rate: float, worst: tuple[str, str]) -> None:
    gate = a_gate_with(min_pass_rate=0.9, max_unsafe=1)
    runs = (a_run(run_with(FAILING, pass_rate=each), trace=str(each)) for each in (0.8, 0.1))
    single = a_run(run_with(FAILING, pass_rate=rate, unsafe_attempts=unsafe))
    values = step_outputs([a_result(single, gate=gate), a_result(*runs, gate=gate)])
    assert (values["pass_rate"], values["unsafe_attempts"]) == worst


def test_ids_of_several_traces_are_separated_by_commas_once_each() -> None:
    runs = [a_run(PASSING, trace_id=f"t-{n}", run_id=f"r-{n // 2}", batch_id="") for n in range(3)]
    batch = a_run(replace(PASSING, run_ids=("r-1", "r-2")), run_id="", batch_id="b-1")
    values = step_outputs([a_result(*runs, batch)])
    assert (values["trace_id"], values["run_id"], values["batch_id"]) == ("t-0,t-1,t-2", "r-0,r-1,r-2", "b-1")


def test_ids_and_the_first_known_url_are_set_early() -> None:
    known = [undecided(Decision.ERROR, "Not yet."), a_run(PASSING), a_run(FAILING, run_id="r-2")]
    ids = {"run_id": f"{RUN_ID},r-2", "batch_id": "", "trace_id": ""}
    assert early_outputs(known) == {**ids, "dashboard_url": DASHBOARD}


def utf_16_bytes(outputs: Mapping[str, str]) -> int:
    return sum(len(f"{name}{text}".encode("utf-16-le")) for name, text in outputs.items())


@pytest.mark.parametrize(("gates", "traces", "most"), [(1, 1, 3_000), (50, 1, 100_000), (300, 100, 1024 * 1024)])
def test_outputs_fit_into_a_job_with_every_gate_and_the_worst_gates_ids(gates: int, traces: int, most: int) -> None:
    ids = [f"{number:032x}" for number in range(traces)]
    runs = [a_run(run_id=each, trace_id=each, batch_id=each) for each in ids]
    values = step_outputs([a_result(*runs, gate=a_gate(name=f"gate-{number}")) for number in range(gates)])
    assert utf_16_bytes(values) <= most
    assert values["run_id"].split(",") == ids
    listed = json.loads(values["gates"])
    assert [(each["name"], each["decision"]) for each in listed] == [(f"gate-{n}", "fail") for n in range(gates)]
    assert all(list(each) == ["name", *(name for name in OUTPUTS if name != "gates")] for each in listed)


def test_ids_and_tools_without_end_are_cut_between_two() -> None:
    tools = tuple(FailingTool("🚀" * 1_000 + str(n), 1) for n in range(1_000))
    ids = tuple(f"{number:0200}" for number in range(1_000))
    run = a_run(replace(PASSING, run_ids=ids, top_failing_tools=tools), run_id="", batch_id="b")
    values = step_outputs([a_result(run, run)])
    assert 39_000 < len(values["run_id"]) <= 40_000
    assert {len(each) for each in values["run_id"].split(",")} == {200}
    assert len(json.loads(values["top_failing_tools"])) == MAX_TOOLS
    assert utf_16_bytes(values) <= 1024 * 1024
