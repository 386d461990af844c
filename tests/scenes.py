"""Shared test setups: a repository with a pull request on the GitHub double, and a whole step for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sepurux_action.github.pull_request import MARKER
from tests import backend, sandboxed
from tests.backend import ScriptedBackend, decided
from tests.github_double import GitHub
from tests.github_double.rest import pull_json, repository_json
from tests.github_double.state import PullRequest, Repository
from tests.runner import StepResult, run_action

SECRET = sandboxed.SECRET
CAMPAIGN = {"campaign": "core-reliability", "token": SECRET, "timeout": "20", "github_token": ""}
NUMBERS = {"pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1}
BOT = "github-actions[bot]"
PASSED = {"decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1, "reliability_score": 93}
DECIDED = "pass (hard): 91.0% passed, 0 unsafe, 2 failures, score 88.0"
FULL = {"contents": "read", "pull-requests": "write", "statuses": "write"}


@dataclass
class Scene:
    github: GitHub
    sepurux: ScriptedBackend
    repository: Repository
    pull: PullRequest
    workspace: Path
    token: str

    def options(self, **inputs: str) -> dict[str, Any]:
        usual = {"campaign": "core-reliability", "token": SECRET, "base_url": self.sepurux.url, "timeout": "20"}
        return {
            "workspace": self.workspace,
            "inputs": {**usual, **inputs},
            "event": self.event(),
            "token": self.token,
            "secrets": [SECRET, self.token],
            "env": self.environment(),
        }

    def environment(self) -> dict[str, str]:
        return {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_GRAPHQL_URL": self.github.graphql_url,
            "GITHUB_SERVER_URL": self.github.server_url,
            "GITHUB_REPOSITORY": self.repository.full_name,
            "GITHUB_SHA": "e" * 40,
        }

    def event(self) -> dict[str, Any]:
        pull = {"number": self.pull.number, "pull_request": pull_json(self.pull)}
        return {"action": "synchronize", "repository": repository_json(self.repository), **pull}

    def run(self, **inputs: str) -> StepResult:
        return run_action(**self.options(**inputs))

    def on(
        self,
        event_name: str,
        event: Mapping[str, object] = {},
        inputs: Mapping[str, str] = {},
        *,
        env: Mapping[str, str] = {},
    ) -> StepResult:
        """Run the step on another event; `env` adds to the variables of the runner."""
        sent = {"event_name": event_name, "event": {"repository": repository_json(self.repository), **event}}
        return run_action(**{**self.options(**inputs), **sent, "env": {**self.environment(), **env}})

    def push(self, branch: str, **inputs: str) -> StepResult:
        commit, ref = self.repository.branches[branch].sha, f"refs/heads/{branch}"
        event = {"ref": ref, "after": commit, "deleted": False}
        return self.on("push", event, inputs, env={"GITHUB_SHA": commit, "GITHUB_REF": ref})

    def answers(self, **fields: object) -> None:
        self.sepurux.script(
            "GET /v1/ci/batch/*", lambda poll: backend.json(decided(**{"run_ids": backend.run_ids(poll), **fields}))
        )

    @property
    def ours(self) -> list[str]:
        return [comment.body for comment in self.pull.comments if comment.body.startswith(f"<!-- {MARKER}:")]

    def states(self) -> dict[str, str]:
        newest = self.repository.latest_statuses(self.pull.head_sha)
        return {status.context: status.state for status in newest}

    @property
    def status(self) -> tuple[str, str, str]:
        [newest] = self.repository.latest_statuses(self.pull.head_sha)
        return newest.state, newest.context, newest.description or ""


def a_scene(github: GitHub, sepurux: ScriptedBackend, workspace: Path) -> Scene:
    repository = github.repository("octo/shop")
    pull = repository.pull("mona", head="feature")
    return Scene(github, sepurux, repository, pull, workspace, github.token(FULL))


def step(sepurux: ScriptedBackend, workspace: Path, **inputs: str) -> StepResult:
    workspace.mkdir(exist_ok=True)
    return run_action(workspace=workspace, inputs={**CAMPAIGN, "base_url": sepurux.url, **inputs}, secrets=[SECRET])
