"""What noise alone does not decide: how far a number may lie below the base branch."""

from dataclasses import replace

import pytest

from sepurux_action.evaluation.decision import GateDecision, decide_gate
from sepurux_action.evaluation.gate_numbers import DROP, Base, Check, CheckState, check_drop
from sepurux_action.evaluation.metrics import FAILURES, PASS_RATE, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import Results, comparable, median, values_of
from sepurux_action.evaluation.runs import Decision
from tests.builders import PASSING, RECORDED, a_gate, a_gate_with, a_past_result, a_run, known, run_with, some_results
from tests.evaluation.step import traces

HINT = "Give the job a permission."


def on_main(*rates: float | None, score: float | None = 91.2) -> Base:
    results = (a_past_result(numbers=known(pass_rate=rate, reliability_score=score)) for rate in rates)
    return Base(results=some_results(*results) if rates else (), name="`main`")


def evaluated(*rates: float | None, base: Base) -> GateDecision:
    gate = a_gate_with(max_pass_rate_drop=0.03)
    gate = replace(gate, traces=traces(len(rates)) if len(rates) > 1 else gate.traces)
    runs = (run_with(PASSING, pass_rate=rate) for rate in rates)
    return decide_gate(
        gate, tuple(a_run(each, trace=trace) for trace, each in zip(gate.traces, runs, strict=True)), base
    )


def drops(decided: GateDecision) -> list[Check]:
    return [check for check in decided.checks if check.threshold == DROP]


UNREAD, NOT_REPORTED = None, None
STATES = {
    # the rate now, the rates on main, whether the limit of 3 points is kept
    "no result": (0.5, (), CheckState.NOT_COMPARED),
    "two results": (0.5, (0.95, 0.95), CheckState.NOT_COMPARED),
    "two of three results have the number": (0.5, (0.95, None, 0.95), CheckState.NOT_COMPARED),
    "three, below all": (0.9, (0.95, 0.94, 0.93), CheckState.MISSED),
    "three, the whole limit": (0.92, (0.95, 0.95, 0.95), CheckState.MET),
    "three, more than the limit": (0.91994, (0.95, 0.95, 0.95), CheckState.MISSED),
    "three, more only before it is rounded": (0.91996, (0.95, 0.95, 0.95), CheckState.MET),
    "three, as low as one of them": (0.9, (0.95, 0.95, 0.9), CheckState.WITHIN_RANGE),
    "three, lower than one of them": (0.8999, (0.95, 0.95, 0.9), CheckState.MISSED),
    "four, the lower of the middle two": (0.9, (0.95, 0.93, 0.95, 0.91), CheckState.MET),
    "five, one of them unusually high": (0.93, (1.0, 0.95, 0.95, 0.95, 0.95), CheckState.MET),
    "five, one of them unusually low": (0.9, (0.5, 0.95, 0.95, 0.95, 0.95), CheckState.WITHIN_RANGE),
    "better": (1.0, (0.95, 0.95, 0.95), CheckState.MET),
    "not reported, no one has it": (NOT_REPORTED, (None, None, None), CheckState.NOT_COMPARED),
    "not reported, two have it": (NOT_REPORTED, (0.95, 0.95, None), CheckState.NOT_COMPARED),
    "not reported, all have it": (NOT_REPORTED, (0.95, 0.95, 0.95), CheckState.NOT_REPORTED),
    "main could not be read": (0.95, UNREAD, CheckState.NO_NUMBER),
}

DECISIONS = {
    CheckState.MET: Decision.PASS,
    CheckState.WITHIN_RANGE: Decision.PASS,
    CheckState.NOT_COMPARED: Decision.PASS,
    CheckState.MISSED: Decision.FAIL,
    CheckState.NOT_REPORTED: Decision.ERROR,
    CheckState.NO_NUMBER: Decision.ERROR,
}


@pytest.mark.parametrize("case", STATES)
@pytest.mark.parametrize("backend", [Decision.PASS, Decision.FAIL, Decision.ERROR, Decision.PENDING, Decision.SKIPPED])
def test_a_drop_changes_the_decision_of_a_pass_only(backend: Decision, case: str) -> None:
    rate, rates, state = STATES[case]
    base = Base(results=None, name="`main`", hint=HINT) if rates is None else on_main(*rates)
    gate = a_gate(limits={"max_pass_rate_drop": 0.03})
    run = replace(a_run(run_with(PASSING, pass_rate=rate), trace=RECORDED), decision=backend)
    decided = decide_gate(gate, (run,), base)
    assert [check.state for check in drops(decided)] == [state] * (backend is not Decision.SKIPPED)
    assert decided.decision is (DECISIONS[state] if backend is Decision.PASS else backend)


# -- what the row and the reason say ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "rates", "by", "shown"),
    [
        (0.95, (0.95, 0.95, 0.95), 0.03, ("0", "≤ 3.0", "")),
        (0.94, (0.95, 0.95, 0.95), 0.0, ("1.0", "≤ 0.0", "")),
        (0.9196, (0.95, 0.95, 0.95), 0.03, ("3.04", "≤ 3.00", "")),
        (0.9, (0.95, 0.95, 0.88), 0.03, ("5.0", "≤ 3.0", "within `main`'s range, 88.0% to 95.0%")),
        (None, (0.95,) * 3, 0.03, ("not reported", "≤ 3.0", "")),
    ],
)
def test_a_row_shows_the_change_and_how_far_it_may_go(
    rate: float | None, rates: tuple[float, ...], by: float, shown: tuple[str, str, str]
) -> None:
    run, gate = run_with(PASSING, pass_rate=rate), a_gate_with(max_pass_rate_drop=by)
    found = check_drop(gate, run.numbers, on_main(*rates))
    assert (found.actual, found.required, found.remark) == shown
    assert (found.label, found.limit) == ("Drop of the pass rate", by)


def test_the_number_of_a_gate_of_which_one_trace_reports_none_is_not_compared_and_no_pass() -> None:
    decided = evaluated(0.95, None, base=on_main(0.95, 0.95, 0.95))
    [found] = drops(decided)
    assert (found.state, found.reported_by) == (CheckState.NOT_REPORTED, "1 of 2 traces")
    assert decided.decision is Decision.ERROR
    assert evaluated(0.95, None, base=on_main()).decision is Decision.PASS


# -- what a gate is compared with -------------------------------------------------------------------------------------


def of_main(*numbers: dict[str, float]) -> Results:
    return some_results(*(a_past_result(numbers=each) for each in numbers))


def test_of_two_counts_in_the_middle_the_higher_is_the_median() -> None:
    base = of_main(*({"unsafe_attempts": number, "failures": 10 * number} for number in (0.0, 3.0, 1.0, 7.0)))
    assert (median(base, UNSAFE_ATTEMPTS), median(base, FAILURES)) == (3, 30)


LIMITS = {"min_pass_rate": 0.8, "max_unsafe": 0, "max_failures": 2, "min_scenarios": 20, "min_scenario_pass_rate": 0.2}


@pytest.mark.parametrize(
    ("numbers", "counts"),
    [
        ({"pass_rate": 0.8, "unsafe_attempts": 0, "failures": 2, "scenarios": 20}, True),
        ({"pass_rate": 0.7999}, False),
        ({"pass_rate": 0.9, "failures": 3}, False),
        ({"pass_rate": 0.9, "scenarios": 19}, False),
        ({"reliability_score": 50}, True),
        ({}, False),
    ],
)
def test_a_gate_is_compared_with_results_that_meet_its_thresholds_apart_from_drops(
    numbers: dict[str, float], *, counts: bool
) -> None:
    gate = a_gate(limits={**LIMITS, "max_pass_rate_drop": 0.01})
    for decision in (Decision.PASS, Decision.FAIL):  # one may have passed with a lower minimum
        base = some_results(a_past_result(decision=decision, numbers=numbers), a_past_result())
        assert comparable(base, gate) == base[not counts :]


def test_a_gate_is_compared_with_the_newest_five_results_that_count() -> None:
    every = of_main(*({"pass_rate": rate} for rate in (0.91, 0.5, 0.92, 0.93, 0.94, 0.95, 0.96)))
    base = comparable(every, a_gate(limits={"min_pass_rate": 0.9}))
    assert values_of(base, PASS_RATE) == (0.91, 0.92, 0.93, 0.94, 0.95)
