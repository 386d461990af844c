"""The runner reads any text as that text, and never as another command or output."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sepurux_action.host.workflow_commands import (
    MAX_ANNOTATION_LENGTH,
    MAX_LOG_LINE_LENGTH,
    Level,
    annotation,
    data,
    output_block,
    plain,
)
from tests.runner import COMMANDS, Command, file_pairs, output_lines, parse_command

# Texts made of the pieces that the runner acts on, with any character between them.
MARKS = ["::", ":", "##[", "#", "[", "]", "%0A", "%0D", "%25", "%3A", ",", "=", ";", "<<", "title=", "file=", "a"]
SPACES = [" ", "\t", "\n", "\r", "\u2028", "\u200b", "\ufeff", "\x1b", "\x00", "\x85", "\u3000", "\ud800"]
pieces = [*MARKS, *SPACES, *sorted(COMMANDS)]
texts = st.lists(st.sampled_from(pieces) | st.characters(), max_size=15).map("".join)
names = st.sampled_from(["decision", "reason", "gates"])


HOSTILE = [
    *("::error::boom", "  ::set-output name=decision::pass", "\n::add-mask::a", "\r::stop-commands::x"),
    *("fine\n::warning::not fine", "\u2028::error::x", "\x85::error::x", "\u200b::error::x", "\x00::error::x"),
    *("\ufeff::error::x", "text ##[set-env name=a]b", "##[error]x", "###[##[error]x", "#\u200b#[error]x"),
    *("%0A::error::x", "\ud800::error::x"),
]


@given(texts | st.sampled_from(HOSTILE))
@example("\u200b::error::x")
def test_any_text_in_the_log_is_one_line_and_no_command(text: str) -> None:
    line = plain(text)
    assert len(output_lines(line)) <= 1
    assert parse_command(line) is None


@given(st.sampled_from(Level), texts | st.sampled_from(HOSTILE), texts)
def test_any_text_in_an_annotation_is_its_message_and_title_and_nothing_else(
    level: Level, message: str, title: str
) -> None:
    written = annotation(level, message, title=title)
    assert len(output_lines(written)) == 1
    command = parse_command(written)
    assert command is not None
    assert command.name == level
    assert command.properties.keys() <= {"title"}
    assert command.data == "\n".join(map(plain, message.splitlines()))
    assert command.properties.get("title", "") == plain(title).lstrip("=")
    assert all(parse_command(line) is None for line in command.data.split("\n"))


@given(texts)
@example("a\rb\nc%0A:,")
def test_any_secret_is_masked_as_it_is_on_one_line(secret: str) -> None:
    command = f"::add-mask::{data(secret)}"
    assert len(output_lines(command)) == 1
    assert parse_command(command) == Command("add-mask", {}, secret)


@given(st.lists(st.tuples(names, texts), max_size=4))
def test_any_values_are_the_outputs_that_were_set_and_no_others(given_outputs: list[tuple[str, str]]) -> None:
    blocks = "".join(
        output_block(name, value, f"delimiter-{number}") for number, (name, value) in enumerate(given_outputs)
    )
    assert list(file_pairs(blocks)) == [
        (name, value.replace("\r\n", "\n").replace("\r", "\n")) for name, value in given_outputs
    ]


def test_a_line_of_log_says_what_was_said_up_to_its_length() -> None:
    said = ["gate refunds: pass", "a\nb", "::error::x", "see ##[error]x", "50% of [x]", ""]
    shown = ["gate refunds: pass", "a b", ": :error::x", "see ## [error]x", "50% of [x]", ""]
    assert list(map(plain, said)) == shown
    assert len(plain("x" * 100_000)) == MAX_LOG_LINE_LENGTH


def test_an_annotation_is_kept_to_what_the_runner_shows() -> None:
    command = parse_command(annotation(Level.ERROR, "%\n" * 10_000))
    assert command is not None
    assert len(command.data) == MAX_ANNOTATION_LENGTH


@pytest.mark.parametrize("value", ["end-1", "x\nend-1\ndecision=pass", "xend-1x", "x\rend-1"])
def test_a_value_that_contains_the_delimiter_is_rejected(value: str) -> None:
    with pytest.raises(ValueError, match="delimiter"):
        output_block("reason", value, "end-1")
