"""Draws comments and summaries as GitHub shows them, with Chromium. `make picture` runs it.

Every state is drawn into build/pictures, at the width of a phone and of a large screen, in both themes. README's
pictures, docs/comment-light.png and docs/comment-dark.png, name in their text the state that they were drawn from.
"""

import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import gallery, golden

README_STATE = "fail-new.comment.md"
README_WIDTH = 480  # CSS pixels; on a phone, GitHub shrinks it to about 350
WIDTHS = (390, 860)  # CSS pixels: a phone, and about the width of a comment on a large screen
PIXELS = 2  # of README's picture for one CSS pixel, for dense screens
MOST_PIXELS = 14_000  # of the height of a page that Chromium draws at once
SOURCE = "sha256 of the state"  # a key of the picture's text
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Chromium, and those fonts of GitHub's stylesheet that are free.
DEBIAN_PACKAGES = "chromium fonts-liberation fonts-noto-color-emoji fonts-noto-core"
STYLE = "body {{ margin: 0 }} body > div {{ box-sizing: border-box; overflow: hidden; padding: 8px; width: {width}px }}"
# The charts are drawn after two seconds, of which `--virtual-time-budget` makes some milliseconds.
# FUNCTION is a function of JavaScript that returns an object of numbers about a part of the page.
MEASURE = """setTimeout(() => {
  document.documentElement.dataset.figures = JSON.stringify([...document.querySelectorAll("body > div")].map(FUNCTION));
}, 2000)"""
HEIGHT = "part => ({ px: Math.ceil(part.getBoundingClientRect().height) })"
_FIGURES = re.compile(r'<html[^>]* data-figures="([^"]+)"')


class Browser:
    """Draws and measures pages in one width and theme. Raises `CalledProcessError` if Chromium fails."""

    def __init__(self, width: int, theme: str, pixels: int = 1) -> None:
        program = next(filter(None, map(shutil.which, BROWSERS)), None)
        if program is None:
            raise SystemExit(f"Chromium is not installed. On Debian: apt-get install {DEBIAN_PACKAGES}")
        self._program, self._width, self._theme, self._pixels = program, width, theme, pixels

    def draw(self, bodies: Sequence[str]) -> Iterator[Image.Image]:
        """Yield the picture of each part of a page."""
        heights = [figures["px"] for figures in self.measure(bodies, HEIGHT)]
        with tempfile.TemporaryDirectory() as folder:
            for group in _groups(zip(bodies, heights, strict=True)):
                self._run(folder, group, "--screenshot=shot.png")
                shot, top = Image.open(Path(folder) / "shot.png").convert("RGB"), 0
                for _, height in group:
                    yield shot.crop((0, top, shot.width, top + height * self._pixels))
                    top += height * self._pixels

    def measure(self, bodies: Sequence[str], function: str) -> list[dict[str, int]]:
        """Return what a function of JavaScript returns for each part of a page: an object of numbers."""
        with tempfile.TemporaryDirectory() as folder:
            script = MEASURE.replace("FUNCTION", function)
            page = self._run(folder, [(body, 0) for body in bodies], "--dump-dom", script)
        found = _FIGURES.search(page)
        if found is None:
            raise SystemExit(f"{self._program} did not run the page's scripts")
        figures: list[dict[str, int]] = json.loads(html.unescape(found[1]))
        return figures

    def _run(self, folder: str, parts: Sequence[tuple[str, int]], what: str, script: str = "") -> str:
        """Return what Chromium writes about a page of parts with these heights, 0 for one that is not known."""
        page, total = Path(folder) / "page.html", sum(height for _, height in parts)
        heights = (f' style="height: {height}px"' if height else "" for _, height in parts)
        divs = zip(heights, (body for body, _ in parts), strict=True)
        body = "".join(f'<div class="{self._theme}"{height}>{part}</div>\n' for height, part in divs)
        style = STYLE.format(width=self._width)
        page.write_text(gallery.document("Pictures", body, style=style, script=script), encoding="utf-8")
        command = [
            *(self._program, "--headless", *(["--no-sandbox"] if os.geteuid() == 0 else []), "--disable-gpu"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--hide-scrollbars", f"--force-device-scale-factor={self._pixels}", f"--user-data-dir={folder}/profile"),
            *("--virtual-time-budget=5000", f"--window-size={self._width},{total or 100}", what, page.as_uri()),
        ]
        done = subprocess.run(  # noqa: S603 - fixed words, and no shell
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120, cwd=folder
        )
        return done.stdout


def _groups(parts: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Yield parts of a page that Chromium can draw at once."""
    group: list[tuple[str, int]] = []
    for part in parts:
        if group and sum(height for _, height in [*group, part]) > MOST_PIXELS:
            yield group
            group = []
        group.append(part)
    yield group


def source(markdown: str) -> str:
    return hashlib.sha256(markdown.encode()).hexdigest()


def main() -> None:
    """Draw README's comment, then every state."""
    files = {name: text for name, text in golden.files().items() if name.endswith(".md")}
    for theme in gallery.THEMES:
        path, text = ROOT / "docs" / f"comment-{theme}.png", PngInfo()
        text.add_text(SOURCE, source(files[README_STATE]))
        [drawn] = Browser(README_WIDTH, theme, PIXELS).draw([gallery.comment(files[README_STATE])])
        drawn.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True, pnginfo=text)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    folder = ROOT / "build" / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    bodies = [(gallery.comment if ".comment." in name else gallery.article)(text) for name, text in files.items()]
    for width, theme in product(WIDTHS, gallery.THEMES):
        for name, picture in zip(files, Browser(width, theme).draw(bodies), strict=True):
            picture.save(folder / f"{name.removesuffix('.md')}.{width}.{theme}.png")
    print(f"{4 * len(files)} pictures in {folder.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
