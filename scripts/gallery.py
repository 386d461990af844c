"""Writes build/gallery.html: every state of a report as GitHub shows it, in both themes. `make gallery` runs it.

GitHub also sanitizes HTML. This script does not, so the page's policy forbids every script but the page's own, and
everything that a report could load.
"""

import re
import secrets
import sys
from html import escape
from pathlib import Path

import cmarkgfm  # type: ignore[import-untyped]
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import golden

THEMES = ("light", "dark")
ALERTS = {"NOTE": "info", "TIP": "light-bulb", "IMPORTANT": "report", "WARNING": "alert", "CAUTION": "stop"}
PACKAGES = Path(sys.prefix) / "node_modules"  # `make setup` installs the packages of package-lock.json
MERMAID = PACKAGES / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"

STYLE = """
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
GALLERY_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1900px; padding: 16px }
nav { columns: 14em }
h2 { margin: 48px 0 0 }
h3 { margin: 16px 0 8px }
.both { display: grid; gap: 8px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 600px), 1fr)) }
.both > div { border: 1px solid #808080; min-width: 0; overflow: auto; padding: 16px }
"""
DRAW_CHARTS = """
(async () => {
  for (const theme of ["light", "dark"]) {
    mermaid.initialize({ startOnLoad: false, theme: theme === "dark" ? "dark" : "default" });
    await mermaid.run({ nodes: document.querySelectorAll(`.${theme} .mermaid`) });
  }
})();
"""
_ALERT = re.compile(rf"<blockquote>\n<p>\[!({'|'.join(ALERTS)})\](?:<br />)?\n(.*?)</blockquote>", re.DOTALL)
_NESTING = re.compile(r"(</?(?:details|li|blockquote)\b[^>]*>)")
_CHART = re.compile(r'<pre lang="mermaid"><code>(.*?)</code></pre>', re.DOTALL)


def gallery() -> str:
    """Return the page: an index, then the comment, if there is one, and the summary of each state."""
    files = golden.files()
    states = sorted({name.partition(".")[0] for name in files})
    index = "\n".join(f'<a href="#{escape(state)}">{escape(state)}</a><br>' for state in states)
    sections = [_state(state, files) for state in states]
    return document("Every state of a report", "\n".join([f"<nav>{index}</nav>", *sections]), style=GALLERY_STYLE)


def document(title: str, body: str, *, style: str, script: str = "") -> str:
    """Return a page with the HTML of `body`; `script` runs after the charts are drawn or have failed."""
    nonce = secrets.token_urlsafe()
    # Each stylesheet is nested in the class of its theme, so that both themes can stand on one page.
    themes = "".join(
        f".{theme} {{\n{(PACKAGES / 'github-markdown-css' / f'github-markdown-{theme}.css').read_text('utf-8')}\n}}\n"
        for theme in THEMES
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{themes}{STYLE}{style}</style></head>\n<body>\n{body}\n"
        f'<script nonce="{nonce}" src="{MERMAID.as_uri()}"></script>\n'
        f'<script nonce="{nonce}">{DRAW_CHARTS}{script}</script>\n</body></html>\n'
    )


def article(markdown: str) -> str:
    """Return Markdown as a job summary shows it."""
    return f'<article class="markdown-body">\n{_html(markdown, 0)}</article>'


def comment(markdown: str) -> str:
    """Return Markdown as a comment shows it, in its frame. There, the end of a line breaks the line."""
    return (
        '<div class="comment"><header><b>github-actions</b> <i>bot</i> commented</header>\n'
        f'<article class="markdown-body">\n{_html(markdown, Options.CMARK_OPT_HARDBREAKS)}</article></div>'
    )


def _state(state: str, files: dict[str, str]) -> str:
    parts = [f'<h2 id="{escape(state)}">{escape(state)}</h2>']
    for target, render in (("comment", comment), ("summary", article)):
        if markdown := files.get(f"{state}.{target}.md"):
            html = render(markdown)
            both = "".join(f'<div class="{theme}" data-place="{state} {target}">{html}</div>\n' for theme in THEMES)
            parts.append(f'<h3>{target.capitalize()}</h3>\n<div class="both">\n{both}</div>')
    return "\n".join(parts)


def _html(markdown: str, options: int) -> str:
    options |= Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
    html: str = cmarkgfm.github_flavored_markdown_to_html(markdown, options=options)
    html = html.replace('<li><input type="checkbox"', '<li class="task-list-item"><input type="checkbox"')
    return _with_alerts(_CHART.sub(r'<pre class="mermaid">\1</pre>', html))


def _with_alerts(html: str) -> str:
    """Return the HTML with alerts. GitHub shows one only at the top level: within another element, it is a quote."""
    shown, depth, outside = "", 0, ""
    for piece in _NESTING.split(html):
        opens, closes = re.match("<(?!/)(?:details|li)", piece), re.match("</(?:details|li)", piece)
        depth += bool(opens) - bool(closes)
        if depth or closes:
            shown += _ALERT.sub(_alert, outside) + piece
            outside = ""
        else:
            outside += piece
    return shown + _ALERT.sub(_alert, outside)


def _alert(found: re.Match[str]) -> str:
    kind = found[1]
    icon = (PACKAGES / "@primer" / "octicons" / "build" / "svg" / f"{ALERTS[kind]}-16.svg").read_text("utf-8")
    icon = icon.replace("<svg", '<svg class="octicon"', 1)
    return (
        f'<div class="markdown-alert markdown-alert-{kind.lower()}"><p class="markdown-alert-title">'
        f"{icon}{kind.capitalize()}</p>\n<p>{found[2]}</div>"
    )


def main() -> None:
    """Write the page and print its address."""
    path = ROOT / "build" / "gallery.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(gallery(), encoding="utf-8")
    print(path.as_uri())


if __name__ == "__main__":
    main()
