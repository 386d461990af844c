"""A `fail` stays, because the commit's statuses are the record; and an evaluation that the next run continues."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests import backend
from tests.github_double import faults
from tests.runner import TRACE, StepResult, interrupt
from tests.scenes import PASSED, Scene

START = "POST /v1/ci/runs"
CONTEXT = "Sepurux / core-reliability"
FAILED = {"decision": "fail", "pass_rate": 0.72, "unsafe_attempts": 0, "failures": 5}
RUNNING = {"status": "running", "decision": "pending"}
POLICY = ".github/sepurux-gate.yml"
AFTERWARDS = (
    {"min_pass_rate": "0.5"},
    {"trace_id": "t-2"},
    {"trace_file": "trace-*.json"},  # of one with a time in its name
    *({"campaign": "refund-reliability", "name": "core-reliability"}, {"token": "another-made-up-secret"}),
    *({"token": ""}, {"comment": "never"}),
)
TWO = "campaign: core-reliability\ngates: [{name: one}, {name: two}]\n"


def run(scene: Scene, event: str = "pull_request", attempt: str = "1", **inputs: str) -> StepResult:
    payload = scene.event()
    if event == "workflow_run":
        head = {"head_branch": "feature", "head_repository": {"full_name": "octo/shop"}}
        payload = {"workflow_run": {"event": "pull_request", "head_sha": scene.pull.head_sha, **head}}
    return scene.on(event, payload, inputs, env={"GITHUB_RUN_ID": "7100001", "GITHUB_RUN_ATTEMPT": attempt})


def failed_once(scene: Scene, **inputs: str) -> None:
    scene.answers(**FAILED)
    assert run(scene, **inputs).outputs["decision"] == "fail"
    scene.answers(**PASSED)


def started(scene: Scene) -> int:
    return len(scene.sepurux.calls(START))


def test_a_run_on_a_commit_that_failed_evaluates_nothing_and_says_so(scene: Scene) -> None:
    failed_once(scene)
    before = scene.ours
    result = run(scene, event="workflow_run", attempt="2")
    assert (result.exit_code, result.outputs["decision"], result.outputs["pass_rate"]) == (1, "fail", "0.72")
    assert (started(scene), scene.ours, result.outputs["comment_url"]) == (1, before, "")
    assert scene.status[2] == "fail (hard): 72.0% passed, 0 unsafe, 5 failures, score 93.0; 1 scenario"
    assert result.gate["reason"].startswith("An earlier run evaluated this commit, and it failed")


def test_no_change_but_a_new_commit_starts_a_new_evaluation(scene: Scene) -> None:
    failed_once(scene)
    (scene.workspace / "trace-14-03.json").write_text(TRACE, encoding="utf-8")
    assert [run(scene, **inputs).outputs["decision"] for inputs in AFTERWARDS] == ["fail"] * len(AFTERWARDS)
    scene.pull.comments.clear()
    scene.repository.commit("main", {POLICY: "paths: [docs/**]\n"})
    before = scene.pull.head
    scene.pull.push({"docs/a.md": ""})
    assert run(scene).outputs["decision"] == "pass"
    scene.pull.head = before
    assert (run(scene).outputs["decision"], scene.status[0], started(scene)) == ("fail", "failure", 2)


def two_gates(scene: Scene, first: dict[str, object]) -> None:
    """Give the pull request two gates; the first one is decided, and the other one never."""
    scene.repository.commit("main", {POLICY: TWO})
    scene.pull = scene.repository.pull("mona", head="two-gates")
    scene.sepurux.script(START, *(backend.json({"batch_id": name}) for name in ("b-1", "b-2")))
    for name, fields in (("b-1", first), ("b-2", RUNNING)):
        answer = backend.json(backend.decided(**fields, batch_id=name, run_ids=[f"run-of-{name}"]))
        scene.sepurux.script(f"GET /v1/ci/batch/{name}", answer)


@pytest.mark.parametrize(
    ("answers", "enforcement", "decisions", "states"),
    [
        *((PASSED, "hard", ["error", "error"], ["failure"] * 2), (FAILED, "hard", ["error", "fail"], ["failure"] * 2)),
        (FAILED, "observe", ["error", "fail"], ["pending"] * 2),
    ],
)
def test_after_a_signal_nothing_is_read_and_no_status_is_success(
    answers: dict[str, object], enforcement: str, decisions: list[str], states: list[str], scene: Scene
) -> None:
    two_gates(scene, answers)
    result = interrupt(f"{answers['decision']} after", **scene.options(enforcement=enforcement))
    assert sorted(gate["decision"] for gate in json.loads(result.outputs["gates"])) == decisions
    assert [*scene.states().values()] == states
    assert scene.github.calls("graphql pull") == ()
    assert len(scene.github.calls("repos/list-commit-statuses-for-ref")) == 1


def test_a_fail_that_another_run_sets_meanwhile_with_the_link_of_another_gates_fail_stays(scene: Scene) -> None:
    """Without a dashboard, the statuses of all gates of a workflow run link to that run."""
    fail, link = "fail (hard): 72.0% passed, 0 unsafe, 5 failures, score -", f"{scene.github.server_url}/octo/shop/x"
    scene.repository.commit("main", {POLICY: TWO})
    scene.pull = scene.repository.pull("mona", head="two-gates")
    sha = scene.pull.head_sha
    scene.repository.status(sha, "failure", "Sepurux / one", fail).target_url = link

    def other_run() -> None:
        if len(scene.repository.statuses_of(sha)) == 2:  # the pending status of this run
            scene.repository.status(sha, "failure", "Sepurux / two", fail).target_url = link
            scene.repository.status(sha, "success", "Sepurux / two", "pass (hard): 95.0% passed").target_url = link

    scene.github.after("repos/create-commit-status", other_run)
    scene.answers(**PASSED)
    assert [gate["decision"] for gate in json.loads(run(scene).outputs["gates"])] == ["fail", "fail"]
    assert set(scene.states().values()) == {"failure"}


def test_a_review_sets_a_status_only_for_an_approval_or_its_loss(scene: Scene) -> None:
    for login in ("hubot", "ada"):
        scene.repository.collaborator(login, "write")
    failed_once(scene, enforcement="soft")
    steps = [("ada", "COMMENTED", ""), ("hubot", "APPROVED", "success"), ("ada", "APPROVED", "")]
    steps += [("ada", "DISMISSED", ""), ("hubot", "CHANGES_REQUESTED", "pending"), ("ada", "COMMENTED", "")]
    for login, state, expected in steps:
        scene.pull.review(login, state)
        before = len(scene.repository.statuses)
        run(scene, event="pull_request_review", enforcement="soft")
        assert [each.state for each in scene.repository.statuses[before:]] == ([expected] if expected else [])


def test_a_review_that_cannot_read_the_statuses_is_an_error_and_sets_none(scene: Scene) -> None:
    failed_once(scene)
    before = len(scene.repository.statuses)
    scene.github.fault("repos/list-commit-statuses-for-ref", faults.refused(422, "Validation Failed"), always=True)
    assert run(scene, event="pull_request_review").outputs["decision"] == "error"
    assert len(scene.repository.statuses) == before


def test_a_status_of_another_account_or_context_is_no_record(scene: Scene) -> None:
    sha, fail = scene.pull.head_sha, "fail (hard): 72.0% passed, 0 unsafe, 5 failures, score -"
    scene.repository.status(sha, "failure", CONTEXT, fail, creator="mallory")
    scene.repository.status(sha, "failure", "Sepurux / other", fail)
    meanwhile = partial(scene.repository.status, sha, "failure", CONTEXT, fail, creator="mallory")
    scene.github.after("repos/create-commit-status", meanwhile)
    scene.answers(**PASSED)
    assert (run(scene).outputs["decision"], started(scene), scene.states()[CONTEXT]) == ("pass", 1, "success")


def test_a_read_that_fails_before_the_evaluation_brings_no_older_fail_back(scene: Scene) -> None:
    """The newest decision is a `pass`; the statuses can be read only after what would be the evaluation."""
    sha = scene.pull.head_sha
    for state, description in (
        ("failure", "fail (hard): 72.0% passed, 0 unsafe, 5 failures, score -"),
        ("success", "pass (hard): 95.0% passed, 0 unsafe, 1 failure, score 93.0"),
        ("pending", "the evaluation is running"),
    ):
        scene.repository.status(sha, state, CONTEXT, description)
    scene.github.fault("repos/list-commit-statuses-for-ref", faults.refused(422, "Validation Failed"))
    result = run(scene)
    assert (result.outputs["decision"], started(scene)) == ("error", 0)
    assert scene.status[2].startswith("error (hard): -")
    scene.answers(**PASSED)
    assert run(scene).outputs["decision"] == "pass"


def test_without_the_permission_to_set_statuses_there_is_no_record(scene: Scene) -> None:
    scene.token = scene.github.token({"contents": "read", "pull-requests": "write"})
    for answers, decision in ((FAILED, "fail"), (PASSED, "pass")):
        scene.answers(**answers)
        result = run(scene)
        assert result.outputs["decision"] == decision
        assert "no record: the token may not set statuses, so a `fail` of this run" in result.log
    assert scene.repository.statuses == []


def test_if_statuses_cannot_be_read_after_the_evaluation_the_gate_is_an_error_without_scenarios(scene: Scene) -> None:
    scene.github.fault("repos/list-commit-statuses-for-ref", faults.refused(403, "no"), always=True)
    scene.answers(**PASSED)
    assert run(scene, report_dir="reports").outputs["decision"] == "error"
    [gate] = json.loads((scene.workspace / "reports" / "report.json").read_text(encoding="utf-8"))["gates"]
    assert (gate["rule"], gate["scenarios"]) == ("record_unread", [])


@pytest.mark.parametrize("name", ["refunds  v2", "refunds \N{SHIELD}\N{VARIATION SELECTOR-16}", "x\u3164y"])
def test_a_fail_stays_whatever_characters_the_name_of_the_gate_has(name: str, scene: Scene) -> None:
    failed_once(scene, name=name)
    assert run(scene, name=name).outputs["decision"] == "fail"
    assert started(scene) == 1


def test_the_requests_of_each_kind_of_run(scene: Scene) -> None:
    """One hard gate without `paths` makes at most 8 requests to GitHub."""

    def requests(work: Callable[[], object]) -> tuple[dict[str, int], int]:
        before = len(scene.github.requests), len(scene.sepurux.requests)
        work()
        counted = Counter(each.operation for each in scene.github.requests[before[0] :])
        return dict(counted), len(scene.sepurux.requests) - before[1]

    scene.answers(**{**FAILED, "failures": 0})
    recorded = {"graphql commit": 1, "repos/list-commit-statuses-for-ref": 1, "repos/create-commit-status": 1}
    evaluated = {**recorded, "repos/get-branch-rules": 1, "graphql pull": 1, "repos/create-commit-status": 2}
    assert requests(lambda: run(scene)) == ({**evaluated, "issues/create-comment": 1}, 4)
    assert requests(lambda: run(scene)) == (recorded, 0)
    scene.pull.push()
    assert requests(lambda: run(scene)) == ({**evaluated, "issues/update-comment": 1}, 4)
    assert (len(scene.ours), scene.status[0]) == (1, "failure")
    scene.pull.push()
    for number in range(100):
        scene.repository.status(scene.pull.head_sha, "success", f"ci / {number}")
        scene.pull.comment("octocat", f"comment {number}")
    found, _ = requests(lambda: run(scene))
    assert (sum(found.values()), found["issues/update-comment"]) == (8, 1)


def test_a_list_of_statuses_that_is_too_long_is_final_at_once(scene: Scene) -> None:
    for number in range(3_001):
        scene.repository.status(scene.pull.head_sha, "success", f"ci / {number}")
    result = run(scene)
    assert (result.exit_code, result.outputs["decision"], started(scene)) == (2, "error", 0)
    assert len(scene.github.calls("repos/list-commit-statuses-for-ref")) == 30
    assert "more than 3000 entries). Push a commit: a re-run finds as many." in result.log
