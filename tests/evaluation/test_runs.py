"""Parsing of runs, batches, and classified failures."""

import json
import math
from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.runs import Decision, Failure, Run, decide, merge_failures, parse_failures, parse_run
from tests import backend

RESPONSE = backend.decided(
    reliability_score=61.5,
    mutation_categories=["timeouts", "auth"],
    mutation_coverage_score=75,
    scenario_coverage_pct=87.5,
    trace_count=3,
)


@pytest.mark.parametrize("payload", [None, [], "done", 1, {}, dict.fromkeys(RESPONSE)])
def test_a_response_without_anything_is_a_run_without_anything(payload: object) -> None:
    assert parse_run(payload) == Run()
    assert parse_run({"mutation_categories": []}).categories == ()
    assert parse_run({"dashboard_url": "javascript:alert(1)"}).dashboard_url == ""


def test_mutation_categories_are_read_as_they_are_shown_and_a_long_list_of_them_is_not_reported() -> None:
    names = [f"mutation {number}" for number in range(metrics.MAX_CATEGORIES)]
    run = parse_run({"mutation_categories": ["mutation  0", "muta\u200btion\u00a01", *names]})
    assert (run.categories, run.value(metrics.MUTATION_CATEGORIES)) == (tuple(names), 100)
    cut = parse_run({"mutation_categories": [*names, "auth"]})
    assert (cut.categories, metrics.MUTATION_CATEGORIES.reading(cut.numbers)) == (None, Reading())


@pytest.mark.parametrize("wrong", [True, "x", [], {}, [None], [[1]], {"a": {}}, math.nan, 10**400, -1])
def test_a_field_of_another_type_costs_that_field_only(wrong: object) -> None:
    for name in RESPONSE.keys() - {"decision", "status"}:
        run = parse_run({**RESPONSE, name: wrong})
        assert (run.sepurux_decision, run.status) == ("fail", "done")


@pytest.mark.parametrize(
    "word",
    [
        *("pass\u200b", "pass\n", "p\0ass", " pass", "PASS", "pass" * 100, "fail\n::error::x", "\ud800"),
        *(True, 1, ["pass"], {"pass": True}),
    ],
)
def test_what_only_resembles_a_known_word_is_not_known(word: object) -> None:
    run = parse_run({**RESPONSE, "decision": word})
    assert decide(run).decision is Decision.PENDING
    assert run.sepurux_decision not in {"pass", "fail", "pending", ""}
    assert run.sepurux_decision.isprintable()
    assert len(run.sepurux_decision) <= 82  # a quoted name may have 80


def test_what_is_no_decision_says_what_to_do() -> None:
    hints = {"failed": "See the `Sepurux run`", "odd": "Update ", "done": "If the decision is missing", "": "{timeout}"}
    for status, part in hints.items():
        assert part in decide(Run(status=status)).hint
    assert {decide(Run(sepurux_decision=word)).hint for word in ("pass", "fail")} == {""}


def test_a_batch_lists_its_runs_once_each_and_a_broken_id_is_left_out() -> None:
    run = parse_run({**RESPONSE, "run_ids": ["run-2", "../run", None, 3, "run-3", "run-2"]})
    assert run.run_ids == ("run-2", "run-3")


@pytest.mark.parametrize("name", ["reliability_score", "mutation_coverage_score", "scenario_coverage_pct"])
def test_a_number_above_its_scale_is_no_sensible_number(name: str) -> None:
    [found] = parse_run({name: 100.01}).numbers.values()
    assert found.broken


@pytest.mark.parametrize("value", [1e300, 2**53 + 2, 0.5, -1, True, "3"])
def test_a_count_that_nothing_can_be_counted_to_is_no_sensible_number(value: object) -> None:
    assert metrics.FAILURES.reading(parse_run({"failures": value}).numbers).broken


def test_tools_are_added_up_by_name_and_a_hostile_name_is_one_line() -> None:
    tools = [{"count": 9}, "x", {"tool": "a\nb\u202e", "count": 2}, {"tool": "c", "count": "many"}]
    tools += [{"tool": "d", "count": 3}, {"tool": "a b", "count": 2}]
    expected = [("a b", 4), ("d", 3), ("c", 0)]
    assert [*parse_run({"top_failing_tools": tools}).failing_tools.items()] == expected


def test_a_score_below_1_or_1_with_a_decimal_point_is_a_fraction() -> None:
    fractions = {"0": 0.0, "0.0": 0.0, "0.5": 50.0, "0.615": 61.5, "1.0": 100.0, "0.999999999999": 100.0}
    of_hundred = {"1": 1.0, "1.000000000001": 1.0, "1.5": 1.5, "2": 2.0, "100": 100.0, "100.0": 100.0}
    rounded = {80 - 4e-9: 80.0, 80 - 1e-8: 79.99999999, 0.8 - 4e-11: 80.0, 0.8 - 1e-10: 79.99999999}
    for reported, score in (fractions | of_hundred | {str(each): score for each, score in rounded.items()}).items():
        assert metrics.RELIABILITY_SCORE.read_value(json.loads(reported)) == Reading(score)


def test_failures_with_one_description_become_one_and_the_worst_and_most_frequent_are_first() -> None:
    low = Failure(type="b", severity="low")
    first, other = (replace(low, type="a", description=text) for text in "xy")
    odd, worse = Failure(type="c", severity="odd", count=9), Failure(type="d", severity="Critical")
    found = merge_failures([first, replace(low, count=2), other, low, odd, worse])
    assert found == (worse, replace(low, count=3), first, other, odd)


def test_classified_failures_are_read_and_what_is_no_object_is_left_out() -> None:
    first = {"type": "unsafe_action", "severity": "x" * 9_000, "description": "two\nlines", "mutation": None}
    read = Failure(type="unsafe_action", severity="x" * 1_000, description="two lines")
    assert parse_failures([first, None, "x", {}, {"type": 3}]) == (read, Failure())
    assert parse_failures({"items": [first]}) == ()
