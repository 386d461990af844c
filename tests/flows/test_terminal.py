"""The gate on a command line, for other CI systems."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import REPOSITORY, inherited, run_cli

SECRET = "api-key-0123456789"


@pytest.mark.parametrize(("decision", "status"), [("pass", 0), ("fail", 1)])
def test_the_vendors_own_flags_and_variables_work(decision: str, status: int, tmp_path: Path) -> None:
    numbers = {"pass_rate": 0.95, "unsafe_attempts": 0, "failures": 0}
    answer = backend.json(decided(decision=decision, **numbers, reliability_score=0.9))
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        ended = run_cli(
            [
                *["--project", "P", "--campaign", "core-reliability", "--min-reliability", "80", "--timeout", "20"],
                "--api-key",
                SECRET,
            ],
            {"SEPURUX_API_BASE_URL": sepurux.url, "GITHUB_REPO": "o/r", "PR_NUMBER": "9"},
            tmp_path,
        )
        [created] = sepurux.calls("POST /v1/ci/runs")
    assert ended.returncode == status, ended.stderr
    assert (created.json()["repo"], created.json()["pull_request_number"]) == ("o/r", 9)
    assert created.json()["thresholds"] == {"max_unsafe": 0, "min_reliability_score": 80.0}
    assert created.headers["x-api-key"] == SECRET
    assert "x-sepurux-token" not in created.headers
    assert ended.stdout.startswith("## ")
    assert f"{decision} after " in ended.stderr
    assert "::" not in ended.stdout + ended.stderr
    assert "pr_number" not in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr


def test_bad_flags_are_reported_all_at_once_under_their_own_names(tmp_path: Path) -> None:
    ended = run_cli(["--min-pass-rate", "eighty", "--max-unsafe", "x"], {"SEPURUX_TIMEOUT_SECONDS": "0"}, tmp_path)
    assert ended.returncode == 2
    for where in ("--campaign", "--min-pass-rate", "--max-unsafe", "SEPURUX_TIMEOUT_SECONDS"):
        assert where in ended.stderr


@pytest.mark.parametrize(
    ("redirected", "decision", "status"),
    [
        *((redirected, "pass", 0) for redirected in ("| true", ">&-", "2>&-", ">&- 2>&-", ">/dev/full", "2>/dev/full")),
        (">&- 2>&-", "fail", 1),
    ],
)
def test_a_report_or_log_that_cannot_be_written_changes_no_exit_status(
    redirected: str, decision: str, status: int, tmp_path: Path
) -> None:
    answer = backend.json(decided(decision=decision, pass_rate=1, unsafe_attempts=0))
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        gate = f"--campaign core-reliability --token {SECRET} --base-url {sepurux.url}"
        ended = shell(f"exec 3>&1; ({sys.executable} -m sepurux_action {gate}; echo $? >&3) {redirected}", tmp_path)
    assert ended.stdout.splitlines()[-1] == str(status)
    assert "Traceback" not in ended.stderr


def test_a_broken_installation_is_undecided_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "requests.py").write_text("raise ImportError('secret-1234')")
    ended = shell(f"{sys.executable} -m sepurux_action --campaign c", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: Internal error (ImportError at requests.py:1)")
    assert "secret-1234" not in ended.stderr


STEP = f"{sys.executable} -I {REPOSITORY / 'entrypoint.py'}"
COMMAND_LINE = f"{sys.executable} -m sepurux_action"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (COMMAND_LINE, 0),
        (f"{COMMAND_LINE} --trace-file x.json", 2),
        (STEP, 0),
        (f'env INPUT_TRACE_FILE="$RUNNER_TEMP/x.json" {STEP}', 0),
        (f"env INPUT_TRACE_FILE=x.json {STEP}", 2),
    ],
    ids=["command line", "command line, relative", "step", "step, absolute", "step, relative"],
)
def test_a_deleted_working_directory_is_a_mistake_only_for_relative_paths(
    command: str, status: int, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_text("{}")
    (tmp_path / "gone").mkdir()
    answer = backend.json(decided(decision="pass", pass_rate=1, unsafe_attempts=0))
    with sound_backend(**{"GET /v1/ci/batch/*": answer, "GET /v1/ci/runs/*": answer}) as sepurux:
        settings = f"SEPURUX_CAMPAIGN_ID=core-reliability SEPURUX_CI_TOKEN={SECRET} SEPURUX_API_BASE_URL={sepurux.url}"
        ended = shell(f"export {settings} RUNNER_TEMP=$PWD; cd gone; rmdir ../gone; {command}", tmp_path)
    output = ended.stdout + ended.stderr
    assert ended.returncode == status, output
    assert ("is relative to the working directory, which was deleted" in output) is (status == 2)
    assert "Internal error" not in output


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line in a folder, with the gate on Python's path."""
    return subprocess.run(
        ["/bin/bash", "-c", command],
        env={**inherited(), "PYTHONPATH": f"{folder}:{REPOSITORY}"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
