"""The flags of the command line: those of the table of options, its own, and what it says about unknown ones."""

from collections.abc import Sequence

import pytest

from sepurux_action import __version__
from sepurux_action.config.command_line import (
    FLAGS,
    NO_FLAG,
    CommandLine,
    in_workflow,
    on_command_line,
    parse_command_line,
)
from sepurux_action.config.options import flag

SECRET = "secret-of-no-one"


def ended(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        parse_command_line(arguments)
    return int(end.value.code or 0), *capsys.readouterr()


def test_every_option_has_a_flag_under_each_of_its_names() -> None:
    for spelling in (spelling for option in FLAGS for spelling in option.names):
        assert parse_command_line([flag(spelling), "x"]).texts == {spelling: "x"}


def test_the_last_flag_counts_and_those_of_a_list_are_added() -> None:
    made = parse_command_line(["--campaign=a", "--campaign", "b", "--min-pass-rate=85%"])
    assert made == NO_FLAG._replace(texts={"campaign": "b", "min_pass_rate": "85%"})
    listed = ["--trace-file", "a.json", "--trace-id=t,u", "--trace-file", "b/*.json", "--trace-id", "v"]
    rules = ["--approval", "approval_id", "--approval=signed_by", "--reversible", "send_receipt"]
    own = ["--format", "json", "--write-baseline", "--config", "p.yml", "--sandbox", *rules]
    texts = {"trace_file": "a.json\nb/*.json", "trace_id": "t,u\nv"}
    approvals, reversible = ["approval_id", "signed_by"], ["send_receipt"]
    given = CommandLine(texts, "p.yml", "json", True, None, True, approvals, reversible)  # noqa: FBT003
    assert parse_command_line([*listed, *own]) == given


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([SECRET], "an argument belongs to no flag; put quotes around globs"),
        ([f"-{SECRET}0123"], "an argument belongs to no flag; put quotes around globs"),
        ([f"--write-baseline={SECRET}"], "--write-baseline: ignored explicit argument"),
        ([f"-h{SECRET}"], "-h/--help: ignored explicit argument"),
        ([f"--version='{SECRET}"], "--version: ignored explicit argument"),
        (["--check", "--campaign", SECRET], "--check takes no other flag"),
        (["--check", "--format", "json"], "--check takes no other flag"),
        (["--check", "--sandbox"], "--check takes no other flag"),
        (["--reversible", SECRET], "--approval and --reversible are rules of the sandbox; give them with --sandbox"),
        (["--sandbox", "--token", SECRET], "--sandbox sends nothing to Sepurux; leave out --token"),
        (["--format", SECRET], "--format: invalid choice"),
        (["--campaign", "--token", SECRET], "--campaign: expected one argument"),
        (["--camp", SECRET], "--camp is not known; did you mean --campaign?"),
        ([f"--api-kye={SECRET}"], "--api-kye is not known; did you mean --api-key?"),
        (["--min_pass_rate", SECRET], "--min_pass_rate is not known; did you mean --min-pass-rate?"),
    ],
)
def test_a_problem_shows_no_value(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, text = ended(arguments, capsys)
    assert (status, out, text.splitlines()[0]) == (2, "", f"sepurux-gate: {expected}")
    assert SECRET not in text


@pytest.mark.parametrize(("columns", "widest"), [("80", 80), ("200", 200)])
def test_help_shows_each_option_of_the_table_once_with_what_it_accepts_and_its_default(
    columns: str, widest: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    status, text, errors = ended(["--help"], capsys)
    assert (status, errors) == (0, "")
    lines, whole = [line.split() for line in text.splitlines()], " ".join(text.split())
    for option in FLAGS:
        assert sum(line[:1] == [flag(option.name)] for line in lines) == 1
        assert not any(flag(alias) in line for alias in option.aliases for line in lines)
        assert not option.environment or f"Environment: {option.environment}." in whole
        assert not option.default or f"Default: {option.default}" in whole
    assert not [word for word in ("inputs", "base commit", "workflow", "workspace", "step", "runner") if word in whole]
    assert max(map(len, text.splitlines())) <= widest
    assert text.isascii()


def test_a_hint_has_the_words_of_its_place() -> None:
    hint = "{Rerun}: {timeout}. {token}, {rerun}. {reviewers}, {other}, and `timeout`"
    shared = "`reviewers`, {other}, and `timeout`"
    assert in_workflow(hint) == f"Re-run the job: `timeout`. `token`, re-run the job. {shared}"
    again = "Run the command again: --timeout. SEPURUX_CI_TOKEN, run the command again."
    assert on_command_line(hint) == f"{again} {shared}"


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--version"], capsys) == (0, f"sepurux-gate {__version__}\n", "")
