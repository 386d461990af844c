"""The policy file and the stages: which file applies, what a pull request cannot loosen, who can approve a gate."""

from __future__ import annotations

import json

import pytest

from tests import backend
from tests.backend import MISSING, Request, decided
from tests.gfm import read
from tests.github_double import faults
from tests.github_double.state import PullRequest
from tests.runner import StepResult, interrupt, run_action
from tests.scenes import PASSED, Scene, without_code

PATH = ".github/sepurux-gate.yml"
STRICT = "campaign: core-reliability\nenforcement: hard\nthresholds:\n  min_pass_rate: 0.9\n  max_unsafe: 0\n"
LOOSE = "campaign: core-reliability\nenforcement: observe\nthresholds:\n  min_pass_rate: 0\n  max_unsafe: 99\n"
SOFT = STRICT.replace("hard", "soft")
SEARCH = "campaign: core-reliability\ngates:\n  - {name: search, paths: ['search/**']}\n"


def with_policy(scene: Scene, text: str) -> None:
    """Commit a policy to the base branch, and open a new pull request on top of it."""
    scene.repository.commit("main", {PATH: text})
    scene.pull = scene.repository.pull("mona", head=f"feature-{len(scene.repository.pulls)}")


# -- whose policy -----------------------------------------------------------------------------------------------------


def test_a_looser_file_in_the_head_changes_nothing_and_each_changed_value_is_shown(scene: Scene) -> None:
    with_policy(scene, STRICT)
    scene.pull.push({PATH: LOOSE})
    scene.answers()
    result = scene.run()
    assert (result.exit_code, result.outputs["enforcement"]) == (1, "hard")
    for text in (result.summary, scene.ours[0]):
        page = read(text)
        shown = page.prose + " ".join(page.code)
        for value in ("min_pass_rate", "0.9", "enforcement", "observe", "99"):
            assert value in shown


def test_looser_inputs_do_not_loosen_what_the_file_sets_and_are_named_in_one_line(scene: Scene) -> None:
    with_policy(scene, STRICT)
    scene.answers()
    result = scene.run(enforcement="observe", min_pass_rate="0", max_unsafe="99")
    assert (result.exit_code, result.outputs["enforcement"]) == (1, "hard")
    [line] = [line for line in result.log.splitlines() if "overrides" in line]
    assert all(name in line for name in ("enforcement", "min_pass_rate", "max_unsafe"))


DROP = "thresholds: {max_pass_rate_drop: 3%}\n"
BY_BRANCH = "enforcement: [{stage: observe}, {stage: hard, branches: [main]}]\n"
SHARED = "so a pull request with the same head commit into another branch sets the same status"


@pytest.mark.parametrize(
    ("policy", "written"),
    [
        (DROP, "Sepurux ({base})"),
        ("thresholds: {max_reliability_score_drop: 3}\nstatus_context: Agents\n", "Agents ({base})"),
        (
            "gates:\n  - name: support\n  - name: refunds\n    thresholds: {max_pass_rate_drop: 3%}\n",
            "Sepurux ({base})",
        ),
        (BY_BRANCH, "Sepurux ({base})"),
        (f"{DROP}{BY_BRANCH}status_context: 'Sepurux ({{base}})'\n", ""),
        (f"{DROP}{BY_BRANCH}status: false\n", ""),
        ("enforcement: [{stage: observe}, {stage: hard, from: 2020-01-01}]\n", ""),
    ],
)
def test_one_warning_says_that_branches_with_different_policies_share_a_status(
    policy: str, written: str, scene: Scene
) -> None:
    with_policy(scene, f"campaign: core-reliability\n{policy}")
    scene.answers(**PASSED)
    warnings = [warning for warning in scene.run().messages("warning") if SHARED in warning]
    assert len(warnings) == (1 if written else 0)
    assert all(f'Write `status_context: "{written}"`' in warning for warning in warnings)


def test_without_github_no_status_is_shared(scene: Scene) -> None:
    result = scene.run(github_token="", max_pass_rate_drop="3%")
    assert SHARED not in result.log


def test_a_first_file_with_observe_does_not_observe_yet(scene: Scene) -> None:
    scene.pull.push({PATH: LOOSE})
    scene.answers()
    result = scene.run()
    assert (result.exit_code, result.outputs["enforcement"]) == (1, "hard")
    assert "adds the first policy file" in read(result.summary).prose


def test_a_first_policy_file_can_neither_shorten_the_timeout_nor_skip_its_gate(scene: Scene) -> None:
    gate = "{name: core-reliability, paths: ['none/**'], timeout: 0.3}"
    scene.pull.push({PATH: f"campaign: core-reliability\nstatus: false\ntimeout: 0.3\ngates:\n  - {gate}\n"})
    polls: list[float] = []

    def poll(request: Request) -> backend.Answer:
        polls.append(request.at)
        over = polls[-1] - polls[0] > 0.4  # seconds: more than the timeout of the pull request's own file
        return backend.json(decided(run_ids=[backend.RUN_ID]) if over else {"status": "running"})

    scene.sepurux.script("GET /v1/ci/batch/*", poll)
    result = scene.run(on_undecided="allow", paths="none/**")
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail"), result.log
    assert scene.status[0] == "failure"
    assert "The input `paths` is ignored" in result.messages("warning")[0]


def test_a_deleted_policy_file_applies_until_the_merge(scene: Scene) -> None:
    with_policy(scene, STRICT)
    scene.pull.push({PATH: None})
    scene.answers()
    result = scene.run(enforcement="observe")
    assert result.exit_code == 1
    assert "deletes the policy file" in read(result.summary).prose


def run_after_a_fork(scene: Scene, file: str) -> tuple[StepResult, PullRequest]:
    """Return the result of a workflow_run for a fork's pull request with this policy file, and the pull request."""
    fork = scene.repository.fork("mallory")
    pull = scene.repository.pull("mallory", head="evil", source=fork, files={PATH: file})
    scene.answers()
    return run_after(scene, pull), pull


def run_after(scene: Scene, pull: PullRequest) -> StepResult:
    """Return the result of a workflow_run for a fork's pull request."""
    assert pull.head_repository is not None
    run = {
        "event": "pull_request",
        "head_sha": pull.head_sha,
        "head_branch": pull.head_ref,
        "head_repository": {"full_name": pull.head_repository.full_name, "id": 77},
        "pull_requests": [],
    }
    return scene.on("workflow_run", {"workflow_run": run})


def test_a_forks_head_with_pull_requests_into_two_branches_blocks_in_every_stage(
    scene: Scene,
) -> None:
    scene.repository.commit("main", {PATH: LOOSE})
    for branch in ("release/1", "release/2"):
        scene.repository.commit(branch, {PATH: STRICT})
    fork = scene.repository.fork("mallory")
    pull = scene.repository.pull("mallory", head="evil", source=fork, base="release/1")
    other = scene.repository.pull("mallory", head="evil", source=fork, base="release/2")
    pull.head = other.head
    scene.answers()
    result = run_after(scene, pull)
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (2, "error", "failure")
    assert scene.sepurux.requests == ()
    [message] = result.messages("error")
    listed = f'#{other.number} into "release/2", #{pull.number} into "release/1"'
    assert listed in message
    for text in (message, read(result.summary).prose + " ".join(read(result.summary).code)):
        assert "release/1" in text
        assert "release/2" in text
        assert "pull_request" in text
        assert "pr_number" in text
    assert scene.states(pull.head_sha) == {"Sepurux / core-reliability": "failure"}
    assert (pull.comments, other.comments) == ([], [])


def test_a_dispatched_run_on_a_pull_requests_branch_is_evaluated_by_its_base(scene: Scene) -> None:
    with_policy(scene, STRICT)
    (scene.workspace / ".github").mkdir()
    (scene.workspace / PATH).write_text(LOOSE)
    scene.pull.push({PATH: LOOSE})
    scene.answers()
    result = scene.push(scene.pull.head_ref, event_name="workflow_dispatch")
    assert (result.exit_code, result.outputs["enforcement"], scene.status[0]) == (1, "hard", "failure"), result.log
    assert len(scene.ours) == 1


def test_a_soft_gate_on_a_commit_of_two_pull_requests_into_one_branch_acts_as_a_hard_one(scene: Scene) -> None:
    with_policy(scene, SOFT)
    twin = scene.repository.pull("mona", head="twin")
    twin.head, sha = scene.pull.head, scene.pull.head_sha
    scene.repository.collaborator("hubot", "write")
    scene.pull.review("hubot", "APPROVED")
    scene.answers()
    result = scene.push(scene.pull.head_ref)
    assert (result.exit_code, result.outputs["enforcement"], scene.status[0]) == (1, "soft", "failure"), result.log
    assert "a soft gate acts as a hard gate" in result.summary
    assert f"no comment: {sha[:7]} is the head of 2 open pull requests into main" in result.log
    assert (scene.pull.comments, twin.comments) == ([], [])


def test_a_status_with_the_prefix_of_a_policy_fails_once_the_policy_cannot_be_read(scene: Scene) -> None:
    with_policy(scene, f'{STRICT}status_context: "Reliability ({{base}})"\n')
    scene.answers(**PASSED)
    assert scene.run().exit_code == 0
    assert scene.status[:2] == ("success", "Reliability (main) / core-reliability")
    scene.token = scene.github.token({"pull-requests": "write", "statuses": "write"})
    assert scene.run().exit_code == 2
    assert scene.states() == {
        "Sepurux / core-reliability": "failure",
        "Reliability (main) / core-reliability": "failure",
    }


def test_the_policy_file_of_a_fork_does_not_apply_to_a_workflow_run(scene: Scene) -> None:
    with_policy(scene, STRICT)
    result, pull = run_after_a_fork(scene, LOOSE)
    assert (result.exit_code, result.outputs["enforcement"]) == (1, "hard"), result.log
    assert {status.commit.sha for status in scene.repository.statuses} == {pull.head_sha}
    assert len(pull.comments) == 1


def test_a_closed_pull_request_of_a_fork_keeps_the_policy_of_its_base_and_gets_no_comment(scene: Scene) -> None:
    """Otherwise its author closes it before the lookup and reopens it afterwards."""
    scene.repository.commit("main", {PATH: LOOSE})
    scene.repository.commit("release/1", {PATH: STRICT})
    fork = scene.repository.fork("mallory")
    scene.pull = scene.repository.pull("mallory", head="evil", source=fork, base="release/1")
    scene.pull.state = "closed"
    scene.answers()
    result = run_after(scene, scene.pull)
    assert (result.exit_code, result.outputs["enforcement"], scene.status[0]) == (1, "hard", "failure"), result.log
    assert f"no comment: pull request {scene.pull.number} is closed" in result.log
    assert scene.pull.comments == []
    assert result.messages("warning") == []


@pytest.mark.parametrize("change", ["a newer commit", "another repository"])
def test_a_run_that_a_pull_request_started_is_an_error_if_no_pull_request_has_its_head(
    change: str, scene: Scene
) -> None:
    scene.repository.commit("main", {PATH: LOOSE})
    pull = scene.repository.pull("mallory", head="evil", source=scene.repository.fork("mallory"))
    evaluated = pull.head_sha
    if change == "a newer commit":
        pull.head = scene.repository.commits[scene.repository.commit("main")]
    else:
        pull.head_repository = None
    run = {"head_sha": evaluated, "head_branch": "evil", "head_repository": {"full_name": "mallory/shop", "id": 77}}
    result = scene.on("workflow_run", {"workflow_run": {"event": "pull_request", "pull_requests": [], **run}})
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (2, "error", "failure")
    assert scene.sepurux.requests == ()
    [message] = result.messages("error")
    assert f"no pull request has the head mallory/shop:evil at {evaluated[:7]}" in message
    assert "a newer commit" in message
    assert "pr_number" not in message
    assert scene.state(evaluated) == "failure"


def pushed(scene: Scene, branch: str, name: str = "push") -> StepResult:
    """Return the result of a run on a branch of the repository, whose checkout has the files of its commit."""
    commit = scene.repository.branches[branch]
    (scene.workspace / ".github").mkdir(exist_ok=True)
    (scene.workspace / PATH).write_bytes(commit.files[PATH])
    return scene.push(branch, event_name=name)


@pytest.mark.parametrize("name", ["push", "workflow_dispatch"])
def test_a_forks_commit_on_a_branch_uses_the_policy_of_its_pull_requests_base(name: str, scene: Scene) -> None:
    """A maintainer pushes the commit to record its traces, as docs/security.md advises. It brings its own policy."""
    scene.repository.commit("main", {PATH: STRICT})
    fork = scene.repository.fork("mallory")
    scene.pull = scene.repository.pull("mallory", head="evil", source=fork, files={PATH: LOOSE})
    scene.repository.branch("checked", scene.pull.head_sha)
    scene.answers()
    result = pushed(scene, "checked", name)
    assert (result.exit_code, result.outputs["enforcement"], scene.status[0]) == (1, "hard", "failure"), result.log
    assert len(scene.pull.comments) == 1


@pytest.mark.parametrize("name", ["push", "workflow_dispatch", "schedule", "deployment"])
def test_a_forks_pull_request_does_not_change_the_policy_of_the_default_branch(name: str, scene: Scene) -> None:
    """Anyone can open such a pull request, into any branch."""
    scene.repository.commit("dev", {PATH: LOOSE})
    scene.repository.commit("main", {PATH: STRICT})
    scene.pull = scene.repository.pull("mallory", head="x", source=scene.repository.fork("mallory"), base="dev")
    scene.pull.head = scene.repository.branches["main"]
    scene.answers()
    result = pushed(scene, "main", name)
    assert (result.exit_code, result.outputs["enforcement"], scene.status[0]) == (1, "hard", "failure"), result.log
    assert scene.pull.comments == []


def test_pull_requests_of_repository_and_fork_into_different_branches_are_an_error(scene: Scene) -> None:
    scene.repository.commit("dev", {PATH: LOOSE})
    with_policy(scene, STRICT)
    twin = scene.repository.pull("mallory", head="x", source=scene.repository.fork("mallory"), base="dev")
    twin.head = scene.pull.head
    scene.answers()
    result = pushed(scene, scene.pull.head_ref)
    assert (result.exit_code, result.outputs["decision"], scene.status[0]) == (2, "error", "failure"), result.log
    assert scene.sepurux.requests == ()


def test_problems_of_the_policy_file_that_applies_are_annotations_on_their_lines(scene: Scene) -> None:
    with_policy(scene, "campaign: core\nenforcment: hard\nthresholds:\n  max_unsafe: -1\n")
    result = scene.run()
    assert result.exit_code == 2
    places = [(shown.file, shown.line) for shown in result.annotations if shown.level == "error"]
    assert places == [(PATH, 2), (PATH, 4)]
    assert "did you mean `enforcement`" in result.messages("error")[0]


def test_problems_of_the_file_and_of_the_inputs_are_reported_together(scene: Scene) -> None:
    with_policy(scene, "enforcement: hrad\n")
    result = scene.run(timeout="ten minutes", pol_interval="5")
    assert [message.partition(":")[0] for message in result.messages("error")] == [
        "`enforcement`",
        "input `timeout`",
        "input `pol_interval`",
    ]


def test_a_named_file_that_is_absent_is_a_problem(scene: Scene) -> None:
    result = scene.run(config=".github/other.yml")
    assert result.exit_code == 2
    assert "no such file" in result.messages("error")[0]


def test_without_a_token_the_policy_file_of_the_checkout_applies(scene: Scene) -> None:
    (scene.workspace / ".github").mkdir()
    (scene.workspace / PATH).write_text(STRICT)
    scene.answers()
    assert scene.run(github_token="", enforcement="observe").exit_code == 1


# -- stages -----------------------------------------------------------------------------------------------------------


def test_date_and_branch_determine_the_stage_and_the_next_change_is_reported(scene: Scene) -> None:
    rules = (
        "enforcement:\n  - {stage: observe}\n  - {stage: soft, from: 2020-01-01}\n  - {stage: hard, from: 2999-01-01}\n"
    )
    with_policy(scene, "campaign: core-reliability\n" + rules)
    scene.answers()
    result = scene.run()
    assert result.outputs["enforcement"] == "soft"
    assert "2999-01-01" in read(result.summary).prose


def test_a_soft_gate_waits_asks_the_listed_reviewers_and_says_who_can_approve_it(scene: Scene) -> None:
    with_policy(scene, SOFT + "reviewers: [hubot, reader]\n")
    scene.repository.collaborator("hubot", "write")
    scene.repository.collaborator("reader", "read")
    scene.answers()
    result = scene.run()
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (1, "fail", "failure")
    state, _, description = scene.status
    assert state == "pending"
    assert description.endswith("; needs an approval")
    assert [account.login for account in scene.pull.requested] == ["hubot"]
    assert f"hubot can approve commit {scene.pull.head_sha[:7]}" in without_code(scene.ours[0])


def test_a_soft_gate_that_none_of_the_listed_reviewers_can_approve_is_blocked(scene: Scene) -> None:
    with_policy(scene, SOFT + "reviewers: [reader, mona]\n")
    scene.repository.collaborator("reader", "read")
    scene.repository.collaborator("mona", "admin")
    scene.pull.review("reader", "APPROVED")
    scene.answers()
    result = scene.run()
    assert (result.exit_code, result.outputs["conclusion"], scene.pull.requested) == (1, "failure", [])
    state, _, description = scene.status
    assert (state, ";" in description) == ("failure", False)
    comment = without_code(scene.ours[0])
    assert "None of the reviewers listed in the policy can approve this: reader has no write access" in comment
    assert "mona is the author of the pull request" in comment


REVIEWS: dict[str, tuple[list[tuple[str, str, str]], bool]] = {
    "a writer": ([("hubot", "APPROVED", "head"), ("hubot", "COMMENTED", "head")], True),
    "the author": ([("mona", "APPROVED", "head")], False),
    "an older commit": ([("hubot", "APPROVED", "older")], False),
    "approved, then dismissed": ([("hubot", "APPROVED", "head"), ("hubot", "DISMISSED", "head")], False),
}


@pytest.mark.parametrize("case", REVIEWS)
def test_who_can_approve_a_soft_gate(case: str, scene: Scene) -> None:
    reviews, opens = REVIEWS[case]
    with_policy(scene, SOFT)
    for login, role in [("hubot", "write"), ("reader", "read"), ("mona", "admin"), ("renovate[bot]", "write")]:
        scene.repository.collaborator(login, role)
    older = scene.pull.head_sha
    scene.pull.push()
    scene.answers()
    assert scene.run().exit_code == 1
    for login, state, commit in reviews:
        scene.pull.review(login, state, sha=scene.pull.head_sha if commit == "head" else older)
    posts = len(scene.sepurux.calls("POST *"))
    result = scene.review()
    assert len(scene.sepurux.calls("POST *")) == posts, "a review starts no CI run"
    assert result.outputs["decision"] == "fail"
    assert (result.exit_code, scene.status[0]) == ((0, "success") if opens else (1, "pending")), result.log
    if opens:
        assert scene.status[2].endswith("; approved by hubot")
        assert "**Approved by `hubot`.** The failure does not block." in scene.ours[0]


def test_a_pass_is_never_taken_from_a_comment(scene: Scene) -> None:
    with_policy(scene, SOFT)
    scene.answers(**PASSED)
    scene.run()
    scene.answers()
    posts = len(scene.sepurux.calls("POST *"))
    assert scene.review().exit_code == 1
    assert len(scene.sepurux.calls("POST *")) == posts + 1


def test_a_fail_under_other_thresholds_is_evaluated_again(scene: Scene) -> None:
    with_policy(scene, "campaign: core-reliability\nenforcement: soft\n")
    scene.answers()
    scene.run(min_pass_rate="0.9")
    posts = len(scene.sepurux.calls("POST *"))
    scene.review(min_pass_rate="0.8")
    assert len(scene.sepurux.calls("POST *")) == posts + 1


# -- many gates -------------------------------------------------------------------------------------------------------


def many(count: int) -> str:
    gates = "".join(f"  - name: agent-{n}\n    trace_id: trace-{n}\n" for n in range(count))
    return f"campaign: core-reliability\ngates:\n{gates}"


def test_eight_gates_finish_although_some_responses_have_status_429(scene: Scene) -> None:
    with_policy(scene, many(8))
    numbers = {"decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 0}

    def start(request: Request) -> backend.Answer:
        return backend.json({"batch_id": request.json()["trace_id"].replace("trace", "batch")})

    def poll(request: Request) -> backend.Answer:
        batch = request.path.rsplit("/", 1)[-1]
        return backend.json(decided(run_id=MISSING, batch_id=batch, **({} if batch.endswith("-7") else numbers)))

    slow_down = backend.json({"detail": "slow down"}, 429, {"Retry-After": "1"})
    scene.sepurux.script("POST /v1/ci/runs", start, start, slow_down, start)
    scene.sepurux.script("GET /v1/ci/batch/*", poll, poll, slow_down, poll)
    result = scene.run(timeout="100")
    gates = {gate["name"]: gate for gate in json.loads(result.outputs["gates"])}
    assert len(gates) == 8
    assert {name for name, gate in gates.items() if gate["decision"] != "pass"} == {"agent-7"}
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail")
    states = scene.states()
    assert len(states) == 8
    assert [context for context, state in states.items() if state != "success"] == ["Sepurux / agent-7"]
    assert len(scene.ours) == 1
    started = scene.sepurux.calls("POST /v1/ci/runs")
    assert len({call.headers["idempotency-key"] for call in started}) == 8


def test_a_gate_whose_files_are_not_touched_is_skipped_with_a_status_that_says_so(scene: Scene) -> None:
    with_policy(scene, SEARCH + "  - {name: refunds, paths: ['refunds/**']}\n")
    scene.pull.push({"refunds/agent.py": "x"})
    result = scene.run()
    by_name = {gate["name"]: gate["decision"] for gate in json.loads(result.outputs["gates"])}
    assert by_name == {"refunds": "pass", "search": "skipped"}
    statuses = {status.context: status for status in scene.repository.latest_statuses(scene.pull.head_sha)}
    assert statuses["Sepurux / search"].state == "success"
    assert statuses["Sepurux / search"].description == "skipped (hard): -; no changed file matches its paths"
    assert len(scene.sepurux.calls("POST /v1/ci/runs")) == 1


@pytest.mark.parametrize("when", ["before", "while"])
def test_the_changed_files_of_another_commit_skip_no_gate(when: str, scene: Scene) -> None:
    with_policy(scene, SEARCH)
    scene.pull.push({"search/agent.py": "x"})
    evaluated, options = scene.pull.head_sha, scene.options()

    def push_what_matches_nothing() -> None:
        scene.pull.push({"search/agent.py": None, "docs/readme.md": "x"})

    if when == "before":
        push_what_matches_nothing()
    else:
        scene.github.before("pulls/list-files", push_what_matches_nothing)
    scene.answers()
    result = run_action(**options)
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail"), result.log
    assert scene.state(evaluated) == "failure"


# -- promotion --------------------------------------------------------------------------------------------------------


def test_observe_says_how_many_recent_pull_requests_a_hard_gate_would_have_blocked(scene: Scene) -> None:
    for number in range(12):
        pull = scene.repository.pull("mona", head=f"past-{number}")
        decision = "fail" if number == 0 else "pass"
        description = f"{decision} (observe): 91.0% passed, 0 unsafe, 2 failures, score 88.0"
        scene.repository.status(pull.head_sha, "success", "Sepurux / core-reliability", description)
    scene.answers(**PASSED)
    result = scene.run(enforcement="observe")
    assert "1 of the last 12 evaluated pull requests would have been blocked" in read(result.summary).prose


@pytest.mark.parametrize("required", [True, False])
def test_hard_warns_when_nothing_requires_its_status(*, required: bool, scene: Scene) -> None:
    if required:
        scene.repository.require_statuses("main", "Sepurux / core-reliability")
    scene.answers(**PASSED)
    assert ("so this gate blocks no merge" in read(scene.run().summary).prose) is not required


def test_two_gates_of_one_name_are_a_problem_also_when_inputs_make_them_so(scene: Scene) -> None:
    with_policy(scene, "gates:\n  - {trace_id: a}\n  - {trace_id: b}\n")
    result = scene.run()
    assert result.exit_code == 2
    assert "2 gates are named" in result.messages("error")[0]


def test_a_head_file_with_problems_is_reported_and_has_no_effect(scene: Scene) -> None:
    with_policy(scene, STRICT)
    scene.pull.push({PATH: "enforcment: observe\n"})
    scene.answers()
    result = scene.run()
    assert result.exit_code == 1
    assert "has problems" in read(result.summary).prose


def test_a_head_file_that_is_no_text_is_reported_and_has_no_effect(scene: Scene) -> None:
    with_policy(scene, STRICT)
    scene.pull.push({PATH: b"\x00\xff"})
    scene.answers()
    result = scene.run()
    assert result.exit_code == 1
    assert "not a text file" in read(result.summary).prose


def test_a_first_file_with_problems_is_reported_on_its_lines(scene: Scene) -> None:
    scene.pull.push({PATH: "campaign: core-reliability\nenforcment: observe\n"})
    result = scene.run()
    assert result.exit_code == 2
    assert [(shown.file, shown.line) for shown in result.annotations if shown.level == "error"] == [(PATH, 2)]


def test_a_gate_without_a_secret_is_an_error_and_a_gate_without_changes_is_skipped(scene: Scene) -> None:
    with_policy(scene, SEARCH + "  - {name: refunds, paths: ['refunds/**']}\n")
    scene.pull.push({"refunds/agent.py": "x"})
    result = scene.run(token="")
    by_name = {gate["name"]: gate["decision"] for gate in json.loads(result.outputs["gates"])}
    assert by_name == {"refunds": "error", "search": "skipped"}
    assert result.exit_code == 2


def test_a_missing_secret_is_listed_with_invalid_settings_and_alone_is_none(scene: Scene) -> None:
    bad = scene.run(token="", timeout="soon").messages("error")
    assert [message.partition(": ")[0] for message in bad] == ["input `timeout`", "input `token`"]
    assert "add that secret under `Settings > Secrets and variables > Actions`" in bad[1]
    assert len(scene.run(timeout="soon").messages("error")) == 1
    alone = scene.run(token="", enforcement="observe")
    assert (alone.exit_code, alone.outputs["decision"], alone.outputs["conclusion"]) == (0, "error", "success")


def test_the_log_names_the_policy_file_if_there_is_one(scene: Scene) -> None:
    line = f"policy file: {PATH}\n"
    assert scene.run().log.count(PATH) == 0
    with_policy(scene, "campaign: core-reliability\n")
    assert scene.run().log.count(line) == 1


@pytest.mark.parametrize(
    ("actor", "fork", "step"),
    [
        ("octocat", False, "Settings > Secrets and variables > Actions"),
        ("dependabot[bot]", False, "Settings > Secrets and variables > Dependabot"),
        ("mallory", True, "Pull requests from forks get no secrets"),
    ],
)
def test_a_run_without_a_secret_says_where_to_set_it(actor: str, *, fork: bool, step: str, scene: Scene) -> None:
    if fork:
        scene.pull = scene.repository.pull("mallory", head="fork", source=scene.repository.fork("mallory"))
    options = scene.options(token="")
    result = run_action(**{**options, "env": {**options["env"], "GITHUB_ACTOR": actor}})
    page = read(result.summary)
    assert step in page.prose or step in page.code


def test_a_soft_gate_whose_reviews_cannot_be_read_needs_an_approval(scene: Scene) -> None:
    with_policy(scene, SOFT)
    scene.github.fault("pulls/list-reviews", faults.refused(403, "Resource not accessible by integration"), always=True)
    scene.answers()
    result = scene.run()
    assert result.exit_code == 1
    assert scene.status[0] == "pending"
    assert "reviews could not be read" in read(result.summary).prose


def test_reviews_are_read_once_for_all_gates_also_when_they_cannot_be_read(scene: Scene) -> None:
    """If GitHub hangs, the gate waits once, not once for each of fifty gates."""
    gates = "".join(f"  - name: {name}\n" for name in ("one", "two", "three"))
    with_policy(scene, f"{SOFT}gates:\n{gates}")
    scene.github.fault("pulls/list-reviews", faults.refused(400, "Problems parsing"), always=True)
    scene.answers()
    assert scene.run().exit_code == 1
    assert len(scene.github.calls("pulls/list-reviews")) == 1


@pytest.mark.parametrize(
    ("reviewer", "exit_code", "state"), [("hubot", 0, "success"), ("mona", 1, "pending")], ids=["other", "the author"]
)
def test_an_approval_counts_for_the_merge_group_but_not_the_authors(
    reviewer: str, exit_code: int, state: str, scene: Scene
) -> None:
    with_policy(scene, SOFT)
    scene.repository.collaborator(reviewer, "write")
    scene.pull.review(reviewer, "APPROVED")
    scene.answers()
    result, found = scene.queue()
    assert (result.exit_code, found) == (exit_code, state), result.log
    assert scene.ours == []


def test_a_run_that_cannot_evaluate_sets_an_earlier_success_to_failure(scene: Scene) -> None:
    with_policy(scene, "campaign: core-reliability\ngates:\n  - {name: refunds}\n  - {name: search}\n")
    scene.answers(**PASSED)
    assert scene.run().exit_code == 0
    scene.repository.status(scene.pull.head_sha, "success", "Other / check", "of someone else")
    assert scene.run(max_unsafe="-1", campaign="core-reliability").exit_code == 2
    states = scene.states()
    assert states["Sepurux / refunds"] == states["Sepurux / search"] == "failure"
    assert states["Other / check"] == "success"


def test_a_github_without_a_usable_address_is_no_reason_to_take_the_checkouts_policy(scene: Scene) -> None:
    (scene.workspace / ".github").mkdir()
    (scene.workspace / PATH).write_text(LOOSE)
    scene.answers()
    options = scene.options()
    result = run_action(**{**options, "env": {**scene.environment(), "GITHUB_API_URL": "http://github.example"}})
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")
    assert "GITHUB_API_URL" in result.messages("error")[0]


# -- what an adversary tried ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [{"path": ["repository", "policy"]}, {}], ids=["with a path", "without a path"])
def test_a_policy_that_graphql_failed_to_read_is_not_one_that_is_not_there(
    where: dict[str, object], scene: Scene
) -> None:
    with_policy(scene, STRICT)
    data = {"repository": {"policyCommit": {"oid": scene.pull.base_sha}, "policy": None, "pullRequest": None}}
    errors = [{"message": "Resource not accessible", "type": "FORBIDDEN", **where}]
    scene.github.fault("graphql", backend.json({"data": data, "errors": errors}))
    scene.answers()
    result = scene.run(enforcement="observe")
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")


def test_a_file_named_in_the_head_does_not_replace_the_usual_one(scene: Scene) -> None:
    with_policy(scene, STRICT)
    scene.repository.commit("main", {"docs/empty.yml": "# nothing\n"})
    scene.pull = scene.repository.pull("mona", head="sly")
    scene.pull.push({"loose.yml": LOOSE})
    scene.answers()
    for config in ("loose.yml", "docs/empty.yml"):
        assert scene.run(config=config, enforcement="observe").exit_code == 2


def test_a_pull_request_that_cannot_be_looked_up_is_an_error_in_every_stage(scene: Scene) -> None:
    with_policy(scene, LOOSE)
    (scene.workspace / ".github").mkdir()
    (scene.workspace / PATH).write_text(LOOSE)
    scene.github.fault("pulls/list", faults.refused(403, "no"), always=True)
    scene.answers()
    result = scene.push(scene.pull.head_ref)
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (2, "error", "failure")
    assert scene.sepurux.requests == ()
    assert scene.status[0] == "failure"
    assert "`pull-requests: read`" in result.messages("error")[0]
    assert result.messages("warning") == []


@pytest.mark.parametrize("page", [{"message": "odd"}, [None]])
def test_a_page_of_another_shape_is_no_empty_page(page: object, scene: Scene) -> None:
    with_policy(scene, SEARCH)
    scene.pull.push({"search/a.py": "x"})
    scene.github.fault("pulls/list-files", backend.json(page), always=True)
    scene.answers()
    assert scene.run().exit_code == 1


def test_a_lone_surrogate_in_a_policy_is_a_problem_and_no_crash(scene: Scene) -> None:
    data = {
        "repository": {
            "policyCommit": {"oid": scene.pull.base_sha},
            "policy": {"__typename": "Blob", "text": "\ud800", "isTruncated": False},
        }
    }
    scene.github.fault("graphql", backend.json({"data": data}))
    result = scene.run()
    assert result.exit_code == 2
    assert "Internal error" not in result.raw_log


def test_an_error_about_the_usual_file_is_no_proof_that_there_is_none(scene: Scene) -> None:
    scene.repository.commit("main", {PATH: STRICT, "loose.yml": LOOSE})
    scene.pull = scene.repository.pull("mona", head="sly")
    file = {"__typename": "Blob", "text": LOOSE, "isTruncated": False}
    pull = {"number": scene.pull.number, "headRefOid": scene.pull.head_sha}
    commit = {"oid": scene.pull.base_sha}
    data = {"repository": {"policyCommit": commit, "policy": file, "defaultPolicy": None, "pullRequest": pull}}
    for where in ({"path": ["repository", "defaultPolicy"]}, {}):
        errors = [{"message": "Resource not accessible", "type": "FORBIDDEN", **where}]
        scene.github.fault("graphql", backend.json({"data": data, "errors": errors}))
        scene.answers()
        result = scene.run(config="loose.yml")
        assert result.exit_code == 2
        assert "the policy could not be read: Resource not accessible." in result.messages("error")[0]


def test_a_soft_gate_that_failed_before_a_signal_is_reported_as_failed(scene: Scene) -> None:
    with_policy(scene, SOFT)
    scene.answers()
    scene.sepurux.script("GET /v1/campaigns/*/failures", backend.hang())
    result = interrupt(lambda: scene.sepurux.calls("GET /v1/campaigns/*/failures"), **scene.options())
    assert (result.exit_code, result.outputs["decision"], scene.status[0]) == (143, "fail", "failure")
    assert result.messages("warning") == []


def test_the_first_file_of_a_fork_counts_nothing_in_a_workflow_run(scene: Scene) -> None:
    first = "campaign: core-reliability\ngates:\n  - {name: core-reliability, paths: ['none/**']}\n"
    result, _ = run_after_a_fork(scene, first)
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail"), result.log


def test_a_first_file_under_another_name_is_a_problem(scene: Scene) -> None:
    scene.pull.push({"first.yml": LOOSE})
    scene.answers()
    result = scene.run(config="first.yml")
    assert result.exit_code == 2
    assert "no such file in the base commit" in result.messages("error")[0]


def test_a_base_commit_that_github_does_not_know_is_no_base_without_a_policy(scene: Scene) -> None:
    data = {"repository": {"policyCommit": None, "policy": None, "pullRequest": None}}
    scene.github.fault("graphql", backend.json({"data": data}))
    scene.answers(**PASSED)
    result = scene.run(enforcement="observe")
    assert result.exit_code == 2
    assert (
        "GitHub shows no base commit. The token cannot see it, or it is gone: give the job `contents: read`"
        in result.messages("error")[0]
    )


def test_a_file_that_was_moved_out_of_a_gates_folder_touches_the_gate(scene: Scene) -> None:
    with_policy(scene, SEARCH)
    moved = {"filename": "elsewhere/a.py", "previous_filename": "search/a.py", "status": "renamed"}
    scene.github.fault("pulls/list-files", backend.json([moved]))
    scene.answers()
    assert scene.run().outputs["decision"] == "fail"
