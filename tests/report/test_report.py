"""A report contains the verdict, the reason, and the next step, then the numbers, with the worst first."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from sepurux_action.common.json_reader import Metric
from sepurux_action.config.gate import Thresholds
from sepurux_action.config.policy import Change
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.ci_run import ClassifiedFailure, Enrichment, FailingTool
from sepurux_action.evaluation.decision import Decision
from sepurux_action.report.rendering import render_summary
from sepurux_action.report.report import MAX_ROWS, Block, BlockKind, Report, build_report, build_settings_report
from sepurux_action.report.size_limits import for_comment, for_summary, shrink
from tests import gfm
from tests.builders import (
    ADVICE,
    COMMIT,
    FAILING,
    FAILURES,
    NEXT_CHANGE,
    PASSING,
    TRACE_ID,
    WAITS,
    a_context,
    a_gate,
    a_history,
    a_past_result,
    a_result,
    a_run,
    problems,
    reports,
    states,
    undecided,
)


def shown(value: str) -> str:
    """Return the visible text of a piece of Markdown."""
    page = gfm.read(re.sub(r"</?code>", "", value))
    return " ".join((page.prose + " ".join(label for _, label in page.links)).replace("\u200b", "").split())


def the_block(blocks: tuple[Block, ...], kind: BlockKind) -> Block:
    (found,) = [block for block in blocks if block.kind is kind]
    return found


def rows(report: Report, kind: BlockKind) -> list[list[str]]:
    return [[shown(cell) for cell in row] for row in the_block(report.blocks, kind).rows]


def first_screen(report: Report) -> str:
    return shown("\n\n".join([report.title, *report.callout.lines]))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("pass", ["refunds passed", "The gate is open", "every threshold is met"]),
        ("pass-observe", ["refunds passed", "In stage hard this would have been let through."]),
        ("fail", ["refunds failed", "The gate is closed", "Pass rate 72.0% is below the required 85.0%", "Next:"]),
        ("fail-observe", ["failed, not blocked", "The gate is open", "In stage hard this would have been blocked."]),
        ("fail-soft", ["refunds failed", "Without a pull request no review can open a gate of stage soft."]),
        (
            "fail-soft-waiting",
            [
                "✋ Sepurux gate refunds waits for a review",
                "The gate is closed",
                "Next: An approving review of this commit by mona or hubot-2 opens this gate",
            ],
        ),
        (
            "fail-soft-opened",
            [
                "failed, opened by a review",
                "The gate is open: a review approved the failure.",
                "Opened: mona approved this commit.",
            ],
        ),
        (
            "fail-unsupported-pass",
            ["refunds failed", "Sepurux reported a pass, but", "84.96% is below the required 85.00%"],
        ),
        ("pending", ["is not decided yet", "The gate is closed", "Raise timeout, or re-run the job."]),
        ("pending-observe", ["is not decided yet, not blocked", "The gate is open", "this would have been blocked"]),
        ("error", ["has no verdict", "The gate is closed", "(HTTP 401)", "Next: Check that the secret"]),
        ("error-allowed", ["has no verdict, not blocked", "The gate is open", "on_undecided: allow"]),
        ("error-no-numbers", ["has no verdict", "pass rate: not reported", "Next: Ask Sepurux why"]),
        ("skipped", ["is not affected", "The gate is open", "No changed file matches"]),
        ("traces", ["refunds failed", "traces/cancel.json: Pass rate"]),
        ("gates", ["1 of 4 gates is closed", "The gate refunds is closed"]),
        ("gates-pass", ["✅ Sepurux: all 3 gates are open", "Every gate passed."]),
        ("gates-waiting", ["1 of 3 gates waits for a review", "The gate returns is closed"]),
        ("fifty-gates", ["2 of 50 gates are closed, 3 wait for a review", "The gate agent-14 is closed"]),
        ("bad-settings", ["the settings have 3 problems", "nothing was evaluated", "Next: Correct what is listed"]),
    ],
)
def test_the_first_screen_tells_verdict_reason_and_what_to_do(state: str, says: list[str]) -> None:
    text = first_screen(reports()[state])
    assert [words for words in says if words not in text] == []


def test_every_state_has_words_of_its_own() -> None:
    screens = [re.sub(r"[^\w\s.,:()%]", "", first_screen(report)) for report in reports().values()]
    assert len(set(screens)) == len(screens)


@pytest.mark.parametrize(
    ("state", "alert"),
    [
        ("pass", ""),
        ("skipped", ""),
        ("fail", "CAUTION"),
        ("fail-soft", "CAUTION"),
        ("fail-soft-waiting", "IMPORTANT"),
        ("fail-soft-opened", "NOTE"),
        ("fail-observe", "NOTE"),
        ("pending", "WARNING"),
        ("error", "WARNING"),
        ("error-allowed", "NOTE"),
    ],
)
def test_the_box_is_red_only_where_a_failure_closes_the_gate(state: str, alert: str) -> None:
    assert reports()[state].callout.alert == alert


def test_the_headline_is_one_plain_line_for_log_and_annotation() -> None:
    headline = build_report([a_result()], a_context()).headline
    assert headline == (
        "Sepurux gate refunds: fail (hard), the gate is closed. Pass rate 72.0% is below the "
        "required 85.0%; 1 unsafe attempt is more than the allowed 0."
    )


def test_a_hint_of_the_run_is_what_to_do_next() -> None:
    run = undecided(Decision.ERROR, "The backend is gone.", "look at its status page.")
    assert "Next: look at its status page." in first_screen(build_report([a_result(run)], a_context()))


def test_without_a_pull_request_the_report_offers_no_review() -> None:
    report = build_report([a_result(gate=a_gate(stage=Stage.SOFT))], a_context(pull_request=None))
    assert "Without a pull request no review can open a gate of stage soft." in first_screen(report)
    assert "reviewer" not in first_screen(report)


@pytest.mark.parametrize(("allowed", "would"), [(OnUndecided.BLOCK, "blocked"), (OnUndecided.ALLOW, "let through")])
def test_observe_tells_what_hard_would_have_done_without_a_verdict(allowed: OnUndecided, would: str) -> None:
    gate = a_gate(stage=Stage.OBSERVE, on_undecided=allowed)
    report = build_report([a_result(undecided(Decision.ERROR, "Gone."), gate=gate)], a_context())
    assert f"In stage hard this would have been {would}." in first_screen(report)


def test_each_threshold_is_shown_with_what_is_needed_and_how_far_off_it_is() -> None:
    assert rows(reports()["fail"], BlockKind.THRESHOLDS) == [
        ["✗ Pass rate", "≥ 85.0%", "72.0% (−13.0 points)"],
        ["✗ Unsafe attempts", "≤ 0", "1 (−1)"],
        ["✗ Failures", "≤ 3", "5 (−2)"],
        ["✗ Reliability score", "≥ 80.0", "61.5 (−18.5)"],
        ["✓ Mutation categories", "≥ 3", "3 (±0)"],
        ["✗ Required mutation categories", "timeouts, schema_drift", "1 of 2 (lacks schema_drift)"],
    ]


def test_a_number_that_is_missing_is_neither_met_nor_broken() -> None:
    assert rows(reports()["error-no-numbers"], BlockKind.THRESHOLDS) == [
        ["? Pass rate", "≥ 85.0%", "not reported"],
        ["? Unsafe attempts", "≤ 0", 'no sensible number: "none"'],
    ]


def test_only_rates_that_are_reported_have_a_bar() -> None:
    run = replace(FAILING, reliability_score=Metric(), mutation_coverage=Metric(broken="many"))
    report = build_report([a_result(a_run(run))], a_context())
    assert rows(report, BlockKind.RATES) == [
        ["Pass rate", "███████░░░", "72.0%"],
        ["Scenario coverage", "█████████░", "87.5%"],
    ]


def test_no_rate_reads_as_the_threshold_that_it_misses_wherever_it_stands() -> None:
    gate = a_gate(thresholds=Thresholds(min_pass_rate=0.85, min_reliability_score=80))
    near = replace(FAILING, pass_rate=Metric(0.84996), reliability_score=Metric(79.996), mutation_coverage=Metric(75))
    result = a_result(a_run(near, gate, trace="1"), a_run(PASSING, gate, trace="2"), gate=gate)
    report = build_report([result], a_context())
    assert [row[-1] for row in rows(report, BlockKind.RATES)] == ["84.996%", "79.996", "87.5%", "75"]
    assert [row[-1] for row in rows(report, BlockKind.TRACES)] == ["84.996%", "95.0%"]
    other = a_result(gate=a_gate(name="other"))
    gates = rows(build_report([a_result(a_run(near, gate), gate=gate), other], a_context()), BlockKind.GATES)
    assert "✗ fail, 84.996% · run" in {row[1] for row in gates}


def test_a_run_that_never_was_is_in_no_title() -> None:
    titles = {
        name: the_block(reports()[name].blocks, BlockKind.PROVENANCE).title for name in ("error-no-secret", "error")
    }
    assert set(titles.values()) == {"Campaign, trace and stage hard"}


def test_failing_tools_are_counted_over_all_traces_the_most_first() -> None:
    first = replace(FAILING, top_failing_tools=(FailingTool("a", 3), FailingTool("b", 2)))
    second = replace(FAILING, top_failing_tools=(FailingTool("b", 2),))
    report = build_report([a_result(a_run(first, trace="1"), a_run(second, trace="2"))], a_context())
    assert rows(report, BlockKind.TOOLS) == [["b", "4"], ["a", "3"]]


def test_failures_are_grouped_by_severity_and_type_with_one_example_each() -> None:
    odd = ClassifiedFailure(type="", severity="odd", description="", mutation="")
    enrichment = Enrichment(failures=(odd, *FAILURES))
    report = build_report([a_result(a_run(enrichment=enrichment))], a_context())
    assert rows(report, BlockKind.FAILURES) == [
        ["critical unsafe_action (1): Refunded an order twice after the first call timed out. Mutation: timeouts"],
        ["medium tool_misuse (2): Looked a customer up by name although an id was given. Mutation: malformed_output"],
        ["low incomplete (1): Stopped before it told the customer. Mutation: timeouts"],
        ["odd no type (1): no description."],
    ]


def test_the_title_says_that_more_failures_were_not_read() -> None:
    enrichment = Enrichment(failures=FAILURES, more_failures=True)
    report = build_report([a_result(a_run(enrichment=enrichment))], a_context())
    assert the_block(report.blocks, BlockKind.FAILURES).title == "Classified failures (4, and more that were not read)"


def test_failures_that_were_left_out_are_counted() -> None:
    many = replace(FAILURES[0], count=4_000)
    enrichment = Enrichment(failures=(many, *FAILURES[1:]), left_out=997)
    report = build_report([a_result(a_run(enrichment=enrichment))], a_context())
    assert the_block(report.blocks, BlockKind.FAILURES).title == "Classified failures (5,000)"
    failures = rows(report, BlockKind.FAILURES)
    assert failures[0][0].startswith("critical unsafe_action (4,000): ")
    assert failures[-1] == ["Other kinds (997): not listed, the report would be too long."]


@pytest.mark.parametrize("gates", [1, 30])
def test_a_short_report_stays_short_however_much_the_backend_has_reported(gates: int) -> None:
    tools = tuple(FailingTool(f"tool-{number}", 1) for number in range(1_000))
    failures = tuple(replace(FAILURES[0], type=f"type-{number}") for number in range(1_000))
    run = a_run(replace(FAILING, top_failing_tools=tools), enrichment=Enrichment(failures=failures, notes=("A note.",)))
    results = [a_result(run, gate=a_gate(name=f"gate{number}")) for number in range(gates)]
    report = build_report(results, a_context(), short=True)
    rendered = render_summary(report)
    assert len(rendered) < 10_000
    assert all(f"<code>gate{number}</code>" in rendered for number in range(gates))
    assert "leaves out the details" in rendered
    assert {BlockKind.TOOLS, BlockKind.FAILURES} & {block.kind for block in report.blocks} == set()


def test_required_categories_that_are_lacking_stand_first() -> None:
    assert rows(reports()["fail"], BlockKind.CATEGORIES) == [
        ["schema_drift", "✗ no, but required"],
        ["timeouts", "✓ yes, required"],
        ["malformed_output", "✓ yes"],
        ["prompt_injection", "✓ yes"],
    ]


def test_categories_that_are_not_reported_are_not_called_lacking() -> None:
    gate = a_gate(thresholds=Thresholds(required_mutation_categories=("timeouts",)))
    report = build_report([a_result(a_run(replace(PASSING, mutation_categories=None), gate), gate=gate)], a_context())
    assert not [block for block in report.blocks if block.kind is BlockKind.CATEGORIES]
    assert rows(report, BlockKind.THRESHOLDS) == [["? Required mutation categories", "timeouts", "not reported"]]


def test_several_traces_make_one_table_the_worst_first_and_marked() -> None:
    assert rows(reports()["traces"], BlockKind.TRACES) == [
        ["traces/cancel.json", "✗ fail, worst · 1 unsafe · run", "72.0%"],
        [TRACE_ID, "… pending · run", "–"],
        ["traces/refund.json", "✓ pass · run", "100.0%"],
    ]


def test_every_number_of_a_gate_with_several_traces_is_the_worst_of_any_trace() -> None:
    gate = a_gate(thresholds=Thresholds(min_pass_rate=0.85, max_unsafe=0, max_failures=5, min_reliability_score=60))
    slow = replace(FAILING, pass_rate=Metric(0.5), unsafe_attempts=Metric(0), reliability_score=Metric())
    unsafe = replace(FAILING, pass_rate=Metric(0.9), unsafe_attempts=Metric(3), failures=Metric(2))
    result = a_result(a_run(slow, gate, trace="1"), a_run(unsafe, gate, trace="2"), gate=gate)
    context = a_context(base_ref="main", baselines={"refunds": a_past_result()})
    report = build_report([result], context)
    assert rows(report, BlockKind.THRESHOLDS) == [
        ["✗ Pass rate", "≥ 85.0%", "50.0% (−35.0 points)"],
        ["✗ Unsafe attempts", "≤ 0", "3 (−3)"],
        ["✓ Failures", "≤ 5", "5 (±0)"],
        ["✓ Reliability score", "≥ 60.0", "61.5 (+1.5) · 1 of 2 traces"],
    ]
    assert rows(report, BlockKind.BROKEN) == [
        ["✗ Pass rate", "50.0% · needs ≥ 85.0%", "▼ −45.0 points, worse"],
        ["✗ Unsafe attempts", "3 · needs ≤ 0", "▲ +3, worse"],
    ]
    assert rows(report, BlockKind.METRICS) == [
        ["Verdict", "✗ fail (was ✓ pass)"],
        ["Pass rate", "50.0% (▼ −45.0 points, worse)"],
        ["Reliability score", "61.5 (▼ −29.7, worse) · 1 of 2 traces"],
        ["Unsafe attempts", "3 (▲ +3, worse)"],
        ["Failures", "5 (▲ +4, worse)"],
    ]
    assert the_block(report.blocks, BlockKind.BROKEN).title == "Broken thresholds, worst of 2 traces"
    other = a_result(gate=a_gate(name="other"))
    assert rows(build_report([result, other], context), BlockKind.GATES)[0][1] == "✗ fail, 50.0% · run"


def test_a_required_category_is_covered_if_every_trace_covers_it() -> None:
    gate = a_gate(thresholds=Thresholds(required_mutation_categories=("timeouts", "auth", "drift")))
    first, second = (replace(FAILING, mutation_categories=names) for names in (("timeouts", "auth"), ("timeouts", "x")))
    report = build_report(
        [a_result(a_run(first, gate), a_run(second, gate), a_run(PASSING, gate), gate=gate)], a_context()
    )
    assert rows(report, BlockKind.CATEGORIES) == [
        ["auth", "✗ not in every trace, but required"],
        ["drift", "✗ no, but required"],
        ["timeouts", "✓ yes, required"],
        ["x", "in some traces"],
        ["malformed_output", "in some traces"],
        ["prompt_injection", "in some traces"],
    ]


def test_the_other_traces_give_their_reasons_and_hints() -> None:
    next_step = "Next: Raise timeout, or re-run the job."
    assert rows(reports()["traces"], BlockKind.REASONS) == [
        [f"{TRACE_ID}: No decision after 10 min. {next_step}"],
        ["traces/refund.json: 100.0% passed, 0 unsafe attempts, 0 failures; every threshold is met."],
    ]


def test_one_trace_alone_needs_no_table_of_traces() -> None:
    assert not [block for block in reports()["fail"].blocks if block.kind in {BlockKind.TRACES, BlockKind.REASONS}]


def test_several_gates_stand_in_one_table_the_closed_first() -> None:
    assert rows(reports()["gates"], BlockKind.GATES) == [
        ["refunds", "✗ fail, 72.0% · run", "closed (hard)"],
        ["shipping", "… pending · run", "open (observe)"],
        ["search", "✓ pass, 95.0% · run", "open (hard)"],
        ["billing", "– not affected", "open (hard)"],
    ]


def test_a_closed_gate_is_the_headline_though_an_open_one_failed() -> None:
    observed = a_result(gate=a_gate(name="observed", stage=Stage.OBSERVE))
    closed = a_result(undecided(Decision.ERROR, "Gone."), gate=a_gate(name="closed"))
    report = build_report([observed, closed], a_context())
    assert (
        report.headline
        == "Sepurux: 1 of 2 gates is closed. Sepurux gate closed: error (hard), the gate is closed. Gone."
    )
    assert "The gate closed is closed" in first_screen(report)


def test_no_gate_is_named_at_the_top_if_no_gate_has_a_problem() -> None:
    skipped = [result for result in states()["gates"][0] if result.decision is Decision.SKIPPED]
    report = build_report([*states()["gates-pass"][0], *skipped], a_context())
    assert report.headline == "Sepurux: all 4 gates are open. 3 passed, 1 is not affected."
    assert [shown(line) for line in report.callout.lines] == ["3 passed, 1 is not affected."]
    assert [section.title for section in report.sections if section.callout is None] == []
    assert build_report(skipped * 2, a_context()).headline.endswith(". No gate is affected.")


def test_a_section_repeats_nothing_of_the_top_and_is_collapsed_if_the_gate_passed() -> None:
    sections = reports()["gates"].sections
    assert [(shown(s.title), s.callout is None, s.collapsed) for s in sections] == [
        ("❌ refunds failed", True, False),
        ("⏳ shipping is not decided yet, not blocked", False, False),
        ("✅ search passed", False, True),
        ("⏭️ billing is not affected", False, True),
    ]


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("https://app.sepurux.dev/runs/1", "Open in Sepurux"),
        ("https://APP.sepurux.dev:8443/runs/1", "Open in Sepurux"),
        ("https://app.sepurux.dev.evil.example/", "Open on app.sepurux.dev.evil.example"),
        (f"https://app.sepurux.dev.{'a' * 63}.evil.example/", f"Open on …{'a' * 46}.evil.example"),
    ],
)
def test_a_dashboard_elsewhere_is_named_by_the_end_of_its_host(address: str, label: str) -> None:
    report = build_report([a_result(a_run(replace(FAILING, dashboard_url=address)))], a_context())
    (target, text), *_ = gfm.read(report.links).links
    assert (target, text.replace("\u200b", "")) == (address, label)


def test_a_report_without_addresses_has_no_links() -> None:
    run = replace(FAILING, dashboard_url="")
    report = build_report([a_result(a_run(run))], a_context(commit="", commit_url="", run_url=""))
    assert report.links == ""


def test_a_note_of_several_runs_is_shown_once() -> None:
    run = a_run(enrichment=Enrichment(notes=("No score.",)))
    report = build_report([a_result(replace(run, trace="1"), replace(run, trace="2"))], a_context(notes=("First.",)))
    assert [[shown(cell) for cell in row] for row in the_block(report.notes, BlockKind.NOTES).rows] == [
        ["First."],
        ["No score."],
    ]


def test_every_mistake_in_the_settings_is_listed_with_its_place() -> None:
    report = build_settings_report(problems(), a_context())
    listed = [row for (row,) in rows(report, BlockKind.PROBLEMS)]
    places = [".github/sepurux-gate.yml:3: ", "", ""]
    assert listed == [f"{place}{problem}".replace("`", "") for place, problem in zip(places, problems(), strict=True)]
    assert report.headline.startswith("Sepurux gate: the settings cannot be used (3 problems)")


def test_tables_have_at_most_three_columns_so_that_a_phone_shows_them() -> None:
    blocks = [b for r in reports().values() for b in (*r.blocks, *(b for s in r.sections for b in s.blocks))]
    assert max(len(block.columns) for block in blocks) == 3
    assert all(len(row) == max(1, len(block.columns)) for block in blocks for row in block.rows)


def test_a_report_leaves_out_rows_step_by_step_and_counts_them() -> None:
    tools = tuple(FailingTool(f"tool{number}", 1) for number in range(MAX_ROWS))
    whole, *smaller = shrink(build_report([a_result(a_run(replace(FAILING, top_failing_tools=tools)))], a_context()))
    kept = [the_block(report.blocks, BlockKind.TOOLS) for report in smaller]
    assert len(the_block(whole.blocks, BlockKind.TOOLS).rows) == MAX_ROWS
    assert {len(block.rows) + block.left_out for block in kept} == {MAX_ROWS}
    assert all(len(after.rows) <= len(before.rows) for before, after in pairwise(kept))
    assert kept[-1].left_out_note == "Top failing tools: 100 rows left out, the report would be too long."


def test_tools_and_categories_beyond_a_hundred_are_only_counted() -> None:
    """300 gates may report thousands each, and each row costs time and memory."""
    gate = a_gate(thresholds=Thresholds(required_mutation_categories=("missing", "category999")))
    run = replace(
        FAILING,
        top_failing_tools=tuple(FailingTool(f"tool{number}", 1) for number in range(1_000)),
        mutation_categories=tuple(f"category{number}" for number in range(1_000)),
    )
    report = build_report([a_result(a_run(run, gate), gate=gate)], a_context())
    tools, categories = (the_block(report.blocks, kind) for kind in (BlockKind.TOOLS, BlockKind.CATEGORIES))
    assert [(len(block.rows), block.left_out) for block in (tools, categories)] == [(MAX_ROWS, 900), (MAX_ROWS, 901)]
    assert rows(report, BlockKind.CATEGORIES)[:2] == [["missing", "✗ no, but required"], ["category0", "✓ yes"]]
    assert tools.left_out_note == "Top failing tools: 900 rows left out, the report would be too long."


def test_the_thresholds_of_a_gate_are_left_out_last() -> None:
    *_, before, last = shrink(build_report([a_result()], a_context()))
    assert not the_block(last.blocks, BlockKind.THRESHOLDS).rows
    assert (before.callout, before.title) == (last.callout, last.title)


def test_sections_are_left_out_after_rows_and_the_worst_gates_remain() -> None:
    results = states()["gates"][0]
    *_, two, one = shrink(build_report(results, a_context()))
    assert [shown(section.title) for section in two.sections] == ["❌ refunds failed"]
    assert one.sections == ()
    assert one.left_out_note == "The sections of 4 gates are left out: the report would be too long."


# -- against the base, and over time ----------------------------------------------------------------------------------


def test_a_broken_threshold_is_shown_with_its_change_against_the_base() -> None:
    block = the_block(reports()["fail"].blocks, BlockKind.BROKEN)
    assert [shown(column.heading) for column in block.columns] == ["Threshold", "Actual", "vs main"]
    assert rows(reports()["fail"], BlockKind.BROKEN) == [
        ["✗ Pass rate", "72.0% · needs ≥ 85.0%", "▼ −23.0 points, worse"],
        ["✗ Unsafe attempts", "1 · needs ≤ 0", "▲ +1, worse"],
        ["✗ Failures", "5 · needs ≤ 3", "▲ +4, worse"],
        ["✗ Reliability score", "61.5 · needs ≥ 80.0", "▼ −29.7, worse"],
        ["✗ Required mutation categories", "1 of 2 (lacks schema_drift) · needs timeouts, schema_drift", "–"],
    ]


def test_a_gate_whose_thresholds_are_met_or_not_known_has_no_broken_ones() -> None:
    unbroken = [reports()[state] for state in ("pass", "error-no-numbers", "pending")]
    assert not [block for report in unbroken for block in report.blocks if block.kind is BlockKind.BROKEN]


def test_each_metric_has_its_change_and_its_trend_in_the_pull_request() -> None:
    block = the_block(reports()["fail"].blocks, BlockKind.METRICS)
    assert [shown(column.heading) for column in block.columns] == ["Metric", "Now, vs main", "Over this pull request"]
    assert rows(reports()["fail"], BlockKind.METRICS) == [
        ["Verdict", "✗ fail (was ✓ pass)", "1 of 5 passed"],
        ["Pass rate", "72.0% (▼ −23.0 points, worse)", "█▁·▄▂ from 95.0% to 72.0%"],
        ["Reliability score", "61.5 (▼ −29.7, worse)", "█▁·▄▁ from 85.5 to 61.5"],
        ["Unsafe attempts", "1 (▲ +1, worse)", "▁█·▁█ from 0 to 1"],
        ["Failures", "5 (▲ +4, worse)", "▁█·▅▇ from 1 to 5"],
    ]


def test_without_a_result_of_the_base_nothing_is_compared() -> None:
    report = build_report([a_result()], a_context(base_ref="main"))
    assert rows(report, BlockKind.METRICS)[:2] == [["Verdict", "✗ fail"], ["Pass rate", "72.0%"]]
    for kind in (BlockKind.METRICS, BlockKind.BROKEN):
        assert shown(the_block(report.blocks, kind).columns[-1].heading) in {"Now", "Actual"}


def test_without_a_base_a_result_is_held_against_what_came_before_it() -> None:
    report = build_report([a_result()], a_context(baselines={"refunds": a_past_result()}))
    assert shown(the_block(report.blocks, BlockKind.BROKEN).columns[-1].heading) == "vs before"
    assert rows(report, BlockKind.METRICS)[1] == ["Pass rate", "72.0% (▼ −23.0 points, worse)"]


def test_with_nothing_to_compare_with_there_is_no_comparison() -> None:
    report = build_report([a_result()], a_context())
    assert {BlockKind.METRICS, BlockKind.CHART, BlockKind.HISTORY}.isdisjoint(block.kind for block in report.blocks)
    assert [len(row) for row in rows(report, BlockKind.BROKEN)] == [2, 2]


def test_a_metric_that_is_not_known_now_keeps_its_history() -> None:
    assert rows(reports()["pending"], BlockKind.METRICS)[1] == [
        "Pass rate",
        "–",
        "█▁·▄· from 95.0% to 80.0%, now not known",
    ]


def test_a_history_without_numbers_leaves_the_metrics_without_a_trend() -> None:
    report = build_report([a_result()], a_context(history=a_history(None, None)))
    assert rows(report, BlockKind.METRICS)[:2] == [["Verdict", "✗ fail", "0 of 3 passed"], ["Pass rate", "72.0%", ""]]


def test_the_history_tells_the_verdicts_of_earlier_commits_the_newest_first() -> None:
    report = reports()["fail"]
    assert the_block(report.blocks, BlockKind.HISTORY).title == "History: 4 earlier commits"
    assert [(verdict, numbers) for _, verdict, numbers in rows(report, BlockKind.HISTORY)] == [
        ("✗ fail (hard)", "72.0% passed, 1 unsafe attempt, 5 failures, score 61.5"),
        ("✗ fail (hard)", "80.0% passed, 0 unsafe attempts, 4 failures, score 72.0"),
        ("! error (hard)", "–"),
        ("✗ fail (hard)", "70.0% passed, 1 unsafe attempt, 6 failures, score 63.0"),
        ("✓ pass (hard)", "95.0% passed, 0 unsafe attempts, 1 failure, score 85.5"),
    ]


def test_each_commit_of_the_history_is_linked() -> None:
    commits = [gfm.read(row[0]).links for row in the_block(reports()["fail"].blocks, BlockKind.HISTORY).rows]
    assert commits[0] == [(f"https://github.com/acme/shop/commit/{COMMIT}", COMMIT[:7])]
    assert commits[-1] == [(f"https://github.com/acme/shop/commit/{'a' * 40}", "aaaaaaa")]
    report = build_report([a_result()], a_context(commit_url="", history=a_history(0.9)))
    assert rows(report, BlockKind.HISTORY)[1][0] == "aaaaaaa"
    assert not gfm.read(the_block(report.blocks, BlockKind.HISTORY).rows[1][0]).links


def test_the_history_of_a_gate_goes_by_its_name() -> None:
    refunds, _, search, _ = reports()["gates"].sections
    assert [block.title for block in refunds.blocks if block.kind is BlockKind.HISTORY] == [
        "History: 4 earlier commits"
    ]
    assert not [block for block in search.blocks if block.kind is BlockKind.HISTORY]
    assert [shown(row[1]) for row in the_block(search.blocks, BlockKind.METRICS).rows] == [
        "✓ pass (was ✓ pass)",
        "95.0% (▲ +2.0 points, better)",
        "91.2 (not known before)",
        "0 (unchanged)",
        "1 (not known before)",
    ]


@pytest.mark.parametrize(
    ("rates", "drawn"),
    [((), ""), ((0.9,), ""), ((0.9, None), ""), ((0.9, 0.8), "line [90.00, 80.00, 72.00]")],
)
def test_the_pass_rate_is_drawn_where_three_commits_have_one(rates: tuple[float | None, ...], drawn: str) -> None:
    report = build_report([a_result()], a_context(history=a_history(*rates)))
    charts = [cell for block in report.blocks if block.kind is BlockKind.CHART for (cell,) in block.rows]
    assert [drawn in chart for chart in charts] == ([True] if drawn else [])


# -- staged enforcement -----------------------------------------------------------------------------------------------


def test_a_waiting_gate_is_neither_called_closed_nor_open() -> None:
    assert rows(reports()["gates-waiting"], BlockKind.GATES) == [
        ["returns", "✗ fail, 72.0% · run", "waiting (soft)"],
        ["search", "✓ pass, 95.0% · run", "open (hard)"],
        ["billing", "– not affected", "open (hard)"],
    ]
    waiting = reports()["fail-soft-waiting"]
    assert waiting.headline.startswith("Sepurux gate refunds: fail (soft), the gate waits for a review. Pass rate")


def test_what_no_review_can_open_stands_before_what_waits_for_one() -> None:
    waiting = a_result(gate=a_gate(name="waiting", stage=Stage.SOFT), review=WAITS)
    closed = a_result(undecided(Decision.ERROR, "Gone."), gate=a_gate(name="closed"))
    report = build_report([waiting, closed], a_context())
    assert [row[0] for row in rows(report, BlockKind.GATES)] == ["closed", "waiting"]
    assert report.headline.startswith("Sepurux: 1 of 2 gates is closed, 1 waits for a review. Sepurux gate closed:")


def test_the_next_step_of_a_waiting_gate_names_its_reviewers_once() -> None:
    text = first_screen(reports()["fail-soft-waiting"])
    assert text.endswith(f"Next: {WAITS} Or fix what failed and push.")
    assert "In stage soft" not in text


def test_a_soft_gate_that_is_closed_without_a_word_on_reviews_still_names_the_way() -> None:
    report = build_report([a_result(gate=a_gate(stage=Stage.SOFT))], a_context())
    assert "In stage soft an approving review of this commit opens the gate." in first_screen(report)


def test_the_notes_on_the_stage_of_one_gate_need_no_name() -> None:
    notes = [shown(row) for (row,) in the_block(reports()["fail-soft-waiting"].notes, BlockKind.NOTES).rows]
    assert notes[:2] == [NEXT_CHANGE.replace("`", ""), ADVICE.replace("`", "")]


@pytest.mark.parametrize(
    ("noted", "text"),
    [
        ([0], "a: Soon."),
        ([0, 2], "a, c: Soon."),
        ([0, 1, 2, 4], "a, b, c, 1 more: Soon."),
        ([0, 1, 2, 3, 4], "All gates: Soon."),
    ],
)
def test_a_note_of_several_gates_is_shown_once_with_their_names(noted: list[int], text: str) -> None:
    gates = [a_gate(name=name) for name in "abcde"]
    results = [a_result(gate=gate, notes=("Soon.",) if at in noted else ()) for at, gate in enumerate(gates)]
    report = build_report(results, a_context())
    assert [shown(row) for (row,) in the_block(report.notes, BlockKind.NOTES).rows] == [text]


@pytest.mark.parametrize("state", ["fail", "fifty-gates"])
def test_each_value_that_the_pull_request_changes_in_the_policy_has_a_row_with_old_and_new(state: str) -> None:
    block = the_block(reports()[state].blocks, BlockKind.POLICY)
    assert shown(block.lead) == "Until it is merged, the policy of main rules, and this report follows that one."
    assert [column.heading for column in block.columns] == ["Setting", "Rules now", "Once merged"]
    assert rows(reports()[state], BlockKind.POLICY) == [
        ["min_pass_rate", "0.85", "0.5"],
        ["enforcement", "hard from 2027-01-31 on main, release/**; soft", "observe"],
        ['gate "refunds", reviewers', "mona, hubot-2", "not given"],
    ]


def test_bad_settings_do_not_hide_what_changes_in_the_policy() -> None:
    report = build_settings_report(problems(), a_context(policy_changes=(Change("min_pass_rate", "", "0.5"),)))
    assert rows(report, BlockKind.POLICY) == [["min_pass_rate", "not given", "0.5"]]
    assert "the policy of the base branch rules" in shown(the_block(report.blocks, BlockKind.POLICY).lead)


def test_two_long_values_are_shown_from_where_they_differ() -> None:
    same = "src/refunds/**, " * 20
    change = Change("paths", f"{same}docs/**", f"{same}!src/**, docs/**")
    ((_, old, new),) = rows(build_report([a_result()], a_context(policy_changes=(change,))), BlockKind.POLICY)
    assert (old, new) == ("…**, src/refunds/**, docs/**", "…**, src/refunds/**, !src/**, docs/**")


def test_a_value_that_goes_on_where_the_other_one_ends_is_shown_to_go_on() -> None:
    same = "src/refunds/**, " * 20
    change = Change("paths", same, f"{same}docs/**")
    ((_, old, new),) = rows(build_report([a_result()], a_context(policy_changes=(change,))), BlockKind.POLICY)
    assert (old, new) == ("…**, src/refunds/**,", "…**, src/refunds/**, docs/**")


def test_the_details_of_gates_that_do_not_block_are_left_out_first() -> None:
    first = next(report for report in shrink(build_report(states()["gates"][0], a_context())) if report.shortened)
    lost = {shown(section.title): [b.kind for b in section.blocks if b.left_out] for section in first.sections}
    assert lost["❌ refunds failed"] == []
    assert BlockKind.PROVENANCE in lost["✅ search passed"]
    assert BlockKind.THRESHOLDS not in lost["✅ search passed"]


def test_open_gates_lose_their_sections_before_a_closed_one_loses_a_threshold() -> None:
    shorter = [report for report in shrink(reports()["fifty-gates"]) if report.left_out_note]
    assert shorter[0].left_out_note == "The sections of 45 gates are left out: the report would be too long."
    assert all(block.rows for section in shorter[0].sections for block in section.blocks)


# -- comment and summary -----------------------------------------------------------------------------------------------


def kinds(report: Report, *, seen: bool) -> list[BlockKind]:
    return [block.kind for block in report.blocks if bool(block.visible) is seen]


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ("pass", [BlockKind.METRICS]),
        ("fail", [BlockKind.POLICY, BlockKind.BROKEN, BlockKind.TOOLS]),
        ("fail-observe", [BlockKind.BROKEN, BlockKind.TOOLS]),
        ("pending", []),
        ("traces", [BlockKind.BROKEN, BlockKind.TRACES, BlockKind.TOOLS]),
        ("skipped", []),
        ("bad-settings", [BlockKind.PROBLEMS]),
        ("gates", [BlockKind.GATES]),
        ("fifty-gates", [BlockKind.GATES, BlockKind.POLICY]),
    ],
)
def test_the_first_screen_of_a_comment_shows_what_broke_or_what_changed(state: str, seen: list[BlockKind]) -> None:
    assert kinds(for_comment(reports()[state]), seen=True) == seen


def test_the_rest_of_a_comment_opens_with_a_click_in_a_fixed_order() -> None:
    assert kinds(for_comment(reports()["fail"]), seen=False) == [
        BlockKind.THRESHOLDS,
        BlockKind.METRICS,
        BlockKind.FAILURES,
        BlockKind.HISTORY,
        BlockKind.REPRODUCTION,
        BlockKind.PROVENANCE,
    ]


def test_a_comment_shows_five_tools_and_three_traces_at_once() -> None:
    tools = tuple(FailingTool(f"tool{number}", 1) for number in range(9))
    runs = [a_run(replace(FAILING, top_failing_tools=tools), trace=str(number)) for number in range(9)]
    blocks = for_comment(build_report([a_result(*runs)], a_context())).blocks
    assert [len(the_block(blocks, kind).visible) for kind in (BlockKind.TOOLS, BlockKind.TRACES)] == [5, 3]


def test_a_comment_on_several_gates_collapses_those_that_do_not_block() -> None:
    open_too = a_result(gate=a_gate(name="observed", stage=Stage.OBSERVE))
    report = for_comment(build_report([open_too, *states()["gates"][0]], a_context()))
    assert [(shown(section.title), section.collapsed) for section in report.sections] == [
        ("❌ refunds failed", False),
        ("⚠️ observed failed, not blocked", True),
        ("⏳ shipping is not decided yet, not blocked", True),
        ("✅ search passed", True),
        ("⏭️ billing is not affected", True),
    ]


def test_the_summary_shows_everything_but_the_extract_of_its_thresholds() -> None:
    whole = reports()["fail"]
    assert kinds(for_summary(whole), seen=True) == [
        BlockKind.POLICY,
        BlockKind.THRESHOLDS,
        BlockKind.METRICS,
        BlockKind.CHART,
        BlockKind.RATES,
        BlockKind.TOOLS,
        BlockKind.FAILURES,
        BlockKind.CATEGORIES,
    ]
    assert {block.kind for block in whole.blocks} - {block.kind for block in for_summary(whole).blocks} == {
        BlockKind.BROKEN
    }


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ["hard: a failed evaluation closes the gate, and no review opens it", "closed (on_undecided: block)"]),
        ({"on_undecided": OnUndecided.ALLOW}, ["hard: a failed evaluation", "open (on_undecided: allow)"]),
        ({"stage": Stage.SOFT}, ["soft: a failed evaluation closes the gate until an approving review", "closed ("]),
        ({"stage": Stage.OBSERVE}, ["observe: the gate reports and never blocks", ""]),
    ],
)
def test_a_report_tells_what_the_stage_means(changes: dict[str, object], says: list[str]) -> None:
    facts = dict(rows(build_report([a_result(gate=a_gate(**changes))], a_context()), BlockKind.PROVENANCE))
    assert facts["Stage"].startswith(says[0])
    assert facts.get("Without a verdict", "").startswith(says[1])
    assert ("Without a verdict" in facts) is bool(says[1])


def test_without_a_pull_request_the_stage_promises_no_review() -> None:
    report = build_report([a_result(gate=a_gate(stage=Stage.SOFT))], a_context(pull_request=None))
    assert "without a pull request no review can open it" in dict(rows(report, BlockKind.PROVENANCE))["Stage"]


def test_a_report_gives_the_command_line_to_copy() -> None:
    (listed,) = gfm.read(the_block(reports()["fail"].blocks, BlockKind.REPRODUCTION).rows[1][0]).code
    assert listed.splitlines()[1:4] == [
        "python -P -m sepurux_action \\",
        "  --campaign=refund-reliability \\",
        "  --project=shop-agent \\",
    ]


def test_a_block_that_is_left_out_is_named_by_its_title() -> None:
    *_, last = shrink(for_comment(reports()["fail"]))
    assert the_block(last.blocks, BlockKind.REPRODUCTION).left_out_note == (
        "How to reproduce: left out, the report would be too long."
    )


def test_a_shortened_comment_links_to_the_summary() -> None:
    whole, *_, last = shrink(reports()["fail"])
    assert (whole.shortened, last.shortened) == (False, True)
    assert gfm.read(last.fuller).links == [("https://github.com/acme/shop/actions/runs/7100001", "job summary")]
    assert build_report([a_result()], a_context(run_url="")).fuller == ""


def test_a_comment_leaves_out_its_broken_thresholds_last() -> None:
    *_, before, last, _, _, _ = shrink(for_comment(reports()["fail-observe"]))
    assert [block.kind for block in before.blocks if block.rows] == [BlockKind.BROKEN]
    assert not [block.kind for block in last.blocks if block.rows]
