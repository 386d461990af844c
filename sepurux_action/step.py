"""What a step of a workflow, or a command line, is given, what it has, and what it connects to, which tests replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path, PurePosixPath

from sepurux_action.common.secret import Redactor
from sepurux_action.config.layers import Layer, environment_layer, flag_layer, input_layer
from sepurux_action.config.options import OPTIONS
from sepurux_action.config.settings import Inputs, Settings
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.evaluation.base_results import Results
from sepurux_action.evaluation.trace_files import WORKING_DIRECTORY, TraceFolder, working_directory
from sepurux_action.evaluation.transport import Transport
from sepurux_action.github.event import Event, parse_event
from sepurux_action.github.policy_source import ResolvedPolicy
from sepurux_action.github.session import GitHubSession
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.host.output import Output
from sepurux_action.host.report_files import ReportFolders

CONTAINER_TEMP = "/github/runner_temp"  # where the runner mounts its temporary folder for a container action
TEMP_NAME = "_temp"  # of that folder on the runner, beside the folder RUNNER_WORKSPACE
VARIABLE_PREFIX = "SEPURUX_"  # of the variables that a step has only if a workflow or an earlier step sets them
VARIABLES_IGNORED = (
    "These environment variables are ignored, because an earlier step can set them. Use the inputs in parentheses"
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a step, or a command line, is given. The first layer overrides the others.

    `traces` makes a folder to read from. `write_baseline` adds the results of a command line to those that were kept.
    """

    layers: tuple[Layer, ...]
    event: Event
    traces: Callable[[], TraceFolder]
    report_folders: ReportFolders
    write_baseline: bool = False


def from_step(inputs: Mapping[str, str], environ: Mapping[str, str], payload: object) -> Invocation:
    """Return the invocation by a step of a workflow; traces are in the workspace or the runner's temporary folder.

    No environment variable is a setting here, because an earlier step can set it for this one.
    """
    workspace, temporary = (environ.get(name, "") for name in ("GITHUB_WORKSPACE", "RUNNER_TEMP"))
    base, temp = Path(workspace or working_directory()), Path(temporary) if temporary else None
    # The runner translates RUNNER_TEMP for a container action, and leaves RUNNER_WORKSPACE as it is.
    on_runner = PurePosixPath(environ.get("RUNNER_WORKSPACE", ""))
    for_steps = on_runner.parent / TEMP_NAME if temporary == CONTAINER_TEMP and on_runner.is_absolute() else None
    return Invocation(
        layers=(input_layer(inputs),),
        event=parse_event(environ.get("GITHUB_EVENT_NAME", ""), payload, environ),
        traces=partial(TraceFolder, base, [*filter(None, [temp])]),
        report_folders=ReportFolders(base=base, temporary=temp, temporary_for_steps=for_steps),
    )


def ignored_variables(environ: Mapping[str, str]) -> str:
    """Return a warning that names the variables that a step ignores, and their inputs; '' if none of them is set."""
    names = {each.environment: each.name for each in OPTIONS if each.environment.startswith(VARIABLE_PREFIX)}
    listed = ", ".join(f"`{name}` (`{names[name]}`)" for name in names if environ.get(name, "").strip())
    return f"{VARIABLES_IGNORED}: {listed}." if listed else ""


def from_command_line(
    texts: Mapping[str, str], environ: Mapping[str, str], *, write_baseline: bool = False
) -> Invocation:
    """Return the invocation by these flags; GITHUB_REPO is the vendor's name for the repository."""
    return Invocation(
        layers=(flag_layer(texts), environment_layer(environ)),
        event=Event(repository=environ.get("GITHUB_REPO", "").strip()),
        traces=partial(TraceFolder, working_directory(), name=WORKING_DIRECTORY),
        report_folders=ReportFolders(base=working_directory()),
        write_baseline=write_baseline,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """What makes the parts that depend on the outside world; `now` is in UTC. PyGithub has its own place for tests."""

    transport: Callable[..., Transport] = Transport
    calls: Callable[..., ApiCalls] = ApiCalls
    timeouts: Callable[[Signals], Timeouts] = Timeouts
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """What a step, or a command line, has. `policy` and `settings` are empty until they are read.

    `kept` are the base's results by scenario, None without a file that can be used; `kept_note`: it was ignored.
    """

    invocation: Invocation
    host: Output
    signals: Signals
    connections: Connections
    redact: Redactor
    github: GitHubSession
    inputs: Inputs
    settings: Settings = field(default_factory=Settings)
    policy: ResolvedPolicy = field(default_factory=ResolvedPolicy)
    kept: Results | None = None
    kept_note: str = ""

    def with_settings(self, settings: Settings) -> Step:
        return replace(self, settings=settings, github=self.github.with_settings(settings))

    @property
    def today(self) -> date:
        """Return the day of UTC on which the step started."""
        return self.github.subject.started.date()

    @property
    def event(self) -> Event:
        return self.github.subject.event
