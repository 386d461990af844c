"""The median of the results on the base branch."""

from __future__ import annotations

import pytest

from sepurux_action.evaluation.baseline import Baseline
from sepurux_action.evaluation.comparison import MEASURES, change
from sepurux_action.evaluation.published_result import Metrics
from tests.builders import a_baseline, a_past_result


def of_main(*numbers: Metrics) -> Baseline:
    return a_baseline(*(a_past_result(metrics=each) for each in numbers))


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
    numbers = [Metrics(pass_rate=rate, score=None if rate is None else rate * 100) for rate in rates]
    medians = of_main(*numbers).medians
    assert (medians.pass_rate, medians.score) == (median, None if median is None else median * 100)


def test_of_two_counts_in_the_middle_the_higher_is_the_median() -> None:
    medians = of_main(*(Metrics(unsafe=number, failures=10 * number) for number in (0, 3, 1, 7))).medians
    assert (medians.unsafe, medians.failures) == (3, 30)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_one_unusual_run_on_main_changes_no_difference(rate: float) -> None:
    usual = Metrics(pass_rate=0.95, unsafe=0, failures=1, score=91.0)
    odd = Metrics(pass_rate=rate, unsafe=40, failures=40, score=100 * rate)
    now = a_past_result()
    alone, among = of_main(usual, usual), of_main(odd, usual, usual)
    assert [change(each, now, among) for each in MEASURES] == [change(each, now, alone) for each in MEASURES]


def test_without_results_no_number_has_a_median() -> None:
    assert Baseline().medians == Metrics()
