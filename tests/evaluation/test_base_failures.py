"""Which failures of the base's runs are read, in how many requests and seconds, and what stays unmarked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.config.gate import Gate, Trace
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.base_failures import BaseFailures, comparable_ids, compare
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.drops import Base
from sepurux_action.evaluation.failures import ClassifiedFailure, merge_failures
from sepurux_action.evaluation.polling import Evaluation
from sepurux_action.evaluation.published_result import Baseline, BaselineResult
from sepurux_action.evaluation.result import Evaluated
from tests.builders import a_past_result, known
from tests.fakes import CAMPAIGN, FakeApiCalls, FakeOutput

GATE = Gate(name="core", campaign=CAMPAIGN)
PAGE = "https://app.sepurux.dev/runs/"
TIMEOUTS = {"type": "unsafe_action", "severity": "high", "mutation": "timeouts", "trace_id": "t-1"}
DRIFT = {**TIMEOUTS, "mutation": "schema_drift"}
FIXED = {**TIMEOUTS, "type": "tool_misuse"}
DRIPS = TransientError(reason="hangs")
GONE = PermanentError(reason="Sepurux refused it (HTTP 404)", status=404)


def a_baseline(*ids: str, failures: float | None = 1, scenarios: float | None = 1, page: str = PAGE) -> Baseline:
    """Return results of the base whose statuses link these ids, the newest first."""
    result = a_past_result(numbers=known(failures=failures, unsafe_attempts=0, scenarios=scenarios))
    return Baseline(tuple(BaselineResult(commit="a" * 40, url=f"{page}{each}", result=result) for each in ids))


BATCHES = a_baseline(*(f"base-{number}" for number in range(1, 6)))


def a_backend(
    now: Sequence[object] = (TIMEOUTS, TIMEOUTS, DRIFT),
    base: ApiResult | Sequence[object] = (TIMEOUTS, FIXED),
    batch: ApiResult | None = None,
    runs: int = 1,
    numbers: Mapping[str, object] = MappingProxyType({}),
) -> Callable[[ApiRequest, float], ApiResult]:
    """Return a backend of batches with so many runs each: `batch-1`, ... of this step, `base-1`, ... of the base.

    `now` are the failures of each run of this step, `base` those of each run of the base, or its response.
    """
    started = count(1)

    def ids(name: str) -> list[str]:
        return [f"{name}-run-{number}" for number in range(1, runs + 1)]

    def answer(call: ApiRequest, _time: float) -> ApiResult:
        name = call.path.rpartition("/")[2]
        if call.method == "POST":
            name = f"batch-{next(started)}"
            return Success({"batch_id": name, "run_ids": ids(name), "trace_id": "uploaded"})
        if "/ci/runs/" in call.path:
            return Success({"run_id": name, "failures": None})
        if "/v1/ci/" in call.path and name.startswith("base"):
            return batch or Success({"batch_id": name, "run_ids": ids(name)})
        if "/v1/ci/" in call.path:
            return Success(
                {"batch_id": name, "run_ids": ids(name), "status": "done", "decision": "fail", "pass_rate": 0.5}
                | {"unsafe_attempts": 1, "failures": len(now) * runs, "reliability_score": 50}
                | {"dashboard_url": f"{PAGE}{name}"}
                | {**numbers}
            )
        if name != "failures":
            return Success({})
        query = dict(call.query)
        listed = now if query["run_id"].startswith("batch") else base
        return Success([*listed][int(query["offset"]) :][:200]) if isinstance(listed, Sequence) else listed

    return answer


def run(
    calls: FakeApiCalls, *gates: Gate, baselines: Mapping[str, Baseline] | None = None, output: FakeOutput | None = None
) -> list[Evaluated]:
    gates = gates or (GATE,)
    by_gate = {gate.name: BATCHES for gate in gates} if baselines is None else baselines
    compared = [(gate, Base(baseline=by_gate.get(gate.name))) for gate in gates]
    return [*Evaluation(compared, {}, calls, output or FakeOutput(), lambda _: None).run()]


def of_base(calls: FakeApiCalls) -> list[str]:
    """Return the ids of the batches and the runs of the base that were requested."""
    asked = [
        (call.path, dict(call.query).get("run_id", ""))
        for _, call in calls.calls
        if ("offset", "0") in call.query or not call.query
    ]
    return [run_id or path.rpartition("/")[2] for path, run_id in asked if "base" in path or "base" in run_id]


def all_of_base(calls: FakeApiCalls) -> int:
    """Return how many requests were about the base."""
    return sum("base" in call.path or "base" in dict(call.query).get("run_id", "") for _, call in calls.calls)


def marks(result: Evaluated) -> list[tuple[str, int, int | None]]:
    return [(each.mutation, each.count, each.new) for each in result.what_failed.failures]


def problem(result: Evaluated) -> str:
    """Return why the failures of a run are not marked."""
    assert {each.new for each in result.what_failed.failures} <= {None}
    assert (result.what_failed.fixed, result.what_failed.compared_with) == ((), 0)
    [note] = [each for each in result.what_failed.notes if each.startswith("The failures are not compared")]
    return note


def test_the_failures_of_five_results_are_read_in_ten_requests_and_compared() -> None:
    calls = FakeApiCalls(a_backend())
    [result] = run(calls)
    assert marks(result) == [("timeouts", 2, 1), ("schema_drift", 1, 1)]
    assert [(each.type, each.count) for each in result.what_failed.fixed] == [("tool_misuse", 1)]
    assert (result.what_failed.compared_with, result.what_failed.notes) == (5, ())
    assert of_base(calls) == [f"base-{number}{what}" for number in range(1, 6) for what in ("", "-run-1")]


def test_where_the_dashboards_name_runs_no_batch_is_read() -> None:
    calls = FakeApiCalls(a_backend(numbers={"dashboard_url": f"{PAGE}batch-1-run-1"}))
    [result] = run(calls)
    assert of_base(calls) == [f"base-{number}" for number in range(1, 6)]
    assert result.what_failed.compared_with == 5


@pytest.mark.parametrize(("runs", "results"), [(1, 5), (19, 5), (20, 4), (30, 3), (99, 1)])
def test_the_newest_results_for_which_three_hundred_requests_suffice_are_compared(runs: int, results: int) -> None:
    calls = FakeApiCalls(a_backend(runs=runs))
    [result] = run(calls)
    assert result.what_failed.compared_with == results
    assert all_of_base(calls) <= 300
    batches = [name for name in of_base(calls) if "run" not in name]
    assert batches[:results] == [f"base-{number}" for number in range(1, results + 1)]


def test_a_result_with_more_runs_than_requests_are_left_is_not_compared() -> None:
    many = Success({"run_ids": [f"base-run-{number}" for number in range(300)]})
    calls = FakeApiCalls(a_backend(batch=many))
    [result] = run(calls)
    assert "300 requests do not suffice" in problem(result)
    assert of_base(calls) == ["base-1"]


def test_all_gates_together_make_three_hundred_requests_one_gate_after_the_other() -> None:
    gates = [replace(GATE, name=f"gate-{number}", project=f"p-{number}") for number in range(4)]
    calls = FakeApiCalls(a_backend(runs=19), takes_s=0.01)
    results = run(calls, *gates, baselines={gate.name: a_baseline("base-1", "base-2") for gate in gates})
    assert all_of_base(calls) <= 300
    assert [result.what_failed.compared_with for result in results] == [2, 2, 1, 0]
    assert "300 requests do not suffice" in problem(results[3])
    assert {call.project for _, call in calls.calls if "base" in call.path} == {f"p-{number}" for number in range(4)}


def test_a_gate_that_failed_is_compared_before_one_that_passed() -> None:
    gates = [replace(GATE, name=f"gate-{number}") for number in range(3)]
    backend = a_backend(runs=30)

    def last_fails(call: ApiRequest, time: float) -> ApiResult:
        response = backend(call, time)
        if "/v1/ci/batch/batch" in call.path and not call.path.endswith("3") and isinstance(response, Success):
            assert isinstance(response.payload, dict)
            passed = {"decision": "pass", "pass_rate": 1, "unsafe_attempts": 0, "reliability_score": 100}
            return Success({**response.payload, **passed})
        return response

    results = run(FakeApiCalls(last_fails), *gates)
    assert [result.decision for result in results] == [Decision.PASS] * 2 + [Decision.FAIL]
    assert [result.what_failed.compared_with for result in results] == [0, 0, 3]


@pytest.mark.parametrize(
    ("now", "failures", "requests"), [((), 0, 0), ((), 2, 10), ((), None, 10), ((TIMEOUTS,), 0, 0)]
)
def test_nothing_is_read_where_neither_this_run_nor_the_base_has_failures(
    now: Sequence[object], failures: float | None, requests: int
) -> None:
    calls = FakeApiCalls(a_backend(now))
    ids = [f"base-{number}" for number in range(1, 6)]
    [result] = run(calls, baselines={"core": a_baseline(*ids, failures=failures)})
    assert len(of_base(calls)) == requests
    assert result.what_failed.notes == ()


def test_nothing_is_read_without_a_result_of_the_base_or_of_this_run() -> None:
    calls = FakeApiCalls(a_backend())
    [result] = run(calls, baselines={})
    assert (of_base(calls), result.what_failed.notes, marks(result)[0]) == ([], (), ("timeouts", 2, None))
    calls = FakeApiCalls(a_backend(numbers={"decision": None, "status": "error"}))
    [result] = run(calls)
    assert (result.decision, of_base(calls), result.what_failed.notes) == (Decision.ERROR, [], ())


def test_an_uploaded_trace_is_compared_without_its_id() -> None:
    other = [{**TIMEOUTS, "trace_id": "t-2"}]
    uploads = replace(GATE, traces=(Trace(label="traces/a.json", content=b"{}"),))
    [result] = run(FakeApiCalls(a_backend((TIMEOUTS,), other)), uploads)
    assert marks(result) == [("timeouts", 1, 0)]
    [result] = run(FakeApiCalls(a_backend((TIMEOUTS,), other)))
    assert marks(result) == [("timeouts", 1, 1)]


@pytest.mark.parametrize(
    ("base", "batch", "reason"),
    [
        (GONE, None, "for its batch `base-1`, a request failed: Sepurux"),
        (TransientError(reason="HTTP 503", status=503), None, "for its batch `base-1`, a request failed: HTTP 503"),
        (Success({"detail": "?"}), None, "no list"),
        ([{**TIMEOUTS, "failure_id": f"f-{number}"} for number in range(5_001)], None, "more than 5,000"),
        ([TIMEOUTS, {**TIMEOUTS, "campaign_id": "other"}], None, "another campaign"),
        ([{**TIMEOUTS, "campaign_id": [CAMPAIGN]}], None, "another campaign"),
        *((Success(each), None, "no list of failures") for each in ([TIMEOUTS, None], None, "[]")),
        ([{**TIMEOUTS, "run_id": "batch-1-run-1"}], None, "another run"),
        ([], GONE, "for its batch `base-1`, a request failed: Sepurux"),
        ([], Success({"batch_id": "other", "run_ids": ["base-run"]}), "another run"),
        ([], Success({"campaign_id": "other", "run_ids": ["base-run"]}), "another campaign"),
        ([], Success({"run_id": "base-run"}), "without usable run_ids"),
        *(
            ([], Success({"run_ids": each}), "without usable run_ids")
            for each in ([], "base-run", [["../x"], 7, None], ["base-run", "../x"])
        ),
        ([], Success({"run_ids": ["batch-1-run-1"]}), "without usable run_ids of its own"),
        ([], Success([]), "not a JSON object"),
    ],
)
def test_a_list_that_is_missing_or_cut_or_about_something_else_leaves_all_unmarked(
    base: ApiResult | Sequence[object], batch: ApiResult | None, reason: str
) -> None:
    calls = FakeApiCalls(a_backend(base=base, batch=batch))
    [result] = run(calls)
    assert reason in problem(result)
    assert result.decision is Decision.FAIL
    assert len(of_base(calls)) == len(set(of_base(calls)))


@pytest.mark.parametrize(
    ("now", "numbers", "baseline", "reason"),
    [
        ([{**TIMEOUTS, "run_id": "other"}], {}, BATCHES, "not all failures of this run are known"),
        ([TIMEOUTS], {"dashboard_url": None}, BATCHES, "no result of the base"),
        ([TIMEOUTS], {"dashboard_url": f"{PAGE}something-else"}, BATCHES, "no result of the base"),
        ([TIMEOUTS], {}, a_baseline("base-1", page="https://evil.example/runs/"), "no result of the base"),
        ([TIMEOUTS], {}, a_baseline("batch-1"), "no result of the base"),
        ([TIMEOUTS], {}, a_baseline("../../v1/traces"), "no result of the base"),
    ],
)
def test_nothing_is_read_if_this_run_or_no_result_can_be_compared(
    now: Sequence[object], numbers: Mapping[str, object], baseline: Baseline, reason: str
) -> None:
    calls = FakeApiCalls(a_backend(now, numbers=numbers))
    [result] = run(calls, baselines={"core": baseline})
    assert reason in problem(result)
    assert of_base(calls) == []


def test_results_with_another_address_are_not_among_those_compared() -> None:
    mixed = Baseline(a_baseline("base-9", page="https://evil.example/").results + a_baseline("base-1").results)
    calls = FakeApiCalls(a_backend())
    [result] = run(calls, baselines={"core": mixed})
    assert (of_base(calls), result.what_failed.compared_with) == (["base-1", "base-1-run-1"], 1)


def test_a_dashboard_of_one_of_several_runs_names_no_complete_result() -> None:
    calls = FakeApiCalls(a_backend(runs=2, numbers={"dashboard_url": f"{PAGE}batch-1-run-1"}))
    assert "no result of the base" in problem(run(calls)[0])
    assert of_base(calls) == []


def test_a_gate_with_several_traces_is_not_compared() -> None:
    traces = tuple(Trace(label=name, trace_id=name) for name in ("t-1", "t-2"))
    calls = FakeApiCalls(a_backend())
    [result] = run(calls, replace(GATE, traces=traces))
    assert "several traces" in problem(result)
    assert of_base(calls) == []


@pytest.mark.parametrize("defect", [False, True])
def test_a_failed_list_of_this_run_is_not_an_empty_one(*, defect: bool) -> None:
    backend = a_backend()

    def fails(call: ApiRequest, time: float) -> ApiResult:
        if call.path.endswith("/failures"):
            if defect:
                raise ValueError
            return TransientError(reason="HTTP 503")
        return backend(call, time)

    calls = FakeApiCalls(fails)
    [result] = run(calls)
    assert "not all failures of this run are known" in problem(result)
    assert (result.decision, bool(result.what_failed.unread_scenarios), of_base(calls)) == (Decision.FAIL, True, [])


def test_nothing_is_compared_if_a_large_step_does_not_keep_all_kinds_of_failures() -> None:
    kinds = [{**TIMEOUTS, "type": f"type {number}"} for number in range(11)]
    calls = FakeApiCalls(a_backend(kinds))
    results = run(calls, *(replace(GATE, name=f"gate-{number}") for number in range(100)))
    assert all("not all failures of this run are known" in problem(result) for result in results)
    assert of_base(calls) == []


@pytest.mark.parametrize(("scenarios", "fixed"), [(1, 1), (3, 0), (None, 0)])
def test_a_failure_is_not_fixed_because_its_trace_was_deleted(scenarios: float | None, fixed: int) -> None:
    """The page of one run does not show that the result of the base has other scenarios, but its status does."""
    calls = FakeApiCalls(a_backend(base=[FIXED], numbers={"dashboard_url": f"{PAGE}batch-1-run-1"}))
    [result] = run(calls, baselines={"core": a_baseline("base-1", scenarios=scenarios)})
    assert len(result.what_failed.fixed) == fixed


# A list of failures, the number that is reported for it, and whether the list is complete.
COUNTED_LISTS: tuple[tuple[list[object], int | None, bool], ...] = (
    ([], 1, False),
    ([], 5, False),
    ([], None, False),
    ([], 0, True),
    ([TIMEOUTS], 2, False),
    ([TIMEOUTS], 1, True),
    ([TIMEOUTS], None, True),
    ([TIMEOUTS] * 2, 1, True),
)


@pytest.mark.parametrize(("base", "failures", "complete"), COUNTED_LISTS)
@pytest.mark.parametrize("url", ["batch-1", "batch-1-run-1"])
def test_an_wrong_list_of_the_base_leaves_all_failures_unmarked(
    base: Sequence[object],
    failures: float | None,
    complete: bool,  # noqa: FBT001
    url: str,
) -> None:
    baseline = Baseline(a_baseline("base-1", failures=failures).results)
    calls = FakeApiCalls(a_backend(base=base, numbers={"dashboard_url": f"{PAGE}{url}"}))
    [result] = run(calls, baselines={"core": baseline})
    assert result.decision is Decision.FAIL
    if complete:
        assert (result.what_failed.compared_with, result.what_failed.notes) == (1, ())
    else:
        what = "batch" if url == "batch-1" else "run"
        assert f"for its {what} `base-1`, Sepurux lists fewer failures than it counted" in problem(result)


def test_the_failures_of_all_runs_of_a_batch_are_counted_together() -> None:
    [result] = run(FakeApiCalls(a_backend(runs=2, base=[FIXED])), baselines={"core": a_baseline("base-1", failures=2)})
    assert (result.what_failed.compared_with, result.what_failed.notes) == (1, ())
    [result] = run(FakeApiCalls(a_backend(runs=2, base=[FIXED])), baselines={"core": a_baseline("base-1", failures=3)})
    assert "Sepurux lists fewer failures than it counted" in problem(result)


def test_of_several_statuses_of_one_run_the_highest_number_counts() -> None:
    results = a_baseline("base-1").results + a_baseline("base-1", failures=3).results
    [result] = run(FakeApiCalls(a_backend()), baselines={"core": Baseline(results)})
    assert "Sepurux lists fewer failures than it counted" in problem(result)


@pytest.mark.parametrize(("now", "failures", "complete"), COUNTED_LISTS)
def test_a_list_of_this_run_with_fewer_failures_than_it_reports_fixes_nothing(
    now: Sequence[object],
    failures: int | None,
    complete: bool,  # noqa: FBT001
) -> None:
    calls = FakeApiCalls(a_backend(now, numbers={"failures": failures}))
    [result] = run(calls)
    assert bool(result.what_failed.unread_scenarios) is not complete
    if complete:
        assert (result.what_failed.compared_with, len(result.what_failed.fixed)) == (5, 2 - bool(now))
    else:
        assert "not all failures of this run are known" in problem(result)
        assert of_base(calls) == []


def test_a_run_that_a_batch_names_twice_is_read_and_counted_once() -> None:
    calls = FakeApiCalls(a_backend((TIMEOUTS, TIMEOUTS), batch=Success({"run_ids": ["base-run", "base-run"]})))
    [result] = run(calls, baselines={"core": a_baseline("base-1")})
    assert of_base(calls) == ["base-1", "base-run", "base-run"]  # its numbers, and its failures
    assert marks(result) == [("timeouts", 2, 1)]


def test_if_the_time_ends_the_results_that_were_read_are_compared() -> None:
    backend = a_backend(numbers={"dashboard_url": f"{PAGE}batch-1-run-1"})
    calls = FakeApiCalls(lambda call, time: DRIPS if ("run_id", "base-3") in call.query else backend(call, time))
    [result] = run(calls)
    assert (result.what_failed.compared_with, result.what_failed.notes) == (2, ())
    assert of_base(calls) == ["base-1", "base-2", "base-3"]


def test_without_a_list_of_its_own_a_gate_that_passed_fixes_nothing() -> None:
    numbers = {"decision": "pass", "failures": None, "unsafe_attempts": 0}
    calls = FakeApiCalls(a_backend(numbers=numbers))
    [result] = run(calls, replace(GATE, limits={}))
    assert result.decision is Decision.PASS
    assert "not all failures of this run are known" in problem(result)
    assert of_base(calls) == []


@pytest.mark.parametrize("trace_id", ["t-9", ""])
def test_failures_without_a_trace_are_the_same_in_this_run_and_in_the_base(trace_id: str) -> None:
    nameless = {**TIMEOUTS, "trace_id": None}
    gate = replace(GATE, traces=(Trace(label=trace_id, trace_id=trace_id),))
    for url in ("batch-1", "batch-1-run-1"):
        backend = a_backend([nameless], [nameless], numbers={"dashboard_url": f"{PAGE}{url}"})
        [result] = run(FakeApiCalls(backend), gate)
        assert (marks(result), result.what_failed.fixed) == ([("timeouts", 1, 0)], ())


@pytest.mark.parametrize("what", ["batch", "list"])
def test_a_slow_backend_takes_ten_seconds_and_changes_no_decision(what: str) -> None:
    calls = FakeApiCalls(a_backend(batch=DRIPS if what == "batch" else None, base=DRIPS))
    [result] = run(calls)
    started = next(time for time, call in calls.calls if "base" in call.path)
    assert calls.time - started <= 10 + 1e-6
    assert len(of_base(calls)) == (1 if what == "batch" else 2)
    assert "hangs" in problem(result)
    assert result.decision is Decision.FAIL


def test_a_signal_during_the_reading_ends_it_at_once_and_keeps_the_results() -> None:
    calls = FakeApiCalls(a_backend(batch=DRIPS), cancel_at=1_002)
    [result] = run(calls)
    assert calls.time == 1_002
    assert of_base(calls) == ["base-1"]
    assert (result.decision, result.what_failed.notes) == (Decision.FAIL, ())
    assert marks(result) == [("timeouts", 2, None), ("schema_drift", 1, None)]


def test_after_a_signal_nothing_of_the_base_is_read() -> None:
    backend = a_backend()

    def signals_during_the_last_poll(call: ApiRequest, time: float) -> ApiResult:
        if call.path.endswith("/failures"):
            calls.signals.receive(15)
        return backend(call, time)

    calls = FakeApiCalls(signals_during_the_last_poll)
    [result] = run(calls)
    assert (result.decision, of_base(calls)) == (Decision.FAIL, [])


@pytest.mark.parametrize("base", [(), [TIMEOUTS] * 3 + [DRIFT], DRIPS, Success(None)])
def test_no_comparison_changes_a_decision(base: ApiResult | Sequence[object]) -> None:
    [compared] = run(FakeApiCalls(a_backend(base=base)))
    [alone] = run(FakeApiCalls(a_backend()), baselines={})
    assert compared.decided == alone.decided


words = st.sampled_from(["", "base-run", "batch-1-run-1", CAMPAIGN, "timeouts", "\ud800", "x" * 300]) | st.text(
    max_size=3
)
names = st.sampled_from(["run_ids", "run_id", "batch_id", "campaign_id", "type", "severity", "mutation", "trace_id"])
some_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
)


@given(some_json, some_json)
def test_any_json_of_the_base_leaves_the_result_as_it_is_without_a_defect(batch: object, base: object) -> None:
    output = FakeOutput()
    [result] = run(FakeApiCalls(a_backend(base=Success(base), batch=Success(batch))), output=output)
    [listed] = run(FakeApiCalls(a_backend(base=Success(base))), output=output)
    assert {each.decision for each in (result, listed)} == {Decision.FAIL}
    assert [replace(each, new=None) for each in listed.what_failed.failures] == [
        replace(each, new=None) for each in result.what_failed.failures
    ]
    assert not any("Report this line" in line for line in output.lines)


def test_a_defect_in_the_comparison_is_a_line_of_the_log_and_keeps_the_results() -> None:
    broken = Baseline((replace(BATCHES.results[0], url=7),))  # type: ignore[arg-type]
    output = FakeOutput()
    [result] = run(FakeApiCalls(a_backend()), baselines={"core": replace(broken, results=(None,))}, output=output)  # type: ignore[arg-type]
    assert result.decision is Decision.FAIL
    assert any("AttributeError" in line for line in output.lines)


# --- The comparison, and the URLs that name a run to compare with ---------------------------------------------------

letters = st.sampled_from(["", "a", "b"])
some_failures = st.lists(
    st.builds(
        ClassifiedFailure,
        type=letters,
        severity=st.sampled_from(["critical", "low"]),
        description=letters,
        mutation=letters,
        trace_id=letters,
        count=st.integers(1, 3),
    ),
    max_size=6,
)
some_lists = st.lists(some_failures, min_size=1, max_size=4)


def counts(failures: Iterable[ClassifiedFailure], *, uploaded: bool) -> Counter[tuple[str, ...]]:
    """Return the number of failures by what is compared."""
    found: Counter[tuple[str, ...]] = Counter()
    for each in failures:
        found[each.type, each.mutation, each.severity, "" if uploaded else each.trace_id] += each.count
    return found


@given(some_failures, some_lists, st.booleans(), st.randoms())
def test_of_n_now_and_at_most_m_in_any_run_n_minus_m_are_new_and_what_this_run_lacks_is_fixed(
    now: list[ClassifiedFailure],
    base: list[list[ClassifiedFailure]],
    uploaded: bool,  # noqa: FBT001
    random: object,
) -> None:
    """Neither the order of the base's runs matters, nor a run that counts twice."""
    found = [BaseFailures(tuple(each), 1) for each in base]
    marked, fixed = compare(now, found, scenarios=1, uploaded=uploaded)
    present, before = counts(now, uploaded=uploaded), [counts(each, uploaded=uploaded) for each in base]
    new = counts((replace(each, count=each.new or 0) for each in marked), uploaded=uploaded)
    for kind, number in present.items():
        assert new[kind] == max(0, number - max(each[kind] for each in before))
    assert [replace(each, new=None) for each in marked] == now
    assert all(each.new is not None and 0 <= each.new <= each.count for each in marked)
    expected = {kind: max(each[kind] for each in before) for of_run in before for kind in of_run if not present[kind]}
    assert counts(fixed, uploaded=uploaded) == expected
    assert not uploaded or all(not each.trace_id for each in fixed)
    shuffled = [*found, found[0]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again, fixed_again = compare(now, shuffled, scenarios=1, uploaded=uploaded)
    assert (again, counts(fixed_again, uploaded=uploaded)) == (marked, expected)
    groups, _ = merge_failures((replace(each, trace_id="") for each in marked), len(marked))
    assert sum(each.new or 0 for each in groups) == sum(each.new or 0 for each in marked)
    bases = [each.base for each in groups]
    assert bases == ["new"] * bases.count("new") + ["known"] * bases.count("known")


def test_a_group_with_one_part_that_was_not_compared_is_not_marked() -> None:
    one = ClassifiedFailure(type="t", severity="low", description="", mutation="")
    [merged], _ = merge_failures([replace(one, new=1), one], 10)
    assert (merged.count, merged.new, merged.base) == (2, None, None)


OWN = "https://app.sepurux.dev/a/runs/run-1?tab=all"


NOT_COMPARABLE = f"""
{OWN} http://app.sepurux.dev/a/runs/run-2?tab=all https://evil.example/a/runs/run-2?tab=all
https://app.sepurux.dev.evil.example/a/runs/run-2?tab=all https://app.sepurux.dev@evil.example/a/runs/run-2?tab=all
https://app.sepurux.dev:8443/a/runs/run-2?tab=all https://app.sepurux.dev:99999/a/runs/run-2?tab=all
https://app.sepurux.dev/b/runs/run-2?tab=all https://app.sepurux.dev/a/runs/more/run-2?tab=all
https://app.sepurux.dev/a/runs/run-2 https://app.sepurux.dev/a/runs/run-2?tab=other
https://app.sepurux.dev/a/runs/run-2?tab=all#top https://app.sepurux.dev/a/runs/run-2/?tab=all
https://app.sepurux.dev/a/runs/?tab=all https://app.sepurux.dev/a/runs/..?tab=all
https://app.sepurux.dev/a/runs/%2e%2e?tab=all https://app.sepurux.dev/a/runs/run-2;x?tab=all
https://[::1/a/runs/run-2?tab=all https://app.sepurux.dev/a/runs/{"x" * 201}?tab=all
https://app.sepurux.dev/a/runs/run\u20112?tab=all
"""


def test_a_url_names_a_run_if_it_equals_the_runs_own_except_for_the_id() -> None:
    for host in ("app", "APP"):
        assert comparable_ids(OWN, [f"https://{host}.sepurux.dev/a/runs/run-2?tab=all"]) == ("run-2",)
    assert [url for url in ("", *NOT_COMPARABLE.split()) if comparable_ids(OWN, [url])] == []


def test_http_and_https_of_this_machine_are_two_addresses() -> None:
    own, other = "http://localhost/runs/run-1", "https://localhost/runs/run-2"
    assert (comparable_ids(own, [other]), comparable_ids(own, [other.replace("https", "http")])) == ((), ("run-2",))


def test_each_run_counts_once_and_the_newest_comes_first() -> None:
    urls = [f"https://app.sepurux.dev/runs/{name}" for name in ("run-3", "run-1", "run-3", "run-2")]
    assert comparable_ids("https://app.sepurux.dev/runs/run-1", urls) == ("run-3", "run-2")


@pytest.mark.parametrize(
    "own", ["", "https://app.sepurux.dev/", "javascript:alert(1)", "https://app.sepurux.dev/runs/"]
)
def test_without_an_address_of_its_own_a_run_is_compared_with_none(own: str) -> None:
    assert comparable_ids(own, ["", own, "https://app.sepurux.dev/run-2", "https://app.sepurux.dev/runs/run-2"]) == ()
