"""The tables of docs/noisy-agents.md are exact."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import noise
from sepurux_action.evaluation.baseline import MAX_RESULTS


@given(st.integers(0, 25), st.lists(st.integers(0, 25), min_size=MAX_RESULTS, max_size=MAX_RESULTS))
def test_the_formula_counts_what_the_gate_blocks(now: int, base: list[int]) -> None:
    median = sorted(base)[MAX_RESULTS // 2]
    is_too_large = median >= noise.lowest_medians(25, 0.1)[now]
    assert noise.is_dropped(now, base, 25, 0.1) == (is_too_large and now < min(base))


@pytest.mark.parametrize("literal", [False, True])
def test_the_probability_is_the_sum_over_all_results_of_which_those_of_the_base_passed(literal: bool) -> None:  # noqa: FBT001
    attempts, rate, limit = 4, 0.7, 0.24
    chance, passed = noise.chances(attempts, rate), (3, 4)  # of 4 attempts, 60% or more
    expected = 0.0
    for now, *base in product(range(attempts + 1), *[passed] * MAX_RESULTS):
        compared = [sorted(base)[MAX_RESULTS // 2]] * MAX_RESULTS if literal else base
        if noise.is_dropped(now, compared, attempts, limit):
            share = chance[now]
            for each in base:
                share *= chance[each] / (chance[3] + chance[4])
            expected += share
    assert noise.drops(attempts, rate, limit, literal=literal) == pytest.approx(expected)
    assert expected > 0.01


@pytest.mark.parametrize(("results", "at_most"), [(3, 1 / 4), (MAX_RESULTS, 1 / 6)])
def test_of_harmless_changes_that_pass_the_floor_few_are_below_every_result(results: int, at_most: float) -> None:
    for attempts, rate in product((*noise.FEW_ATTEMPTS, *noise.ATTEMPTS), (0.85, 0.9, 0.95)):
        chance = noise.passing_chances(attempts, rate)
        assert sum(chance) == pytest.approx(1)
        below = sum(share * sum(chance[n + 1 :]) ** results for n, share in enumerate(chance))
        assert 0 < below <= at_most


def test_a_fitting_limit_is_rarely_missed_by_a_harmless_change() -> None:
    for attempts, rate in product(noise.ATTEMPTS, (0.85, 0.9, 0.95)):
        assert noise.drops(attempts, rate, noise.fitting_limit(attempts) / 100) < 0.07
