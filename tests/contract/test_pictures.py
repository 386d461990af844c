"""README's pictures show what the templates render today."""

import pytest
from PIL import Image

from scripts import gallery, golden, picture


@pytest.mark.parametrize("theme", gallery.THEMES)
def test_a_picture_was_drawn_from_the_state_as_it_is_today(theme: str) -> None:
    """If not, run `make picture`."""
    with Image.open(golden.ROOT / "docs" / f"comment-{theme}.png") as drawn:
        assert drawn.info[picture.SOURCE] == picture.source(golden.files()[picture.README_STATE])
