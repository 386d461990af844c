"""A report is rendered as CONTRIBUTING.md says, within the size limits, also with broken templates."""

import re
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.options import Stage
from sepurux_action.config.policy import MAX_GATES_IN_STEP
from sepurux_action.config.settings import Change
from sepurux_action.errors import Problem
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.gate_numbers import Scenario
from sepurux_action.evaluation.runs import Decision, OnBase, Rule
from sepurux_action.evaluation.step_evaluation import CANCELED
from sepurux_action.report import rendering
from sepurux_action.report.markdown import finish
from sepurux_action.report.rendering import render_comment, render_lines, render_summary
from sepurux_action.report.report import build_report, shortened
from sepurux_action.report.view import COMMENT_CHARACTERS, COMMENT_LIMITS, View
from tests import gfm
from tests.builders import (
    DASHBOARD,
    FAILING,
    FAILURES,
    PASSING,
    RUN_ID,
    WAITS,
    a_context,
    a_failure,
    a_gate,
    a_poll,
    a_result,
    a_run,
    a_scenario,
    a_settings_report,
    commented,
    reports,
    run_with,
    undecided,
)

COMMENT_BYTES = 65_000
MARKER = f"<!-- sepurux-gate:{'k' * 20} -->"


@cache
def summary(state: str) -> str:
    return render_summary(reports()[state])


@cache
def comment(state: str) -> str:
    return render_comment(reports()[state], MARKER).removeprefix(f"{MARKER}\n")


# -- what a reader sees first -----------------------------------------------------------------------------------------


GONE = undecided(Decision.ERROR, "Gone.", "Re-run the job.")
LATE = undecided(Decision.PENDING, "Late.", "Re-run the job.", run=a_poll(dashboard_url=DASHBOARD))
UNEXPLAINED = a_run(replace(PASSING, sepurux_decision="fail"))
CANCELED_RUN = undecided(Decision.ERROR, CANCELED, run=a_poll(dashboard_url="https://x.dev/r"), rule=Rule.CANCELED)
OBSERVED, SOFT = a_gate(name="observed", stage=Stage.OBSERVE), a_gate(name="soft", stage=Stage.SOFT)
GATES = (a_gate(), OBSERVED)
EVIDENCE = f"[Sepurux run]({DASHBOARD})"
WHY = "Sepurux decided `fail`, but no threshold that is set here explains why."
UNNAMED = f"Sepurux names no failure, so look at the attempts in the {EVIDENCE}, fix what they show, and push."


@pytest.mark.parametrize(
    ("results", "text"),
    [
        ([a_result(UNEXPLAINED, gate=OBSERVED)], f"With `hard` this would block. {WHY} {UNNAMED}"),
        (
            [a_result(UNEXPLAINED, gate=SOFT, approval=WAITS)],
            f"> **Needs an approval.** {WHY} Look at what failed ({EVIDENCE}). Then `mona` or",
        ),
        ([a_result(replace(UNEXPLAINED, numbers={}, dashboard_url=""))], f"{WHY} Ask Sepurux about run `{RUN_ID}`.\n"),
        ([a_result()], f"> **Blocked.** {UNNAMED}"),
        (
            [a_result(a_run(replace(FAILING, dashboard_url="")))],
            "Sepurux names no failure. Fix what made the agent fail, and push.",
        ),
        ([a_result(LATE)], f"Re-run the job. See the {EVIDENCE}."),
        (
            [a_result(LATE, gate=a_gate(name=name)) for name in "ab"],
            "**Blocked by `a` and `b`: no decision.** Re-run the job.\n\n|",
        ),
        ([a_result(UNEXPLAINED, gate=OBSERVED), a_result(GONE)], f"\n\n{WHY}\n\n"),
    ],
    ids=range(8),
)
def test_a_report_says_why_and_what_to_do(results: list[GateDecision], text: str) -> None:
    assert text in render_summary(build_report(results, a_context()))


def test_a_title_counts_the_gates_that_block_after_a_signal_too() -> None:
    results = [a_result(CANCELED_RUN, gate=replace(gate, name=f"{gate.name}{n}")) for gate in GATES for n in "12"]
    title, *others = render_lines(shortened(build_report(results, a_context())), "terminal")
    assert title == "! Canceled: 2 of 4 gates block: refunds1 and refunds2"
    assert others[2] == "  ! refunds2    canceled   blocks           –"
    assert others[3] == "  ! observed1   canceled   does not block   –"
    runs = [f"    {gate.name}{n}: https://x.dev/r" for gate in GATES for n in "12"]
    assert others[-5:] == ["  4 runs go on at Sepurux:", *runs]
    assert render_lines(build_report(results, a_context()), "annotation")[0].startswith("2 of 4 gates block: ")


def test_a_canceled_gate_says_which_run_goes_on() -> None:
    unlinked = replace(CANCELED_RUN, dashboard_url="")
    unknown = replace(unlinked, run_id="")
    linked, other = "  The run goes on at Sepurux: https://x.dev/r", "  Another run may have been started at Sepurux."
    for runs, more in (
        ([unlinked], [f"  The run goes on at Sepurux: {RUN_ID}"]),
        ([unknown], ["  A run may have been started at Sepurux."]),
        ([CANCELED_RUN, unknown], [linked, other]),
    ):
        report = shortened(build_report([a_result(*runs)], a_context()))
        assert render_lines(report, "terminal") == ["! refunds: canceled after 1 min 35 s", "", *more]
        assert render_lines(report, "log") == more


def test_a_scenario_that_failed_without_a_failure_has_a_reason() -> None:
    failed, passed = a_run(run_with(replace(PASSING, sepurux_decision="fail"), failures=0.0)), a_run(PASSING)
    scenarios = Scenario("refund twice", (failed,)), Scenario("cancel an order", (passed,))
    report = build_report([a_result(failed, passed, scenarios=scenarios)], a_context())
    [line] = [line for line in render_lines(report, "log") if "refund twice" in line]
    assert line.startswith("  ✗ refund twice")
    assert line.rstrip().endswith("Sepurux decided `fail`, and reports no failure.")
    passed_rarely = a_run(run_with(PASSING, pass_rate=0.5, failures=0.0))
    low = Scenario("refund twice", (passed_rarely,), needed=0.6)
    report = build_report([a_result(scenarios=(low, *scenarios))], a_context())
    shown = "\n".join(render_lines(report, "log"))
    assert shown.count("Sepurux decided `fail`") == 1


@pytest.mark.parametrize(
    ("new", "old", "shown"),
    [
        ("low low low medium", "critical medium", "medium low low critical"),
        ("low critical low low", "critical", "critical low low"),
        ("low odd odd", "odd", "low odd odd odd"),  # to count one more takes as much room
    ],
)
def test_of_more_groups_than_a_comment_shows_the_most_severe_one_is_among_them(new: str, old: str, shown: str) -> None:
    every = [(0, each) for each in new.split()] + [(1, each) for each in old.split()]
    of = {
        n: a_failure(type=f"{n}", severity=each, on_base=OnBase(having, 2, 1, having))
        for n, (having, each) in enumerate(every)
    }
    report = build_report([a_result(failures=tuple(of.values()))], a_context())
    found = View(report=report, place="comment", limits=COMMENT_LIMITS).failures(report.gates[0].failures)
    assert ([each.severity for each in found.shown], found.more) == (shown.split(), len(of) - len(shown.split()))


def test_a_threshold_without_a_number_is_not_counted_as_met() -> None:
    gate = a_gate(limits={"min_pass_rate": 0.85, "min_reliability_score": 80})
    run = a_run(run_with(PASSING, reliability_score=Reading()))
    body = render_summary(build_report([a_result(run, gate=gate), a_result(gate=OBSERVED)], a_context()))
    assert "✅ <code>refunds</code>: 1 of 2 thresholds met" in body


@pytest.mark.parametrize("state", reports())
def test_every_state_is_rendered_with_its_templates(state: str) -> None:
    for rendered, level in ((summary(state), "##"), (comment(state), "###")):
        assert rendered.startswith(f"{level} ")
        assert rendered.endswith("(https://github.com/sepurux/gate-action)\n")
        assert finish(rendered) == rendered
        assert not re.search(r"</details>\n(?!\n)", rendered)  # what follows would not be Markdown
        assert rendered.count("[!") == len(re.findall(r"^> \[!", rendered.partition("<details>")[0], re.MULTILINE))
        assert rendered.count("<details>") == rendered.count("</details>") == gfm.read(rendered).tags["details"]
        lines = [line for line in rendered.splitlines() if line.startswith("|")]
        assert len(gfm.read(rendered).cells) == sum(not line.startswith("| ---") for line in lines)
    body = render_comment(reports()[state], MARKER)
    first, heading, *_ = body.split("\n")
    assert (first, heading[:4]) == (MARKER, "### ")
    assert body.index(heading) + len("### ") <= 60
    assert gfm.read(body).tags - gfm.read(comment(state)).tags == {"comment": 1}
    terminal = render_lines(reports()[state], "terminal")
    assert terminal[0].split(" ")[0] in ({"!"} if reports()[state].problems else {"✗", "✓", "!", "…", "-"})
    assert all(line.isprintable() for line in terminal)
    assert ("", "") not in pairwise(terminal)


# -- sizes ------------------------------------------------------------------------------------------------------------


def test_a_comment_is_short() -> None:
    lengths = {state: len(comment(state)) for state in commented()}
    passed = {state for state in lengths if not (reports()[state].not_passed or reports()[state].problems)}
    assert max(lengths[state] for state in passed) <= 1_270
    assert max(lengths[state] for state in lengths.keys() - {"most-gates", "hostile"}) <= 4_000
    assert (len(comment("most-gates")) <= 8_000, lengths["hostile"] <= 40_000) == (True, True)


def test_a_comment_on_many_gates_is_short_unless_many_need_someone_to_act() -> None:
    few, many = (
        build_report([a_result(gate=a_gate(name=f"gate {n} {'x' * 70}")) for n in range(count)], a_context())
        for count in (8, MAX_GATES_IN_STEP)
    )
    passed = tuple(gate for gate in reports()["most-gates"].gates if gate.passed)
    short = render_comment(replace(few, gates=(*few.gates, *passed)), "")
    assert len(short) <= 8_000
    assert all(f"`{gate.name}`" in short for gate in (*few.gates, *passed))
    body = render_comment(many, MARKER)
    assert 8_000 < len(body) <= COMMENT_CHARACTERS
    assert all(f"`{gate.name}`" in body for gate in many.gates)


def test_a_comment_on_gates_with_long_texts_keeps_its_alert_and_its_table() -> None:
    far = replace(FAILING, dashboard_url=f"https://app.sepurux.dev/{'a' * 1_900}")
    for results in (
        [a_result(a_run(far), gate=a_gate(name=f"g{n}")) for n in range(8)],
        [
            a_result(undecided(Decision.ERROR, f"{n}. {'x' * 500}"), gate=a_gate(name=f"g{n}"))
            for n in range(MAX_GATES_IN_STEP)
        ],
        [a_result(gate=a_gate(name=f"{n:03} {'n' * 76}")) for n in range(MAX_GATES_IN_STEP)],
    ):
        body = render_comment(build_report(results, a_context()), MARKER)
        assert len(body) <= COMMENT_CHARACTERS
        assert "> **Blocked by " in body
        assert "| Gate | Result | Passed |" in body


@pytest.mark.parametrize("state", ["most-gates", "traces", "hostile", "fail-flood"])
def test_a_smaller_limit_shortens_a_report_step_by_step_and_it_always_fits(state: str) -> None:
    full = len(summary(state).encode())
    places = [full, full * 3 // 4, full // 2, full // 4]
    texts = [render_summary(reports()[state], most_bytes=place) for place in places]
    sizes = [len(text.encode()) for text in texts]
    assert all(place // 10 < size <= place for size, place in zip(sizes, places, strict=True))
    assert sizes == sorted(sizes, reverse=True)
    assert "left out, because the report would be too long." in texts[1]
    assert ("| ❌\u00a0Pass rate | **11.0%** |" in texts[-1]) is (state == "fail-flood")


def test_a_summary_lists_the_first_scenarios_that_failed_and_counts_the_others() -> None:
    scenarios = tuple(a_scenario("", FAILING, run_id=f"run-{number}") for number in range(102))
    result = a_result(a_run(run_with(FAILING, scenarios=150)), scenarios=scenarios)
    report = build_report([result], a_context())
    summary = render_summary(report)
    assert summary.count("- ❌\u00a0[`run-") == 100
    assert "2 more scenarios left out" in summary
    comment = render_comment(report, "")
    assert (comment.count("- ❌\u00a0[`run-"), "94 more scenarios" in comment) == (8, True)


def test_many_policy_changes_are_counted_and_do_not_hide_the_decision() -> None:
    changes = tuple(Change(f"{n}{'&' * 900}", "|" * 900, "<" * 9_000) for n in range(200))
    report = build_report([a_result()], a_context(policy_changes=changes))
    for rendered in (render_summary(report, most_bytes=COMMENT_BYTES), render_comment(report, MARKER)):
        assert "**This pull request changes the policy.** Until it is merged" in rendered
        assert re.search(r"^- \d+ more changes$", rendered, re.MULTILINE)
        assert "## ❌ `refunds` failed" in rendered


def test_a_change_of_the_policy_shows_what_differs_in_long_values_and_which_gates_come_and_go() -> None:
    long = Change("required_mutation_categories", f"{'x' * 200}, b", f"{'x' * 200}, c")
    gates = (Change("", "", "shipping", "shipping"), Change("", "search", "", "search"))
    shown = render_summary(build_report([a_result()], a_context(policy_changes=(long, *gates))))
    assert f"- `required_mutation_categories`: …{'x' * 18}, b → …{'x' * 18}, c\n" in shown
    assert "- gate `shipping`: added\n- gate `search`: removed\n" in shown


# -- templates that cannot be used ------------------------------------------------------------------------------------


@pytest.fixture
def own_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder whose templates are used in place of those of the package."""
    monkeypatch.setattr(rendering, "TEMPLATES", tmp_path)
    return tmp_path


@pytest.mark.parametrize("template", ["{{ report.unknown }}", "{% if %}", "{{ report.gates.pop() }}", "\udcff", None])
def test_templates_that_cannot_be_used_leave_one_line(own_templates: Path, template: str | None) -> None:
    if template is not None:
        for name in ("report.md.j2", "log.txt.j2"):
            (own_templates / name).write_bytes(template.encode(errors="surrogateescape"))
    report = reports()["error"]
    assert render_summary(report).startswith("refunds: error, blocked. ")
    assert render_comment(report, MARKER).startswith(f"{MARKER}\nrefunds: error, blocked. ")
    assert render_lines(report, "log")[0].startswith("refunds: error, blocked. ")
    bad = a_settings_report(Problem(where="input `timeout`", message="no"))
    assert render_summary(bad).startswith("Blocked: input ")


def test_one_line_fits_and_a_flag_with_a_problem_is_written_as_it_is_typed() -> None:
    assert render_summary(reports()["error"], most_bytes=100).startswith("refunds: error, blocked. ")
    problem = Problem(where="--min-pass-rate", message="it is not set")
    assert "\n- `--min-pass-rate`: it is not set\n" in render_summary(a_settings_report(problem))


def test_a_template_escapes_every_value_that_is_not_markdown_of_ours(own_templates: Path) -> None:
    template = "{{ report.notes[0] }}{% set x = report.notes[0] ~ '' %} {{ x }} {{ 7 }}"
    (own_templates / "report.md.j2").write_text(template)
    report = replace(reports()["pass"], notes=("<b>@octocat</b>",))  # type: ignore[arg-type]
    escaped = "&#60;b&#62;&#64;\u200boctocat&#60;/b&#62;"
    assert render_summary(report) == f"{escaped} {escaped} 7\n"


def test_a_short_report_stays_short_however_much_the_backend_has_reported() -> None:
    run = a_run(replace(FAILING, failing_tools={f"tool-{n}": 1 for n in range(1_000)}))
    failures = tuple(replace(FAILURES[0], type=f"type-{n}") for n in range(1_000))
    results = [a_result(run, gate=a_gate(name=f"gate{number}"), failures=failures) for number in range(30)]
    rendered = render_summary(shortened(build_report(results, a_context())))
    assert len(rendered) < 15_000
    assert all(f"`gate{number}`" in rendered for number in range(30))
    assert "Fix the failures and push." in rendered
    assert "What failed" not in rendered


def test_four_times_as_many_failures_of_a_scenario_take_at_most_four_times_as_many_calls() -> None:
    def calls(number: int) -> int:
        failures = tuple(a_failure(type=f"{n}", scenario="refund", on_base=OnBase(0, 3, 1, 0)) for n in range(number))
        scenario = Scenario("refund", (a_run(FAILING, failures=failures),) * 3)
        counted = Counter[str]()
        report = build_report([a_result(scenarios=(scenario,), failures=failures)], a_context(base_ref="main"))
        sys.setprofile(lambda _frame, event, _: counted.update([event]))
        try:
            render_summary(report)
        finally:
            sys.setprofile(None)
        return counted["call"]

    calls(1)  # templates are compiled once
    assert calls(400) < 4 * calls(100)
