"""What the base's results say about a scenario, compared with a count by brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from fractions import Fraction
from random import Random

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

UNSAFE, LOOP, STOPPED = (FailureKey(type=name) for name in ("unsafe_action", "loop", "incomplete"))
keys = st.sets(st.sampled_from([UNSAFE, LOOP, STOPPED]))
a_scenario = st.builds(
    BaseScenario,
    name=st.sampled_from(["refund", "cancel"]),
    recordings=st.integers(1, 3),
    pass_rate=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    complete=st.sampled_from([True, True, True, False]),
    failures=keys.map(tuple),
)
some_scenarios = st.lists(a_scenario, unique_by=lambda each: each.name)
some_results = st.lists(some_scenarios, max_size=5).map(lambda each: [*map(a_result, each)])


def a_result(scenarios: Collection[BaseScenario]) -> BaseResult:
    return BaseResult(gate="g", campaign="c", time=1, decision=Decision.FAIL, scenarios=tuple(scenarios))


def on_base(*scenarios: BaseScenario) -> ScenarioOnBase:
    return scenarios_on_base(tuple(a_result([each]) for each in scenarios))["refund"]


def refund(*failures: FailureKey, recordings: int = 1, complete: bool = True) -> BaseScenario:
    return BaseScenario(name="refund", failures=failures, recordings=recordings, complete=complete)


@given(results=some_results, failures=keys, recordings=st.integers(1, 3), random=st.randoms())
def test_new_known_and_fixed_are_disjoint_and_equal_a_count_by_hand(
    results: list[BaseResult], failures: set[FailureKey], recordings: int, random: Random
) -> None:
    compared = scenarios_on_base(tuple(results))
    for name in ("refund", "cancel"):
        all_of_it = [each for result in results for each in result.scenarios if each.name == name]
        having = [each for each in all_of_it if each.complete]
        scenario = compared.get(name, ScenarioOnBase())
        marks = {each: scenario.compare(each) for each in failures}
        count = {key: sum(key in each.failures for each in having) for key in (UNSAFE, LOOP, STOPPED)}
        assert marks == {each: OnBase(count[each], len(having)) if having else None for each in failures}
        fixed = scenario.fixed(failures, recordings)
        expected = {
            key
            for key in count
            if len(having) >= 3
            and Fraction(count[key], len(having)) > Fraction(1, 2)
            and key not in failures
            and all(recordings >= each.recordings for each in having)
        }
        assert fixed.keys() == expected
        assert not fixed.keys() & failures
        rates = [each.pass_rate for each in having if each.pass_rate is not None]
        assert scenario.pass_rate == (sum(rates) / len(rates) if rates else None)
    shuffled = [a_result(each.scenarios[::-1]) for each in results]
    random.shuffle(shuffled)
    again = scenarios_on_base(tuple(shuffled))
    assert {name: Counter(each.complete) for name, each in again.items()} == {
        name: Counter(each.complete) for name, each in compared.items()
    }


def test_steps_are_those_of_the_newest_result_that_has_the_scenario() -> None:
    older = BaseScenario(name="refund", steps=("1 a()",))
    newest = BaseScenario(name="refund", steps=("2 b(x)",), complete=False)
    assert on_base(newest, older).steps == ("2 b(x)",)
    assert on_base(refund(), older).steps == ()
