"""The command line: flags in, the log on stderr, the report on stdout, and never a workflow command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sepurux_action import __version__
from sepurux_action.common.secret import Redactor
from sepurux_action.config.settings import flag
from sepurux_action.github.run_context import RunContext
from sepurux_action.host.terminal import FLAGS, Terminal
from sepurux_action.host.workflow_commands import Level
from tests.runner import run_cli

SECRET = "secret-of-nobody"


def flags(*arguments: str) -> dict[str, str]:
    given, _ = Terminal(arguments, {}).layers
    return dict(given.texts)


def refusal(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what stderr says when the arguments are not accepted."""
    with pytest.raises(SystemExit) as ended:
        Terminal(arguments, {})
    assert ended.value.code == 2
    written, errors = capsys.readouterr()
    assert written == ""
    return errors


# --- Flags -------------------------------------------------------------------------------------------------


def test_every_option_has_a_flag_under_each_of_its_names() -> None:
    for option in FLAGS:
        for spelling in option.names:
            assert flags(flag(spelling), "x") == {spelling: "x"}


def test_a_flag_may_carry_its_value_after_an_equals_sign_and_the_last_one_counts() -> None:
    assert flags("--campaign=a", "--campaign", "b", "--min-pass-rate=85%") == {"campaign": "b", "min_pass_rate": "85%"}


def test_flags_come_before_the_environment() -> None:
    given, environment = Terminal(["--campaign", "of-flag"], {"SEPURUX_CAMPAIGN_ID": "of-env"}).layers
    assert (given.texts["campaign"], environment.texts["campaign"]) == ("of-flag", "of-env")
    assert given.label("min_pass_rate") == "--min-pass-rate"


def test_an_unknown_flag_is_refused_without_what_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    text = refusal(["--tokn", SECRET, f"--api-kye={SECRET}"], capsys)
    assert "not known: --tokn, --api-kye" in text
    assert SECRET not in text


def test_a_flag_is_not_guessed_from_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not known: --camp" in refusal(["--camp", "x"], capsys)


def test_an_argument_without_a_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    text = refusal([SECRET], capsys)
    assert "an argument that belongs to no flag" in text
    assert SECRET not in text


def test_a_flag_without_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--campaign" in refusal(["--campaign"], capsys)


def printed(argument: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what stdout says of an argument that only asks for it."""
    with pytest.raises(SystemExit) as ended:
        Terminal([argument], {})
    assert not ended.value.code
    written, errors = capsys.readouterr()
    assert errors == ""
    return written


def test_help_is_made_from_the_table_of_options(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = " ".join(printed("--help", capsys).split())
    for option in FLAGS:
        assert {flag(spelling) for spelling in option.names} <= set(text.split())
        assert not option.environment or f"Environment: {option.environment}." in text
        assert "".join(option.accepts.replace("`", "").split()) in text.replace(" ", "")


def test_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed("--version", capsys) == f"{__version__}\n"


# --- Writing -----------------------------------------------------------------------------------------------


def test_log_and_annotations_go_to_stderr_and_are_no_commands(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal([], {})
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
    terminal = Terminal([], {})
    terminal.mask_secrets(Redactor([SECRET]), (SECRET,))
    terminal.write_summary(f"# Report\n{SECRET} \ud800 é\n")
    assert capsys.readouterr() == ("# Report\n*** ? é\n", "")


def test_the_repository_is_the_one_that_the_environment_names() -> None:
    assert Terminal([], {"GITHUB_REPO": " octo-org/agents "}).run_context() == RunContext(repository="octo-org/agents")
    assert Terminal([], {}).run_context() == RunContext()


def test_traces_are_sought_where_the_command_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert [trace.label for trace in Terminal([], {}).traces.find("*.json")] == ["a.json"]


# --- The whole program -------------------------------------------------------------------------------------


def test_a_terminal_that_lacks_characters_gets_a_report_all_the_same(tmp_path: Path) -> None:
    ended = run_cli(["--min-pass-rate", "…€–試", "--campaign", "試"], {"PYTHONIOENCODING": "ascii"}, tmp_path)
    assert ended.returncode == 2
    assert "Sepurux gate: the settings have 1 problem" in ended.stdout
    assert "--min-pass-rate" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "::error" not in ended.stdout
