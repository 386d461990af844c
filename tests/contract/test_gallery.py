"""The reports as pages and pictures: every state in both themes, nothing of a report runs, no picture is stale."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import zlib
from html.parser import HTMLParser
from itertools import product

import pytest

from scripts import gallery, github_look, golden, picture, png
from tests.builders import commented, reports

LOOK = github_look.Look(
    styles={theme: f".markdown-body {{ content: '{theme}' }}" for theme in github_look.THEMES},
    icons=dict.fromkeys(github_look.ALERTS, '<svg width="16"></svg>'),
    mermaid="const mermaid = {};",
)


class Reading(HTMLParser):
    """What stands on a page: places by theme, the links of the index, scripts, the policy, tags of the reports."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.places: list[tuple[str, str]] = []
        self.index: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""
        self.tags: set[tuple[str, str]] = set()
        self._stack: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "article" in self._stack:
            self.tags |= {(tag, name) for name in given} or {(tag, "")}
        if place := given.get("data-place"):
            self.places.append((place, given.get("class") or ""))
        if "nav" in self._stack:
            self.index.append((given.get("href") or "").removeprefix("#"))
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given.get("content") or ""
        if tag == "script":
            self.scripts.append("")
        if tag not in {"br", "hr", "img", "input", "meta", "wbr"}:
            self._stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._stack and self._stack.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._stack[-1:] == ["script"]:
            self.scripts[-1] += data


PAGE = Reading(gallery.gallery(LOOK))


def sums(reading: Reading) -> list[str]:
    """Return each script in the words in which the page's policy allows it."""
    known = (hashlib.sha256(script.encode()).digest() for script in reading.scripts)
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in known]


def test_every_state_is_in_the_gallery_in_both_themes_and_in_its_index() -> None:
    places = [f"{state} comment" for state in commented()] + [f"{state} summary" for state in reports()]
    assert sorted(PAGE.places) == sorted(product(places, github_look.THEMES))
    assert sorted(filter(None, PAGE.index)) == sorted(reports())


def test_each_theme_has_its_own_stylesheet() -> None:
    styled = LOOK.document("x", "")
    assert re.findall(r"\.(\w+) \{\n\.markdown-body \{ content: '(\w+)' \}\n\}", styled) == [
        ("light", "light"),
        ("dark", "dark"),
    ]


def test_the_gallery_runs_its_own_scripts_and_loads_nothing() -> None:
    allowed = re.search(r"script-src ([^;]*);", PAGE.policy)
    assert allowed is not None
    assert allowed[1].split() == sums(PAGE)
    assert PAGE.policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src ")


def test_nothing_in_a_report_can_run_or_load() -> None:
    attributes = {
        *(("a", "href"), ("article", "class"), ("div", "class"), ("p", "class"), ("pre", "class")),
        *(("svg", "class"), ("svg", "width"), ("td", "align"), ("th", "align")),
    }
    assert {each for each in PAGE.tags if each[1]} <= attributes
    assert {tag for tag, _ in PAGE.tags} & {"img", "script", "style", "iframe", "object", "form"} == set()


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "<ScRiPt>alert(1)</ScRiPt >"])
def test_a_script_that_a_report_let_through_would_not_be_allowed(hostile: str) -> None:
    reading = Reading(LOOK.document("x", f"{hostile}{LOOK.comment(hostile)}"))
    forbidden = [
        script for script, allowed in zip(reading.scripts, sums(reading), strict=True) if allowed not in reading.policy
    ]
    assert forbidden == ["alert(1)"]


def test_a_script_of_ours_cannot_end_before_its_end() -> None:
    reading = Reading(LOOK.document("x", "", scripts=('let a = "</script><!-- <script>"',)))
    assert reading.scripts[-1] == 'let a = "\\x3C/script>\\x3C!-- \\x3Cscript>"'
    assert sums(reading)[-1] in reading.policy


def test_an_alert_a_task_and_a_chart_look_as_on_github() -> None:
    shown = LOOK.article("> [!WARNING]\n> **Closed.**\n\n- [x] done\n\n```mermaid\nxychart-beta\n```\n")
    assert '<div class="markdown-alert markdown-alert-warning"><p class="markdown-alert-title"><svg class=' in shown
    assert "</svg>Warning</p>\n<p><strong>Closed.</strong></p>\n</div>" in shown
    assert '<li class="task-list-item">' in shown
    assert '<pre class="mermaid">xychart-beta\n</pre>' in shown


def test_a_line_ends_where_it_is_written_to_end_in_a_comment_only() -> None:
    assert "one<br />\ntwo" in LOOK.comment("one\ntwo")
    assert "<br" not in LOOK.article("one\ntwo")


# -- the picture of README --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", github_look.THEMES)
def test_the_picture_was_drawn_from_the_comment_as_it_is_rendered_today(theme: str) -> None:
    drawn = png.text_of(picture.path_of(theme).read_bytes(), picture.KEYWORD)
    assert drawn == picture.digest(picture.markdown()), "the comment has changed since: make picture"


@pytest.mark.parametrize("theme", github_look.THEMES)
def test_the_picture_is_small_enough_for_a_page(theme: str) -> None:
    assert picture.path_of(theme).stat().st_size < 200_000


def test_the_picture_shows_a_state_that_is_compared_with_the_base() -> None:
    assert "vs <code>main</code>" in golden.files()[f"{picture.STATE}.comment.md"]


def a_png(*rows: bytes, kind: int = 2) -> bytes:
    """Return a picture of these rows, each with its filter's number in front."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", (len(rows[0]) - 1) // 3, len(rows), 8, kind, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def pixels(picture: bytes) -> list[bytes]:
    """Return the colours of a picture with a palette, row by row, as the chunks of `with_palette` stand."""
    width = struct.unpack_from(">I", picture, 16)[0]
    length = struct.unpack_from(">I", picture, 33)[0]
    palette, data = picture[41 : 41 + length], picture[41 + length + 12 :]
    lines = zlib.decompress(data)
    rows = [lines[at + 1 : at + 1 + width] for at in range(0, len(lines), width + 1)]
    return [b"".join(palette[3 * each : 3 * each + 3] for each in row) for row in rows]


def test_a_picture_with_few_colours_keeps_each_whatever_its_rows_filters() -> None:
    """Each row is 10 20 30, 41 50 60, worked out by hand from section 9.2 of the specification."""
    same = bytes((10, 20, 30, 41, 50, 60))
    filtered = (
        b"\x00" + same,
        b"\x01" + bytes((10, 20, 30, 31, 30, 30)),
        b"\x02" + bytes(6),
        b"\x03" + bytes((5, 10, 15, 16, 15, 15)),
        b"\x04" + bytes(6),
    )
    assert pixels(png.with_palette(a_png(*filtered))) == [same] * 5


def test_a_picture_with_too_many_colours_shows_the_rarest_as_the_nearest() -> None:
    shades = b"".join(bytes((shade, shade, shade)) * 2 for shade in range(256))
    (row,) = pixels(png.with_palette(a_png(b"\0" + shades + bytes((7, 7, 8)))))
    assert row == shades + bytes((7, 7, 7))


def test_a_picture_that_is_not_rgb_is_refused() -> None:
    with pytest.raises(ValueError, match="no PNG of 8-bit RGB"):
        png.with_palette(a_png(bytes(4), kind=0))


def test_a_picture_keeps_the_text_that_it_is_given() -> None:
    assert png.text_of(png.with_text(a_png(bytes(4)), "Key", "a text"), "Key") == "a text"
    assert png.text_of(a_png(bytes(4)), "Key") == ""
