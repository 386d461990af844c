"""The example for several agents records the agents that a pull request changes."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.runner import REPOSITORY, inherited

AGENTS = {"refunds", "support", "search"}
RECORDER = """
import pathlib, sys
folder, times, number = sys.argv[1:]
assert (times, number) == ("--times", "3")
pathlib.Path(folder).mkdir(parents=True)
(pathlib.Path(folder) / "one.json").touch()
"""
CHANGES = {
    "bots/support/notes.md": {"support"},  # `paths` of the policy excludes it: the filter may record more
    "bots/README.md": set[str](),
    **dict.fromkeys(("prompts/tone.txt", "requirements.txt", ".github/sepurux-gate.yml"), AGENTS),
}


def script() -> str:
    workflow = yaml.safe_load((REPOSITORY / "examples" / "workflows" / "many-agents.yml").read_text(encoding="utf-8"))
    [run] = [step["run"] for step in workflow["jobs"]["record"]["steps"] if "BASE" in step.get("env", {})]
    return str(run)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A repository with three agents, in which the branch `change` begins at the first commit of `main`."""

    folder: Path

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=mona", "-c", "user.email=mona@example.com", *arguments]
        env = {**inherited(), "HOME": str(self.folder.parent)}
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, branch: str, files: Mapping[str, str]) -> None:
        self.git("checkout", "--quiet", branch)
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "change")

    def record(self, base: str = "main", head: str = "change") -> int:
        """Record as GitHub runs it, with the merge of both branches checked out, and return the exit status."""
        self.git("checkout", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "change")
        known = {name: self.git("rev-parse", name) for name in ("main", "change")}
        env = {**inherited(), "BASE": known.get(base, base), "HEAD": known.get(head, head)}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script()]
        return subprocess.run(command, cwd=self.folder, env=env, check=False).returncode

    def recorded(self) -> set[str]:
        """Return the agents whose traces were recorded; an artifact has a file in any case."""
        assert (self.folder / "traces" / "commit.txt").is_file()
        return {agent for agent in AGENTS if (self.folder / "traces" / agent / "one.json").exists()}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (made := Checkout(tmp_path / "checkout")).folder.mkdir()
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("commit", "--quiet", "--allow-empty", "--message", "first")
    made.commit("main", {f"bots/{agent}/record_traces.py": RECORDER for agent in AGENTS})
    made.git("branch", "change")
    return made


@pytest.mark.parametrize("changed", CHANGES)
def test_agents_that_a_pull_request_changes_are_recorded(changed: str, checkout: Checkout) -> None:
    checkout.commit("main", {"bots/search/main.txt": "changed on the base branch alone\n"})
    checkout.commit("change", {changed: "changed\n"})
    assert (checkout.record(), checkout.recorded()) == (0, CHANGES[changed])


def test_the_job_fails_if_an_agent_cannot_be_recorded(checkout: Checkout) -> None:
    checkout.commit("change", {"bots/refunds/record_traces.py": "raise SystemExit('no model')\n"})
    assert checkout.record() == 1


def test_an_agent_is_recorded_if_a_file_leaves_its_folder_or_the_base_has_the_same_change(checkout: Checkout) -> None:
    checkout.commit("main", {"bots/support/prompt.txt": "Be kind.\n"})
    checkout.git("checkout", "--quiet", "-B", "change")
    checkout.git("mv", "bots/support/prompt.txt", "prompt.txt")
    checkout.git("commit", "--quiet", "--message", "move")
    for branch in ("change", "main"):
        checkout.commit(branch, {"bots/search/prompt.txt": "Be kind.\n", f"{branch}.txt": "\n"})
    assert (checkout.record(), checkout.recorded()) == (0, {"support", "search"})


@pytest.mark.parametrize(("base", "head"), [("", ""), ("0" * 40, "change"), ("main", "0" * 40)])
def test_every_agent_is_recorded_if_the_commits_are_not_known(base: str, head: str, checkout: Checkout) -> None:
    checkout.commit("change", {"README.md": "changed\n"})
    assert (checkout.record(base, head), checkout.recorded()) == (0, AGENTS)
