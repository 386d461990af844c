"""Backends as functions from a call and a time to its result."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, repeat

from sepurux_action.evaluation.api import CAMPAIGNS, ApiRequest, ApiResult, PermanentError, Success, TransientError
from tests.fakes import CAMPAIGN, backend

Poll = Callable[[float], ApiResult]
Respond = Callable[[ApiRequest, float], ApiResult]
NUMBERS = {"status": "done", "decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1}
PASSED = Success(NUMBERS)
FAILED = Success({"status": "done", "decision": "fail"})
RUNNING = Success({"status": "running", "decision": "pending"})
HANGS = TransientError(reason="hangs")
LISTED = Success([{"campaign_id": CAMPAIGN, "name": "core"}, {"campaign_id": CAMPAIGN, "name": "refunds"}])
RESET = TransientError(reason="reset")


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
