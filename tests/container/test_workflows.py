"""Whole workflows work with the image: our own, and those of `examples/`."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.try_workflow import ACTION, RECORDER, replacements
from sepurux_action.config.settings import POLICY_PATH
from sepurux_action.sandbox import Sandbox, Store
from tests.container.act import Step, WorkflowRun, act
from tests.container.engine import volume_of
from tests.github_double import GitHub, PullRequest, Repository
from tests.runner import REPOSITORY, pull_request_event
from tests.sandboxed import SECRET, TRACES

pytestmark = [pytest.mark.container, pytest.mark.timeout(300)]  # the first test waits until the image is built
WORKFLOWS = REPOSITORY / "examples" / "workflows"
SOUND, UNSAFE = "refund-sound.json", "refund-unsafe.json"
REUSABLE = ACTION.replace("@", "/.github/workflows/gate.yml@")
SCRIPT = """
import json, os, sys
from pathlib import Path
{before}
trace = json.loads({text!r})
Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
for number in range(1, 4):
    trace["task"]["name"] = f"refund-{{number}}"
    Path(sys.argv[1], f"refund-{{number}}.json").write_text(json.dumps(trace))
"""
# What a script of a pull request can do to later steps of its job: redirect the gate, loosen it, and rename the base.
ATTACK = """
with open(os.environ["GITHUB_ENV"], "a") as file:
    file.write("SEPURUX_API_BASE_URL=http://127.0.0.1:9\\nHTTP_PROXY=http://127.0.0.1:9\\n")
    file.write("LD_PRELOAD=/nowhere.so\\nREQUESTS_CA_BUNDLE=/nowhere.pem\\nNO_PROXY=\\n")
event = Path(os.environ["GITHUB_EVENT_PATH"])
event.write_text(event.read_text().replace("pull_request", "nothing"))
Path(".github").mkdir(exist_ok=True)
Path(".github/sepurux-gate.yml").write_text("enforcement: observe\\n")
for folder in ("traces/baseline", "baseline"):
    Path(folder).mkdir(parents=True)
    Path(folder, "baseline.json").write_text("{}")
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A repository with a pull request, its checkout, and a sandbox that the secret opens."""

    github: GitHub
    sandbox: Sandbox
    repository: Repository
    pull: PullRequest
    checkout: Path
    image: str
    runner: str
    label: str

    def policy(self, name: str = "policy.yml", enforcement: str = "soft") -> None:
        """Put an example policy into both branches of the pull request, and into the checkout."""
        text = (REPOSITORY / "examples" / "policies" / name).read_text(encoding="utf-8")
        text = text.replace("enforcement: soft", f"enforcement: {enforcement}")
        self.write(POLICY_PATH, text)
        self.repository.commit(files={POLICY_PATH: text})
        self.pull.base = self.repository.branches["main"]
        self.pull.push({POLICY_PATH: text})

    def write(self, path: str, text: str) -> Path:
        file = self.checkout / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def record(self, trace: str, *, at: str = "record_traces.py", before: str = "") -> None:
        """Put a script into the checkout that runs `before`, and records an example trace for three scenarios."""
        text = (TRACES / trace).read_text(encoding="utf-8")
        self.write("requirements.txt", "")
        self.write(at, SCRIPT.format(text=text, before=before))

    def event(self, **more: object) -> dict[str, object]:
        pull = self.pull
        return pull_request_event(number=pull.number, head_sha=pull.head_sha, base_sha=pull.base.sha) | more

    def run(
        self,
        workflow: Path,
        event_name: str = "pull_request",
        event: Mapping[str, object] = {},
        changes: Mapping[str, str] = {},
    ) -> WorkflowRun:
        """Run a workflow whose gate has just the permissions that its job asks for, and needs no more."""
        text = workflow.read_text(encoding="utf-8")
        for old, new in {**changes, f'pip install "{RECORDER}"': "pip --version"}.items():
            text = text.replace(old, new)
        jobs = list(yaml.safe_load(text)["jobs"].values())
        gates = [job for job in jobs if any(f"'uses': '{name}'" in str(job) for name in ("./", ACTION, REUSABLE))]
        [permissions] = [job["permissions"] for job in gates or jobs[:1]]
        home = self.checkout.parent / "act"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        copy = home / workflow.name
        copy.write_text(text, encoding="utf-8")
        payload = home / "event.json"
        payload.write_text(json.dumps(event or self.event()), encoding="utf-8")
        options = {
            "container-daemon-socket": "-",
            # As GitHub's runner does it for a container action. act's `runner.temp` is /tmp, in each container its own.
            "container-options": f"--label {self.label} --volume {volume_of(self.label)}:/tmp",
            "directory": self.checkout,
            "eventpath": payload,
            "platform": f"ubuntu-latest={self.runner}",
            "pull": "false",
            "rebuild": "false",
            "workflows": copy,
        }
        env = {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_GRAPHQL_URL": self.github.graphql_url,
            "GITHUB_SERVER_URL": self.github.server_url,
            "GITHUB_REPOSITORY": self.repository.full_name,
            "SHA_REF": self.repository.branches["main"].sha,
        }
        secrets = {
            "GITHUB_TOKEN": self.github.token(permissions),
            "OPENAI_API_KEY": "a-key-of-no-one",
            "SEPURUX_API_KEY": SECRET,
        }
        command = [event_name, "--action-offline-mode", "--json", "--rm"]
        command += [f"--{name}={value}" for name, value in options.items()]
        command += replacements(home / "action", {"base_url": self.sandbox.url})
        command += [f"--env={name}={value}" for name, value in env.items()]
        run = act(command, self.image, secrets, home)
        assert "this does not change the result." not in run.log.lower(), run.log  # the end of each refusal's warning
        return run

    def evaluate(self, workflow: str, trace: str, *on: Any, result: str = "success") -> Step:  # noqa: ANN401
        """Run an example on traces that its first job records; return the gate's step, whose job has this result."""
        self.record(trace)
        run = self.run(WORKFLOWS / workflow, *on)
        assert (run.jobs["record"], run.jobs["gate"]) == ("success", result), run.log
        assert run.jobs.get("baseline") == (None if workflow == "plain-steps.yml" else "success")
        return run.steps["gate", "1" if workflow == "plain-steps.yml" else "gate"]

    def push(self) -> dict[str, object]:
        sha = self.repository.branches["main"].sha
        return {"repository": self.event()["repository"], "ref": "refs/heads/main", "after": sha}

    def statuses(self, sha: str = "") -> dict[str, tuple[str, str]]:
        """Return state and description of each context, of the pull request's head where no commit is named."""
        newest = self.repository.latest_statuses(sha or self.pull.head_sha)
        return {status.context: (status.state, status.description or "") for status in newest}


@pytest.fixture
def scene(image: str, base: str, label: str, tmp_path: Path) -> Iterator[Scene]:
    store = Store()
    store.campaigns |= {"support-reliability": (), "search-reliability": ()}
    with GitHub() as github, Sandbox(store, token=SECRET) as sandbox:
        repository = github.repository("octo-org/agents")
        pull = repository.pull("contributor", head="refunds", files={"bots/support/prompt.md.j2": "Be kind.\n"})
        checkout = tmp_path / "agents"
        checkout.mkdir()
        yield Scene(github, sandbox, repository, pull, checkout, image, base, label)


def test_a_soft_gate_blocks_after_a_fail_until_an_approval_without_another_evaluation(scene: Scene) -> None:
    scene.policy()
    scene.repository.collaborator("octocat", "write")
    scene.evaluate("quick-start.yml", UNSAFE, result="failure")
    assert [login.login for login in scene.pull.requested] == ["octocat"]
    assert scene.statuses()["Sepurux / core-reliability"][0] == "pending"
    scene.pull.review("octocat", "APPROVED")
    event = scene.event(action="submitted", review={"state": "approved"})
    run = scene.run(WORKFLOWS / "review.yml", "pull_request_review", event)
    assert run.jobs == {"gate": "success"}, run.log
    assert scene.statuses()["Sepurux / core-reliability"][0] == "success"
    started = [request for request in scene.sandbox.requests if request.path == "/v1/ci/runs"]
    assert len(started) == 3, "the review starts no evaluation"
    event = scene.event(action="submitted", review={"state": "commented"})
    assert scene.run(WORKFLOWS / "review.yml", "pull_request_review", event).steps == {}


def test_a_hard_gate_blocks_on_a_fail_and_passes_after_the_next_push_and_one_comment_reports_both(scene: Scene) -> None:
    scene.policy(enforcement="hard")
    for trace, result in ((UNSAFE, "failure"), (SOUND, "success")):
        scene.evaluate("plain-steps.yml", trace, result=result)
        assert scene.statuses()["Sepurux / core-reliability"][0] == result
        scene.pull.push()
    assert len(scene.pull.comments) == 1


def test_the_gate_of_the_one_agent_whose_files_a_pull_request_changes_is_run(scene: Scene) -> None:
    scene.policy("many-agents.yml")
    for agent in ("refunds", "support", "search"):
        scene.record(SOUND, at=f"bots/{agent}/record_traces.py")
    run = scene.run(WORKFLOWS / "many-agents.yml")
    gates = json.loads(run.steps["gate", "gate"].outputs["gates"])
    decisions = {gate["name"]: gate["decision"] for gate in gates}
    assert decisions == {"refunds": "skipped", "support": "pass", "search": "skipped"}
    assert [state for state, _ in scene.statuses().values()] == ["success"] * 3


def test_a_pull_request_is_compared_with_the_results_of_a_push_whatever_its_code_does_to_its_job(scene: Scene) -> None:
    """The first push finds no cache. What is recorded looks like the folder of the results, and the job is attacked."""
    scene.evaluate("quick-start.yml", SOUND, "push", scene.push())
    scene.record(UNSAFE, before=ATTACK)
    run = scene.run(WORKFLOWS / "quick-start.yml")
    assert run.jobs == {"record": "success", "baseline": "success", "gate": "success"}, run.log
    gate = run.steps["gate", "gate"]
    [found] = json.loads(gate.outputs["gates"])
    assert (found["decision"], found["stage"]) == ("fail", "observe")
    assert {(failure["is_new"], failure["on_base"]["results"]) for failure in found["failures"]} == {(True, 1)}
    state, description = scene.statuses()["Sepurux / core-reliability"]
    assert (state, description.split(":")[0]) == ("success", "fail (observe)")
    assert "SEPURUX_" not in gate.text


def test_the_job_after_a_call_gets_its_outputs_on_a_push(scene: Scene) -> None:
    """tests/contract runs its script: this runner lacks gh and jq. act runs no job after a call that failed."""
    scene.record(UNSAFE)
    text = (WORKFLOWS / "issue-on-main.yml").read_text(encoding="utf-8")
    changes = {text[text.index("        shell: bash") :]: '        run: echo "$DECISION $GATES"\n'}
    run = scene.run(WORKFLOWS / "issue-on-main.yml", "push", scene.push(), changes)
    assert (run.jobs["gate"], run.jobs["issue"]) == ("success", "success"), run.log
    assert run.steps["issue", "0"].text.startswith('fail [{"name": "core-reliability", "decision": "fail"')
    assert "issue" not in scene.run(WORKFLOWS / "issue-on-main.yml").jobs


def test_what_needs_a_gate_starts_if_it_passed_and_never_if_it_blocks(scene: Scene) -> None:
    scene.write("scripts/deploy.sh", "#!/bin/sh\necho deployed\n").chmod(0o755)
    scene.record(UNSAFE)
    run = scene.run(WORKFLOWS / "deployment.yml", "push", scene.push())
    assert (run.exit_code, run.jobs["gate"]) == (1, "failure"), run.log
    assert "deploy" not in [job for job, _ in run.steps]
    scene.record(SOUND)
    run = scene.run(WORKFLOWS / "deployment.yml", "push", scene.push())
    assert run.jobs == {"record": "success", "gate": "success", "deploy": "success"}, run.log
    assert run.steps["deploy", "1"].text == "deployed\n"
    assert scene.statuses(scene.repository.branches["main"].sha)["Sepurux / production"][0] == "success"


def test_a_second_workflow_evaluates_with_the_secret_what_the_first_recorded_without_it(scene: Scene) -> None:
    scene.policy()
    scene.repository.collaborator("octocat", "write")
    pull = scene.repository.pull("mallory", head="fix", source=scene.repository.fork("mallory"))
    fork = {"id": 7, "full_name": "mallory/agents", "owner": {"login": "mallory"}}
    about = {"event": "pull_request", "conclusion": "success", "head_branch": "fix", "head_repository": fork}
    for trace, decision, state in ((UNSAFE, "fail", "pending"), (SOUND, "pass", "success")):
        scene.record(trace)
        assert scene.run(WORKFLOWS / "forks-record.yml").jobs == {"record": "success"}
        event = {"repository": scene.event()["repository"], "workflow_run": {**about, "head_sha": pull.head_sha}}
        run = scene.run(WORKFLOWS / "forks-evaluate.yml", "workflow_run", event)
        assert run.steps["evaluate", "1"].outputs["decision"] == decision, run.log
        assert scene.statuses(pull.head_sha)["Sepurux / core-reliability"][0] == state
        pull.push()
    assert len(pull.comments) == 1


def test_our_own_gate_passes_one_trace_blocks_an_unsafe_one_and_comments(scene: Scene) -> None:
    """Over TLS, to the runner's own address, with a certificate that the step trusts."""
    shutil.copy(REPOSITORY / "action.yml", scene.checkout)
    for name in (".github", "examples", "scripts", "sepurux_action"):
        shutil.copytree(REPOSITORY / name, scene.checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    run = scene.run(REPOSITORY / ".github" / "workflows" / "self.yml")
    assert (run.exit_code, run.jobs) == (0, {"gate": "success"}), run.log
    assert run.steps["gate", "gate"].outputs["decision"] == "pass"
    assert run.steps["gate", "sandbox"].outputs["base_url"].startswith("https://")
    assert "\ndecision: pass\npass rate: 1\ngates: [{" in run.log
    assert run.steps["gate", "closed"].result == "failure"
    assert "\nthe step: failure, its decision: fail\n" in run.log
    assert {context: state for context, (state, _) in scene.statuses().items()} == {
        "Sepurux / refund-reliability": "success"
    }
    [comment] = scene.pull.comments
    assert run.steps["gate", "gate"].outputs["comment_url"].endswith(f"#issuecomment-{comment.id}")
