"""The tables of docs/noisy-agents.md are exact."""

from __future__ import annotations

from itertools import product

import pytest

from scripts import noise
from sepurux_action.evaluation.published_result import MAX_BASE_RESULTS


@pytest.mark.parametrize("literal", [False, True])
def test_the_probability_is_the_sum_over_all_results_of_which_those_of_the_base_passed(literal: bool) -> None:  # noqa: FBT001
    attempts, rate, limit = 4, 0.7, 0.24
    chance, passed = noise.chances(attempts, rate), (3, 4)  # of 4 attempts, 60% or more
    expected = 0.0
    for now, *base in product(range(attempts + 1), *[passed] * MAX_BASE_RESULTS):
        compared = [sorted(base)[MAX_BASE_RESULTS // 2]] * MAX_BASE_RESULTS if literal else base
        if noise.is_dropped(now, compared, attempts, limit):
            share = chance[now]
            for each in base:
                share *= chance[each] / (chance[3] + chance[4])
            expected += share
    assert noise.drops(attempts, rate, limit, literal=literal) == pytest.approx(expected)
    assert expected > 0.01
