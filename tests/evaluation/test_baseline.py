"""The base's results by scenario: the file that keeps them, and what an evaluation that is compared with them shows."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepurux_action.config.settings import Call, Gate, Trace
from sepurux_action.evaluation import results as base_results
from sepurux_action.evaluation import runs as ci_runs
from sepurux_action.evaluation.decision import GateDecision, compare_with_base, decide_gate, result_to_keep
from sepurux_action.evaluation.gate_numbers import Base, Scenario, scenarios_of
from sepurux_action.evaluation.results import Result, Results, read_results, write_results
from sepurux_action.evaluation.runs import BaseScenario, Decision, Failure, OnBase, Rule, Run, Step, decide
from sepurux_action.evaluation.traces import read_recording
from tests.builders import FAILING, run_with

KEY, REPOSITORY = "a secret", "octo/shop"
REJECTED = ((), base_results.IGNORED)
SCENARIO = BaseScenario(
    name="refund after a timeout",
    pass_rate=0.5,
    failures={("unsafe_action", "timeouts", "critical", "payments.refund"): 1 / 3},
    steps=(Call("orders.lookup", ("order",)), Call("payments.refund", ("order", "cents"))),
)
LOOKUP, REFUND, STATUS = (
    {"type": "tool_call", "tool": tool, "args": {"order": 1}} for tool in ("lookup", "refund", "status")
)
UNSAFE = Failure(
    type="unsafe_action", severity="high", description="Refunded twice.", mutation="", tool="refund", event=1
)
LOOP = replace(UNSAFE, type="loop", description="Went in circles.", event=None)


def a_base_result(at: float = 1, *, decision: Decision = Decision.PASS, **more: object) -> Result:
    given = {"gate": "refunds", "campaign": "core", "project": "", "mutation_pack": "", "branch": "main"} | more
    origin = tuple(str(given.pop(name)) for name in ("gate", "campaign", "project", "mutation_pack", "branch"))
    kept: dict[str, Any] = {"numbers": {}, "commit": f"c{at}", "scenarios": (SCENARIO,), **given}
    return Result(decision=decision, origin=origin, **kept)


def written(*results: Result) -> bytes:
    return write_results(results, KEY, REPOSITORY).encode()


def signed(content: str, *, version: int = 4) -> bytes:
    """Return a file with any content, signed as docs/security.md says."""
    text = json.dumps(["sepurux-gate/baseline", version, REPOSITORY, content])
    mac = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f'{{"schema":"sepurux-gate/baseline@{version}","signature":"{mac}",{content}'.encode()


tools = st.sampled_from(["refund", "orders.lookup", "…"])
names = st.text(max_size=8) | st.sampled_from(["refund", "\ud800", "\0", "<!-- -->", "a\nb"])
scenarios = st.builds(
    BaseScenario,
    name=names,
    pass_rate=st.none() | st.floats(0, 1),
    failures=st.dictionaries(st.tuples(names, st.just(""), st.just(""), names), st.floats(0.01, 9), max_size=3),
    steps=st.lists(st.builds(Call, tools, st.lists(tools, max_size=2).map(tuple)), max_size=2).map(tuple),
)
results = st.lists(
    st.builds(
        a_base_result,
        st.integers(0, 10**9).map(float),
        gate=st.sampled_from(["refunds", "search"]),
        branch=st.sampled_from(["main", "", "release/1"]),
        commit=names,
        decision=st.sampled_from([Decision.PASS, Decision.FAIL]),
        numbers=st.dictionaries(st.sampled_from(["pass_rate", "failures"]), st.floats(0, 1)),
        scenarios=st.lists(scenarios, max_size=3, unique_by=lambda each: each.name).map(tuple),
    ),
    max_size=25,
)
WRITTEN = written(a_base_result())
CONTENT = WRITTEN.decode().split(",", 2)[2]


@given(results=results)
def test_a_file_has_the_first_five_results_of_each_gate_in_their_order(results: list[Result]) -> None:
    read, note = read_results(written(*results), KEY, REPOSITORY)
    taken = [each for at, each in enumerate(results) if [one.origin for one in results[:at]].count(each.origin) < 5]
    assert (list(read), note) == (taken, "")


def test_of_each_gate_and_branch_the_newest_five_results_are_kept() -> None:
    own = [a_base_result(at) for at in range(8, 0, -1)]
    places = ("gate", "campaign", "project", "mutation_pack", "branch")
    changes: list[dict[str, Any]] = [{name: "other"} for name in places]
    others = [a_base_result(-at, **change) for at, change in enumerate(changes)]
    read, _ = read_results(written(*own, *others), KEY, REPOSITORY)
    assert [each.commit for each in read] == [*("c8", "c7", "c6", "c5", "c4"), *("c0", "c-1", "c-2", "c-3", "c-4")]


@pytest.mark.parametrize(("length", "times"), [(700, [4, 3, 2]), (1_000, [4, 3]), (2_000, [4])])
def test_what_does_not_fit_goes_the_oldest_results_first(length: int, times: list[float]) -> None:
    long = tuple(BaseScenario(name=f"{number}" + "ä" * length) for number in range(400))
    results = [a_base_result(4), *(a_base_result(at, scenarios=long) for at in (3, 2, 1)), a_base_result(0)]
    content = written(*results)
    assert [each.commit for each in read_results(content, KEY, REPOSITORY)[0]] == [f"c{at}" for at in times]
    assert len(content) <= base_results.MAX_BYTES


def test_the_signature_is_the_one_of_docs_security() -> None:
    assert signed(CONTENT) == WRITTEN
    assert WRITTEN.startswith(b'{"schema":"sepurux-gate/baseline@4"')


def changed(old: str, new: str) -> bytes:
    assert CONTENT.count(old) == 1
    return signed(CONTENT.replace(old, new))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\xff" * 100, WRITTEN[:200], b" " + WRITTEN, WRITTEN + b" ", WRITTEN.replace(b"0.5", b"0.9")),
        *(WRITTEN.replace(b"baseline@4", b"baseline@3"), re.sub(rb"[0-9a-f]{64}", b"0" * 64, WRITTEN)),
        *(signed(CONTENT, version=3), signed('"results":['), signed(f'"results":{"[" * 100_000}')),
        *(changed('"numbers":{},', f'"numbers":{other},') for other in ("NaN", '{},"another":1')),
        *(changed('"pass"', '"maybe"'), changed('["orders.lookup","order"]', "[]"), changed('"steps"', '"calls"')),
    ],
)
def test_a_file_that_is_not_as_this_action_writes_it_is_ignored(content: bytes) -> None:
    assert read_results(content, KEY, REPOSITORY) == REJECTED


@pytest.mark.parametrize(("key", "repository"), [("another secret", REPOSITORY), (KEY, "mona/fork"), ("", REPOSITORY)])
def test_what_another_secret_or_repository_wrote_is_ignored(key: str, repository: str) -> None:
    other = write_results([a_base_result()], key, repository).encode()
    assert read_results(other, KEY, REPOSITORY) == REJECTED
    assert read_results(written(a_base_result()), key, repository) == REJECTED
    assert read_results(write_results([a_base_result()], "", REPOSITORY).encode(), "", REPOSITORY) == REJECTED


def test_a_repository_has_one_name_in_any_case_and_no_secret_is_written() -> None:
    assert read_results(WRITTEN, KEY, "Octo/Shop") == ((a_base_result(),), "")
    assert "core" not in write_results([a_base_result()], KEY, REPOSITORY, lambda text: text.replace("core", "***"))


def a_trace(path: str, *events: object) -> Trace:
    text = json.dumps({"events": events or (LOOKUP, REFUND)})
    return replace(read_recording(text, path), task="refund", content=b"{}")


def a_run(path: str, *failures: Failure, **more: object) -> Run:
    numbers: Mapping[str, object] = {"pass_rate": 0.5, "unsafe_attempts": 0.0, "failures": float(len(failures)), **more}
    return replace(
        decide(run_with(FAILING, **numbers)),
        trace_id=f"id of {path}",
        failures=tuple(replace(each, trace_id=path) for each in failures),
    )


def a_gate(*traces: Trace) -> Gate:
    return Gate(name="refunds", campaign="core", traces=traces)


def found(gate: Gate, *runs: Run) -> GateDecision:
    recorded = tuple(replace(run, trace=trace) for trace, run in zip(gate.traces, runs, strict=True))
    return replace(decide_gate(gate, recorded, Base(results=None)), scenarios=scenarios_of(gate, recorded))


def base(*steps: str, failures: Mapping[ci_runs.FailureKind, float] | None = {}) -> Result:
    calls = tuple(Call(tool, tuple(arguments)) for tool, *arguments in map(str.split, steps))
    return a_base_result(scenarios=(BaseScenario(name="refund", failures=failures, steps=calls),))


def kept(result: GateDecision) -> tuple[BaseScenario, ...]:
    return result_to_keep(result, origin=(), commit="c").scenarios


GATE = a_gate(a_trace("a.json"), a_trace("b.json"))
STOPPED = replace(UNSAFE, type="incomplete", description="Stopped.")
counts = st.dictionaries(st.sampled_from([UNSAFE, LOOP, STOPPED]), st.integers(1, 3))
results_of_base = st.lists(
    st.builds(
        BaseScenario,
        name=st.sampled_from([*["refund"] * 6, "cancel"]),
        pass_rate=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
        failures=st.one_of(
            *[counts.map(lambda each: {failure.kind: float(count) for failure, count in each.items()})] * 6, st.none()
        ),
    ),
    min_size=2,
    max_size=5,
)
UNKNOWN = replace(UNSAFE, tool="", event=None)
SAME, OTHER = base("lookup order", "refund order"), base("lookup order", "status order", failures=None)
MARKED = ("  1 lookup(order)", "> 2 refund(order)")
FAILED, INSTEAD = Step(2, "refund"), Step(2, "refund", "instead", "status")
DIFFERENCE = ("  1 lookup(order)", "- 2 status(order)", "+ 2 refund(order)")


@settings(max_examples=200)
@given(base_scenarios=results_of_base, failures=counts, recordings=st.integers(1, 2))
def test_new_more_often_and_known_equal_a_count_by_hand(
    base_scenarios: list[BaseScenario], failures: dict[Failure, int], recordings: int
) -> None:
    gate = a_gate(*(a_trace(f"{number}.json") for number in range(recordings)))
    runs = [a_run(trace.label, *(replace(each, count=failures[each]) for each in failures)) for trace in gate.traces]
    known = [each for each in base_scenarios if each.name == "refund" and each.failures is not None]
    results = tuple(replace(base(), scenarios=(each,)) for each in base_scenarios)
    compared = compare_with_base(found(gate, *runs), results)
    assert len(compared.failures) == len(failures) * recordings
    for each in compared.failures:
        of_base = [(result.failures or {}).get(each.kind, 0) for result in known]
        [here] = (count for failure, count in failures.items() if failure.kind == each.kind)
        having = sum(count > 0 for count in of_base)
        assert each.on_base == (OnBase(having, len(known), here, max(of_base)) if known else None)
        assert each.is_new == (bool(known) and all(here > count for count in of_base))
    [scenario] = compared.scenarios
    rates = [each.pass_rate for each in known if each.pass_rate is not None]
    assert scenario.base_rates == tuple(each.pass_rate for each in known)
    assert scenario.base_rate == (round(sum(rates) / len(rates), 10) if rates else None)


def test_a_failure_that_happens_twice_is_new_if_it_happened_once_on_the_base_whatever_its_text() -> None:
    once = base(failures={UNSAFE.kind: 0.5})
    for texts, new in ((("a",), False), (("a", "a"), True), (("a", "b"), True)):
        first, *second = (replace(UNSAFE, description=text) for text in texts)
        what = found(GATE, a_run("a.json", first), a_run("b.json", *second))
        assert [each.is_new for each in compare_with_base(what, (once,) * 3).failures] == [new] * len(texts)


@pytest.mark.parametrize(
    "incomplete",
    [
        *({"numbers": {}}, {"unread": True}, {"numbers": run_with(FAILING, failures=1).numbers}),
        {"decision": Decision.ERROR, "rule": Rule.NOT_POLLED},
    ],
)
def test_nothing_is_said_about_a_scenario_whose_failures_are_not_all_known(incomplete: dict[str, object]) -> None:
    run: Run = replace(a_run("b.json"), **incomplete)  # type: ignore[arg-type]
    compared = compare_with_base(found(GATE, a_run("a.json", UNSAFE), run), (base(failures={LOOP.kind: 1}),) * 3)
    assert [each.on_base for each in compared.failures] == [None]
    assert [each.failures for each in kept(compared)] == [None]


@pytest.mark.parametrize(
    ("failure", "results", "step", "steps"),
    [
        (UNSAFE, (OTHER, base("other")), INSTEAD, (*DIFFERENCE[:2], "> 2 refund(order)")),  # the newest one counts
        *((UNKNOWN, (OTHER,), INSTEAD, DIFFERENCE), (UNSAFE, (SAME, OTHER), FAILED, MARKED)),
        *((UNSAFE, (base(), OTHER), FAILED, MARKED), (UNSAFE, (), FAILED, MARKED), (UNKNOWN, (SAME,), None, ())),
    ],
)
def test_steps_show_the_difference(failure: Failure, results: Results, step: object, steps: object) -> None:
    what = found(GATE, a_run("a.json", failure), a_run("b.json"))
    assert [(each.step, each.steps) for each in compare_with_base(what, results).failures] == [(step, steps)]


def test_steps_are_those_of_the_worst_recording_that_has_the_failure() -> None:
    gate = a_gate(*(a_trace(path, *[STATUS] * number, REFUND) for number, path in enumerate("abcd")))
    other = replace(UNSAFE, event=None)
    runs = [a_run("a", LOOP, unsafe_attempts=9.0), a_run("d", other, pass_rate=0.1)]
    runs[1:1] = [a_run(each, other, unsafe_attempts=1.0, pass_rate=rate) for each, rate in (("b", 0.9), ("c", 0.3))]
    compared = compare_with_base(found(gate, *runs), ())
    found_ones = {(each.step, each.steps) for each in compared.failures if each.type == "unsafe_action"}
    assert found_ones == {(Step(3, "refund"), ("  1 status(order)", "  2 status(order)", "> 3 refund(order)"))}


def test_a_registered_trace_has_no_steps_and_a_batch_is_not_compared() -> None:
    gate = a_gate(Trace(label="t-1", trace_id="t-1"))
    run = replace(a_run("t-1", UNSAFE), trace_id="t-1")
    results = (base("lookup"),)
    assert [(each.step, each.steps) for each in compare_with_base(found(gate, run), results).failures] == [(None, ())]
    batch = replace(found(Gate(name="refunds", campaign="core"), Run()), scenarios=(Scenario("1", (run,)),))
    assert compare_with_base(batch, (base(),)) == replace(batch, failures=run.failures)


def test_the_steps_that_are_kept_are_those_of_the_best_recording() -> None:
    gate = a_gate(a_trace("a", STATUS), a_trace("b", REFUND), a_trace("c", LOOKUP))
    runs = a_run("a", pass_rate=0.4), a_run("b", pass_rate=0.9), a_run("c", pass_rate=0.9, unsafe_attempts=1.0)
    assert [each.steps for each in kept(found(gate, *runs))] == [(Call("refund", ("order",)),)]


def test_ambiguous_names_are_not_kept() -> None:
    gate = a_gate(replace(a_trace("a.json"), task="b.json"), replace(a_trace("b.json"), task=""), a_trace("c.json"))
    what = found(gate, *(a_run(trace.label) for trace in gate.traces))
    assert [each.name for each in kept(what)] == ["refund"]


@pytest.mark.parametrize(
    ("calls", "results", "idle"),
    [
        *((((), ()), (), True), (((), (LOOKUP,)), (), False)),
        (((STATUS,), (STATUS,)), (base("lookup"), base("lookup", "status")), True),
        (((STATUS,), (LOOKUP,)), (base("lookup"),) * 2, False),
        *((((STATUS,), (STATUS,)), (base("lookup"), base("refund")), False), (((), ()), (base("lookup"),), True)),
        (((STATUS,), ()), (base("…"), base()), False),
    ],
    ids=range(7),
)
def test_which_scenarios_are_idle(calls: tuple[tuple[object, ...], ...], results: Results, *, idle: bool) -> None:
    prompt = {"type": "agent_output"}
    gate = a_gate(*(a_trace(f"{number}.json", prompt, *each) for number, each in enumerate(calls)))
    what = found(gate, *(a_run(trace.label) for trace in gate.traces))
    assert [each.idle for each in compare_with_base(what, results).scenarios] == [idle]


def test_a_scenario_of_the_newest_result_that_a_gate_has_not_is_missing_also_if_nothing_could_be_read() -> None:
    newest = replace(base(), scenarios=tuple(BaseScenario(name=name) for name in ("refund", "cancel")))
    older = replace(base(), scenarios=(BaseScenario(name="find"),))
    every = found(GATE, a_run("a.json"), a_run("b.json"))
    for what in (every, replace(every, scenarios=())):
        assert compare_with_base(what, (newest, older)).scenarios_missing == ("cancel",)
