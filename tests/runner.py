"""A GitHub runner for tests: starts a step, and reads its log and its command files as the runner does.

The rules are those of the runner's source (ActionCommandManager, FileCommandManager, ActionRunner,
ContainerActionHandler). Problem matchers, composite steps, and the translation of container paths are left out. A step
gets only the variables of the test's environment that INHERITED names.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NoReturn, Required, Self, TypedDict, Unpack, cast

import yaml

from sepurux_action.app import run_step
from sepurux_action.host.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from types import TracebackType

REPOSITORY = Path(__file__).resolve().parents[1]
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
LOG_GRACE = 0.5  # seconds to read the rest of the log after the process has ended
MASKED_STOP_TOKEN = 7  # characters; a stop-commands token of this length or more is masked

Level = Literal["error", "warning", "notice"]
Event = dict[str, Any]


# --- Workflow commands -------------------------------------------------------------------------------------

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


@dataclass(frozen=True, slots=True)
class Command:
    """A workflow command as the runner parses it: name and keys in lower case, texts unescaped."""

    name: str
    properties: dict[str, str]
    data: str


def parse_command(line: str, known: Collection[str] = COMMANDS) -> Command | None:
    """Return the command in one line of output, or None.

    `known` contains the names of commands in lower case; a line with another name is not a command.
    """
    return _parse_v2(line, known) or _parse_v1(line, known)


def _parse_v2(line: str, known: Collection[str]) -> Command | None:
    text = line.lstrip(_SPACE)
    if not text.startswith("::"):
        return None
    info, mark, data = text[2:].partition("::")
    name, _, properties = info.partition(" ")
    if not mark or name.lower() not in known:
        return None
    pairs = _properties(properties.strip(_SPACE), ",", _PROPERTY_ESCAPES)
    return Command(name.lower(), pairs, _unescape(data, _DATA_ESCAPES))


def _parse_v1(line: str, known: Collection[str]) -> Command | None:
    _, prefix, rest = line.partition("##[")
    info, mark, data = rest.partition("]")
    name, _, properties = info.partition(" ")
    if not prefix or not mark or name.lower() not in known:
        return None
    return Command(name.lower(), _properties(properties, ";", _V1_ESCAPES), _unescape(data, _V1_ESCAPES))


def _properties(text: str, separator: str, escapes: Sequence[tuple[str, str]]) -> dict[str, str]:
    split = (part.lstrip("=").partition("=") for part in text.split(separator))
    # Several '=' count as one, and a key without a value is dropped: .NET's RemoveEmptyEntries.
    return {key.lower(): _unescape(value.lstrip("="), escapes) for key, _, value in split if key and value}


def _unescape(text: str, escapes: Sequence[tuple[str, str]]) -> str:
    for escaped, plain in escapes:
        text = text.replace(escaped, plain)
    return text


def mask(text: str, secrets: Collection[str]) -> str:
    """Return the text with `***` for each secret; overlapping secrets become one."""
    if not any(secret in text for secret in secrets):
        return text
    covered = bytearray(len(text))
    for secret in secrets:
        for found in re.finditer(f"(?={re.escape(secret)})", text):
            covered[found.start() : found.start() + len(secret)] = b"\1" * len(secret)
    groups = groupby(zip(text, covered, strict=True), key=lambda pair: pair[1])
    return "".join("***" if hidden else "".join(char for char, _ in pairs) for hidden, pairs in groups)


def output_lines(text: str) -> list[str]:
    """Return the lines that the runner reads; only LF, CR, and CRLF end a line."""
    lines = re.split(r"\r\n|\r|\n", text)
    return lines if lines[-1] else lines[:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """An annotation as GitHub shows it; lines and columns count from 1."""

    level: Level
    message: str
    title: str | None = None
    file: str | None = None
    line: int | None = None
    end_line: int | None = None
    col: int | None = None
    end_col: int | None = None


def annotation(level: Level, message: str, properties: Mapping[str, str], workspace: Path) -> Annotation:
    """Return the annotation of an issue command, without positions that the runner drops as invalid."""
    line, end_line = _number(properties.get("line")), _number(properties.get("endline"))
    col, end_col = _number(properties.get("col")), _number(properties.get("endcolumn"))
    line, col = line or end_line, col or end_col
    if line is None or (end_line is not None and line != end_line):
        col = end_col = None
    if line is not None and end_line is not None and end_line < line:
        line = end_line = None
    if col is not None and end_col is not None and end_col < col:
        col = end_col = None
    file = properties.get("file")
    return Annotation(
        level=level,
        message=message[:MESSAGE_LIMIT],
        title=properties.get("title"),
        file=file and file.removeprefix(f"{workspace}/"),
        line=line,
        end_line=end_line,
        col=col,
        end_col=end_col,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\s*[+-]?[0-9]+\s*", text) else None


class CommandError(Exception):
    """A workflow command or a command file that makes its step fail."""


@dataclass(slots=True, kw_only=True)
class StepLog:
    """The log of one step, which reads one line after the other.

    `masks` contains the secrets so far, `lines` the text that a user sees, `counts` the number of all annotations of a
    level, also after the first ten, and `injected` what `set-output` set.
    """

    workspace: Path
    masks: list[str] = field(default_factory=list)
    debug: bool = False
    lines: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    injected: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    echo: bool = False
    stop_token: str | None = None

    def feed(self, line: str) -> None:
        """Read one line of the step's output."""
        known = COMMANDS if self.stop_token is None else {*COMMANDS, self.stop_token}
        command = parse_command(line, known)
        if command is None or (self.stop_token is not None and command.name != self.stop_token):
            self.say(line)
            return
        self.commands.append(command)
        if self.stop_token is not None:
            self.stop_token = None
            self.say(line)
            return
        if self.echo and command.name not in {"add-mask", "debug", "error", "warning", "notice", "stop-commands"}:
            self.say(line)
        try:
            self._execute(command, line)
        except CommandError as error:
            shown = command.name if command.name == "add-mask" else line
            self.fail(f"command {shown!r} could not be carried out", error)

    def say(self, text: str) -> None:
        """Add text to the log, with the secrets so far masked."""
        self.lines.append(mask(text, self.masks))

    def issue(self, level: Level, message: str, properties: Mapping[str, str] | None = None) -> None:
        """Log an issue and store its annotation; as on GitHub, only the message is masked."""
        made = annotation(level, mask(message, self.masks), properties or {}, self.workspace)
        self.lines.append(f"##[{level}]{made.message}")
        if self.counts[level] < ANNOTATIONS_PER_LEVEL:
            self.annotations.append(made)
        self.counts[level] += 1

    def fail(self, what: str, error: CommandError) -> None:
        """Store an error that makes the step fail with any exit code."""
        self.issue("error", what)
        self.issue("error", str(error))
        self.errors.append(f"{what}: {error}")

    def _execute(self, command: Command, line: str) -> None:
        match command.name:
            case "error" | "warning" | "notice" as level:
                self.issue(level, command.data, command.properties)
            case "debug":
                if self.debug:
                    self.say(f"##[debug]{command.data}")
            case "group" | "endgroup" as name:
                self.say(f"##[{name}]{command.data if name == 'group' else ''}")
            case "add-mask":
                self._add_mask(command.data)
            case "stop-commands":
                self._stop(command.data, line)
            case "set-output" | "save-state":
                self._set(command)
            case "echo":
                self._set_echo(command.data)
            case _ as name:
                # set-env and add-path are disabled on GitHub; the action uses no problem matchers.
                raise CommandError(f"{name} is disabled")

    def _set(self, command: Command) -> None:
        name = command.properties.get("name")
        if not name:
            raise CommandError(f"{command.name} without a name")
        if command.name == "set-output":
            self.injected[name] = command.data
        self.issue("warning", f"{command.name} is deprecated; outputs and state belong into their files")

    def _add_mask(self, value: str) -> None:
        if not value.strip(_SPACE):
            self.issue("warning", "add-mask without a value masks nothing")
            return
        if self.echo:
            self.say("::add-mask::***")
        self.masks += [value, *filter(None, output_lines(value))]

    def _stop(self, token: str, line: str) -> None:
        if not token or token.lower() in COMMANDS or token.lower() == "pause-logging":
            raise CommandError(f"stop-commands with the token {token!r}")
        if len(token) >= MASKED_STOP_TOKEN:
            self.masks.append(token)
        self.say(line)
        self.stop_token = token.lower()

    def _set_echo(self, word: str) -> None:
        states = {"on": True, "off": False}
        if word.strip(_SPACE).lower() not in states:
            raise CommandError(f"echo is neither on nor off: {word!r}")
        self.echo = states[word.strip(_SPACE).lower()]


# --- Command files -----------------------------------------------------------------------------------------


def file_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each entry of an output, state, or environment file; only LF ends a line.

    Raises CommandError at the first invalid entry; the entries before it count.
    """
    lines = _Lines(text)
    while (line := lines.take()) is not None:
        if not line:
            continue
        name, mark, rest = _split_entry(line)
        if not name or (mark == "<<" and not rest):
            raise CommandError(f"no name or no delimiter in {line!r}")
        yield name, _heredoc(lines, rest) if mark == "<<" else rest


@dataclass(slots=True)
class _Lines:
    text: str
    at: int = 0
    ended: bool = True  # whether the last line had a line feed

    def take(self) -> str | None:
        if self.at >= len(self.text):
            return None
        feed = self.text.find("\n", self.at)
        self.ended = feed >= 0
        end = feed if self.ended else len(self.text)
        line, self.at = self.text[self.at : end], end + 1
        return line


def _split_entry(line: str) -> tuple[str, str, str]:
    if not (found := re.search("=|<<", line)):
        raise CommandError(f"neither NAME=VALUE nor NAME<<DELIMITER: {line!r}")
    return line[: found.start()], found[0], line[found.end() :]


def _heredoc(lines: _Lines, delimiter: str) -> str:
    value = []
    while (line := lines.take()) != delimiter:
        if line is None:
            raise CommandError(f"the delimiter {delimiter!r} never comes")
        if not lines.ended:
            raise CommandError(f"the file ends inside the value before {delimiter!r}, without a line feed")
        value.append(line)
    return "\n".join(value)


_FILE_PREFIXES = {
    "OUTPUT": "set_output_",
    "STATE": "save_state_",
    "ENV": "set_env_",
    "PATH": "add_path_",
    "STEP_SUMMARY": "step_summary_",
}


def _create_command_files(folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    suffix = uuid.uuid4()
    files = {name: folder / f"{prefix}{suffix}" for name, prefix in _FILE_PREFIXES.items()}
    for path in files.values():
        path.touch(exist_ok=False)
    return files


def _text(path: Path) -> str:
    # The runner replaces invalid UTF-8, and accepts that a step has removed the file.
    if not path.exists():
        return ""
    return path.read_bytes().decode("utf-8", errors="replace").removeprefix("\ufeff")


def _process_pairs(name: str, path: Path, log: StepLog) -> dict[str, str]:
    pairs: dict[str, str] = {}
    try:
        pairs.update(file_pairs(_text(path)))
    except CommandError as error:
        log.fail(f"the file of GITHUB_{name} is malformed", error)
    return pairs


def _process_summary(path: Path, log: StepLog) -> str:
    size = path.stat().st_size if path.exists() else 0
    if size > SUMMARY_LIMIT:
        log.issue("error", f"a summary of {size} bytes is over the limit of {SUMMARY_LIMIT}")
        return ""
    return "".join(f"{mask(line, log.masks)}\n" for line in output_lines(_text(path)))


# --- Events ------------------------------------------------------------------------------------------------


def _repository(full_name: str, *, fork: bool) -> Event:
    owner, name = full_name.split("/")
    return {
        "id": 7001 if fork else 7000,
        "name": name,
        "full_name": full_name,
        "fork": fork,
        "private": False,
        "default_branch": "main",
        "html_url": f"https://github.com/{full_name}",
        "owner": {"login": owner, "type": "User" if fork else "Organization"},
    }


def pull_request_event(
    *, number: int = 42, head_sha: str = HEAD_SHA, base_sha: str = BASE_SHA, fork: bool = False
) -> Event:
    """Return the payload of a `pull_request` event of octo-org/agents, with the fields that GitHub always sends."""
    repository = _repository("octo-org/agents", fork=False)
    head_repository = _repository("contributor/agents", fork=True) if fork else repository
    url = f"https://github.com/octo-org/agents/pull/{number}"
    return {
        "action": "synchronize",
        "number": number,
        "pull_request": {
            "id": 900_000 + number,
            "number": number,
            "state": "open",
            "draft": False,
            "title": "Let the agent refund orders",
            "body": None,
            "html_url": url,
            "user": {"login": "contributor", "type": "User"},
            "merge_commit_sha": MERGE_SHA,
            "head": {
                "ref": "refunds",
                "sha": head_sha,
                "label": f"{head_repository['owner']['login']}:refunds",
                "repo": head_repository,
            },
            "base": {"ref": "main", "sha": base_sha, "label": "octo-org:main", "repo": repository},
        },
        "repository": repository,
        "sender": {"login": "contributor", "type": "User"},
    }


_MERGE_REF_EVENTS = {"pull_request", "pull_request_review"}


def _ref_variables(event_name: str, event: Mapping[str, Any]) -> dict[str, str]:
    pull, group = event.get("pull_request"), event.get("merge_group")
    branches = {"HEAD_REF": pull["head"]["ref"], "BASE_REF": pull["base"]["ref"]} if pull else {}
    if pull and event_name in _MERGE_REF_EVENTS:
        number = pull["number"]
        return {"SHA": MERGE_SHA, "REF": f"refs/pull/{number}/merge", "REF_NAME": f"{number}/merge"} | branches
    if group:
        ref, sha = group["head_ref"], group["head_sha"]
    elif pull:
        ref, sha = f"refs/heads/{pull['base']['ref']}", pull["base"]["sha"]
    else:
        ref, sha = event.get("ref", "refs/heads/main"), event.get("after", BASE_SHA)
    return {
        "SHA": sha,
        "REF": ref,
        "REF_NAME": ref.removeprefix("refs/heads/"),
        "HEAD_REF": "",
        "BASE_REF": "",
    } | branches


def _context_variables(event_name: str, event: Mapping[str, Any], workspace: Path) -> dict[str, str]:
    return {
        "ACTION": "gate",
        "ACTION_REF": "v1",
        "ACTION_REPOSITORY": "sepurux/gate-action",
        "ACTOR": "contributor",
        "ACTOR_ID": "501",
        "API_URL": "https://api.github.com",
        "EVENT_NAME": event_name,
        "GRAPHQL_URL": "https://api.github.com/graphql",
        "JOB": "gate",
        "REF_PROTECTED": "false",
        "REF_TYPE": "branch",
        "REPOSITORY": "octo-org/agents",
        "REPOSITORY_ID": "7000",
        "REPOSITORY_OWNER": "octo-org",
        "REPOSITORY_OWNER_ID": "70",
        "RETENTION_DAYS": "90",
        "RUN_ATTEMPT": "1",
        "RUN_ID": "8100200300",
        "RUN_NUMBER": "12",
        "SERVER_URL": "https://github.com",
        "TRIGGERING_ACTOR": "contributor",
        "WORKFLOW": "reliability",
        "WORKFLOW_REF": "octo-org/agents/.github/workflows/reliability.yml@refs/heads/main",
        "WORKFLOW_SHA": BASE_SHA,
        "WORKSPACE": str(workspace),
    } | _ref_variables(event_name, event)


# --- Inputs ------------------------------------------------------------------------------------------------


def resolve_inputs(
    manifest: Mapping[str, Any], given: Mapping[str, str], token: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the value of every input, and the names that action.yml does not declare, which the step gets too.

    A default applies only if the input is absent; without a default the value is ''. Names are compared
    case-insensitively. Raises ValueError for a default with an expression other than `${{ github.token }}`.
    """
    declared = manifest.get("inputs") or {}
    names = {name.lower() for name in given}
    values = dict(given)
    for name, about in declared.items():
        if name.lower() not in names:
            values[name] = _default(name, (about or {}).get("default", ""), token)
    accepted = {*map(str.lower, declared), "entrypoint", "args"}
    return values, tuple(name for name in given if name.lower() not in accepted)


def _default(name: str, text: str, token: str) -> str:
    value = re.sub(r"\$\{\{\s*github\.token\s*\}\}", lambda _: token, text)
    if "${{" in value:
        raise ValueError(f"default of input {name} has an expression that is not supported here: {text}")
    return value


def input_variable(name: str) -> str:
    """Return the environment variable of an input; spaces become `_`, dashes remain."""
    return f"INPUT_{name.replace(' ', '_').upper()}"


# --- Running -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """The result of a step.

    `log` is the masked text that a user sees, and `raw_log` is all that the step wrote. `annotations` are the first ten
    of each level; `annotation_counts` counts all. `outputs`, `state`, `exports`, and `paths` come from the command
    files, `injected_outputs` from `set-output` in the log. `command_errors` make the step fail.
    """

    exit_code: int
    conclusion: Literal["success", "failure"]
    log: str
    raw_log: str
    commands: tuple[Command, ...]
    annotations: tuple[Annotation, ...]
    annotation_counts: dict[str, int]
    outputs: dict[str, str]
    injected_outputs: dict[str, str]
    state: dict[str, str]
    exports: dict[str, str]
    paths: tuple[str, ...]
    summary: str
    masks: tuple[str, ...]
    unknown_inputs: tuple[str, ...]
    command_errors: tuple[str, ...]

    def messages(self, level: Level) -> list[str]:
        """Return the messages of the annotations of one level, in order."""
        return [shown.message for shown in self.annotations if shown.level == level]


class StepOptions(TypedDict, total=False):
    """What a workflow sets for a step.

    `env` is what `env:` and GITHUB_ENV of earlier steps set. Unlike on GitHub, it also replaces the runner's own
    variables, so that a test can point GITHUB_API_URL to loopback. `files` are written into the workspace first.
    `secrets` are masked from the start. `token` is the value of `${{ github.token }}`. `temp` is RUNNER_TEMP, by
    default a new folder beside the workspace. `process` starts a process of its own. `launch` returns the command and
    the variables of that process, from the variables of the step.
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


class RunningStep(ABC):
    """A running step; leaving it as a context manager ends it."""

    def __init__(self, log: StepLog, files: Mapping[str, Path], unknown: tuple[str, ...]) -> None:
        self._log = log
        self._files = files
        self._unknown = unknown
        self._written = bytearray()
        self._ended = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    @property
    def raw_log(self) -> str:
        """Everything that the step has written so far."""
        with self._changed:
            return self._written.decode("utf-8", errors="replace")

    @abstractmethod
    def send_signal(self, number: int) -> None:
        """Send a signal to the step only, as Docker does to a container's first process."""

    @abstractmethod
    def _wait(self, timeout: float) -> int | None:
        """Return the exit status, or None if the step is still running after `timeout` seconds."""

    @abstractmethod
    def _end(self) -> None:
        """End the step if it is still running."""

    def wait_for_log(self, text: str, timeout: float = 10) -> None:
        """Return when the text has been written; raises AssertionError after `timeout` seconds."""
        wanted = text.encode()
        with self._changed:
            self._changed.wait_for(lambda: wanted in self._written or self._ended, timeout)
            found = wanted in self._written
        if not found:
            self._give_up(f"{text!r} was not written within {timeout} s")

    def finish(self, timeout: float = 60) -> StepResult:
        """Return the result when the step has ended; raises AssertionError after `timeout` seconds."""
        exit_code = self._wait(timeout)
        if exit_code is None:
            self._give_up(f"the step is still running after {timeout} s")
        self._end()
        return self._result(exit_code)

    def _give_up(self, what: str) -> NoReturn:
        self._end()
        raise AssertionError(f"{what}; its log:\n{self.raw_log}")

    def _append(self, chunk: bytes) -> None:
        with self._changed:
            self._written += chunk
            self._changed.notify_all()

    def _close_log(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _result(self, exit_code: int) -> StepResult:
        log, raw_log = self._log, self.raw_log
        for line in output_lines(raw_log):
            log.feed(line)
        outputs, state, exports = (_process_pairs(name, self._files[name], log) for name in ("OUTPUT", "STATE", "ENV"))
        paths = tuple(filter(None, output_lines(_text(self._files["PATH"]))))
        summary = _process_summary(self._files["STEP_SUMMARY"], log)
        return StepResult(
            exit_code=exit_code,
            conclusion="success" if exit_code == 0 and not log.errors else "failure",
            log="\n".join(log.lines),
            raw_log=raw_log,
            commands=tuple(log.commands),
            annotations=tuple(log.annotations),
            annotation_counts=dict(log.counts),
            outputs=outputs,
            injected_outputs=log.injected,
            state=state,
            exports=exports,
            paths=paths,
            summary=summary,
            masks=tuple(log.masks),
            unknown_inputs=self._unknown,
            command_errors=tuple(log.errors),
        )


class ProcessStep(RunningStep):
    """A step in a process of its own, for what only a process can show, such as signals."""

    def __init__(
        self, process: subprocess.Popen[bytes], log: StepLog, files: Mapping[str, Path], unknown: tuple[str, ...]
    ) -> None:
        super().__init__(log, files, unknown)
        self._process = process
        self._reader = threading.Thread(target=self._read, name="step-log")
        self._reader.start()

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def _wait(self, timeout: float) -> int | None:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def _end(self) -> None:
        if self._process.returncode is None:
            self._kill_all()
        self._process.wait()
        self._reader.join(LOG_GRACE)
        if self._reader.is_alive():  # a child process still runs, which is impossible in a container
            self._kill_all()
            self._reader.join()

    def _kill_all(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self) -> None:
        with cast("Any", self._process.stdout) as pipe:
            while chunk := pipe.read1():
                self._append(chunk)
        self._close_log()


class ThreadStep(RunningStep):
    """A step in a thread of the test's process: the same entry point without a new interpreter."""

    def __init__(
        self, environ: Mapping[str, str], log: StepLog, files: Mapping[str, Path], unknown: tuple[str, ...]
    ) -> None:
        super().__init__(log, files, unknown)
        self._signals = Signals()
        self._exit_code: int | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(environ,), name="step", daemon=True)
        self._thread.start()

    def send_signal(self, number: int) -> None:
        self._signals.receive(number)

    def _run(self, environ: Mapping[str, str]) -> None:
        stream = io.TextIOWrapper(_LogStream(self._append), "utf-8", "surrogateescape", write_through=True)
        try:
            self._exit_code = run_step(environ, stream, self._signals)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            self._error = error
        self._close_log()

    def _wait(self, timeout: float) -> int | None:
        self._thread.join(timeout)
        if self._error is not None:
            raise self._error
        return self._exit_code

    def _end(self) -> None:
        if self._thread.is_alive():
            self._signals.receive(signal.SIGTERM)
            self._thread.join(SIGNAL_GRACE)


class _LogStream(io.RawIOBase, BinaryIO):
    """The binary stream below the log of a step in a thread."""

    def __init__(self, append: Callable[[bytes], None]) -> None:
        super().__init__()
        self._append = append

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        self._append(bytes(data))
        return len(data)


def start_action(**step: Unpack[StepOptions]) -> RunningStep:
    """Start the action and return at once; StepOptions documents the arguments.

    It runs in a thread of this process, unless `process`, `entrypoint`, `launch`, or GATE_ENTRYPOINT is set.
    """
    workspace, event_name, token = step["workspace"], step.get("event_name", "pull_request"), step.get("token", TOKEN)
    event = step.get("event")
    if event is None:
        event = _default_event(event_name)
    manifest = read_manifest(step.get("action_yml", ACTION_YML).read_text())
    inputs, unknown = resolve_inputs(manifest, step.get("inputs", {}), token)
    temp = step["temp"] if "temp" in step else Path(tempfile.mkdtemp(prefix="_temp-", dir=workspace.parent))
    files = _create_command_files(temp / "_runner_file_commands")
    workspace.mkdir(parents=True, exist_ok=True)
    _write_all(workspace, step.get("files", {}))
    _write_all(temp, {"_github_workflow/event.json": json.dumps(event, ensure_ascii=False)})
    (temp / "_github_home").mkdir(exist_ok=True)
    context = _context_variables(event_name, event, workspace) | {name: str(path) for name, path in files.items()}
    context["EVENT_PATH"] = str(temp / "_github_workflow/event.json")
    environment = (
        dict(manifest.get("runs", {}).get("env", {}))
        | {input_variable(name): value for name, value in inputs.items()}
        | _runner_variables(temp, workspace)
        | {f"GITHUB_{name}": value for name, value in context.items()}
        | dict(step.get("env", {}))
    )
    log = StepLog(
        workspace=workspace,
        masks=list(filter(None, [token, RUNTIME_TOKEN, *step.get("secrets", ())])),
        debug=environment.get("RUNNER_DEBUG") == "1",
    )
    if unknown:
        log.issue("warning", f"action.yml declares no input {', '.join(map(repr, unknown))}")
    if launch := step.get("launch"):
        return ProcessStep(_spawn(*launch(environment), workspace), log, files, unknown)
    entrypoint = step.get("entrypoint", ENTRYPOINT)
    if entrypoint == REPOSITORY / "entrypoint.py" and not step.get("process"):
        return ThreadStep(environment, log, files, unknown)
    command = [sys.executable, "-I", str(entrypoint)]
    return ProcessStep(_spawn(command, environment, workspace), log, files, unknown)


@cache
def read_manifest(text: str) -> dict[str, Any]:
    """Return the content of an action.yml, with every scalar as a text."""
    manifest: dict[str, Any] = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - BaseLoader makes only texts, lists and mappings
    return manifest


def run_action(*, timeout: float = 60, **step: Unpack[StepOptions]) -> StepResult:
    """Run the action to its end; raises AssertionError with the log after `timeout` seconds."""
    with start_action(**step) as running:
        return running.finish(timeout)


def run_cli(
    args: Sequence[str], env: Mapping[str, str], cwd: Path, *, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the command line outside GitHub; return its exit code, stdout, and stderr."""
    return subprocess.run(
        [sys.executable, "-m", "sepurux_action", *args],
        env={**inherited(), "PYTHONPATH": str(REPOSITORY), "HOME": str(cwd), **env},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


def run_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of Bash in a folder, with the gate on Python's path."""
    return subprocess.run(
        ["/bin/bash", "-c", command],
        env={**inherited(), "PYTHONPATH": f"{folder}:{REPOSITORY}"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _default_event(event_name: str) -> Event:
    event = pull_request_event()
    if event_name.startswith("pull_request"):
        return event
    return {"repository": event["repository"], "sender": event["sender"]}


def inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}


def _runner_variables(temp: Path, workspace: Path) -> dict[str, str]:
    return {
        "CI": "true",
        "HOME": str(temp / "_github_home"),
        "GITHUB_ACTIONS": "true",
        "ACTIONS_RUNTIME_TOKEN": RUNTIME_TOKEN,
        "RUNNER_ARCH": "X64",
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_NAME": "GitHub Actions 1",
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": str(temp),
        "RUNNER_WORKSPACE": str(workspace.parent),
    }


def _write_all(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _spawn(command: Sequence[str], environment: Mapping[str, str], workspace: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env={**inherited(), **environment},
        cwd=workspace,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
