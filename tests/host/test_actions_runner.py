"""A step on GitHub's runner: no foreign text becomes a command, and a file that cannot be used is a warning."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sepurux_action.common.secret import Redactor, spellings
from sepurux_action.host.actions_runner import MAX_EVENT_BYTES, ActionsRunner
from sepurux_action.host.workflow_commands import MAX_LOG_LINE_LENGTH, Level
from tests.runner import ANNOTATIONS_PER_LEVEL, Command, StepLog, file_pairs, output_lines, pull_request_event

SECRET = "s/ecret+of~no-one"
HOSTILE = [
    "::error::boom",
    "  ::set-output name=decision::pass",
    "\n::add-mask::a",
    "\r::stop-commands::x",
    "fine\n::warning::not fine",
    "\u2028::error::x",
    "\x85::error::x",
    "\u200b::error::x",
    "\x00::error::x",
    "\ufeff::error::x",
    "text ##[set-env name=a]b",
    "##[error]x",
    "###[##[error]x",
    "#\u200b#[error]x",
    "%0A::error::x",
    "\ud800::error::x",
]


def log_of(capsys: pytest.CaptureFixture[str]) -> StepLog:
    """Return the log that the runner reads from the output so far."""
    written, errors = capsys.readouterr()
    assert errors == ""
    log = StepLog(workspace=Path("/github/workspace"))
    for line in output_lines(written):
        log.feed(line)
    return log


def runner(**environ: str | Path) -> ActionsRunner:
    return ActionsRunner({name: str(value) for name, value in environ.items()}, sys.stdout)


def test_the_lines_of_a_report_are_in_color_without_commands_and_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    for environ in ({}, {"NO_COLOR": "1"}):
        step = ActionsRunner(environ, sys.stdout)
        step.mask_secrets(Redactor([SECRET]))
        step.log_in_color(f"  high   unsafe_action: {SECRET} \x1b[2J")
        step.log_in_color("::error::boom")
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("::add-mask")]
    assert lines[0].replace("\x1b", "") == "  [31mhigh[0m   unsafe_action: *** [2J"
    assert lines[1:] == [": :error::boom", "  high   unsafe_action: *** [2J", ": :error::boom"]


# --- Outputs and summary -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", "pass\ndecision=fail", "\n\nlast\n", "\x00\x1b é 試験 🎉", *HOSTILE[6:]], ids=ascii
)
def test_an_output_arrives_as_it_is_and_sets_no_other(value: str, tmp_path: Path) -> None:
    file = tmp_path / "output"
    runner(GITHUB_OUTPUT=file).set_outputs({"decision": "error", "reason": value, "run_id": "r1"})
    shown = value.replace("\ud800", "?")
    assert list(file_pairs(file.read_bytes().decode())) == [("decision", "error"), ("reason", shown), ("run_id", "r1")]


def test_outputs_are_added_to_what_is_there_and_the_later_value_counts(tmp_path: Path) -> None:
    file = tmp_path / "output"
    file.write_text("earlier=1\n")
    step = runner(GITHUB_OUTPUT=file)
    step.set_outputs({"decision": "error"})
    step.set_outputs({"decision": "pass"})
    assert dict(file_pairs(file.read_text())) == {"earlier": "1", "decision": "pass"}


def test_the_summary_is_written_in_utf_8_whatever_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    runner(GITHUB_STEP_SUMMARY=file).write_summary("# é 試験\r\n\ud800 ::error::x\n")
    assert file.read_bytes().decode() == "# é 試験\r\n? ::error::x\n"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "{variable} is not set"),
        ("{folder}", "Is a directory"),
        ("{folder}/none/file", "No such file or directory"),
        ("/dev/full", "No space left on device"),
        ("{folder}/" + "n" * 300, "File name too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_warning(
    path: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path.format(folder=tmp_path)
    step = runner(GITHUB_OUTPUT=path, GITHUB_STEP_SUMMARY=path)
    step.set_outputs({"decision": "pass"})
    step.write_summary("# Report")
    assert [annotation.message for annotation in log_of(capsys).annotations] == [
        f"The outputs could not be written: {why.format(variable='GITHUB_OUTPUT')}.",
        f"The job summary could not be written: {why.format(variable='GITHUB_STEP_SUMMARY')}.",
    ]


# --- Log and annotations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_line_and_an_annotation_become_no_other_command(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    step = runner()
    step.log(text)
    step.annotate(Level.WARNING, text, title=f"{text},file=a::b")
    log = log_of(capsys)
    assert [command.name for command in log.commands] == ["warning"]
    assert len(log.lines) == 2
    assert log.annotations[0].file is None
    assert log.errors == []


def test_the_eleventh_annotation_of_a_level_is_a_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    step = runner()
    for number in range(ANNOTATIONS_PER_LEVEL + 1):
        step.annotate(Level.WARNING, f"number {number}")
    step.annotate(Level.WARNING, "number 11", file="policy.yml", line=3)
    step.annotate(Level.ERROR, "another level")
    log = log_of(capsys)
    assert log.counts == {"warning": ANNOTATIONS_PER_LEVEL, "error": 1}
    later = [line for line in log.lines if not line.startswith("##[")]
    assert later == ["warning: number 10", "warning: policy.yml:3: number 11"]


def test_a_secret_is_masked_in_all_its_spellings_and_redacted_wherever_it_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = runner(GITHUB_OUTPUT=tmp_path / "output", GITHUB_STEP_SUMMARY=tmp_path / "summary")
    step.mask_secrets(Redactor([SECRET]))
    assert log_of(capsys).commands == [Command("add-mask", {}, spelling) for spelling in spellings(SECRET)]
    for spelling in spellings(SECRET):
        step.log(f"a {spelling} b")
        step.annotate(Level.NOTICE, f"a {spelling} b", title=spelling, file=spelling, line=1)
        step.set_outputs({"reason": spelling})
        step.write_summary(spelling)
    written = capsys.readouterr().out + (tmp_path / "output").read_text() + (tmp_path / "summary").read_text()
    assert written.count("***") == 6 * len(spellings(SECRET))
    assert not any(spelling in written for spelling in spellings(SECRET))


def test_a_secret_in_pieces_or_at_a_lines_end_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    step = runner()
    step.mask_secrets(Redactor([SECRET]))
    capsys.readouterr()
    step.log(f"a {SECRET[:9]}\u200b{SECRET[9:]} b")
    step.log("x" * (MAX_LOG_LINE_LENGTH - 10) + SECRET)
    assert SECRET[:8] not in capsys.readouterr().out


# --- Event -------------------------------------------------------------------------------------------------


def test_the_event_is_read_from_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "event.json").write_text(json.dumps(pull_request_event(number=7)))
    assert runner(GITHUB_EVENT_PATH=tmp_path / "event.json").read_event() == pull_request_event(number=7)
    assert runner().read_event() == {}
    assert log_of(capsys).lines == []


NO_JSON = "it is no JSON"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("event.json", b"", NO_JSON),
        ("event.json", b"{", NO_JSON),
        ("event.json", b"\xff\xfe\xfd", NO_JSON),
        ("event.json", b"[" * 200_000, NO_JSON),
        ("event.json", b'{"n": ' + b"9" * 5_000 + b"}", NO_JSON),
        ("none.json", b"", "No such file or directory"),
        (".", b"", "Is a directory"),
    ],
    ids=["empty", "half", "no utf-8", "deep", "5000 digits", "missing", "folder"],
)
def test_an_event_file_that_cannot_be_read_is_one_warning(
    name: str, content: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "event.json").write_bytes(content)
    assert runner(GITHUB_EVENT_PATH=tmp_path / name).read_event() == {}
    assert [each.message for each in log_of(capsys).annotations] == [f"The event file could not be read: {why}."]


def test_a_huge_event_is_read_up_to_its_limit_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "event.json").open("wb") as file:
        file.write(b'{"a": "')
        file.truncate(MAX_EVENT_BYTES * 1_000)
    assert runner(GITHUB_EVENT_PATH=tmp_path / "event.json").read_event() == {}
    assert log_of(capsys).counts == {"warning": 1}


# --- Inputs ------------------------------------------------------------------------------------------------


def test_inputs_have_their_names_in_lower_case_and_what_the_runner_does_not_write_keeps_its_prefix() -> None:
    kept = {"INPUT_campaign": "of an earlier step"}
    environ = {"PATH": "/bin", "INPUT_ARGS": "--x", "INPUT_ENTRYPOINT": "/bin/sh", **kept}
    environ |= {"INPUT_MIN_PASS_RATE": "0.8", "INPUT_FAIL-UNDER": "1"}
    assert ActionsRunner(environ, sys.stdout).inputs == {"min_pass_rate": "0.8", "fail-under": "1", **kept}
