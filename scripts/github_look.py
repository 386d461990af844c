"""Owns how Markdown looks on GitHub: its parser, its stylesheets in both themes, its charts; never what is written.

GitHub also sanitizes the HTML, which this does not: instead a page may run no script but ours, and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cmarkgfm  # type: ignore[import-untyped]
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]

from scripts.npm import Package

THEMES = ("light", "dark")
STYLESHEETS = Package(
    name="github-markdown-css",
    version="5.9.0",
    sha512="tmT5sY+zvg2302XLYEfH2mtkViIM1SWf2nvYoF5N1ZsO0V6B2qZTiw3GOzw4vpjLygK/KG35qRlPFweHqfzz5w==",
)
MERMAID = Package(
    name="mermaid",
    version="11.17.2",
    sha512="V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleBBg==",
)
ICONS = Package(
    name="@primer/octicons",
    version="19.42.0",
    sha512="MEcHxVxNHu1I2Ndk5Mcwp7tfBiDk/EpytDJgKOfE2ldqIczWucVrZNeNU4wtEN5mnNudZ0YL5G0spax3bSMT4w==",
)
ALERTS = {"NOTE": "info", "TIP": "light-bulb", "IMPORTANT": "report", "WARNING": "alert", "CAUTION": "stop"}

_STYLE = """
.light { background: #fff; color: #1f2328 } .dark { background: #0d1117; color: #f0f6fc }
.markdown-body { box-sizing: border-box; padding: 16px }
.markdown-body .octicon { fill: currentColor; margin-right: 8px }
.comment { border: 1px solid #d1d9e0; border-radius: 6px; overflow: hidden }
.comment > header { font: 14px/1.5 "Noto Sans", Helvetica, Arial, sans-serif; padding: 8px 16px }
.comment > header { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; color: #59636e }
.comment > header b { color: #1f2328 }
.comment > header i { border: 1px solid #d1d9e0; border-radius: 2em; font: 12px/1.5 inherit; padding: 0 6px }
.dark .comment, .dark .comment > header, .dark .comment > header i { border-color: #3d444d }
.dark .comment > header { background: #151b23; color: #9198a1 } .dark .comment > header b { color: #f0f6fc }
"""
_DRAW = """
(async () => {
  for (const theme of ["light", "dark"]) {
    mermaid.initialize({ startOnLoad: false, theme: theme === "dark" ? "dark" : "default" });
    await mermaid.run({ nodes: document.querySelectorAll(`.${theme} .mermaid`) });
  }
})();
"""
_ALERT = re.compile(rf"<blockquote>\n<p>\[!({'|'.join(ALERTS)})\](?:<br />)?\n(.*?)</blockquote>", re.DOTALL)
_CHART = re.compile(r'<pre lang="mermaid"><code>(.*?)</code></pre>', re.DOTALL)
_ENDS_SCRIPT = re.compile("<(?=!--|/?script)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a page needs of others: a stylesheet for each theme, an icon for each kind of alert, and Mermaid."""

    styles: Mapping[str, str]
    icons: Mapping[str, str]
    mermaid: str

    def document(self, title: str, body: str, *, style: str = "", scripts: tuple[str, ...] = ()) -> str:
        """Return a page that needs no other file; `body` is HTML, `scripts` run after Mermaid has been read."""
        known = [_ENDS_SCRIPT.sub(r"\\x3C", script) for script in (self.mermaid, _DRAW, *scripts)]
        sums = " ".join(f"'sha256-{_sum(script)}'" for script in known)
        # Rules nested in a class, so that both themes have their place on one page.
        themes = "".join(f".{theme} {{\n{self.styles[theme]}\n}}\n" for theme in THEMES)
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
            f"script-src {sums}; base-uri 'none'; form-action 'none'\">\n"
            '<meta name="viewport" content="width=device-width">\n'
            f"<title>{title}</title>\n<style>{themes}{_STYLE}{style}</style></head>\n<body>\n{body}\n"
            + "".join(f"<script>{script}</script>\n" for script in known)
            + "</body></html>\n"
        )

    def article(self, markdown: str) -> str:
        """Return Markdown as a job summary shows it."""
        return f'<article class="markdown-body">\n{self._html(markdown, 0)}</article>'

    def comment(self, markdown: str) -> str:
        """Return Markdown as a comment shows it, in its frame: there a line's end breaks the line."""
        html = self._html(markdown, Options.CMARK_OPT_HARDBREAKS)
        return (
            '<div class="comment"><header><b>github-actions</b> <i>bot</i> commented</header>\n'
            f'<article class="markdown-body">\n{html}</article></div>'
        )

    def _html(self, markdown: str, options: int) -> str:
        options |= Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
        html: str = cmarkgfm.github_flavored_markdown_to_html(markdown, options=options)
        html = html.replace('<li><input type="checkbox"', '<li class="task-list-item"><input type="checkbox"')
        return _ALERT.sub(self._alert, _CHART.sub(r'<pre class="mermaid">\1</pre>', html))

    def _alert(self, found: re.Match[str]) -> str:
        kind = found[1]
        icon = self.icons[kind].replace("<svg", '<svg class="octicon"', 1)
        return (
            f'<div class="markdown-alert markdown-alert-{kind.lower()}">'
            f'<p class="markdown-alert-title">{icon}{kind.capitalize()}</p>\n<p>{found[2]}</div>'
        )


def fetch(folder: Path) -> Look:
    """Return the look of github.com; `folder` keeps the packages. Raises what `Package.read` raises."""
    return Look(
        styles={theme: STYLESHEETS.read(f"github-markdown-{theme}.css", folder).decode() for theme in THEMES},
        icons={kind: ICONS.read(f"build/svg/{icon}-16.svg", folder).decode() for kind, icon in ALERTS.items()},
        mermaid=MERMAID.read("dist/mermaid.min.js", folder).decode(),
    )


def _sum(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
