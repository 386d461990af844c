"""What the decision on a gate says about its runs, what flaky scenarios and noise change; see also tests/worlds."""

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.settings import ALL_SCENARIOS, Gate, Trace
from sepurux_action.evaluation import api, metrics
from sepurux_action.evaluation.decision import GateDecision, decide_gate
from sepurux_action.evaluation.gate_numbers import DROP, Base, CheckState, check_drop, scenarios_of
from sepurux_action.evaluation.metrics import FAILURES, MUTATION_CATEGORIES, PASS_RATE, SCENARIOS, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.results import Results, comparable, median, published_numbers, values_of
from sepurux_action.evaluation.runs import Decision, Failure, Rule, Run, decide, merge_failures
from tests.builders import NO_BASE, PASSING, RECORDED, a_gate, a_past_result, a_poll, known, run_with, some_results
from tests.builders import a_run as a_decided_run
from tests.evaluation.step import NUMBERS as ENOUGH
from tests.evaluation.step import after, evaluate, http
from tests.fakes import CAMPAIGN, FakeEngine, backend

STOPPED = Run(decision=Decision.ERROR, rule=Rule.EVALUATION_FAILED, reason="It failed.")
STATES = {
    # the rate now, the rates on main, whether the limit of 3 points is kept
    "two of three results have the number": (0.5, (0.95, None, 0.95), CheckState.NOT_COMPARED),
    "three, the whole limit": (0.92, (0.95, 0.95, 0.95), CheckState.MET),
    "three, more than the limit": (0.91994, (0.95, 0.95, 0.95), CheckState.MISSED),
    "three, more only before it is rounded": (0.91996, (0.95, 0.95, 0.95), CheckState.MET),
    "three, as low as one of them": (0.9, (0.95, 0.95, 0.9), CheckState.WITHIN_RANGE),
    "four, the lower of the middle two": (0.9, (0.95, 0.93, 0.95, 0.91), CheckState.MET),
    "not reported, two have it": (None, (0.95, 0.95, None), CheckState.NOT_COMPARED),
    "not reported, all have it": (None, (0.95, 0.95, 0.95), CheckState.NOT_REPORTED),
    "main could not be read": (0.95, None, CheckState.NO_NUMBER),
}
DECISIONS = {
    **dict.fromkeys((CheckState.MET, CheckState.WITHIN_RANGE, CheckState.NOT_COMPARED), Decision.PASS),
    **dict.fromkeys((CheckState.NOT_REPORTED, CheckState.NO_NUMBER), Decision.ERROR),
    CheckState.MISSED: Decision.FAIL,
}
LIMITS = {"min_pass_rate": 0.8, "max_unsafe": 0, "max_failures": 2, "min_scenarios": 20, "min_scenario_pass_rate": 0.2}


def of_tasks(*tasks: str, **limits: float) -> Gate:
    traces = (Trace(label=f"{n}.json", content=b"{}", task=task) for n, task in enumerate(tasks))
    return Gate(name="", campaign=CAMPAIGN, limits=limits, traces=tuple(traces))


def a_run(rate: float | None = None, unsafe: float | None = 0, decision: str = "pass", **numbers: Any) -> Run:  # noqa: ANN401
    read = {**known(pass_rate=rate, unsafe_attempts=unsafe), "failures": 0.0, **numbers}
    return a_poll(sepurux_decision=decision, status="done", **read)


def decided(gate: Gate, *runs: Run, **limits: float) -> GateDecision:
    results = (
        replace(run if run.reason else decide(run), trace=trace) for trace, run in zip(gate.traces, runs, strict=True)
    )
    return decide_gate(replace(gate, limits={**gate.limits, **limits}), tuple(results), NO_BASE)


def test_a_number_that_some_runs_do_not_report_is_no_number_of_the_gate() -> None:
    gate = of_tasks("a", "b", "c")
    found = decided(gate, a_run(0.5, 2), a_run(None, 1), a_run(1.0, None))
    assert PASS_RATE.reading(found.numbers) == Reading(reported_by="2 of 3 traces", so_far=0.75)
    assert UNSAFE_ATTEMPTS.reading(found.numbers) == Reading(reported_by="2 of 3 traces", so_far=3)
    assert [found.value(each) for each in (PASS_RATE, UNSAFE_ATTEMPTS)] == [None, None]
    why = "3 unsafe, 2 allowed (in 2 of 3 traces)"
    exceeded = decided(gate, a_run(0.5, 2), a_run(None, 1), a_run(1.0, None), max_unsafe=2)
    assert (exceeded.decision, exceeded.reason) == (Decision.FAIL, f"Sepurux reported a pass, but {why}.")
    limited = decided(gate, a_run(0.5, 2), a_run(None, 1), a_run(1.0, None), max_unsafe=3, min_scenario_pass_rate=0.6)
    states = {each.threshold: each.state for each in limited.checks}
    assert states == {"max_unsafe": CheckState.NOT_REPORTED, "min_scenario_pass_rate": CheckState.MISSED}
    one = scenarios_of(of_tasks("a", "a"), (a_run(1.0), a_run(None)))[0]
    assert (one.rate, one.numbers[PASS_RATE.name].value, one.value(FAILURES)) == (None, None, 0)
    assert published_numbers(found.numbers, gate) == {"failures": 0, "scenarios": 3}
    assert found.worst.trace.label == "0.json"


@pytest.mark.parametrize("metric", [each for each in metrics.METRICS if each.threshold], ids=lambda each: each.name)
def test_of_one_run_only_a_score_and_categories_may_be_missing(metric: metrics.Metric) -> None:
    found = decided(of_tasks("a"), Run(sepurux_decision="pass", status="done"), **{metric.threshold: 1})
    passes = {metrics.RELIABILITY_SCORE, MUTATION_CATEGORIES, SCENARIOS}  # a trace is one scenario
    assert found.decision is (Decision.PASS if metric in passes else Decision.ERROR)


@pytest.mark.parametrize(
    ("gate", "runs", "named", "worst"),
    [
        (of_tasks(*"abcdd", min_pass_rate=0.9), [*map(a_run, (0.8, 0.5, 1.0, 0.4, 0.8))], "", 3),
        (of_tasks(*"abc", min_scenario_pass_rate=0.6), [*map(a_run, (0.5, 0.2, 1.0))], "b", 1),
        *((of_tasks(*"abbcde"), [STOPPED] * 6, "", 0), (of_tasks(*"abbcde"), [a_run(1), *[STOPPED] * 5], "bcd", 1)),
    ],
)
def test_a_reason_names_the_scenarios_that_decide(gate: Gate, runs: list[Run], named: str, worst: int) -> None:
    found = decided(gate, *runs)
    assert "".join(re.findall('"(.)"', found.reason)) == named
    assert found.worst.trace.label == f"{worst}.json"


@pytest.mark.parametrize(
    ("limits", "decision", "reason"),
    [
        ({}, Decision.ERROR, "Sepurux reported a pass of nothing."),
        ({"min_scenarios": 1}, Decision.FAIL, "Sepurux reported a pass, but 0 scenarios, 1 needed."),
    ],
)
def test_a_pass_of_no_scenario_is_no_pass(limits: dict[str, float], decision: Decision, reason: str) -> None:
    nothing = replace(a_run(1.0), numbers={**a_run(1.0).numbers, SCENARIOS.name: Reading(0)})
    found = decided(replace(of_tasks("a"), traces=ALL_SCENARIOS), nothing, **limits)
    assert (found.decision, found.reason) == (decision, reason)


def test_a_score_that_is_not_shown_for_several_traces_needs_an_api_key() -> None:
    found = decided(of_tasks("a", "b", min_reliability_score=80), a_run(1, reliability_score=90.0), a_run(1))
    assert (found.decision, "{api_key}" in found.hint) == (Decision.ERROR, True)


TODAY = date(2027, 1, 31)
GATE = of_tasks("refund", "cancel", min_pass_rate=0.9, max_unsafe=0)
GATE = replace(GATE, traces=(GATE.traces[0], replace(GATE.traces[1], flaky=TODAY)), flaky=(("cancel", TODAY),))
SOUND = a_run(0.95)


def test_numbers_links_and_failures_are_those_of_the_scenarios_that_are_not_flaky() -> None:
    flaky = a_run(0.1, 1, "fail", failures=9.0, categories=("b",))
    found = decided(GATE, replace(SOUND, categories=("a",)), flaky, max_unsafe=1, min_scenario_pass_rate=0.5)
    assert [found.value(each) for each in (PASS_RATE, UNSAFE_ATTEMPTS, FAILURES, SCENARIOS)] == [0.95, 1, 0, 2]
    assert (found.categories, found.value(MUTATION_CATEGORIES)) == (("a",), None)
    assert found.worst is found.runs[0]
    assert not any(each.failed or each.low for each in scenarios_of(found.gate, found.runs))
    assert "cancel" not in decided(GATE, a_run(0.5), flaky, max_unsafe=1).reason
    sound, ignored = Failure(severity="low"), Failure(severity="critical", flaky=True)
    assert merge_failures([ignored, sound]) == (sound, ignored)


def test_after_its_last_day_a_flaky_scenario_counts_and_a_remark_says_so() -> None:
    gate = replace(GATE, flaky=(("cancel", TODAY), ("gone", TODAY)))
    assert len([*gate.remarks_on_flaky(TODAY)]) == 1  # on what it does not have
    assert len([*gate.remarks_on_flaky(TODAY + timedelta(days=1))]) == 2


def test_the_run_of_a_flaky_scenario_is_started_for_its_unsafe_attempts_only() -> None:
    gate = replace(GATE, limits={"min_pass_rate": 0.9, "max_unsafe": 0, "max_failures": 3})
    for traces, flaky in ((gate.traces, 1), (gate.traces[1:], 0)):
        calls = FakeEngine(backend(after(0, api.Reply(payload=ENOUGH))))
        evaluate(calls, replace(gate, traces=traces))
        bodies = [json.loads(call.body or b"") for _, call in calls.calls if call.path == "/v1/ci/runs"]
        sent = [body["thresholds"] for body in bodies]
        assert sent.pop(flaky) == {"min_pass_rate": 0, "max_unsafe": 0}
        assert sent == [{"min_pass_rate": 0, "max_unsafe": 0, "max_failures": 3}] * flaky


def test_the_score_of_a_flaky_scenario_is_asked_for_once_and_its_failures_are_marked() -> None:
    calls = FakeEngine(backend(after(0, api.Reply(payload=ENOUGH)), reliability=http(503)))
    evaluate(calls, replace(GATE, limits={"min_reliability_score": 80}))
    asked = Counter(call.query for _, call in calls.calls if call.path.endswith("/reliability"))
    assert min(asked.values()) == 1 < max(asked.values())
    failed = backend(
        after(0, api.Reply(payload={**ENOUGH, "decision": "fail"})), failures=api.Reply(payload=[{"type": "loop"}])
    )
    [found] = evaluate(FakeEngine(failed), replace(GATE, traces=GATE.traces[::-1]))
    scenarios = [(each.flaky, [one.flaky for one in each.failures]) for each in found.scenarios]
    assert scenarios == [(None, [False]), (TODAY, [True])]


def on_main(*rates: float | None, score: float | None = 91.2) -> Base:
    results = (a_past_result(numbers=known(pass_rate=rate, reliability_score=score)) for rate in rates)
    return Base(results=some_results(*results) if rates else (), name="`main`")


@pytest.mark.parametrize("case", STATES)
def test_a_drop_changes_the_decision_of_a_pass_only(case: str) -> None:
    rate, rates, state = STATES[case]
    base = Base(results=None, name="`main`") if rates is None else on_main(*rates)
    gate = a_gate(limits={"max_pass_rate_drop": 0.03})
    passed = a_decided_run(run_with(PASSING, pass_rate=rate), trace=RECORDED)
    for before in Decision:
        decided = decide_gate(gate, (replace(passed, decision=before),), base)
        shown = [] if before is Decision.SKIPPED else [state]
        assert [check.state for check in decided.checks if check.threshold == DROP] == shown
        assert decided.decision is (DECISIONS[state] if before is Decision.PASS else before)


@pytest.mark.parametrize(("results", "state"), [(2, CheckState.NOT_COMPARED), (3, CheckState.NOT_REPORTED)])
def test_a_pass_rate_that_is_not_sensible_matters_to_a_drop_that_can_be_compared(
    results: int, state: CheckState
) -> None:
    base = Base(results=of_main(*[{"pass_rate": 0.9}] * results))
    numbers = {PASS_RATE.name: Reading(broken="no number")}
    assert check_drop(of_tasks("a", max_pass_rate_drop=0.1), numbers, base).state is state


def of_main(*numbers: dict[str, float]) -> Results:
    return some_results(*(a_past_result(numbers=each) for each in numbers))


def test_of_two_counts_in_the_middle_the_higher_is_the_median() -> None:
    base = of_main(*({"unsafe_attempts": number, "failures": 10 * number} for number in (0.0, 3.0, 1.0, 7.0)))
    assert (median(base, UNSAFE_ATTEMPTS), median(base, FAILURES)) == (3, 30)


@pytest.mark.parametrize(
    ("numbers", "counts"),
    [
        ({"pass_rate": 0.8, "unsafe_attempts": 0, "failures": 2, "scenarios": 20}, True),
        *(({"reliability_score": 50}, True), ({}, False), ({"pass_rate": 0.7999}, False)),
        *(({"pass_rate": 0.9, "failures": 3}, False), ({"pass_rate": 0.9, "scenarios": 19}, False)),
    ],
)
def test_a_gate_is_compared_with_results_that_meet_its_thresholds(numbers: dict[str, float], *, counts: bool) -> None:
    gate = a_gate(limits={**LIMITS, "max_pass_rate_drop": 0.01})
    for decision in (Decision.PASS, Decision.FAIL):  # one may have passed with a lower minimum
        base = some_results(a_past_result(decision=decision, numbers=numbers), a_past_result())
        assert comparable(base, gate) == base[not counts :]


def test_a_gate_is_compared_with_the_newest_five_results_that_count() -> None:
    every = of_main(*({"pass_rate": rate} for rate in (0.91, 0.5, 0.92, 0.93, 0.94, 0.95, 0.96)))
    base = comparable(every, a_gate(limits={"min_pass_rate": 0.9}))
    assert values_of(base, PASS_RATE) == (0.91, 0.92, 0.93, 0.94, 0.95)
