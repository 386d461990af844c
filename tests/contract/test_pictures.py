"""README's pictures show what is rendered today, and the length of comments has limits."""

import pytest
from PIL import Image

from scripts import gallery, golden, measure, picture


@pytest.mark.parametrize("theme", gallery.THEMES)
def test_a_picture_was_drawn_from_the_state_as_it_is_today(theme: str) -> None:
    """If not, run `make picture`."""
    with Image.open(golden.ROOT / "docs" / f"comment-{theme}.png") as drawn:
        assert drawn.info[picture.SOURCE] == picture.source(golden.files()[picture.README_STATE])


def test_a_comment_may_reach_each_limit_of_its_length() -> None:
    assert {f"{state}.comment.md" for state in measure.UNLIMITED} <= golden.files().keys()
    assert measure.missed({"lines": 12, "failure": 200, "wider": 0}) == []
    assert len(measure.missed({"lines": 13, "failure": 201, "wider": 1})) == 3
