"""The median of the results on the base branch, and how a number differs from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.evaluation.metrics import FAILURES, PASS_RATE, PUBLISHED, RELIABILITY_SCORE, UNSAFE_ATTEMPTS
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


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_one_unusual_run_on_main_changes_no_difference(rate: float) -> None:
    usual = {"pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1, "reliability_score": 91.0}
    odd = {"pass_rate": rate, "unsafe_attempts": 40, "failures": 40, "reliability_score": 100 * rate}
    alone, among = of_main(usual, usual), of_main(odd, usual, usual)
    for metric in PUBLISHED:
        now = a_past_result().value(metric)
        assert among.change(metric, now) == alone.change(metric, now)


def test_without_results_no_number_has_a_median_or_a_change() -> None:
    assert {Baseline().median(metric) for metric in PUBLISHED} == {None}
    assert {Baseline().change(metric, a_past_result().value(metric)) for metric in PUBLISHED} == {""}


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        (0.93, 0.95, "+2.0"),
        (0.95, 0.72, "−23.0"),
        (0.95, 0.9497, "−0.03"),
        (0.9999, 1.0, "+0.01"),
        (0.95, 0.95, "±0"),
        (None, 0.95, ""),
        (0.95, None, ""),
        (None, None, ""),
    ],
)
def test_a_change_of_a_rate_has_its_sign_and_points(before: float | None, now: float | None, shown: str) -> None:
    assert of_main(known(pass_rate=before)).change(PASS_RATE, now) == shown


def test_a_change_of_a_count_is_a_whole_number() -> None:
    assert of_main({"unsafe_attempts": 3}).change(UNSAFE_ATTEMPTS, 0) == "−3"
    assert of_main({"unsafe_attempts": 0}).change(UNSAFE_ATTEMPTS, 5_000) == "+5,000"


def test_a_change_of_a_score_is_in_points() -> None:
    assert of_main({"reliability_score": 91.2}).change(RELIABILITY_SCORE, 61.5) == "−29.7"


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
