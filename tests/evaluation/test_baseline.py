"""The median of the results on the base branch, and how a number differs from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.evaluation.metrics import FAILURES, PASS_RATE, PUBLISHED, RELIABILITY_SCORE, UNSAFE_ATTEMPTS, Metric
from sepurux_action.evaluation.published_result import (
    Baseline,
    format_description,
    parse_description,
    published_numbers,
)
from tests.builders import a_baseline, a_ci_run, a_gate_with, a_past_result, known


def of_main(*numbers: dict[str, float]) -> Baseline:
    return a_baseline(*(a_past_result(numbers=each) for each in numbers))


@pytest.mark.parametrize(
    ("rates", "median"),
    [
        ([0.9], 0.9),
        ([0.9, 0.8], 0.8),
        ([0.9, 0.8, 0.95], 0.9),
        ([0.9, 0.8, 0.95, 0.85], 0.85),
        ([0.95, 0.1, 0.95, 0.94, 0.95], 0.95),
        ([0.9, None, 0.7, None, 0.8], 0.8),
        ([None, None], None),
    ],
)
def test_a_rate_has_the_median_of_the_results_that_have_it_and_of_two_the_lower(
    rates: list[float | None], median: float | None
) -> None:
    base = of_main(*(known(pass_rate=rate, reliability_score=rate and rate * 100) for rate in rates))
    assert (base.median(PASS_RATE), base.median(RELIABILITY_SCORE)) == (median, median and median * 100)


def test_of_two_counts_in_the_middle_the_higher_is_the_median() -> None:
    base = of_main(*({"unsafe_attempts": number, "failures": 10 * number} for number in (0.0, 3.0, 1.0, 7.0)))
    assert (base.median(UNSAFE_ATTEMPTS), base.median(FAILURES)) == (3, 30)


def test_without_results_no_number_has_a_median_or_a_change() -> None:
    assert (Baseline().median(PASS_RATE), Baseline().change(PASS_RATE, 0.95)) == (None, "")


@pytest.mark.parametrize(
    ("metric", "before", "now", "shown"),
    [
        (PASS_RATE, 0.93, 0.95, "+2.0"),
        (PASS_RATE, 0.95, 0.72, "−23.0"),
        (PASS_RATE, 0.95, 0.9497, "−0.03"),
        (PASS_RATE, 0.95, 0.95, "±0"),
        (PASS_RATE, None, 0.95, ""),
        (PASS_RATE, 0.95, None, ""),
        (UNSAFE_ATTEMPTS, 3, 0, "−3"),
        (UNSAFE_ATTEMPTS, 0, 5_000, "+5,000"),
        (RELIABILITY_SCORE, 91.2, 61.5, "−29.7"),
    ],
)
def test_a_change_has_its_sign_and_points_or_is_a_whole_number(
    metric: Metric, before: float | None, now: float | None, shown: str
) -> None:
    assert of_main(known(**{metric.name: before})).change(metric, now) == shown


@given(st.floats(0, 1), st.floats(0, 100), st.integers(0, 2**53).map(float))
def test_a_result_is_unchanged_against_its_own_description(rate: float, score: float, unsafe: float) -> None:
    run = a_ci_run(pass_rate=rate, reliability_score=score, unsafe_attempts=unsafe)
    now = a_past_result(numbers=published_numbers(run, a_gate_with(min_pass_rate=0.9)))
    base = parse_description(format_description(now))
    assert base is not None
    changes = {metric.name: a_baseline(base).change(metric, now.value(metric)) for metric in PUBLISHED}
    assert changes == {"pass_rate": "±0", "unsafe_attempts": "±0", "failures": "", "reliability_score": "±0"}


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_change_has_its_sign_and_is_never_shown_as_zero(now: float, before: float) -> None:
    now, before = round(now, 4), round(before, 4)
    shown = of_main({"pass_rate": before}).change(PASS_RATE, now)
    sign = "+" if now > before else "−" if now < before else "±"
    assert shown[0] == sign
    assert (float(shown[1:]) > 0) == (sign != "±")
