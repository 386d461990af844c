"""What the description of a status shows, and that later runs read back the same."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.config.options import Stage
from sepurux_action.evaluation.decision import summarize
from sepurux_action.evaluation.gate_numbers import CheckState, check_thresholds
from sepurux_action.evaluation.metrics import PUBLISHED, Unit
from sepurux_action.evaluation.results import Result, format_description, parse_description
from sepurux_action.evaluation.runs import Decision, parse_run
from tests.builders import PASSING, a_gate, a_result, a_run, run_with

RESULT = summarize(a_result())
optional = {"pass_rate": st.floats(0, 1), "reliability_score": st.floats(0, 100)}
optional |= dict.fromkeys(("unsafe_attempts", "failures", "scenarios"), st.integers(0, 2**53).map(float))
some_numbers = st.fixed_dictionaries({}, optional=optional)
some_results = st.builds(Result, decision=st.sampled_from(Decision), stage=st.sampled_from(Stage), numbers=some_numbers)
WRITTEN = "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 61.5"
CHANGES = [
    *(("fail (hard)", "fail"), ("fail", "lost"), ("72.0", "172.0"), ("72.0", "72.000"), ("72.0", "७२.0")),
    *(("61.5", "161.5"), ("61.5", "1e1"), ("61.5", "nan"), ("61.5", "61.5\n"), ("61.5", "61.5, 7 more")),
    *(("5 failures", "5 failure"), ("5 failures", "1 failures"), ("5 failures", "0 failure")),
]


def test_a_description_has_decision_stage_the_four_numbers_and_the_scenarios_if_there_is_room() -> None:
    result, numbers = replace(RESULT, stage=Stage.SOFT), "fail (soft): 72.0% passed, 1 unsafe, 5 failures, score 61.5"
    assert format_description(result, "needs an approval") == f"{numbers}; needs an approval; 1 scenario"
    assert format_description(result) == f"{numbers}; 1 scenario"
    longest = 140 - len(f"{numbers}; ; 1 scenario")
    assert format_description(result, "n" * longest) == f"{numbers}; {'n' * longest}; 1 scenario"
    assert format_description(result, "n" * (longest + 1)) == f"{numbers}; {'n' * (longest + 1)}"


def test_the_number_of_scenarios_is_read_at_the_end_only() -> None:
    numbers: dict[str, float | None] = {"; 40 scenarios": 40, "; 1 scenario": 1, "; a note; 2000 scenarios": 2000}
    others = dict.fromkeys(("; 3 scenarios; a note", "; 3 scenarios more", "; -3 scenarios", ""))
    for ending, scenarios in (numbers | others).items():
        found = parse_description(f"pass (hard): 95.0% passed, 0 unsafe, 1 failure, score -{ending}")
        assert found is not None
        assert found.numbers.get("scenarios") == scenarios


def test_what_is_not_known_is_a_dash_and_one_stands_for_all() -> None:
    silent = Result(decision=Decision.PENDING, stage=Stage.HARD, numbers={})
    assert format_description(silent, "no decision after 10 min") == "pending (hard): -; no decision after 10 min"
    older = replace(silent, numbers={"pass_rate": 0.95, "unsafe_attempts": 0})
    assert parse_description("pending (hard): 95.0% passed, 0 unsafe") == older
    known = replace(silent, numbers={"unsafe_attempts": 1, "failures": 1})
    assert format_description(known) == "pending (hard): - passed, 1 unsafe, 1 failure, score -"


@pytest.mark.parametrize(
    ("rate", "threshold", "shown"),
    [
        *((2 / 3, None, "66.67%"), (0.99996, None, "99.996%"), (0.00004, None, "0.004%")),
        *((0.999995034, None, "99.9995%"), (1, None, "100.0%"), (0.8999999999, 0.9, "89.99999999%")),
        (0.900055, 0.90006, "90.0055%"),  # with two digits it would be above the threshold
    ],
)
def test_a_rate_shows_its_side_of_its_threshold_of_0_and_1(rate: float, threshold: float | None, shown: str) -> None:
    gate = a_gate(limits={} if threshold is None else {"min_pass_rate": threshold})
    result = summarize(a_result(a_run(run_with(PASSING, pass_rate=rate)), gate=gate))
    assert f": {shown} passed, " in format_description(result)
    assert parse_description(format_description(result)) == result


@given(st.floats(0, 1), st.floats(0, 100), st.floats(0, 1), st.floats(0, 100))
def test_a_described_number_meets_the_same_thresholds(rate: float, score: float, needed: float, points: float) -> None:
    needed, points = round(needed, 10), round(points, 8)
    run = parse_run({"decision": "pass", "pass_rate": rate, "reliability_score": score})
    gate = a_gate(limits={"min_pass_rate": needed, "min_reliability_score": points})
    found = parse_description(format_description(summarize(a_result(a_run(run), gate=gate))))
    assert found is not None
    met = [check.state is CheckState.MET for check in check_thresholds(gate, run.numbers, None, ())]
    assert met == [found.numbers["pass_rate"] >= needed, found.numbers["reliability_score"] >= points]


@given(some_results, st.text(max_size=200))
def test_a_description_has_at_most_140_characters_and_reads_back_as_shown(result: Result, remark: str) -> None:
    described = format_description(result, remark)
    read = parse_description(described)
    assert len(described) <= 140
    assert described.isprintable()
    assert read is not None
    if "scenarios" not in read.numbers:  # there was no room
        known = {name: number for name, number in result.numbers.items() if name != "scenarios"}
        room = 140 - len(format_description(replace(result, numbers=known), remark))
        assert known == result.numbers or room < len(f"; {result.numbers['scenarios']:.0f} scenarios")
        result = replace(result, numbers=known)
    assert format_description(read) == format_description(result)
    assert (read.decision, read.stage) == (result.decision, result.stage)
    assert all(read.value(metric) == result.value(metric) for metric in PUBLISHED if metric.unit is Unit.INTEGER)


@pytest.mark.parametrize("text", [None, 7, "", *(WRITTEN.replace(*change) for change in CHANGES)])
def test_a_text_that_is_not_written_so_is_no_result(text: object) -> None:
    assert parse_description(WRITTEN)
    assert parse_description(WRITTEN.replace("5 failures", "1 failure"))
    assert parse_description(text) is None
