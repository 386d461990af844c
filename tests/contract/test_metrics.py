"""Every row of the table of metrics is in each place that shows a number, or compares it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common import codec, number_format
from sepurux_action.config import options
from sepurux_action.config.gate import REGISTERED, Gate, Trace
from sepurux_action.config.layers import flag, input_layer
from sepurux_action.config.settings import read_settings
from sepurux_action.evaluation import api
from sepurux_action.evaluation.checks import CheckState
from sepurux_action.evaluation.ci_run import CIRun, parse_ci_run
from sepurux_action.evaluation.decision import Decision, fingerprint
from sepurux_action.evaluation.drops import Base
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, METRICS, MUTATION_CATEGORIES, SCENARIOS, Metric
from sepurux_action.evaluation.published_result import CommitResults, format_description, parse_description
from sepurux_action.evaluation.result import GateResult, summarize
from sepurux_action.github.comment_state import CommentState, StateLine, fails_of
from sepurux_action.report.brief import brief
from sepurux_action.report.junit import junit_xml
from sepurux_action.report.outputs import OUTPUTS, step_outputs
from sepurux_action.report.rendering import render_comment, render_lines, render_summary
from sepurux_action.report.report import Report, build_report
from sepurux_action.report.report_json import report_json
from sepurux_action.sandbox import CORE_CAMPAIGN, Sandbox, campaign_id
from tests.builders import COMMIT, EARLIER, a_baseline, a_context, a_gate, a_past_result, a_result, a_run

COMMENT = StateLine(signing_key="s3cret", repository="acme/shop", pull_request=42, key="refunds")
RAW = ((25, 75), (0.25, 0.75), (["a"], ["a", "b", "c"]))  # two different values of a number as JSON may have them


@dataclass(frozen=True)
class Case:
    """A metric with two values as a response may have them. A limit, if there is one, lies between them."""

    metric: Metric
    good: object
    bad: object

    def run(self, raw: object, decision: str = "fail") -> CIRun:
        """Return a run of a batch of scenarios with this number; if it is the lowest one, of a single scenario."""
        batch = {"trace_count": 1 if self.metric is LOWEST_SCENARIO else 40}
        return parse_ci_run({**batch, "decision": decision, self.metric.field or self.metric.name: raw})

    def value(self, raw: object) -> float:
        value = self.metric.format.read(raw).value
        assert value is not None
        return value

    @property
    def limit(self) -> float:
        middle = number_format.decimal((self.value(self.good) + self.value(self.bad)) / 2)
        return {option.name: option for option in options.LIMITS}[self.metric.threshold].kind.parse(middle)

    @property
    def gate(self) -> Gate:
        limits = {self.metric.threshold: self.limit} if self.metric.threshold else {}
        return a_gate(limits=limits, traces=(Trace(label=REGISTERED),))

    @property
    def result(self) -> GateResult:
        return a_result(a_run(self.run(self.bad)), gate=self.gate)

    @property
    def report(self) -> Report:
        past = [a_past_result(numbers={self.metric.name: self.value(self.good)})] * 3
        return build_report([self.result], a_context(base_ref="main", baselines={"refunds": a_baseline(*past)}))


def gate_in_json(case: Case) -> dict[str, Any]:
    (gate,) = json.loads(json.dumps(report_json(case.report)))["gates"]
    return dict(gate)


def case_of(metric: Metric) -> Case:
    known = next(each for each in RAW if all(metric.format.read(raw).value is not None for raw in each))
    return Case(metric, *(known[::-1] if not metric.less_is_better else known))


# The number of scenarios and the lowest one are no thresholds of Sepurux, and the number is no column of the table.
NOT_THERE = {
    ("the thresholds that Sepurux gets", "scenarios"),
    ("the thresholds that Sepurux gets", "lowest_scenario"),
    ("the table of earlier commits", "scenarios"),
}
PLACES: list[tuple[str, str, Callable[[Case], bool]]] = []


def place(name: str, attribute: str = "name") -> Callable[[Callable[[Case], bool]], Callable[[Case], bool]]:
    """Add a place that has each metric with this attribute."""

    def add(found: Callable[[Case], bool]) -> Callable[[Case], bool]:
        PLACES.append((name, attribute, found))
        return found

    return add


# -- settings ---------------------------------------------------------------------------------------------------------


@place("the settings", "threshold")
def _(case: Case) -> bool:
    text = number_format.decimal(case.limit)
    inputs = {"campaign": "refunds", case.metric.threshold: text}
    (gate,) = read_settings([input_layer(inputs)], lambda _pattern: ()).gates
    return gate.limits[case.metric.threshold] == case.limit


@place("the settings, as a drop", "drop")
def _(case: Case) -> bool:
    (gate,) = read_settings([input_layer({"campaign": "refunds", case.metric.drop: "1"})], lambda _pattern: ()).gates
    return (
        gate.limits[case.metric.drop] == 1
        and case.metric.drop in options.DROPS
        and case.metric.drop not in gate.thresholds
    )


# -- the evaluation ---------------------------------------------------------------------------------------------------


@place("the thresholds that Sepurux gets", "threshold")
def _(case: Case) -> bool:
    body = api.create_run(case.gate, "c", "", {}, "k").body
    assert isinstance(body, bytes)
    return bool(json.loads(body)["thresholds"][case.metric.threshold] == case.limit)


@place("the decision", "threshold")
def _(case: Case) -> bool:
    met, missed = (a_result(a_run(case.run(raw, "pass")), gate=case.gate) for raw in (case.good, case.bad))
    return (met.decision, missed.decision) == (Decision.PASS, Decision.FAIL)


@place("the fingerprint", "threshold")
def _(case: Case) -> bool:
    return fingerprint(case.gate) != fingerprint(a_gate(limits={}))


@place("the numbers of several runs")
def _(case: Case) -> bool:
    good, bad = case.value(case.good), case.value(case.bad)
    special = {SCENARIOS: 2, LOWEST_SCENARIO: bad, MUTATION_CATEGORIES: good}
    expected = special.get(case.metric, good + bad if case.metric.format.whole else (good + bad) / 2)
    for order in (case.good, case.bad), (case.bad, case.good):
        runs = [a_run(case.run(raw), trace=str(raw)) for raw in order]
        if a_result(*runs, gate=case.gate).numbers.value(case.metric) != expected:
            return False
    return True


@place("the drops", "drop")
def _(case: Case) -> bool:
    gate = a_gate(limits={case.metric.drop: case.value(case.good) / 100})
    base = a_baseline(*[a_past_result(numbers={case.metric.name: case.value(case.good)})] * 3)
    found = a_result(a_run(case.run(case.bad, "pass")), gate=gate, base=Base(baseline=base, branch="main"))
    return [check.state for check in found.checks] == [CheckState.MISSED]


# -- GitHub -----------------------------------------------------------------------------------------------------------


@place("the commit status", "published")
def _(case: Case) -> bool:
    found = parse_description(format_description(summarize(case.result)))
    return found is not None and found.value(case.metric) == case.value(case.bad)


@place("the results in the comment's state", "published")
def _(case: Case) -> bool:
    results = CommitResults(commit=COMMIT, results={"refunds": summarize(case.result)})
    (commit,) = COMMENT.read(COMMENT.write(CommentState(commits=(results,)))).commits
    return commit.results["refunds"].value(case.metric) == case.value(case.bad)


@place("the recorded fails in the comment's state")
def _(case: Case) -> bool:
    commits = (CommitResults(commit=COMMIT, results={}),)
    state = CommentState(commits=commits, fails=fails_of([case.result], EARLIER))
    fail = COMMENT.read(COMMENT.write(state)).at(COMMIT).fails.get(case.gate.name)
    return fail is not None and fail.numbers.value(case.metric) == case.value(case.bad)


# -- reports ----------------------------------------------------------------------------------------------------------


@place("the outputs", "output")
def _(case: Case) -> bool:
    written = number_format.decimal(case.value(case.bad))
    return case.metric.name in OUTPUTS and step_outputs([case.result])[case.metric.name] == written


@place("the metrics of report.json")
def _(case: Case) -> bool:
    gate = gate_in_json(case)
    return bool(gate["metrics"][case.metric.name] == case.value(case.bad))


@place("the thresholds of report.json", "threshold")
def _(case: Case) -> bool:
    gate = gate_in_json(case)
    return [row["metric"] for row in gate["thresholds"]] == [case.metric.name]


@place("the baseline in report.json", "published")
def _(case: Case) -> bool:
    gate = gate_in_json(case)
    return bool(gate["baseline"][case.metric.name] == case.value(case.good))


@place("the comparison with the base", "published")
def _(case: Case) -> bool:
    (gate,) = case.report.gates
    (row,) = gate.thresholds.requested
    return row.base_cell == case.metric.format.write(case.value(case.good), case.limit)


@place("the JUnit file", "threshold")
def _(case: Case) -> bool:
    return f'name="{case.metric.threshold}"' in junit_xml(case.report).decode()


@place("the brief", "threshold")
def _(case: Case) -> bool:
    (gate,) = codec.dump(brief(case.report))["gates"]
    return [row["metric"] for row in gate["missed"]] == [case.metric.name]


@place("the table of the comment", "threshold")
def _(case: Case) -> bool:
    return f"{case.metric.label} |" in render_comment(case.report, "")


@place("the table of earlier commits", "published")
def _(case: Case) -> bool:
    header = next(line for line in render_summary(case.report).split("\n") if line.startswith("| Commit |"))
    return f" {case.metric.heading} |" in header


@place("the terminal", "threshold")
def _(case: Case) -> bool:
    return any(case.metric.label in line for line in render_lines(case.report, "terminal"))


@place("the log", "threshold")
def _(case: Case) -> bool:
    return any(case.metric.label in line for line in render_lines(case.report, "log"))


@place("the command to reproduce", "threshold")
def _(case: Case) -> bool:
    (gate,) = case.report.gates
    return any(f"{flag(case.metric.threshold)} {number_format.decimal(case.limit)}" in e for e in gate.reproduction)


# -- the sandbox ------------------------------------------------------------------------------------------------------


@place("the sandbox")
def _(case: Case) -> bool:
    body = {"campaign_id": campaign_id(CORE_CAMPAIGN), "thresholds": case.gate.thresholds}
    with Sandbox() as sandbox:
        response = requests.post(sandbox.url + "/v1/ci/runs", json=body, timeout=10)
    return response.ok and (case.metric.field or case.metric.name) in response.json()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize(("name", "attribute", "found"), PLACES, ids=[name for name, *_ in PLACES])
def test_each_place_has_each_metric(name: str, attribute: str, found: Callable[[Case], bool], metric: Metric) -> None:
    if getattr(metric, attribute) and (name, metric.name) not in NOT_THERE:
        assert found(case_of(metric)), f"`{metric.name}` is missing in {name}"


@pytest.mark.parametrize("metric", [each for each in METRICS if each.threshold], ids=lambda metric: metric.name)
@given(share=st.integers(0, 100))
def test_a_value_just_beyond_its_limit_is_written_differently(share: int, metric: Metric) -> None:
    step = 1 if metric.format.whole else 10.0**-metric.format.digits
    limit = share * (metric.format.highest or 100) / 100
    for value in (limit - step, limit + step):
        if 0 <= value <= (metric.format.highest or value):
            assert metric.format.write(value, limit) != metric.format.write(limit, value)


def test_each_limit_is_that_of_one_metric() -> None:
    named = [option for metric in METRICS for option in (metric.threshold, metric.drop) if option]
    assert sorted(named) == sorted(option.name for option in options.LIMITS)
