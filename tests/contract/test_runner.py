"""The suite's copy of a GitHub runner follows the rules of GitHub's: commands, command files, limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import runner
from tests.runner import Command, StepLog, parse_command, run_action


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


def read(*lines: str) -> StepLog:
    log = StepLog(workspace=Path("/repo"))
    for line in lines:
        log.feed(line)
    return log


def test_ten_annotations_of_a_level_are_kept_and_all_are_counted_and_logged() -> None:
    log = read(*(f"::warning::{number}" for number in range(12)), "::error::last")
    assert [shown.message for shown in log.annotations] == [*map(str, range(10)), "last"]
    assert log.counts == {"warning": 12, "error": 1}
    assert log.lines[-2:] == ["##[warning]11", "##[error]last"]


def test_a_mask_of_several_lines_hides_each_of_them_later_and_is_not_shown_itself() -> None:
    log = read("before one", "::add-mask::one%0Atwo%0D%0A", "x one", "two x", "::error title=one::has one")
    assert log.lines == ["before one", "x ***", "*** x", "##[error]has ***"]
    assert log.annotations[0].title == "one"


@pytest.mark.parametrize("line", ["x ##[set-env name=a]b", "::add-path::/x", "::stop-commands::t0ken", "::add-mask:: "])
def test_a_command_that_the_action_does_not_use_fails_the_step(line: str) -> None:
    assert len(read(line).errors) == 1


def test_entries_are_pairs_or_blocks_and_the_mark_that_comes_first_decides() -> None:
    text = "a=1\n\nb<<E\nx=1\n\ny<<E\nE\nc=<<E\nd<<=\n2\n=\ne<<E\nE\na=3"
    assert list(runner.file_pairs(text)) == [
        ("a", "1"), ("b", "x=1\n\ny<<E"), ("c", "<<E"), ("d", "2"), ("e", ""), ("a", "3"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["a<<E\n1\n", "a<<E\n1", "a<<E\r\n1\r\nE\n", "<<E\n1\nE\n", "a<<\n1\n", "=1\n", "a\n"])
def test_an_invalid_entry_is_rejected(text: str) -> None:
    with pytest.raises(runner.CommandError):
        list(runner.file_pairs(text))


def test_each_file_is_read_at_the_end_and_what_is_written_to_the_log(tmp_path: Path) -> None:
    entry = tmp_path / "entry.py"
    entry.write_text(
        "import os, sys\n"
        "texts = {'OUTPUT': 'o=é\\nb<<E\\nlost\\n', 'ENV': 'e=3\\n', 'STEP_SUMMARY': 'late, T0KEN'}\n"
        "for name, text in texts.items():\n"
        "    open(os.environ['GITHUB_' + name], 'a', encoding='utf-8').write(text)\n"
        "print('::add-mask::late', flush=True)\n"
        "print('::error::on stderr, late', file=sys.stderr)\n"
        "sys.exit(sys.stdin.read() or sys.flags.isolated + 1)\n"
    )
    result = run_action(workspace=tmp_path / "agents", entrypoint=entry, token="T0KEN")
    assert result.exit_code == 2
    assert (result.outputs, result.summary) == ({"o": "é"}, "***, ***\n")
    assert result.messages("error")[0] == "on stderr, ***"
    assert [error.partition(":")[0] for error in result.errors] == [
        "the output file is malformed",
        "the action does not write to GITHUB_ENV",
    ]


def test_a_summary_over_one_mebibyte_is_an_error_and_lost(tmp_path: Path) -> None:
    entry = tmp_path / "entry.py"
    entry.write_text("import os\nopen(os.environ['GITHUB_STEP_SUMMARY'], 'w').write('é' * 2**19 + '.')")
    result = run_action(workspace=tmp_path / "agents", entrypoint=entry)
    assert (result.summary, result.counts) == ("", {"error": 1})
