"""Runs that are started once more to confirm a rate, and runs of an earlier workflow run that are polled on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

import pytest

from sepurux_action.config.gate import Gate, Trace
from sepurux_action.evaluation.api import ApiRequest, ApiResult, Success
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.gate_decision import GateDecision
from sepurux_action.evaluation.result import Evaluated
from sepurux_action.evaluation.runs import RunResult, Runs
from tests.builders import EARLIER
from tests.evaluation import step
from tests.evaluation.responses import RUNNING, rejected, score
from tests.fakes import CAMPAIGN, FakeApiCalls

TAKES_S = 10
UNDECIDED = {"status": "running", "decision": "pending"}
UPLOADED = (Trace(label="a.json", content=b"{}"), Trace(label="b.json", content=b"{}"))
GATE = Gate(name="core", campaign=CAMPAIGN, traces=UPLOADED, limits={"min_pass_rate": 0.85}, confirm=True)


def passed(rate: float, **fields: object) -> dict[str, object]:
    return {"status": "done", "decision": "pass", "pass_rate": rate, "failures": 0, "unsafe_attempts": 0, **fields}


class Backend(FakeApiCalls):
    """Decides each run after TAKES_S seconds; `responses` are those of the runs in the order of their start.

    Runs with the ids in `known` were started before. `scores` are by the id of a run, and so are its seconds `takes`.
    """

    def __init__(
        self,
        *responses: object,
        known: Mapping[str, object] = {},
        scores: Mapping[str, object] = {},
        takes: Mapping[str, float] = {},
        cancel_at: float | None = None,
    ) -> None:
        super().__init__(self._respond, cancel_at=cancel_at)
        self._runs = dict[str, tuple[float, object]]({each: (0, shown) for each, shown in known.items()})
        self._responses, self._numbers, self._scores, self._takes = iter(responses), count(1), scores, takes
        self.fails = list[tuple[int, str, bool]]()  # seconds since the start, gate, and whether it may change

    def _respond(self, call: ApiRequest, time: float) -> ApiResult:
        if call.path == "/v1/traces":
            return Success({"trace_id": f"t-{next(self._numbers)}"})
        if call.method == "POST":
            run_id = f"r-{next(self._numbers)}"
            self._runs[run_id] = time + self._takes.get(run_id, TAKES_S), next(self._responses)
            return Success({"run_id": run_id})
        if "/reliability" in call.path:
            return score(self._scores.get(dict(call.query)["run_id"]))
        if "/ci/runs/" not in call.path:
            return Success([])
        until, response = self._runs.get(call.path.rpartition("/")[2], (0, None))
        if response is None:
            return rejected(404)
        return Success(response) if time >= until else RUNNING

    def started(self) -> list[object]:
        """Return the trace of each run that was started, None for the registered scenarios."""
        return [json.loads(call.body or b"").get("trace_id") for _, call in self.calls if call.path == "/v1/ci/runs"]

    def evaluate(self, *gates: Gate, earlier: Runs = ()) -> Sequence[Evaluated]:
        gates = gates or (GATE,)
        known = {gate.name: earlier for gate in gates}
        return step.evaluate(self, *gates, earlier=known, on_fail=self._note_fail)

    def _note_fail(self, gate: Gate, _decided: GateDecision, may_change: bool) -> None:  # noqa: FBT001 - a callback
        self.fails.append((int(self.time - 1_000), gate.name, may_change))


def test_a_missed_rate_is_evaluated_once_more_on_the_same_uploaded_traces() -> None:
    backend = Backend(passed(0.76), passed(0.9), passed(0.88), passed(0.9))
    [found] = backend.evaluate()
    assert found.decision is Decision.PASS
    assert backend.started() == ["t-1", "t-2", "t-1", "t-2"]
    assert len(backend.paths("/v1/traces")) == 2
    keys = [call.idempotency_key for _, call in backend.calls if call.path == "/v1/ci/runs"]
    assert len(set(keys)) == 4
    assert [run.run_id for run in found.runs] == ["r-5", "r-6"]


def test_all_gates_that_need_it_are_confirmed_together() -> None:
    gates = [replace(GATE, name=name, traces=(Trace(label=name, trace_id=name),)) for name in ("a", "b", "c")]
    backend = Backend(passed(0.84), passed(0.9), passed(0.8), passed(0.9), passed(0.88))
    found = backend.evaluate(*gates)
    assert [each.decision for each in found] == [Decision.PASS, Decision.PASS, Decision.FAIL]
    assert backend.started() == ["a", "b", "c", "a", "c"]
    times = [time for time, call in backend.calls if call.path == "/v1/ci/runs"]
    assert times[3] == times[4]


def test_a_signal_in_the_second_evaluation_leaves_the_first_result() -> None:
    [found] = Backend(passed(0.7), passed(0.95), passed(0.95), passed(0.95), cancel_at=1_015).evaluate()
    assert found.decision is Decision.FAIL
    assert found.confirmation.endswith("so the first one counts: The run was canceled.")


def test_a_second_evaluation_with_the_id_of_the_first_has_no_result() -> None:
    backend = Backend(passed(0.84, run_ids=["x"]), passed(0.95, run_ids=["x"]))
    [found] = backend.evaluate(replace(GATE, traces=UPLOADED[:1]))
    assert found.decision is Decision.FAIL
    assert "Sepurux sent the same run `x` for two gates, traces, or evaluations" in found.confirmation


def test_a_trace_whose_id_is_the_path_of_a_file_is_evaluated_twice_too() -> None:
    traces = (Trace(label="a.json", trace_id="a.json"), UPLOADED[0])
    for order in (traces, traces[::-1]):
        backend = Backend(passed(0.84), passed(0.84), passed(0.95), passed(0.95))
        backend.evaluate(replace(GATE, traces=order))
        started = [*map(str, backend.started())]
        assert len({*started[:2]}) == 2
        assert {*started[2:]} == {*started[:2]}


SCORE = replace(GATE, traces=(Trace(label="all"),), limits={"min_pass_rate": 0.85, "min_reliability_score": 80})


@pytest.mark.parametrize(
    ("value", "decision"),
    [(65, Decision.PASS), (49, Decision.FAIL), ("high", Decision.FAIL), (None, Decision.FAIL)],  # 80 are needed
)
def test_the_score_of_a_first_evaluation_that_missed_a_rate_is_read_too(value: object, decision: Decision) -> None:
    scores = {"x-0": value and 90, "x-1": value, "y-0": 90, "y-1": 90}
    backend = Backend(passed(0.84, run_ids=["x-0", "x-1"]), passed(0.95, run_ids=["y-0", "y-1"]), scores=scores)
    [found] = backend.evaluate(SCORE)
    assert found.decision is decision
    assert len(backend.paths("/reliability")) == 4


def test_a_signal_while_the_score_of_a_fail_is_read_leaves_the_fail() -> None:
    backend = Backend(passed(0.84, decision="fail", run_ids=["x-0", "x-1"]), cancel_at=1_010.7)
    [found] = backend.evaluate(SCORE)
    assert (found.decision, len(backend.paths("/reliability"))) == (Decision.FAIL, 2)


@pytest.mark.parametrize(("unsafe", "confirm"), [(0, True), (1, True), (0, False)])
def test_a_fail_that_no_second_evaluation_can_change_says_so_at_once(unsafe: int, *, confirm: bool) -> None:
    gate = replace(GATE, limits={"min_pass_rate": 0.85, "max_unsafe": 0}, timeout_s=60, confirm=confirm)
    backend = Backend(passed(0.7, decision="fail", unsafe_attempts=unsafe), UNDECIDED)
    backend.evaluate(gate)
    assert backend.fails[0] == (TAKES_S, "core", confirm and not unsafe)


@pytest.mark.parametrize(("decided_after_s", "timeout_s"), [(TAKES_S, 19), (15, 24)])
def test_a_fail_without_time_to_confirm_it_is_published_first(decided_after_s: float, timeout_s: float) -> None:
    late, again = (replace(GATE, name=name, traces=(Trace(label=name, trace_id=name),)) for name in ("late", "again"))
    late = replace(late, timeout_s=timeout_s, remedies={"timeout": "`timeout` in `a.yml:3`"})
    # The first gate has to wait for the second one until it is decided.
    backend = Backend(*[passed(0.7, decision="fail")] * 3, takes={"r-2": decided_after_s})
    found = backend.evaluate(late, again)
    assert [len(each.evaluations) for each in found] == [0, 2]
    assert found[0].confirmation.endswith(" of the timeout were left. Raise `timeout` in `a.yml:3`.")
    assert [each for each in backend.fails if each[1] == "late"][-1] == (decided_after_s, "late", False)


def test_a_fail_that_may_change_is_published_once_although_its_score_is_read_later() -> None:
    """GitHub accepts 80 writes in a minute, see docs/architecture.md, Limits and polling."""
    runs = passed(0.7, decision="fail", run_ids=["x"]), passed(0.7, run_ids=["y"])
    backend = Backend(*runs, scores={"x": 90, "y": 90})
    [found] = backend.evaluate(SCORE)
    assert len(found.evaluations) == 2
    assert [may_change for _, _, may_change in backend.fails] == [True, False]


def test_a_sum_of_a_run_that_sepurux_decided_before_it_failed_is_a_fail_at_once() -> None:
    gate = replace(GATE, limits={"max_unsafe": 1}, confirm=False, timeout_s=60)
    backend = Backend(passed(0.9, status="failed", unsafe_attempts=2), UNDECIDED)
    [found] = backend.evaluate(gate)
    assert (found.decision, backend.fails[0]) == (Decision.FAIL, (TAKES_S, "core", False))


LEFT = tuple(
    RunResult(trace=f"{name}.json", uploaded=True, trace_id="t", run_id=f"r-{name}", earlier=EARLIER) for name in "ba"
)


def test_the_runs_of_an_earlier_workflow_run_are_polled_and_none_is_started() -> None:
    backend = Backend(known={"r-a": passed(0.9), "r-b": passed(0.95)})
    [found] = backend.evaluate(earlier=LEFT)
    assert found.decision is Decision.PASS
    assert [run.run_id for run in found.runs] == ["r-a", "r-b"]
    assert backend.started() == backend.paths("/v1/traces") == []
    assert {run.earlier for run in found.runs} == {EARLIER}


@pytest.mark.parametrize(
    ("shown", "polls"),
    [(None, 1), (passed(0, status="failed", decision="pending"), 1), (passed(0, decision="pending"), 2)],
)
def test_a_trace_whose_earlier_run_has_no_result_gets_a_new_run(shown: object, polls: int) -> None:
    backend = Backend(passed(0.95), known={"r-a": passed(0.9), "r-b": shown})
    [found] = backend.evaluate(earlier=LEFT)
    assert found.decision is Decision.PASS
    assert [run.run_id for run in found.runs] == ["r-a", "r-2"]
    assert [run.earlier for run in found.runs] == [EARLIER, None]
    assert len(backend.paths("/v1/ci/runs/r-b")) == polls


def test_an_earlier_run_that_failed_is_a_fail_and_can_be_confirmed() -> None:
    backend = Backend(passed(0.95), passed(0.95), known={"r-a": passed(0.7), "r-b": passed(0.95)})
    [found] = backend.evaluate(earlier=LEFT)
    assert found.decision is Decision.PASS
    assert backend.started() == ["t", "t"]


def test_earlier_runs_of_a_trace_that_the_gate_no_longer_has_are_not_polled() -> None:
    backend = Backend(passed(0.95), known={"r-a": passed(0.9), "r-b": passed(0.95)})
    backend.evaluate(replace(GATE, traces=UPLOADED[:1]), earlier=LEFT)
    assert backend.paths("/v1/ci/runs") == ["GET /v1/ci/runs/r-a"]
