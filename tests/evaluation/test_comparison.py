"""How a number differs from that of the base."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Thresholds
from sepurux_action.evaluation.baseline import Baseline
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.comparison import BY_THRESHOLD, MEASURES, change
from sepurux_action.evaluation.published_result import (
    Metrics,
    PreviousResult,
    format_description,
    parse_description,
    published_metrics,
)
from tests.builders import a_baseline, a_past_result

RATE, SCORE, UNSAFE, _ = MEASURES


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
        (0.93, 0.95, "+2.0"),
        (0.95, 0.72, "−23.0"),
        (0.95, 0.9497, "−0.03"),
        (0.9999, 1.0, "+0.01"),
        (0.95, 0.95, "±0"),
        (None, 0.95, "–"),
        (0.95, None, "–"),
        (None, None, "–"),
    ],
)
def test_a_change_of_a_rate_has_its_sign_and_points(before: float | None, now: float | None, shown: str) -> None:
    assert change(RATE, rated(now), a_baseline(rated(before))) == shown


def test_a_change_of_a_count_is_a_whole_number() -> None:
    assert change(UNSAFE, counted(0), a_baseline(counted(3))) == "−3"
    assert change(UNSAFE, counted(5_000), a_baseline(counted(0))) == "+5,000"


def test_a_change_of_a_score_is_in_points() -> None:
    now = a_past_result(metrics=Metrics(score=61.5))
    assert change(SCORE, now, a_baseline()) == "−29.7"


def test_without_a_baseline_no_change_is_known() -> None:
    assert [change(measure, a_past_result(), Baseline()) for measure in MEASURES] == ["–"] * 4


@given(st.floats(0, 1), st.floats(0, 100), st.integers(0, 2**53).map(float))
def test_a_result_is_unchanged_against_its_own_description(rate: float, score: float, unsafe: float) -> None:
    run = CIRun(pass_rate=Reading(rate), reliability_score=Reading(score), unsafe_attempts=Reading(unsafe))
    now = a_past_result(metrics=published_metrics(run, Thresholds(min_pass_rate=0.9)))
    base = parse_description(format_description(now))
    assert base is not None
    assert [change(measure, now, a_baseline(base)) for measure in (RATE, SCORE, UNSAFE)] == ["±0"] * 3


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_change_has_its_sign_and_is_never_shown_as_zero(now: float, before: float) -> None:
    now, before = round(now, 4), round(before, 4)
    shown = change(RATE, rated(now), a_baseline(rated(before)))
    sign = "+" if now > before else "−" if now < before else "±"
    assert shown[0] == sign
    assert (float(shown[1:]) > 0) == (sign != "±")
