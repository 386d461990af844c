"""Foreign text in Markdown is shown as it was written and has no effect."""

from __future__ import annotations

import pytest

from sepurux_action.report.markdown import (
    ZERO_WIDTH_SPACE,
    code,
    code_block,
    escaped,
    finish,
    html_code,
    link,
    prose,
    value,
)
from tests import gfm

# One attack for each construct that the parser or GitHub acts on; tests/report/test_hostile_text.py finds others.
STRUCTURE = (
    *("# heading", "- item", "+ item", "1. item", "2) item", "> quote", "---", "===", ":--", "    indented"),
    *("| a | b |", "```sh", "`code`", "*em* _em_", "~~gone~~", "\\*escaped\\*", "$x^2$", "/merge", "{{ 7 * 7 }}"),
    *("<img src=x>", "<!-- comment -->", "</details>", "&lt;b&gt;", "[^1]: note", "[x]: https://evil.example"),
    *("![alt](https://evil.example/p.png)", "[click](https://evil.example)", "www.evil.example", "a@b.co"),
)
LINKED = ("@octocat", "#1", "GH-3", "GHSA-aaaa-bbbb-cccc", "3F9C2AD", ":tada:", "https://github.com/acme/shop/pull/1")


@pytest.mark.parametrize("attack", STRUCTURE)
def test_text_is_shown_as_it_is_and_is_no_structure(attack: str) -> None:
    for before in ("", "a line before\n", "- ", "> ", "## "):
        page, calm = gfm.read(finish(before + escaped(attack))), gfm.read(before + "calm")
        assert {tag: count for tag, count in page.tags.items() if tag != "span"} == calm.tags
        assert attack.strip() in page.prose.replace(ZERO_WIDTH_SPACE, "").replace("\n", " ")
    page = gfm.read(finish(f"| {escaped(attack)} | b |\n| --- | --- |\n| c | {code(attack)} |\n"))
    assert (page.cells, page.links) == ([2, 2], [])
    assert not page.code or code(attack) == f"`{attack.strip()}`"


@pytest.mark.parametrize("word", LINKED)
def test_what_github_links_after_parsing_is_broken_by_a_zero_width_space(word: str) -> None:
    shown = gfm.read(escaped(f"see {word} there")).prose
    assert word not in shown
    assert word in shown.replace(ZERO_WIDTH_SPACE, "")
    page = gfm.read(code(word))
    assert page.code == [word] or word not in page.prose


def test_a_commit_is_broken_so_often_that_no_rest_of_it_is_one() -> None:
    pieces = gfm.read(escaped("a" * 40)).prose.strip().split(ZERO_WIDTH_SPACE)
    assert max(map(len, pieces)) < 7


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("feedback facade", "feedback facade"),
        ("72.0% of at least 85.0%", "72.0% of at least 85.0%"),
        ("customer_id of _x_", "customer_id of &#95;x&#95;"),
        ("a\rb\nc\r\nd\u2028e\tf\x85g", "a b c d e f g"),
        ("a\u202eb\u2066c\u200bd\ufeffe\u00adf\u3164g\x1bh\ufe0fi", "abcdefghi"),
        ("e" + "\u0301" * 50, "e\u0301\u0301"),
        ("x" * 300, "x" * 300),
        ("x " * 200, "x " * 149 + "x…"),
    ],
)
def test_text_keeps_what_can_be_read_and_nothing_that_cannot_be_seen(foreign: str, shown: str) -> None:
    assert escaped(foreign) == shown


def test_code_of_a_text_that_shows_nothing_is_nothing() -> None:
    assert code("\u200b \u3164\n") == ""


@pytest.mark.parametrize(
    "name", ["payments.refund", "refund-reliability", "traces/cancel.json", "a: b", "https://x.example", "x" * 80]
)
def test_an_ordinary_name_is_verbatim_between_backticks(name: str) -> None:
    assert code(name) == f"`{name}`"
    assert gfm.read(code(name)).code == [name]


def test_in_a_line_of_html_a_name_with_an_address_is_no_code() -> None:
    assert html_code("payments.refund") == "<code>payments.refund</code>"
    for name in ("https://x.example", "WWW.x.example"):
        assert "<code>" not in html_code(name)
        assert gfm.read(f"<details><summary>{html_code(name)}</summary></details>").links == []


def test_a_value_of_a_setting_may_be_a_pattern_or_a_list() -> None:
    assert value("hard on main, release/**; soft", longest=80) == "`hard on main, release/**; soft`"
    assert value("a`b <c>", longest=80) == "a&#96;b &#60;c&#62;"


def test_an_underscore_within_a_word_needs_no_escape() -> None:
    assert gfm.read(escaped("a_b_ _c_d __e__ f_")).tags == {"p": 1}


def test_what_has_a_meaning_only_at_the_start_of_a_line_is_escaped_only_there() -> None:
    rendered = (
        f"{escaped('- a')}\n\n> {escaped('+ b')}\n\n- {escaped('12. c')}\n\n| {escaped('+4')} | x {escaped('- y')} |"
    )
    assert finish(rendered) == "&#45; a\n\n> &#43; b\n\n- 12&#46; c\n\n| +4 | x - y |\n"


def test_prose_shows_what_stands_between_backticks_as_code() -> None:
    page = gfm.read(prose("raise `timeout` above `@octocat` and `<b>`, or ` leave it"))
    assert page.code == ["timeout", "@octocat"]
    assert page.prose.split() == ["raise", "above", "and", "<b>,", "or", "`", "leave", "it"]


@pytest.mark.parametrize(
    "address",
    [
        "https://app.sepurux.dev/runs/1",
        "https://app.sepurux.dev/a)b(c?d=e&copy;=f&lt=1#g_h_i*j*",
        "https://app.sepurux.dev/~x/'$y$'!z,w;v=@u+t%20s",
        "HTTPS://app.sepurux.dev:8443/",
    ],
)
def test_a_link_leads_to_its_address_to_the_letter(address: str) -> None:
    page = gfm.read(f"| a | {link('Open [it*', address)} |\n| --- | --- |")
    assert page.links == [(address, "Open [it*")]
    assert page.cells == [2]


def test_characters_that_end_an_address_are_percent_encoded() -> None:
    page = gfm.read(link("x", 'https://a.example/ |<>"\\`é\n\udcff'))
    assert page.links == [("https://a.example/%20%7C%3C%3E%22%5C%60%C3%A9%0A?", "x")]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "", "data:text/html,x", "//evil.example", "ftp://x"])
def test_an_address_of_another_scheme_is_not_linked(address: str) -> None:
    assert link("label", address) == "label"


def test_a_code_block_is_a_fence_unless_a_text_could_end_it() -> None:
    assert code_block(["a=1", "b --c 'd'"], "sh") == "```sh\na=1\nb --c 'd'\n```"
    assert code_block(["```", "<!-- x -->"], "sh") == "<pre><code>&#96;&#96;&#96;\n&#60;&#33;-- x --&#62;</code></pre>"


def test_a_code_block_keeps_nothing_that_cannot_be_seen() -> None:
    assert code_block(["a\u202eb\x1b\u200b\u3164", "é" + "\u0301" * 9]) == "<pre><code>ab\né\u0301\u0301</code></pre>"
