"""One step on a clock that costs nothing, against a backend that is a function from a call and a time to its result."""

from collections.abc import Callable
from itertools import chain, repeat
from typing import Any

from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation.api import ApiRequest, Reply
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.gate_numbers import Base
from sepurux_action.evaluation.runs import Run
from sepurux_action.evaluation.step_evaluation import StepEvaluation
from tests.fakes import CAMPAIGN, FakeEngine, FakeOutput, backend

Poll = Callable[[float], Reply]
Maybe = Callable[[float], Reply | None]
Respond = Callable[[ApiRequest, float], Reply]
NUMBERS = {"status": "done", "decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1}
PASSED = Reply(payload=NUMBERS)
FAILED = Reply(payload={"status": "done", "decision": "fail"})
RUNNING = Reply(payload={"status": "running", "decision": "pending"})
HANGS = Reply(temporary=True, error="hangs")
GATE = Gate(name="core", campaign="core", traces=(Trace(label="trace-1", trace_id="trace-1"),))
KNOWN = Gate(name="core", campaign=CAMPAIGN, timeout_s=60)  # registered scenarios of a campaign that is not looked up


class Defective(dict[str, object]):
    """A payload that stands for a defect of ours: reading it raises what no JSON raises."""

    def get(self, *_: object) -> object:
        raise KeyError("a secret")


def http(status: int, retry_after_s: float | None = None) -> Reply:
    return Reply(temporary=True, error=f"HTTP {status}", status=status, retry_after_s=retry_after_s)


def rejected(status: int) -> Reply:
    return Reply(error="x", status=status)


def score(value: object) -> Reply:
    return Reply(payload={"reliability_score": value})


def after(seconds: float, response: Reply = PASSED, before: Reply = RUNNING) -> Poll:
    """Return responses: one from so many seconds after the start, another one until then."""
    return lambda time: response if time >= 1_000 + seconds else before


def in_turn(*responses: Reply) -> Poll:
    left = chain(responses, repeat(responses[-1]))
    return lambda _: next(left)


def until(seconds: float, response: Reply) -> Maybe:
    return lambda time: response if time < 1_000 + seconds else None


def at_first(*responses: Reply) -> Maybe:
    left = iter(responses)
    return lambda _: next(left, None)


def sound(**others: Reply) -> Respond:
    return backend(after(0), **others)


def instead(part: str, poll: Maybe, others: Respond | None = None) -> Respond:
    """Return a backend without faults, except for calls whose method, path, or purpose has this part."""
    others = others or sound()

    def respond(call: ApiRequest, time: float) -> Reply:
        response = poll(time) if part in f"{call.method} {call.path} {call.purpose}" else None
        return response or others(call, time)

    return respond


def scored(*responses: Reply, poll: Reply = PASSED) -> Respond:
    """Return a backend whose run has this result after 5 s, and whose requests for its score get these responses."""
    return instead("/reliability", in_turn(*responses), backend(after(5, poll)))


def traces(count: int) -> tuple[Trace, ...]:
    return tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(count))


def evaluate(calls: FakeEngine, *gates: Gate, output: FakeOutput | None = None, **more: Any) -> list[GateDecision]:  # noqa: ANN401
    evaluated = [(gate, Base(results=())) for gate in gates or (GATE,)]
    given = {"output": output or FakeOutput(), **more}
    return [*StepEvaluation(evaluated, {"repo": "o/r"}, calls, **given).evaluate().values()]


def runs_of(calls: FakeEngine, *gates: Gate, output: FakeOutput | None = None, with_passed: bool = False) -> list[Run]:
    decided = evaluate(calls, *gates, output=output, with_passed=with_passed)
    return [result for of_gate in decided for result in of_gate.runs]


def polls(calls: FakeEngine) -> list[tuple[float, str]]:
    return [(time - 1_000, call.path) for time, call in calls.calls if call.path.startswith("/v1/ci/batch/")]
