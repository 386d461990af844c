"""The JUnit file: what a CI system that reads it shows, and that it agrees with the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.stage import OnUndecided
from sepurux_action.errors import Problem
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.failures import ClassifiedFailure, Enrichment
from sepurux_action.report.junit import junit_xml
from sepurux_action.report.report import Report, build_report
from tests.builders import (
    FAILING,
    FAILURES,
    HOSTILE,
    PASSING,
    a_context,
    a_failure,
    a_gate,
    a_result,
    a_run,
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
        case_states = Counter(case_state(case) for case in suite)
        assert suite.tests == len(list(suite)) > 0
        assert (suite.failures, suite.errors, suite.skipped) == (
            case_states["failure"],
            case_states["error"],
            case_states["skipped"],
        )
    return by_name


def cases(report: Report) -> Iterator[TestCase]:
    for of_suite in suites(report).values():
        yield from of_suite


def case_state(case: TestCase) -> str:
    kinds = {Failure: "failure", Error: "error", Skipped: "skipped"}
    assert len(case.result) <= 1
    return kinds[type(case.result[0])] if case.result else "passed"


def case_states(report: Report) -> dict[str, str]:
    """Return the result of each case of the only suite by its name."""
    (found,) = suites(report).values()
    return {case.name: case_state(case) for case in found}


def messages(report: Report) -> dict[str, str]:
    return {case.name: case.result[0].message for case in cases(report) if case.result}


def a_report(*failures: ClassifiedFailure, run: object = None, **gate: object) -> Report:
    settings = a_gate(**gate)
    found = a_run(FAILING, settings, enrichment=Enrichment(failures=failures or FAILURES))
    return build_report([a_result(run or found, gate=settings)], a_context())  # type: ignore[arg-type]


# -- every state ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", reports())
def test_junit_has_a_failure_or_an_error_if_and_only_if_the_report_blocks(state: str) -> None:
    report = reports()[state]
    red = {case.classname for case in cases(report) if case_state(case) in {"failure", "error"}}
    assert len(red) == (1 if report.problems else len(report.acting))


@pytest.mark.parametrize("state", reports())
def test_each_gate_has_a_suite_and_each_case_a_name_of_its_own(state: str) -> None:
    report = reports()[state]
    found = suites(report)
    assert len(found) == max(1, len(report.gates))
    for suite, of_suite in found.items():
        assert {case.classname for case in of_suite} == {suite}
        assert len({case.name for case in of_suite}) == len(of_suite)


@pytest.mark.parametrize("state", states())
def test_the_short_report_of_every_state_can_be_read(state: str) -> None:
    results, context = states()[state]
    report = build_report(results, context, short=True)
    assert len(suites(report)) == len(report.gates)


# -- what becomes what ------------------------------------------------------------------------------------------------


def test_a_gate_that_blocks_fails_with_its_thresholds_and_failures() -> None:
    limits = {"min_pass_rate": 0.85, "max_unsafe": 9, "min_reliability_score": 80}
    report = a_report(
        limits=limits,
        run=a_run(
            run_with(FAILING, reliability_score=Reading()),
            a_gate(limits=limits),
            enrichment=Enrichment(failures=FAILURES),
        ),
    )
    assert case_states(report) == {
        "result": "failure",
        "min_pass_rate": "failure",
        "min_reliability_score": "skipped",
        "max_unsafe": "passed",
        "failure: unsafe_action under timeouts": "failure",
        "failure: tool_misuse under malformed_output": "failure",
        "failure: tool_misuse": "failure",
        "failure: incomplete under timeouts": "failure",
    }
    said = messages(report)
    assert said["min_pass_rate"] == "Pass rate 72.0% is below the required 85.0%."
    assert said["min_reliability_score"] == "Reliability score: not reported."
    assert said["failure: tool_misuse"] == "medium ×1: Called the tool without its order id."


def test_the_failures_of_a_gate_that_passed_are_skipped_with_their_text() -> None:
    report = a_report(run=a_run(PASSING, enrichment=Enrichment(failures=(a_failure(),))))
    assert case_states(report) == {
        "result": "passed",
        "min_pass_rate": "passed",
        "max_unsafe": "passed",
        "failure: loop under timeouts": "skipped",
    }
    assert messages(report) == {"failure: loop under timeouts": "Not blocking. high ×1: It went round."}


def test_a_gate_that_waits_for_an_approval_fails_and_says_so() -> None:
    (result, *_) = cases(reports()["fail-soft-waiting"])
    assert case_state(result) == "failure"
    assert result.result[0].type == "needs_approval"
    assert result.result[0].message.endswith(" The gate needs an approval.")


@pytest.mark.parametrize("decision", [Decision.ERROR, Decision.PENDING])
def test_a_gate_without_a_result_is_an_error_unless_it_is_allowed(decision: Decision) -> None:
    run = undecided(decision, "No one answered.", "Ask again.")
    blocked, allowed = a_report(run=run), a_report(run=run, on_undecided=OnUndecided.ALLOW)
    not_compared = {"min_pass_rate": "skipped", "max_unsafe": "skipped"}
    assert case_states(blocked) == {"result": "error", **not_compared}
    assert messages(blocked)["result"] == "No one answered. Ask again."
    assert case_states(allowed) == {"result": "skipped", **not_compared}
    assert messages(allowed)["result"] == "Not blocking. No one answered. Ask again."


def test_numbers_of_a_failed_evaluation_are_no_decision() -> None:
    run = a_run(replace(FAILING, status="error", decision=""), enrichment=Enrichment(failures=FAILURES))
    found = case_states(a_report(run=run))
    assert found.pop("result") == "error"
    assert set(found.values()) == {"skipped"}


def test_a_skipped_gate_is_skipped_for_its_reason() -> None:
    report = a_report(run=undecided(Decision.SKIPPED, "No file matches."))
    assert case_states(report) == {"result": "skipped"}
    assert messages(report) == {"result": "No file matches."}


def test_the_reason_is_message_and_content_and_the_time_that_of_the_longest_run() -> None:
    (suite,) = JUnitXml.fromstring(junit_xml(reports()["traces"]))
    result = next(iter(suite))
    assert (suite.time, result.time) == (600, 600)
    assert result.result[0].message == result.result[0].text != ""


# -- names ------------------------------------------------------------------------------------------------------------


def test_names_do_not_change_with_counts_ids_and_severities() -> None:
    trace = a_gate().traces[0]
    uploaded = a_gate(traces=(replace(trace, label="traces/a.json", content=b"{}"),))

    def names(rate: float, trace_id: str, commit: str, **failure: object) -> list[str]:
        run = a_run(
            run_with(FAILING, pass_rate=rate),
            uploaded,
            trace="traces/a.json",
            trace_id=trace_id,
            run_id=trace_id,
            trace_may_be_cause=True,
            enrichment=Enrichment(failures=(a_failure(trace_id=trace_id, **failure),)),
        )
        report = build_report([a_result(run, gate=uploaded)], a_context(commit=commit))
        return [case.name for case in cases(report)]

    first = names(0.5, "t-1", "a" * 40)
    assert "failure: loop under timeouts in traces/a.json" in first
    assert sorted(names(0.6, "t-2", "b" * 40, count=7, severity="low", description="Again.")) == sorted(first)


def test_what_is_fixed_is_a_case_that_passed_under_the_name_that_it_failed_under() -> None:
    fixed, still = a_failure(trace_id="t-1"), a_failure(severity="low")
    found = Enrichment(failures=(a_failure(count=5, new=4), a_failure(mutation="", new=0)), fixed=(fixed, still))
    for run in (a_run(FAILING, enrichment=found), a_run(PASSING, enrichment=found)):
        kept = case_states(a_report(run=run))
        assert kept["failure: loop under timeouts in t-1"] == "passed"
        assert kept["failure: loop under timeouts"] != "passed"
    assert case_states(a_report(fixed))["failure: loop under timeouts in t-1"] == "failure"
    said = messages(a_report(run=a_run(FAILING, enrichment=found)))
    assert said["failure: loop under timeouts"] == "high ×5, 4 new: It went round."
    assert said["failure: loop"] == "high ×1, known: It went round."


def test_failures_that_only_their_severity_distinguishes_share_a_case() -> None:
    report = a_report(a_failure(severity="low", count=3), a_failure(), a_failure(trace_id="t-1"))
    said = messages(report)
    assert said["failure: loop under timeouts"] == "high ×1: It went round.; low ×3: It went round."
    assert said["failure: loop under timeouts in t-1"] == "high ×1: It went round."


def test_a_failure_named_like_a_threshold_is_another_case() -> None:
    report = a_report(a_failure(type="min_pass_rate", mutation=""), a_failure(type="result", mutation=""))
    names = ["result", "min_pass_rate", "max_unsafe", "failure: min_pass_rate", "failure: result"]
    assert list(case_states(report)) == names


# -- invalid settings -------------------------------------------------------------------------------------------------


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
    assert b' file=".github/sepurux-gate.yml" line="3"' in junit_xml(report)


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
    report = a_report(a_failure(description="&" * 2_000, type="😀" * 2_000))
    for case in cases(report):
        assert len(case.name) <= 500
        assert all(len(text) <= 1_000 for found in case.result for text in (found.message, found.text))


def test_a_gate_has_at_most_300_failures_and_says_how_many_more_there_are() -> None:
    found = list(cases(a_report(*(a_failure(trace_id=f"t-{number}") for number in range(302)))))
    assert sum(case.name.startswith("failure: ") for case in found) == 300
    assert (case_state(found[-1]), found[-1].result[0].message) == ("skipped", "2 more failures are in report.json.")
