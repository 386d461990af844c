"""What noise alone does not decide: how far a number may lie below the base branch."""

from dataclasses import replace

import pytest

from sepurux_action.evaluation.checks import Check
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.drops import DROP, Base, Baseline, check_drop
from sepurux_action.evaluation.gate_decision import GateDecision, decide_gate
from sepurux_action.evaluation.metrics import FAILURES, PASS_RATE, RELIABILITY_SCORE, UNSAFE_ATTEMPTS
from tests.builders import PASSING, a_baseline, a_gate, a_gate_with, a_past_result, a_run, known, run_with
from tests.evaluation.step import traces


def on_main(*rates: float | None, score: float | None = 91.2) -> Base:
    results = (a_past_result(numbers=known(pass_rate=rate, reliability_score=score)) for rate in rates)
    return Base(baseline=a_baseline(*results) if rates else Baseline(), name="`main`")


def evaluated(*rates: float | None, base: Base) -> GateDecision:
    gate = a_gate_with(max_pass_rate_drop=0.03)
    gate = replace(gate, traces=traces(len(rates)) if len(rates) > 1 else gate.traces)
    runs = (run_with(PASSING, pass_rate=rate) for rate in rates)
    return decide_gate(gate, tuple(a_run(each, trace=f"{n}") for n, each in enumerate(runs)), base)


def drops(decided: GateDecision) -> list[Check]:
    return [check for check in decided.checks if check.threshold == DROP]


# -- what the row and the reason say ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "rates", "by", "shown"),
    [
        (0.95, (0.95, 0.95, 0.95), 0.03, ("0", "≤ 3.0", "")),
        (0.94, (0.95, 0.95, 0.95), 0.0, ("1.0", "≤ 0.0", "")),
        (0.9196, (0.95, 0.95, 0.95), 0.03, ("3.04", "≤ 3.00", "")),
        (0.9, (0.95, 0.95, 0.88), 0.03, ("5.0", "≤ 3.0", "within `main`'s range, 88.0% to 95.0%")),
        (0.908, (), 0.03, ("–", "≤ 3.0", "not compared yet: 0 of 3 results on `main`")),
        (None, (0.95,) * 3, 0.03, ("not reported", "≤ 3.0", "")),
    ],
)
def test_a_row_shows_the_change_and_how_far_it_may_go(
    rate: float | None, rates: tuple[float, ...], by: float, shown: tuple[str, str, str]
) -> None:
    run, gate = run_with(PASSING, pass_rate=rate), a_gate_with(max_pass_rate_drop=by)
    [found] = check_drop(run, gate, on_main(*rates))
    assert (found.actual, found.required, found.remark) == shown
    assert (found.label, found.limit) == ("Drop of the pass rate", by)


NOT_COMPARED = (
    "50.0% passed, 0 unsafe attempts, 1 failure; a drop of the pass rate is not compared yet: 1 of 3 results on"
)


@pytest.mark.parametrize(
    ("rate", "base", "reason"),
    [
        (0.5, on_main(0.95), f"{NOT_COMPARED} `main`."),
        (0.5, replace(on_main(0.95), name="this branch"), f"{NOT_COMPARED} this branch."),
    ],
)
def test_the_reason_names_numbers_limit_and_base(rate: float, base: Base, reason: str) -> None:
    assert evaluated(rate, base=base).reason == reason


# -- what a gate is compared with -------------------------------------------------------------------------------------


def of_main(*numbers: dict[str, float]) -> Baseline:
    return a_baseline(*(a_past_result(numbers=each) for each in numbers))


def test_of_two_counts_in_the_middle_the_higher_is_the_median() -> None:
    base = of_main(*({"unsafe_attempts": number, "failures": 10 * number} for number in (0.0, 3.0, 1.0, 7.0)))
    assert (base.median(UNSAFE_ATTEMPTS), base.median(FAILURES)) == (3, 30)


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
        base = a_baseline(a_past_result(decision=decision, numbers=numbers), a_past_result())
        assert base.for_gate(gate).results == base.results[not counts :]


def test_a_difference_has_no_error_of_floating_point_numbers() -> None:
    base = of_main({"reliability_score": 91.2})
    assert (base.difference(RELIABILITY_SCORE, 61.5), base.difference(RELIABILITY_SCORE, None)) == (-29.7, None)
    assert base.difference(PASS_RATE, 0.9) is None
