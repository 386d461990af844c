"""Workflow commands and output blocks, read back as the runner reads them."""

from __future__ import annotations

import pytest

from sepurux_action.host.workflow_commands import (
    MAX_ANNOTATION_LENGTH,
    MAX_LOG_LINE_LENGTH,
    Level,
    annotation,
    output_block,
    plain,
)
from tests.runner import parse_command


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
    assert len(plain("x" * 100_000)) == MAX_LOG_LINE_LENGTH


def test_an_annotation_is_kept_to_what_the_runner_shows() -> None:
    command = parse_command(annotation(Level.ERROR, "%\n" * 10_000))
    assert command is not None
    assert len(command.data) == MAX_ANNOTATION_LENGTH


@pytest.mark.parametrize("value", ["end-1", "x\nend-1\ndecision=pass", "xend-1x", "x\rend-1"])
def test_a_value_that_contains_the_delimiter_is_rejected(value: str) -> None:
    with pytest.raises(ValueError, match="delimiter"):
        output_block("reason", value, "end-1")
