"""The runner's Python that a composite step chooses, and the environment that the steps of a job share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.flows.composite_job import COMPOSITE, NO_INDEX, PYTHON, Job, a_copy, launch, python, tool
from tests.runner import run_action


@pytest.fixture
def fresh(fresh: Job, empty: Path) -> Job:
    """Return a job before its first step, into whose environment nothing can be installed, because it has no pip."""
    tool(fresh.tools, "python3", python(empty))
    return fresh


def test_an_environment_that_was_never_finished_is_not_used(fresh: Job) -> None:
    """Without pip, the new environment gets no packages: the step reports that and leaves it unfinished."""
    for _ in range(2):
        result = fresh.run()
        assert result.exit_code == 2
        assert "The gate's packages could not be installed" in result.messages("error")[-1]
        assert result.outputs["decision"] == "error"


NO_FOLDER = "The runner's temporary folder does not exist. Set RUNNER_TEMP to a folder."
NO_INPUTS = "The inputs did not reach the gate: GATE_INPUTS is not a JSON object of texts."


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("RUNNER_OS", "Windows", "The gate runs on Linux and macOS, not on Windows. Use another runner for this job."),
        ("RUNNER_TEMP", "", NO_FOLDER),
        ("RUNNER_TEMP", "/nowhere/_temp", NO_FOLDER),
        ("GATE_INPUTS", "", NO_INPUTS),
        ("GATE_INPUTS", '{"campaign": null}', NO_INPUTS),
    ],
)
def test_a_variable_of_the_step_that_prevents_a_start_is_an_error_that_says_so(
    variable: str, value: str, message: str, job: Job
) -> None:
    def launch_broken(environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        command, usual = launch(job.action, (), environment)
        return command, {**usual, variable: value}

    step = job.step({})
    step["launch"] = launch_broken
    result = run_action(**step)
    assert (result.exit_code, result.outputs["decision"]) == (2, "error"), result.log
    [shown] = result.messages("error")
    assert shown.startswith(message)
    assert "Traceback" not in result.raw_log


def test_a_folder_of_the_action_alone_is_an_error_that_says_so(job: Job, tmp_path: Path) -> None:
    action = a_copy(tmp_path, (COMPOSITE / "start.py").read_text(encoding="utf-8"))
    without_package = replace(job, action=action).run(env=NO_INDEX)
    (tmp_path / "requirements.txt").unlink()
    without_lock = replace(job, action=action).run(env=NO_INDEX)
    for result in (without_package, without_lock):
        assert (result.exit_code, result.outputs["decision"]) == (2, "error"), result.log
        [message] = result.messages("error")
        assert message.endswith(
            "Use sepurux/gate-action/composite or a copy of the whole repository, and re-run the job."
        )
        assert "Traceback" not in result.raw_log


def test_a_package_that_is_missing_is_an_error_that_names_it(job: Job, tmp_path: Path) -> None:
    action = a_copy(tmp_path, (COMPOSITE / "start.py").read_text(encoding="utf-8"))
    (tmp_path / "sepurux_action").mkdir()
    (tmp_path / "sepurux_action" / "__init__.py").touch()
    (tmp_path / "sepurux_action" / "__main__.py").write_text("import made_up\n", encoding="utf-8")
    result = replace(job, action=action).run(env=NO_INDEX)
    assert (result.exit_code, result.outputs["decision"]) == (2, "error"), result.log
    assert result.messages("error")[0].startswith(
        "The gate's files or packages are incomplete: there is no module made_up."
    )


def test_another_lock_has_another_environment(job: Job, tmp_path: Path) -> None:
    """The Python of this job creates no environment and writes down where it should be."""
    asked = tmp_path / "asked"
    fails = f'case "$*" in *"-m venv"*) echo "$@" >"{asked}"; exit 1;; esac'
    tool(tmp_path / "tools", "python3", f'#!/bin/sh\n{fails}\nexec "{PYTHON}" "$@"\n')
    action = a_copy(tmp_path, "")
    with (tmp_path / "requirements.txt").open("a", encoding="utf-8") as lock:
        lock.write("# another\n")
    result = replace(job, action=action, tools=tmp_path / "tools").run()
    assert (result.exit_code, len(result.messages("error"))) == (2, 1), result.log
    assert "could not make a virtual environment" in result.messages("error")[0]
    environment = Path(asked.read_text(encoding="utf-8").strip().partition("--clear ")[2])
    assert environment.parent == job.temp
    assert environment not in job.environments


def pretended(what: str) -> str:
    """Return a Python that differs in one way and passes the first check of run.sh."""
    return (
        f"#!{PYTHON} -I\nimport sys\n{what}\nassert sys.argv[1:3] == ['-I', '-c']\n"
        "code = sys.argv[3]\nsys.argv[:4] = ['-c']\nexec(code)\n"
    )


def test_a_checkout_chooses_no_python_by_a_relative_entry_of_path(fresh: Job, tmp_path: Path) -> None:
    """It is called in the temporary folder, and again to create the environment, which stays without packages."""
    trapped = tmp_path / "trapped"
    path = f"bin{os.pathsep}{os.pathsep}{fresh.tools}{os.pathsep}{os.environ['PATH']}"
    script = f'#!/bin/sh\n>"{trapped}"\nexec "{PYTHON}" "$@"\n'
    for folder in (fresh.workspace, fresh.workspace / "bin"):
        folder.mkdir(parents=True)
        tool(folder, "python3", script)
    assert "could not be installed" in fresh.run(env={"PATH": path}).log
    assert not trapped.exists()


TOO_OLD = "sys.version_info = (3, 9, 18)"


@pytest.mark.parametrize("what", [TOO_OLD, "sys.modules['ensurepip'] = None"])
def test_a_runner_without_a_suitable_python_gets_the_hint_to_set_one_up(what: str, job: Job, tmp_path: Path) -> None:
    for name in ("python3", "python"):
        tool(tmp_path / "tools", name, pretended(what))
    result = replace(job, tools=tmp_path / "tools").run()
    assert result.exit_code == 2
    (message,) = result.messages("error")
    assert "No Python 3.11 or newer" in message
    assert "actions/setup-python" in message
    expected = {"decision": "error", "conclusion": "failure", "reason": message, "gates": "[]"}
    assert result.outputs == expected, "the outputs without a result, without the empty ones"


def test_a_python_that_does_not_fit_is_passed_over_for_the_next(job: Job, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tool(tools, "python3", pretended(TOO_OLD))
    tool(tools, "python", f'#!/bin/sh\nexec "{PYTHON}" "$@"\n')
    result = replace(job, action=a_copy(tmp_path, "print('started')\n"), tools=tools).run(env=NO_INDEX)
    assert (result.exit_code, result.raw_log) == (0, "started\n"), result.log
