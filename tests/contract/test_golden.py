"""Every state of a report stands as a file, so that a change of a template or a word is seen where it is reviewed."""

from difflib import unified_diff

import pytest

from scripts import golden


def test_every_golden_file_is_what_is_rendered_today_and_there_is_no_other() -> None:
    kept, lines = {path.name: path.read_text(encoding="utf-8") for path in golden.GOLDEN.iterdir()}, list[str]()
    rendered = golden.files()
    for name in sorted(kept.keys() | rendered):
        before, now = (each.get(name, "").splitlines(keepends=True) for each in (kept, rendered))
        lines += unified_diff(before, now, f"tests/golden/{name}", "rendered now")
    if lines or kept.keys() != rendered.keys():
        pytest.fail("If that is meant: make golden\n" + "".join(lines), pytrace=False)
