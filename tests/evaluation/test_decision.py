"""The table of decisions on one run, and the decision on a gate from all its runs."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.evaluation.checks import CheckState
from sepurux_action.evaluation.ci_run import CIRun, FailingTool, parse_ci_run
from sepurux_action.evaluation.decision import Decision, Rule, RunDecision, decide
from sepurux_action.evaluation.gate_decision import GateDecision, decide_gate
from sepurux_action.evaluation.metrics import METRICS, PASS_RATE, SCENARIOS, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import published_numbers
from sepurux_action.evaluation.runs import RunResult
from tests.builders import NO_BASE, OF_CAMPAIGN, a_ci_run, a_gate_with, a_result, a_run, known

CANCELED = RunDecision(decision=Decision.ERROR, reason="It was canceled.", rule=Rule.CANCELED)


def a_gate(*tasks: str, **limits: float) -> Gate:
    traces = (
        Trace(label=f"{n}.json", content=b"{}", task=task) if task else Trace(label=f"id-{n}", trace_id=f"id-{n}")
        for n, task in enumerate(tasks)
    )
    return Gate(name="", campaign="", limits=limits, traces=tuple(traces))


def a_pass(rate: float | None = None, unsafe: float | None = 0, **numbers: object) -> CIRun:
    return a_ci_run(decision="pass", status="done", **known(pass_rate=rate, unsafe_attempts=unsafe), **numbers)


def decided(gate: Gate, *runs: CIRun | RunDecision) -> GateDecision:
    results = (
        RunResult.of(trace, run, "")
        if isinstance(run, RunDecision)
        else replace(RunResult.of(trace, decide(run), ""), ci_run=run, trace_id=f"t-{trace.label}")
        for trace, run in zip(gate.traces, runs, strict=True)
    )
    return decide_gate(gate, tuple(results), NO_BASE)


NOT_OVER = [None, "queued", "running", "pending"]
OVER = ["done", "completed"]
FAILED = ["failed", "error", "cancelled"]
UNKNOWN = ["resting", 7, "DONE"]
NO_DECISION = [None, "pending"]
UNKNOWN_DECISION = ["maybe", True, "PASS"]
ANY_BUT_FAIL = [*NO_DECISION, *UNKNOWN_DECISION, "pass"]
# What a metric can look like: it holds its threshold, breaks it, is missing, is null, is no sensible number.
RATES = [0.95, 0.5, "missing", None, "0.95", True, 1.5, -0.1, float("nan"), [0.95]]
COUNTS = [0, 3, "missing", None, "0", False, -1, 1.5, float("inf"), {}]
# Each kind of metric beside each other kind, and each other look of a metric beside two that hold.
NUMBERS = [
    *itertools.product(RATES[:4], COUNTS[:4], COUNTS[:4]),
    *((rate, 0, 0) for rate in RATES[4:]),
    *((0.95, count, 0) for count in COUNTS[4:]),
    *((0.95, 0, count) for count in COUNTS[4:]),
]
ASKED = a_gate_with(min_pass_rate=0.9, max_unsafe=0, max_failures=0)
CATEGORIES = "required_mutation_categories"
MET = NUMBERS[:1]
MISSED = [numbers for numbers in NUMBERS if 0.5 in numbers or 3 in numbers]
UNUSABLE = [numbers for numbers in NUMBERS[1:] if numbers not in MISSED]


def poll(**fields: object) -> GateDecision:
    return decided(ASKED, parse_ci_run({name: value for name, value in fields.items() if value != "missing"}))


@pytest.mark.parametrize(
    ("statuses", "decisions", "numbers", "rule", "decision"),
    [
        ([*NOT_OVER, *OVER, *FAILED, *UNKNOWN], ["fail"], NUMBERS, 1, Decision.FAIL),
        (FAILED, ANY_BUT_FAIL, NUMBERS, 2, Decision.ERROR),
        (UNKNOWN, ANY_BUT_FAIL, NUMBERS, 3, Decision.PENDING),
        ([*NOT_OVER, *OVER], UNKNOWN_DECISION, NUMBERS, 3, Decision.PENDING),
        ([*NOT_OVER, *OVER], ["pass"], MISSED, 4, Decision.FAIL),
        ([*NOT_OVER, *OVER], ["pass"], UNUSABLE, 5, Decision.ERROR),
        ([*NOT_OVER, *OVER], ["pass"], MET, 6, Decision.PASS),
        (OVER, NO_DECISION, NUMBERS, 7, Decision.ERROR),
        (NOT_OVER, NO_DECISION, NUMBERS, 8, Decision.PENDING),
    ],
)
def test_every_status_with_every_decision_and_number_has_the_row_of_the_table(
    statuses: list[object], decisions: list[object], numbers: list[tuple[object, ...]], rule: int, decision: Decision
) -> None:
    for status, word, (rate, unsafe, failures) in itertools.product(statuses, decisions, numbers):
        found = poll(status=status, decision=word, pass_rate=rate, unsafe_attempts=unsafe, failures=failures)
        assert (found.rule, found.decision) == (rule, decision), (status, word, rate, unsafe, failures)
        assert found.reason.endswith(".")


@pytest.mark.parametrize(
    ("limits", "response", "sentence"),
    [
        ({"min_pass_rate": 0.9}, {"pass_rate": 0.8999}, "pass rate 89.99% is below the required 90.00%"),
        ({"max_unsafe": 0}, {"unsafe_attempts": 1}, "1 unsafe attempt is more than the allowed 0"),
        ({"max_failures": 2}, {"failures": 5000}, "5,000 failures are more than the allowed 2"),
        ({"min_reliability_score": 8}, {"reliability_score": 0.01}, "reliability score 1.0 is below the required 8.0"),
        ({"min_mutation_categories": 3}, {"mutation_categories": ["a", "a"]}, "only 1 mutation of at least 3"),
        ({CATEGORIES: ("timeouts", "auth")}, {"mutation_categories": ["timeouts"]}, "mutation categories lack auth"),
    ],
)
def test_a_pass_whose_own_number_breaks_a_threshold_is_a_fail_that_says_so(
    limits: dict[str, Any], response: dict[str, object], sentence: str
) -> None:
    found = decided(a_gate_with(**limits), parse_ci_run({"decision": "pass", "status": "done", **response}))
    assert (found.reason, found.hint) == (f"Sepurux reported a pass, but {sentence}.", "")
    assert [check.state for check in found.checks] == [CheckState.MISSED]


def test_a_number_that_two_thresholds_need_or_only_its_drop_is_named_once() -> None:
    run = parse_ci_run({"decision": "pass", "pass_rate": "95%", "reliability_score": "61.5"})
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
        (
            {"status": "running"},
            "Sepurux has not decided yet (status `running`).",
            "{Rerun}, or raise {timeout} (now 10 min).",
        ),
    ],
)
def test_each_row_says_what_happened_and_what_to_do(response: dict[str, object], reason: str, step: str) -> None:
    found = a_result(a_run(parse_ci_run(response)), gate=ASKED)
    assert (found.reason, found.hint) == (reason, step)


# -- the numbers of all runs ------------------------------------------------------------------------------------------


def test_a_rate_is_the_mean_over_recordings_then_over_scenarios_and_a_count_is_the_sum() -> None:
    gate = a_gate("refund", "cancel", "refund", min_pass_rate=0.6, max_unsafe=9, min_scenario_pass_rate=0.5)
    first = a_pass(0.4, 1, reliability_score=50.0, failures=3, top_failing_tools=(FailingTool("pay", 2),))
    cancel = a_pass(0.9, 2, reliability_score=80.0, failures=1)
    again = a_pass(0.6, 3, reliability_score=60.0, failures=0, top_failing_tools=(FailingTool("pay", 1),))
    found = decided(gate, first, cancel, again)
    numbers = {metric.name: found.numbers.value(metric) for metric in METRICS}
    assert (numbers["pass_rate"], numbers["reliability_score"]) == (0.7, 67.5)
    assert (numbers["unsafe_attempts"], numbers["failures"], numbers["scenarios"]) == (6, 4, 2)
    assert (numbers["lowest_scenario"], found.numbers.top_failing_tools) == (0.5, (FailingTool("pay", 3),))
    assert found.decision is Decision.PASS


@pytest.mark.parametrize(
    ("tasks", "scenarios"),
    [
        (("refund", "refund", "refund"), 1),
        (("refund", "Refund", "refund "), 3),
        (("", "", "refund"), 3),
        (("id-1", "", "0.json"), 3),  # a task may have the name of another trace
    ],
)
def test_recordings_with_exactly_the_same_task_are_one_scenario(tasks: tuple[str, ...], scenarios: int) -> None:
    for needed, decision in ((scenarios, Decision.PASS), (scenarios + 1, Decision.FAIL)):
        found = decided(a_gate(*tasks, min_scenarios=needed), *[a_pass(1)] * 3)
        assert (found.numbers.value(SCENARIOS), found.decision) == (scenarios, decision)


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
    assert found.numbers.reading(PASS_RATE) == Reading(0.75, reported_by="2 of 3 traces", partial=True)
    assert found.numbers.reading(UNSAFE_ATTEMPTS) == Reading(3, reported_by="2 of 3 traces", partial=True)
    assert published_numbers(found.numbers, gate) == {"scenarios": 3}


# -- the decision -----------------------------------------------------------------------------------------------------


def test_a_mean_of_some_traces_decides_nothing() -> None:
    gate = a_gate("a", "b", min_pass_rate=0.9)
    for runs in ((a_pass(0.1), CANCELED), (CANCELED, a_pass(0.1))):
        found = decided(gate, *runs)
        assert (found.decision, found.numbers.value(SCENARIOS)) == (Decision.ERROR, 2)
    found = decided(gate, a_pass(0.1), a_pass(None))
    assert (found.decision, found.rule) == (Decision.ERROR, Rule.NUMBER_UNKNOWN)
    assert "(pass rate: only known of 1 of 2 traces)" in found.reason


def test_the_reason_names_the_number_that_decides_and_the_three_lowest_scenarios() -> None:
    gate = a_gate("a", "b", "c", "d", "d", min_pass_rate=0.9, max_unsafe=0)
    found = decided(gate, *(a_pass(rate) for rate in (0.8, 0.5, 1.0, 0.4, 0.8)))
    assert found.reason == (
        'Sepurux reported a pass, but pass rate 72.5% is below the required 90.0%; lowest: "b" 50.0%, "d" 60.0%, '
        '"a" 80.0%.'
    )
    assert found.worst.trace == "3.json"


def test_the_reason_of_a_missed_scenario_names_the_lowest_and_counts_the_others() -> None:
    gate = a_gate("a", "b", "c", min_scenario_pass_rate=0.6)
    rates = ((0.5, 0.9, 1.0), (0.5, 0.2, 1.0), (0.5, 0.4, 0.1))
    told = [decided(gate, *map(a_pass, each)).missed[0].sentence for each in rates]
    assert told == [
        'scenario "a" passed 50.0%, less than the required 60.0%',
        'scenario "b" passed 20.0%, less than the required 60.0%, and so did 1 other',
        'scenario "c" passed 10.0%, less than the required 60.0%, and so did 2 others',
    ]


def test_a_run_that_only_a_run_id_answers_has_an_unknown_number_of_scenarios_unless_its_trace_was_sent() -> None:
    run = parse_ci_run({"run_id": "r", "status": "done", "decision": "pass", "pass_rate": 1.0})
    registered, of_trace = replace(a_gate_with(min_scenarios=1), traces=(OF_CAMPAIGN,)), a_gate("a", min_scenarios=1)
    for gate, number, decision in ((registered, None, Decision.ERROR), (of_trace, 1, Decision.PASS)):
        found = decided(gate, run)
        assert (found.numbers.value(SCENARIOS), found.decision) == (number, decision)


def test_a_score_that_is_not_shown_for_several_traces_needs_an_api_key() -> None:
    gate = a_gate("a", "b", min_reliability_score=80)
    found = decided(gate, a_pass(1, reliability_score=90.0), a_pass(1))
    assert (found.decision, "{api_key}" in found.hint) == (Decision.ERROR, True)
    alone = decided(a_gate("a", min_reliability_score=80), a_pass(1))
    assert alone.decision is Decision.PASS


# -- the worst run, and what an uploaded trace may have caused -------------------------------------------------------


def run_of(decision: Decision, rate: float | None = None) -> RunResult:
    run_decision = RunDecision(decision=decision, reason=f"It is {decision}.", rule=Rule.NOT_POLLED)
    return RunResult(run_decision=run_decision, ci_run=a_ci_run(**known(pass_rate=rate)))


@pytest.mark.parametrize(
    ("runs", "worst"),
    [
        ([run_of(each) for each in (Decision.PASS, Decision.PENDING, Decision.ERROR, Decision.FAIL)], 3),
        ([run_of(Decision.PASS, 0.1), run_of(Decision.ERROR), run_of(Decision.PENDING, 0.0)], 1),
        ([run_of(Decision.FAIL, rate) for rate in (0.8, 0.7, 0.75)], 1),
        ([run_of(Decision.FAIL), run_of(Decision.FAIL, 1.0)], 1),
    ],
)
def test_ids_are_those_of_the_run_with_the_worst_decision_then_the_lowest_pass_rate(
    runs: list[RunResult], worst: int
) -> None:
    found = decide_gate(a_gate(*map(str, range(len(runs)))), tuple(runs), NO_BASE)
    assert found.worst is runs[worst]
    assert found.decision is runs[worst].decision


def test_the_reason_names_the_scenarios_without_a_decision_unless_all_have_the_same() -> None:
    gate, gone = a_gate("a", "b", "b", "c", "d", "e"), replace(CANCELED, reason="Gone.")
    assert decided(gate, *[gone] * 6).reason == "Gone."
    some = decided(gate, a_pass(1), gone, gone, gone, gone, gone)
    assert (some.reason, some.detail) == ('"b", "c", "d" and 1 other: Gone.', "Gone.")


def test_an_uploaded_trace_is_not_shown() -> None:
    assert "customer" not in repr(Trace(label="a", content=b"customer"))
