"""The gallery shows every report in both themes, and nothing in a report can run or load."""

from __future__ import annotations

import re
from itertools import product

from scripts import gallery
from tests.builders import commented, reports

PAGE = gallery.gallery()
REPORTS = re.findall(r'<article class="markdown-body">(.*?)</article>', PAGE, re.DOTALL)
ICON = {"svg", "path"}  # of our own packages


def test_every_state_is_in_the_gallery_in_both_themes_and_in_its_index() -> None:
    places = [f"{state} comment" for state in commented()] + [f"{state} summary" for state in reports()]
    found = [(place, theme) for theme, place in re.findall(r'<div class="(\w+)" data-place="([^"]+)">', PAGE)]
    assert sorted(found) == sorted(product(places, gallery.THEMES))
    assert re.findall(r'<a href="#([^"]+)">', PAGE.partition("</nav>")[0]) == sorted(reports())


def test_nothing_in_a_report_can_run_or_load() -> None:
    tags = {found for html in REPORTS for found in re.findall(r"<(\w+)([^>]*)>", html)}
    attributes = {(tag, name) for tag, rest in tags for name in re.findall(r" ([\w-]+)=", rest) if tag not in ICON}
    assert {tag for tag, _ in tags} & {"img", "script", "style", "iframe", "object", "form"} == set()
    assert {name for _, name in attributes} <= {"align", "class", "href", "lang"}


def test_only_the_pages_own_scripts_are_allowed() -> None:
    first, second = (gallery.document("x", "<script>alert(1)</script>", style="") for _ in range(2))
    allowed = re.search(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-([\w-]+)';", first)
    assert allowed is not None
    assert re.findall(r"<script(.*?)>", first) == [
        "",
        f' nonce="{allowed[1]}" src="{gallery.MERMAID.as_uri()}"',
        f' nonce="{allowed[1]}"',
    ]
    assert allowed[1] not in second


def test_each_theme_has_its_own_stylesheet() -> None:
    nested = re.findall(r"\.(light|dark) \{\n.*?color-scheme: (\w+);", PAGE, re.DOTALL)
    assert nested == [(theme, theme) for theme in gallery.THEMES]


def test_an_alert_a_task_and_a_chart_look_as_on_github() -> None:
    shown = gallery.article("> [!WARNING]\n> **Closed.**\n\n- [x] done\n\n```mermaid\nxychart-beta\n```\n")
    assert '<div class="markdown-alert markdown-alert-warning"><p class="markdown-alert-title"><svg class=' in shown
    assert "</svg>Warning</p>\n<p><strong>Closed.</strong></p>\n</div>" in shown
    assert '<li class="task-list-item">' in shown
    assert '<pre class="mermaid">xychart-beta\n</pre>' in shown


def test_an_alert_within_another_element_is_a_quote_as_on_github() -> None:
    alert = "> [!WARNING]\n> **Blocked.**\n"
    nested = (
        f"<details><summary>x</summary>\n\n{alert}\n</details>\n\n- item\n\n  {alert.replace(chr(10), chr(10) + '  ')}"
    )
    assert gallery.article(f"{nested}\n\n{alert}").count("markdown-alert-title") == 1
    assert "markdown-alert" not in gallery.article(nested)


def test_a_line_ends_where_it_is_written_to_end_in_a_comment_only() -> None:
    assert "one<br />\ntwo" in gallery.comment("one\ntwo")
    assert "<br" not in gallery.article("one\ntwo")
