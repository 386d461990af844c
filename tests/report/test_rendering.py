"""A report is rendered as Markdown within the size limits, also with broken templates."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from sepurux_action.config.policy import Change
from sepurux_action.errors import Problem
from sepurux_action.evaluation.ci_run import ClassifiedFailure, Enrichment, FailingTool
from sepurux_action.report.rendering import COMMENT_CHARACTERS, SUMMARY_BYTES, render_comment, render_summary
from sepurux_action.report.report import Report, build_report, build_settings_report
from tests import gfm
from tests.builders import FAILING, a_context, a_gate, a_result, a_run, fifty_gates, reports

COMMENT_BYTES = 65_000
MARKER = f"<!-- sepurux-gate:gates {'A' * 30_000} {'0' * 64} -->"  # the longest content


def a_flood() -> Report:
    """Return the report on a run whose backend sends as much as the gate reads."""
    failures = tuple(
        ClassifiedFailure(type=f"type{n} {'t' * 900}", severity=f"s{n}", description="&" * 900, mutation="|" * 900)
        for n in range(600)
    )
    tools = tuple(FailingTool(f"{n}{'<' * 1_000}", 1) for n in range(600))
    categories = tuple(f"{n}{'*' * 500}" for n in range(600))
    run = replace(FAILING, top_failing_tools=tools, mutation_categories=categories)
    return build_report([a_result(a_run(run, enrichment=Enrichment(failures=failures)))], a_context())


@cache
def summary(state: str) -> str:
    return render_summary(reports()[state])


@cache
def comment(state: str) -> str:
    return render_comment(reports()[state], MARKER)


@pytest.mark.parametrize("state", reports())
def test_every_state_is_rendered_with_its_templates(state: str) -> None:
    rendered = summary(state)
    assert rendered.startswith("## ")
    assert rendered.endswith("</sub>\n")
    assert "\n\n\n\n" not in rendered


@pytest.mark.parametrize("state", reports())
def test_every_line_of_a_table_has_the_cells_of_its_heading(state: str) -> None:
    lines = [line for line in summary(state).splitlines() if line.startswith("|")]
    page = gfm.read(summary(state))
    assert len(page.cells) == sum(not line.startswith("| ---") for line in lines)


def test_ten_rows_are_seen_at_once_and_the_rest_opens_with_a_click() -> None:
    tools = tuple(FailingTool(f"tool{number}", 1) for number in range(25))
    report = build_report([a_result(a_run(replace(FAILING, top_failing_tools=tools)))], a_context())
    rendered = render_summary(report)
    before, after = rendered.split("<details><summary>15 more</summary>")
    assert "<code>tool9</code>" in before
    assert "<code>tool10</code>" in after
    assert gfm.read(rendered).tags["details"] == 4


@pytest.mark.parametrize("most", [SUMMARY_BYTES, COMMENT_BYTES, 10_000])
def test_a_flood_fits_its_place_says_so_and_keeps_the_thresholds(most: int) -> None:
    rendered = render_summary(a_flood(), most_bytes=most)
    assert most // 20 < len(rendered.encode()) <= most
    assert "left out, the report would be too long" in rendered
    assert "| ✗\u00a0Pass rate | ≥\u00a085.0% | 72.0% (−13.0 points) |" in rendered


def test_a_place_too_small_for_anything_else_gets_the_headline() -> None:
    assert render_summary(reports()["error"], most_bytes=300).startswith("Sepurux gate refunds: error (hard)")


@pytest.mark.parametrize(
    "template", ["{{ report.unknown }}", "{% if %}", "{{ report.headline.pop() }}", "\udcff", None]
)
def test_templates_that_cannot_be_used_leave_the_headline(tmp_path: Path, template: str | None) -> None:
    if template is not None:
        (tmp_path / "summary.md.j2").write_bytes(template.encode(errors="surrogateescape"))
    assert render_summary(reports()["error"], templates=tmp_path).startswith("Sepurux gate refunds: error (hard)")


def test_a_template_escapes_every_value_that_is_not_markdown_of_ours(tmp_path: Path) -> None:
    (tmp_path / "summary.md.j2").write_text("{{ report.headline }}{% set x = report.headline ~ '' %} {{ x }} {{ 7 }}")
    report = replace(reports()["pass"], headline="<b>@octocat</b>")
    escaped = "&#60;b&#62;&#64;\u200boctocat&#60;/b&#62;"
    assert render_summary(report, templates=tmp_path) == f"{escaped} {escaped} 7"


def test_a_place_with_a_colon_or_a_pipe_in_its_name_stays_one_list_item() -> None:
    report = build_settings_report([Problem(where="a|b:1", message="c | d")], a_context())
    assert gfm.read(render_summary(report)).tags["li"] == 1


# -- the comment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", reports())
def test_a_comment_begins_with_its_marker_which_nobody_sees(state: str) -> None:
    body = comment(state)
    page, unmarked = gfm.read(body), gfm.read(body.removeprefix(MARKER))
    assert body.startswith(f"{MARKER}\n\n### ")
    assert body.endswith("</sub>")
    assert "\n\n\n\n" not in body
    assert page.tags - unmarked.tags == {"comment": 1}
    assert page.cells == unmarked.cells


@pytest.mark.parametrize("state", reports())
def test_every_line_of_a_comments_table_has_the_cells_of_its_heading(state: str) -> None:
    body = comment(state)
    lines = [line for line in body.splitlines() if line.startswith("|")]
    assert len(gfm.read(body).cells) == sum(not line.startswith("| ---") for line in lines)


def test_every_details_element_is_closed() -> None:
    for state in reports():
        for rendered in (comment(state), summary(state)):
            assert rendered.count("<details>") == rendered.count("</details>") == gfm.read(rendered).tags["details"]


def test_a_flood_fits_a_comment_which_keeps_what_broke_and_says_where_more_is() -> None:
    body = render_comment(a_flood(), MARKER)
    assert COMMENT_CHARACTERS // 2 < len(body) <= COMMENT_CHARACTERS
    assert "| ✗\u00a0Pass rate | 72.0% · needs ≥\u00a085.0% |" in body
    assert re.search(r"\*Classified failures: [\d,]+ rows left out, the report would be too long\.\*", body)
    assert "[job summary](https://github.com/acme/shop/actions/runs/7100001) keeps more." in body
    assert len(render_summary(a_flood())) > 5 * len(body)


def test_a_comment_that_is_whole_promises_no_more() -> None:
    assert "keeps more" not in comment("fail")


def test_a_comment_on_many_gates_keeps_the_closed_ones_rows() -> None:
    results = [a_result(gate=a_gate(name=f"gate {number} {'&' * 70}")) for number in range(60)]
    body = render_comment(build_report(results, a_context()), MARKER)
    assert len(body) <= COMMENT_CHARACTERS
    assert "60 of 60 gates are closed" in body
    assert re.search(r"Gates: [\d,]+ rows left out", body)
    assert "The sections of" in body
    assert len(gfm.read(body).cells) > 10


def test_a_comment_on_fifty_gates_beside_a_full_memory_has_all_their_rows_and_what_broke() -> None:
    body = comment("fifty-gates")
    assert len(body) <= COMMENT_CHARACTERS
    assert body.count("#### Broken thresholds") == 4
    assert {result.gate.name for result in fifty_gates()} <= set(gfm.read(body).code)
    assert "#### This pull request changes the policy" in body


@pytest.mark.parametrize("render", [render_summary, lambda report: render_comment(report, MARKER)])
def test_a_flood_of_policy_changes_hides_neither_itself_nor_the_verdict(render: Callable[[Report], str]) -> None:
    changes = tuple(Change(f"{n}{'&' * 900}", "|" * 900, "<" * 9_000) for n in range(600))
    rendered = render(build_report([a_result()], a_context(policy_changes=changes)))
    assert "#### This pull request changes the policy" in rendered
    assert re.search(r"\*This pull request changes the policy: [\d,]+ rows left out, ", rendered)
    assert "## ❌ Sepurux gate <code>refunds</code> failed" in rendered


def test_the_changes_of_the_policy_are_seen_without_a_click() -> None:
    for rendered in (summary("fail"), comment("fail")):
        before, _, _ = rendered.partition("<details>")
        page = gfm.read(before)
        assert "Once merged" in page.prose
        assert {"min_pass_rate", "0.85", "0.5"} <= set(page.code)


def test_a_comment_without_templates_has_its_marker_and_the_headline(tmp_path: Path) -> None:
    body = render_comment(reports()["error"], MARKER, templates=tmp_path)
    assert body.startswith(f"{MARKER}\n\nSepurux gate refunds: error (hard)")


def test_a_command_line_and_a_chart_are_blocks_of_code_of_their_own() -> None:
    report = reports()["fail"]
    assert gfm.read(render_comment(report, MARKER)).tags["pre"] == 1
    summary = gfm.read(render_summary(report))
    assert summary.tags["pre"] == 2
    assert [code.splitlines()[1] for code in summary.code if "xychart" in code] == ["xychart-beta"]
