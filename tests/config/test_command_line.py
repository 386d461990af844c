"""The flags of the command line are those of the table of options, and an unknown one is rejected without its value."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sepurux_action import __version__
from sepurux_action.config.command_line import FLAGS, parse_flags
from sepurux_action.config.settings import flag

SECRET = "secret-of-nobody"


def rejection(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what stderr says when the arguments are not accepted."""
    with pytest.raises(SystemExit) as ended:
        parse_flags(arguments)
    assert ended.value.code == 2
    written, errors = capsys.readouterr()
    assert written == ""
    return errors


def test_every_option_has_a_flag_under_each_of_its_names() -> None:
    for option in FLAGS:
        for spelling in option.names:
            assert parse_flags([flag(spelling), "x"]) == {spelling: "x"}


def test_a_flag_may_carry_its_value_after_an_equals_sign_and_the_last_one_counts() -> None:
    arguments = ["--campaign=a", "--campaign", "b", "--min-pass-rate=85%"]
    assert parse_flags(arguments) == {"campaign": "b", "min_pass_rate": "85%"}


def test_an_unknown_flag_is_rejected_without_what_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    text = rejection(["--tokn", SECRET, f"--api-kye={SECRET}"], capsys)
    assert "not known: --tokn, --api-kye" in text
    assert SECRET not in text


def test_a_flag_is_not_guessed_from_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not known: --camp" in rejection(["--camp", "x"], capsys)


def test_an_argument_without_a_flag_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    text = rejection([SECRET], capsys)
    assert "an argument that belongs to no flag" in text
    assert SECRET not in text


def test_a_flag_without_a_value_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--campaign" in rejection(["--campaign"], capsys)


def printed(argument: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what an argument such as --help prints to stdout."""
    with pytest.raises(SystemExit) as ended:
        parse_flags([argument])
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
