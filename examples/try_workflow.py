"""Runs a repository's workflows under act against a sandbox on this machine: no account, and nothing reaches GitHub.

python3 examples/try_workflow.py FOLDER [--approval NAME] [--reversible TOOL] [OPTIONS OF ACT]

Needs Docker and act, and nothing else is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action.sandbox import APPROVALS, Sandbox, Store

ACTION = "sepurux/gate-action@v1"
RECORDER = f"sepurux-recorder @ git+https://github.com/{ACTION}#subdirectory=recorder"
STAND_INS = ROOT / "examples" / "act"  # for actions that need Node.js, which RUNNER lacks
ACTIONS = ("cache@v6", "checkout@v7", "setup-python@v7", "upload-artifact@v7", "download-artifact@v8")
LOCAL = {f"actions/{name}": STAND_INS / name.partition("@")[0] for name in ACTIONS}
NOT_COPIED = (".venv", ".*_cache", "node_modules", "build", "__pycache__")
API_KEY = "sandbox-key-0123456789"  # only the sandbox of this run accepts it
EVENT = {"pull_request": {"number": 1, "head": {"sha": "1" * 40}, "base": {"ref": "main"}}}  # act's own has none
NAME_CAMPAIGNS = (".github/workflows/*.y*ml", ".github/sepurux-gate.yml")
CAMPAIGN = re.compile(r"""\bcampaign: *["']?([^"',}#\n]*[^"',}#\s])""")  # the sandbox has those of the repository too
RUNNER = "python:3.14-slim"  # the image is built from it too, so nothing more is downloaded


def replacements(folder: Path, inputs: Mapping[str, str]) -> list[str]:
    """Return act's options for what runs in place of actions: the stand-ins, and a copy of this action in `folder`.

    In the copy, these inputs have a default, so that a workflow needs no change. Its reusable workflow names the action
    and the stand-ins by tags, because act knows neither `$/` nor their commits.
    """
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *NOT_COPIED))
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name, value in inputs.items():
        text = text.replace(f"\n  {name}:\n", f"\n  {name}:\n    default: {json.dumps(value)}\n", 1)
    (folder / "action.yml").write_text(text, encoding="utf-8")
    gate = folder / ".github" / "workflows" / "gate.yml"
    text = gate.read_text(encoding="utf-8").replace("uses: $/.\n", f"uses: {ACTION}\n")
    gate.write_text(re.sub(r"@[0-9a-f]{40}  # (v\d+)\.\S+", r"@\1", text), encoding="utf-8")
    return [f"--local-repository={name}={place}" for name, place in {ACTION: folder, **LOCAL}.items()]


def copied(folder: Path, copy: Path) -> Path:
    """Return a copy of a repository whose workflows install the recorder of this clone, which is copied into it."""
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
    shutil.copytree(ROOT / "recorder", copy / "sepurux-recorder", ignore=shutil.ignore_patterns(*NOT_COPIED))
    for workflow in copy.glob(".github/workflows/*.y*ml"):
        text = workflow.read_text(encoding="utf-8")
        workflow.write_text(text.replace(RECORDER, "./sepurux-recorder"), encoding="utf-8")
    return copy


def main(arguments: list[str]) -> int:
    """Run act on the event `pull_request`; return its exit status, or 2 if it cannot start."""
    parser = argparse.ArgumentParser(allow_abbrev=False, epilog="Options of act can follow.")
    parser.add_argument("folder", type=Path, help="a repository with workflows")
    parser.add_argument("--approval", action="append", help="an argument that shows an approval; repeatable")
    parser.add_argument("--reversible", action="append", default=[], help="a tool that is never unsafe; repeatable")
    given, more = parser.parse_known_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is no folder")
    if not (act := shutil.which("act")):
        print("act is missing; install it as https://nektosact.com/installation/ says", file=sys.stderr)
        return 2
    named = [file.read_text(encoding="utf-8") for glob in NAME_CAMPAIGNS for file in given.folder.glob(glob)]
    store = Store(decide_after=2, reversible=given.reversible, approvals=given.approval or APPROVALS)
    store.campaigns |= dict.fromkeys((name for text in named for name in CAMPAIGN.findall(text)), ())
    with Sandbox(store, token=API_KEY) as sandbox, TemporaryDirectory() as temporary:
        place = Path(temporary)
        (place / "event.json").write_text(json.dumps(EVENT), encoding="utf-8")
        command = [act, "pull_request", f"--eventpath={place / 'event.json'}", f"--platform=ubuntu-latest={RUNNER}"]
        command += [f"--directory={copied(given.folder, place / 'repository')}", "--rm"]
        command += replacements(place / "action", {"base_url": sandbox.url})
        command += ["--container-daemon-socket", "-", "--secret", "SEPURUX_API_KEY", *more]
        environment = {**os.environ, "SEPURUX_API_KEY": API_KEY}
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - the user's own act


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
