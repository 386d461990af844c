"""Holds the suite's copy of a runner to the rules of GitHub's: inputs, environment, commands, files, limits.

Never starts the action itself: stand-ins for action.yml and the entry script take its place.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from tests import runner
from tests.runner import Annotation, Command, StepLog, parse_command, run_action, start_action

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., runner.StepResult]

ACTION = """
inputs:
  token: {description: a secret}
  min_pass_rate: {default: "0.9"}
  github_token: {default: "${{ github.token }}"}
  dashed-name here: {}
runs:
  using: docker
  env: {FROM_ACTION: "yes", SET_TWICE: action}
"""


@pytest.fixture
def place(tmp_path: Path) -> dict[str, Any]:
    """Return a workspace and a stand-in action; a test writes the entry script."""
    (tmp_path / "action.yml").write_text(ACTION)
    workspace = tmp_path / "agents"
    return {"workspace": workspace, "action_yml": tmp_path / "action.yml", "entrypoint": tmp_path / "entry.py"}


@pytest.fixture
def run(place: dict[str, Any]) -> Run:
    """Run a step whose entry script is given."""

    def run_script(script: str, **options: Any) -> runner.StepResult:  # noqa: ANN401 - StepOptions
        place["entrypoint"].write_text("import json, os, sys\n" + dedent(script))
        return run_action(timeout=20, **place, **options)

    return run_script


def environment_of(run: Run, **options: Any) -> dict[str, str]:  # noqa: ANN401 - StepOptions
    result = run("print(json.dumps(dict(os.environ)))", **options)
    environment: dict[str, str] = json.loads(result.raw_log)
    return environment


# --- Inputs and environment --------------------------------------------------------------------------------


def test_an_input_arrives_in_upper_case_with_underscores_for_spaces_and_its_dashes_kept(run: Run) -> None:
    environment = environment_of(run, inputs={"dashed-name here": "x", "Token": "T"})
    assert environment["INPUT_DASHED-NAME_HERE"] == "x"
    assert environment["INPUT_TOKEN"] == "T"


def test_a_default_counts_only_where_the_input_is_absent(run: Run) -> None:
    absent = environment_of(run, token="made.up")
    given = environment_of(run, inputs={"min_pass_rate": "", "github_token": ""})
    assert (absent["INPUT_MIN_PASS_RATE"], absent["INPUT_GITHUB_TOKEN"]) == ("0.9", "made.up")
    assert (given["INPUT_MIN_PASS_RATE"], given["INPUT_GITHUB_TOKEN"]) == ("", "")


def test_an_input_without_default_arrives_empty(run: Run) -> None:
    assert environment_of(run)["INPUT_TOKEN"] == ""


def test_a_default_with_another_expression_is_refused() -> None:
    manifest = {"inputs": {"sha": {"default": "${{ github.sha }}"}}}
    with pytest.raises(ValueError, match="default of input sha"):
        runner.resolve_inputs(manifest, {}, "T")


def test_an_unknown_input_is_a_warning_and_arrives_all_the_same(run: Run) -> None:
    result = run("print(os.environ['INPUT_TOKNE'])", inputs={"tokne": "typed", "args": "always accepted"})
    assert result.unknown_inputs == ("tokne",)
    assert "'tokne'" in result.messages("warning")[0]
    assert result.raw_log == "typed\n"


def test_nothing_of_the_surrounding_environment_arrives_but_path(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEPURUX_CI_TOKEN", "of the developer")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    environment = environment_of(run)
    assert "SEPURUX_CI_TOKEN" not in environment
    assert "PYTHONPATH" not in environment
    assert environment["PATH"]


def test_the_environment_of_a_pull_request_run(run: Run, place: dict[str, Any]) -> None:
    environment = environment_of(run)
    expected = {
        "GITHUB_ACTIONS": "true",
        "CI": "true",
        "RUNNER_OS": "Linux",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_SHA": runner.MERGE_SHA,
        "GITHUB_REF": "refs/pull/42/merge",
        "GITHUB_HEAD_REF": "refunds",
        "GITHUB_BASE_REF": "main",
        "GITHUB_REPOSITORY": "octo-org/agents",
        "GITHUB_WORKSPACE": str(place["workspace"]),
    }
    assert {name: environment[name] for name in expected} == expected
    assert "GITHUB_TOKEN" not in environment


def test_other_events_name_their_own_commit_and_ref(run: Run) -> None:
    queue = {
        "merge_group": {
            "head_sha": "a" * 40,
            "head_ref": "refs/heads/gh-readonly-queue/main/pr-42",
            "base_sha": "b" * 40,
        }
    }
    group = environment_of(run, event_name="merge_group", event=queue)
    push = environment_of(run, event_name="push", event={"ref": "refs/heads/next", "after": "d" * 40})
    target = environment_of(run, event_name="pull_request_target")
    assert (group["GITHUB_SHA"], group["GITHUB_HEAD_REF"]) == ("a" * 40, "")
    assert (push["GITHUB_SHA"], push["GITHUB_REF_NAME"]) == ("d" * 40, "next")
    assert (target["GITHUB_SHA"], target["GITHUB_REF"]) == (runner.BASE_SHA, "refs/heads/main")


def test_the_event_file_holds_the_payload(run: Run) -> None:
    event = runner.pull_request_event(number=7, head_sha="c" * 40, fork=True)
    event["pull_request"]["title"] = "élan \u2028 ::error::x"
    result = run("print(json.dumps(json.load(open(os.environ['GITHUB_EVENT_PATH'], encoding='utf-8'))))", event=event)
    assert json.loads(result.raw_log) == event
    assert event["pull_request"]["head"]["repo"]["full_name"] != event["repository"]["full_name"]


def test_what_the_workflow_sets_beats_what_action_yml_sets(run: Run) -> None:
    environment = environment_of(run, env={"SET_TWICE": "workflow", "GITHUB_API_URL": "http://127.0.0.1:1"})
    assert environment["SET_TWICE"] == "workflow"
    assert environment["FROM_ACTION"] == "yes"
    assert environment["GITHUB_API_URL"] == "http://127.0.0.1:1"


def test_a_step_starts_in_its_workspace_isolated_and_without_stdin(run: Run, place: dict[str, Any]) -> None:
    script = "print(json.dumps([os.getcwd(), open('a/b.txt').read(), sys.flags.isolated, sys.stdin.read()]))"
    result = run(script, files={"a/b.txt": "content", "json.py": "raise SystemExit('shadowed')"})
    assert json.loads(result.raw_log) == [str(place["workspace"]), "content", 1, ""]


def test_the_temporary_folder_can_be_prepared_by_a_test(run: Run, tmp_path: Path) -> None:
    temp = tmp_path / "prepared"
    temp.mkdir()
    (temp / "trace.json").write_text("{}")
    assert run("print(os.listdir(os.environ['RUNNER_TEMP']).count('trace.json'))", temp=temp).raw_log == "1\n"


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


def test_an_empty_mask_is_a_warning() -> None:
    log = read("::add-mask:: ", "a b")
    assert (log.masks, log.counts["warning"], log.lines[-1]) == ([], 1, "a b")


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


def test_groups_debug_and_echo_are_shown_as_github_shows_them() -> None:
    lines = ["::group::G", "::debug::quiet", "::endgroup::ignored", "::echo::on", "::group::H", "::add-mask::abc"]
    shown = ["##[group]G", "##[endgroup]", "::group::H", "##[group]H", "::add-mask::***"]
    assert read(*lines).lines == shown
    assert "##[debug]quiet" in read(*lines, debug=True).lines


# --- Command files -----------------------------------------------------------------------------------------


def test_entries_are_pairs_or_blocks_and_the_mark_that_comes_first_decides() -> None:
    text = "a=1\n\nb<<E\nx=1\n\ny<<E\nE\nc=<<E\nd<<=\n2\n=\ne<<E\nE\na=3"
    assert list(runner.file_pairs(text)) == [
        ("a", "1"), ("b", "x=1\n\ny<<E"), ("c", "<<E"), ("d", "2"), ("e", ""), ("a", "3"),
    ]  # fmt: skip


def test_a_delimiter_may_end_the_file_without_a_line_feed() -> None:
    assert list(runner.file_pairs("a<<E\n1\nE")) == [("a", "1")]


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


def test_a_byte_order_mark_is_no_part_of_a_name_and_broken_utf8_is_replaced(run: Run) -> None:
    result = run("open(os.environ['GITHUB_OUTPUT'], 'wb').write(b'\\xef\\xbb\\xbfa=\\xff')")
    assert result.outputs == {"a": "\ufffd"}


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


def test_a_signal_is_sent_once_a_text_is_in_the_log(run: Run) -> None:
    assert run(WAITING, signal_after=("waiting", signal.SIGTERM)).exit_code == 143


def test_a_running_step_can_be_watched_signalled_and_finished(place: dict[str, Any]) -> None:
    place["entrypoint"].write_text("import sys\n" + WAITING)
    with start_action(**place) as step:
        step.wait_for_log("waiting")
        assert step.raw_log == "waiting\n"
        step.send_signal(signal.SIGINT)
        result = step.finish(20)
    assert result.exit_code == -signal.SIGINT
    assert "KeyboardInterrupt" in result.log


def test_a_step_that_never_ends_fails_the_test_with_its_log(place: dict[str, Any]) -> None:
    place["entrypoint"].write_text("import sys\n" + WAITING)
    with start_action(**place) as step:
        step.wait_for_log("waiting")
        with pytest.raises(AssertionError, match=r"still running[\s\S]*waiting"):
            step.finish(0.1)


def test_a_text_that_never_comes_fails_the_test_with_the_log(place: dict[str, Any]) -> None:
    place["entrypoint"].write_text("print('over')")
    with start_action(**place) as step, pytest.raises(AssertionError, match=r"was not written[\s\S]*over"):
        step.wait_for_log("never")


def test_a_child_does_not_outlive_its_step(run: Run) -> None:
    """As in a container, whose processes die with the first one."""
    child = "import time; print('started', flush=True); time.sleep(5); print('survived')"
    script = f"""
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
    os.write(1, child.stdout.readline())
    subprocess.Popen([sys.executable, "-c", {child!r}])
    os._exit(0)
    """
    result = run(script)
    assert "started" in result.log
    assert "survived" not in result.log


def test_the_terminal_has_its_own_environment_and_none_of_a_runners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (tmp_path / "sitecustomize.py").write_text(
        "import json, os, sys\n"
        "print(json.dumps([sys.orig_argv[1:], os.getcwd(), dict(os.environ)]), flush=True)\n"
        "os._exit(7)\n"
    )
    done = runner.run_cli(["--help"], {"PYTHONPATH": str(tmp_path), "ONE": "1"}, tmp_path)
    command, cwd, environment = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (7, "")
    assert (command, cwd) == (["-m", "sepurux_action", "--help"], str(tmp_path))
    assert environment["ONE"] == "1"
    assert "GITHUB_ACTIONS" not in environment
