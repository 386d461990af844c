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
def test_the_probability_is_the_sum_over_all_results(literal: bool) -> None:  # noqa: FBT001
    attempts, rate, limit = 3, 0.7, 0.34
    chance = noise.chances(attempts, rate)
    expected = 0.0
    for now, *base in product(range(attempts + 1), repeat=1 + MAX_RESULTS):
        judged = [sorted(base)[MAX_RESULTS // 2]] * MAX_RESULTS if literal else base
        if noise.is_dropped(now, judged, attempts, limit):
            share = chance[now]
            for passed in base:
                share *= chance[passed]
            expected += share
    assert noise.drops(attempts, rate, limit, literal=literal) == pytest.approx(expected)
    assert expected > 0.01


def test_below_every_one_of_five_results_lies_at_most_one_harmless_change_in_six() -> None:
    for attempts, rate in product(noise.ATTEMPTS, (0.85, 0.9, 0.95)):
        assert noise.drops(attempts, rate, 0.0) <= 1 / 6
        assert noise.drops(attempts, rate, noise.fitting_limit(attempts) / 100) < 0.07
