"""The streams of a command line: the log on stderr, the report on stdout, and never a workflow command."""

from __future__ import annotations

from pathlib import Path

import pytest

from sepurux_action.common.secret import Redactor
from sepurux_action.host.terminal import Terminal
from sepurux_action.host.workflow_commands import Level
from tests.runner import run_cli

SECRET = "secret-of-nobody"


def test_log_and_annotations_go_to_stderr_and_are_no_commands(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.mask_secrets(Redactor([SECRET]), (SECRET,))
    terminal.log(f"::error::##[error] \x1b[31m{SECRET}\n")
    terminal.annotate(Level.WARNING, f"one\n::two {SECRET}", title="Title")
    terminal.set_outputs({"decision": "pass"})
    written, errors = capsys.readouterr()
    assert written == ""
    assert errors.splitlines() == [
        ": :error::## [error] [31m***",
        "warning: one",
        "warning: ::two ***",
    ]


def test_the_report_goes_to_stdout_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.mask_secrets(Redactor([SECRET]), (SECRET,))
    terminal.write_summary(f"# Report\n{SECRET} \ud800 é\n")
    assert capsys.readouterr() == ("# Report\n*** ? é\n", "")


def test_a_terminal_that_lacks_characters_gets_a_report_all_the_same(tmp_path: Path) -> None:
    environment = {"PYTHONIOENCODING": "ascii", "SEPURUX_CI_TOKEN": "made-up-token-4711"}
    ended = run_cli(["--min-pass-rate", "…€–試", "--campaign", "試"], environment, tmp_path)
    assert ended.returncode == 2
    assert "1 problem in the settings" in ended.stdout
    assert "--min-pass-rate" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "::error" not in ended.stdout
