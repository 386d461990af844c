"""What a run is given, by a workflow or on a command line: settings, the event, and trace files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from sepurux_action.config.options import GITHUB_TOKEN, OPTIONS
from sepurux_action.config.settings import Layer, environment_layer, flag_layer, input_layer
from sepurux_action.evaluation.trace_files import WORKING_DIRECTORY, TraceFolder, working_directory
from sepurux_action.github.event import Event, parse_event
from sepurux_action.host.report_files import ReportFolders

CONTAINER_TEMP = "/github/runner_temp"  # where the runner mounts its temporary folder for a container action
TEMP_NAME = "_temp"  # of that folder on the runner, beside the folder RUNNER_WORKSPACE


@dataclass(frozen=True, slots=True)
class Invocation:
    """The layers of settings, the first of which overrides the others, the event, and the folders."""

    layers: tuple[Layer, ...]
    event: Event
    traces: TraceFolder
    report_folders: ReportFolders


def from_step(inputs: Mapping[str, str], environ: Mapping[str, str], payload: object) -> Invocation:
    """Return the invocation by a step of a workflow; traces are in the workspace or the runner's temporary folder."""
    variables = dict(environ)
    if inputs.get(GITHUB_TOKEN.name) == "":  # action.yml gives it a default, so the workflow emptied it on purpose
        variables.pop(GITHUB_TOKEN.environment, None)
    workspace, temporary = (environ.get(name, "") for name in ("GITHUB_WORKSPACE", "RUNNER_TEMP"))
    base, temp = Path(workspace) if workspace else working_directory(), Path(temporary) if temporary else None
    return Invocation(
        layers=(input_layer(inputs), environment_layer(variables)),
        event=parse_event(environ.get("GITHUB_EVENT_NAME", ""), payload, environ),
        traces=TraceFolder(base, [temp] if temp else []),
        report_folders=ReportFolders(base=base, temporary=temp, temporary_for_steps=_temporary_for_steps(environ)),
    )


def _temporary_for_steps(environ: Mapping[str, str]) -> PurePath | None:
    """Return the temporary folder as steps outside this container know it, or None if it is the same or not known.

    The runner translates RUNNER_TEMP for a container action, and leaves RUNNER_WORKSPACE as it is.
    """
    workspace = PurePosixPath(environ.get("RUNNER_WORKSPACE", ""))
    is_translated = environ.get("RUNNER_TEMP") == CONTAINER_TEMP and workspace.is_absolute()
    return workspace.parent / TEMP_NAME if is_translated else None


def from_command_line(texts: Mapping[str, str], environ: Mapping[str, str]) -> Invocation:
    """Return the invocation by a command line with these flags.

    GITHUB_REPO names the repository, as for the vendor's own command line.
    """
    ignored = {option.environment for option in OPTIONS if option.actions_only}
    variables = {name: text for name, text in environ.items() if name not in ignored}
    return Invocation(
        layers=(flag_layer(texts), environment_layer(variables)),
        event=Event(repository=environ.get("GITHUB_REPO", "").strip()),
        traces=TraceFolder(working_directory(), name=WORKING_DIRECTORY),
        report_folders=ReportFolders(base=working_directory()),
    )
