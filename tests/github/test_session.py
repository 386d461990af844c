"""The session with the real client: the lookup of the pull request, and which statuses it sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from sepurux_action.common.secret import Secret
from sepurux_action.config.layers import input_layer
from sepurux_action.config.settings import Settings, read_inputs
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.errors import ConfigurationError
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.enforcement import ApprovalStatus, Reason, Refusal
from sepurux_action.evaluation.published_result import parse_description
from sepurux_action.evaluation.result import GateResult
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.connection import connect
from sepurux_action.github.event import Event, parse_event
from sepurux_action.github.policy_source import resolve_policy
from sepurux_action.github.session import GitHubSession
from sepurux_action.github.snapshot import parse_snapshot
from sepurux_action.github.subject import Subject
from tests import backend
from tests.builders import APPROVED, IMPOSSIBLE, UNREAD, WAITS, a_gate, a_result, undecided
from tests.fakes import FakeClock, FakeOutput
from tests.github_double import GitHub, faults
from tests.github_double.in_process import connected
from tests.github_double.state import PullRequest
from tests.scenes import ClientScene as Scene
from tests.scenes import a_client_scene as a_scene


@pytest.fixture
def dotcom() -> Iterator[Scene]:
    github = GitHub()
    with connected(github):
        yield a_scene(github)


# -- one commit, several pull requests --------------------------------------------------------------------------------

GREEN = "pass (hard): 95.0% passed, 0 unsafe, 1 failures, score -"
REPOSITORY = {"full_name": "octo/shop", "default_branch": "main"}


def loaded(scene: Scene, event: Event, context: str = "Sepurux ({base})", config: str = "") -> GitHubSession:
    """Return a session that has been loaded for an event."""
    settings = Settings(comment_key="core", status_context=context)
    calls = BoundedCalls(scene.client, FakeClock(), FakeOutput(), event)
    return GitHubSession(calls, Subject(event=event, settings=settings)).load(config)


def event_on(name: str, sha: str, branch: str) -> Event:
    """Return an event whose payload has the repository, the commit and the branch, but no pull request."""
    ref = f"refs/heads/{branch}"
    run = {"event": "push", "head_sha": sha, "head_branch": branch, "head_repository": REPOSITORY}
    payload = {
        "repository": REPOSITORY,
        "ref": ref,
        "after": sha,
        "deployment": {"sha": sha, "ref": branch},
        "workflow_run": run,
    }
    where = "refs/heads/main" if name == "workflow_run" else ref
    return parse_event(name, payload, {"GITHUB_SHA": sha, "GITHUB_REF": where, "GITHUB_REPOSITORY": "octo/shop"})


def another(scene: Scene, base: str, head: str = "") -> PullRequest:
    """Return another open pull request at the first one's head, into `base`, by default from the same branch."""
    repository, pull = scene.repository, scene.pull
    if base not in repository.branches:
        repository.branch(base, repository.branches["main"].sha)
    other = repository.pull("mona", head=f"draft-{len(repository.pulls)}", base=base)
    other.head, other.head_ref = pull.head, head or pull.head_ref
    return other


def states(scene: Scene, sha: str) -> dict[str, str]:
    return {status.context: status.state for status in scene.repository.latest_statuses(sha)}


# -- descriptions -----------------------------------------------------------------------------------------------------

NO_DECISION = undecided(Decision.PENDING, "No decision after 10 min.")
ALLOW = a_gate(on_undecided=OnUndecided.ALLOW)


NUMBERS = "72.0% passed, 1 unsafe, 5 failures, score 61.5"
UNKNOWN = "-"
SOFT = a_gate(stage=Stage.SOFT)


@pytest.mark.parametrize(
    ("result", "state", "description"),
    [
        (a_result(), "failure", f"fail (hard): {NUMBERS}; 1 scenario"),
        (a_result(gate=a_gate(stage=Stage.OBSERVE)), "success", f"fail (observe): {NUMBERS}; does not block; 1 sce"),
        (a_result(NO_DECISION), "failure", f"pending (hard): {UNKNOWN}; No decision after 10 min"),
        (a_result(NO_DECISION, gate=ALLOW), "success", f"pending (hard): {UNKNOWN}; does not block: No decision aft"),
        (a_result(undecided(Decision.ERROR, "No `token`.")), "failure", f"error (hard): {UNKNOWN}; No `token`"),
        (a_result(undecided(Decision.SKIPPED, "")), "success", "skipped (hard): -; no changed file matches its paths"),
        *(
            (a_result(gate=SOFT, approval=approval), state, f"fail (soft): {NUMBERS}{note}; 1 scenario")
            for approval, state, note in (
                *((each, "pending", "; needs an approval") for each in (WAITS, UNREAD)),
                (APPROVED, "success", "; approved by mona"),
                *((each, "failure", "") for each in (IMPOSSIBLE, None)),
            )
        ),
    ],
)
def test_a_status_says_after_its_numbers_what_follows_and_a_soft_gate_is_pending_while_an_approval_is_possible(
    result: GateResult, state: str, description: str, dotcom: Scene
) -> None:
    loaded(dotcom, dotcom.event).publisher.publish_results([result])
    [status] = dotcom.repository.latest_statuses(dotcom.pull.head_sha)
    assert (status.state, (status.description or "")[: len(description)]) == (state, description)
    assert parse_description(status.description) is not None


# -- a policy that cannot be read --------------------------------------------------------------------------------------


def hidden(scene: Scene) -> None:
    """Let the token see no repository, as GitHub answers for a private one."""
    error = {"type": "NOT_FOUND", "path": ["repository"], "message": "Could not resolve to a Repository"}
    scene.github.fault("graphql*", backend.json({"data": {"repository": None}, "errors": [error]}), always=True)


def failing(answer: backend.Answer) -> Callable[[Scene], None]:
    return lambda scene: scene.github.fault("graphql*", answer, always=True)


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (failing(backend.reset()), "the connection to GitHub failed. Re-run the job."),
        (failing(faults.broken(502)), "HTTP 502 Server Error. Re-run the job."),
        (failing(faults.refused(401, "Bad credentials")), "HTTP 401 Bad credentials. `github_token` is not valid"),
        (failing(faults.refused(403, "Resource not accessible by integration")), "Give the job `contents: read` un"),
        (failing(faults.refused(404, "Not Found")), "The token cannot see it, or it is gone: give the job `conten"),
        (hidden, "Could not resolve to a Repository. The token cannot see it, or it is gone: give the job `contents"),
        (failing(faults.primary_limit()), "Re-run the job once GitHub's rate limit is reset"),
    ],
    ids=["reset", "502", "401", "403", "404", "hidden", "rate limit"],
)
def test_a_policy_that_cannot_be_read_says_why_and_lists_other_problems(
    arrange: Callable[[Scene], None], message: str, dotcom: Scene
) -> None:
    arrange(dotcom)
    event = replace(dotcom.event, base_sha=dotcom.pull.base_sha)
    output = FakeOutput()
    calls = BoundedCalls(dotcom.client, FakeClock(), output, event)
    session = GitHubSession(calls, Subject(event=event)).load("")
    early = read_inputs([input_layer({"campaign": "core", "timeout": "soon"})])
    with pytest.raises(ConfigurationError) as bad:
        resolve_policy(early, session.subject.event, session.subject.commit, lambda _: None)
    unread, other = map(str, bad.value.problems)
    assert unread.startswith("`.github/sepurux-gate.yml`: the policy could not be read: ")
    assert message in unread
    assert other.startswith("input `timeout`: ")
    assert output.annotations == []


# -- one commit, several pull requests --------------------------------------------------------------------------------


def test_several_pull_requests_into_different_branches_fail_in_each_known_context(dotcom: Scene) -> None:
    another(dotcom, "release/2")
    sha = dotcom.pull.head_sha
    dotcom.repository.status(sha, "success", "Reliability / search", GREEN)
    dotcom.repository.status(sha, "success", "build", "all is well")
    session = loaded(dotcom, event_on("push", sha, "feature"))
    assert session.subject.event.ambiguous
    session.publisher.publish_config_error(["core"])
    assert states(dotcom, sha) == {
        "Sepurux (main) / core": "failure",
        "Sepurux (release/2) / core": "failure",
        "Reliability / search": "failure",
        "build": "success",
    }
    [description] = {each.description for each in dotcom.repository.latest_statuses(sha) if each.context != "build"}
    assert (description or "").endswith("is the head of 2 open pull requests into different branches")


def test_several_pull_requests_into_one_branch_use_its_policy_and_get_no_comment(dotcom: Scene) -> None:
    dotcom.pull.base_ref = "release/1"
    dotcom.repository.commit("release/1", {".github/sepurux-gate.yml": "campaign: strict"})
    another(dotcom, "release/1", head="same-commit")
    session = loaded(dotcom, event_on("push", dotcom.pull.head_sha, "feature"), config=".github/sepurux-gate.yml")
    assert session.subject.commit.policy.text == "campaign: strict"
    session.publisher.publish_results([a_result()])
    assert list(states(dotcom, dotcom.pull.head_sha)) == ["Sepurux (release/1) / refunds"]
    assert session.publisher.publish_comment([a_result()], "{}\n{}".format) == ""
    assert dotcom.pull.comments == []


def test_a_lookup_that_fails_or_has_a_response_of_an_unknown_shape_makes_the_event_ambiguous(dotcom: Scene) -> None:
    for permissions in ({}, {"contents": "read", "statuses": "write"}):
        token = Secret(dotcom.github.token(permissions))
        scene = dotcom._replace(client=connect(dotcom.github.url, token, "octo/shop"))
        for name, branch in [("push", "feature"), ("schedule", "main")]:
            session = loaded(scene, event_on(name, dotcom.repository.branches[branch].sha, branch))
            assert session.subject.event.ambiguous
    dotcom.github.fault("pulls/list", backend.json({"message": "odd"}), always=True)
    assert loaded(dotcom, event_on("push", dotcom.pull.head_sha, "feature")).subject.event.ambiguous


# -- who can approve ---------------------------------------------------------------------------------------------------


def test_the_commit_to_approve_is_the_head_of_the_pull_request_also_in_a_merge_group(dotcom: Scene) -> None:
    group = replace(dotcom.event, name="merge_group", commit="c" * 40)
    assert loaded(dotcom, group).reviews.approval(()) == ApprovalStatus(commit=dotcom.pull.head_sha, anyone=True)


ASKED = (Refusal("octocat", Reason.COMMIT_AUTHOR), Refusal("ann", Reason.ASSIGNEE))


@pytest.mark.parametrize(
    ("opener", "requesters"),
    [
        ("copilot-swe-agent[bot]", ASKED),
        ("another-agent[bot]", ASKED),
        *[(login, ()) for login in ("dependabot[bot]", "renovate[bot]", "mona", "dependabot")],
    ],
)
def test_a_person_who_asks_a_bot_for_a_pull_request_cannot_approve_it(
    opener: str, requesters: tuple[Refusal, ...], dotcom: Scene
) -> None:
    pull, user = dotcom.pull, dotcom.github.world.user
    pull.author, pull.assignees, pull.head.authors = user(opener), [user("ann")], (None, user("octocat"))
    event = replace(dotcom.event, name="merge_group", commit="c" * 40)
    session, before = loaded(dotcom, event), len(dotcom.github.calls("graphql*"))
    wanted = ApprovalStatus(commit=pull.head_sha, anyone=True, cannot_approve=requesters)
    assert [session.reviews.approval(()), session.reviews.approval(())] == [wanted, wanted]
    assert len(dotcom.github.calls("graphql*")) - before == bool(requesters)


def test_a_pull_request_without_a_known_author_may_be_a_bots() -> None:
    """A deleted account is null, also that of an app."""
    comments = {"nodes": [], "pageInfo": {"hasNextPage": False}}
    page = {"repository": {"pullRequest": {"headRefOid": "a" * 40, "author": None, "comments": comments}}}
    found = parse_snapshot({"data": page})
    assert found is not None
    assert found.pull_request is not None
    assert found.pull_request.by_agent


def test_a_review_of_a_pull_request_from_a_fork_has_a_token_that_can_only_read(dotcom: Scene) -> None:
    event = replace(dotcom.event, name="pull_request_review")
    assert not loaded(dotcom, event).reviews.approval(()).read_only
    assert loaded(dotcom, replace(event, fork=True)).reviews.approval(()).read_only


# -- which statuses are ours ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pull_request", "push"])
def test_a_status_with_another_prefix_is_ours_if_its_description_reads_back(name: str, dotcom: Scene) -> None:
    sha = dotcom.repository.commit("topic") if name == "push" else dotcom.pull.head_sha
    ours = {"Reliability / core": GREEN, "SEPURUX / search": "set by hand"}
    others = {"build": "passed", "Reliability": f"so: {GREEN}", "deploy / core": None}
    for context, description in {**ours, **others}.items():
        dotcom.repository.status(sha, "success", context, description)
    event = event_on(name, sha, "topic") if name == "push" else dotcom.event
    loaded(dotcom, event, "Sepurux").publisher.publish_config_error([])
    assert states(dotcom, sha) == {**dict.fromkeys(ours, "failure"), **dict.fromkeys(others, "success")}


@pytest.mark.parametrize(
    "arrange", [failing(backend.reset()), failing(faults.broken(502)), failing(faults.refused(403, "no")), hidden]
)
def test_older_statuses_fail_through_rest_if_graphql_does_not_respond(
    arrange: Callable[[Scene], None], dotcom: Scene
) -> None:
    arrange(dotcom)
    sha = dotcom.pull.head_sha
    ours = {"Sepurux (main) / core": "set by hand", **{f"Reliability / {number}": GREEN for number in range(120)}}
    others = {"build": "passed", "Reliability": f"so: {GREEN}", "deploy / core": None}
    for context, description in {**others, **ours}.items():
        dotcom.repository.status(sha, "success", context, description)
    loaded(dotcom, replace(dotcom.event, base_sha=dotcom.pull.base_sha)).publisher.publish_config_error([])
    assert states(dotcom, sha) == {**dict.fromkeys(ours, "failure"), **dict.fromkeys(others, "success")}
    assert len(dotcom.github.calls("repos/list-commit-statuses-for-ref")) == 2


def test_statuses_that_graphql_returned_are_not_read_again(dotcom: Scene) -> None:
    loaded(dotcom, dotcom.event).publisher.publish_config_error(["core"])
    *_, last = dotcom.github.requests
    assert (len(dotcom.github.requests), last.operation) == (4, "repos/create-commit-status")


def test_a_context_that_does_not_fit_with_its_base_branch_is_left_out(dotcom: Scene) -> None:
    another(dotcom, "b" * 240)
    session = loaded(dotcom, event_on("push", dotcom.pull.head_sha, "feature"))
    session.publisher.publish_config_error(["core"])
    assert states(dotcom, dotcom.pull.head_sha) == {"Sepurux (main) / core": "failure"}
