"""What docs/try-it.md says to type works from an empty folder, and prints what the page shows.

Git clones the files of this repository, and act finds the image already built. The agent's packages are installed as
for a user.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from examples import try_workflow
from tests.container.act import ACT, LONGEST_S, only_workflow
from tests.container.engine import BASE, a_clone
from tests.runner import REPOSITORY, inherited
from tests.yaml_blocks import blocks_of

# The jobs install packages, as a user's do.
pytestmark = [pytest.mark.container, pytest.mark.timeout(300), pytest.mark.usefixtures("base")]
PAGE = (REPOSITORY / "docs" / "try-it.md").read_text(encoding="utf-8")
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
OFFLINE = "--pull=false\n--rebuild=false\n--action-offline-mode\n"


def fenced(language: str) -> list[str]:
    """Return the page's blocks of one language, in their order."""
    return [dedent(block) for block in re.findall(rf"^ *```{language}\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)]


@pytest.fixture
def shell(image: str, label: str, tmp_path: Path) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Yield what runs commands in an empty folder and returns the exit status and what was printed."""
    home, folder, published = (tmp_path / name for name in ("home", "folder", "published"))
    home.mkdir()
    folder.mkdir()
    (home / ".actrc").write_text(f"{OFFLINE}--container-options=--label={label}\n", encoding="utf-8")
    identity = "[user]\nname = mona\nemail = mona@example.com\n[init]\ndefaultBranch = main\n"
    instead = f'[url "file://{published}"]\ninsteadOf = https://github.com/sepurux/gate-action\n'
    (home / ".gitconfig").write_text(identity + instead, encoding="utf-8")
    env = {**inherited(), "HOME": str(home), "PATH": f"{ACT.parent}{os.pathsep}{os.environ['PATH']}"}

    def run(commands: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-euc", commands],  # noqa: S607
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=LONGEST_S,
            check=False,
        )
        return done.returncode, re.sub(r"\x1b\[\d+m", "", done.stdout)  # without colors

    a_clone(published)
    assert run(f"cd {published} && git init --quiet && git add . && git commit --quiet --message clone")[0] == 0
    with only_workflow(image):
        yield run


def missing(shown: str, log: str) -> list[str]:
    """Return the lines of a block of the page that the log does not have; `…` stands for any text."""
    return [line for line in shown.splitlines() if not re.search(".*".join(map(re.escape, line.split("…"))), log)]


def test_the_page_leads_to_gates_that_pass_and_block(shell: Callable[[str], tuple[int, str]], tmp_path: Path) -> None:
    (prepare, first, again), (passed, blocked) = fenced("sh"), fenced("text")
    status, log = shell(prepare)
    assert status == 0, log
    workflow = tmp_path / "folder" / "my-agent" / ".github" / "workflows" / "sepurux.yml"
    quick_start = next(block.text for block in blocks_of("README.md", README) if not block.is_policy)
    workflow.write_text(quick_start, encoding="utf-8")
    status, log = shell(first)
    assert (status, missing(passed, log)) == (0, []), log
    approval = ', approval_token=found["approval_token"]'
    agent = workflow.parents[2] / "record_traces.py"
    assert f"delete `{approval}`" in PAGE
    agent.write_text(agent.read_text(encoding="utf-8").replace(approval, ""), encoding="utf-8")
    status, log = shell(again)
    assert (status, missing(blocked, log)) == (1, []), log


def test_the_workflow_runs_in_the_image_that_the_action_is_built_from() -> None:
    assert try_workflow.RUNNER == BASE
