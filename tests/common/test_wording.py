"""Parts of sentences."""

from __future__ import annotations

from sepurux_action.common.wording import capitalized, joined, location, optional


def test_a_capitalized_text_keeps_the_case_of_its_other_letters() -> None:
    assert [capitalized(text) for text in ("a URL", "É", "")] == ["A URL", "É", ""]


def test_what_is_empty_leaves_no_separator_and_no_template() -> None:
    assert joined(": ", "", "a", "", "b") == "a: b"
    assert [optional("HTTP {}", value) for value in (502, 0, None, "")] == ["HTTP 502", "", "", ""]
    assert (location("a.yml", 3), location("", 3)) == ("a.yml:3", "")
