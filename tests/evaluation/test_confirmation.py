"""Two evaluations of a gate: when the second one starts, and what both decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.evaluation.confirmation import can_be_noise, confirm, too_late
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.drops import Base, Baseline
from sepurux_action.evaluation.gate_decision import decide_gate
from sepurux_action.evaluation.metrics import METRICS, PASS_RATE
from sepurux_action.evaluation.result import Evaluated
from sepurux_action.evaluation.runs import Runs
from tests.builders import (
    OF_CAMPAIGN,
    PASSING,
    a_baseline,
    a_gate_with,
    a_past_result,
    a_run,
    known,
    run_with,
    undecided,
)


def of_campaign(**limits: Any) -> Gate:  # noqa: ANN401 - of any threshold
    return replace(a_gate_with(**limits), traces=(OF_CAMPAIGN,))


NO_BASE = Base(baseline=Baseline(), branch="main")
RATE = of_campaign(min_pass_rate=0.85, max_unsafe=0)
SCORE = of_campaign(min_pass_rate=0.85, min_reliability_score=80)
TRACES = tuple(Trace(label=f"{n}.json", content=b"{}", task=f"task {n}") for n in range(2))
RATES, SCORES = replace(RATE, traces=TRACES), replace(SCORE, traces=TRACES)
LOWEST = replace(a_gate_with(min_pass_rate=0.5, min_scenario_pass_rate=0.6), traces=TRACES)
DROP = of_campaign(min_pass_rate=0.5, max_pass_rate_drop=0.03)
ON_MAIN = Base(baseline=a_baseline(*(a_past_result(numbers=known(pass_rate=0.95)) for _ in range(5))), branch="main")
CATEGORIES = a_gate_with(min_pass_rate=0.85, required_mutation_categories=("timeouts",))


def runs_of(*rates: float | None, **numbers: Any) -> Runs:  # noqa: ANN401 - of any metric
    each = (run_with(PASSING, pass_rate=Reading() if rate is None else rate, **numbers) for rate in rates)
    return tuple(a_run(changed, trace=f"{n}.json", run_id=f"r-{n}") for n, changed in enumerate(each))


def confirmed(gate: Gate, first: Runs, second: Runs, base: Base = NO_BASE) -> Evaluated:
    decided = decide_gate(gate, first, base)
    assert can_be_noise(decided)
    return confirm(gate, decided, second, base)


ERROR = undecided(Decision.ERROR, "Sepurux could not be reached.")
STARTS = {
    "a rate, and Sepurux decided fail": (RATE, runs_of(0.84, decision="fail"), True),
    "the mean rate of two traces": (RATES, runs_of(0.78, 0.9), True),
    "a score": (SCORE, runs_of(0.9, reliability_score=79.0), True),
    "a drop": (DROP, runs_of(0.9), True),
    "nothing, and Sepurux decided fail": (RATE, runs_of(0.9, decision="fail"), False),
    "a rate and an unsafe attempt": (RATE, runs_of(0.84, unsafe_attempts=1), False),
    "a rate and a category": (CATEGORIES, runs_of(0.84, mutation_categories=("drift",)), False),
    "a rate, and a trace has no result": (RATES, (*runs_of(0.84), ERROR), False),
    "a rate of one scenario": (LOWEST, runs_of(0.5, 0.9), True),
    "a rate, and the number of scenarios is not known": (RATE, runs_of(0.84, scenarios=Reading()), False),
    "a rate, and there are too few traces": (a_gate_with(min_pass_rate=0.85, min_scenarios=2), runs_of(0.84), False),
}


@pytest.mark.parametrize("case", STARTS)
def test_a_second_evaluation_starts_only_if_nothing_but_rates_and_scores_were_missed(case: str) -> None:
    gate, runs, wanted = STARTS[case]
    assert can_be_noise(decide_gate(gate, runs, ON_MAIN if gate is DROP else NO_BASE)) is wanted


RESULTS = {
    # the gate, the second evaluation after one of 84% (a score of 78, 90% where the base has 95%), the decision
    "both together reach it": (RATE, runs_of(0.86), Decision.PASS),
    "both together miss it": (RATE, runs_of(0.8599), Decision.FAIL),
    "two traces reach it together": (RATES, runs_of(1.0, 0.76), Decision.PASS),
    "the mean of each scenario reaches it": (LOWEST, runs_of(0.7, 0.8), Decision.PASS),
    "the mean of one scenario misses it": (LOWEST, runs_of(0.69, 0.8), Decision.FAIL),
    "the second does not know it": (LOWEST, runs_of(0.9, None), Decision.FAIL),
    "there are other scenarios": (RATE, runs_of(1.0, scenarios=39), Decision.FAIL),
    "the scenarios are not counted": (RATE, runs_of(1.0, scenarios=Reading()), Decision.FAIL),
    "one of two traces has no decision": (RATES, (*runs_of(1.0), ERROR), Decision.FAIL),
    "the score reaches it": (SCORE, runs_of(0.9, reliability_score=82.0), Decision.PASS),
    "only one names its categories": (CATEGORIES, runs_of(1.0, mutation_categories=None), Decision.FAIL),
    "only one has a score": (SCORE, runs_of(0.9, reliability_score=Reading()), Decision.FAIL),
    "only one has the score of each trace": (SCORES, runs_of(0.9, 0.9, reliability_score=95.0), Decision.FAIL),
    "the drop is small enough": (DROP, runs_of(0.94), Decision.PASS),
    "only one has the number of a drop": (DROP, runs_of(None), Decision.FAIL),
}
FIRST = {
    id(RATE): runs_of(0.84),
    id(RATES): runs_of(0.78, 0.9),
    id(CATEGORIES): runs_of(0.84),
    id(SCORE): runs_of(0.9, reliability_score=78.0),
    id(DROP): runs_of(0.9),
    id(SCORES): runs_of(0.84, reliability_score=78.0) + runs_of(0.84, 0.84, reliability_score=Reading())[1:],
    id(LOWEST): runs_of(0.5, 0.9),
}


@pytest.mark.parametrize("case", RESULTS)
def test_what_two_evaluations_decide(case: str) -> None:
    gate, second, wanted = RESULTS[case]
    assert confirmed(gate, FIRST[id(gate)], second, ON_MAIN if gate is DROP else NO_BASE).decision is wanted


def test_the_numbers_are_the_mean_of_rates_and_scores_and_the_worst_count() -> None:
    first = runs_of(0.8, 0.84, failures=4, unsafe_attempts=0, reliability_score=70.0)
    second = runs_of(0.9, 0.88, failures=2, unsafe_attempts=0, reliability_score=81.0)
    found = confirmed(RATES, first, second)
    shown = {metric.name: found.numbers.value(metric) for metric in METRICS}
    assert (shown["pass_rate"], shown["reliability_score"], shown["failures"]) == (0.855, 75.5, 8)
    assert (shown["lowest_scenario"], found.decision) == (0.85, Decision.PASS)
    assert [run.run_id for run in found.runs] == ["r-0", "r-1"]


def test_without_a_second_decision_the_numbers_are_those_of_the_first() -> None:
    found = confirmed(RATE, runs_of(0.84), (ERROR,))
    assert found.numbers.value(PASS_RATE) == 0.84
    assert found.confirmation == (
        "A second evaluation, because the first result missed only a rate, has no result, so the first one counts: "
        "Sepurux could not be reached."
    )


@pytest.mark.parametrize(
    ("gate", "second", "sentence"),
    [
        (RATE, runs_of(0.9, decision="fail"), "84.0% and 90.0% passed, 87.0% on average; the second evaluation "),
        (SCORE, runs_of(0.7, reliability_score=90.0), "score 78.0 and 90.0, 84.0 on average; pass rate 80.0% "),
        (DROP, runs_of(0.92), "90.0% and 92.0% passed, 91.0% on average; pass rate 91.0% is 4.0 points below "),
        (SCORE, runs_of(0.9, reliability_score=Reading()), "only one evaluation reported the reliability score."),
    ],
)
def test_the_reason_has_both_numbers_and_their_mean(gate: Gate, second: Runs, sentence: str) -> None:
    found = confirmed(gate, FIRST[id(gate)], second, ON_MAIN if gate is DROP else NO_BASE)
    kind = "a score" if gate is SCORE else "a rate"
    assert found.confirmation.startswith(f"Evaluated twice, because the first result missed only {kind}: {sentence}")
    assert found.reason == found.confirmation


def test_too_little_time_is_said_with_what_to_change() -> None:
    assert too_late(300, 300) == ""
    assert too_late(300, 299) == (
        "`confirm` started no second evaluation: the first one took 5 min, and 4 min 59 s of the timeout were left. "
        "Raise {timeout}."
    )
