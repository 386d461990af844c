"""Several runs of a gate: the worst decides (contract, section 2)."""

from __future__ import annotations

import pytest

from sepurux_action.core.ci_run import CIRun
from sepurux_action.core.gate import RunResult, Trace
from sepurux_action.core.verdict import Decision, Ruling
from sepurux_action.core.wire import Metric
from tests.builders import a_content, a_gate, a_result


def a_run(decision: Decision, rate: float | None = None, trace: str = "a") -> RunResult:
    ruling = Ruling(decision=decision, reason=f"It is {decision}.", row=0)
    return RunResult(trace=trace, ruling=ruling, run=CIRun(pass_rate=Metric(rate)))


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
    ],
)
def test_the_worst_decision_counts_then_the_lowest_pass_rate_then_the_order(runs: list[RunResult], worst: int) -> None:
    result = a_result(*runs, gate=a_gate())
    assert result.worst is runs[worst]
    assert result.decision is runs[worst].decision


def test_the_reason_names_the_trace_only_where_there_are_several() -> None:
    fail = a_run(Decision.FAIL, trace="refund.json")
    assert a_result(fail).reason == "It is fail."
    assert a_result(a_run(Decision.PASS), fail).reason == "refund.json: It is fail."


def test_an_uploaded_trace_is_not_shown() -> None:
    assert "customer" not in repr(Trace(label="a", content=a_content(b"customer")))
