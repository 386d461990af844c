"""One step against a backend that is a function, on a clock that costs nothing."""

from typing import Any

from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.gate_numbers import Base
from sepurux_action.evaluation.runs import Run
from sepurux_action.evaluation.step_evaluation import StepEvaluation
from tests.fakes import CAMPAIGN, FakeEngine, FakeOutput

GATE = Gate(name="core", campaign="core", traces=(Trace(label="trace-1", trace_id="trace-1"),))
KNOWN = Gate(name="core", campaign=CAMPAIGN, timeout_s=60)  # registered scenarios of a campaign that is not looked up


def traces(count: int) -> tuple[Trace, ...]:
    return tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(count))


def evaluate(
    calls: FakeEngine,
    *gates: Gate,
    output: FakeOutput | None = None,
    **more: Any,  # noqa: ANN401 - of many types
) -> list[GateDecision]:
    evaluated = [(gate, Base(results=())) for gate in gates or (GATE,)]
    given = {"output": output or FakeOutput(), **more}
    return [*StepEvaluation(evaluated, {"repo": "o/r"}, calls, **given).evaluate().values()]


def runs_of(
    calls: FakeEngine,
    *gates: Gate,
    output: FakeOutput | None = None,
    with_passed: bool = False,
) -> list[Run]:
    decided = evaluate(calls, *gates, output=output, with_passed=with_passed)
    return [result for of_gate in decided for result in of_gate.runs]


def polls(calls: FakeEngine) -> list[tuple[float, str]]:
    """Return the time since the start and the path of each poll."""
    return [(time - 1_000, call.path) for time, call in calls.calls if call.path.startswith("/v1/ci/batch/")]
