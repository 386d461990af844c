"""Whatever JSON the backend sends, a gate passes only with a `pass` that its own numbers support."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.ci_run import parse_ci_run, parse_failures
from sepurux_action.evaluation.decision import Decision, decide
from tests.builders import a_gate_with

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
# Answers that look like the API's, with any JSON where a value should be, so that passes are common enough to matter.
responses = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["done", "completed", "running", "failed", "error", "cancelled"]) | json_values,
        "decision": st.sampled_from(["pass", "pass", "fail", "pending"]) | json_values,
        "pass_rate": st.floats(0, 1) | st.sampled_from([0.9, 1, 0]) | json_values,
        "unsafe_attempts": st.integers(0, 2) | json_values,
        "failures": st.integers(0, 2) | json_values,
        "reliability_score": st.floats(0, 100) | st.sampled_from([1, 1.0]) | json_values,
        "mutation_categories": st.lists(st.sampled_from(["timeouts", "auth"])) | json_values,
        "run_ids": json_values,
        "top_failing_tools": json_values,
        "dashboard_url": json_values,
    },
)
thresholds = st.builds(
    a_gate_with,
    min_pass_rate=st.none() | st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    max_unsafe=st.none() | st.integers(0, 1),
    max_failures=st.none() | st.integers(0, 1),
    min_reliability_score=st.none() | st.sampled_from([0.0, 50.0, 100.0]),
    min_mutation_categories=st.none() | st.integers(0, 2),
    required_mutation_categories=st.sampled_from([(), ("timeouts",)]),
)


def real(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def supported(response: Mapping[str, object], thresholds: Gate) -> bool:
    """Return whether the numbers of an answer support a pass, worked out from the raw JSON."""
    rate, unsafe, failures = (real(response.get(name)) for name in ("pass_rate", "unsafe_attempts", "failures"))
    score, categories = real(response.get("reliability_score")), response.get("mutation_categories")
    if score is not None and 0 <= score <= 1 and isinstance(response["reliability_score"], float):
        score *= 100
    asked = thresholds.limits
    return (
        ("min_pass_rate" not in asked or (rate is not None and asked["min_pass_rate"] - 5e-11 <= rate <= 1 + 5e-11))
        and ("max_unsafe" not in asked or (unsafe is not None and 0 <= unsafe <= asked["max_unsafe"]))
        and ("max_failures" not in asked or (failures is not None and 0 <= failures <= asked["max_failures"]))
        and (score is None or not 0 <= score < asked.get("min_reliability_score", 0) - 5e-9)
        and (
            not isinstance(categories, list)
            or len({c for c in categories if isinstance(c, str)}) >= asked.get("min_mutation_categories", 0)
        )
    )


@given(responses | json_values, thresholds)
def test_a_pass_is_a_pass_that_its_own_numbers_support(response: object, thresholds: Gate) -> None:
    run_decision = decide(parse_ci_run(response), thresholds)
    if run_decision.decision is Decision.PASS:
        assert isinstance(response, dict)
        assert response["decision"] == "pass"
        assert response.get("status") in {None, "", "queued", "running", "pending", "done", "completed"}
        assert supported(response, thresholds)


@given(responses, thresholds)
def test_a_fail_of_the_backend_is_never_anything_else(response: dict[str, object], thresholds: Gate) -> None:
    run_decision = decide(parse_ci_run({**response, "decision": "fail"}), thresholds)
    assert (run_decision.decision, run_decision.rule) == (Decision.FAIL, 1)


@given(responses | json_values, thresholds)
def test_what_is_shown_is_one_printable_line(response: object, thresholds: Gate) -> None:
    run = parse_ci_run(response)
    run_decision = decide(run, thresholds)
    texts = [run_decision.reason, *(check.actual for check in run_decision.checks)]
    texts += [tool.tool for tool in run.top_failing_tools]
    assert all(text.isprintable() for text in texts)


@given(json_values)
def test_classified_failures_are_read_from_any_json(response: object) -> None:
    assert all(failure.type.isprintable() for failure in parse_failures(response))
