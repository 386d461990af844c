"""A GitHub runner for tests: starts a step, and reads its log and its command files as the runner does.

The rules are those of the runner's source (ActionCommandManager, FileCommandManager, ActionRunner,
ContainerActionHandler), for what the action may do: annotations, masks, outputs, and a summary. Any other workflow
command or command file is an error. A step gets only the variables of the test's environment that INHERITED names.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, Required, Self, TypedDict, Unpack

import yaml

from sepurux_action.app import run_step
from sepurux_action.host.deadlines import Signals, start_thread

REPOSITORY = Path(__file__).resolve().parents[1]
TRACE = '{"events": [{"type": "tool_call", "tool": "refund", "args": {}}]}'  # the gate uploads no emptier one
COMMAND_LINE = f"{sys.executable} -m sepurux_action"
# GATE_ENTRYPOINT=tests/container/docker_step.py runs every step of the flow tests in a container of GATE_IMAGE.
ENTRYPOINT = REPOSITORY / os.environ.get("GATE_ENTRYPOINT", "entrypoint.py")
INHERITED = ("PATH", "COVERAGE_", "DOCKER_", "GATE_")  # prefixes: for coverage, and to start a container
ACTION_YML = REPOSITORY / "action.yml"
TOKEN = "ghs_1042_made.up.token"  # in the format of today's installation tokens
RUNTIME_TOKEN = "made-up-runtime-token"  # every step has one, and no output may contain it
HEAD_SHA = "5" * 40
BASE_SHA = "b" * 40
MERGE_SHA = "e" * 40
SUMMARY_LIMIT = 1024 * 1024  # bytes of one step's summary; the runner drops a larger one
ANNOTATIONS_PER_LEVEL = 10  # of one step; later ones are only logged
MESSAGE_LIMIT = 4096  # characters of an annotation's message
SIGNAL_GRACE = 5.0  # seconds in which a step in a thread ends after a signal
Level = Literal["error", "warning", "notice"]
Event = dict[str, Any]
COMMANDS = frozenset(
    {"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice"}
    | {"remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning"}
)
# White space in .NET. Unlike in Python, U+001C to U+001F do not belong to it.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# In the runner's order: %25 is last, so that an escaped escape is decoded once.
_DATA_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_PROPERTY_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
_V1_ESCAPES = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%"))
_Escapes = tuple[tuple[str, str], ...]
FILES = ("OUTPUT", "STATE", "ENV", "PATH", "STEP_SUMMARY")  # each a variable GITHUB_*


@dataclass(frozen=True, slots=True)
class Command:
    """A workflow command as the runner parses it: name and keys in lower case, texts unescaped."""

    name: str
    properties: dict[str, str]
    data: str


def parse_command(line: str) -> Command | None:
    """Return the command in one line of output: with colons at its start, or in the old form anywhere."""
    text = line.lstrip(_SPACE)
    if text.startswith("::") and (found := _command(text[2:], "::", ",", _PROPERTY_ESCAPES, _DATA_ESCAPES)):
        return found
    return _command(line.partition("##[")[2], "]", ";", _V1_ESCAPES, _V1_ESCAPES)


def _command(text: str, end: str, separator: str, property_escapes: _Escapes, data_escapes: _Escapes) -> Command | None:
    info, mark, data = text.partition(end)
    name, _, properties = info.partition(" ")
    if not mark or name.lower() not in COMMANDS:
        return None
    split = (part.lstrip("=").partition("=") for part in properties.strip(_SPACE).split(separator))
    # Several '=' count as one, and a key without a value is dropped: .NET's RemoveEmptyEntries.
    pairs = {key.lower(): _unescape(value.lstrip("="), property_escapes) for key, _, value in split if key and value}
    return Command(name.lower(), pairs, _unescape(data, data_escapes))


def _unescape(text: str, escapes: _Escapes) -> str:
    for escaped, plain in escapes:
        text = text.replace(escaped, plain)
    return text


def mask(text: str, secrets: Sequence[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def output_lines(text: str) -> list[str]:
    """Return the lines that the runner reads; only LF, CR, and CRLF end a line."""
    lines = re.split(r"\r\n|\r|\n", text)
    return lines if lines[-1] else lines[:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    level: Level
    message: str
    title: str | None = None
    file: str | None = None
    line: int | None = None


class CommandError(Exception):
    """A command file that makes its step fail."""


@dataclass(slots=True, kw_only=True)
class StepLog:
    """The log of one step. `counts` has all annotations of a level; `errors` make the step fail with any exit code."""

    workspace: Path
    masks: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def feed(self, line: str) -> None:
        command = parse_command(line)
        if command is None:
            self.lines.append(mask(line, self.masks))
            return
        self.commands.append(command)
        match command.name:
            case "error" | "warning" | "notice" as level:
                self.issue(level, command.data, command.properties)
            case "add-mask" if command.data.strip(_SPACE):
                self.masks += [command.data, *filter(None, output_lines(command.data))]
            case _:
                self.fail(f"a command that the action does not use: {line!r}")

    def issue(self, level: Level, message: str, properties: Mapping[str, str] = {}) -> None:
        """Log an issue and store its annotation; as on GitHub, only the message is masked."""
        file, line = properties.get("file"), properties.get("line", "")
        made = Annotation(
            level=level,
            message=mask(message, self.masks)[:MESSAGE_LIMIT],
            title=properties.get("title"),
            file=file and file.removeprefix(f"{self.workspace}/"),
            line=int(line) if line.isdecimal() else None,
        )
        self.lines.append(f"##[{level}]{made.message}")
        if self.counts[level] < ANNOTATIONS_PER_LEVEL:
            self.annotations.append(made)
        self.counts[level] += 1

    def fail(self, error: str) -> None:
        self.issue("error", error)
        self.errors.append(error)


def file_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each entry of an output file; only LF ends a line.

    Raises CommandError at the first invalid entry; the entries before it count.
    """
    lines = iter(text.split("\n"))
    for line in filter(None, lines):
        found = re.fullmatch(r"(?s)(.+?)(=|<<)(.*)", line)
        if not found or (found[2] == "<<" and not found[3]):
            raise CommandError(f"neither NAME=VALUE nor NAME<<DELIMITER: {line!r}")
        yield found[1], _heredoc(lines, found[3]) if found[2] == "<<" else found[3]


def _heredoc(lines: Iterator[str], delimiter: str) -> str:
    value: list[str] = []
    for line in lines:
        if line == delimiter:
            return "\n".join(value)
        value.append(line)
    raise CommandError(f"the delimiter {delimiter!r} never comes")


def _text(path: Path) -> str:
    # The runner replaces invalid UTF-8, and accepts that a step has removed the file.
    return path.read_bytes().decode("utf-8", errors="replace").removeprefix("\ufeff") if path.exists() else ""


def _summary(path: Path, log: StepLog) -> str:
    size = path.stat().st_size if path.exists() else 0
    if size > SUMMARY_LIMIT:
        log.issue("error", f"a summary of {size} bytes is over the limit of {SUMMARY_LIMIT}")
        return ""
    return "".join(f"{mask(line, log.masks)}\n" for line in output_lines(_text(path)))


def pull_request_event(*, number: int = 42, head_sha: str = HEAD_SHA, base_sha: str = BASE_SHA) -> Event:
    repository = {"full_name": "octo-org/agents", "default_branch": "main"}
    user = {"login": "contributor", "type": "User"}
    head = {"ref": "refunds", "sha": head_sha, "repo": repository}
    base = {"ref": "main", "sha": base_sha, "repo": repository}
    pull = {"number": number, "state": "open", "user": user, "merge_commit_sha": MERGE_SHA, "head": head, "base": base}
    return {"action": "synchronize", "number": number, "pull_request": pull, "repository": repository, "sender": user}


def _context_variables(event_name: str, event: Mapping[str, Any], workspace: Path) -> dict[str, str]:
    if event_name in {"pull_request", "pull_request_review"} and "pull_request" in event:
        sha, ref = MERGE_SHA, f"refs/pull/{event['pull_request']['number']}/merge"
    else:
        sha, ref = event.get("after", BASE_SHA), event.get("ref", "refs/heads/main")
    run = {"ACTOR": "contributor", "EVENT_NAME": event_name, "REF": ref, "SHA": sha, "WORKSPACE": str(workspace)}
    run |= {"API_URL": "https://api.github.com", "SERVER_URL": "https://github.com"}
    return run | {"REPOSITORY": "octo-org/agents", "RUN_ATTEMPT": "1", "RUN_ID": "8100200300"}


def input_variable(name: str) -> str:
    """Return the environment variable of an input; spaces become `_`, dashes remain."""
    return f"INPUT_{name.replace(' ', '_').upper()}"


@dataclass(slots=True, kw_only=True)
class StepResult(StepLog):
    """The result of a step. `log` is the masked text that a user sees, and `raw_log` is all that the step wrote."""

    exit_code: int = -1
    raw_log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    @property
    def gates(self) -> list[dict[str, Any]]:
        return list(json.loads(self.outputs["gates"]))

    @property
    def gate(self) -> dict[str, Any]:
        [gate] = self.gates
        return gate

    def messages(self, level: Level) -> list[str]:
        return [shown.message for shown in self.annotations if shown.level == level]


class StepOptions(TypedDict, total=False):
    """What a workflow sets for a step.

    Unlike on GitHub, `env` also replaces the runner's own variables, so that GITHUB_API_URL can be on loopback. `files`
    are written into the workspace first. `token` is the value of `${{ github.token }}`. `temp` is RUNNER_TEMP, by
    default beside the workspace. `process` starts a process of its own, and `launch` returns the command and the
    variables of that process, from the variables of the step.
    """

    workspace: Required[Path]
    inputs: Mapping[str, str]
    event_name: str
    event: Mapping[str, Any] | None
    env: Mapping[str, str]
    files: Mapping[str, str | bytes]
    secrets: Sequence[str]
    token: str
    temp: Path
    action_yml: Path
    entrypoint: Path
    launch: Callable[[Mapping[str, str]], tuple[list[str], dict[str, str]]]
    process: bool


@dataclass(frozen=True, slots=True)
class RunningStep:
    """A running step; leaving it as a context manager ends it. `files` are its command files and its log.

    `wait` returns the exit status, or None if the step is still running after so many seconds.
    """

    result: StepResult
    files: Mapping[str, Path]
    send_signal: Callable[[int], None]
    wait: Callable[[float], int | None]
    end: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def raw_log(self) -> str:
        return self.files["LOG"].read_bytes().decode("utf-8", errors="replace")

    def wait_for(self, ready: str | Callable[[], object], timeout: float = 20) -> None:
        """Return when the log has a text or a condition is true; raises AssertionError after `timeout` seconds."""
        until = time.monotonic() + timeout
        while not (ready in self.raw_log if isinstance(ready, str) else ready()):
            assert time.monotonic() < until, f"{ready} is not true within {timeout} s; the log:\n{self.raw_log}"
            time.sleep(0.01)

    def finish(self, timeout: float = 60) -> StepResult:
        """Return the result when the step has ended; raises AssertionError after `timeout` seconds."""
        exit_code = self.wait(timeout)
        assert exit_code is not None, f"the step is still running after {timeout} s; its log:\n{self.raw_log}"
        self.end()
        result = self.result
        result.exit_code, result.raw_log = exit_code, self.raw_log
        for line in output_lines(result.raw_log):
            result.feed(line)
        try:
            result.outputs.update(file_pairs(_text(self.files["OUTPUT"])))
        except CommandError as error:
            result.fail(f"the output file is malformed: {error}")
        result.summary = _summary(self.files["STEP_SUMMARY"], result)
        for name in ("STATE", "ENV", "PATH"):
            if _text(self.files[name]):
                result.fail(f"the action does not write to GITHUB_{name}")
        return result


def _in_process(
    command: Sequence[str], environ: Mapping[str, str], result: StepResult, files: Mapping[str, Path]
) -> RunningStep:
    with files["LOG"].open("ab") as stream:
        process = subprocess.Popen(
            command,
            env={**inherited(), **environ},
            cwd=result.workspace,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for_exit(timeout: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout)
        return process.returncode

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also child processes, which a container would end
        process.wait()

    return RunningStep(result, files, process.send_signal, wait_for_exit, end)


def _in_thread(environ: Mapping[str, str], result: StepResult, files: Mapping[str, Path]) -> RunningStep:
    signals = Signals()

    def run() -> int:
        with files["LOG"].open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return run_step(environ, stream, signals)

    exit_code = start_thread(run)

    def end() -> None:
        if not exit_code.done():
            signals.receive(signal.SIGTERM)
            wait([exit_code], SIGNAL_GRACE)

    return RunningStep(
        result, files, signals.receive, lambda s: exit_code.result() if wait([exit_code], s).done else None, end
    )


def start_action(**step: Unpack[StepOptions]) -> RunningStep:
    """Start the action and return at once; StepOptions documents the arguments.

    It runs in a thread of this process, unless `process`, `entrypoint`, `launch`, or GATE_ENTRYPOINT is set.
    """
    workspace, event_name, token = step["workspace"], step.get("event_name", "pull_request"), step.get("token", TOKEN)
    event = step.get("event")
    if event is None:
        event = pull_request_event()
        if not event_name.startswith("pull_request"):
            event = {"repository": event["repository"], "sender": event["sender"]}
    manifest = read_manifest(step.get("action_yml", ACTION_YML).read_text())
    # A default applies only if the input is absent, and is '' if there is none. Undeclared inputs arrive too.
    declared = {name: about.get("default", "") for name, about in manifest["inputs"].items()}
    defaults = {name: text.replace("${{ github.token }}", token) for name, text in declared.items()}
    inputs = {**defaults, **step.get("inputs", {})}
    temp = step["temp"] if "temp" in step else Path(tempfile.mkdtemp(prefix="_temp-", dir=workspace.parent))
    workspace.mkdir(parents=True, exist_ok=True)
    (temp / "_runner_file_commands").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=temp / "_runner_file_commands"))
    files = {name: folder / name.lower() for name in FILES}
    _write_all(workspace, step.get("files", {}))
    _write_all(temp, {"_github_workflow/event.json": json.dumps(event, ensure_ascii=False)})
    (temp / "_github_home").mkdir(exist_ok=True)
    context = _context_variables(event_name, event, workspace) | {name: str(path) for name, path in files.items()}
    context |= {"ACTIONS": "true", "EVENT_PATH": str(temp / "_github_workflow/event.json")}
    environment = (
        dict(manifest.get("runs", {}).get("env", {}))
        | {input_variable(name): value for name, value in inputs.items()}
        | {"CI": "true", "HOME": str(temp / "_github_home"), "ACTIONS_RUNTIME_TOKEN": RUNTIME_TOKEN}
        | {"RUNNER_OS": "Linux", "RUNNER_TEMP": str(temp), "RUNNER_WORKSPACE": str(workspace.parent)}
        | {f"GITHUB_{name}": value for name, value in context.items()}
        | dict(step.get("env", {}))
    )
    result = StepResult(workspace=workspace, masks=[*filter(None, [token, RUNTIME_TOKEN, *step.get("secrets", ())])])
    files["LOG"] = folder / "log"
    for path in files.values():
        path.touch()
    if launch := step.get("launch"):
        return _in_process(*launch(environment), result, files)
    entrypoint = step.get("entrypoint", ENTRYPOINT)
    if entrypoint == REPOSITORY / "entrypoint.py" and not step.get("process"):
        return _in_thread(environment, result, files)
    return _in_process([sys.executable, "-I", str(entrypoint)], environment, result, files)


@cache
def read_manifest(text: str) -> dict[str, Any]:
    return dict(yaml.load(text, yaml.BaseLoader))  # noqa: S506 - BaseLoader makes only texts, lists and mappings


def run_action(*, timeout: float = 60, **step: Unpack[StepOptions]) -> StepResult:
    """Run the action to its end; raises AssertionError with the log after `timeout` seconds."""
    with start_action(**step) as running:
        return running.finish(timeout)


def interrupt(ready: str | Callable[[], object], *signals: int | str, **step: Unpack[StepOptions]) -> StepResult:
    """Run the action, and send SIGTERM or these signals when the log has a text or a condition is true.

    A text among the signals is waited for too: two signals at one moment may be handled in either order.
    """
    with start_action(**step) as running:
        running.wait_for(ready)
        for number in signals or (signal.SIGTERM,):
            if isinstance(number, str):
                running.wait_for(number)
            else:
                running.send_signal(number)
        return running.finish(6)


def run_cli(args: Sequence[str], env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sepurux_action", *args]
    env = {**inherited(), "PYTHONPATH": str(REPOSITORY), "HOME": str(cwd), **env}
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, encoding="utf-8", timeout=60, check=False)


def run_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words, env = ["/bin/bash", "-c", command], {**inherited(), "PYTHONPATH": f"{folder}:{REPOSITORY}"}
    return subprocess.run(words, env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}


def _write_all(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
