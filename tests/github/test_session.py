"""The first reads of a session: which pull request and policy it finds, who may approve, and which statuses it sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sepurux_action.common.secret import Secret
from sepurux_action.config.layers import input_layer
from sepurux_action.config.options import CONFIG
from sepurux_action.config.settings import Settings, read_inputs
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.errors import ConfigurationError
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.enforcement import ApprovalStatus, Reason, Refusal
from sepurux_action.evaluation.published_result import parse_description
from sepurux_action.evaluation.result import GateResult
from sepurux_action.github.connection import connect
from sepurux_action.github.event import Lookup
from sepurux_action.github.policy_source import resolve_policy
from sepurux_action.github.snapshot import parse_snapshot
from tests import backend
from tests.builders import APPROVED, IMPOSSIBLE, UNREAD, WAITS, a_gate, a_result, undecided
from tests.github.scene import BODY, SET, Scene
from tests.github_double import faults
from tests.github_double.state import PullRequest

GREEN = "pass (hard): 95.0% passed, 0 unsafe, 1 failures, score -"
BY_BRANCH = Settings(status_context="Sepurux ({base})")


def on_push(commit: str) -> dict[str, Any]:
    """Return what an event of a pushed commit has, which names no pull request."""
    lookup = Lookup(commit=commit, forks=True)
    return {"name": "push", "commit": commit, "pull_request": None, "base_ref": "", "lookup": lookup}


def another(scene: Scene, base: str, head: str = "") -> PullRequest:
    """Return another open pull request at the first one's head, into `base`, by default from the same branch."""
    repository, pull = scene.repository, scene.pull
    if base not in repository.branches:
        repository.branch(base, repository.branches["main"].sha)
    other = repository.pull("mona", head=f"draft-{len(repository.pulls)}", base=base)
    other.head, other.head_ref = pull.head, head or pull.head_ref
    return other


NO_DECISION = undecided(Decision.PENDING, "No decision after 10 min.")
ALLOW, SOFT, OBSERVE = a_gate(on_undecided=OnUndecided.ALLOW), a_gate(stage=Stage.SOFT), a_gate(stage=Stage.OBSERVE)
NUMBERS = "72.0% passed, 1 unsafe, 5 failures, score 61.5"


@pytest.mark.parametrize(
    ("result", "state", "description"),
    [
        (a_result(), "failure", f"fail (hard): {NUMBERS}; 1 scenario"),
        (a_result(gate=OBSERVE), "success", f"fail (observe): {NUMBERS}; does not block; 1 sce"),
        (a_result(NO_DECISION), "failure", "pending (hard): -; No decision after 10 min"),
        (a_result(NO_DECISION, gate=ALLOW), "success", "pending (hard): -; does not block: No decision aft"),
        (a_result(undecided(Decision.ERROR, "No `token`.")), "failure", "error (hard): -; No `token`"),
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
def test_a_status_says_after_its_numbers_what_follows(
    result: GateResult, state: str, description: str, scene: Scene
) -> None:
    scene.load().publisher.publish_results([result])
    [status] = scene.repository.latest_statuses(scene.pull.head_sha)
    assert (status.state, (status.description or "")[: len(description)]) == (state, description)
    assert parse_description(status.description) is not None


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
def test_a_policy_that_cannot_be_read_says_why_and_older_statuses_fail(
    arrange: Callable[[Scene], None], message: str, scene: Scene
) -> None:
    arrange(scene)
    ours = {"SEPURUX / core": "set by hand", **{f"Reliability / {number}": GREEN for number in range(120)}}
    others = {"build": "passed", "Reliability": f"so: {GREEN}", "deploy / core": None}
    for context, description in {**others, **ours}.items():
        scene.repository.status(scene.pull.head_sha, "success", context, description)
    session = scene.load(base_sha=scene.pull.base_sha)
    early = read_inputs([input_layer({"campaign": "core", "timeout": "soon"})])
    with pytest.raises(ConfigurationError) as bad:
        resolve_policy(early, session.subject.event, session.subject.commit, lambda _: None)
    unread, other = map(str, bad.value.problems)
    assert unread.startswith("`.github/sepurux-gate.yml`: the policy could not be read: ")
    assert message in unread
    assert other.startswith("input `timeout`: ")
    assert scene.output.annotations == []
    session.publisher.publish_config_error([])
    assert scene.states() == {**dict.fromkeys(ours, "failure"), **dict.fromkeys(others, "success")}
    assert len(scene.github.calls("repos/list-commit-statuses-for-ref")) == 2


def test_several_pull_requests_into_different_branches_fail_in_each_known_context(scene: Scene) -> None:
    another(scene, "release/2")
    sha = scene.pull.head_sha
    scene.repository.status(sha, "success", "Reliability / search", GREEN)
    scene.repository.status(sha, "success", "build", "all is well")
    session = scene.load(BY_BRANCH, **on_push(sha))
    assert session.subject.event.ambiguous
    session.publisher.publish_config_error(["core"])
    assert scene.states(sha) == {
        "Sepurux (main) / core": "failure",
        "Sepurux (release/2) / core": "failure",
        "Reliability / search": "failure",
        "build": "success",
    }
    [description] = {each.description for each in scene.repository.latest_statuses(sha) if each.context != "build"}
    assert (description or "").endswith("is the head of 2 open pull requests into different branches")


def test_several_pull_requests_into_one_branch_use_its_policy_and_get_no_comment(scene: Scene) -> None:
    scene.pull.base_ref = "release/1"
    scene.repository.commit("release/1", {CONFIG.default: "campaign: strict"})
    another(scene, "release/1", head="same-commit")
    session = scene.load(BY_BRANCH, CONFIG.default, **on_push(scene.pull.head_sha))
    assert session.subject.commit.policy.text == "campaign: strict"
    session.publisher.publish_results([a_result()])
    assert list(scene.states()) == ["Sepurux (release/1) / refunds"]
    assert session.publisher.publish_comment([a_result()], BODY) == ""
    assert scene.pull.comments == []


def test_a_lookup_that_fails_or_has_a_response_of_an_unknown_shape_makes_the_event_ambiguous(scene: Scene) -> None:
    push, client = on_push(scene.pull.head_sha), scene.client
    scene.client = connect(scene.github.url, Secret(scene.github.token({"statuses": "write"})), "octo/shop")
    assert scene.load(**push).subject.event.ambiguous
    scene.client = client
    scene.github.fault("pulls/list", backend.json({"message": "odd"}), always=True)
    assert scene.load(**push).subject.event.ambiguous


ASKED = (Refusal("octocat", Reason.COMMIT_AUTHOR), Refusal("ann", Reason.ASSIGNEE))


@pytest.mark.parametrize(
    ("opener", "requesters"),
    [
        ("copilot-swe-agent[bot]", ASKED),
        ("another-agent[bot]", ASKED),
        *[(login, ()) for login in ("dependabot[bot]", "renovate[bot]", "mona", "dependabot")],
    ],
)
def test_who_asks_a_bot_for_a_pull_request_cannot_approve_it(
    opener: str, requesters: tuple[Refusal, ...], scene: Scene
) -> None:
    pull, user = scene.pull, scene.github.world.user
    pull.author, pull.assignees, pull.head.authors = user(opener), [user("ann")], (None, user("octocat"))
    reviews = scene.load(name="merge_group", commit="c" * 40).reviews
    wanted = ApprovalStatus(commit=pull.head_sha, anyone=True, cannot_approve=requesters)
    assert [reviews.approval(()), reviews.approval(())] == [wanted, wanted]
    assert scene.operations.count("graphql requesters") == bool(requesters)


def a_page(**changes: object) -> dict[str, Any]:
    """Return a pull request as a query shows it; the author is null if an account was deleted, also that of an app."""
    page = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}, **changes}
    return {"data": {"repository": {"pullRequest": {"headRefOid": "a" * 40, "author": None, "comments": page}}}}


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({}, True),
        ({"pageInfo": {"hasNextPage": True, "endCursor": "abc"}}, True),
        ({"pageInfo": {"hasNextPage": True, "endCursor": None}}, False),
        ({"nodes": [{"viewerDidAuthor": False}]}, True),
        *(({"nodes": each}, False) for each in (None, [None], [{"viewerDidAuthor": None}])),
        ({"pageInfo": None}, False),
    ],
)
def test_a_page_that_is_not_whole_is_not_read_and_an_unknown_author_may_be_a_bot(
    changes: dict[str, object], *, known: bool
) -> None:
    found = parse_snapshot(a_page(**changes))
    assert (found and found.pull_request.by_agent) is (True if known else None)


def test_a_review_of_a_pull_request_from_a_fork_has_a_token_that_can_only_read(scene: Scene) -> None:
    assert not scene.load(name="pull_request_review").reviews.approval(()).read_only
    assert scene.load(name="pull_request_review", fork=True).reviews.approval(()).read_only


def test_statuses_that_graphql_returned_are_not_read_again(scene: Scene) -> None:
    scene.load().publisher.publish_config_error(["core"])
    assert scene.operations[3:] == [SET]


def test_a_context_that_does_not_fit_with_its_base_branch_is_left_out(scene: Scene) -> None:
    another(scene, "b" * 240)
    scene.load(BY_BRANCH, **on_push(scene.pull.head_sha)).publisher.publish_config_error(["core"])
    assert scene.states() == {"Sepurux (main) / core": "failure"}
