"""`examples/try_workflow.py` runs the workflow and the script that `sepurux-gate init` writes, as a user would.

act finds the image already built. The recorder of this clone is installed as for a user.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples import try_workflow
from tests.container import act
from tests.container.act import ACT, only_workflow
from tests.container.engine import BASE
from tests.runner import REPOSITORY

# The jobs install packages, as a user's do.
pytestmark = [pytest.mark.container, pytest.mark.timeout(300), pytest.mark.usefixtures("base")]
OFFLINE = "--pull=false\n--rebuild=false\n--action-offline-mode\n"
AGENT = """
payments = None

def answer(request):
    if "A-1001" in request:
        payments.refund("A-1001", approval_token="approval-7")
"""


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run Python in a folder whose parent is the home; return the exit status, and what was printed, without colors."""
    paths = {"PATH": f"{ACT.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    done = act.run([sys.executable, *arguments], {**paths, "HOME": str(folder.parent)}, folder)
    return done.returncode, re.sub(r"\x1b\[\d+m", "", done.stdout)


def test_what_init_writes_runs_unchanged_and_blocks_if_it_is_hard(image: str, label: str, tmp_path: Path) -> None:
    (tmp_path / ".actrc").write_text(f"{OFFLINE}--container-options=--label={label}\n", encoding="utf-8")
    folder = tmp_path / "my-agent"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet", folder], check=True)  # noqa: S607
    init = ("-m", "sepurux_action", "init", "--project=shop", "--campaign=order-support", "--framework=plain")
    assert run(folder, *init)[0] == 0
    (folder / "requirements.txt").touch()
    (folder / "my_agent.py").write_text(AGENT, encoding="utf-8")
    script, workflow = str(REPOSITORY / "examples" / "try_workflow.py"), folder / ".github/workflows/sepurux.yml"
    with only_workflow(image):
        status, log = run(folder, script, ".")
        assert (status, "::notice title=Sepurux gate::order-support passed" in log) == (0, True), log
        (folder / "my_agent.py").write_text(AGENT.replace(', approval_token="approval-7"', ""), encoding="utf-8")
        hard = workflow.read_text(encoding="utf-8").replace("enforcement: observe", "enforcement: hard")
        workflow.write_text(hard, encoding="utf-8")
        status, log = run(folder, script, ".")
        assert (status, "::error title=Sepurux gate::order-support: 1 failure" in log) == (1, True), log


def test_the_workflow_runs_in_the_image_that_the_action_is_built_from() -> None:
    assert try_workflow.RUNNER == BASE
