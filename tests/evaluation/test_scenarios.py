"""What is read of each scenario, and in how many requests and seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation.api import ApiRequest, Reply
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.runs import Decision, parse_failures
from tests.evaluation import step
from tests.evaluation.step import Respond, at_first, http, in_turn, instead, rejected
from tests.fakes import CAMPAIGN, FakeEngine

GATE = Gate(name="core", campaign=CAMPAIGN)
FAILURE = {"type": "unsafe_action", "severity": "high", "mutation": "timeouts"}
OTHER_LISTS = [
    *({"items": []}, [FAILURE, 3], [{**FAILURE, "run_id": "other"}], [FAILURE, {**FAILURE, "campaign_id": "other"}]),
    *([], [{**FAILURE, "run_id": []}, {**FAILURE, "campaign_id": {}}]),
]


@dataclass(kw_only=True)
class Run:
    """One scenario: its failures as the API lists them, and fields that replace those of its run."""

    failures: Sequence[Mapping[str, object]] = ()
    fields: Mapping[str, object] = field(default_factory=dict)
    trace_id: str | None = None


class Batch:
    """A backend with this batch; `names` are those of traces. One that `sends_all` does not know pages."""

    def __init__(
        self,
        *runs: Run,
        name: str = "now",
        fields: Mapping[str, object] = {},
        names: Mapping[str, object] = {},
        sends_all: bool = False,
    ) -> None:
        self._sends_all = sends_all
        self._runs = {f"{name}-run-{number}": run for number, run in enumerate(runs, 1)}
        self._started = {"batch_id": name, "run_ids": [*self._runs]}
        self._shown = {**self._started, "status": "done", **_numbers(runs), **fields}
        self._names = names

    def __call__(self, call: ApiRequest, _time: float) -> Reply:
        *_, kind, name = call.path.split("/")
        if name == "campaigns":
            return Reply(payload=[])
        if call.method == "POST":
            return Reply(payload={"trace_id": "uploaded"} if name == "traces" else self._started)
        if kind == "batch":
            return Reply(payload=self._shown)
        if kind == "traces":
            return Reply(payload={"trace_id": name, "task_name": self._names.get(name)})
        if kind == "runs":
            run = self._runs[name]
            shown = {"run_id": name, "trace_id": run.trace_id, "status": "done", **_numbers([run]), **run.fields}
            return Reply(payload=shown)
        if name != "failures":
            return rejected(404)
        query = dict(call.query)
        about = {"campaign_id": CAMPAIGN, "run_id": query["run_id"]}
        most = None if self._sends_all else int(query["limit"])
        return Reply(payload=[{**about, **each} for each in self._runs[query["run_id"]].failures[:most]])


def _numbers(runs: Sequence[Run]) -> dict[str, object]:
    """Return the numbers of runs together: a run with a failure failed, and an unsafe action is an unsafe attempt."""
    failures = [each for run in runs for each in run.failures]
    unsafe = sum(each["type"] == "unsafe_action" for each in failures)
    rate = sum(not run.failures for run in runs) / max(1, len(runs))
    decision = "fail" if failures else "pass"
    return {"decision": decision, "pass_rate": rate, "unsafe_attempts": unsafe, "failures": len(failures)}


def evaluate(calls: FakeEngine, gate: Gate = GATE) -> GateDecision:
    return step.evaluate(calls, gate)[0]


def what_failed(backend: Respond) -> GateDecision:
    return evaluate(FakeEngine(backend))


def listed(number: int) -> list[dict[str, str]]:
    return [{**FAILURE, "failure_id": f"f-{each}"} for each in range(number)]


def failing(number: int, trace_id: str | None = None) -> Run:
    return Run(failures=listed(number), trace_id=trace_id)


def a_batch(scenarios: int, failed: int = 5) -> list[Run]:
    return [failing(1, f"t-{number}") if number < failed else Run() for number in range(scenarios)]


def test_a_failure_without_a_trace_is_one_of_its_runs_trace() -> None:
    first, second, third = listed(3)
    named = Run(failures=[first, {**second, "trace_id": "t-3"}], trace_id="t-2")
    found = what_failed(Batch(Run(failures=[{**second, "trace_id": "t-1"}, third]), named))
    assert {each.trace_id: each.count for each in found.failures} == {"t-1": 2, "t-2": 1, "t-3": 1}


@pytest.mark.parametrize(
    ("scenarios", "failed", "requests", "unread"),
    [(1, 1, (0, 1, 0), 0), (40, 5, (40, 5, 5), 0), (100, 5, (100, 5, 5), 0), (600, 600, (100, 100, 20), 500)],
)
def test_a_hundred_scenarios_are_read(scenarios: int, failed: int, requests: tuple[int, int, int], unread: int) -> None:
    calls = FakeEngine(Batch(*a_batch(scenarios, failed)), takes_s=0.05)
    found = evaluate(calls)
    assert tuple(len(calls.paths(part)) for part in ("/ci/runs/", "/failures", "/traces/")) == requests
    assert calls.max_at_once == min(8, scenarios)
    assert (len(found.scenarios), sum(each.failed for each in found.scenarios)) == (scenarios - unread, failed - unread)
    assert sum(each.count for each in found.failures) == failed - unread
    assert (found.scenarios_unread, found.failures_unread) == (unread, unread)


@pytest.mark.parametrize("kept", [True, False])
def test_of_a_gate_that_passed_failures_are_read_only_if_its_result_is_kept(*, kept: bool) -> None:
    calls = FakeEngine(Batch(*a_batch(40, 1), fields={"decision": "pass"}))
    [result] = step.evaluate(calls, replace(GATE, limits={}), with_passed=kept)
    assert (result.decision, len(result.failures)) == (Decision.PASS, kept)
    assert (len(calls.paths("/ci/runs/")), len(calls.paths("/failures"))) == (40 * kept, kept)
    assert result.scenarios_unread == 0


def test_a_slow_backend_takes_twenty_seconds() -> None:
    calls = FakeEngine(Batch(*a_batch(100, 100)), takes_s=2)
    result = evaluate(calls)
    started = next(time for time, call in calls.calls if "/ci/runs/" in call.path)
    assert calls.time - started <= 20 + 1e-6
    assert len(calls.paths("/ci/runs/")) == 80
    assert (result.decision, result.scenarios_unread) == (Decision.FAIL, 100)


@pytest.mark.parametrize("error", [http(500), rejected(404), Reply(payload=[{"run_id": "other"}])])
def test_what_cannot_be_read_is_counted(error: Reply) -> None:
    calls = FakeEngine(instead("GET /v1/ci/runs/", lambda _: error, Batch(*a_batch(40, 40))))
    found = evaluate(calls)
    assert (len(calls.paths("/ci/runs/")), calls.paths("/failures")) == (40, [])
    assert (found.decision, found.scenarios_unread, found.failures_unread) == (Decision.FAIL, 40, 40)


@pytest.mark.parametrize("listed", OTHER_LISTS)
def test_a_list_that_is_not_that_of_the_run_is_not_read(listed: object) -> None:
    found = what_failed(instead("/failures", lambda _: Reply(payload=listed), Batch(failing(1))))
    assert (found.failures, found.failures_unread, found.scenarios_unread) == ((), 1, 1)


def test_a_wait_that_fits_is_respected_and_the_reading_goes_on() -> None:
    limited = at_first(*[http(429, retry_after_s=5)] * 8)
    calls = FakeEngine(instead("GET /v1/ci/runs", limited, Batch(*a_batch(12, 12))))
    found = evaluate(calls)
    assert (found.scenarios_unread, sum(each.count for each in found.failures)) == (8, 4)
    assert min(time for time, call in calls.calls if call.path.endswith("/failures")) >= 1_005


def test_a_signal_ends_the_reading_at_once_and_keeps_the_decision() -> None:
    calls = FakeEngine(Batch(*a_batch(100, 5)), cancel_at=1_001)
    result = evaluate(calls)
    assert calls.time == 1_001
    assert (result.decision, result.failures, result.scenarios_unread > 0) == (Decision.FAIL, (), True)


@pytest.mark.parametrize(("run_ids", "cancel_at"), [(True, None), (False, None), (True, 1_000.5)])
def test_unread_scenarios_of_recordings_are_counted(cancel_at: float | None, *, run_ids: bool) -> None:
    tasks = ("refund", "refund", "cancel")
    traces = tuple(Trace(label=f"{n}.json", content=b"{}", task=task) for n, task in enumerate(tasks))
    ids = [{"run_ids": [f"{name}-run-1"]} if run_ids else {} for name in "abc"]
    started = in_turn(*(Reply(payload={"batch_id": name, **each}) for name, each in zip("abc", ids, strict=True)))
    failed = Reply(payload={"status": "done", "decision": "fail", "pass_rate": 0, "failures": 1})
    backend = instead("GET /v1/ci/batch", in_turn(failed), instead("the CI run", started, Batch()))
    calls = FakeEngine(instead("/failures", in_turn(http(500)), backend), cancel_at=cancel_at)
    found = evaluate(calls, replace(GATE, traces=traces))
    assert (found.scenarios_unread, len(found.scenarios)) == (2, 2)


@pytest.mark.parametrize(
    ("run", "fields", "unread"),
    [
        *((failing(200), {}, (0, 0)), (failing(250), {}, (50, 1)), (failing(3), {"failures": None}, (0, 0))),
        (failing(200), {"failures": None}, (0, 1)),  # there may be more
        (Run(), {"failures": None, "decision": "fail"}, (0, 1)),
    ],
)
@pytest.mark.parametrize("sends_all", [True, False])
def test_200_failures_of_a_run_are_read(
    run: Run, fields: Mapping[str, object], unread: tuple[int, int], *, sends_all: bool
) -> None:
    calls = FakeEngine(Batch(replace(run, fields=fields), fields=fields, sends_all=sends_all))
    found = evaluate(calls)
    assert sum(each.count for each in found.failures) == min(200, len(run.failures))
    assert (found.failures_unread, found.scenarios_unread) == unread
    assert len(calls.paths("/failures")) == 1


def test_5000_kinds_of_failures_of_a_step_are_kept() -> None:
    failures = [{**FAILURE, "description": str(number)} for number in range(250)]
    found = what_failed(Batch(*(Run(failures=failures) for _ in range(40)), sends_all=True))
    assert sum(each.count for each in found.failures) == 5_000
    assert (found.failures_unread, found.scenarios_unread) == (40 * 250 - 5_000, 40)


def test_a_scenario_is_named_by_its_file_or_its_task_or_its_id() -> None:
    runs, names = [failing(2, "t-1"), failing(1, "t-2"), Run(trace_id="t-3"), failing(1)], {"t-1": "refund twice"}
    found = what_failed(Batch(*runs, names={**names, "t-3": "sound"}))
    assert [each.name for each in found.scenarios] == ["refund twice", "t-2", "now-run-4", "t-3"]
    calls = FakeEngine(Batch(*runs[:1], names=names))
    found = evaluate(calls, replace(GATE, traces=(Trace(label="traces/a.json", content=b"{}"),)))
    assert ([each.name for each in found.scenarios], calls.paths("/v1/traces/")) == (["traces/a.json"], [])
    assert {each.trace_id for each in found.scenarios[0].failures} == {"traces/a.json"}


@pytest.mark.parametrize(
    ("fields", "unread"),
    [
        *(({"run_ids": None, "trace_count": 40}, 40), ({"run_ids": None}, 1), ({"trace_count": 40}, 38)),
        ({"trace_count": 1}, 0),
    ],
)
def test_scenarios_whose_runs_are_not_known_are_counted(fields: dict[str, object], unread: int) -> None:
    backend: Respond = Batch(*a_batch(2, 1), fields=fields)
    if "run_ids" in fields:
        backend = instead("POST", in_turn(Reply(payload={"batch_id": "now"})), backend)
    assert what_failed(backend).scenarios_unread == unread


def test_a_scenario_failed_if_one_of_its_numbers_says_so() -> None:
    runs = [Run(fields={"decision": None, "failures": 1, "unsafe_attempts": None}), Run(), failing(1)]
    assert [each.failed for each in what_failed(Batch(*runs)).scenarios] == [True, True, False]


def test_the_worst_runs_of_all_gates_are_read_first() -> None:
    better, worse = Batch(failing(1), failing(3)), Batch(*a_batch(100, 100), name="other", fields={"pass_rate": 0})
    gates = [replace(GATE, name="core"), replace(GATE, name="worse", project="worse")]
    calls = FakeEngine(lambda call, time: (worse if call.project else better)(call, time), takes_s=0.01)
    step.evaluate(calls, *gates)
    read = [dict(call.query)["run_id"] for _, call in calls.calls if call.path.endswith("/failures")]
    assert read[0] == "now-run-2"  # the one with the most failures
    assert len(read) == 102


def test_metadata_may_name_the_tool_and_the_event_of_a_failure() -> None:
    wrong = [{"tool": ["refund"], "event": -1}, {"event": True}, {"event": 1.5}, ["refund"], None]
    found = parse_failures([{**FAILURE, "metadata": each} for each in ({"tool": "refund", "event": 4}, *wrong)])
    assert [(each.tool, each.event) for each in found] == [("refund", 4), *[("", None)] * 5]
