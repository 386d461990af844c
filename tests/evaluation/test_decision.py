"""The table of decisions on one run, and the decision on a gate from all its runs."""

from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation.decision import GateDecision, decide_gate
from sepurux_action.evaluation.metrics import PASS_RATE, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import published_numbers
from sepurux_action.evaluation.runs import Decision, Rule, Run, decide, parse_run
from tests.builders import NO_BASE, a_gate_with, a_poll, a_result, a_run, known

CANCELED = Run(decision=Decision.ERROR, rule=Rule.CANCELED, reason="It was canceled.")


def a_gate(*tasks: str, **limits: float) -> Gate:
    traces = (
        Trace(label=f"{n}.json", content=b"{}", task=task) if task else Trace(label=f"id-{n}", trace_id=f"id-{n}")
        for n, task in enumerate(tasks)
    )
    return Gate(name="", campaign="", limits=limits, traces=tuple(traces))


def a_pass(rate: float | None = None, unsafe: float | None = 0, **numbers: object) -> Run:
    return a_poll(sepurux_decision="pass", status="done", **known(pass_rate=rate, unsafe_attempts=unsafe), **numbers)


def decided(gate: Gate, *runs: Run) -> GateDecision:
    results = (
        replace(run if run.reason else decide(run), trace=trace) for trace, run in zip(gate.traces, runs, strict=True)
    )
    return decide_gate(gate, tuple(results), NO_BASE)


ASKED = a_gate_with(min_pass_rate=0.9, max_unsafe=0, max_failures=0)


def test_a_number_that_two_thresholds_need_or_only_its_drop_is_named_once() -> None:
    run = parse_run({"decision": "pass", "pass_rate": "95%", "reliability_score": "61.5"})
    for limits, name in (
        ({"max_pass_rate_drop": 0.03}, "pass rate"),
        ({"min_reliability_score": 80}, "reliability score"),
    ):
        found = decided(a_gate_with(**limits), run)
        assert (found.decision, found.reason.count(name)) == (Decision.ERROR, 1)


FOR_THE_CAUSE = "See the `Sepurux run` for the cause, then {rerun}."


@pytest.mark.parametrize(
    ("response", "reason", "step"),
    [
        (
            {"status": "error", "decision": "pending"},
            'The evaluation itself failed at Sepurux (status `error`, decision "pending").',
            FOR_THE_CAUSE,
        ),
        ({"status": "cancelled"}, "The evaluation itself was canceled at Sepurux (status `cancelled`).", FOR_THE_CAUSE),
        (
            {"status": "running", "decision": "maybe"},
            'Sepurux reported the decision "maybe", which this version of the gate does not know.',
            "Update sepurux/gate-action, or ask Sepurux what it means.",
        ),
        (
            {"status": "done", "decision": "pending"},
            "The evaluation ended (status `done`), but Sepurux reported no decision.",
            "{Rerun}. If the decision is missing again, ask Sepurux about this `Sepurux run`.",
        ),
    ],
)
def test_each_row_says_what_happened_and_what_to_do(response: dict[str, object], reason: str, step: str) -> None:
    found = a_result(a_run(parse_run(response)), gate=ASKED)
    assert (found.reason, found.hint) == (reason, step)


# -- the numbers of all runs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needed", "said"), [(3, "; 3 of 4 recordings have the same `task.name` as another one."), (5, " of at least 5.")]
)
def test_too_few_scenarios_of_enough_recordings_have_a_reason(needed: int, said: str) -> None:
    found = decided(a_gate("refund", "refund", "cancel", "refund", min_scenarios=needed), *[a_pass(1)] * 4)
    assert found.reason.startswith(f"Sepurux reported a pass, but only 2 scenarios of at least {needed}")
    assert found.reason.endswith(said)


def test_a_number_that_some_runs_do_not_report_is_that_of_the_others_and_not_in_a_status() -> None:
    gate = a_gate("a", "b", "c")
    found = decided(gate, a_pass(0.5, 2), a_pass(None, 1), a_pass(1.0, None))
    assert PASS_RATE.reading(found.numbers) == Reading(0.75, reported_by="2 of 3 traces", partial=True)
    assert UNSAFE_ATTEMPTS.reading(found.numbers) == Reading(3, reported_by="2 of 3 traces", partial=True)
    assert published_numbers(found.numbers, gate) == {"scenarios": 3}
    assert found.worst.trace.label == "0.json"


# -- the decision -----------------------------------------------------------------------------------------------------


def test_the_reason_names_the_number_that_decides_and_the_three_lowest_scenarios() -> None:
    gate = a_gate("a", "b", "c", "d", "d", min_pass_rate=0.9, max_unsafe=0)
    found = decided(gate, *(a_pass(rate) for rate in (0.8, 0.5, 1.0, 0.4, 0.8)))
    assert found.reason == (
        'Sepurux reported a pass, but pass rate 72.5% is below the required 90.0%; lowest: "b" 50.0%, "d" 60.0%, '
        '"a" 80.0%.'
    )
    assert found.worst.trace.label == "3.json"


def test_the_reason_of_a_missed_scenario_names_the_lowest_and_counts_the_others() -> None:
    gate = a_gate("a", "b", "c", min_scenario_pass_rate=0.6)
    rates = ((0.5, 0.9, 1.0), (0.5, 0.2, 1.0), (0.5, 0.4, 0.1))
    told = [decided(gate, *map(a_pass, each)).missed[0].sentence for each in rates]
    assert told == [
        'scenario "a" passed 50.0%, less than the required 60.0%',
        'scenario "b" passed 20.0%, less than the required 60.0%, and so did 1 other',
        'scenario "c" passed 10.0%, less than the required 60.0%, and so did 2 others',
    ]


def test_a_score_that_is_not_shown_for_several_traces_needs_an_api_key() -> None:
    gate = a_gate("a", "b", min_reliability_score=80)
    found = decided(gate, a_pass(1, reliability_score=90.0), a_pass(1))
    assert (found.decision, "{api_key}" in found.hint) == (Decision.ERROR, True)
    alone = decided(a_gate("a", min_reliability_score=80), a_pass(1))
    assert alone.decision is Decision.PASS


# -- runs without a decision, and what an uploaded trace may have caused ---------------------------------------------


def test_the_reason_names_the_scenarios_without_a_decision_unless_all_have_the_same() -> None:
    gate, gone = a_gate("a", "b", "b", "c", "d", "e"), replace(CANCELED, reason="Gone.")
    assert decided(gate, *[gone] * 6).reason == "Gone."
    some = decided(gate, a_pass(1), gone, gone, gone, gone, gone)
    assert (some.reason, some.detail, some.worst.trace.label) == ('"b", "c", "d" and 1 other: Gone.', "Gone.", "1.json")


def test_an_uploaded_trace_is_not_shown() -> None:
    assert "customer" not in repr(Trace(label="a", content=b"customer"))
