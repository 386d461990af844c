"""The tables of docs/noisy-agents.md are exact."""

from __future__ import annotations

from itertools import product

import pytest

from scripts import noise
from sepurux_action.config import options
from sepurux_action.evaluation.published_result import MAX_BASE_RESULTS


@pytest.mark.parametrize("evaluations", [1, 2])
def test_the_probability_is_the_sum_over_all_results_of_which_those_of_the_base_passed(evaluations: int) -> None:
    attempts, rate, limit = 4, 0.7, 0.24
    chance, passed = noise.chances(attempts, rate), (3, 4)  # of 4 attempts, 60% or more
    gate, expected = noise.gate_with(options.MAX_PASS_RATE_DROP, limit), 0.0
    for base in product(passed, repeat=MAX_BASE_RESULTS):
        for now in product(range(attempts + 1), repeat=evaluations):
            if noise.blocks(now, attempts, gate, base):
                share = 1.0
                for each in now:
                    share *= chance[each]
                for each in base:
                    share *= chance[each] / (chance[3] + chance[4])
                expected += share
    assert noise.drops(attempts, rate, limit=limit, confirmed=evaluations > 1) == pytest.approx(expected)
    assert expected > 0.01


@pytest.mark.parametrize(
    ("option", "limit", "base"),
    [
        (options.MIN_PASS_RATE, 0.85, ()),
        (options.MAX_PASS_RATE_DROP, 0.03, (10, 9, 8, 8, 7)),
        (options.MAX_PASS_RATE_DROP, 0.3, (10, 10, 9, 9, 8)),
    ],
)
def test_of_two_evaluations_the_first_or_the_mean_decides_whichever_is_higher(
    option: options.Option[float], limit: float, base: tuple[int, ...]
) -> None:
    gate, attempts = noise.gate_with(option, limit), 10
    for first, second in product(range(attempts + 1), repeat=2):
        alone = noise.blocks([first], attempts, gate, base)
        decisive = noise.evaluations(max(2 * first, first + second))
        expected = alone and noise.blocks(decisive, attempts, gate, base)
        assert noise.blocks([first, second], attempts, gate, base) is expected
        assert noise.blocks(noise.evaluations(2 * first), attempts, gate, base) is alone


@pytest.mark.parametrize(
    ("passed", "attempts", "confidence", "lowest", "highest"),
    [(3, 20, 0.95, 0.0321, 0.3789), (42, 100, 0.95, 0.3220, 0.5229), (85, 120, 0.99, 0.5904, 0.8092)],
)
def test_exact_intervals(passed: int, attempts: int, confidence: float, lowest: float, highest: float) -> None:
    """Source: the examples of https://codingace.net/statistics/clopper_pearson_interval.html."""
    tails = sum(noise.chances(attempts, lowest)[passed:]), sum(noise.chances(attempts, highest)[: passed + 1])
    assert tails == pytest.approx([(1 - confidence) / 2] * 2, rel=0.005)


@pytest.mark.parametrize(("attempts", "rate"), [(158, 0.6), (37, 0.7), (18, 0.8), (8, 0.9)])
def test_the_sign_test_has_a_power_of_80_percent(attempts: int, rate: float) -> None:
    """Source: https://github.com/dotnet/skills/pull/1027. With one vote less, it has less power."""
    powers = []
    for votes in (attempts - 1, attempts):
        by_chance = noise.chances(votes, 0.5)
        needed = next(n for n in range(votes + 1) if sum(by_chance[n:]) <= 0.05)
        powers.append(sum(noise.chances(votes, rate)[needed:]))
    assert powers[0] < 0.8 <= powers[1]


@pytest.mark.parametrize(("defective", "rejected"), [(0.01213, 0.05), (0.089704, 0.95)])
def test_a_sampling_plan_of_68_with_at_most_2_defects(defective: float, rejected: float) -> None:
    """Source: http://www.samplingplans.com/forum/_disc1sam/_disc1sam/00000498.htm."""
    assert noise.misses(68, 1 - defective, needed=66 / 68) == pytest.approx(rejected, rel=0.002)
