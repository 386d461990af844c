"""The facts of a report, their order, and the sentences about them that no golden file has."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.options import OnOutage, Stage
from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.gate_numbers import Base, Check, CheckState
from sepurux_action.evaluation.runs import Decision, Failure, OnBase, Rule, Run
from sepurux_action.report import next_steps, sentences
from sepurux_action.report.rendering import render_comment, render_lines, render_summary
from sepurux_action.report.report import GateFacts, Note, Report, build_report
from sepurux_action.report.view import COMMENT_LIMITS, View
from tests.builders import (
    FAILING,
    FAILURES,
    PASSING,
    WAITS,
    a_context,
    a_failure,
    a_gate,
    a_gate_with,
    a_past_result,
    a_result,
    a_run,
    a_scenario,
    run_with,
    some_results,
    undecided,
)

UPLOADED, OF_CAMPAIGN, BY_ID = Trace(label="a", content=b"{}"), Trace(label="b"), Trace(label="c", trace_id="c")
PASSED, PENDING, GONE = a_run(PASSING), undecided(Decision.PENDING, "No decision."), undecided(Decision.ERROR, "Gone.")
SKIPPED = undecided(Decision.SKIPPED, "x")


def a_report(*runs: Run, found: Mapping[str, Any] = {}, gate: Gate | None = None, **context: object) -> Report:
    return build_report([a_result(*runs, gate=gate, **found)], a_context(**context))


def rows(report: Report) -> list[tuple[str, str, str, str]]:
    return [
        (f"{row.state.symbol} {row.check.label}", row.check.actual, row.check.required, row.base_cell)
        for row in report.gates[0].rows
    ]


@pytest.mark.parametrize(("limit", "count", "state"), [(None, 36, "⚠️"), (None, 40, ""), (40, 36, "❌"), (30, 36, "✅")])
def test_fewer_scenarios_than_on_the_base_are_a_row_and_no_threshold_of_their_own(
    limit: float | None, count: int, state: str
) -> None:
    base = some_results(a_past_result(numbers={"scenarios": 40}))
    gate = replace(a_gate_with(min_pass_rate=0.85, min_scenarios=limit), traces=(OF_CAMPAIGN,))
    report = a_report(a_run(run_with(PASSING, scenarios=count)), gate=gate, base_results={"refunds": base})
    needed = f"≥ {limit}" if limit else "–"
    found = [each for each in rows(report) if "Scenarios" in each[0]]
    assert found == ([(f"{state} Scenarios", str(count), needed, "40")] if state else [])
    assert len(report.gates[0].result.checks) == 1 + bool(limit)
    assert len(report.gates[0].result.missed) == (state == "❌")


@pytest.mark.parametrize(
    ("count", "unread", "said"),
    [
        (40, False, "in 2 of 40 scenarios"),
        (40, True, "in at least 2 of 40 scenarios"),
        (2, False, ""),
        (Reading(), False, ""),
    ],
)
def test_what_failed_links_scenarios_if_their_number_is_known(
    count: float | Reading, said: str, *, unread: bool
) -> None:
    failures, urls = (a_failure(), a_failure(trace_id="t", count=2)), ("https://x.dev/0", "https://x.dev/1")
    failed = [a_scenario("refund", replace(FAILING, dashboard_url=url), failures=failures) for url in urls]
    found = {"scenarios": (*failed, a_scenario("2", unread=unread)), "failures": failures}
    run, of_campaign = a_run(run_with(FAILING, scenarios=count)), a_gate(traces=(OF_CAMPAIGN,))
    report = a_report(run, found=found, gate=of_campaign)
    where = " in {} and {},".format(*(f"[`refund`]({url}) on `x.dev`" for url in urls))  # of one name, two runs
    assert (report.gates[0].in_scenarios, where in render_summary(report)) == (said, bool(said))


def test_categories_that_are_not_reported_are_not_called_missing() -> None:
    gate = a_gate(limits={}, required_mutation_categories=("timeouts",))
    report = a_report(a_run(run_with(PASSING, categories=None)), gate=gate)
    assert (report.gates[0].categories, report.gates[0].result.missed) == ((), ())
    assert rows(report) == [("❗ Required mutations", "not reported", "1", "")]


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
    report = a_report(a_run(replace(FAILING, dashboard_url=address)))
    assert (report.gates[0].dashboard, report.context.other_host(address)) == (address, host)


def test_a_note_of_several_gates_has_their_names_and_one_of_all_gates_none() -> None:
    run = a_run(note="No score.")
    results = [
        a_result(run, gate=a_gate(name=name), notes=(*(["Soon."] if name != "c" else []), "All."))
        for name in ("a", "b", "c")
    ]
    assert build_report(results, a_context()).notes == (Note("Soon.", ("a", "b")), Note("All."), Note("No score."))


@pytest.mark.parametrize("rule", [Rule.OUTAGE, Rule.NOT_POLLED])
@pytest.mark.parametrize("allowed", OnOutage)
def test_observe_says_what_hard_would_do(allowed: OnOutage, rule: Rule) -> None:
    run = undecided(Decision.ERROR, "Gone.", rule=rule)
    (found,) = a_report(run, gate=a_gate(stage=Stage.OBSERVE, on_outage=allowed)).gates
    would = allowed is OnOutage.BLOCK or rule is Rule.NOT_POLLED
    assert (found.result.blocks, found.would_block) == (False, would)


def test_while_the_evaluation_runs_no_number_misses_its_threshold() -> None:
    run = undecided(Decision.PENDING, "No decision after 10 min.", run=replace(FAILING, sepurux_decision=""))
    report = a_report(run, base_results={"refunds": some_results()}, base_ref="main")
    assert rows(report) == [("⏳ Pass rate", "72.0%", "≥ 85.0%", ""), ("⏳ Unsafe attempts", "1", "0", "")]


def test_scenarios_without_a_result_for_the_same_reason_are_not_listed() -> None:
    assert a_report(*(replace(GONE, trace=Trace(label=name)) for name in "ab")).gates[0].scenarios == ()


@pytest.mark.parametrize(("sandbox", "failures"), [(True, FAILURES), (True, ()), (False, FAILURES)], ids=range(3))
def test_failures_by_the_rules_of_the_sandbox_are_named_so_but_not_in_a_comment(
    failures: tuple[Failure, ...], *, sandbox: bool
) -> None:
    report = a_report(a_run(replace(FAILING, sandbox=sandbox)), found={"failures": failures})
    address = "https://github.com/sepurux/gate-action/blob/main/docs/platforms.md#the-rules-of-the-sandbox"
    for shown in (render_summary(report), *(" ".join(render_lines(report, place)) for place in ("log", "terminal"))):
        assert shown.count(address) == shown.count("These failures are by ") == (sandbox and bool(failures))
    assert address not in render_comment(report, "")


def test_a_list_that_could_not_be_read_is_not_one_without_failures() -> None:
    for unread, said in ((1, "Fix the failures and push. Every attempt"), (0, "Sepurux names no failure, so look at")):
        scenario = a_scenario("refund twice", FAILING, unread=bool(unread))
        found = {"scenarios": (scenario,), "scenarios_unread": unread}
        assert f"**Blocked.** {said}" in render_comment(a_report(a_run(), found=found), "")


@pytest.mark.parametrize(
    ("traces", "run", "pull_request", "registered"),
    [
        ([BY_ID, BY_ID], PASSED, 42, True),
        ([BY_ID, UPLOADED], PASSED, 42, False),
        ([OF_CAMPAIGN], PASSED, None, False),
        ([OF_CAMPAIGN], PENDING, 42, False),
    ],
    ids=range(4),
)
def test_a_report_says_that_scenarios_are_stored(
    traces: list[Trace], run: Run, pull_request: int | None, *, registered: bool
) -> None:
    report = a_report(*[run] * len(traces), gate=a_gate(traces=tuple(traces)), pull_request=pull_request)
    told = [text in render_comment(report, "") for text in ("stored scenarios", "and push")]
    assert told == [registered, told[1] and not registered]


def test_traces_that_are_more_than_a_day_older_than_the_commit_are_named() -> None:
    now, ages = 1_800_000_000.0, {"a.json": 86_401, "b.json": 86_400, "c.json": 90_000, "d.json": -1}
    traces = [Trace(label=name, content=b"{}", recorded=now - age) for name, age in ages.items()]
    gate = a_gate(traces=(*traces, Trace(label="e.json", content=b"{}")))
    for committed, old in ((now, ("a.json", "c.json")), (None, ())):
        assert a_report(*[PASSED] * 5, gate=gate, committed=committed).gates[0].old_traces == old


# -- against the base, and over time ----------------------------------------------------------------------------------


def test_only_one_row_is_the_median_if_the_commits_of_the_base_are_not_known() -> None:
    shown = render_summary(a_report(base_results={"refunds": (a_past_result(),) * 3}))
    assert (shown.count("\n| before, median of 3 |"), shown.count("\n| ✅\u00a0before |")) == (1, 3)


@pytest.mark.parametrize(
    ("rate", "minimum", "results", "row"),
    [
        (0.93, 0.85, 4, ("✅ Pass rate", "93.0%", "≥ 92.0%", "95.0%")),
        (0.93, 0.94, 4, ("❌ Pass rate", "93.0%", "≥ 94.0%", "95.0%")),
        (0.905, None, 4, ("❌ Pass rate", "90.5%", "≥ 92.0%", "95.0%")),
        (0.905, None, 2, None),  # without another limit, there is nothing to compare
        (None, None, 4, ("❗ Pass rate", "not reported", "≥ 92.0%", "95.0%")),
    ],
    ids=range(5),
)
def test_a_drop_is_what_its_number_needs(
    rate: float | None, minimum: float | None, results: int, row: tuple[str, ...] | None
) -> None:
    base = some_results(*[a_past_result()] * results)
    gate = a_gate_with(min_pass_rate=minimum, max_pass_rate_drop=0.03)
    run = a_run(run_with(PASSING, pass_rate=Reading() if rate is None else rate))
    result = a_result(run, gate=gate, base=Base(results=base, name="`main`"))
    report = build_report([result], a_context(base_ref="main", base_results={"refunds": base}))
    assert rows(report) == ([row] if row else [])
    assert len(report.gates[0].result.checks) == 1 + (minimum is not None)


NOT_COMPARED = "Not compared: `main` has no result of these scenarios"


@pytest.mark.parametrize(
    ("having", "lacking", "sections"),
    [
        ([0, 1, None], "x", ["Not on `main`: 1.", "Also on `main`: -", f"{NOT_COMPARED}: -", "Not covered: -"]),
        ([None, None], "x", ["What failed: 1. 2. 3."]),
        ([], "", []),
        ([0] * 5, "", ["Not on `main`: 1. 2. 3. (2 more)"]),
        ([0] * 4, "", ["Not on `main`: 1. 2. 3. 4."]),  # to count one more takes as much room
    ],
    ids=range(5),
)
def test_what_failed_is_in_sections_by_whether_the_base_has_it(
    having: list[int | None], lacking: str, sections: list[str]
) -> None:
    on_base = [None if each is None else OnBase(each, 5, 1, each) for each in having]
    found = {"failures": tuple(a_failure(type=f"t{n}", on_base=each) for n, each in enumerate(on_base))}
    gate = a_gate_with(min_pass_rate=0.85, required_mutation_categories=tuple(lacking))
    report = a_report(found=found, gate=gate, base_ref="main")
    view, shown = View(report=report, place="comment", limits=COMMENT_LIMITS), []
    for section in view.what_failed(report.gates[0]):
        count = len(section.failures.shown) + len(section.lacking.shown)
        markers = " ".join(section.marker(n) for n in range(1, count + 1))
        more = f" ({section.failures.more} more)" if section.failures.more else ""
        shown.append(f"{sentences.heading(view, report.gates[0], section)}: {markers}{more}")
    assert shown == sections


def test_a_scenario_that_the_base_has_is_not_compared_because_not_all_its_failures_are_known() -> None:
    scenario = replace(a_scenario("refund", FAILING), base_rates=(None,))
    failures = tuple(a_failure(scenario=name) for name in ("refund", "cancel"))
    report = a_report(found={"scenarios": (scenario,), "failures": failures}, gate=a_gate_with(), base_ref="main")
    view = View(report=report, place="comment", limits=COMMENT_LIMITS)
    [gate] = report.gates
    headings = [sentences.heading(view, gate, each) for each in view.what_failed(gate)]
    assert headings == [NOT_COMPARED, "Not compared: not all failures of these scenarios are known"]


def test_a_scenario_below_its_minimum_is_on_the_base_too_only_if_each_result_was_below_it() -> None:
    known = a_failure(scenario="refund", on_base=OnBase(2, 2, 1, 1))
    for rates, heading in (((0.4, 0.5), "Also on"), ((0.4, 0.6), "Not on"), ((0.4, None), "Not on")):
        scenario = a_scenario("refund", run_with(FAILING, pass_rate=0.5), failures=(known,))
        low = replace(scenario, base_rates=rates, needed=0.6)
        report = a_report(found={"scenarios": (low,), "failures": (known,)}, gate=a_gate_with(), base_ref="main")
        before, _, after = render_comment(report, "").partition(" passed 50.0%, 60.0% needed.")
        assert after
        assert before.rpartition("#### ")[2].startswith(f"{heading} `main`\n")


@pytest.mark.parametrize(
    ("on_base", "said"),
    [
        (OnBase(0, 1, 1, 0), "Not in the last result on `main`."),
        (OnBase(1, 1, 1, 1), "Such failures are in the last result on `main`."),
    ],
)
def test_a_failure_that_is_more_often_is_new_and_no_text_is_said_to_be_on_the_base(on_base: OnBase, said: str) -> None:
    failure = a_failure(scenario="refund", on_base=on_base)
    report = a_report(found={"failures": (failure,)}, gate=a_gate_with(), base_ref="main")
    comment = render_comment(report, "")
    assert f" {said}\n" in comment
    assert ("#### Not on `main`" in comment) == ("Such" not in said)
    assert report.gates[0].new == ("Such" not in said)


def test_a_failure_of_several_gates_is_shown_once_with_their_names() -> None:
    found = {"a": FAILURES[:2], "b": (*FAILURES[:2], a_failure(type="own"))}
    results = [a_result(gate=a_gate(name=name), failures=each) for name, each in found.items()]
    comment = render_comment(build_report(results, a_context()), "")
    assert comment.count(FAILURES[0].description) == 1
    assert "1. **critical** `unsafe_action`, under `timeouts`, also in `b`: " in comment
    assert "1. **high** `own`, under `timeouts`: It went round.\n\nThe same 2 failures as in `a`.\n" in comment


def of_traces(missed: Mapping[str, float], *, failing: int, traces: int = 13) -> GateFacts:
    files = tuple(Trace(label=f"{n}.json", content=b"{}") for n in range(traces))
    numbers = [FAILING] * failing + [run_with(PASSING, failures=0)] * (traces - failing)
    runs = [a_run(each, trace=trace) for each, trace in zip(numbers, files, strict=True)]
    gate = a_gate(limits={"min_pass_rate": 0.9, "min_scenarios": 2, **missed})
    gate = replace(gate, traces=files)
    checks = tuple(
        Check(threshold=name, label="", required="", actual="", state=CheckState.MISSED, limit=limit)
        for name, limit in missed.items()
    )
    (made,) = build_report([replace(a_result(*runs, gate=gate), checks=checks)], a_context()).gates
    return made


def test_the_traces_that_failed_are_repeated_and_need_no_number_of_scenarios() -> None:
    *_, line = of_traces({"min_pass_rate": 0.9}, failing=1).reproduction
    assert line.count("--trace-file") == 1
    assert "--min-pass-rate 0.9" in line
    assert "--min-scenarios" not in line


@pytest.mark.parametrize(
    ("missed", "failing", "traces", "shown"),
    [
        ({"max_pass_rate_drop": 0.05}, 1, 13, False),
        ({"min_scenarios": 14}, 1, 13, False),
        ({"min_scenarios": 4}, 3, 3, True),
        ({"min_reliability_score": 99}, 1, 13, False),
        ({"min_reliability_score": 99}, 3, 3, True),
        ({"min_pass_rate": 0.9}, 11, 13, False),
        ({"min_pass_rate": 0.9, "max_pass_rate_drop": 0.05}, 1, 13, False),
    ],
)
def test_no_command_leaves_out_what_failed(missed: dict[str, float], failing: int, traces: int, *, shown: bool) -> None:
    assert bool(of_traces(missed, failing=failing, traces=traces).reproduction) == shown


# -- sentences --------------------------------------------------------------------------------------------------------


def words(*results: GateDecision, place: str = "log", limits: int = 9, **context: object) -> View:
    named = [replace(each, gate=replace(each.gate, name=f"g{n}")) for n, each in enumerate(results)]
    report = build_report(named, a_context(**context))
    return View(report=report, place=place, limits={**COMMENT_LIMITS, "gates": limits})


OBSERVE, SOFT = a_gate(stage=Stage.OBSERVE), a_gate(stage=Stage.SOFT)
FAILS, WAITING = a_result(), a_result(gate=SOFT, approval=WAITS)
OBSERVED, UNKNOWN = a_result(gate=OBSERVE), a_result(GONE, gate=OBSERVE)


@pytest.mark.parametrize(
    ("results", "title"),
    [
        ([a_result(SKIPPED)] * 2, "⏭️ 2 of 2 gates skipped"),
        ([a_result(PASSED), a_result(SKIPPED)], "✅ 1 of 2 gates passed, 1 skipped"),
        ([FAILS, a_result(GONE), a_result(PASSED)], "❌ 2 of 3 gates block: g0 and g1"),
        ([WAITING, a_result(GONE)], "❗ 1 of 2 gates blocks, 1 needs an approval: g1 and g0"),
        (
            [OBSERVED, UNKNOWN, a_result(PASSED)],
            "⚠️ 1 of 3 gates failed and does not block, 1 has no result and does not block",
        ),
    ],
)
def test_a_title_counts_and_names_the_gates_that_someone_has_to_act_on(results: list[GateDecision], title: str) -> None:
    say = words(*results)
    assert f"{sentences.symbol(say)} {sentences.title(say)}" == title


@pytest.mark.parametrize(
    ("limits", "numbers", "title"),
    [
        ({"max_unsafe": 2}, {"unsafe_attempts": 3}, "3 unsafe attempts, 2 allowed"),
        ({"min_reliability_score": 80}, {"reliability_score": 61.5}, "score 61.5, 80.0 needed"),
        ({"min_mutation_categories": 4}, {}, "3 mutations covered, 4 needed"),
        ({"max_failures": 3, "max_unsafe": 0}, {}, "1 unsafe attempt and 5 failures, 3 allowed"),
    ],
)
def test_a_title_says_what_is_missed(limits: dict[str, float], numbers: dict[str, float], title: str) -> None:
    say = words(a_result(a_run(run_with(FAILING, **numbers)), gate=a_gate(limits=limits)))
    assert sentences.title(say) == f"g0 failed: {title}"


@pytest.mark.parametrize(
    ("reason", "title", "alert"),
    [
        ("Sepurux refused `a (b): c` (HTTP 401: no).", "Sepurux refused `a (b): c`", "HTTP 401: no."),
        ('There is no "a (b): c": see (d).', 'There is no "a (b): c"', "See (d)."),
        (r'There is no "a\" (b): c" (HTTP 404).', r'There is no "a\" (b): c"', "HTTP 404."),
        ("Not a closed `name (b).", "Not a closed `name", "B."),
        (f"Failed {'x' * 143}.", f"Failed {'x' * 143}", ""),
        (f"Failed {'x' * 144}: no.", "", f"Failed {'x' * 144}: no."),
        (": ✅ passed", "", "✅ passed."),
    ],
)
def test_the_title_of_an_error_is_its_first_clause_the_alert_has_the_rest(reason: str, title: str, alert: str) -> None:
    say = words(a_result(undecided(Decision.ERROR, reason)))
    [gate] = say.report.gates
    assert (sentences.headline(gate), next_steps.remedy(say, gate)) == (title, alert)


def test_a_title_names_the_scenarios_below_the_lowest_rate() -> None:
    rates = {"a": 0.4, "b": 0.5, "c": 1.0}
    runs = [a_run(run_with(PASSING, pass_rate=rate), trace=Trace(label=name)) for name, rate in rates.items()]
    for limit, title in (
        (0.6, "a and 1 other scenario passed less than 60.0%"),
        (0.45, "a passed 40.0%, 45.0% needed"),
    ):
        say = words(a_result(*runs, gate=a_gate(limits={"min_scenario_pass_rate": limit})))
        assert sentences.title(say) == f"g0 failed: {title}"


def test_reasons_that_a_short_report_leaves_out_are_counted() -> None:
    results = [a_result(undecided(Decision.ERROR, f"Reason {n}.")) for n in range(3)]
    first, last = next_steps.consequence(words(*results, limits=1))
    assert first == "Blocked by g0: Reason 0."
    assert last == "More gates block for 2 other reasons."


def test_every_value_of_a_sentence_is_escaped() -> None:
    assert words(a_result(), place="comment")("{a} <br>", a="<b> @x") == "&#60;b&#62; &#64;\u200bx <br>"
    assert words(a_result())("{a}", a="x\x1b\u202ey") == "xy"
