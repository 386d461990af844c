"""The texts that compare results over time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.config.gate import Thresholds
from sepurux_action.evaluation.comparison import BY_THRESHOLD, MEASURES, change, shown, trend_text
from sepurux_action.evaluation.published_result import Metrics, PreviousResult, as_published
from tests.builders import a_past_result

RATE, SCORE, UNSAFE, FAILURES = MEASURES


def rated(rate: float | None) -> PreviousResult:
    return a_past_result(metrics=Metrics(pass_rate=rate))


def counted(unsafe: float) -> PreviousResult:
    return a_past_result(metrics=Metrics(unsafe=unsafe))


def test_a_measure_is_found_by_the_threshold_that_asks_for_it() -> None:
    thresholds = Thresholds(min_pass_rate=0.9, max_unsafe=0, max_failures=0, min_reliability_score=1).as_json()
    assert set(BY_THRESHOLD) == set(thresholds)


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        (0.93, 0.95, "▲ +2.0 points, better"),
        (0.95, 0.72, "▼ −23.0 points, worse"),
        (0.95, 0.9497, "▼ −0.03 points, worse"),
        (0.9999, 1.0, "▲ +0.01 points, better"),
        (0.95, 0.95, "unchanged"),
        (None, 0.95, "not known before"),
        (0.95, None, "–"),
        (None, None, "–"),
    ],
)
def test_a_change_is_shown_by_an_arrow_its_size_and_a_word(before: float | None, now: float | None, shown: str) -> None:
    assert change(RATE, rated(now), rated(before)) == shown


def test_fewer_unsafe_attempts_are_better_and_more_are_worse() -> None:
    assert change(UNSAFE, counted(0), counted(3)) == "▼ −3, better"
    assert change(UNSAFE, counted(5_000), counted(0)) == "▲ +5,000, worse"


def test_a_score_has_no_unit() -> None:
    now = a_past_result(metrics=Metrics(score=61.5))
    assert change(SCORE, now, a_past_result()) == "▼ −29.7, worse"


def test_without_a_baseline_every_number_is_new() -> None:
    assert [change(measure, a_past_result(), None) for measure in MEASURES] == ["not known before"] * 4


@given(st.builds(Metrics, pass_rate=st.floats(0, 1), score=st.floats(0, 100), unsafe=st.integers(0, 2**53).map(float)))
def test_a_result_is_unchanged_against_its_own_description(numbers: Metrics) -> None:
    now = a_past_result(metrics=numbers)
    assert [change(measure, now, as_published(now)) for measure in (RATE, SCORE, UNSAFE)] == ["unchanged"] * 3


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_change_has_the_sign_of_its_arrow_and_is_never_zero(now: float, before: float) -> None:
    shown = change(RATE, rated(now), as_published(rated(before)))
    if shown != "unchanged":
        assert shown.startswith(("▲ +", "▼ −"))
        assert shown.endswith("better" if shown.startswith("▲") else "worse")
        assert float(shown[3:].split()[0]) > 0


def test_a_number_is_shown_with_enough_digits_to_differ_from_the_baseline() -> None:
    assert shown(RATE, rated(0.95), rated(0.9496)) == "95.00%"
    assert shown(RATE, rated(0.95), None) == "95.0%"
    assert shown(RATE, rated(None), rated(0.95)) == "–"


@pytest.mark.parametrize(
    ("rates", "shown"),
    [
        ([], ""),
        ([0.9], ""),
        ([None, 0.9], ""),
        ([0.9, 0.8], "from 90.0% to 80.0%"),
        ([0.9, 0.9001], "from 90.00% to 90.01%"),
        ([0.9, 0.8, 0.9], "from 90.0% back to 90.0%"),
        ([0.9, 0.9, 0.9], "90.0% throughout"),
        ([None, 0.9, 0.8, None], "from 90.0% to 80.0%, now not known"),
    ],
)
def test_a_trend_is_shown_by_its_first_and_last_number(rates: list[float | None], shown: str) -> None:
    assert trend_text(RATE, [rated(rate) for rate in rates]) == shown


def test_a_trend_of_counts_has_no_sign_of_percent() -> None:
    results = [replace(a_past_result(), metrics=Metrics(failures=number)) for number in (1, 5_000)]
    assert trend_text(FAILURES, results) == "from 1 to 5,000"
