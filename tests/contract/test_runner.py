"""The suite's copy of a GitHub runner follows the rules of GitHub's: inputs, commands, files, limits."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from tests import runner
from tests.runner import Annotation, Command, StepLog, parse_command, run_action

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., runner.StepResult]


@pytest.fixture
def place(tmp_path: Path) -> dict[str, Any]:
    """Return a workspace and an entry script, which a test writes."""
    return {"workspace": tmp_path / "agents", "entrypoint": tmp_path / "entry.py"}


@pytest.fixture
def run(place: dict[str, Any]) -> Run:
    """Run a step whose entry script is given."""

    def run_script(script: str, **options: Any) -> runner.StepResult:  # noqa: ANN401 - StepOptions
        place["entrypoint"].write_text("import json, os, sys\n" + dedent(script))
        return run_action(timeout=20, **place, **options)

    return run_script


# --- Inputs and environment --------------------------------------------------------------------------------

MANIFEST = {
    "inputs": {"token": {}, "min_pass_rate": {"default": "0.9"}, "github_token": {"default": "${{ github.token }}"}}
}


def test_an_input_arrives_in_upper_case_with_underscores_for_spaces_and_its_dashes_kept() -> None:
    assert runner.input_variable("dashed-name here") == "INPUT_DASHED-NAME_HERE"


def test_a_default_counts_only_where_the_input_is_absent_and_an_unknown_input_arrives() -> None:
    absent = {"token": "", "min_pass_rate": "0.9", "github_token": "made.up"}
    assert runner.resolve_inputs(MANIFEST, {}, "made.up") == (absent, ())
    given = {"token": "T", "min_pass_rate": "", "github_token": "", "tokne": "x", "args": "always accepted"}
    assert runner.resolve_inputs(MANIFEST, given, "made.up") == (given, ("tokne",))


def test_a_default_with_another_expression_is_refused() -> None:
    manifest = {"inputs": {"sha": {"default": "${{ github.sha }}"}}}
    with pytest.raises(ValueError, match="default of input sha"):
        runner.resolve_inputs(manifest, {}, "T")


def test_a_step_starts_in_its_workspace_isolated_and_without_stdin(run: Run, place: dict[str, Any]) -> None:
    script = "print(json.dumps([os.getcwd(), open('a/b.txt').read(), sys.flags.isolated, sys.stdin.read()]))"
    result = run(script, files={"a/b.txt": "content", "json.py": "raise SystemExit('shadowed')"})
    assert json.loads(result.raw_log) == [str(place["workspace"]), "content", 1, ""]


# --- Workflow commands -------------------------------------------------------------------------------------


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
        ("::endgroup::", Command("endgroup", {}, "")),
        ("::notice title=x::a::b", Command("notice", {"title": "x"}, "a::b")),
        ("said ##[error]x", Command("error", {}, "x")),
        ("a ##[set-output name=n%5D;other=1]v%3B", Command("set-output", {"name": "n]", "other": "1"}, "v;")),
        ("::error unfinished ##[warning]y", Command("warning", {}, "y")),
    ],
)
def test_a_command_is_seen(line: str, command: Command) -> None:
    """With colons at a line's start after white space, in the old form anywhere."""
    assert parse_command(line) == command


@pytest.mark.parametrize(
    "line",
    [
        "",
        "text ::error::x",
        "\x1c::error::x",
        "::error",
        "::unknown::x",
        ":::error::x",
        "##[unknown]x",
        "##[error x",
        "# #[error]x",
    ],
)
def test_no_command_is_seen(line: str) -> None:
    assert parse_command(line) is None


def test_only_the_first_old_form_of_a_line_is_looked_at() -> None:
    assert parse_command("##[x]##[error]y") is None


def test_a_carriage_return_starts_a_line_and_other_separators_do_not() -> None:
    assert runner.output_lines("a\r\nb\rc\u2028d\n\ne\n") == ["a", "b", "c\u2028d", "", "e"]
    assert runner.output_lines("") == []


def read(*lines: str, debug: bool = False) -> StepLog:
    log = StepLog(workspace=Path("/repo"), debug=debug)
    for line in lines:
        log.feed(line)
    return log


def test_an_annotation_has_its_place_and_title_and_its_line_in_the_log() -> None:
    log = read("::error file=/repo/a/b.yml,line=3,endLine=3,col=1,endColumn=9,title=T::bad%0Avalue")
    assert log.annotations == [
        Annotation(level="error", message="bad\nvalue", title="T", file="a/b.yml", line=3, end_line=3, col=1, end_col=9)
    ]
    assert log.lines == ["##[error]bad\nvalue"]


@pytest.mark.parametrize(
    ("properties", "place"),
    [
        ("col=2,endColumn=3", (None, None, None, None)),
        ("line=2,endLine=4,col=2", (2, 4, None, None)),
        ("endLine=4", (4, 4, None, None)),
        ("line=4,endLine=2", (None, None, None, None)),
        ("line=4,col=7,endColumn=2", (4, None, None, None)),
        ("line=4,endColumn=2", (4, None, 2, 2)),
        ("line=four", (None, None, None, None)),
    ],
)
def test_a_place_that_makes_no_sense_is_dropped(properties: str, place: tuple[int | None, ...]) -> None:
    (shown,) = read(f"::notice {properties}::x").annotations
    assert (shown.line, shown.end_line, shown.col, shown.end_col) == place


def test_ten_annotations_of_a_level_are_kept_and_all_are_counted_and_logged() -> None:
    log = read(*(f"::warning::{number}" for number in range(12)), "::error::last")
    assert [shown.message for shown in log.annotations] == [*map(str, range(10)), "last"]
    assert log.counts == {"warning": 12, "error": 1}
    assert log.lines[-2:] == ["##[warning]11", "##[error]last"]


def test_a_message_is_cut_at_4096_characters() -> None:
    (shown,) = read("::error::" + "x" * 5000).annotations
    assert len(shown.message) == 4096


def test_a_mask_hides_every_later_line_and_is_not_shown_itself() -> None:
    log = read("before s3cret", "::add-mask::s3cret", "after s3cret.", "::error title=s3cret::has s3cret")
    assert log.lines == ["before s3cret", "after ***.", "##[error]has ***"]
    assert log.annotations[0].message == "has ***"
    assert log.annotations[0].title == "s3cret"


def test_a_mask_of_several_lines_hides_each_of_them() -> None:
    assert read("::add-mask::one%0Atwo%0D%0A", "x one", "two x").lines == ["x ***", "*** x"]


def test_overlapping_secrets_become_one_mask() -> None:
    assert runner.mask("xabcdx ababa", ["abc", "bcd", "aba"]) == "x***x ***"


def test_stopped_commands_are_text_until_the_token_comes() -> None:
    log = read("::stop-commands::t0ken-1", "::error::a", "##[set-env name=x]y", "::T0KEN-1::", "::error::b")
    assert [shown.message for shown in log.annotations] == ["b"]
    assert log.lines[1:3] == ["::error::a", "##[set-env name=x]y"]
    assert not log.errors
    assert "t0ken-1" in log.masks


@pytest.mark.parametrize("token", ["", "error", "Pause-Logging"])
def test_a_stop_token_that_means_something_else_fails_the_step(token: str) -> None:
    assert len(read(f"::stop-commands::{token}").errors) == 1


@pytest.mark.parametrize(
    "line", ["x ##[set-env name=a]b", "::add-path::/x", "::set-output::v", "::echo::maybe", "::add-matcher::m"]
)
def test_a_command_that_cannot_be_obeyed_fails_the_step(line: str) -> None:
    log = read(line)
    assert len(log.errors) == 1
    assert log.counts["error"] == 2


def test_outputs_set_in_the_log_are_told_apart() -> None:
    log = read("title: ##[set-output name=decision]pass")
    assert log.injected == {"decision": "pass"}
    assert log.counts["warning"] == 1


# --- Command files -----------------------------------------------------------------------------------------


def test_entries_are_pairs_or_blocks_and_the_mark_that_comes_first_decides() -> None:
    text = "a=1\n\nb<<E\nx=1\n\ny<<E\nE\nc=<<E\nd<<=\n2\n=\ne<<E\nE\na=3"
    assert list(runner.file_pairs(text)) == [
        ("a", "1"), ("b", "x=1\n\ny<<E"), ("c", "<<E"), ("d", "2"), ("e", ""), ("a", "3"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a<<E\n1\n", "never comes"),
        ("a<<E\n1", "without a line feed"),
        ("a<<E\r\n1\r\nE\n", "never comes"),
        ("<<E\n1\nE\n", "no name or no delimiter"),
        ("a<<\n1\n", "no name or no delimiter"),
        ("=1\n", "no name or no delimiter"),
        ("a\n", "neither NAME=VALUE"),
    ],
)
def test_a_malformed_entry_is_refused(text: str, error: str) -> None:
    with pytest.raises(runner.CommandError, match=error):
        list(runner.file_pairs(text))


def append(name: str, text: str) -> str:
    return f"open(os.environ['GITHUB_{name}'], 'a', encoding='utf-8', newline='').write({text!r})\n"


def test_the_command_files_are_empty_at_the_start_and_read_at_the_end(run: Run) -> None:
    names = ("OUTPUT", "STATE", "ENV", "PATH", "STEP_SUMMARY")
    look = f"print([os.path.getsize(os.environ['GITHUB_' + name]) for name in {names}])\n"
    texts = {"OUTPUT": "o=é\n", "STATE": "s=2\n", "ENV": "e=3\n", "PATH": "/p\n", "STEP_SUMMARY": "# Done"}
    result = run(look + "".join(append(name, text) for name, text in texts.items()))
    assert result.raw_log == "[0, 0, 0, 0, 0]\n"
    assert (result.outputs, result.state, result.exports) == ({"o": "é"}, {"s": "2"}, {"e": "3"})
    assert (result.paths, result.summary, result.conclusion) == (("/p",), "# Done\n", "success")


def test_a_malformed_output_file_fails_the_step_but_keeps_what_came_before(run: Run) -> None:
    result = run(append("OUTPUT", "a=1\nb<<E\nlost\n"))
    assert (result.exit_code, result.conclusion) == (0, "failure")
    assert result.outputs == {"a": "1"}
    assert "never comes" in result.command_errors[0]


def test_a_summary_of_one_mebibyte_is_kept_and_a_larger_one_is_an_error_and_lost(run: Run) -> None:
    kept = run(append("STEP_SUMMARY", "") + "open(os.environ['GITHUB_STEP_SUMMARY'], 'w').write('é' * 2**19)")
    lost = run("open(os.environ['GITHUB_STEP_SUMMARY'], 'w').write('é' * 2**19 + '.')")
    assert len(kept.summary.encode()) == runner.SUMMARY_LIMIT + 1
    assert (lost.summary, lost.annotation_counts, lost.conclusion) == ("", {"error": 1}, "success")


def test_a_summary_is_masked_by_all_secrets_of_the_run(run: Run) -> None:
    script = append("STEP_SUMMARY", "late, T0KEN and S3CRET") + "print('::add-mask::late')"
    assert run(script, token="T0KEN", secrets=["S3CRET"]).summary == "***, *** and ***\n"


# --- A whole step ------------------------------------------------------------------------------------------


def test_stdout_and_stderr_are_one_log_in_which_commands_count(run: Run) -> None:
    script = """
    print("::add-mask::hidden", flush=True)
    print("::error::on stderr, hidden", file=sys.stderr, flush=True)
    print("plain hidden")
    """
    result = run(script)
    assert result.log == "##[error]on stderr, ***\nplain ***"
    assert "hidden" in result.raw_log
    assert result.messages("error") == ["on stderr, ***"]
    assert [command.name for command in result.commands] == ["add-mask", "error"]


def test_the_exit_code_decides_unless_a_command_fails(run: Run) -> None:
    failed, injected = run("sys.exit(2)"), run("print('title ##[set-env name=a]b')")
    assert (failed.exit_code, failed.conclusion) == (2, "failure")
    assert (injected.exit_code, injected.conclusion) == (0, "failure")


WAITING = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("waiting", flush=True)
time.sleep(60)
"""
