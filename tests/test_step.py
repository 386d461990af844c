"""What a step and a command line give a run: the layers of settings, the run's context, and trace files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from sepurux_action.config.options import CAMPAIGN, OPTIONS
from sepurux_action.config.settings import read_inputs
from sepurux_action.github.event import Event
from sepurux_action.step import from_command_line, from_step
from tests.runner import TRACE


@pytest.mark.parametrize("token", [{"github_token": ""}, {}], ids=["emptied", "none"])
def test_a_step_takes_settings_from_its_inputs_alone(token: dict[str, str]) -> None:
    environ = {each.environment: "1" for each in OPTIONS if each.environment} | {"GITHUB_TOKEN": "ghs_of_the_job"}
    given = {"min_pass_rate": "0.8", "campaign": "core", **token}
    (inputs,) = from_step(given, environ, {}).layers
    assert [each.texts for each in inputs.given.values()] == [{"campaign": "core"}, {"min_pass_rate": "0.8"}]
    assert read_inputs([inputs]).github_token is None


def test_traces_of_a_step_are_in_the_workspace_and_the_runners_temporary_folder(tmp_path: Path) -> None:
    for name in ("workspace/a.json", "temp/b.json"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(TRACE)
    environ = {"GITHUB_WORKSPACE": f"{tmp_path}/workspace", "RUNNER_TEMP": f"{tmp_path}/temp"}
    traces = from_step({}, environ, {}).traces()
    assert [trace.label for trace in traces.find("a.json")] == ["a.json"]
    assert [trace.label for trace in traces.find(f"{tmp_path}/temp/*.json")] == [f"{tmp_path}/temp/b.json"]


@pytest.mark.parametrize(
    ("temp", "workspace", "shown"),
    [
        ("/github/runner_temp", "/home/runner/work/agents", "/home/runner/work/_temp"),
        ("/github/runner_temp", "", None),
        ("/home/runner/work/_temp", "/home/runner/work/agents", None),
    ],
)
def test_a_container_action_shows_its_temporary_folder_as_the_runner_knows_it(
    temp: str, workspace: str, shown: str | None
) -> None:
    environ = {"GITHUB_WORKSPACE": "/github/workspace", "RUNNER_TEMP": temp, "RUNNER_WORKSPACE": workspace}
    folders = from_step({}, environ, {}).report_folders
    assert (folders.base, folders.temporary) == (Path("/github/workspace"), Path(temp))
    assert folders.temporary_for_steps == (PurePosixPath(shown) if shown else None)


def test_a_command_line_has_flags_before_the_environment_and_the_working_directory_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text(TRACE)
    monkeypatch.chdir(tmp_path)
    environ = {"SEPURUX_CAMPAIGN_ID": "of-env", "GITHUB_TOKEN": "ghs_of_no_job", "GITHUB_REPO": " octo-org/agents "}
    invocation = from_command_line({"campaign": "of-flag"}, {**environ, "RUNNER_TEMP": str(tmp_path.parent)})
    assert [each.text(CAMPAIGN) for each in invocation.layers] == ["of-flag", "of-env"]
    assert read_inputs(invocation.layers).github_token is None
    assert invocation.event == Event(repository="octo-org/agents")
    assert [trace.label for trace in invocation.traces().find("*.json")] == ["a.json"]
    assert (invocation.report_folders.base, invocation.report_folders.temporary) == (tmp_path, None)
