"""Writes build/gallery.html: every state of a report as GitHub shows it, in both themes. `make gallery` runs it."""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import golden
from scripts.github_look import THEMES, Look, fetch

BUILD = ROOT / "build"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1900px; padding: 16px }
nav { columns: 14em }
h2 { margin: 48px 0 0 }
h3 { margin: 16px 0 8px }
.both { display: grid; gap: 8px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 600px), 1fr)) }
.both > div { border: 1px solid #808080; min-width: 0; overflow: auto; padding: 16px }
"""


def gallery(look: Look) -> str:
    """Return the page: an index, then for each state its comment, where it has one, and its summary."""
    files = golden.files()
    states = sorted({name.partition(".")[0] for name in files})
    index = "\n".join(f'<a href="#{escape(state)}">{escape(state)}</a><br>' for state in states)
    shown = [_state(look, state, files) for state in states]
    return look.document("Every state of a report", "\n".join([f"<nav>{index}</nav>", *shown]), style=STYLE)


def _state(look: Look, state: str, files: dict[str, str]) -> str:
    parts = [f'<h2 id="{escape(state)}">{escape(state)}</h2>']
    for place, show in (("comment", look.comment), ("summary", look.article)):
        if markdown := files.get(f"{state}.{place}.md"):
            html = show(markdown)
            both = "".join(f'<div class="{theme}" data-place="{state} {place}">{html}</div>\n' for theme in THEMES)
            parts.append(f'<h3>{place.capitalize()}</h3>\n<div class="both">\n{both}</div>')
    return "\n".join(parts)


def main() -> None:
    """Write the page and tell where it is."""
    path = BUILD / "gallery.html"
    page = gallery(fetch(BUILD / "npm"))
    path.write_text(page, encoding="utf-8")
    print(path.as_uri())


if __name__ == "__main__":
    main()
