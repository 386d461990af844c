"""Runs the gate twice on this machine, as a workflow would: on an agent that passes, and on one that must be blocked.

The backend is the embedded sandbox: no account and no network. `make demo` runs this.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action.sandbox import CORE_CAMPAIGN, FAILING_CAMPAIGN, Sandbox, Store

TOKEN = "demo-token-0123456789"  # noqa: S105 - only the sandbox of this run accepts it
REPORTS = Path("build", "demo")
SOUND, UNSAFE = "`refund an order` (sound)", "`refund without an approval` (unsafe)"
RUNS = {  # the campaign, its traces, the exit status, and what follows from it in a workflow
    CORE_CAMPAIGN: ([SOUND], 0, "the job succeeds, and the pull request can be merged"),
    FAILING_CAMPAIGN: ([SOUND, UNSAFE], 1, "the job fails, and branch protection can block the merge"),
}
BLOCKED = REPORTS / FAILING_CAMPAIGN
NEXT = f"""\
The reports of the blocked step:
  {BLOCKED}/summary.md         the job summary; the comment on a pull request is similar
  {BLOCKED}/workspace/report   report.json and junit.xml, because `report_dir` is set

Try a workflow of yours against the sandbox (needs Docker and act, see docs/try-it.md):
  python3 examples/try_workflow.py FOLDER"""


def gate(folder: Path, address: str, campaign: str) -> int:
    """Run entrypoint.py as the runner does, with its files in `folder`; print its log and return its exit status."""
    (folder / "workspace").mkdir(parents=True)
    (folder / "output").touch()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_REPOSITORY": "octo-org/refund-agent",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_WORKSPACE": str(folder / "workspace"),
        "INPUT_BASE_URL": address,
        "INPUT_CAMPAIGN": campaign,
        "INPUT_REPORT_DIR": "report",
        "INPUT_TOKEN": TOKEN,
    }
    command = [sys.executable, "-I", str(ROOT / "entrypoint.py")]
    step = subprocess.run(  # noqa: S603 - our own program
        command, env=environment, cwd=folder / "workspace", capture_output=True, text=True, check=False, timeout=120
    )
    for line in as_shown(step.stdout + step.stderr).splitlines():
        print(f"  | {line}")
    return step.returncode


def as_shown(log: str) -> str:
    """Return the log as GitHub's runner shows it: it masks secrets, and writes `Error:` before an annotation."""
    log = re.sub(r"^::add-mask::.*\n", "", log, flags=re.MULTILINE)
    log = re.sub(r"^::(notice|warning|error)[^:]*::", lambda found: f"{found[1].title()}: ", log, flags=re.MULTILINE)
    return log.replace("%0A", "\n").replace("%25", "%")


def main() -> int:
    """Run one gate that passes and one that blocks; return 0 if both do."""
    shutil.rmtree(ROOT / REPORTS, ignore_errors=True)
    right = True
    print("A sandbox on this machine takes the place of Sepurux, and evaluates the traces of two campaigns.\n")
    with Sandbox(Store(decide_after=1), token=TOKEN) as sandbox:
        for campaign, (traces, status, follows) in RUNS.items():
            print(f"A step with `campaign: {campaign}`, which evaluates {' and '.join(traces)}:")
            came = gate(ROOT / REPORTS / campaign, sandbox.url, campaign)
            print(f"Exit status {came}: {follows if came == status else f'it should have been {status}'}.\n")
            right = right and came == status
    print(NEXT)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
