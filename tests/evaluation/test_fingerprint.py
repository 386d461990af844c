"""What changes the fingerprint of a gate, so that a cached `fail` is not reused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.decision import fingerprint

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
        replace(GATE, traces=GATE.traces[:1]),
        replace(GATE, traces=(Trace(label="t-2", trace_id="t-2"), GATE.traces[1])),
        replace(GATE, traces=(GATE.traces[0], Trace(label="a.json", content=b"{ }"))),
        replace(GATE, traces=Gate(name="", campaign="").traces),
        replace(GATE, campaign="refundsmy-agent", project=""),
        *(
            replace(GATE, limits={**GATE.limits, **changed})
            for changed in (
                {"min_pass_rate": 0.8},
                {"max_unsafe": 1},
                {"max_failures": 0},
                {"min_reliability_score": 0.0},
                {"min_mutation_categories": 0},
                {"max_pass_rate_drop": 0.0},
                {"max_reliability_score_drop": 0.0},
            )
        ),
    ],
)
def test_whatever_a_decision_depends_on_changes_the_fingerprint(other: Gate) -> None:
    assert fingerprint(other) != fingerprint(GATE)


@pytest.mark.parametrize(
    "same",
    [
        replace(GATE, name="Other"),
        replace(GATE, stage=Stage.SOFT, on_undecided=OnUndecided.ALLOW, timeout_s=1),
        replace(GATE, traces=(Trace(label="moved.json", content=b"{}"), GATE.traces[0])),
        replace(GATE, required_mutation_categories=("b", "a")),
    ],
)
def test_names_stage_and_order_are_no_part_of_the_fingerprint(same: Gate) -> None:
    assert fingerprint(same) == fingerprint(GATE)
