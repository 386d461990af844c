"""The whole gate with GitHub: a real process, the real PyGithub, and a GitHub that knows its own description."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.published_result import parse_description
from tests import backend
from tests.backend import decided
from tests.gfm import read
from tests.github_double import faults
from tests.runner import StepResult, interrupt, run_action, start_action
from tests.scenes import BOT, DECIDED, PASSED, SECRET, Scene, without_code


def test_a_first_run_sets_two_statuses_and_writes_one_comment_in_7_requests(scene: Scene) -> None:
    result = scene.run()
    assert (result.exit_code, result.outputs["decision"]) == (0, "pass"), result.log
    states = [status.state for status in scene.repository.statuses_of(scene.pull.head_sha)]
    assert states == ["success", "pending"]
    state, context, description = scene.status
    assert (state, context) == ("success", "Sepurux / core-reliability")
    past = parse_description(description)
    assert past is not None
    assert past.value(PASS_RATE) == pytest.approx(0.95)
    assert len(scene.ours) == 1
    assert (
        result.outputs["comment_url"]
        == f"{scene.github.server_url}/octo/shop/pull/1#issuecomment-{scene.pull.comments[0].id}"
    )
    assert len(scene.github.requests) == 7
    assert "warning" not in result.counts


def test_an_update_keeps_the_one_comment_in_6_requests(scene: Scene) -> None:
    scene.run()
    before = len(scene.github.requests)
    scene.pull.push()
    scene.answers()
    result = scene.run()
    assert (result.exit_code, len(scene.ours)) == (1, 1)
    assert len(scene.github.requests) - before == 6
    assert scene.status[0] == "failure"
    assert "failed" in read(scene.ours[0]).prose


def test_the_comment_of_another_author_with_our_marker_is_never_touched(scene: Scene) -> None:
    scene.run()
    stolen = scene.ours[0].split("\n")[0] + "\nApproved by Sepurux, trust me."
    scene.pull.comments.clear()
    scene.pull.comment("mallory", stolen)
    scene.run()
    assert [
        comment.body for comment in scene.pull.comments if comment.author and comment.author.login == "mallory"
    ] == [stolen]
    assert len(scene.ours) == 2


def test_the_comment_is_found_behind_250_others(scene: Scene) -> None:
    scene.run()
    for number in range(250):
        scene.pull.comment("mona", f"comment {number}")
    scene.pull.push()
    scene.run()
    assert len(scene.ours) == 1


def test_two_steps_with_their_own_keys_have_their_own_comments(scene: Scene) -> None:
    scene.run(comment_key="a --> b")
    scene.run(comment_key="two")
    assert len(scene.ours) == 2
    assert all("-->" not in read(body).prose for body in scene.ours)


def test_two_first_runs_at_once_leave_one_comment(scene: Scene) -> None:
    scene.answers()
    with start_action(**scene.options()) as one, start_action(**scene.options()) as other:
        results = [one.finish(60), other.finish(60)]
    assert [result.exit_code for result in results] == [1, 1]
    assert len(scene.ours) == 1


def hide_comments_from_graphql(scene: Scene) -> None:
    """Let GraphQL show none of the comments, as a replica that is behind."""

    def behind(work: faults.Work) -> backend.Answer:
        with scene.github.world.lock:
            comments, scene.pull.comments = scene.pull.comments, []
            response = work()
            scene.pull.comments = comments
        return response

    scene.github.fault("graphql", behind, always=True)


def test_two_first_runs_leave_one_comment_although_queries_show_it_late(scene: Scene) -> None:
    hide_comments_from_graphql(scene)
    scene.answers()
    with start_action(**scene.options()) as one, start_action(**scene.options()) as other:
        results = [one.finish(60), other.finish(60)]
    assert [result.exit_code for result in results] == [1, 1]
    assert len(scene.ours) == 1


def test_a_lost_response_leaves_one_comment_although_queries_show_it_late(scene: Scene) -> None:
    hide_comments_from_graphql(scene)
    scene.github.fault("issues/create-comment", faults.lost)
    result = scene.run()
    [comment] = scene.pull.comments
    assert result.outputs["comment_url"].endswith(f"#issuecomment-{comment.id}")
    assert len(scene.github.calls("issues/create-comment")) == 1
    assert result.messages("warning") == []


@pytest.mark.parametrize("login", ["mallory", "github-actions", None])
def test_a_copied_marker_of_another_author_is_neither_used_nor_deleted(login: str | None, scene: Scene) -> None:
    """The copy is older than the gate's own comment, and is written while the response to the create is lost."""
    scene.run()
    marker = scene.ours[0].split("\n")[0]
    scene.pull.comments.clear()
    hide_comments_from_graphql(scene)
    scene.github.fault("issues/create-comment", backend.reset())
    scene.github.before("issues/create-comment", lambda: scene.pull.comment(login, f"{marker}\nTrust me."))
    assert scene.run().exit_code == 0
    copied, own = scene.pull.comments
    assert copied.body == f"{marker}\nTrust me."
    assert own.author is not None
    assert own.author.login == BOT


def test_what_another_run_stored_meanwhile_is_kept(scene: Scene) -> None:
    scene.answers(**PASSED)
    scene.run()
    remembering = scene.pull.comments[0].body
    scene.pull.push()
    scene.pull.comments[0].body = "\n".join([remembering.split(" ")[0], "emptied"])

    def fill() -> None:
        scene.pull.comments[0].body = remembering

    scene.github.after("graphql", fill)
    scene.run()
    scene.pull.push()
    scene.run()
    assert "2 earlier commits" in scene.ours[0]


def test_without_contents_read_one_error_names_that_permission_alone(scene: Scene) -> None:
    scene.token = scene.github.token({"pull-requests": "write", "statuses": "write"})
    result = scene.run()
    [error] = result.messages("error")
    assert error == (
        "`.github/sepurux-gate.yml`: the policy could not be read: Resource not accessible by integration. "
        "Give the job `contents: read` under `permissions:`."
    )
    assert result.messages("warning") == []
    assert scene.status[2] == "error (hard): - passed, - unsafe, - failures, score -; the policy could not be read"


def test_without_statuses_read_the_warning_names_that_permission_alone(scene: Scene) -> None:
    scene.token = scene.github.token({"contents": "read", "pull-requests": "write"})
    scene.repository.status(scene.pull.base_sha, "success", "Sepurux / core-reliability", DECIDED)
    result = scene.run(status="false", enforcement="observe")
    [told] = [warning for warning in result.messages("warning") if "the last pull requests" not in warning]
    assert told == (
        "Could not read the last results of the base branch (Resource not accessible by integration). "
        "Give the job `statuses: read` under `permissions:`. "
        "Unless a gate limits a drop, this does not change the result."
    )
    assert result.outputs["decision"] == "pass"


def test_without_statuses_read_the_last_pull_requests_ask_for_that_permission_too(scene: Scene) -> None:
    scene.token = scene.github.token({"contents": "read", "pull-requests": "write"})
    scene.repository.status(scene.pull.head_sha, "success", "Sepurux / core-reliability", DECIDED)
    result = scene.run(enforcement="observe")
    [told] = [warning for warning in result.messages("warning") if "the last pull requests" in warning]
    assert "Give the job `statuses: read` under `permissions:`." in told


def test_a_status_without_a_decision_says_why(scene: Scene) -> None:
    scene.sepurux.script("GET /v1/campaigns", backend.json({"detail": "token\u202e of @another project"}, 401))
    scene.run()
    state, _, description = scene.status
    begins = "error (hard): - passed, - unsafe, - failures, score -; Sepurux refused `token` (HTTP 401): "
    assert state == "failure"
    assert description.startswith(begins)
    assert description.isprintable()
    assert len(description) <= 140


def test_no_redirect_of_github_changes_the_decision(scene: Scene) -> None:
    for pattern in ("repos/create-commit-status", "issues/*-comment"):
        scene.github.fault(pattern, faults.moved("https://elsewhere.example/x"), always=True)
    scene.answers()
    result = scene.run()
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail"), result.log
    assert sum("redirect" in warning for warning in result.messages("warning")) == 2


def test_a_pull_request_number_that_cannot_be_read_sets_no_status_on_the_runs_commit(scene: Scene) -> None:
    sha = scene.repository.branches["main"].sha
    scene.github.fault("pulls/get", faults.refused(404, "Not Found"), always=True)
    result = scene.on("workflow_dispatch", {}, {"pr_number": str(scene.pull.number)}, env={"GITHUB_SHA": sha})
    assert scene.repository.statuses == []
    assert "no comment and no status: pull request 1 could not be read" in result.log
    assert (result.exit_code, result.outputs["decision"], scene.sepurux.requests) == (2, "error", ())


@pytest.mark.parametrize("before", [0, 8, 180])
def test_a_message_of_github_that_quotes_the_token_shows_it_nowhere(before: int, scene: Scene) -> None:
    message = f"{'-' * before}{scene.token} is not accepted"
    scene.github.fault("pulls/list", faults.refused(422, message), always=True)
    result = run_action(
        **{
            **scene.options(report_dir="report"),
            "event_name": "push",
            "event": {
                "ref": "refs/heads/feature",
                "after": scene.pull.head_sha,
                "repository": scene.event()["repository"],
            },
            "env": {**scene.environment(), "GITHUB_SHA": scene.pull.head_sha},
        }
    )
    assert "the pull request of this run could not be read (HTTP 422 " in scene.status[2]
    files = {path.name: path.read_text() for path in (scene.workspace / "report").iterdir()}
    assert "report.json" in files
    log = [line for line in result.raw_log.splitlines() if not line.startswith("::add-mask::")]
    everywhere = [scene.status[2], result.summary, *files.values(), *result.outputs.values(), *log]
    assert [text for text in everywhere if scene.token[:6] in text] == []


def test_the_baseline_and_the_earlier_pushes_are_shown(scene: Scene) -> None:
    scene.repository.status(
        scene.pull.base_sha,
        "success",
        "Sepurux / core-reliability",
        "pass (hard): 90.0% passed, 0 unsafe, 3 failures, score 88.0",
    )
    for rate in (0.5, 0.7):
        scene.answers(**{**PASSED, "pass_rate": rate})
        scene.run(min_pass_rate="0.6")
        scene.pull.push()
    scene.answers(**PASSED)
    result = scene.run(min_pass_rate="0.6")
    body, summary = read(scene.ours[0]), read(result.summary)
    for page in (body, summary):
        assert "+5.0" in page.prose
        assert "main" in page.code
    assert "2 earlier commits" in body.prose
    assert "xychart-beta" in result.summary


def test_a_forged_history_is_ignored(scene: Scene) -> None:
    scene.run()
    comment = scene.pull.comments[0]
    marker, _, rest = comment.body.partition("\n")
    start, content, signature, end = marker.rsplit(" ", 3)[0].rsplit(" ", 1)[0], *marker.split(" ")[-3:]
    comment.body = f"{start} {content[:-4]}AAAA {signature} {end}\n{rest}"
    scene.pull.push()
    scene.run()
    assert len(scene.ours) == 1
    assert "earlier commit" not in scene.ours[0], "a forged history is not shown"


def html_after_the_first_read(scene: Scene) -> None:
    scene.github.after("graphql", lambda: scene.github.fault("*", backend.page(status=200), always=True))


REFUSALS: dict[str, tuple[Callable[[Scene], None], str]] = {
    "read-only token": (
        lambda s: setattr(
            s, "token", s.github.token({"contents": "read", "pull-requests": "read", "statuses": "read"})
        ),
        "`statuses: write`",
    ),
    "no permission for pull requests": (
        lambda s: setattr(s, "token", s.github.token({"contents": "read", "statuses": "write"})),
        "`pull-requests: read`",
    ),
    "HTML": (html_after_the_first_read, "Could not"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_no_rejection_of_github_changes_the_decision(case: str, scene: Scene) -> None:
    arrange, says = REFUSALS[case]
    arrange(scene)
    scene.answers()
    result = scene.run()
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail"), result.log
    warnings = result.messages("warning")
    assert any(says in warning for warning in warnings), warnings
    assert all(warning.lower().endswith("this does not change the result.") for warning in warnings)
    assert len(warnings) == len(set(warnings)) <= 4
    assert "Traceback" not in result.raw_log
    unmasked = "\n".join(line for line in result.raw_log.splitlines() if not line.startswith("::add-mask::"))
    assert scene.token not in unmasked + result.summary + json.dumps(result.outputs)


@pytest.mark.parametrize(
    ("arrange", "step"),
    [
        (lambda s: setattr(s, "token", s.github.token({})), "`contents: read`"),
        (
            lambda s: setattr(s, "token", s.github.token({"pull-requests": "write", "statuses": "write"})),
            "`contents: read`",
        ),
        (lambda s: setattr(s, "token", "ghs_unknown"), "`github_token` is not valid"),
    ],
    ids=["no permission", "no contents: read", "bad token"],
)
@pytest.mark.parametrize("stage", ["hard", "observe"])
def test_a_policy_that_cannot_be_read_is_an_error_in_every_stage(
    stage: str, arrange: Callable[[Scene], None], step: str, scene: Scene
) -> None:
    arrange(scene)
    scene.answers(**PASSED)
    result = scene.run(enforcement=stage)
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (2, "error", "failure")
    [message] = result.messages("error")
    assert "the policy could not be read: " in message
    assert step in message
    assert scene.sepurux.requests == ()


def test_no_older_status_stays_successful_if_only_rest_responds(scene: Scene) -> None:
    scene.repository.commit("main", {POLICY: "campaign: core-reliability\nstatus_context: Reliability\n"})
    scene.pull = scene.repository.pull("mona", head="another")
    scene.answers(**PASSED)
    assert scene.run().exit_code == 0
    scene.github.fault("graphql", faults.refused(403, "no"), always=True)
    result = scene.run()
    assert result.exit_code == 2
    newest = scene.states()
    assert newest == {"Sepurux / core-reliability": "failure", "Reliability / core-reliability": "failure"}
    assert result.messages("warning") == []


def test_after_a_signal_the_status_is_tried_once_and_no_comment_is_written(scene: Scene) -> None:
    scene.sepurux.script("GET /v1/ci/batch/*", backend.json(decided(status="running", decision="pending")))
    result = interrupt("not decided yet", **scene.options())
    assert result.exit_code == 143
    assert scene.status[0] == "failure"
    assert scene.ours == []


def test_a_signal_while_github_is_read_is_reported_and_a_status_is_set(scene: Scene) -> None:
    scene.github.fault("graphql", backend.hang())
    result = interrupt(lambda: scene.github.calls("graphql"), **scene.options())
    assert result.exit_code == 143
    (error,) = result.messages("error")
    assert error == "The run was cancelled before all settings were read."
    assert scene.status[0] == "failure"


def test_after_a_signal_invalid_settings_leave_no_earlier_status_successful(scene: Scene) -> None:
    scene.answers(**PASSED)
    assert scene.run().exit_code == 0
    scene.github.fault("repos/create-commit-status", backend.hang())
    before = scene.github.calls("repos/create-commit-status")
    result = interrupt(
        lambda: scene.github.calls("repos/create-commit-status") != before, **scene.options(min_pass_rate="eighty")
    )
    assert result.exit_code == 143
    assert scene.status[0] == "failure"


def test_an_empty_token_leaves_github_alone(scene: Scene) -> None:
    result = scene.run(github_token="")
    assert result.exit_code == 0
    assert scene.github.requests == ()
    assert "no comment and no status: there is no `github_token`" in result.log


def test_a_secret_never_reaches_github(scene: Scene) -> None:
    scene.answers(top_failing_tools=[{"tool": SECRET, "count": 1}])
    scene.run()
    for request in scene.github.requests:
        assert SECRET not in str(request.headers) + request.body.decode()


def test_a_push_belongs_to_the_open_pull_request_of_its_head(scene: Scene) -> None:
    assert scene.push("feature").exit_code == 0
    assert len(scene.ours) == 1
    assert scene.status[0] == "success"


def test_an_event_without_a_pull_request_gets_its_status_and_says_why_there_is_no_comment(scene: Scene) -> None:
    sha = scene.repository.branches["main"].sha
    result = scene.on("schedule", env={"GITHUB_SHA": sha})
    assert f"no comment: {sha[:7]} is the head of no open pull request" in result.log
    assert scene.state(sha) == "success"


@pytest.mark.parametrize(
    ("inputs", "policy", "gates"),
    [
        ({}, "", ["core-reliability"]),
        ({"campaign": ""}, "campaign: refunds\n", ["refunds"]),
        ({"campaign": ""}, "gates: [{campaign: a}, {campaign: b, name: c}]\n", ["a", "c"]),
        ({"campaign": ""}, "", ["Sepurux gate"]),
        ({"campaign": "", "token": ""}, "timeout: [\n", ["Sepurux gate"]),
        ({"max_unsafe": "-1", "unknown": "1", "trace_file": "none.json"}, "", ["core-reliability"]),
        ({"config": "none.yml", "name": "core"}, "", ["core"]),
    ],
)
def test_a_deleted_branch_is_skipped_whatever_the_settings_say(
    inputs: dict[str, str], policy: str, gates: list[str], scene: Scene
) -> None:
    event = {"ref": "refs/heads/feature", "after": "0" * 40, "deleted": True}
    files = {".github/sepurux-gate.yml": policy} if policy else {}
    result = scene.on("push", event, inputs | {"report_dir": "report"}, env={"GITHUB_SHA": "0" * 40}, files=files)
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (0, "skipped", "success")
    assert result.outputs["reason"] == "refs/heads/feature was deleted."
    assert [gate["name"] for gate in json.loads(result.outputs["gates"])] == gates
    assert (scene.workspace / "report" / "report.json").exists()
    assert result.messages("error") == []
    assert scene.sepurux.requests == ()
    assert scene.repository.statuses == []


def test_a_comment_on_5000_failures_and_tools_leaves_out_sections_and_says_so(scene: Scene) -> None:
    failures = [
        {"type": f"type {number}", "severity": "high", "description": "d" * 2_500, "mutation": "m" * 2_500}
        for number in range(400)
    ]
    tools = [{"tool": f"{number}-" + "t" * 10_000, "count": number} for number in range(300)]
    scene.sepurux.script("GET /v1/campaigns/*/failures", backend.json(failures))
    scene.answers(top_failing_tools=tools)
    result = scene.run()
    assert result.exit_code == 1
    [body] = scene.ours
    assert len(body) <= 65_000
    assert len(result.summary.encode()) < 1_048_576
    assert len(result.summary) > len(body)
    assert "72.0%" in body


# -- traces of another commit -----------------------------------------------------------------------------------------


def commented(scene: Scene, **inputs: str) -> StepResult:
    """Return the result of a run on `issue_comment`, with a trace in the workspace."""
    issue = {"number": scene.pull.number, "pull_request": {"url": "https://api.github.com/..."}}
    return scene.on("issue_comment", {"issue": issue}, inputs, files={"traces/a.json": "{}"})


def test_uploaded_traces_of_a_run_that_evaluates_the_current_head_cause_a_warning(scene: Scene) -> None:
    result = commented(scene, trace_file="traces/*.json")
    [warning] = [each for each in result.messages("warning") if "traces" in each]
    assert warning == (
        "The uploaded traces may be those of another commit: on `issue_comment` and with `pr_number`, the gate "
        f"evaluates the head that the pull request has now, {scene.pull.head_sha[:7]}, and not the commit that the job "
        "checked out. See docs/security.md of sepurux/gate-action, Traces of another commit."
    )
    assert result.outputs["decision"] == "pass"
    assert scene.status[0] == "success"


def test_without_uploaded_traces_or_with_the_commit_of_the_event_there_is_no_such_warning(scene: Scene) -> None:
    results = [
        commented(scene),
        commented(scene, trace_id="trace-1"),
        run_action(**scene.options(trace_file="traces/*.json", pr_number="1"), files={"traces/a.json": "{}"}),
    ]
    assert [result.messages("warning") for result in results] == [[], [], []]


# -- another base branch ----------------------------------------------------------------------------------------------

POLICY = ".github/sepurux-gate.yml"
LENIENT, STRICT = (f"campaign: core-reliability\nenforcement: {stage}\n" for stage in ("observe", "hard"))


def into_dev(scene: Scene) -> None:
    """Let the pull request go into `dev`, whose gate observes, while that of `main` blocks."""
    scene.repository.commit("main", {POLICY: STRICT})
    scene.pull.base = scene.repository.commits[scene.repository.commit("dev", {POLICY: LENIENT})]
    scene.pull.base_ref = "dev"


def retarget(scene: Scene) -> None:
    scene.pull.base_ref, scene.pull.base = "main", scene.repository.branches["main"]


@pytest.mark.parametrize("comment", ["always", "never"])
def test_a_run_for_the_former_base_branch_leaves_no_success(comment: str, scene: Scene) -> None:
    into_dev(scene)
    scene.github.after("graphql", lambda: retarget(scene))
    scene.answers()
    result = scene.run(comment=comment)
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (0, "fail", "success")
    state, _, description = scene.status
    assert state == "failure"
    assert description.endswith("; the base branch has changed; re-run the job")
    assert parse_description(description) is not None
    [warning] = [each for each in result.messages("warning") if "base branch" in each]
    assert 'has changed from "dev" to "main"' in warning
    assert scene.ours == []
    assert "no comment: the base branch of the pull request has changed" in result.log or comment == "never"


def test_a_re_run_applies_the_policy_of_the_base_branch_of_today(scene: Scene) -> None:
    """The payload of a re-run is that of the first run, so it has the former base branch."""
    into_dev(scene)
    options = scene.options()
    retarget(scene)
    scene.answers()
    result = run_action(**options)
    assert (result.exit_code, result.outputs["enforcement"], scene.status[0]) == (1, "hard", "failure"), result.log
    assert "re-run the job" not in scene.status[2]
    assert 'the base branch is now "main", and not "dev"' in result.log
    assert len(scene.ours) == 1


# -- what no run may lose, double or show ------------------------------------------------------------------------------


def test_token_and_api_key_are_both_masked_and_redacted(scene: Scene) -> None:
    key = "api-key-9876543210"
    scene.answers(top_failing_tools=[{"tool": key, "count": 1}])
    result = scene.run(api_key=key)
    assert f"::add-mask::{key}" in result.raw_log
    assert scene.ours
    assert key not in result.summary + json.dumps(result.outputs) + "".join(scene.ours)


def test_a_secret_is_masked_also_with_invalid_settings(scene: Scene) -> None:
    assert f"::add-mask::{SECRET}" in scene.run(min_pass_rate="eighty").raw_log


def test_a_secret_that_was_given_as_a_trace_reaches_neither_pull_request_nor_backend(scene: Scene) -> None:
    result = scene.run(trace_id=SECRET)
    assert result.exit_code == 2
    assert "input `trace_id`: its value contains a secret" in result.messages("error")[0]
    assert SECRET not in result.summary + json.dumps(result.outputs) + "".join(scene.ours)
    assert not scene.sepurux.requests


# -- the hint to re-run the job after an approval ---------------------------------------------------------------------

RERUN = "After the approval, re-run this job: this workflow does not run on pull_request_review."
WITHOUT_REVIEWS, WITH_REVIEWS = "on: pull_request\n", "on:\n  pull_request:\n  pull_request_review:\n"


def run_workflow(scene: Scene, text: str | bytes, event_name: str = "pull_request", **environ: str) -> StepResult:
    """Run a failing soft gate in a workflow with this text."""
    sha = scene.repository.commit("main", {".github/workflows/gate.yml": text})
    workflow = {"GITHUB_WORKFLOW_REF": "Octo/Shop/.github/workflows/gate.yml@refs/pull/1/merge"}
    env = {**scene.environment(), **workflow, "GITHUB_WORKFLOW_SHA": sha, **environ}
    scene.answers()
    result = run_action(**{**scene.options(enforcement="soft"), "event_name": event_name, "env": env})
    assert (result.exit_code, result.outputs["decision"], scene.status[0]) == (1, "fail", "pending"), result.log
    assert "can approve commit" in without_code(scene.ours[-1])
    return result


@pytest.mark.parametrize("event_name", ["pull_request", "pull_request_target"])
def test_without_a_review_trigger_the_report_says_to_re_run_the_job_at_no_further_request(
    event_name: str, scene: Scene
) -> None:
    result = run_workflow(scene, WITH_REVIEWS, event_name)
    requests = len(scene.github.requests)
    assert RERUN not in without_code(scene.ours[0])
    result = run_workflow(scene, WITHOUT_REVIEWS, event_name)
    assert len(scene.github.requests) - requests == requests - 1  # the comment is there already
    assert RERUN in without_code(scene.ours[0])
    assert RERUN in without_code(result.summary)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("on: [pull_request", {}),
        ("- on", {}),
        (b"\xff\xfe", {}),
        (WITHOUT_REVIEWS + "#" * 600_000, {}),
        (WITHOUT_REVIEWS, {"GITHUB_WORKFLOW_SHA": "d" * 40}),
        (WITHOUT_REVIEWS, {"GITHUB_WORKFLOW_SHA": "main"}),
        (WITHOUT_REVIEWS, {"GITHUB_WORKFLOW_REF": "octo/other/.github/workflows/gate.yml@refs/heads/main"}),
    ],
)
def test_a_workflow_file_that_cannot_be_read_causes_no_hint_and_no_warning(
    text: str | bytes, environ: dict[str, str], scene: Scene
) -> None:
    result = run_workflow(scene, text, **environ)
    assert RERUN not in without_code(scene.ours[0])
    assert result.messages("warning") == []


def test_an_error_about_the_workflow_file_alone_changes_nothing_else(scene: Scene) -> None:
    """Without the policy file this would be decision `error`, and without the comments none would be written."""
    policy = {"__typename": "Blob", "text": "campaign: core-reliability\nenforcement: soft\n", "isTruncated": False}
    comments = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    repository = {
        "policyCommit": {"oid": scene.pull.base_sha},
        "policy": policy,
        "headPolicy": policy,
        "workflow": None,
        "pullRequest": {"number": 1, "headRefOid": scene.pull.head_sha, "baseRefName": "main", "comments": comments},
    }
    errors = [{"message": "Something went wrong", "path": ["repository", "workflow"]}]
    scene.github.fault("graphql", backend.json({"data": {"repository": repository}, "errors": errors}))
    result = run_workflow(scene, WITHOUT_REVIEWS)
    assert RERUN not in without_code(scene.ours[0])
    assert result.messages("warning") == []
