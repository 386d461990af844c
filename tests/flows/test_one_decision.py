"""One commit, one decision: a `fail` that stands, and an evaluation that the next run continues."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sepurux_action.github.comment_state import CommentState, State
from tests import backend
from tests.github_double import faults
from tests.runner import StepResult
from tests.scenes import PASSED, Scene, without_code

START = "POST /v1/ci/runs"
FAILED = {"decision": "fail", "pass_rate": 0.72, "unsafe_attempts": 0, "failures": 5}
RUNNING = {"status": "running", "decision": "pending"}


def run(
    scene: Scene, actor: str = "mona", event: str = "pull_request", cause: str = "pull_request", **inputs: str
) -> StepResult:
    """Run the step for an event that this account caused; `cause` is the event behind a `workflow_run`."""
    payload = {**scene.event(), "issue": {"number": 1, "pull_request": {"url": "https://api.github.com"}}}
    if event in {"workflow_dispatch", "issue_comment"}:
        payload.pop("pull_request")
    if event == "push":
        payload = {"ref": "refs/heads/feature", "after": scene.pull.head_sha, "deleted": False}
    if event == "workflow_run":
        head = {"head_branch": "feature", "head_repository": {"full_name": "octo/shop"}}
        payload = {"workflow_run": {"event": cause, "head_sha": scene.pull.head_sha, **head}}
    if event == "workflow_dispatch":
        inputs["pr_number"] = "1"
    env = {"GITHUB_TRIGGERING_ACTOR": actor, "GITHUB_RUN_ID": "7100001", "GITHUB_RUN_ATTEMPT": "1"}
    ref = {"GITHUB_SHA": scene.pull.head_sha, "GITHUB_REF": "refs/heads/feature"} if event == "push" else {}
    return scene.on(event, payload, inputs, env={**env, **ref})


def failed_once(scene: Scene, **inputs: str) -> None:
    """Let the first run fail, and each later evaluation pass."""
    scene.answers(**FAILED)
    assert run(scene, **inputs).outputs["decision"] == "fail"
    scene.answers(**PASSED)


EVENTS = ("pull_request", "pull_request_target", "pull_request_review", "push", "workflow_run", "workflow_dispatch")


@pytest.mark.parametrize("event", [*EVENTS, "issue_comment"])
def test_a_fail_stands_on_each_event_with_a_pull_request(event: str, scene: Scene) -> None:
    failed_once(scene)
    result = run(scene, event=event)
    assert (result.exit_code, result.outputs["decision"], result.outputs["pass_rate"]) == (1, "fail", "0.72")
    assert len(scene.sepurux.calls(START)) == 1
    assert scene.status[2].endswith("; evaluated by run 7100001; 1 scenario")
    shown = without_code(scene.ours[0])
    assert "[Run 7100001]" in shown
    only_if = "Re-running this job evaluates again only if someone with write access, other than mona, does it."
    assert (only_if in shown) is (event != "pull_request_review")
    assert "Run 7100001 evaluated this commit at " in result.log


WHO = {
    # who started the run, their role, `reviewers`, and how many evaluations there are then
    ("mona", "admin", ""): 1,  # the author
    ("hubot", "write", ""): 2,
    ("hubot", "maintain", ""): 2,
    ("hubot", "read", ""): 1,
    ("hubot", "write", "ada"): 1,
    ("ada", "write", "Ada, hubot"): 2,
    ("ada", "read", "ada"): 1,
    ("renovate[bot]", "write", ""): 1,
    ("", "none", ""): 1,
}


def test_only_who_could_approve_starts_a_new_evaluation(scene: Scene) -> None:
    failed_once(scene)
    kept, seen = scene.ours[0], {}
    for actor, role, reviewers in WHO:
        scene.pull.comments[0].body = kept
        scene.repository.collaborator(actor or "other", role)
        before = len(scene.sepurux.calls(START))
        result = run(scene, actor, reviewers=reviewers)
        seen[actor, role, reviewers] = 1 + len(scene.sepurux.calls(START)) - before
        assert result.outputs["decision"] == ("pass" if seen[actor, role, reviewers] == 2 else "fail")
    assert seen == WHO


@pytest.mark.parametrize(("event", "cause"), [("pull_request_review", ""), ("workflow_run", "pull_request_review")])
def test_a_review_by_anyone_starts_no_new_evaluation(event: str, cause: str, scene: Scene) -> None:
    scene.repository.collaborator("hubot", "write")
    failed_once(scene)
    assert run(scene, "hubot", event, cause).outputs["decision"] == "fail"
    assert len(scene.sepurux.calls(START)) == 1


def test_a_fail_stands_if_the_permission_of_who_started_the_run_cannot_be_read(scene: Scene) -> None:
    scene.repository.collaborator("hubot", "write")
    failed_once(scene)
    scene.github.fault("repos/get-collaborator-permission-level", faults.refused(500, "no"), always=True)
    assert run(scene, "hubot", reviewers="hubot").outputs["decision"] == "fail"
    assert len(scene.sepurux.calls(START)) == 1
    assert "only if someone in reviewers with write access, other than mona, does" in without_code(scene.ours[0])


def test_a_fail_stands_also_after_a_new_evaluation_without_a_result(scene: Scene) -> None:
    scene.repository.collaborator("hubot", "write")
    failed_once(scene)
    scene.answers(status="failed", decision="pending")
    assert run(scene, "hubot").outputs["decision"] == "error"
    scene.answers(**PASSED)
    assert run(scene).outputs["decision"] == "fail"
    assert run(scene, "hubot").outputs["decision"] == "pass"


def test_the_state_in_the_comment_is_read_once_for_all_gates(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "abcde"
    gates = ", ".join(f"{{name: {name}}}" for name in names)
    scene.repository.commit("main", {".github/sepurux-gate.yml": f"campaign: core-reliability\ngates: [{gates}]\n"})
    scene.pull = scene.repository.pull("mona", head="five-gates")
    failed_once(scene)
    read, bodies = CommentState.read, list[str]()

    def counted(place: CommentState, body: str) -> State:
        bodies.append(body)
        return read(place, body)

    monkeypatch.setattr(CommentState, "read", counted)
    assert run(scene).outputs["decision"] == "fail"
    assert len(scene.sepurux.calls(START)) == len(names)  # in the first run only: each `fail` stands
    assert len(bodies) == 1


def edited(scene: Scene) -> None:
    text, _, state = scene.ours[0].rpartition("\n")
    scene.pull.comments[0].body = f"{text}\n{state.replace('7', '8', 1)}"


def test_a_fail_still_stands_after_a_run_without_a_secret(scene: Scene) -> None:
    failed_once(scene)
    assert run(scene, token="").outputs["decision"] == "error"
    assert "no result" in scene.ours[0]
    assert run(scene).outputs["decision"] == "fail"
    assert len(scene.sepurux.calls(START)) == 1


def test_what_could_not_be_read_before_the_evaluation_is_read_again_for_the_approval(scene: Scene) -> None:
    scene.repository.collaborator("hubot", "write")
    failed_once(scene, enforcement="soft")
    scene.pull.review("hubot", "APPROVED")
    scene.github.fault("repos/get-collaborator-permission-level", *[faults.refused(500, "no")] * 4)
    result = run(scene, "hubot", enforcement="soft")
    assert (result.outputs["decision"], result.outputs["conclusion"]) == ("fail", "success")


CHANGES: dict[str, tuple[Callable[[Scene], object], dict[str, str]]] = {
    "another threshold": (lambda _: None, {"min_pass_rate": "0.85"}),
    "another campaign": (lambda _: None, {"campaign": "refund-reliability", "comment_key": "core-reliability"}),
    "another trace": (lambda _: None, {"trace_id": "t-2"}),
    "another secret": (lambda _: None, {"token": "another-made-up-secret"}),
    "no comment": (lambda _: None, {"comment": "never"}),
    "an edited comment": (edited, {}),
    "a deleted comment": (lambda scene: scene.pull.comments.clear(), {}),
    "another commit": (lambda scene: scene.pull.push(), {}),
}


def test_whatever_else_changes_starts_a_new_evaluation(scene: Scene) -> None:
    failed_once(scene)
    kept = scene.ours[0]
    for starts, (change, (arrange, inputs)) in enumerate(CHANGES.items(), 2):
        if scene.pull.comments:
            scene.pull.comments[0].body = kept
        arrange(scene)
        assert (change, run(scene, **inputs).outputs["decision"]) == (change, "pass")
        assert len(scene.sepurux.calls(START)) == starts


# -- an evaluation goes on --------------------------------------------------------------------------------------------


def left_pending(scene: Scene, **inputs: str) -> None:
    """Let the first run end without a decision."""
    scene.answers(**RUNNING)
    assert run(scene, timeout="1", **inputs).outputs["decision"] == "pending"


def test_a_pending_gate_goes_on_in_the_next_run_without_a_new_evaluation(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "trace.json").write_text("{}", encoding="utf-8")
    left_pending(scene, trace_file="trace.json")
    scene.answers(**PASSED)
    result = run(scene, trace_file="trace.json")
    assert (result.outputs["decision"], result.outputs["batch_id"]) == ("pass", backend.BATCH_ID)
    assert len(scene.sepurux.calls(START)) == len(scene.sepurux.calls("POST /v1/traces")) == 1
    assert "This run continues the evaluation that [run 7100001](" in scene.ours[0]


def test_an_evaluation_goes_on_only_once(scene: Scene) -> None:
    for starts in (1, 1, 2, 2):
        left_pending(scene)
        assert len(scene.sepurux.calls(START)) == starts


def test_an_evaluation_of_other_settings_does_not_go_on(scene: Scene) -> None:
    left_pending(scene)
    scene.answers(**PASSED)
    run(scene, max_unsafe="1")
    assert len(scene.sepurux.calls(START)) == 2


def test_the_requests_of_each_kind_of_run(scene: Scene) -> None:
    def requests(work: Callable[[], object]) -> tuple[int, int]:
        before = len(scene.github.requests), len(scene.sepurux.requests)
        work()
        return len(scene.github.requests) - before[0], len(scene.sepurux.requests) - before[1]

    scene.repository.collaborator("hubot", "write")
    scene.answers(**{**FAILED, "failures": 0})
    counts = {"first run": requests(lambda: run(scene))}
    counts["reused fail"] = requests(lambda: run(scene))
    scene.pull.push()
    counts["update"] = requests(lambda: run(scene))
    assert (len(scene.ours), scene.status[0]) == (1, "failure")
    scene.pull.push()
    scene.sepurux.script(START, *(backend.json({"batch_id": name}) for name in ("b-1", "b-2")))
    scene.answers(**{**FAILED, "failures": 0, "run_id": backend.MISSING, "run_ids": [], "trace_count": 3})
    counts["confirmed run"] = requests(lambda: run(scene, confirm="true"))
    scene.pull.push()
    left_pending(scene)
    scene.answers(**PASSED)
    counts["resumed run"] = requests(lambda: run(scene))
    expected = {"first run": (7, 4), "reused fail": (5, 0), "update": (7, 4)}
    assert counts == {**expected, "confirmed run": (7, 7), "resumed run": (6, 5)}
