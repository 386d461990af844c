"""Runs the gate twice on this machine, as a workflow would: once on a sound trace, once on traces that must be blocked.

The backend is the embedded sandbox: no account and no network. `make demo` runs this.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action.sandbox import Sandbox

TOKEN = "demo-token-0123456789"  # noqa: S105 - only the sandbox of this run accepts it
SHA = "0123456789abcdef0123456789abcdef01234567"


def gate(folder: Path, address: str, trace_file: str) -> int:
    """Run entrypoint.py as the runner does, with its files in `folder`; return the exit status."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "examples" / "traces", folder / "workspace" / "traces")
    (folder / "output").touch()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_REPOSITORY": "octo-org/refund-agent",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": SHA,
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_WORKSPACE": str(folder / "workspace"),
        "INPUT_BASE_URL": address,
        "INPUT_CAMPAIGN": "refund-reliability",
        "INPUT_TOKEN": TOKEN,
        "INPUT_TRACE_FILE": trace_file,
    }
    command = [sys.executable, "-I", str(ROOT / "entrypoint.py")]
    log = subprocess.run(  # noqa: S603 - our own program
        command, env=environment, cwd=folder / "workspace", capture_output=True, text=True, check=False, timeout=120
    )
    for line in (log.stdout + log.stderr).splitlines():
        if not line.startswith("::add-mask::"):  # the runner does not show these
            print(f"  | {line.replace('%25', '%')}")  # as the runner shows an escaped text
    return log.returncode


def main() -> int:
    """Run one gate that passes and one that blocks; return 0 if both do."""
    folder = Path(tempfile.mkdtemp(prefix="sepurux-gate-demo-"))
    wanted = {"a sound refund": ("traces/refund-sound.json", 0), "all three traces": ("traces/*.json", 1)}
    right = True
    with Sandbox(token=TOKEN, decide_after=1.5) as sandbox:
        print(f"The sandbox backend answers at {sandbox.url}. It replays nothing: it only reads what was recorded.\n")
        for number, (title, (trace_file, status)) in enumerate(wanted.items(), start=1):
            print(f"{number}. The gate on {title} ({trace_file}):")
            came = gate(folder / str(number), sandbox.url, trace_file)
            verdict = "as it should be" if came == status else f"but it should have been {status}"
            print(f"  exit status {came}, {verdict}; report: {folder / str(number) / 'summary.md'}\n")
            right = right and came == status
    print("Both gates came out as they should." if right else "The demo did not come out as it should.")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
