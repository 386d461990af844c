"""What is written for the runner, read back by the suite's copy of it."""

from __future__ import annotations

import pytest

from sepurux_action.core.workflow_commands import (
    LONGEST_LINE,
    LONGEST_MESSAGE,
    Level,
    annotation,
    mask,
    output_block,
    plain,
)
from tests.runner import COMMANDS, Command, file_pairs, parse_command


@pytest.mark.parametrize("name", sorted(COMMANDS))
@pytest.mark.parametrize(
    "form",
    [
        "::{}::x",
        "  ::{}::x",
        "\u3000::{}::x",
        "\u200b::{}::x",
        "\ufeff\x1b::{}::x",
        "\n::{}::x",
        "::{} name=a::x",
        "##[{}]x",
        "text ##[{}]x",
        "###[{}]x",
        "##\u200b[{}]x",
        "##\x1b[{}]x",
        "::::{}::x",
        ":\u200b:{}::x",
    ],
)
def test_a_line_of_log_is_never_a_command(name: str, form: str) -> None:
    assert parse_command(plain(form.format(name))) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("gate refunds: pass", "gate refunds: pass"),
        ("a\nb", "a b"),
        ("::error::x", ": :error::x"),
        ("see ##[error]x", "see ## [error]x"),
        ("50% of [x]", "50% of [x]"),
        ("", ""),
    ],
)
def test_a_line_of_log_says_what_was_said(text: str, line: str) -> None:
    assert plain(text) == line


def test_a_line_of_log_is_kept_to_a_length() -> None:
    assert len(plain("x" * 100_000)) == LONGEST_LINE


@pytest.mark.parametrize("level", list(Level))
def test_an_annotation_arrives_as_it_was_meant(level: Level) -> None:
    message = "100% wrong: a,b::c\nsecond ##[error] line"
    assert parse_command(annotation(level, message, title="Sepurux: 50%, gate::x")) == Command(
        level.value,
        {"title": "Sepurux: 50%, gate::x"},
        "100% wrong: a,b::c\nsecond ## [error] line",
    )


@pytest.mark.parametrize("title", ["", "a::error::b", "a,file=b.py,line=1", "a\n::error::b", "%0A::error::", "%2C%3A"])
def test_a_title_sets_no_other_property(title: str) -> None:
    command = parse_command(annotation(Level.ERROR, "m", title=title))
    assert command is not None
    assert command.properties == ({"title": plain(title)} if title else {})
    assert command.data == "m"


def test_an_escape_in_a_message_is_not_undone() -> None:
    command = parse_command(annotation(Level.NOTICE, "%0A::error::x %25 %"))
    assert command is not None
    assert command.data == "%0A::error::x %25 %"


def test_an_annotation_is_kept_to_what_the_runner_shows() -> None:
    command = parse_command(annotation(Level.ERROR, "%\n" * 10_000))
    assert command is not None
    assert len(command.data) == LONGEST_MESSAGE


def test_a_mask_is_the_secret_itself() -> None:
    assert parse_command(mask("a%0A:,b")) == Command("add-mask", {}, "a%0A:,b")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("", ""),
        ("x", "x"),
        ("a\nb\n", "a\nb\n"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("x=1\ndecision=pass", "x=1\ndecision=pass"),
        ("decision<<EOF\npass\nEOF", "decision<<EOF\npass\nEOF"),
        ("\u2028x\x85", "\u2028x\x85"),
    ],
)
def test_an_output_arrives_as_it_is_and_sets_no_other(value: str, read: str) -> None:
    block = output_block("reason", value, "end-1") + output_block("decision", "fail", "end-2")
    assert list(file_pairs(block)) == [("reason", read), ("decision", "fail")]


@pytest.mark.parametrize("value", ["end-1", "x\nend-1\ndecision=pass", "xend-1x", "x\rend-1"])
def test_a_value_that_knows_the_delimiter_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="delimiter"):
        output_block("reason", value, "end-1")
