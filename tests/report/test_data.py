"""What programs read of a report: `report.json` fits its schema; `junit.xml` and the outputs agree with the gate."""

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from jsonschema import Draft202012Validator
from junitparser import Error, JUnitXml, Skipped, TestCase
from junitparser import Failure as Failed

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.common.wording import joined
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import Trace
from sepurux_action.errors import Problem
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.gate_numbers import Scenario
from sepurux_action.evaluation.runs import Decision, Run
from sepurux_action.report.data import OUTPUTS, json_text, junit_xml, step_outputs, without_decision
from sepurux_action.report.report import Report, build_report, shortened
from tests import builders
from tests.builders import FAILING, HOSTILE, PASSING, a_context, a_gate, a_result, a_run, a_scenario, reports

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def written(report: Report) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json_text(report))
    VALIDATOR.validate(read)
    return read


def texts(value: object) -> str:
    if isinstance(value, dict):
        return "".join(map(texts, (*value, *value.values())))
    return "".join(map(texts, value)) if isinstance(value, list) else str(value)


def test_it_is_a_schema_that_describes_every_field_and_refers_to_no_other_file() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for found in (SCHEMA, *SCHEMA["$defs"].values()):
        assert [name for name, field in found["properties"].items() if not field.get("description")] == []
        assert found["additionalProperties"] is False
        assert found["required"] == list(found["properties"])
    assert set(re.findall(r'"\$ref": "(.)', json.dumps(SCHEMA))) == {"#"}


@pytest.mark.parametrize("state", reports())
def test_the_report_of_every_state_fits_the_schema_and_a_short_one_lacks_what_failed(state: str) -> None:
    assert written(reports()[state])["short"] is (state == "canceled")
    if state in builders.states():
        short = written(shortened(reports()[state]))
        assert short["short"] is True
        for gate in short["gates"]:
            assert (gate["failures"], gate["scenarios"]) == ([], [])


@given(builders.foreign_texts(5))
@example(HOSTILE)
@example("\ud800\0\u202e")
def test_a_report_of_any_text_fits_the_schema_and_shows_no_invisible_character(said: str) -> None:
    run = build_report([builders.hostile_result(said)], builders.hostile_context(said, f"{said}0"))
    problem = Problem(where=said, message=f"{said}.", file=said, line=3)
    for report in (run, builders.a_settings_report(problem, context=builders.hostile_context(said))):
        assert texts(written(report)).isprintable()


# -- junit.xml --


KINDS = {Failed: "failure", Error: "error", Skipped: "skipped"}
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


def a_batch(*scenarios: Scenario, run: Run = FAILING) -> Report:
    every = (*scenarios, a_scenario("sound", builders.a_poll(sepurux_decision="pass")))
    return build_report([a_result(a_run(builders.run_with(run, scenarios=len(every))), scenarios=every)], a_context())


LOOPS, UNDECIDED = a_scenario("loops", failures=(builders.a_failure(),)), a_scenario("undecided", builders.a_poll())
FLAKY = a_scenario("cancel", FAILING, trace=Trace(label="", flaky=date(2027, 1, 31)))
BROKEN, FAILED = replace(FAILING, status="error", sepurux_decision=""), a_scenario("refund twice", FAILING)
LOW = replace(a_scenario("low", PASSING), needed=0.99)
ONE_RUN = a_result(a_run(PASSING, run_id="run-1"), gate=a_gate(traces=(Trace(label=""),)))  # a batch of one scenario
NUMBERS = "72.0% passed, 1 unsafe, 5 failures"
MISSED = "failure: 72.0% passed, 85.0% needed; 1 unsafe."
SKIPPED = f"skipped: {NUMBERS}"
MARKED = f"skipped: Flaky until 2027-01-31. {NUMBERS}"


@pytest.mark.parametrize(
    ("report", "cases"),
    [
        (a_batch(FAILED, FLAKY), {"refund twice": f"failure: {NUMBERS}", "cancel": MARKED, "sound": "passed"}),
        (a_batch(LOOPS), {"loops": "failure: It went round.", "sound": "passed"}),
        (a_batch(LOW), {"low": "failure: 95.0% passed, 0 unsafe, 1 failure", "sound": "passed"}),
        (a_batch(a_scenario("unread")), {"unread": "skipped", "sound": "passed"}),
        (build_report([ONE_RUN], a_context()), {"run-1": "passed"}),
        (
            a_batch(LOOPS, UNDECIDED, FLAKY, run=PASSING),
            {"loops": "passed", "undecided": "passed", "cancel": MARKED, "sound": "passed"},
        ),
        (
            a_batch(a_scenario("sound", FAILING), a_scenario("gate", FAILING), run=BROKEN),
            {"sound": SKIPPED, "gate (2)": SKIPPED, "sound (2)": "skipped"},
        ),
    ],
    ids=range(7),
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
    problems = *builders.problems()[:2], same, same, Problem(where="", message="no YAML")
    found = shown(builders.a_settings_report(*problems))
    assert list(found) == ["thresholds", "input min_reliability_score", "gates", "gates (2)", "settings"]
    assert found["gates (2)"] == "error: `gates`: it has no item"


@given(builders.foreign_texts(5))
@example(HOSTILE)
@example("]]>\ud800\0\ufffe<a b='\"&")
@example("😀&" * 2_000)
def test_any_text_makes_a_file_that_can_be_read(said: str) -> None:
    results = [builders.hostile_result(each) for each in (f"{said} 1", f"\x1b{said} 2", f"{said} 3")]
    report = build_report(results, builders.hostile_context(said, f"{said}0"))
    assert len(suites(report)) == 3
    for each in (report, builders.a_settings_report(*[Problem(where=said, message=said, file=said)] * 3)):
        assert suites(each)
        assert junit_xml(each).decode().replace("\n", "").isprintable()


# -- outputs --


def outputs_of(*results: GateDecision) -> dict[str, str]:
    values = step_outputs(results, build_report(results, a_context()))
    assert sum(len(f"{name}{text}".encode("utf-16-le")) for name, text in values.items()) <= 1024 * 1024
    return values


def test_the_outputs_of_a_failed_gate_are_plain_decimals() -> None:
    values = outputs_of(a_result(a_run(trace_id="t-1", batch_id="b-1")))
    numbers = {"pass_rate": "0.72", "reliability_score": "61.5", "unsafe_attempts": "1", "failures": "5"}
    ids = {"run_id": builders.RUN_ID, "trace_id": "t-1", "campaign_id": builders.CAMPAIGN_ID}
    links = {"dashboard_url": builders.DASHBOARD, "comment_url": ""}
    found = {name: values[name] for name in values if name not in {"reason", "gates"}}
    assert found == {"decision": "fail", "conclusion": "failure", **numbers, **ids, **links}
    assert values["reason"].startswith("72.0% passed, 85.0% needed")


def test_without_a_decision_every_output_is_there_and_the_step_failed() -> None:
    values = without_decision("It was canceled.")
    assert list(values) == list(OUTPUTS)
    known = {"decision": "error", "conclusion": "failure", "reason": "It was canceled.", "gates": "[]"}
    assert {name: text for name, text in values.items() if text} == known


@pytest.mark.parametrize("state", builders.states())
def test_every_output_is_there_and_gates_are_those_of_report_json_in_their_order_without_scenarios(state: str) -> None:
    results, context = builders.states()[state]
    report = build_report(results, context)
    values = step_outputs(results, report)
    assert list(values) == list(OUTPUTS)
    expected = {gate["name"]: gate for gate in json.loads(json_text(report))["gates"]}
    assert all(gate.pop("scenarios") is not None for gate in expected.values())
    assert json.loads(values["gates"]) == [expected[json_reader.printable(each.gate.name)] for each in results]


def test_what_is_not_known_or_makes_no_sense_is_empty_and_zero_is_zero() -> None:
    values = outputs_of(a_result(builders.undecided(Decision.ERROR, "Nothing was heard.")))
    assert {values[name] for name in ("run_id", "trace_id", "pass_rate", "failures", "dashboard_url")} == {""}
    run = builders.run_with(
        FAILING, pass_rate=Reading(broken='no number: "none"'), failures=0, unsafe_attempts=Reading()
    )
    values = outputs_of(a_result(a_run(run)))
    assert (values["pass_rate"], values["failures"], values["unsafe_attempts"]) == ("", "0", "")


def test_a_gate_that_blocks_is_the_worst_then_the_decision_counts_then_the_order() -> None:
    failed, error, late, again = (
        a_result(a_run(run_id="r-0"), gate=a_gate(name="a", stage=Stage.OBSERVE)),
        a_result(builders.undecided(Decision.ERROR, "Nothing was heard."), gate=a_gate(name="b", stage=Stage.OBSERVE)),
        *(a_result(a_run(run_id=run), gate=a_gate(name=run)) for run in ("r-1", "r-2")),
    )
    blocks = replace(error, blocks=True)
    worst = [outputs_of(*each)["run_id"] for each in ([error, failed], [failed, blocks], [failed, late, again])]
    assert worst == ["r-0", "", "r-1"]
    assert [outputs_of(failed, blocks)[name] for name in ("decision", "conclusion")] == ["fail", "failure"]


def test_outputs_fit_into_a_job_with_every_gate_and_the_worst_gates_ids() -> None:
    ids, names = [f"{number:032x}" for number in range(100)], [f"gate-{number}" for number in range(26)]
    runs = [a_run(run_id=each, trace_id=each, batch_id=each) for each in ids]
    values = outputs_of(*(a_result(*runs, gate=a_gate(name=name)) for name in names))
    assert values["run_id"].split(",") == ids
    assert [(each["name"], each["decision"]) for each in json.loads(values["gates"])] == [(n, "fail") for n in names]


def test_ids_without_end_are_cut_between_two_and_the_longest_fields_of_gates_are_null() -> None:
    tools = {"🚀" * 1_000 + str(n): 1 for n in range(1_000)}
    ids = tuple(f"{number:0200}" for number in range(1_000))
    run = a_run(replace(PASSING, run_ids=ids, failing_tools=tools), trace_id="t-1", run_id="", batch_id="b")
    values = outputs_of(a_result(run, run, a_run(PASSING, trace_id="t-2", run_id=ids[0])))
    assert values["trace_id"] == "t-1,t-2"
    assert 39_000 < len(values["run_id"]) <= 40_000
    assert values["run_id"].split(",") == [*ids[: len(values["run_id"]) // 200]]
    [gate] = json.loads(values["gates"])
    assert gate["failing_tools"] is None
    assert gate["checks"]
