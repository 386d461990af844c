"""The suite's copy of a GitHub runner finds commands and outputs by the rules of GitHub's."""

from __future__ import annotations

import pytest

from tests import runner
from tests.runner import Command, parse_command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("::error::broken", Command("error", {}, "broken")),
        (" \t\u00a0::ERROR File=a.py,Line=3::x", Command("error", {"file": "a.py", "line": "3"}, "x")),
        (
            "::warning title=a%2Cb%3A%25,=k==v=w,empty=,::1%0A2%0D%25",
            Command("warning", {"title": "a,b:%", "k": "v=w"}, "1\n2\r%"),
        ),
        ("::error::%250A %3A", Command("error", {}, "%0A %3A")),
        ("::notice title=x::a::b", Command("notice", {"title": "x"}, "a::b")),
        ("said ##[error]x", Command("error", {}, "x")),
        ("a ##[set-output name=n%5D;other=1]v%3B", Command("set-output", {"name": "n]", "other": "1"}, "v;")),
        ("::error unfinished ##[warning]y", Command("warning", {}, "y")),
        *((line, None) for line in ("", "text ::error::x", "\x1c::error::x", "::error", "::unknown::x", ":::error::x")),
        *((line, None) for line in ("##[unknown]x", "##[error x", "# #[error]x", "##[x]##[error]y")),
    ],
)
def test_a_command_has_colons_at_the_start_of_a_line_or_the_old_form_anywhere(
    line: str, command: Command | None
) -> None:
    assert parse_command(line) == command


def test_a_carriage_return_starts_a_line_and_other_separators_do_not() -> None:
    assert runner.output_lines("a\r\nb\rc\u2028d\n\ne\n") == ["a", "b", "c\u2028d", "", "e"]
    assert runner.output_lines("") == []


def test_entries_are_pairs_or_blocks_and_the_mark_that_comes_first_decides() -> None:
    text = "a=1\n\nb<<E\nx=1\n\ny<<E\nE\nc=<<E\nd<<=\n2\n=\ne<<E\nE\na=3"
    assert list(runner.file_pairs(text)) == [
        ("a", "1"), ("b", "x=1\n\ny<<E"), ("c", "<<E"), ("d", "2"), ("e", ""), ("a", "3"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["a<<E\n1\n", "a<<E\n1", "a<<E\r\n1\r\nE\n", "<<E\n1\nE\n", "a<<\n1\n", "=1\n", "a\n"])
def test_an_invalid_entry_is_rejected(text: str) -> None:
    with pytest.raises(runner.CommandError):
        list(runner.file_pairs(text))
