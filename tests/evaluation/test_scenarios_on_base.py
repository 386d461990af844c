"""What the base's results say about a scenario, compared with a count by brute force."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.evaluation.base_results import (
    BaseResult,
    BaseScenario,
    FailureKey,
    OnBase,
    ScenarioOnBase,
    scenarios_on_base,
)
from sepurux_action.evaluation.decision import Decision

KEYS = tuple(FailureKey(type=name) for name in ("unsafe_action", "loop", "incomplete"))
keys = st.sets(st.sampled_from(KEYS))
a_scenario = st.builds(
    BaseScenario,
    name=st.sampled_from(["refund", "cancel"]),
    recordings=st.integers(1, 3),
    pass_rate=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    complete=st.sampled_from([True, True, True, False]),
    failures=keys.map(tuple),
)
some_scenarios = st.lists(a_scenario, unique_by=lambda each: each.name)


def a_result(*scenarios: BaseScenario) -> BaseResult:
    return BaseResult(gate="g", campaign="c", time=1, decision=Decision.FAIL, scenarios=scenarios)


@given(st.lists(some_scenarios, max_size=5), keys, st.integers(1, 3))
def test_new_known_and_fixed_are_disjoint_and_equal_a_count_by_hand(
    results: list[list[BaseScenario]], failures: set[FailureKey], recordings: int
) -> None:
    compared = scenarios_on_base(tuple(a_result(*each) for each in results))
    for name in ("refund", "cancel"):
        having = [each for result in results for each in result if each.name == name and each.complete]
        scenario = compared.get(name, ScenarioOnBase())
        count = {key: sum(key in each.failures for each in having) for key in KEYS}
        marks = {each: OnBase(count[each], len(having)) if having else None for each in failures}
        assert {each: scenario.compare(each) for each in failures} == marks
        comparable = len(having) >= 3 and all(recordings >= each.recordings for each in having)
        fixed = {key for key in KEYS if comparable and 2 * count[key] > len(having) and key not in failures}
        assert scenario.fixed(failures, recordings).keys() == fixed
        rates = [each.pass_rate for each in having if each.pass_rate is not None]
        assert scenario.pass_rate == (sum(rates) / len(rates) if rates else None)


def test_steps_are_those_of_the_newest_result_that_has_the_scenario() -> None:
    older = BaseScenario(name="refund", steps=("1 a()",))
    newest = BaseScenario(name="refund", steps=("2 b(x)",), complete=False)
    for scenario, steps in ((newest, ("2 b(x)",)), (BaseScenario(name="refund"), ())):
        assert scenarios_on_base((a_result(scenario), a_result(older)))["refund"].steps == steps
