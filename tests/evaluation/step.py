"""One step against a backend that is a function, on a clock that costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, repeat

from sepurux_action.config.gate import Gate, Trace
from sepurux_action.evaluation.api import CAMPAIGNS, ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.drops import Base
from sepurux_action.evaluation.published_result import Baseline
from sepurux_action.evaluation.result import Evaluated
from sepurux_action.evaluation.runs import RunResult
from sepurux_action.evaluation.step_evaluation import StepEvaluation
from tests.fakes import CAMPAIGN, FakeApiCalls, FakeOutput, backend

Poll = Callable[[float], ApiResult]
Respond = Callable[[ApiRequest, float], ApiResult]

NUMBERS = {"status": "done", "decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1}
PASSED = Success(NUMBERS)
FAILED = Success({"status": "done", "decision": "fail"})
RUNNING = Success({"status": "running", "decision": "pending"})
HANGS = TransientError(reason="hangs")
LISTED = Success([{"campaign_id": CAMPAIGN, "name": "core"}, {"campaign_id": CAMPAIGN, "name": "refunds"}])
RESET = TransientError(reason="reset")
GATE = Gate(name="core", campaign="core", traces=(Trace(label="trace-1", trace_id="trace-1"),))
KNOWN = Gate(name="core", campaign=CAMPAIGN, timeout_s=60)  # registered scenarios of a campaign that is not looked up


class Defective(dict[str, object]):
    """A payload that stands for a defect of ours: reading it raises what no JSON raises."""

    def get(self, *_: object) -> object:
        raise KeyError("a secret")


def http(status: int, retry_after_s: float | None = None) -> TransientError:
    """Return the result of a call that the backend responded to with an error that may pass."""
    return TransientError(reason=f"HTTP {status}", status=status, reached=True, retry_after_s=retry_after_s)


def rejected(status: int) -> PermanentError:
    return PermanentError(reason="x", status=status)


def score(value: object) -> ApiResult:
    return Success({"reliability_score": value})


def traces(count: int) -> tuple[Trace, ...]:
    return tuple(Trace(label=f"{n}", trace_id=f"{n}") for n in range(count))


def after(seconds: float, response: ApiResult = PASSED, before: ApiResult = RUNNING) -> Poll:
    """Return responses: one from so many seconds after the start, another one until then."""
    return lambda time: response if time >= 1_000 + seconds else before


def in_turn(*responses: ApiResult) -> Poll:
    """Return these responses one after the other, the last one again and again."""
    left = chain(responses, repeat(responses[-1]))
    return lambda _: next(left)


def sound(**others: ApiResult) -> Respond:
    """Return a backend without faults, which decides at once."""
    return backend(after(0), **others)


def instead(part: str, poll: Poll, others: Respond | None = None) -> Respond:
    """Return a backend without faults, except for calls whose method, path, or purpose has this part."""
    others = others or sound()
    return lambda call, time: poll(time) if part in f"{call.method} {call.path} {call.purpose}" else others(call, time)


def listed(poll: Poll, project: str = "") -> Respond:
    """Return a backend whose requests for the campaigns of one project get these responses."""
    others = sound(campaigns=LISTED)
    return lambda call, time: poll(time) if (call.path, call.project) == (CAMPAIGNS, project) else others(call, time)


def by_score(*responses: ApiResult, runs: int = 1, poll: ApiResult | None = None) -> Respond:
    """Return a backend that responds to requests for a score with these, the last one again and again.

    For a batch of several runs, they are the responses by run.
    """
    run_ids = [f"run-{n}" for n in range(runs)]
    others = backend(after(5, poll or Success({**NUMBERS, "run_ids": run_ids})))
    if runs == 1:
        return instead("/reliability", in_turn(*responses), others)

    def respond(call: ApiRequest, time: float) -> ApiResult:
        if "/reliability" in call.path:
            return responses[run_ids.index(dict(call.query)["run_id"])]
        return others(call, time)

    return respond


def evaluate(calls: FakeApiCalls, *gates: Gate, output: FakeOutput | None = None) -> list[Evaluated]:
    evaluated = [(gate, Base(baseline=Baseline())) for gate in gates or (GATE,)]
    evaluation = StepEvaluation(evaluated, {"repo": "o/r"}, calls, output or FakeOutput(), lambda _: None)
    return [*evaluation.evaluate().values()]


def runs_of(calls: FakeApiCalls, *gates: Gate, output: FakeOutput | None = None) -> list[RunResult]:
    """Return the results of all runs of the gates."""
    return [result for of_gate in evaluate(calls, *gates, output=output) for result in of_gate.runs]


def polls(calls: FakeApiCalls) -> list[tuple[float, str]]:
    """Return the time since the start and the path of each poll."""
    return [(time - 1_000, call.path) for time, call in calls.calls if call.path.startswith("/v1/ci/batch/")]
