"""Runs a repository's workflows under act against a sandbox on this machine: no account, and nothing reaches GitHub.

python3 examples/try_workflow.py FOLDER [OPTIONS OF ACT]

Needs Docker and act, and nothing else is installed. docs/try-it.md explains it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action.sandbox import Sandbox, Store

ACTION = "sepurux/gate-action@v1"
LOCAL = {ACTION: ROOT, "actions/setup-python@v7": ROOT / "examples" / "act" / "setup-python"}  # RUNNER has no Node.js
TOKEN = "sandbox-token-0123456789"  # noqa: S105 - only the sandbox of this run accepts it
RUNNER = "python:3.14-slim"  # the image is built from it too, so nothing more is downloaded


def main(arguments: list[str]) -> int:
    """Run act on the event `pull_request`; return its exit status, or 2 if it cannot start."""
    if not arguments or not Path(arguments[0]).is_dir():
        print("usage: try_workflow.py FOLDER [OPTIONS OF ACT]; FOLDER is a repository with workflows", file=sys.stderr)
        return 2
    if not (act := shutil.which("act")):
        print("act is missing; install it as https://nektosact.com/installation/ says", file=sys.stderr)
        return 2
    folder, *more = arguments
    with Sandbox(Store(decide_after=2), token=TOKEN) as sandbox:
        command = [act, "pull_request", "--directory", folder, "--platform", f"ubuntu-latest={RUNNER}", "--rm"]
        command += [f"--local-repository={name}={place}" for name, place in LOCAL.items()]
        command += ["--container-daemon-socket", "-"]
        command += ["--secret", "SEPURUX_CI_TOKEN", "--env", f"SEPURUX_API_BASE_URL={sandbox.url}", *more]
        environment = {**os.environ, "SEPURUX_CI_TOKEN": TOKEN}
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - the user's own act


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
