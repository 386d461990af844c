"""Writes docs/comment-light.png and docs/comment-dark.png, the comment as GitHub shows it. `make picture` runs it.

Each holds the sum of the Markdown that it was drawn from, and a test holds that to what the templates write today:
pixels depend on a machine's fonts.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import golden, png
from scripts.github_look import THEMES, Look, fetch

STATE = "fail-soft-waiting"
WIDTH = 860  # CSS pixels, about the width of a comment on a large screen
PIXELS = 2  # of the picture for one CSS pixel, for dense screens
KEYWORD = "Markdown-SHA-256"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Chromium, and of the fonts that GitHub's stylesheet names those that are free.
DEBIAN_PACKAGES = ("chromium", "fonts-liberation", "fonts-noto-color-emoji", "fonts-noto-core")
LONGEST_SHOT = 60  # seconds
STYLE = f"body {{ margin: 0 }} body > div {{ box-sizing: border-box; padding: 8px; width: {WIDTH}px }}"
MEASURE = "document.documentElement.dataset.height = document.body.scrollHeight"
_HEIGHT = re.compile(r'<html[^>]* data-height="(\d+)"')


def markdown() -> str:
    """Return the comment that is drawn."""
    return golden.files()[f"{STATE}.comment.md"]


def path_of(theme: str) -> Path:
    """Return where a theme's picture stands."""
    return ROOT / "docs" / f"comment-{theme}.png"


def digest(text: str) -> str:
    """Return the sum that is written into a picture of this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def draw(look: Look, theme: str, text: str, browser: str) -> bytes:
    """Return the picture of a comment as PNG; raises `CalledProcessError` when the browser fails."""
    body = f'<div class="{theme}">{look.comment(text)}</div>'
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "page.html", Path(folder) / "page.png"
        page.write_text(look.document("Comment", body, style=STYLE, scripts=(MEASURE,)), encoding="utf-8")
        command = [
            *(browser, "--headless", *(["--no-sandbox"] if os.geteuid() == 0 else []), "--disable-gpu"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--hide-scrollbars", f"--force-device-scale-factor={PIXELS}", f"--user-data-dir={folder}/profile"),
        ]
        measured = _run([*command, f"--window-size={WIDTH},100", "--dump-dom", page.as_uri()])
        height = _HEIGHT.search(measured)
        if height is None:
            raise SystemExit(f"{browser} did not run the page's scripts")
        _run([*command, f"--window-size={WIDTH},{height[1]}", f"--screenshot={shot}", page.as_uri()])
        return png.with_text(png.with_palette(shot.read_bytes()), KEYWORD, digest(text))


def _run(command: list[str]) -> str:
    done = subprocess.run(  # noqa: S603 - fixed words, and no shell
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=LONGEST_SHOT
    )
    return done.stdout


def _browser() -> str:
    """Return the path of a browser that can draw; root on Debian gets one installed."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    apt = shutil.which("apt-get")
    if found is None and apt and os.geteuid() == 0:
        _run([apt, "update", "-qq"])
        _run([apt, "install", "-qq", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES])
        found = shutil.which("chromium")
    if found is None:
        raise SystemExit(f"no Chromium is found; install it and fonts, on Debian: {' '.join(DEBIAN_PACKAGES)}")
    return found


def main() -> None:
    """Draw the comment in both themes."""
    look, text, browser = fetch(ROOT / "build" / "npm"), markdown(), _browser()
    for theme in THEMES:
        path = path_of(theme)
        path.write_bytes(draw(look, theme, text, browser))
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
