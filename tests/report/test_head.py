"""The five slots of a report's head: title, what to do, things to change, numbers, and a remark."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import Change, Trace
from sepurux_action.errors import Problem
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.gate_numbers import Base, Scenario, scenarios_of
from sepurux_action.evaluation.runs import Decision, Failure, OnBase, Rule, Step
from sepurux_action.report.head import Head, head_of
from sepurux_action.report.markdown import plain
from sepurux_action.report.render import render_summary
from sepurux_action.report.report import build_report, shortened
from tests import builders
from tests.builders import FAILURES, PASSING, a_context, a_failure, a_gate, a_gate_with, a_result, a_run, run_with

OBSERVE, SOFT = a_gate(stage=Stage.OBSERVE), a_gate(stage=Stage.SOFT)
FAIL = replace(PASSING, sepurux_decision="fail")
UNEXPLAINED = a_run(FAIL)
PASSED, SKIPPED = a_run(PASSING), builders.undecided(Decision.SKIPPED, "No changed file matches.")
GONE = builders.undecided(Decision.ERROR, "Gone.", "{Rerun}.", rule=Rule.OUTAGE)
FIX, LOOK = "Blocked. Fix these and push:", "No failure is named: look at the Sepurux run, fix what it shows, and push."


def head(*results: GateDecision, most: int = 5, **context: Any) -> Head:  # noqa: ANN401 - fields of many types
    return head_of(build_report(results, a_context(**context)), most=most)


def items(of: Head) -> list[str]:
    return [plain(item.text) for item in of.items]


@pytest.mark.parametrize(
    ("result", "title", "action"),
    [
        (a_result(), "refunds: 72.0% passed, 85.0% needed", f"Blocked. {LOOK}"),
        (
            a_result(UNEXPLAINED, gate=OBSERVE),
            "refunds failed",
            "Does not block (enforcement: observe). Look at the Sepurux run.",
        ),
        (
            a_result(UNEXPLAINED, gate=SOFT, approval=builders.WAITS),
            "refunds failed",
            "Needs an approval of 3f9c2ad by mona or hubot-2: look at the Sepurux run, then review.",
        ),
        (
            a_result(PASSED, gate=a_gate_with(min_mutation_categories=4)),
            "refunds: 3 mutations, 4 needed",
            "Blocked. Add the missing mutations to the campaign and push.",
        ),
        (
            a_result(PASSED, gate=a_gate_with(required_mutation_categories=("a", "b")), failures=FAILURES),
            "refunds: a and b are not covered",
            "Blocked. Add a and b to the campaign and push.",
        ),
        (
            a_result(replace(GONE, rule=Rule.NOT_POLLED, campaign_id="c")),
            "refunds was not evaluated",
            "Blocked. Gone.",  # the trace may have caused it
        ),
    ],
    ids=range(6),
)
def test_title_and_action(result: GateDecision, title: str, action: str) -> None:
    found = head(result)
    assert (plain(found.title), plain(found.action)) == (title, action)


STORED, BY_ID, UPLOADED = builders.OF_CAMPAIGN, Trace(label="t", trace_id="t"), Trace(label="a.json", content=b"{}")
NOTHING_ABOUT_IT = "⚠️ It evaluates stored scenarios, so it says nothing about this pull request."


@pytest.mark.parametrize(
    ("traces", "pull_request", "lead", "remark"),
    [
        ([STORED], 42, "Blocked, but not by this pull request: it evaluates stored", NOTHING_ABOUT_IT),
        ([BY_ID, BY_ID], 42, "Blocked, but not by this pull request: it evaluates stored", NOTHING_ABOUT_IT),
        ([BY_ID, UPLOADED], 42, FIX, ""),
        ([STORED], None, "Blocked: it evaluates stored", ""),
    ],
    ids=range(4),
)
def test_stored_scenarios_say_nothing_about_a_pull_request(
    traces: list[Trace], pull_request: int | None, lead: str, remark: str
) -> None:
    gate = a_gate(traces=tuple(traces))
    failed = head(a_result(*[a_run()] * len(traces), gate=gate, failures=FAILURES), pull_request=pull_request)
    assert plain(failed.action).startswith(lead)
    waits = head(a_result(gate=replace(gate, stage=Stage.SOFT), approval=builders.WAITS), pull_request=pull_request)
    assert plain(waits.action).startswith("Needs an approval of 3f9c2ad")
    assert head(a_result(*[PASSED] * len(traces), gate=gate), pull_request=pull_request).remark == remark


# -- the things to change ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "clause"),
    [
        (Step(29, "orders.cancel"), "Step 29: orders.cancel"),
        (Step(5, "a", "instead", "b"), "Step 5: a (on main: b)"),
        (Step(5, "a", "added"), "Step 5: a (not on main)"),
        (Step(1, "a", "missing"), "a is missing after step 1"),
        (Step(0, "a", "missing"), "a is missing before step 1"),
        (Step(6, "a", "without", "b"), "Step 6: a without b"),
        (Step(6, "a", "with", "b"), "Step 6: a with b"),
        (None, ""),
    ],
)
def test_the_step_is_a_clause(step: Step | None, clause: str) -> None:
    [item] = head(a_result(failures=(a_failure(step=step),)), base_ref="main").items
    assert plain(item.where) == clause


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"severity": "CRITICAL"}, "critical It went round."),
        ({"severity": "medium"}, "It went round."),
        ({"description": "No end"}, "No end."),
        ({"description": "", "type": "loop"}, "loop."),
        ({"description": "", "type": ""}, "No description."),
        ({"count": 2}, "It went round. (seen 2 times)"),
        ({"count": 3, "on_base": OnBase(1, 2, 3, 3)}, "It went round. (seen 3 times)"),
        ({"count": 3, "on_base": OnBase(1, 2, 1.5, 1)}, "It went round. (more often: 1.5 here, 1 on main)"),
    ],
    ids=range(8),
)
def test_an_item_says_what_went_wrong(changes: dict[str, Any], text: str) -> None:
    failure = replace(a_failure(severity="low"), **changes)
    assert items(head(a_result(failures=(failure,)), base_ref="main"))[0] == text


def recordings(*having: str) -> GateDecision:
    """Return the result of two scenarios, the first with a recording for each text of a failure, '' for none."""
    traces = tuple(Trace(label=f"{n}.json", content=b"{}", task="refund twice") for n in range(len(having)))
    traces += (Trace(label="other.json", content=b"{}", task="other"),)
    failures = [(a_failure(scenario="refund twice", description=each),) if each else () for each in having]
    runs = [a_run(run_with(builders.FAILING, pass_rate=0.9 - n / 10), failures=each) for n, each in enumerate(failures)]
    gate = a_gate(traces=traces)
    made = [replace(run, trace=trace) for run, trace in zip([*runs, PASSED], traces, strict=True)]
    every = tuple(made[: len(having)])
    scenarios = Scenario("refund twice", every), Scenario("other", (made[-1],))
    return a_result(*made, gate=gate, failures=sum(failures, ()), scenarios=scenarios)


@pytest.mark.parametrize(
    ("having", "where"),
    [
        (["A."], "refund twice"),
        (["A.", "A."], "refund twice"),
        (["A.", ""], "refund twice (0.json)"),
        (["A.", "", "A."], "refund twice (2.json)"),  # the worst one
        (["A.", "B."], "refund twice (0.json)"),  # of the text that is shown
    ],
)
def test_a_failure_of_some_recordings_names_the_file_that_is_shown(having: list[str], where: str) -> None:
    [item] = head(recordings(*having)).items
    assert plain(f"{item.where} {item.file}").strip() == where


def failures_of(*lengths: int, new: Sequence[int] = ()) -> tuple[Failure, ...]:
    on_base = {number: OnBase(0, 2, 1, 0) for number in new}
    return tuple(
        a_failure(type=f"t{n}", description=f"{n} {'x' * (length - 3)}.", on_base=on_base.get(n, OnBase(1, 2, 1, 1)))
        for n, length in enumerate(lengths)
    )


@pytest.mark.parametrize(
    ("found", "lacking", "most", "shown", "unlisted"),
    [
        (failures_of(*[30] * 5), (), 5, 5, ""),
        (failures_of(*[30] * 6), (), 5, 5, "1 more failure"),
        (failures_of(*[60] * 6), (), 5, 4, "2 more failures"),
        (failures_of(*[30] * 6), ("a",), 5, 4, "2 more failures"),
        (failures_of(*[300] * 4), ("a",), 5, 2, "2 more failures"),
        (failures_of(*[300] * 30), (), 20, 20, "10 more failures"),
        ((), ("a",), 5, 0, ""),
    ],
    ids=range(7),
)
def test_as_many_items_as_fit(
    found: tuple[Failure, ...], lacking: tuple[str, ...], most: int, shown: int, unlisted: str
) -> None:
    gate = a_gate_with(min_pass_rate=0.85, required_mutation_categories=lacking)
    of = head(a_result(failures=found, gate=gate), most=most)
    added = [f"Add {name} to the campaign." for name in lacking]
    assert (len(of.items) - len(added), items(of)[shown:], of.unlisted) == (shown, added, unlisted)
    assert all(len(text) <= (400 if most > 5 else 140 if number == 0 else 90) for number, text in enumerate(items(of)))


def test_new_failures_are_counted_and_come_first() -> None:
    of = head(a_result(failures=failures_of(30, 30, 30, new=[2])))
    assert (plain(of.title), items(of)[0][:6]) == ("refunds: 1 new failure", "high 2")


@pytest.mark.parametrize(
    ("on_base", "first", "second"),
    [
        (None, "(seen 2 times, and 1 other like it)", "(and 2 others like it)"),
        (OnBase(1, 2, 3, 1), *["(and {} like it, more often: 3 here, 1 on main)"] * 2),
    ],
)
def test_failures_of_one_kind_are_one_item_and_no_text_is_lost(on_base: OnBase | None, first: str, second: str) -> None:
    found = ("A.", "x", "1"), ("B.", "x", "1"), ("A.", "x", "2"), ("A.", "y", "1"), ("A.", "y", "2")
    alike = [
        a_failure(description=text, scenario=name, trace_id=n, on_base=on_base, steps=(f"+ 1 {name}.{text}",))
        for text, name, n in found
    ]
    result = a_result(failures=tuple(alike))
    of = head(result, base_ref="main")
    first, second = first.format("1 other"), second.format("2 others")
    alone = "(more often: 3 here, 1 on main)" if on_base else "(seen 2 times)"
    news = "2 new failures" if on_base else "2 failures"
    assert (plain(of.title), items(of)) == (f"refunds: {news}", [f"high A. {first}", f"high A. {alone}"])
    every = [f"A. {first}", f"B. {second}", f"A. {alone}"]
    assert [plain(each.what) for each in head(result, base_ref="main", most=20).items] == every
    shown = render_summary(build_report([result], a_context(base_ref="main"))).partition("\n### ")[2]
    listed = re.findall(r"^\d\. \*\*high\*\* (.*\)) .*\n\n? *```diff\n *\+ 1 (.*)$", shown, re.MULTILINE)
    assert listed == [
        (each.replace(" main", " `main`"), f"{at}.{each[:2]}") for each, at in zip(every, "xxy", strict=True)
    ]


def test_a_scenario_below_its_minimum_is_an_item() -> None:
    rates = {"a": 0.4, "b": 0.5, "c": 1.0}
    runs = [a_run(run_with(PASSING, pass_rate=rate), trace=Trace(label=name)) for name, rate in rates.items()]
    of = head(a_result(*runs, gate=a_gate(limits={"min_scenario_pass_rate": 0.6})))
    assert plain(of.title) == "refunds: a passed 40.0%, 60.0% needed"
    assert items(of) == ["a passed 40.0%, 60.0% needed.", "b passed 50.0%, 60.0% needed."]
    of = head(a_result(*runs, gate=a_gate(limits={"min_scenario_pass_rate": 0.6}), failures=FAILURES[:1]))
    assert [text[0] for text in items(of)] == ["a", "b", "c"]  # the last one is the critical failure


def test_of_a_drop_alone_the_scenarios_that_got_worse_are_the_items() -> None:
    base = builders.some_results(*[builders.a_past_result()] * 4)
    gate = a_gate_with(max_pass_rate_drop=0.03)
    run = a_run(run_with(PASSING, pass_rate=0.9))
    scenarios = [
        replace(builders.a_scenario(name, run_with(PASSING, pass_rate=rate)), base_rates=(1.0, 0.9))
        for name, rate in {"better": 0.95, "worse": 0.8}.items()
    ]
    result = a_result(
        run, gate=gate, base=Base(results=base, name="`main`"), scenarios=tuple(scenarios), failures=FAILURES
    )
    of = head(result, base_ref="main", base_results={"refunds": base})
    assert (plain(of.title), plain(of.action)) == (
        "refunds: 5.0 points below main",
        "Blocked. Fix what got worse and push:",
    )
    assert items(of) == ["worse: 80.0% passed, 95.0% on main."]
    assert plain(of.numbers[0]) == "90.0% passed, 92.0% needed, 95.0% on main"


def test_unsafe_attempts_of_a_flaky_scenario_count() -> None:
    traces = [Trace(label=f"{n}.json", content=b"{}", task=n) for n in ("sound", "flaky")]
    traces[1] = replace(traces[1], flaky=date(2030, 1, 1))
    failure = replace(a_failure(scenario="flaky"), flaky=True)
    runs = [replace(PASSED, trace=traces[0]), a_run(builders.FAILING, trace=traces[1], failures=(failure,))]
    for unsafe in (1.0, 0.0):
        runs[1] = replace(runs[1], numbers={**runs[1].numbers, "unsafe_attempts": Reading(unsafe)})
        gate = a_gate(traces=tuple(traces), limits={"max_unsafe": 0, "min_pass_rate": 0.99})
        result = a_result(*runs, gate=gate)
        of = head(replace(result, failures=(failure,), scenarios=scenarios_of(gate, result.runs)))
        assert (plain(of.title) == "refunds: 1 failure", len(of.items)) == (bool(unsafe), unsafe)


# -- numbers and remarks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "numbers", "shown"),
    [
        ({"min_pass_rate": 0.85, "max_unsafe": 0}, {}, ["72.0% passed, 85.0% needed", "1 unsafe"]),
        ({"max_unsafe": 2}, {"unsafe_attempts": 3}, ["72.0% passed", "3 unsafe, 2 allowed"]),
        ({"min_reliability_score": 80, "max_failures": 3}, {}, ["72.0% passed", "5 failures, 3 allowed"]),
        ({"min_pass_rate": 0.7201}, {}, ["72.00% passed, 72.01% needed"]),
        ({"max_unsafe": 0}, {"pass_rate": Reading()}, ["1 unsafe"]),
    ],
)
def test_numbers_are_the_pass_rate_and_what_else_is_missed(
    limits: dict[str, float], numbers: dict[str, Any], shown: list[str]
) -> None:
    run = a_run(run_with(builders.FAILING, **numbers))
    of = head(a_result(run, gate=a_gate(limits=limits), failures=FAILURES))
    assert [plain(each) for each in of.numbers] == [*shown, "details", "3f9c2ad"]


CHANGE = Change("", "timeout", "", "601")
IDLE = replace(builders.a_scenario("a", PASSING), idle=True)
CALLED = replace(IDLE, base_tools=("x", "y"))
OLD = a_gate(traces=(replace(builders.RECORDED, recorded=1_000_000.0 - 86_401),))


@pytest.mark.parametrize(
    ("result", "context", "remark"),
    [
        (a_result(PASSED, scenarios=(IDLE,)), {}, "⚠️ No trace calls a tool."),
        (a_result(PASSED, scenarios=(IDLE,)), {"policy_changes": (CHANGE,)}, "⚠️ No trace calls a tool."),
        (a_result(PASSED, scenarios=(IDLE, builders.a_scenario("b", PASSING))), {}, "⚠️ a calls no tool."),
        (a_result(PASSED, scenarios=(CALLED,)), {}, "⚠️ a calls none of the tools of main: x and y."),
        (a_result(PASSED, scenarios_missing=("b", "c")), {}, "⚠️ b and c are missing: main has them."),
        (a_result(PASSED, gate=OLD), {"committed": 1e6}, "⚠️ traces/refunds.json was recorded before this commit."),
        (a_result(PASSED, gate=OLD), {"committed": 999_999.0}, ""),
        (a_result(gate=SOFT, approval=replace(builders.WAITS, ignored=("x",))), {}, "x's approval does not count."),
    ],
    ids=range(8),
)
def test_remarks(result: GateDecision, context: dict[str, Any], remark: str) -> None:
    assert plain(head(result, base_ref="main", **context).remark) == remark


# -- several gates, settings, signals ---------------------------------------------------------------------------------


def named(*results: GateDecision) -> list[GateDecision]:
    return [replace(each, gate=replace(each.gate, name=f"g{n}")) for n, each in enumerate(results)]


FAILS, WAITING = a_result(failures=FAILURES[:1]), a_result(gate=SOFT, approval=builders.WAITS, failures=FAILURES[:1])
APPROVE = "look at the Sepurux run, then review. Or fix these and push:"
OBSERVED, UNKNOWN = a_result(gate=OBSERVE), a_result(GONE, gate=OBSERVE)
OTHER = a_result(replace(GONE, reason="Lost.", rule=Rule.NOT_POLLED))
LATE, SILENT = a_result(replace(GONE, decision=Decision.PENDING)), a_result(gate=SOFT, approval=builders.WAITS)
NOT_YOURS = "Blocked, but not by your agent."


@pytest.mark.parametrize(
    ("results", "title", "action", "shown", "remark"),
    [
        ([a_result(SKIPPED)] * 2, "⏭️ 2 of 2 gates skipped", "No changed file matches.", 0, ""),
        ([a_result(PASSED), a_result(SKIPPED)], "✅ 1 of 1 gate passed", "", 0, "⏭️ g1 skipped"),
        ([FAILS, a_result(GONE), a_result(PASSED)], "❌ 2 of 3 gates block: g0 and g1", FIX, 2, "✅ g2"),
        (
            [WAITING, a_result(GONE)],
            "✋ 1 of 2 gates needs an approval: g0",
            f"Needs an approval of 3f9c2ad by mona or hubot-2: {APPROVE}",
            2,
            "❗ g1 no result, blocks · ⚠️ 1 remark",
        ),
        (
            [a_result(GONE)] * 4,
            "❗ 4 of 4 gates have no result: g0, g1, and 2 more",
            f"{NOT_YOURS} Gone.",
            0,
            "",
        ),
        (
            [OBSERVED, UNKNOWN, a_result(PASSED)],
            "❗ 1 of 3 gates has no result: g1",
            "Does not block (enforcement: observe). Gone.",
            1,
            "⚠️ g0 failed, not blocking · ✅ g2",
        ),
        (
            [OBSERVED, a_result(PASSED)],
            "⚠️ 1 of 2 gates failed and does not block: g0",
            "Does not block (enforcement: observe). Look at the Sepurux run.",
            0,
            "✅ g1",
        ),
        ([FAILS, *[a_result(PASSED)] * 3], "❌ 1 of 4 gates blocks: g0", FIX, 1, "✅ 3 passed"),
        ([FAILS, SILENT], "❌ 1 of 2 gates blocks: g0", FIX, 1, "✋ g1 needs an approval · ⚠️ 1 remark"),
        ([a_result(GONE), LATE], "❗ 2 of 2 gates have no result: g0 and g1", f"{NOT_YOURS} Gone.", 0, ""),
        (
            [FAILS, a_result(gate=SOFT, approval=builders.APPROVED)],
            "❌ 1 of 2 gates blocks: g0",
            FIX,
            1,
            "⚠️ g1 failed, approved",
        ),
    ],
    ids=range(11),
)
def test_several_gates(results: list[GateDecision], title: str, action: str, shown: int, remark: str) -> None:
    of = head(*named(*results))
    assert (f"{of.state.symbol} {plain(of.title)}", plain(of.action), plain(of.remark)) == (title, action, remark)
    assert len(of.items) == shown


@pytest.mark.parametrize(
    ("results", "shown"),
    [
        ([FAILS, OTHER], ["g1 was not evaluated. Lost. Re-run the job."]),
        (
            [FAILS, a_result(a_run(run_with(builders.FAILING, pass_rate=0.1)))],
            [f"g1: 10.0% passed, 85.0% needed. {LOOK}"],
        ),
        ([OTHER, *[a_result(GONE)] * 4], [f"g{n} was not evaluated. Gone. Re-run the job." for n in (1, 2, 3)]),
    ],
    ids=range(3),
)
def test_a_gate_that_names_no_failure_is_an_item(results: list[GateDecision], shown: list[str]) -> None:
    of = head(*named(*results))
    assert [text for text in items(of) if text.startswith("g")] == shown
    assert of.unlisted == ("1 more item" if len(results) > 4 else "")


def test_a_long_name_of_a_gate_is_cut() -> None:
    long = [
        replace(each, gate=replace(each.gate, name=f"{'n' * 60}{at}")) for at, each in enumerate([FAILS, a_result()])
    ]
    shown = "n" * 39 + "…"
    assert plain(head(*long).title) == f"2 of 2 gates block: {shown} and {shown}"
    assert plain(head(long[0]).title) == f"{shown}: 1 failure"


def test_problems_are_the_items_of_settings_that_cannot_be_used() -> None:
    of = head_of(
        builders.a_settings_report(*[Problem(where="input `timeout`", message="no", file="f.yml", line=3)] * 51)
    )
    assert (plain(of.title), plain(of.action)) == ("51 problems in the settings", "Blocked. Correct these:")
    assert (items(of)[0], len(of.items), of.numbers[0]) == ("f.yml:3: input timeout: no", 50, "1 more problem")


def test_after_a_signal_a_certain_fail_is_named_without_what_failed() -> None:
    report = shortened(build_report([a_result(failures=FAILURES)], a_context()))
    of = head_of(report)
    assert (plain(of.title), of.items) == ("refunds: 72.0% passed, 85.0% needed", [])
    assert plain(of.action) == f"Blocked. {LOOK}"


def test_no_push_is_asked_for_on_a_command_line() -> None:
    for result in (a_result(failures=FAILURES), a_result(), a_result(PASSED, gate=a_gate_with(min_scenarios=3))):
        of = head(result, on_command_line=True, pull_request=None, run_url="")
        assert "push" not in of.action
        assert not re.match(r"\*\*Blocked.\*\* Fix", of.action)
