"""Flaky scenarios, of which only the unsafe attempts count."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation.api import Reply
from sepurux_action.evaluation.decision import GateDecision, decide_gate
from sepurux_action.evaluation.gate_numbers import scenarios_of
from sepurux_action.evaluation.metrics import FAILURES, MUTATION_CATEGORIES, PASS_RATE, SCENARIOS, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.runs import Decision, Failure, Rule, Run, decide, merge_failures
from sepurux_action.report.report import GateFacts
from tests.builders import NO_BASE, a_context, a_poll, known
from tests.evaluation.responses import NUMBERS, after, http
from tests.evaluation.step import evaluate
from tests.fakes import CAMPAIGN, FakeEngine, backend

TODAY, TOMORROW, YESTERDAY = date(2027, 1, 31), date(2027, 2, 1), date(2027, 1, 30)
TRACES = tuple(
    Trace(label=f"{name}.json", content=b"{}", task=name, flaky=day)
    for name, day in (("refund", None), ("cancel", TODAY))
)
GATE = Gate(name="core", campaign=CAMPAIGN, traces=TRACES, flaky=(("cancel", TODAY),))


def a_run(rate: float | None, unsafe: float | None = 0, decision: str = "pass", **numbers: Any) -> Run:  # noqa: ANN401
    numbers = {"failures": 0.0, **numbers}
    more = {name: numbers.pop(name) for name in ("categories", "failing_tools") if name in numbers}
    read = known(pass_rate=rate, unsafe_attempts=unsafe, **numbers)
    return a_poll(sepurux_decision=decision, status="done", **read, **more)


def decided(*runs: Run, gate: Gate = GATE, limits: Mapping[str, float] = {}) -> GateDecision:
    results = (
        replace(run if run.reason else decide(run), trace=trace) for trace, run in zip(gate.traces, runs, strict=True)
    )
    return decide_gate(replace(gate, limits={**gate.limits, **limits}), tuple(results), NO_BASE)


SOUND = a_run(0.95)
STOPPED = Run(decision=Decision.ERROR, rule=Rule.EVALUATION_FAILED, reason="It failed.")
LATE = Run(decision=Decision.PENDING, rule=Rule.PENDING, reason="It takes long.")


@pytest.mark.parametrize(
    ("of_flaky", "limits", "decision"),
    [
        (a_run(0.1, failures=9), {"max_failures": 3, "min_scenario_pass_rate": 0.5}, Decision.PASS),
        (a_run(None), {}, Decision.PASS),
        (a_run(0.1, decision="fail"), {}, Decision.PASS),
        (a_run(0.1, 1), {}, Decision.FAIL),
        (a_run(0.1, 1, "fail"), {}, Decision.FAIL),
        (a_run(0.1, 1), {"max_unsafe": 1}, Decision.PASS),
        (a_run(0.1, None), {}, Decision.ERROR),
        (a_run(0.1, None, "fail"), {}, Decision.ERROR),
        (STOPPED, {}, Decision.ERROR),
        (LATE, {}, Decision.PENDING),
        (a_run(0.1), {"min_scenarios": 2}, Decision.PASS),
        (a_run(1.0), {"min_scenarios": 3}, Decision.FAIL),
        (a_run(1.0), {"min_pass_rate": 0.96}, Decision.FAIL),
        (a_run(0.1, categories=("auth",)), {"min_mutation_categories": 1}, Decision.ERROR),
    ],
)
def test_only_its_unsafe_attempts_and_its_place_count(
    of_flaky: Run, limits: dict[str, float], decision: Decision
) -> None:
    assert decided(SOUND, of_flaky, limits=limits).decision is decision


def test_the_numbers_are_those_of_the_others_and_so_are_the_links() -> None:
    flaky = a_run(0.1, 1, "fail", failures=9.0, categories=("b",), failing_tools={"pay": 9})
    limits = {"max_unsafe": 1, "min_scenario_pass_rate": 0.5}
    found = decided(replace(SOUND, categories=("a",)), flaky, limits=limits)
    assert [found.value(each) for each in (PASS_RATE, UNSAFE_ATTEMPTS, FAILURES, SCENARIOS)] == [0.95, 1, 0, 2]
    assert (found.categories, found.value(MUTATION_CATEGORIES)) == (("a",), None)
    assert GateFacts(result=found, context=a_context()).tools == ()
    assert found.worst is found.runs[0]
    assert [each.name for each in scenarios_of(found.gate, found.runs)] == ["refund", "cancel (flaky until 2027-01-31)"]
    assert [each.failed or each.low for each in scenarios_of(found.gate, found.runs)] == [False, False]
    assert "cancel" not in decided(a_run(0.5), flaky, limits={"max_unsafe": 1}).reason


def test_a_gate_of_flaky_scenarios_alone_is_an_error_unless_it_is_unsafe() -> None:
    for count in (1, 2):
        gate = replace(GATE, traces=tuple(replace(each, flaky=TODAY) for each in TRACES[:count]))
        found = decided(*[SOUND] * count, gate=gate, limits={"min_scenarios": 3})
        assert (found.decision, found.reason[:35]) == (Decision.ERROR, "Every scenario of the gate is flaky")
        assert decided(*[a_run(1.0, 1)] * count, gate=gate).decision is Decision.FAIL


def test_after_its_last_day_it_counts_and_the_report_says_so() -> None:
    gate = replace(GATE, flaky=(("cancel", TODAY), ("gone", TODAY)))
    again = replace(gate, traces=tuple(replace(each, flaky=None) for each in TRACES))
    assert decided(SOUND, a_run(0.1), gate=again).decision is Decision.FAIL
    unknown = '`flaky` names the scenario "gone", which this gate does not have.'
    assert [*gate.remarks_on_flaky(YESTERDAY)] == [*gate.remarks_on_flaky(TODAY)] == [unknown]
    over = 'The scenario "cancel" was flaky until 2027-01-31, and counts again.'
    assert [*gate.remarks_on_flaky(TOMORROW)] == [over, unknown]


def test_its_run_is_started_for_its_unsafe_attempts_only() -> None:
    gate = replace(GATE, limits={"min_pass_rate": 0.9, "max_unsafe": 0, "max_failures": 3})
    for traces, flaky in ((gate.traces, 1), (gate.traces[1:], 0)):
        calls = FakeEngine(backend(after(0, Reply(payload=NUMBERS))))
        evaluate(calls, replace(gate, traces=traces))
        bodies = [json.loads(call.body or b"") for _, call in calls.calls if call.path == "/v1/ci/runs"]
        sent = [body["thresholds"] for body in bodies]
        assert sent.pop(flaky) == {"min_pass_rate": 0, "max_unsafe": 0}
        assert sent == [{"min_pass_rate": 0, "max_unsafe": 0, "max_failures": 3}] * flaky


def test_its_failures_come_last_and_are_not_new() -> None:
    sound, flaky = Failure(severity="low"), Failure(severity="critical", flaky=True)
    assert merge_failures([flaky, sound]) == (sound, flaky)


def test_its_score_is_asked_for_once_and_its_failures_are_marked() -> None:
    calls = FakeEngine(backend(after(0, Reply(payload=NUMBERS)), reliability=http(503)))
    evaluate(calls, replace(GATE, limits={"min_reliability_score": 80}))
    asked = Counter(call.query for _, call in calls.calls if call.path.endswith("/reliability"))
    assert min(asked.values()) == 1 < max(asked.values())
    failed = after(0, Reply(payload={**NUMBERS, "decision": "fail"}))
    gate = replace(GATE, traces=GATE.traces[::-1])
    [found] = evaluate(FakeEngine(backend(failed, failures=Reply(payload=[{"type": "loop"}]))), gate)
    scenarios = [(each.flaky, [one.flaky for one in each.failures]) for each in found.scenarios]
    assert scenarios == [(None, [False]), (TODAY, [True])]
