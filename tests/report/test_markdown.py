"""Foreign text in Markdown is shown as it was written and has no effect."""

from __future__ import annotations

import pytest

from sepurux_action.report.markdown import (
    BAR_CELLS,
    GAP,
    MAX_WORD_LENGTH,
    ZERO_WIDTH_SPACE,
    Markdown,
    bar,
    chart,
    code,
    code_block,
    join,
    link,
    prose,
    sparkline,
    strong,
    text,
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
        page, calm = gfm.read(before + text(attack)), gfm.read(before + "calm")
        assert {tag: count for tag, count in page.tags.items() if tag not in {"span", "wbr"}} == calm.tags
        assert attack.strip() in page.prose.replace(ZERO_WIDTH_SPACE, "").replace("\n", " ")
    page = gfm.read(f"| {text(attack)} | b |\n| --- | --- |\n| c | {code(attack)} |\n")
    assert (page.cells, page.code, page.links) == ([2, 2], [attack.strip()], [])


@pytest.mark.parametrize("word", LINKED)
def test_what_github_links_after_parsing_is_broken_by_a_zero_width_space(word: str) -> None:
    shown = gfm.read(text(f"see {word} there")).prose
    assert word not in shown
    assert word in shown.replace(ZERO_WIDTH_SPACE, "")
    assert gfm.read(code(word)).code == [word]


def test_a_commit_is_broken_so_often_that_no_rest_of_it_is_one() -> None:
    pieces = gfm.read(text("a" * 40)).prose.strip().split(ZERO_WIDTH_SPACE)
    assert max(map(len, pieces)) < 7


def test_an_ordinary_word_of_hexadecimal_letters_stays_whole() -> None:
    assert text("feedback facade") == "feedback facade"


def test_code_of_a_text_that_shows_nothing_is_nothing() -> None:
    assert code("\u200b \u3164\n") == ""


@pytest.mark.parametrize(
    "foreign", ["a\u202eb", "a\u2066b", "a\u200bb", "a\ufeffb", "a\u00adb", "a\u3164b", "a\x1bb", "a\ufe0fb"]
)
def test_what_cannot_be_seen_is_left_out(foreign: str) -> None:
    assert text(foreign) == "ab"


def test_line_breaks_become_spaces() -> None:
    assert text("one\r\ntwo\u2028three\tfour\x85five") == "one two three four five"


def test_marks_heaped_on_one_character_are_thinned_out() -> None:
    assert text("e" + "\u0301" * 50) == "e\u0301\u0301"


def test_a_text_is_cut_to_its_length_with_an_ellipsis() -> None:
    assert text("x " * 50, longest=10) == "x x x x x…"
    assert text("x" * 10, longest=10) == "x" * 10


def test_a_long_word_may_break_often_enough_for_a_narrow_cell() -> None:
    for shown in (text("x" * 100), code("x" * 80)):
        pieces = shown.removeprefix("<code>").removesuffix("</code>").split("<wbr>")
        assert max(map(len, pieces)) == MAX_WORD_LENGTH


def test_a_number_is_readable_in_the_source_of_the_report() -> None:
    assert text("72.0% of at least 85.0%") == "72.0% of at least 85.0%"


def test_prose_shows_what_stands_between_backticks_as_code() -> None:
    page = gfm.read(prose("raise `timeout` above `@octocat`, or ` leave it"))
    assert page.code == ["timeout", "@octocat"]
    assert page.prose.split() == ["raise", "above", ",", "or", "`", "leave", "it"]


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


def test_parts_are_escaped_once_and_empty_ones_vanish() -> None:
    joined = join(["*a*", "", code("b"), strong("c*")], by=" · ")
    assert isinstance(joined, Markdown)
    assert joined == "&#42;a&#42; · <code>b</code> · <strong>c&#42;</strong>"


@pytest.mark.parametrize(
    ("fraction", "filled"), [(0, 0), (0.0001, 1), (0.5, 5), (0.72, 7), (0.95, 9), (0.9999, 9), (1, BAR_CELLS)]
)
def test_a_bar_is_full_only_at_one_and_empty_only_at_zero(fraction: float, filled: int) -> None:
    assert bar(fraction) == f"<code>{'█' * filled}{'░' * (BAR_CELLS - filled)}</code>"


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0.0, 0.5, 1.0], "▁▅█"),
        ([72.0, 95.0], "▁█"),
        ([5, 0, None, 5], f"█▁{GAP}█"),
        ([3, 3, 3], "▅▅▅"),
        ([None, 7.0, None], f"{GAP}▅{GAP}"),
        ([None], GAP),
        (list(range(8)), "▁▂▃▄▅▆▇█"),
    ],
)
def test_a_sparkline_goes_from_its_lowest_to_its_highest_with_a_dot_for_what_is_not_known(
    values: list[float | None], drawn: str
) -> None:
    assert sparkline(values) == f"<code>{drawn}</code>"


def test_a_listing_keeps_nothing_that_cannot_be_seen() -> None:
    assert code_block(["a\u202eb\x1b\u200b\u3164", "e" + "\u0301" * 9]) == ("<pre><code>ab\ne\u0301\u0301</code></pre>")


def test_a_chart_is_a_fence_of_numbers_with_plain_labels() -> None:
    drawn = chart("passed, %", [('a"]\n```', 95), ("3f9c2ad", 72.3456)])
    page = gfm.read(f"before\n\n{drawn}\n\nafter")
    assert page.tags == {"p": 2, "pre": 1, "code": 1}
    _, kind, *axes = page.code[0].splitlines()
    assert kind == "xychart-beta"
    assert [line.strip() for line in axes] == [
        'x-axis ["1 a", "2 3f9c2ad"]',
        'y-axis "passed, %" 0 --> 100',
        "line [95.00, 72.35]",
    ]
