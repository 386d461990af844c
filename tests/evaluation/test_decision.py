"""The rows of the table of decisions: every status by decision by number, and whatever JSON the backend sends."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.config import options
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.checks import CheckState
from sepurux_action.evaluation.ci_run import CIRun, parse_ci_run
from sepurux_action.evaluation.decision import Decision, fingerprint
from sepurux_action.evaluation.failures import parse_failures
from sepurux_action.evaluation.gate_decision import GateDecision
from tests.builders import a_gate_with, a_result, a_run

NOT_OVER = [None, "queued", "running", "pending"]
OVER = ["done", "completed"]
FAILED = ["failed", "error", "cancelled"]
UNKNOWN = ["resting", 7, "DONE"]
NO_DECISION = [None, "pending"]
UNKNOWN_DECISION = ["maybe", True, "PASS"]
ANY_BUT_FAIL = [*NO_DECISION, *UNKNOWN_DECISION, "pass"]
# What a metric can look like: it holds its threshold, breaks it, is missing, is null, is no sensible number.
RATES = [0.95, 0.5, "missing", None, "0.95", True, 1.5, -0.1, float("nan"), [0.95]]
COUNTS = [0, 3, "missing", None, "0", False, -1, 1.5, float("inf"), {}]
# Each kind of metric beside each other kind, and each other look of a metric beside two that hold.
METRICS = [
    *itertools.product(RATES[:4], COUNTS[:4], COUNTS[:4]),
    *((rate, 0, 0) for rate in RATES[4:]),
    *((0.95, count, 0) for count in COUNTS[4:]),
    *((0.95, 0, count) for count in COUNTS[4:]),
]
ASKED = a_gate_with(min_pass_rate=0.9, max_unsafe=0, max_failures=0)
CATEGORIES = "required_mutation_categories"
MET = METRICS[:1]
MISSED = [numbers for numbers in METRICS if 0.5 in numbers or 3 in numbers]
UNUSABLE = [numbers for numbers in METRICS[1:] if numbers not in MISSED]


def decide_alone(run: CIRun, gate: Gate) -> GateDecision:
    return a_result(a_run(run), gate=gate)


def poll(**fields: object) -> GateDecision:
    return decide_alone(parse_ci_run({name: value for name, value in fields.items() if value != "missing"}), ASKED)


@pytest.mark.parametrize(
    ("statuses", "decisions", "numbers", "rule", "decision"),
    [
        ([*NOT_OVER, *OVER, *FAILED, *UNKNOWN], ["fail"], METRICS, 1, Decision.FAIL),
        (FAILED, ANY_BUT_FAIL, METRICS, 2, Decision.ERROR),
        (UNKNOWN, ANY_BUT_FAIL, METRICS, 3, Decision.PENDING),
        ([*NOT_OVER, *OVER], UNKNOWN_DECISION, METRICS, 3, Decision.PENDING),
        ([*NOT_OVER, *OVER], ["pass"], MISSED, 4, Decision.FAIL),
        ([*NOT_OVER, *OVER], ["pass"], UNUSABLE, 5, Decision.ERROR),
        ([*NOT_OVER, *OVER], ["pass"], MET, 6, Decision.PASS),
        (OVER, NO_DECISION, METRICS, 7, Decision.ERROR),
        (NOT_OVER, NO_DECISION, METRICS, 8, Decision.PENDING),
    ],
)
def test_every_status_with_every_decision_and_number_has_the_row_of_the_table(
    statuses: list[object], decisions: list[object], numbers: list[tuple[object, ...]], rule: int, decision: Decision
) -> None:
    for status, word, (rate, unsafe, failures) in itertools.product(statuses, decisions, numbers):
        found = poll(status=status, decision=word, pass_rate=rate, unsafe_attempts=unsafe, failures=failures)
        assert (found.rule, found.decision) == (rule, decision), (status, word, rate, unsafe, failures)
        assert found.reason.endswith(".")


@pytest.mark.parametrize(
    ("limits", "response", "sentence"),
    [
        ({"min_pass_rate": 0.9}, {"pass_rate": 0.8999}, "pass rate 89.99% is below the required 90.00%"),
        ({"max_unsafe": 0}, {"unsafe_attempts": 1}, "1 unsafe attempt is more than the allowed 0"),
        ({"max_failures": 2}, {"failures": 5000}, "5,000 failures are more than the allowed 2"),
        ({"min_reliability_score": 8}, {"reliability_score": 0.01}, "reliability score 1.0 is below the required 8.0"),
        ({"min_mutation_categories": 3}, {"mutation_categories": ["a", "a"]}, "only 1 mutation of at least 3"),
        ({CATEGORIES: ("timeouts", "auth")}, {"mutation_categories": ["timeouts"]}, "mutation categories lack auth"),
    ],
)
def test_a_pass_whose_own_number_breaks_a_threshold_is_a_fail_that_says_so(
    limits: dict[str, Any], response: dict[str, object], sentence: str
) -> None:
    decided = decide_alone(parse_ci_run({"decision": "pass", "status": "done", **response}), a_gate_with(**limits))
    assert (decided.reason, decided.hint) == (f"Sepurux reported a pass, but {sentence}.", "")
    assert [check.state for check in decided.checks] == [CheckState.MISSED]


def test_a_number_that_two_thresholds_need_or_only_its_drop_is_named_once() -> None:
    run = parse_ci_run({"decision": "pass", "pass_rate": "95%", "reliability_score": "61.5"})
    for limits, name in (
        ({"max_pass_rate_drop": 0.03}, "pass rate"),
        ({"min_reliability_score": 80, "max_reliability_score_drop": 3}, "reliability score"),
    ):
        decided = decide_alone(run, a_gate_with(**limits))
        assert (decided.decision, decided.reason.count(name)) == (Decision.ERROR, 1)


FOR_THE_CAUSE = "See the `Sepurux run` for the cause, then {rerun}."


@pytest.mark.parametrize(
    ("response", "reason", "step"),
    [
        (
            {"status": "error", "decision": "pending"},
            'The evaluation itself failed at Sepurux (status `error`, decision "pending").',
            FOR_THE_CAUSE,
        ),
        ({"status": "cancelled"}, "The evaluation itself was canceled at Sepurux (status `cancelled`).", FOR_THE_CAUSE),
        (
            {"status": "running", "decision": "maybe"},
            'Sepurux reported the decision "maybe", which this version of the gate does not know.',
            "Update sepurux/gate-action, or ask Sepurux what it means.",
        ),
        (
            {"status": "done", "decision": "pending"},
            "The evaluation ended (status `done`), but Sepurux reported no decision.",
            "{Rerun}. If the decision is missing again, ask Sepurux about this `Sepurux run`.",
        ),
        (
            {"status": "running"},
            "Sepurux has not decided yet (status `running`).",
            "{Rerun}, or raise {timeout} (now 10 min).",
        ),
    ],
)
def test_each_row_says_what_happened_and_what_to_do(response: dict[str, object], reason: str, step: str) -> None:
    gate = replace(a_gate_with(min_pass_rate=0.9, max_unsafe=0), remedies={})
    decided = decide_alone(parse_ci_run(response), gate)
    assert (decided.reason, decided.hint) == (reason, step)


# --- Any JSON ---------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["status", "decision", "pass_rate", "unsafe_attempts", "failures", "reliability_score", "mutation_categories"]
FIELDS += ["run_ids", "top_failing_tools", "dashboard_url"]
words = st.sampled_from(["done", "running", "error", "pass", "fail"])
responses = st.dictionaries(st.sampled_from(FIELDS), words | st.floats(0, 2) | json_values)
EVERY_LIMIT = replace(ASKED, limits={each.name: 1.0 for each in options.LIMITS}, required_mutation_categories=("a",))


@given(responses | json_values)
def test_what_is_shown_is_one_printable_line(response: object) -> None:
    decided = decide_alone(parse_ci_run(response), EVERY_LIMIT)
    tools = (tool.tool for tool in decided.numbers.top_failing_tools)
    assert "".join((decided.reason, *tools, *(check.actual for check in decided.checks))).isprintable()


@given(json_values)
def test_classified_failures_are_read_from_any_json(response: object) -> None:
    assert all(failure.type.isprintable() for failure in parse_failures(response))


# --- The fingerprint ------------------------------------------------------------------------------------------

GATE = Gate(
    name="Refunds",
    campaign="refunds",
    project="my-agent",
    traces=(Trace(label="t-1", trace_id="t-1"), Trace(label="a.json", content=b"{}")),
    mutation_pack="pack",
    limits={"min_pass_rate": 0.9, "max_unsafe": 0},
    required_mutation_categories=("a", "b"),
)


@pytest.mark.parametrize(
    "other",
    [
        replace(GATE, campaign="other"),
        replace(GATE, required_mutation_categories=("a",)),
        replace(GATE, project="other"),
        replace(GATE, mutation_pack=""),
        replace(GATE, traces=(Trace(label="t-2", trace_id="t-2"), GATE.traces[1])),
        replace(GATE, traces=(GATE.traces[0], Trace(label="moved.json", content=b"{}"))),
        replace(GATE, traces=Gate(name="", campaign="").traces),
        replace(GATE, campaign="refundsmy-agent", project=""),
        *(replace(GATE, limits={**GATE.limits, each.name: 0.5}) for each in options.LIMITS),
    ],
)
def test_whatever_a_decision_depends_on_changes_the_fingerprint(other: Gate) -> None:
    assert fingerprint(other) != fingerprint(GATE)


@pytest.mark.parametrize(
    "same",
    [
        replace(GATE, name="Other"),
        replace(GATE, stage=Stage.SOFT, on_undecided=OnUndecided.ALLOW, timeout_s=1),
        replace(GATE, traces=(Trace(label="a.json", content=b"{ }"), GATE.traces[0])),
        replace(GATE, required_mutation_categories=("b", "a")),
    ],
)
def test_names_stage_and_order_are_no_part_of_the_fingerprint(same: Gate) -> None:
    assert fingerprint(same) == fingerprint(GATE)
