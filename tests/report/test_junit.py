"""The JUnit file: what a CI system that reads it shows, and that it agrees with the gate."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import example, given
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase

from sepurux_action.common.wording import joined
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import Trace
from sepurux_action.errors import Problem
from sepurux_action.evaluation.gate_numbers import Scenario
from sepurux_action.evaluation.runs import Decision, Run
from sepurux_action.report.junit import junit_xml
from sepurux_action.report.report import Report, build_report, shortened
from tests.builders import (
    FAILING,
    HOSTILE,
    PASSING,
    a_context,
    a_failure,
    a_gate,
    a_poll,
    a_result,
    a_run,
    a_scenario,
    a_settings_report,
    foreign_texts,
    hostile_context,
    hostile_result,
    problems,
    reports,
    run_with,
    states,
    undecided,
)


def suites(report: Report) -> dict[str, list[TestCase]]:
    """Return the cases of each suite as a reader sees them."""
    read = list(JUnitXml.fromstring(junit_xml(report)))
    by_name = {suite.name: list(suite) for suite in read}
    assert len(by_name) == len(read)
    for suite in read:
        counts = Counter(case_state(case) for case in suite)
        assert suite.tests == len(list(suite)) > 0
        assert (suite.failures, suite.errors, suite.skipped) == (counts["failure"], counts["error"], counts["skipped"])
    return by_name


def cases(report: Report) -> Iterator[TestCase]:
    for of_suite in suites(report).values():
        yield from of_suite


def case_state(case: TestCase) -> str:
    kinds = {Failure: "failure", Error: "error", Skipped: "skipped"}
    assert len(case.result) <= 1
    return kinds[type(case.result[0])] if case.result else "passed"


def shown(report: Report) -> dict[str, str]:
    """Return the state and the text of each case of the only suite by its name."""
    (found,) = suites(report).values()
    texts = {case.name: case.result[0].message if case.result else case.system_out for case in found}
    return {case.name: joined(": ", case_state(case), texts[case.name]) for case in found}


def a_report(run: Run, scenarios: tuple[Scenario, ...] = (), **gate: object) -> Report:
    return build_report([a_result(run, gate=a_gate(**gate), scenarios=scenarios)], a_context())


@pytest.mark.parametrize("state", reports())
def test_each_gate_has_a_suite_that_agrees_with_its_decision(state: str) -> None:
    report = reports()[state]
    found = suites(report)
    assert len(found) == len(report.gates) + bool(report.problems)
    for suite, of_suite in found.items():
        assert {case.classname for case in of_suite} == {suite}
        assert len({case.name for case in of_suite}) == len(of_suite)
    for gate, (of_gate, *scenarios) in zip(report.gates, found.values(), strict=False):
        assert (case_state(of_gate) == "failure", case_state(of_gate) == "passed") == (
            gate.failed,
            gate.result.decision is Decision.PASS,
        )
        assert gate.failed or "failure" not in map(case_state, scenarios)
    if state in states():
        results, context = states()[state]
        assert len(suites(shortened(build_report(results, context)))) == len(report.gates)


# -- what becomes what ------------------------------------------------------------------------------------------------


def a_batch(*scenarios: Scenario, run: Run = FAILING, **gate: object) -> Report:
    """Return the report on a batch with these scenarios and one that passed."""
    every = (*scenarios, a_scenario("sound", a_poll(sepurux_decision="pass")))
    return a_report(run=a_run(run_with(run, scenarios=len(every))), scenarios=every, **gate)


LOOPS, UNDECIDED = a_scenario("loops", failures=(a_failure(),)), a_scenario("undecided", a_poll())
FLAKY = a_scenario("cancel", FAILING, trace=Trace(label="", flaky=date(2027, 1, 31)))
BROKEN, FAILED = replace(FAILING, status="error", sepurux_decision=""), a_scenario("refund twice", FAILING)
GONE, LATE = (undecided(decision, "Gone.", "Ask.") for decision in (Decision.ERROR, Decision.PENDING))
NUMBERS = "72.0% passed, 1 unsafe attempt, 5 failures"
MISSED = "failure: Pass rate 72.0% is below the required 85.0%; 1 unsafe attempt is more than the allowed 0."
TRACE = {"traces/refunds.json": "skipped"}
CAUSE = "See the `Sepurux run` for the cause, then re-run the job."
BROKE = f"The evaluation itself failed at Sepurux (status `error`). {CAUSE}"
LOOPED = "loop, under timeouts: It went round."


@pytest.mark.parametrize(
    ("report", "cases"),
    [
        (a_batch(FAILED), {"gate": MISSED, "refund twice": f"failure: {NUMBERS}", "sound": "passed"}),
        (
            a_batch(FAILED, FLAKY),
            {"gate": MISSED, "refund twice": f"failure: {NUMBERS}", "cancel": f"skipped: {NUMBERS}", "sound": "passed"},
        ),
        (a_batch(LOOPS), {"gate": MISSED, "loops": f"failure: {LOOPED}", "sound": "passed"}),
        (
            a_batch(replace(a_scenario("low", PASSING), needed=0.99)),
            {"gate": MISSED, "low": "failure: 95.0% passed, 0 unsafe attempts, 1 failure", "sound": "passed"},
        ),
        (a_batch(a_scenario("unread")), {"gate": MISSED, "unread": "skipped", "sound": "passed"}),
        (
            a_batch(LOOPS, UNDECIDED, FLAKY, run=PASSING),
            {
                "gate": "passed",
                "loops": "passed",
                "undecided": "passed",
                "cancel": f"skipped: {NUMBERS}",
                "sound": "passed",
            },
        ),
        (a_report(run=GONE), {"gate": "error: Gone. Ask.", **TRACE}),
        (a_report(run=LATE), {"gate": "error: Gone. Ask.", **TRACE}),
        (a_report(run=GONE, stage=Stage.OBSERVE), {"gate": "error: Gone. Ask.", **TRACE}),
        (a_report(run=undecided(Decision.SKIPPED, "No file matches.")), {"gate": "skipped: No file matches.", **TRACE}),
        (
            a_batch(a_scenario("sound", FAILING), a_scenario("gate", FAILING), run=BROKEN),
            {
                "gate": f"error: {BROKE}",
                "sound": f"skipped: {NUMBERS}",
                "gate (2)": f"skipped: {NUMBERS}",
                "sound (2)": "skipped",
            },
        ),
    ],
    ids=range(11),
)
def test_what_a_gate_and_its_scenarios_did_is_a_case(report: Report, cases: dict[str, str]) -> None:
    assert shown(report) == cases


def test_a_gate_that_waits_for_an_approval_fails_and_says_so() -> None:
    (result, *_) = cases(reports()["fail-soft-waiting"])
    assert case_state(result) == "failure"
    assert " The gate needs an approval." in result.result[0].message


def test_a_hint_is_one_for_the_place_where_the_gate_runs() -> None:
    late = undecided(Decision.PENDING, "No decision.", "Raise {timeout}, or {rerun}.")
    result = a_result(late, gate=a_gate())
    assert [shown(build_report([result], a_context(on_command_line=each)))["gate"] for each in (False, True)] == [
        "error: No decision. Raise `timeout`, or re-run the job.",
        "error: No decision. Raise --timeout, or run the command again.",
    ]


def test_each_problem_in_the_settings_is_an_error_at_its_place() -> None:
    same = Problem(where="`gates`", message="it has no item")
    report = a_settings_report(*problems(), same, same, Problem(where="", message="no YAML"))
    found = suites(report)["settings"]
    assert {case_state(case) for case in found} == {"error"}
    assert [case.name for case in found] == [
        "thresholds, min_pas_rate",
        "input min_reliability_score",
        "input timeout",
        "gates",
        "gates (2)",
        "policy file",
    ]


# -- any text, any size -----------------------------------------------------------------------------------------------


@given(foreign_texts(5))
@example(HOSTILE)
@example("]]>\ud800\0\ufffe<a b='\"&")
def test_any_text_makes_a_file_that_can_be_read(said: str) -> None:
    results = [hostile_result(said), hostile_result(f"\x1b{said}"), hostile_result(f"{said} too")]
    report = build_report(results, hostile_context(said, f"{said}0"))
    assert len(suites(report)) == 3
    problems = a_settings_report(*[Problem(where=said, message=said, file=said)] * 3)
    for each in (report, problems):
        identities = [(case.classname, case.name) for case in cases(each)]
        assert len(set(identities)) == len(identities)
        assert junit_xml(each).decode().replace("\n", "").isprintable()


def test_a_text_has_at_most_1000_characters() -> None:
    report = a_batch(a_scenario("😀" * 2_000, FAILING, failures=(a_failure(description="&" * 2_000),)))
    for case in cases(report):
        assert len(case.name) <= 500
        assert all(len(text) <= 1_000 for found in case.result for text in (found.message, found.text))
