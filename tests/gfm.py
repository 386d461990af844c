"""Parses Markdown with GitHub's own parser."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm  # type: ignore[import-untyped]
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]

SEAMLESS = frozenset({"wbr", "span"})  # a sanitizer may drop them, so they do not part texts


@dataclass(slots=True)
class Page:
    """What a reader finds: tags, links with their texts, cells of each table row, texts inside and outside code."""

    tags: Counter[str] = field(default_factory=Counter)
    links: list[tuple[str, str]] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    prose: str = ""
    pieces: list[str] = field(default_factory=list)


def read(markdown: str) -> Page:
    """Return the page that GitHub's parser makes, raw HTML included; tables, autolinks and footnotes are on."""
    reader = _Reader()
    reader.feed(
        cmarkgfm.github_flavored_markdown_to_html(
            markdown, options=Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
        )
    )
    reader.close()
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags[tag] += 1
        if tag not in SEAMLESS:
            self.page.prose += "\n"
        match tag:
            case "a":
                self.page.links.append((dict(attrs).get("href") or "", ""))
            case "tr":
                self.page.cells.append(0)
            case "td" | "th":
                self.page.cells[-1] += 1
            case "code":
                self.page.code.append("")
        if tag not in {"br", "hr", "img", "input", "wbr"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in SEAMLESS:
            self.page.prose += "\n"
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_comment(self, data: str) -> None:
        self.page.tags["comment"] += 1
        self.page.prose += data

    def handle_data(self, data: str) -> None:
        if "a" in self._open:
            address, label = self.page.links[-1]
            self.page.links[-1] = (address, label + data)
        if "code" in self._open:
            self.page.code[-1] += data
        elif "a" not in self._open:
            self.page.prose += data
            self.page.pieces.append(data)
