"""The gallery shows every state of a report."""

from __future__ import annotations

import re
from itertools import product

from scripts import gallery
from tests.builders import commented, reports


def test_every_state_is_in_the_gallery_in_both_themes() -> None:
    places = [f"{state} comment" for state in commented()] + [f"{state} summary" for state in reports()]
    found = [
        (place, theme) for theme, place in re.findall(r'<div class="(\w+)" data-place="([^"]+)">', gallery.gallery())
    ]
    assert sorted(found) == sorted(product(places, gallery.THEMES))
