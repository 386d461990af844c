"""A report is rendered in every place, within the size limits."""

import json
import re
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.policy import MAX_GATES_IN_STEP
from sepurux_action.config.settings import Change, Gate, Trace
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.gate_numbers import Base, Scenario
from sepurux_action.evaluation.runs import Decision, OnBase, Rule
from sepurux_action.report import render
from sepurux_action.report.data import json_text
from sepurux_action.report.head import head_of
from sepurux_action.report.markdown import Markdown, escaped, plain
from sepurux_action.report.render import annotation, log_lines, render_comment, render_summary, terminal_lines
from sepurux_action.report.report import build_report, shortened
from tests import builders, gfm
from tests.builders import FAILING, a_context, a_failure, a_past_result, a_result, a_run, a_scenario, reports

MARKER = f"<!-- sepurux-gate:{'k' * 20} -->"
SLOTS = {"title": 80, "action": 210, "remark": 150}  # characters of the drawn states


@cache
def summary(state: str) -> str:
    return render_summary(reports()[state])


@cache
def comment(state: str) -> str:
    return render_comment(reports()[state], MARKER).removeprefix(f"{MARKER}\n")


@pytest.mark.parametrize("state", reports())
def test_a_comment_is_the_beginning_of_the_summary_and_has_no_structure_but_a_list(state: str) -> None:
    assert comment(state).startswith("### ")
    assert summary(state).startswith(comment(state).removeprefix("#"))
    page = gfm.read(comment(state))
    assert set(page.tags) <= {"h3", "p", "strong", "a", "code", "ol", "li", "span"}
    assert (page.tags["h3"], len(re.findall("^#", comment(state), re.MULTILINE))) == (1, 1)
    for rendered in (summary(state), comment(state)):
        assert "\n\n\n" not in rendered
        lines = [line for line in rendered.splitlines() if line.startswith("|")]
        assert len(gfm.read(rendered).cells) == sum(not line.startswith("| ---") for line in lines)
    first, heading, *_ = render_comment(reports()[state], MARKER).split("\n")
    assert (first, heading[:4]) == (MARKER, "### ")


@pytest.mark.parametrize("state", sorted(reports().keys() - {"hostile", "most-gates", "bad-settings"}))
def test_the_slots_of_every_drawn_state_are_short(state: str) -> None:
    head = head_of(reports()[state])
    lengths = {name: len(plain(getattr(head, name))) for name in SLOTS}
    assert {name for name in SLOTS if lengths[name] > SLOTS[name]} == set()
    files = [re.sub(r" \(\S+\.json\)$", "", plain(item.text)) for item in head.items]  # are not counted
    assert all(len(text) <= (115 if number else 140) for number, text in enumerate(files))
    assert (len(head.items) <= 5, len(plain(" · ".join(head.numbers))) <= 160) == (True, True)


@pytest.mark.parametrize("state", reports())
def test_a_log_and_a_terminal_print_a_failure_and_an_address_once(state: str) -> None:
    report = reports()[state]
    terminal, log = terminal_lines(report), log_lines(report)
    assert terminal[0].split(" ")[0] in ({"!"} if report.problems else {"✗", "✓", "!", "…", "-"})
    assert all(line.isprintable() for line in (*terminal, *log))
    assert ("", "") not in pairwise(terminal)
    if report.gates:
        log = [*annotation(report).split("\n"), *log]
    for lines in (terminal, log):
        said = [line for line in lines if "://" in line or re.match(r"  \d+\. ", line)]
        assert len(set(said)) == len(said)
        assert sum("://" in line for line in lines) <= 1 or state == "hostile"
    if report.not_passed:
        assert any(line and not line.startswith(" ") for line in terminal[1:])  # what to do


def test_names_of_wide_characters_are_aligned() -> None:
    results = [a_result(gate=builders.a_gate(name=name)) for name in ("注文", "ab")]
    lines = [line for line in log_lines(build_report(results, a_context())) if "blocks" in line]
    assert lines == ["  ✗ 注文   failed, blocks   72.0%", "  ✗ ab     failed, blocks   72.0%"]


CANCELED_RUN = builders.undecided(
    Decision.ERROR, "Canceled.", run=builders.a_poll(dashboard_url="https://x.dev/r"), rule=Rule.CANCELED
)


def test_a_canceled_gate_says_which_run_goes_on() -> None:
    unlinked = replace(CANCELED_RUN, dashboard_url="")
    unknown = replace(unlinked, run_id="")
    linked, other = "  The run goes on at Sepurux: https://x.dev/r", "  A run may have been started at Sepurux."
    for runs, more in (
        ([unlinked], [f"  The run goes on at Sepurux: {builders.RUN_ID}"]),
        ([CANCELED_RUN, unknown], [linked, other]),
    ):
        report = shortened(build_report([a_result(*runs)], a_context()))
        assert terminal_lines(report)[-len(more) :] == more
        assert [line for line in log_lines(report) if "at Sepurux" in line or "x.dev" in line] == more


# -- the job summary --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "minimum", "results", "row"),
    [
        (0.93, 0.85, 4, "| ✅\u00a0Pass rate | 93.0% | ≥\u00a092.0% | 95.0% |"),
        (0.90, None, 0, "| ✅\u00a0Pass rate | 90.0% | ≥\u00a090.0% | 95.0% |"),  # as low as a result of the base
        (0.93, 0.94, 4, "| ❌\u00a0Pass rate | **93.0%** | ≥\u00a094.0% | 95.0% |"),
        (0.905, None, 4, "| ❌\u00a0Pass rate | **90.5%** | ≥\u00a092.0% | 95.0% |"),
        (0.905, None, 2, "| ⏳\u00a0Pass rate | 90.5% | drop\u00a0≤\u00a03 | 95.0% |"),
        (0.93, 0.85, 2, "| ✅\u00a0Pass rate | 93.0% | ≥\u00a085.0% | 95.0% |"),
        (None, None, 4, "| ❗\u00a0Pass rate | not reported | ≥\u00a092.0% | 95.0% |"),
    ],
    ids=range(7),
)
def test_a_drop_is_what_the_pass_rate_needs(rate: float | None, minimum: float | None, results: int, row: str) -> None:
    lower = [a_past_result(numbers={"pass_rate": each}) for each in (0.9, 0.95, 1.0)]
    base = builders.some_results(*([a_past_result()] * results or lower))
    gate = builders.a_gate_with(min_pass_rate=minimum, max_pass_rate_drop=0.03)
    run = a_run(builders.run_with(builders.PASSING, pass_rate=Reading() if rate is None else rate))
    result = a_result(run, gate=gate, base=Base(results=base, name="`main`"))
    shown = render_summary(build_report([result], a_context(base_ref="main", base_results={"refunds": base})))
    assert [line for line in shown.splitlines() if "Pass rate |" in line] == [row]


def test_what_failed_is_listed_by_whether_the_base_has_it() -> None:
    bases = [OnBase(0, 5, 1, 0), OnBase(3, 5, 2, 1), OnBase(3, 5, 1, 1), OnBase(1, 1, 1, 1), None]
    failures = [a_failure(type=f"t{n}", on_base=each) for n, each in enumerate(bases)]
    failures.append(a_failure(type="t5", flaky=True))
    shown = render_summary(build_report([a_result(failures=tuple(failures))], a_context(base_ref="main")))
    headings = re.findall(r"^### (.*)\n\n1\. .*`t(\d)`", shown, re.MULTILINE)
    assert headings == [
        ("Not on `main`", "0"),
        ("More often than on `main`", "1"),
        ("Also on `main`, in 3 of its last 5 results", "2"),
        ("Also on `main`, in its last result", "3"),
        ("Not compared with `main`", "4"),
        ("Flaky, so not counted", "5"),
    ]
    alone = render_summary(build_report([a_result(failures=builders.FAILURES)], a_context()))
    assert "### What failed\n\n1. **critical** " in alone


def test_failures_that_were_not_read_are_counted() -> None:
    scenarios = (
        a_scenario("a", FAILING),
        a_scenario("b", builders.a_poll(sepurux_decision="pass")),
        a_scenario("unread"),
    )
    result = a_result(failures=builders.FAILURES, failures_unread=2, scenarios=scenarios, scenarios_unread=1)
    shown = render_summary(build_report([result], a_context()))
    assert "\nNot read: 2 failures, 1 scenario.\n" in shown
    assert "\n1 scenario passed.\n" in shown


def test_failures_by_the_rules_of_the_sandbox_are_named_so() -> None:
    for sandbox in (True, False):
        report = build_report([a_result(a_run(replace(FAILING, sandbox=sandbox)))], a_context())
        for written in (render_comment(report, MARKER), render_summary(report), "\n".join(terminal_lines(report))):
            assert ("of the sandbox, not of Sepurux" in written) == sandbox
        assert json.loads(json_text(report))["gates"][0]["sandbox"] == sandbox


def of_recorder(missed: dict[str, float], *, failing: int, by_recorder: bool = True) -> GateDecision:
    """Return the result of four scenarios, which misses these thresholds."""
    names = [f"refund {n}'s" for n in range(4)]
    traces = tuple(Trace(label=f"{name}.json", content=b"{}", task=name, by_recorder=by_recorder) for name in names)
    failed, passed = builders.run_with(FAILING, pass_rate=0.5), builders.run_with(builders.PASSING, failures=0)
    numbers = [failed] * failing + [passed] * (4 - failing)
    runs = [a_run(each, trace=trace) for each, trace in zip(numbers, traces, strict=True)]
    gate = Gate(name="g", campaign="the refunds", traces=traces, limits=missed)
    base = Base(results=builders.some_results(*[a_past_result(numbers={"pass_rate": 1.0})] * 3))
    return a_result(*runs, gate=gate, base=base)


@pytest.mark.parametrize(
    ("result", "only"),
    [
        (of_recorder({"min_pass_rate": 0.9, "min_scenarios": 4}, failing=1), "--only 'refund 0'\"'\"'s'"),
        (
            of_recorder({"min_pass_rate": 0.9, "min_scenarios": 2}, failing=2),
            "--only 'refund 0'\"'\"'s' --only 'refund 1'\"'\"'s'",
        ),
        (of_recorder({"min_pass_rate": 0.9}, failing=4), ""),
        (of_recorder({"min_pass_rate": 0.9}, failing=1, by_recorder=False), ""),
        (of_recorder({"min_scenarios": 9}, failing=1), ""),
        (of_recorder({"max_pass_rate_drop": 0.05}, failing=1), ""),
        (of_recorder({}, failing=0), ""),
    ],
    ids=range(7),
)
def test_no_command_leaves_out_what_failed(result: GateDecision, only: str) -> None:
    url = "https://sepurux.example/api"
    shown = render_summary(build_report([result], a_context(base_url=url)))
    assert ("Run it on your machine" in shown) == bool(only)
    if only:
        listing = gfm.read(shown.partition("Run it on your machine")[2]).code[0].splitlines()
        flags = f"--min-pass-rate=0.9 --min-scenarios={only.count('--only')} --base-url={url}"
        assert listing == [
            f"python record_traces.py traces {only} --times 5",
            f"sepurux-gate --trace-file 'traces/*.json' --name=g --campaign='the refunds' {flags}",
        ]


def test_a_change_of_the_policy_shows_which_gates_come_and_go() -> None:
    changes = Change("", "", "listed", "shipping"), Change("", "listed", "", "search")
    shown = render_summary(build_report([a_result()], a_context(base_ref="main", policy_changes=changes)))
    assert "\n- gate `shipping`: `none` → `listed`\n- gate `search`: `listed` → `none`\n" in shown


# -- sizes ------------------------------------------------------------------------------------------------------------


def test_a_report_on_everything_fits_and_a_short_one_is_short() -> None:
    failures = tuple(a_failure(type=f"type {n}", description="x" * 90, scenario=f"{n % 100}") for n in range(1_000))
    scenarios = tuple(a_scenario(f"{n}", FAILING, run_id=f"run-{n}", failures=failures[n::100]) for n in range(100))
    gates = (builders.a_gate(name=f"gate {number}") for number in range(MAX_GATES_IN_STEP))
    report = build_report([a_result(gate=gate, failures=failures, scenarios=scenarios) for gate in gates], a_context())
    assert 100_000 < len(render_summary(report).encode()) < 1024 * 1024
    assert len(render_comment(report, MARKER)) < 2_000
    short = render_summary(shortened(report))
    assert len(short) < 6_000
    assert "What failed" not in short


@pytest.mark.parametrize("state", ["most-gates", "traces", "hostile", "fail-flood"])
def test_a_smaller_limit_shortens_a_summary_to_its_head_at_the_end(state: str) -> None:
    full = len(summary(state).encode())
    for most in (full - 1, full // 2, 10):
        text = render_summary(reports()[state], most_bytes=most)
        assert text.startswith(comment(state).removeprefix("#"))
        assert len(text.encode()) <= most or text == comment(state).removeprefix("#")
    shortest = render_summary(reports()["fail-flood"], most_bytes=20_000)
    assert "more failures, because the report would be too long." in shortest


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


def test_a_template_escapes_every_value_that_is_not_markdown_of_ours() -> None:
    template = render._environment().from_string("{{ value }}{% set x = value ~ '' %} {{ x }} {{ ours }}")  # noqa: SLF001
    said = "<b>@octocat</b>"
    assert template.render(value=said, ours=Markdown("**x**")) == f"{escaped(said)} {escaped(said)} **x**"
