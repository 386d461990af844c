"""Writes docs/comment-light.png and docs/comment-dark.png, the comment as GitHub shows it. `make picture` runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import gallery, golden

STATE = "fail-soft-waiting"
WIDTH = 860  # CSS pixels, about the width of a comment on a large screen
PIXELS = 2  # of the picture for one CSS pixel, for dense screens
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Chromium, and those fonts of GitHub's stylesheet that are free.
DEBIAN_PACKAGES = "chromium fonts-liberation fonts-noto-color-emoji fonts-noto-core"
STYLE = f"body {{ margin: 0 }} body > div {{ box-sizing: border-box; padding: 8px; width: {WIDTH}px }}"
MEASURE = "document.documentElement.dataset.height = document.body.scrollHeight"
_HEIGHT = re.compile(r'<html[^>]* data-height="(\d+)"')


def draw(theme: str, browser: str, picture: Path) -> None:
    """Write the picture of the comment as PNG with 256 colors; raises `CalledProcessError` if the browser fails."""
    body = f'<div class="{theme}">{gallery.comment(golden.files()[f"{STATE}.comment.md"])}</div>'
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "page.html", Path(folder) / "page.png"
        page.write_text(gallery.document("Comment", body, style=STYLE, script=MEASURE), encoding="utf-8")
        command = [
            *(browser, "--headless", *(["--no-sandbox"] if os.geteuid() == 0 else []), "--disable-gpu"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--hide-scrollbars", f"--force-device-scale-factor={PIXELS}", f"--user-data-dir={folder}/profile"),
        ]
        height = _HEIGHT.search(_run([*command, f"--window-size={WIDTH},100", "--dump-dom", page.as_uri()]))
        if height is None:
            raise SystemExit(f"{browser} did not run the page's scripts")
        _run([*command, f"--window-size={WIDTH},{height[1]}", f"--screenshot={shot}", page.as_uri()])
        Image.open(shot).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)


def _run(command: list[str]) -> str:
    done = subprocess.run(  # noqa: S603 - fixed words, and no shell
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60
    )
    return done.stdout


def main() -> None:
    """Draw the comment in both themes."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"Chromium is not installed. On Debian: apt-get install {DEBIAN_PACKAGES}")
    for theme in gallery.THEMES:
        path = ROOT / "docs" / f"comment-{theme}.png"
        draw(theme, browser, path)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
