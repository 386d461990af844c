"""The JUnit file: what a CI system that reads it shows, and that it agrees with the gate."""

from collections import Counter
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import example, given
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase

from sepurux_action.common.wording import joined
from sepurux_action.config.settings import Trace
from sepurux_action.errors import Problem
from sepurux_action.evaluation.gate_numbers import Scenario
from sepurux_action.evaluation.runs import Decision, Run
from sepurux_action.report.data import junit_xml
from sepurux_action.report.report import Report, build_report, shortened
from tests import builders
from tests.builders import FAILING, PASSING, a_context, a_failure, a_poll, a_result, a_run, a_scenario, reports

KINDS = {Failure: "failure", Error: "error", Skipped: "skipped"}
OF_DECISION = {Decision.FAIL: "failure", Decision.PASS: "passed", Decision.SKIPPED: "skipped"}


def suites(report: Report) -> dict[str, list[TestCase]]:
    """Return the cases of each suite as a reader sees them, with names that occur once and short texts."""
    read = list(JUnitXml.fromstring(junit_xml(report)))
    assert len({suite.name for suite in read}) == len(read)
    for suite in read:
        counts = Counter(map(case_state, suite))
        assert suite.tests == len({case.name for case in suite}) == len(list(suite)) > 0
        assert (suite.failures, suite.errors, suite.skipped) == (counts["failure"], counts["error"], counts["skipped"])
        for case in suite:
            assert case.classname == suite.name
            assert len(case.name) <= 510  # with its number
            assert all(len(text or "") <= 1_000 for found in case.result for text in (found.message, found.text))
    return {suite.name: list(suite) for suite in read}


def case_state(case: TestCase) -> str:
    assert len(case.result) <= 1
    return KINDS[type(case.result[0])] if case.result else "passed"


def shown(report: Report) -> dict[str, str]:
    """Return the state and the text of each case of the only suite by its name."""
    (found,) = suites(report).values()
    return {case.name: joined(": ", case_state(case), *(each.message for each in case.result)) for case in found}


@pytest.mark.parametrize("state", reports())
def test_each_gate_has_a_suite_that_agrees_with_its_decision(state: str) -> None:
    for report in (reports()[state], shortened(reports()[state])):
        found = suites(report)
        assert len(found) == len(report.gates) + bool(report.problems)
        for gate, (of_gate, *scenarios) in zip(report.gates, found.values(), strict=False):
            assert case_state(of_gate) == OF_DECISION.get(gate.result.decision, "error")
            assert gate.result.decision is Decision.FAIL or "failure" not in map(case_state, scenarios)


# -- what becomes what ------------------------------------------------------------------------------------------------


def a_batch(*scenarios: Scenario, run: Run = FAILING) -> Report:
    """Return the report on a batch with these scenarios and one that passed."""
    every = (*scenarios, a_scenario("sound", a_poll(sepurux_decision="pass")))
    return build_report([a_result(a_run(builders.run_with(run, scenarios=len(every))), scenarios=every)], a_context())


LOOPS, UNDECIDED = a_scenario("loops", failures=(a_failure(),)), a_scenario("undecided", a_poll())
FLAKY = a_scenario("cancel", FAILING, trace=Trace(label="", flaky=date(2027, 1, 31)))
BROKEN, FAILED = replace(FAILING, status="error", sepurux_decision=""), a_scenario("refund twice", FAILING)
LOW = replace(a_scenario("low", PASSING), needed=0.99)
NUMBERS = "72.0% passed, 1 unsafe, 5 failures"
MISSED = "failure: 72.0% passed, 85.0% needed; 1 unsafe."
SKIPPED = f"skipped: {NUMBERS}"


@pytest.mark.parametrize(
    ("report", "cases"),
    [
        (a_batch(FAILED, FLAKY), {"refund twice": f"failure: {NUMBERS}", "cancel": SKIPPED, "sound": "passed"}),
        (a_batch(LOOPS), {"loops": "failure: It went round.", "sound": "passed"}),
        (a_batch(LOW), {"low": "failure: 95.0% passed, 0 unsafe, 1 failure", "sound": "passed"}),
        (a_batch(a_scenario("unread")), {"unread": "skipped", "sound": "passed"}),
        (
            a_batch(LOOPS, UNDECIDED, FLAKY, run=PASSING),
            {"loops": "passed", "undecided": "passed", "cancel": SKIPPED, "sound": "passed"},
        ),
        (
            a_batch(a_scenario("sound", FAILING), a_scenario("gate", FAILING), run=BROKEN),
            {"sound": SKIPPED, "gate (2)": SKIPPED, "sound (2)": "skipped"},
        ),
    ],
    ids=range(6),
)
def test_what_the_scenarios_of_a_gate_did_is_a_case_each(report: Report, cases: dict[str, str]) -> None:
    of_gate, *scenarios = shown(report).items()
    assert dict(scenarios) == cases
    assert of_gate[0] == "gate"


def test_the_case_of_a_gate_says_why_and_what_to_do_in_the_place_where_it_runs() -> None:
    late = builders.undecided(Decision.PENDING, "No decision.", "Raise {timeout}, or {rerun}.")
    here, there = (build_report([a_result(late)], a_context(on_command_line=each)) for each in (False, True))
    assert shown(here)["gate"] == "error: No decision. Raise `timeout`, or re-run the job."
    assert shown(there)["gate"] == "error: No decision. Raise --timeout, or run the command again."
    assert shown(a_batch(FAILED))["gate"] == MISSED
    assert shown(reports()["fail-soft"])["gate"].endswith(" The gate needs an approval.")


def test_each_problem_in_the_settings_is_an_error_at_its_place() -> None:
    same = Problem(where="`gates`", message="it has no item")
    found = shown(
        builders.a_settings_report(*builders.problems()[:2], same, same, Problem(where="", message="no YAML"))
    )
    assert list(found) == [
        "thresholds",
        "input min_reliability_score",
        "gates",
        "gates (2)",
        "settings",
    ]
    assert found["gates (2)"] == "error: `gates`: it has no item"


# -- any text, any size -----------------------------------------------------------------------------------------------


@given(builders.foreign_texts(5))
@example(builders.HOSTILE)
@example("]]>\ud800\0\ufffe<a b='\"&")
@example("😀&" * 2_000)
def test_any_text_makes_a_file_that_can_be_read(said: str) -> None:
    results = [builders.hostile_result(each) for each in (f"{said} 1", f"\x1b{said} 2", f"{said} 3")]
    report = build_report(results, builders.hostile_context(said, f"{said}0"))
    assert len(suites(report)) == 3
    for each in (report, builders.a_settings_report(*[Problem(where=said, message=said, file=said)] * 3)):
        assert suites(each)
        assert junit_xml(each).decode().replace("\n", "").isprintable()
