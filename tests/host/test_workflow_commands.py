"""Workflow commands and output blocks, read back as the runner reads them."""

from __future__ import annotations

import pytest

from sepurux_action.host.workflow_commands import (
    MAX_LINE_LENGTH,
    MAX_MESSAGE_LENGTH,
    Level,
    annotation,
    output_block,
    plain,
)
from tests.runner import Command, file_pairs, parse_command


@pytest.mark.parametrize(
    "attack",
    [
        "::error::x",
        "\u3000::set-output name=a::x",
        "\ufeff\x1b::add-mask::x",
        "\n::stop-commands::x",
        "text ##[set-env name=PATH]x",
        "##\u200b[error]x",
        ":\u200b:error::x",
    ],
)
def test_a_line_of_log_is_never_a_command(attack: str) -> None:
    assert parse_command(plain(attack)) is None


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
    assert len(plain("x" * 100_000)) == MAX_LINE_LENGTH


def test_an_annotation_arrives_as_it_was_meant() -> None:
    message = "100% wrong: a,b::c\nsecond ##[error] line"
    assert parse_command(annotation(Level.ERROR, message, title="Sepurux: 50%, gate::x")) == Command(
        "error",
        {"title": "Sepurux: 50%, gate::x"},
        "100% wrong: a,b::c\nsecond ## [error] line",
    )


def test_an_annotation_is_kept_to_what_the_runner_shows() -> None:
    command = parse_command(annotation(Level.ERROR, "%\n" * 10_000))
    assert command is not None
    assert len(command.data) == MAX_MESSAGE_LENGTH


def test_an_output_that_holds_a_block_of_its_own_sets_no_other() -> None:
    value = "x=1\ndecision<<EOF\npass\nEOF"
    block = output_block("reason", value, "end-1") + output_block("decision", "fail", "end-2")
    assert list(file_pairs(block)) == [("reason", value), ("decision", "fail")]


@pytest.mark.parametrize("value", ["end-1", "x\nend-1\ndecision=pass", "xend-1x", "x\rend-1"])
def test_a_value_that_contains_the_delimiter_is_rejected(value: str) -> None:
    with pytest.raises(ValueError, match="delimiter"):
        output_block("reason", value, "end-1")
