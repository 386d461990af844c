"""A step on GitHub's runner: no foreign text becomes a command, and a file that cannot be used is a warning."""

import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sepurux_action.common.secret import Redactor
from sepurux_action.host import output
from sepurux_action.host.output import ActionsRunner, Level, plain
from tests.runner import COMMANDS, Command, StepLog, file_pairs, output_lines, parse_command

SECRET = "s/ecret+of~no-one"
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


def log_of(capsys: pytest.CaptureFixture[str]) -> StepLog:
    written, errors = capsys.readouterr()
    assert errors == ""
    log = StepLog(workspace=Path("/github/workspace"))
    for line in output_lines(written):
        log.feed(line)
    return log


def runner(**environ: str | Path) -> ActionsRunner:
    return ActionsRunner({name: str(value) for name, value in environ.items()}, sys.stdout)


def written(write: Callable[[ActionsRunner], object]) -> str:
    log = io.StringIO(newline="")
    write(ActionsRunner({}, log))
    return log.getvalue().removesuffix("\n")


def test_the_lines_of_a_report_are_in_color_without_commands_and_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    for environ in ({}, {"NO_COLOR": "1"}):
        step = ActionsRunner(environ, sys.stdout)
        step.mask_secrets(Redactor([SECRET]))
        step.log(f"  high   unsafe_action: {SECRET} \x1b[2J", in_color=True)
        step.log("::error::boom", in_color=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("::add-mask")]
    assert lines[0].replace("\x1b", "") == "  [31mhigh[0m   unsafe_action: *** [2J"
    assert lines[1:] == [": :error::boom", "  high   unsafe_action: *** [2J", ": :error::boom"]


@pytest.mark.parametrize(
    ("path", "why"), [("", "{variable} is not set"), ("/", "Is a directory"), ("/dev/full", "No space left on device")]
)
def test_a_file_that_cannot_be_written_is_one_warning(path: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    step = runner(GITHUB_OUTPUT=path, GITHUB_STEP_SUMMARY=path)
    for _ in range(2):
        step.set_outputs({"decision": "pass"})
        step.write_summary("# Report")
    assert [annotation.message for annotation in log_of(capsys).annotations] == [
        f"The outputs could not be written: {why.format(variable='GITHUB_OUTPUT')}.",
        f"The job summary could not be written: {why.format(variable='GITHUB_STEP_SUMMARY')}.",
    ]


def test_a_secret_is_masked_and_redacted_in_all_its_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = runner(GITHUB_OUTPUT=tmp_path / "output", GITHUB_STEP_SUMMARY=tmp_path / "summary")
    redact = Redactor([SECRET])
    step.mask_secrets(redact)
    assert log_of(capsys).commands == [Command("add-mask", {}, form) for form in redact.forms]
    for form in redact.forms:
        step.log(f"a {form} b")
        step.annotate(Level.NOTICE, f"a {form} b", title=form, file=form, line=1)
        step.set_outputs({"reason": form})
        step.write_summary(form)
    written = capsys.readouterr().out + (tmp_path / "output").read_text() + (tmp_path / "summary").read_text()
    assert written.count("***") == 6 * len(redact.forms)
    assert not any(form in written for form in redact.forms)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\xfd", b"[" * 200_000, b'{"n": ' + b"9" * 5_000 + b"}", b"{", None])
def test_a_bad_event_has_no_payload(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    if content is not None:
        path.write_bytes(content)
    if content == b"{":
        os.truncate(path, output.MAX_EVENT_BYTES * 1_000)
    assert runner(GITHUB_EVENT_PATH=path).read_event() is None
    assert runner().read_event() is None


def test_inputs_have_their_names_in_lower_case_and_what_the_runner_does_not_write_keeps_its_prefix() -> None:
    kept = {"INPUT_campaign": "of an earlier step"}
    environ = {"PATH": "/bin", "INPUT_ARGS": "--x", "INPUT_ENTRYPOINT": "/bin/sh", **kept}
    environ |= {"INPUT_MIN_PASS_RATE": "0.8", "INPUT_FAIL-UNDER": "1"}
    assert ActionsRunner(environ, sys.stdout).inputs == {"min_pass_rate": "0.8", "fail-under": "1", **kept}


@given(texts | st.sampled_from(HOSTILE))
@example("\u200b::error::x")
def test_any_text_in_the_log_is_one_line_and_no_command(text: str) -> None:
    line = plain(text)
    assert len(output_lines(line)) <= 1
    assert parse_command(line) is None


@given(st.sampled_from(Level), texts | st.sampled_from(HOSTILE), texts)
@example(Level.WARNING, "::error::boom", "x,file=a::b,line=1")
def test_any_text_in_an_annotation_is_only_its_message_and_title(level: Level, message: str, title: str) -> None:
    line = written(lambda step: step.annotate(level, message, title=title))
    assert len(output_lines(line)) == 1
    command = parse_command(line)
    assert command is not None
    assert command.name == level
    assert command.properties.keys() <= {"title"}
    assert command.data == "\n".join(map(plain, message.splitlines()))
    assert command.properties.get("title", "") == plain(title).lstrip("=")
    assert all(parse_command(line) is None for line in command.data.split("\n"))


@given(texts)
@example("a\rb\nc%0A:,")
def test_any_secret_is_masked_as_it_is_on_one_line(secret: str) -> None:
    redact = Redactor([secret])
    redact.forms = [secret]
    assert parse_command(written(lambda step: step.mask_secrets(redact))) == Command("add-mask", {}, secret)


@given(st.lists(st.tuples(names, texts), max_size=4))
def test_any_values_are_the_outputs(tmp_path_factory: pytest.TempPathFactory, outputs: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("step") / "outputs"
    for name, value in outputs:
        runner(GITHUB_OUTPUT=path).set_outputs({name: value})
    found = [*file_pairs(path.read_bytes().decode() if outputs else "")]
    lines = [value.replace("\r\n", "\n").replace("\r", "\n").encode(errors="replace").decode() for _, value in outputs]
    assert found == list(zip([name for name, _ in outputs], lines, strict=True))


def test_no_value_can_know_the_delimiter_of_outputs(tmp_path: Path) -> None:
    for _ in range(2):
        runner(GITHUB_OUTPUT=tmp_path / "outputs").set_outputs({"a": "b"})
    first, second = re.findall("^a<<(.{32,})$", (tmp_path / "outputs").read_text(), re.MULTILINE)
    assert first != second


def test_a_line_of_log_says_what_was_said_up_to_its_length() -> None:
    said = ["gate refunds: pass", "a\nb", "::error::x", "see ##[error]x", "50% of [x]", ""]
    shown = ["gate refunds: pass", "a b", ": :error::x", "see ## [error]x", "50% of [x]", ""]
    assert list(map(plain, said)) == shown
    assert len(plain("x" * 100_000)) == output.MAX_LOG_LINE_LENGTH
    assert plain("\x07".join(SECRET), Redactor([SECRET])) == "***"
    command = parse_command(written(lambda step: step.annotate(Level.ERROR, "%\n" * 10_000)))
    assert command is not None
    assert len(command.data) == output.MAX_ANNOTATION_LENGTH
