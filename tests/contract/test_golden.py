"""Every state of a report stands as a file, so that a change of a template or a word is seen where it is reviewed."""

from difflib import unified_diff

import pytest

from scripts import golden

FILES = golden.files()


@pytest.mark.parametrize("name", FILES)
def test_a_golden_file_is_what_the_templates_render_today(name: str) -> None:
    path = golden.GOLDEN / name
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = unified_diff(kept.splitlines(), FILES[name].splitlines(), "kept", "rendered now", lineterm="")
    if kept != FILES[name]:
        pytest.fail(f"tests/golden/{name} differs; if that is meant: make golden\n" + "\n".join(lines), pytrace=False)


def test_there_is_no_golden_file_of_a_state_that_is_no_more() -> None:
    assert {path.name for path in golden.GOLDEN.iterdir()} - FILES.keys() == set(), "make golden takes them away"
