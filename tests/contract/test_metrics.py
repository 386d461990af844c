"""Every row of the table of metrics is in each place that shows a number, or compares it."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common import wording
from sepurux_action.config import options
from sepurux_action.config.options import flag_layer
from sepurux_action.config.settings import REGISTERED, Gate, Trace, read_settings
from sepurux_action.evaluation import api, metrics, results, runs
from sepurux_action.evaluation.decision import GateDecision, summarize
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, METRICS, SCENARIOS, Metric, Unit
from sepurux_action.report.data import json_text, step_outputs
from sepurux_action.report.report import Report, build_report
from sepurux_action.sandbox import CORE_CAMPAIGN, Sandbox, campaign_id
from tests.builders import a_context, a_gate, a_past_result, a_result, a_run, some_results

RAW = ((25, 75), (0.25, 0.75), (["a"], ["a", "b", "c"]))  # two different values of a number as JSON may have them


@dataclass(frozen=True)
class Case:
    """A metric with two values as a response may have them. A limit, if there is one, lies between them."""

    metric: Metric
    good: object
    bad: object

    def run(self, raw: object, decision: str = "fail") -> runs.Run:
        """Return a run of a batch of scenarios with this number; if it is the lowest one, of a single scenario."""
        batch = {"trace_count": 1 if self.metric is LOWEST_SCENARIO else 40}
        return runs.parse_run({**batch, "decision": decision, self.metric.field or self.metric.name: raw})

    def value(self, raw: object) -> float:
        return self.metric.read_value(raw).value or 0

    @property
    def limit(self) -> float:
        middle = wording.decimal((self.value(self.good) + self.value(self.bad)) / 2)
        return {option.name: option for option in options.LIMITS}[self.metric.threshold].parse(middle)

    @property
    def gate(self) -> Gate:
        limits = {self.metric.threshold: self.limit} if self.metric.threshold else {}
        lowest = self.metric is LOWEST_SCENARIO  # only for a gate that names traces
        return a_gate(limits=limits, traces=(Trace(label="t", trace_id="t") if lowest else Trace(label=REGISTERED),))

    @property
    def result(self) -> GateDecision:
        return a_result(a_run(self.run(self.bad)), gate=self.gate)

    @property
    def report(self) -> Report:
        past = [a_past_result(numbers={self.metric.name: self.value(self.good)})] * 3
        return build_report([self.result], a_context(base_ref="main", base_results={"refunds": some_results(*past)}))


def gate_in_json(case: Case) -> dict[str, Any]:
    (gate,) = json.loads(json_text(case.report))["gates"]
    return dict(gate)


def case_of(metric: Metric) -> Case:
    known = next(each for each in RAW if all(metric.read_value(raw).value is not None for raw in each))
    return Case(metric, *(known[::-1] if not metric.less_is_better else known))


def by_metric(attribute: str) -> pytest.MarkDecorator:
    """Call a test with each metric that has this attribute."""
    of = [case_of(metric) for metric in METRICS if getattr(metric, attribute)]
    return pytest.mark.parametrize("case", of, ids=[case.metric.name for case in of])


@by_metric("threshold")
def test_a_threshold_is_read_sent_and_decides(case: Case) -> None:
    threshold, text = case.metric.threshold, wording.decimal(case.limit)
    given = flag_layer({"campaign": "refunds", "trace_id": "t", threshold: text})
    assert read_settings([given], lambda _: ()).gates[0].limits[threshold] == case.limit
    met, missed = (a_result(a_run(case.run(raw, "pass")), gate=case.gate) for raw in (case.good, case.bad))
    assert (met.decision, missed.decision) == (runs.Decision.PASS, runs.Decision.FAIL)
    body = api.create_run(case.gate, "c", "", {}, "k").body
    assert isinstance(body, bytes)
    sent = {} if case.metric in {SCENARIOS, LOWEST_SCENARIO} else {threshold: case.limit}  # those are the gate's own
    assert json.loads(body)["thresholds"] == sent


@by_metric("name")
def test_a_number_is_in_report_json_in_outputs_and_in_the_sandbox(case: Case) -> None:
    bad = case.value(case.bad)
    assert gate_in_json(case)["numbers"][case.metric.name] == bad
    body = {"campaign_id": campaign_id(CORE_CAMPAIGN), "thresholds": metrics.sent_limits(case.gate)}
    with Sandbox() as sandbox:
        response = requests.post(sandbox.url + "/v1/ci/runs", json=body, timeout=10)
    assert (case.metric.field or case.metric.name) in response.json()
    if case.metric in metrics.LISTED:
        outputs = step_outputs([case.result], build_report([case.result], a_context()))
        assert outputs[case.metric.name] == wording.decimal(bad)


@pytest.mark.parametrize("case", [*map(case_of, metrics.PUBLISHED)], ids=lambda case: case.metric.name)
def test_a_published_number_is_in_the_status_and_compared_with_the_base(case: Case) -> None:
    good, bad = case.value(case.good), case.value(case.bad)
    found = results.parse_description(results.format_description(summarize(case.result)))
    assert found is not None
    assert found.value(case.metric) == bad
    assert {each["numbers"][case.metric.name] for each in gate_in_json(case)["base_results"]} == {good}
    (row,) = case.report.gates[0].rows
    assert row.base == case.metric.write(good, case.limit)


@pytest.mark.parametrize("metric", [each for each in METRICS if each.threshold], ids=lambda metric: metric.name)
@given(share=st.integers(0, 100))
def test_a_value_just_beyond_its_limit_is_written_differently(share: int, metric: Metric) -> None:
    step = {Unit.INTEGER: 1, Unit.FRACTION: 10.0**-metrics.RATE_DIGITS}.get(metric.unit, 10.0**-metrics.SCORE_DIGITS)
    highest = 1 if metric.unit is Unit.FRACTION else 100
    limit = share * highest / 100
    for value in (limit - step, limit + step):
        if value >= 0 and (value <= highest or metric.unit is Unit.INTEGER):
            assert metric.write(value, limit) != metric.write(limit, value)
