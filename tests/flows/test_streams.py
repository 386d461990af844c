"""A command line whose streams are closed or full."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import COMMAND_LINE, run_shell

SECRET = "api-key-0123456789"


@pytest.mark.parametrize(
    ("flags", "redirected", "decision", "status"),
    [
        *(("", each, "pass", 0) for each in ("| true", ">&-", ">&- 2>&-", ">/dev/full")),
        ("--format json", ">/dev/full", "fail", 1),
        ("--help", ">&- 2>&-", "fail", 0),
    ],
)
def test_a_report_or_log_that_cannot_be_written_changes_no_exit_status(
    flags: str, redirected: str, decision: str, status: int, tmp_path: Path
) -> None:
    answer = backend.json(decided(decision=decision, pass_rate=1, unsafe_attempts=0))
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        gate = f"--campaign core-reliability --token {SECRET} --base-url {sepurux.url} {flags}"
        ended = run_shell(f"exec 3>&1; ({COMMAND_LINE} {gate}; echo $? >&3) {redirected}", tmp_path)
    assert ended.stdout.splitlines()[-1] == str(status)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
