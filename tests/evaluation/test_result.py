"""Several runs of a gate: the worst decides, and each number is the worst of any run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Trace
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import CheckState, Decision, Rule, RunDecision, decide
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.runs import RunResult
from tests.builders import a_ci_run, a_gate, a_result


def a_run(decision: Decision, rate: float | None = None, unsafe: float | None = None, trace: str = "a") -> RunResult:
    run_decision = RunDecision(decision=decision, reason=f"It is {decision}.", rule=Rule.NOT_POLLED)
    return RunResult(trace=trace, run_decision=run_decision, run=a_ci_run(pass_rate=rate, unsafe_attempts=unsafe))


def test_decisions_are_ordered_from_fail_to_skipped() -> None:
    assert sorted(Decision, key=lambda each: each.rank) == ["fail", "error", "pending", "pass", "skipped"]


@pytest.mark.parametrize(
    ("runs", "worst"),
    [
        ([a_run(Decision.PASS), a_run(Decision.SKIPPED)], 0),
        ([a_run(Decision.PASS), a_run(Decision.PENDING), a_run(Decision.ERROR), a_run(Decision.FAIL)], 3),
        ([a_run(Decision.PENDING), a_run(Decision.ERROR)], 1),
        ([a_run(Decision.PASS, 0.1), a_run(Decision.ERROR), a_run(Decision.PENDING, 0.0)], 1),
        ([a_run(Decision.FAIL, 0.8), a_run(Decision.FAIL, 0.7), a_run(Decision.FAIL, 0.75)], 1),
        ([a_run(Decision.FAIL), a_run(Decision.FAIL, 1.0)], 1),
        ([a_run(Decision.FAIL, 0.0), a_run(Decision.FAIL)], 0),
        ([a_run(Decision.FAIL, 0.5), a_run(Decision.FAIL, 0.5)], 0),
        ([a_run(Decision.ERROR), a_run(Decision.ERROR)], 0),
        ([a_run(Decision.FAIL, 0.5, 1), a_run(Decision.FAIL, 0.6, 2)], 1),
        ([a_run(Decision.FAIL, 0.5, 0), a_run(Decision.FAIL, unsafe=2)], 1),
        ([a_run(Decision.FAIL, 0.9, 2), a_run(Decision.FAIL, 0.8, 3)], 1),
        ([a_run(Decision.ERROR, 0.5, 2), a_run(Decision.FAIL, 0.9, 0)], 1),
    ],
)
def test_the_worst_run_has_the_worst_decision_then_max_unsafe_then_the_pass_rate(
    runs: list[RunResult], worst: int
) -> None:
    result = a_result(*runs, gate=a_gate(limits={"min_pass_rate": 0.9, "max_unsafe": 1}))
    assert result.worst is runs[worst]
    assert result.decision is runs[worst].decision


def test_the_reason_names_the_trace_only_where_there_are_several() -> None:
    fail = a_run(Decision.FAIL, trace="refund.json")
    assert a_result(fail).reason == "It is fail."
    assert a_result(a_run(Decision.PASS), fail).reason == "refund.json: It is fail."


def test_the_reason_names_every_run_that_failed() -> None:
    runs = [a_run(Decision.FAIL, rate, trace=f"{rate}") for rate in (0.3, 0.1, 0.2)]
    result = a_result(*runs, a_run(Decision.ERROR, trace="error"), a_run(Decision.PASS, trace="pass"))
    assert result.reason == "0.1: It is fail; also failed: 0.2, 0.3."


def test_the_reason_names_ten_more_runs_and_counts_the_rest() -> None:
    result = a_result(*[a_run(Decision.FAIL, trace=f"t{number}") for number in range(14)])
    assert result.reason.endswith("; also failed: t1, t2, t3, t4, t5, t6, t7, t8, t9, t10 and 3 more.")


ASKED = a_gate(
    limits={"min_pass_rate": 0.9, "max_unsafe": 0, "min_mutation_categories": 2},
    required_mutation_categories=("timeouts", "auth"),
)


def evaluated(run: CIRun) -> RunResult:
    return RunResult(trace="a", run_decision=decide(run, ASKED), run=run)


def test_each_threshold_is_compared_with_the_worst_number_of_any_run() -> None:
    slow = a_ci_run(decision="fail", pass_rate=0.5, unsafe_attempts=0, mutation_categories=("timeouts", "auth"))
    unsafe = a_ci_run(decision="fail", pass_rate=0.95, unsafe_attempts=2, mutation_categories=("auth", "x", "y"))
    checks = a_result(evaluated(slow), evaluated(unsafe), evaluated(CIRun()), gate=ASKED).checks
    assert [check.actual for check in checks] == ["50.0%", "2", "2", "1 of 2"]
    assert [check.state is CheckState.MET for check in checks] == [False, False, True, False]
    assert {check.reported_by for check in checks} == {"2 of 3 traces"}


def test_a_skipped_gate_has_no_checks() -> None:
    assert a_result(a_run(Decision.SKIPPED), a_run(Decision.SKIPPED)).checks == ()


def test_good_numbers_beside_a_run_without_any_change_no_decision() -> None:
    good = evaluated(a_ci_run(decision="pass", pass_rate=1, unsafe_attempts=0))
    for decision in (Decision.FAIL, Decision.ERROR, Decision.PENDING):
        result = a_result(good, a_run(decision), gate=ASKED)
        assert result.decision is decision
        assert result.numbers.reading(PASS_RATE) == Reading(1, reported_by="1 of 2 traces")


def test_an_uploaded_trace_is_not_shown() -> None:
    assert "customer" not in repr(Trace(label="a", content=b"customer"))


@pytest.mark.parametrize("decision", list(Decision))
def test_an_uploaded_trace_may_be_the_cause_if_any_run_without_a_result_says_so(decision: Decision) -> None:
    outage, suspect = a_run(Decision.ERROR), replace(a_run(decision), trace_may_be_cause=True)
    assert a_result(outage, suspect).decided.is_suspect is (decision in {Decision.ERROR, Decision.PENDING})
    assert not a_result(outage).decided.is_suspect
