"""The facts of a report: states, thresholds, failures, traces, history, and their order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Trace
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.decision import Decision, Rule
from sepurux_action.evaluation.drops import Base
from sepurux_action.evaluation.failures import FEWER_LISTED, ClassifiedFailure, OnBase
from sepurux_action.evaluation.runs import RunResult, WhatFailed
from sepurux_action.report import advice, sentences
from sepurux_action.report.context import Dashboard
from sepurux_action.report.gate_facts import GateFacts
from sepurux_action.report.rendering import render_comment, render_lines, render_summary
from sepurux_action.report.report import Note, Report, build_report
from sepurux_action.report.view import COMMENT_LIMITS, View
from sepurux_action.report.words import MarkdownWords
from tests.builders import (
    FAILING,
    FAILURES,
    PASSING,
    TRACE_ID,
    WAITS,
    a_baseline,
    a_context,
    a_failure,
    a_gate,
    a_gate_with,
    a_history,
    a_past_result,
    a_result,
    a_run,
    a_scenario,
    run_with,
    undecided,
)

UPLOADED, OF_CAMPAIGN, BY_ID = Trace(label="a", content=b"{}"), Trace(label="b"), Trace(label="c", trace_id="c")
UNCALLED = replace(UPLOADED, has_calls=False)
PASSED, PENDING = a_run(PASSING), undecided(Decision.PENDING, "No decision.")


def rows(gate: GateFacts) -> list[tuple[str, str, str, str]]:
    return [
        (f"{row.state.symbol} {row.check.label}", row.check.actual, row.check.required, row.base_cell)
        for row in gate.thresholds.rows
    ]


def test_no_rate_reads_as_the_threshold_that_it_misses() -> None:
    gate = a_gate(limits={"min_pass_rate": 0.85, "min_reliability_score": 80})
    near = run_with(FAILING, pass_rate=0.84996, reliability_score=79.996)
    result = a_result(a_run(near), gate=gate)
    (found,) = build_report([result], a_context(history=a_history(0.5))).gates
    assert [row.check.actual for row in found.thresholds.requested] == ["84.996%", "79.996"]
    assert found.history[0].cells[::3] == ("84.996%", "79.996")
    assert found.pass_rate == "84.996%"


@pytest.mark.parametrize(
    ("limits", "count", "row"),
    [
        ({}, 36, ("⚠️ Scenarios", "36", "–", "40")),
        ({}, 40, None),
        ({"min_scenarios": 40}, 36, ("❌ Scenarios", "36", "≥ 40", "40")),
        ({"min_scenarios": 30}, 36, ("✅ Scenarios", "36", "≥ 30", "40")),
    ],
)
def test_fewer_scenarios_than_on_the_base_are_a_row_and_no_threshold_of_their_own(
    limits: dict[str, float], count: int, row: tuple[str, ...] | None
) -> None:
    gate = a_gate(limits={"min_pass_rate": 0.85, **limits}, traces=(OF_CAMPAIGN,))
    base = a_baseline(a_past_result(numbers={"scenarios": 40}))
    result = a_result(a_run(run_with(PASSING, scenarios=count)), gate=gate)
    (found,) = build_report([result], a_context(baselines={"refunds": base})).gates
    assert [each for each in rows(found) if "Scenarios" in each[0]] == ([row] if row else [])
    assert len(found.thresholds.requested) == 1 + len(limits)
    assert len(found.thresholds.missed) == (row is not None and row[0].startswith("❌"))


@pytest.mark.parametrize(
    ("count", "problem", "said"),
    [
        (40, "", "in 2 of 40 scenarios"),
        (40, "not read", "in at least 2 of 40 scenarios"),
        (2, "", ""),
        (Reading(), "", ""),
    ],
)
def test_what_failed_names_its_scenarios_if_their_number_is_known(
    count: float | Reading, problem: str, said: str
) -> None:
    failures = a_failure(), a_failure(trace_id="t", count=2)
    failed = [a_scenario("", FAILING, run_id=str(n), failures=failures) for n in range(2)]
    every = (*failed, a_scenario("2", problem=problem))
    found = WhatFailed(scenarios=every, failures=failures)
    run, of_campaign = a_run(run_with(FAILING, scenarios=count)), a_gate(traces=(OF_CAMPAIGN,))
    (gate,) = build_report([a_result(run, what_failed=found, gate=of_campaign)], a_context()).gates
    (group,) = gate.found.failures
    assert (gate.found.in_scenarios, list(gate.found.scenarios_with(group))) == (said, ["0", "1"] if said else [])


def test_groups_with_new_failures_come_first() -> None:
    known, other = replace(FAILURES[0], on_base=OnBase(1, 3)), FAILURES[0]
    new = replace(FAILURES[3], on_base=OnBase(0, 3), trace_id=TRACE_ID)
    found = WhatFailed(failures=(known, other, new, replace(new, count=4)))
    (gate,) = build_report([a_result(what_failed=found)], a_context()).gates
    assert [(each.severity, each.count, each.on_base) for each in gate.found.failures] == [
        ("low", 5, OnBase(0, 3)),
        ("critical", 1, OnBase(1, 3)),
        ("critical", 1, None),
    ]


def test_categories_that_are_not_reported_are_not_called_missing() -> None:
    gate = a_gate(limits={}, required_mutation_categories=("timeouts",))
    run = a_run(run_with(PASSING, mutation_categories=None))
    (found,) = build_report([a_result(run, gate=gate)], a_context()).gates
    assert (found.found.categories, found.thresholds.lacking) == ((), ())
    assert rows(found) == [("❗ Required mutations", "not reported", "1", "")]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://app.sepurux.dev/runs/1", ""),
        ("https://APP.sepurux.dev:8443/runs/1", ""),
        ("https://app.sepurux.dev.evil.example/", "app.sepurux.dev.evil.example"),
        (f"https://app.sepurux.dev.{'a' * 63}.evil.example/", f"…{'a' * 46}.evil.example"),
    ],
)
def test_a_dashboard_on_another_host_is_named_by_the_end_of_its_host(address: str, host: str) -> None:
    report = build_report([a_result(a_run(replace(FAILING, dashboard_url=address)))], a_context())
    assert report.gates[0].dashboard == Dashboard(address, host)


def test_a_note_of_several_gates_has_their_names_and_one_of_all_gates_none() -> None:
    failed = WhatFailed(notes=("No score.",))
    results = [
        a_result(gate=a_gate(name=name), notes=(*(["Soon."] if name != "c" else []), "All."), what_failed=failed)
        for name in ("a", "b", "c")
    ]
    assert build_report(results, a_context()).notes == (Note("Soon.", ("a", "b")), Note("All."), Note("No score."))


def test_gates_that_block_come_first_and_of_these_what_no_approval_helps() -> None:
    gone = undecided(Decision.ERROR, "Gone.")
    soft = a_gate(name="soft", stage=Stage.SOFT)
    results = [
        a_result(a_run(PASSING), gate=a_gate(name="passed")),
        a_result(gate=a_gate(name="observed", stage=Stage.OBSERVE)),
        a_result(gone, gate=a_gate(name="allowed", on_undecided=OnUndecided.ALLOW)),
        a_result(gone, gate=a_gate(name="gone")),
        a_result(gate=soft, approval=WAITS),
        a_result(gate=a_gate(name="failed")),
    ]
    report = build_report(results, a_context())
    assert [gate.name for gate in report.gates] == ["failed", "soft", "gone", "allowed", "observed", "passed"]
    assert [gate.name for gate in report.acting] == ["failed", "soft", "gone"]


def test_a_report_says_that_each_trace_has_a_pass_only_if_each_has_one() -> None:
    gate = a_gate_with(min_pass_rate=0.5, max_unsafe=1)
    passed = a_run(run_with(PASSING, unsafe_attempts=1))
    late, each = undecided(Decision.PENDING, "No decision."), "Sepurux reported a pass for each trace alone."
    for third, said in ((passed, each), (late, "")):
        (found,) = build_report([a_result(passed, passed, third, gate=gate)], a_context()).gates
        assert (found.rule, advice.reported_pass(found)) == (Rule.THRESHOLD_MISSED, said)


@pytest.mark.parametrize(
    ("allowed", "uploaded", "would"),
    [(OnUndecided.BLOCK, False, True), (OnUndecided.ALLOW, False, False), (OnUndecided.ALLOW, True, True)],
)
def test_observe_says_what_hard_would_do(allowed: OnUndecided, *, uploaded: bool, would: bool) -> None:
    gate = a_gate(stage=Stage.OBSERVE, on_undecided=allowed)
    run = replace(undecided(Decision.ERROR, "Gone."), trace_may_be_cause=uploaded)
    (found,) = build_report([a_result(run, gate=gate)], a_context()).gates
    assert (found.blocks, found.would_block) == (False, would)


@pytest.mark.parametrize(
    ("rule", "short", "why"),
    [
        (Rule.NOT_POLLED, False, "the uploaded trace may be the cause"),
        (Rule.BASE_UNREAD, False, "the gate uploads a trace"),
        (Rule.NOT_POLLED, True, "the step was canceled"),
        (Rule.CANCELED, True, "the step was canceled"),
    ],
)
@pytest.mark.parametrize("allowed", list(OnUndecided))
def test_a_gate_that_blocks_although_errors_are_allowed_says_why(
    allowed: OnUndecided, rule: Rule, why: str, *, short: bool
) -> None:
    run = replace(undecided(Decision.ERROR, "Gone.", rule=rule), trace_may_be_cause=True)
    gate = a_gate(on_undecided=allowed)
    result = replace(a_result(run, gate=gate), blocks=True)
    (found,) = build_report([result], a_context(), short=short).gates
    assert advice.not_allowed(found) == (why if allowed is OnUndecided.ALLOW else "")
    assert found.would_block


def test_while_the_evaluation_runs_no_number_misses_its_threshold() -> None:
    run = undecided(Decision.PENDING, "No decision after 10 min.", run=replace(FAILING, decision=""))
    (gate,) = build_report([a_result(run)], a_context(baselines={"refunds": a_baseline()}, base_ref="main")).gates
    assert rows(gate) == [("⏳ Pass rate", "72.0%", "≥ 85.0%", ""), ("⏳ Unsafe attempts", "1", "0", "")]
    assert gate.thresholds.missed == ()


def test_scenarios_without_a_result_for_the_same_reason_are_not_listed() -> None:
    run = undecided(Decision.ERROR, "No secret.", "Set one.")
    (gate,) = build_report([a_result(replace(run, trace="a"), replace(run, trace="b"))], a_context()).gates
    assert gate.found.scenarios == ()


@pytest.mark.parametrize(
    ("rates", "limits", "named"),
    [
        ((0.2, 1.0, 1.0), {"min_pass_rate": 0.7}, ("a", "20.0%")),
        ((0.7, 1.0, 1.0), {"min_pass_rate": 0.7}, None),
        ((0.2, 1.0, 1.0), {"min_pass_rate": 0.7, "min_scenario_pass_rate": 0.2}, None),
        ((0.2, 1.0, 1.0), {"min_pass_rate": 0.8}, None),  # the gate failed
        ((0.2, 1.0, 1.0), {}, None),
    ],
)
def test_the_lowest_scenario_of_a_gate_that_passed_is_named_if_it_is_below_the_minimum_of_the_mean(
    rates: tuple[float, ...], limits: dict[str, float], named: tuple[str, str] | None
) -> None:
    runs = (a_run(run_with(PASSING, pass_rate=rate), trace=name) for rate, name in zip(rates, "abc", strict=True))
    report = build_report([a_result(*runs, gate=a_gate(limits=limits))], a_context())
    assert report.gates[0].found.low_scenario == named
    assert ("Lowest scenario: `a`, 20.0% passed." in render_comment(report, "")) is (named is not None)


# -- against the base, and over time ----------------------------------------------------------------------------------


def test_the_history_of_a_gate_goes_by_its_name_and_a_commit_whose_address_is_unknown_is_not_linked() -> None:
    for name, urls in (("other", []), ("refunds", ["", ""])):
        context = a_context(commit_url="", history=a_history(0.5, gate=name))
        assert [row.url for row in build_report([a_result()], context).gates[0].history] == urls


def test_failures_of_registered_scenarios_are_not_the_agents_to_fix() -> None:
    registered, uploaded = (a_gate(name=name, traces=(each,)) for name, each in (("r", OF_CAMPAIGN), ("u", UPLOADED)))
    both = build_report([a_result(a_run(), gate=each) for each in (registered, uploaded)], a_context())
    comment = render_comment(both, "")
    assert "**Blocked by `u`.** Sepurux names no failure, so look" in comment
    assert "**Blocked by `r`.** Whoever maintains the scenarios must correct or replace them ([Sepurux run](" in comment
    soft = replace(registered, stage=Stage.SOFT)
    for gate, fix in ((soft, False), (replace(soft, traces=(UPLOADED,)), True)):
        waits = a_result(gate=gate, approval=WAITS)
        assert (", or you can push a fix" in render_comment(build_report([waits], a_context()), "")) is fix


@pytest.mark.parametrize(("sandbox", "failures"), [(True, FAILURES), (True, ()), (False, FAILURES)], ids=range(3))
def test_failures_by_the_rules_of_the_sandbox_are_named_so_but_not_in_a_comment(
    sandbox: bool,  # noqa: FBT001
    failures: tuple[ClassifiedFailure, ...],
) -> None:
    run = a_run(replace(FAILING, sandbox=sandbox))
    report = build_report([a_result(run, what_failed=WhatFailed(failures=failures))], a_context())
    address = "https://github.com/sepurux/gate-action/blob/main/docs/platforms.md#the-rules-of-the-sandbox"
    for shown in (render_summary(report), *joined_lines(report)):
        assert shown.count(address) == shown.count("These failures are by ") == (sandbox and bool(failures))
    assert address not in render_comment(report, "")


def joined_lines(report: Report) -> list[str]:
    return [" ".join(render_lines(report, place)) for place in ("log", "terminal")]


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        ("a request failed: HTTP 503", "Fix the failures and push. Every attempt"),
        (FEWER_LISTED, "Fix the failures and push. Every attempt"),
        ("", "Sepurux names no failure, so look at the attempts"),
    ],
)
def test_a_list_that_could_not_be_read_is_not_one_without_failures(problem: str, sentence: str) -> None:
    scenario = a_scenario("refund twice", FAILING, problem=problem)
    found = WhatFailed(scenarios=(scenario,), unread_scenarios=int(bool(problem)))
    report = build_report([a_result(a_run(FAILING), what_failed=found)], a_context())
    assert f"**Blocked.** {sentence}" in render_comment(report, "")


@pytest.mark.parametrize(
    ("traces", "run", "pull_request", "registered"),
    [
        ([OF_CAMPAIGN], PASSED, 42, True),
        ([OF_CAMPAIGN], a_run(FAILING), 42, True),
        ([BY_ID, BY_ID], PASSED, 42, True),
        ([BY_ID, UPLOADED], PASSED, 42, False),
        ([UPLOADED], PASSED, 42, False),
        ([OF_CAMPAIGN], PASSED, None, False),
        ([OF_CAMPAIGN], PENDING, 42, False),
        ([OF_CAMPAIGN], undecided(Decision.SKIPPED, "x"), 42, False),
    ],
    ids=range(8),
)
def test_a_decision_on_registered_scenarios_says_on_a_pull_request_that_a_push_does_not_change_it(
    traces: list[Trace],
    run: RunResult,
    pull_request: int | None,
    registered: bool,  # noqa: FBT001
) -> None:
    result = a_result(*[run] * len(traces), gate=a_gate(traces=tuple(traces)))
    report = build_report([result], a_context(pull_request=pull_request))
    assert bool(report.registered) is registered
    assert "and push" not in (render_comment(report, "") if registered else "")


@pytest.mark.parametrize(
    ("traces", "run", "silent"),
    [
        ([UNCALLED], PASSED, True),
        ([UNCALLED], PENDING, True),
        ([UNCALLED, UPLOADED], PASSED, False),
        ([UNCALLED, BY_ID], PASSED, False),
        ([OF_CAMPAIGN], PASSED, False),
        ([UNCALLED], undecided(Decision.SKIPPED, "x"), False),
    ],
    ids=range(6),
)
def test_a_gate_whose_traces_call_no_tool_says_so(traces: list[Trace], run: RunResult, silent: bool) -> None:  # noqa: FBT001
    assert bool(build_report([a_result(run, gate=a_gate(traces=tuple(traces)))], a_context()).without_calls) is silent


def test_traces_that_are_more_than_a_day_older_than_the_commit_are_named() -> None:
    ages = {"a.json": 86_401, "b.json": 86_400, "c.json": 90_000, "d.json": -1, "e.json": None}
    now = 1_800_000_000.0
    recorded = {name: None if age is None else now - age for name, age in ages.items()}
    traces = tuple(Trace(label=name, content=b"{}", recorded=at) for name, at in recorded.items())
    result = a_result(*[PASSED] * len(traces), gate=a_gate(traces=traces))
    for committed, old in ((now, ("a.json", "c.json")), (None, ())):
        (found,) = build_report([result], a_context(committed=committed)).gates
        assert found.old_traces == old


# -- drops, sections, and what is repeated ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "minimum", "results", "row"),
    [
        (0.905, 0.85, 4, ("❌ Pass rate", "90.5%", "≥ 92.0%", "95.0%")),
        (0.93, 0.85, 4, ("✅ Pass rate", "93.0%", "≥ 92.0%", "95.0%")),
        (0.93, 0.94, 4, ("❌ Pass rate", "93.0%", "≥ 94.0%", "95.0%")),
        (0.905, None, 4, ("❌ Pass rate", "90.5%", "≥ 92.0%", "95.0%")),
        (0.905, 0.85, 2, ("✅ Pass rate", "90.5%", "≥ 85.0%", "95.0%")),
        (0.905, None, 2, None),  # without another limit, there is nothing to compare
        (None, None, 4, ("❗ Pass rate", "not reported", "≥ 92.0%", "95.0%")),
    ],
    ids=range(7),
)
def test_a_drop_is_what_its_number_needs(
    rate: float | None, minimum: float | None, results: int, row: tuple[str, ...] | None
) -> None:
    base = a_baseline(*[a_past_result()] * results)
    gate = a_gate_with(min_pass_rate=minimum, max_pass_rate_drop=0.03)
    run = a_run(run_with(PASSING, pass_rate=Reading() if rate is None else rate))
    result = a_result(run, gate=gate, base=Base(baseline=base, branch="main"))
    (found,) = build_report([result], a_context(base_ref="main", baselines={"refunds": base})).gates
    assert rows(found) == ([row] if row else [])
    assert len(found.thresholds.requested) == 1 + (minimum is not None)


def test_a_drop_within_the_range_of_the_base_needs_its_lowest_result() -> None:
    past = [a_past_result(numbers={"pass_rate": rate}) for rate in (0.95, 0.96, 0.95, 0.88)]
    base, gate = a_baseline(*past), a_gate_with(max_pass_rate_drop=0.03)
    result = a_result(a_run(run_with(PASSING, pass_rate=0.88)), gate=gate, base=Base(baseline=base, branch="main"))
    (found,) = build_report([result], a_context(base_ref="main", baselines={"refunds": base})).gates
    assert rows(found) == [("✅ Pass rate", "88.0%", "≥ 88.0%", "95.0%")]


NOT_COMPARED = "Not compared: `main` has no result of these scenarios"


@pytest.mark.parametrize(
    ("having", "lacking", "sections"),
    [
        ([0, 1, None], True, ["Not on `main`: 1.", "Also on `main`: -", f"{NOT_COMPARED}: -", "Not covered: -"]),
        ([0], True, ["Not on `main`: 1.", "Not covered: -"]),
        ([1], True, ["Also on `main`: -", "Not covered: -"]),
        ([None, None], True, ["What failed: 1. 2. 3."]),
        ([], False, []),
        ([0] * 5, False, ["Not on `main`: 1. 2. 3. (2 more)"]),
        ([0] * 4, False, ["Not on `main`: 1. 2. 3. 4."]),  # to count one more takes as much room
    ],
    ids=range(7),
)
def test_what_failed_is_in_sections_by_whether_the_base_has_it(
    having: list[int | None],
    lacking: bool,  # noqa: FBT001
    sections: list[str],
) -> None:
    failures = tuple(
        a_failure(type=f"t{n}", on_base=None if each is None else OnBase(each, 5)) for n, each in enumerate(having)
    )
    required = ("timeouts", "schema_drift") if lacking else ()
    gate = a_gate_with(min_pass_rate=0.85, required_mutation_categories=required)
    report = build_report([a_result(gate=gate, what_failed=WhatFailed(failures=failures))], a_context(base_ref="main"))
    view = View(report=report, place="comment", limits=COMMENT_LIMITS)
    shown = []
    for section in view.what_failed(report.gates[0]):
        count = len(section.failures.shown) + len(section.lacking.shown)
        markers = " ".join(section.marker(n) for n in range(1, count + 1))
        more = f" ({section.failures.more} more)" if section.failures.more else ""
        shown.append(f"{sentences.heading(MarkdownWords(view), report.gates[0], section)}: {markers}{more}")
    assert shown == sections


def test_a_failure_of_several_gates_is_shown_once_with_their_names() -> None:
    own = a_failure(type="own")
    results = [
        a_result(gate=a_gate(name=name), what_failed=WhatFailed(failures=each))
        for name, each in (("a", FAILURES[:2]), ("b", (*FAILURES[:2], own)))
    ]
    comment = render_comment(build_report(results, a_context()), "")
    assert comment.count(FAILURES[0].description) == 1 + comment.partition("Prompt for AI")[2].count(
        FAILURES[0].description
    )
    assert "1. **critical** `unsafe_action`, under `timeouts`, also in `b`: " in comment
    assert "1. **high** `own`, under `timeouts`: It went round.\n\nThe same 2 failures as in `a`.\n" in comment


@pytest.mark.parametrize(("failing", "repeated"), [(1, 1), (13, 10)])
def test_ten_traces_that_failed_are_repeated_and_need_no_number_of_scenarios(failing: int, repeated: int) -> None:
    names = [f"{n}.json" for n in range(13)]
    traces = tuple(Trace(label=name, content=b"{}") for name in names)
    limits = {"min_pass_rate": 0.9, "min_scenarios": 13}
    numbers = [FAILING] * failing + [run_with(PASSING, failures=0)] * (13 - failing)
    runs = [a_run(each, trace=name, uploaded=True) for each, name in zip(numbers, names, strict=True)]
    result = a_result(*runs, gate=a_gate(traces=traces, limits=limits))
    (gate,) = build_report([result], a_context()).gates
    line = gate.reproduction[-1]
    assert line.count("--trace-file") == repeated
    assert "--min-pass-rate 0.9" in line
    assert "--min-scenarios" not in line


def test_failures_are_counted_by_mutation_only_if_all_are_known() -> None:
    counted = "`timeouts` (2 failures), `malformed_output` (2), `prompt_injection` (0)."
    for unread, shown in ((0, counted), (1, "`timeouts`, `malformed_output`, `prompt_injection`.")):
        found = WhatFailed(failures=FAILURES, unread_failures=unread)
        assert f"\nMutations: {shown}\n" in render_summary(build_report([a_result(what_failed=found)], a_context()))
