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


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        (escaped("feedback facade"), "feedback facade"),
        (escaped("72.0% of at least 85.0%"), "72.0% of at least 85.0%"),
        (escaped("customer_id of _x_ __e__"), "customer_id of &#95;x&#95; &#95;&#95;e&#95;&#95;"),
        (escaped("a" * 16), ZERO_WIDTH_SPACE.join(["aaaaaa", "aaaaaa", "aaaa"])),  # no rest of a commit is one
        (escaped("a\rb\nc\r\nd\u2028e\tf\x85g"), "a b c d e f g"),
        (escaped("a\u202eb\u2066c\u200bd\ufeffe\u00adf\u3164g\x1bh\ufe0fi"), "abcdefghi"),
        (escaped("e" + "\u0301" * 50), "e\u0301\u0301"),
        (escaped("x" * 300), "x" * 300),
        (escaped("x " * 200), "x " * 149 + "x…"),
        (code("\u200b \u3164\n"), ""),
        (code("Refund API: v2/eu-west_1"), "`Refund API: v2/eu-west_1`"),
        (code("x" * 80), f"`{'x' * 80}`"),
        (value("hard on main, release/**; soft", longest=80), "`hard on main, release/**; soft`"),
        (value("a`b <c>", longest=80), "a&#96;b &#60;c&#62;"),
        (code_block(["a=1", "b --c 'd'"], "sh"), "```sh\na=1\nb --c 'd'\n```"),
        (code_block(["```", "<!-- x -->"]), "<pre><code>&#96;&#96;&#96;\n&#60;&#33;-- x --&#62;</code></pre>"),
        (code_block(["a\u202eb\x1b\u200b\u3164", "é" + "\u0301" * 9]), "<pre><code>ab\né\u0301\u0301</code></pre>"),
        *((link("x", address), "x") for address in ("javascript:alert(1)", "", "data:text/html,x", "//evil.example")),
        (link("x", 'https://a.example/ |<>"\\`é\n\udcff'), "[x](https://a.example/%20%7C%3C%3E%22%5C%60%C3%A9%0A?)"),
    ],
)
def test_what_can_be_read_is_written_and_nothing_that_cannot_be_seen(shown: str, written: str) -> None:
    assert shown == written


def test_in_a_line_of_html_a_name_with_an_address_is_no_code() -> None:
    assert html_code("payments.refund") == "<code>payments.refund</code>"
    for name in ("https://x.example", "WWW.x.example"):
        assert "<code>" not in html_code(name)
        assert gfm.read(f"<details><summary>{html_code(name)}</summary></details>").links == []


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
