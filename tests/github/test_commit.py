"""The policy files and the statuses of the evaluated commit, as GitHub shows them."""

from __future__ import annotations

from contextlib import suppress

import pytest

from sepurux_action.errors import GitHubError
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.commit import NO_TEXT_FILE, Commit, PolicyFile, commit_query, parse_commit, policy_ref
from sepurux_action.github.event import Event

TIP, BEFORE = "a" * 40, "b" * 40
OWN = Event(name="pull_request", repository="octo/shop", commit=TIP, pull_request=7)
BASE = {"policyCommit": {"oid": BEFORE}, "policy": None, "defaultPolicy": None, "headPolicy": None}


def parsed(**repository: object) -> Commit:
    return parse_commit({"data": {"repository": {**BASE, **repository}}}, OWN)


def read(*errors: object, **repository: object) -> Commit | None:
    """Return what a client makes of a response with errors, None if it raises GitHubError."""
    response = {"data": {"repository": {**BASE, **repository}}, "errors": list(errors)}
    with suppress(GitHubError):
        return GitHubClient(lambda *_, **__: response, "octo/shop").commit(OWN, "gate.yml")
    return None


@pytest.mark.parametrize(
    ("event", "commit"),
    [
        *((Event(name=name, pull_request=7, base_sha=BEFORE), BEFORE) for name in ("pull_request", "merge_group")),
        *((Event(name=name), "HEAD") for name in ("workflow_run", "issue_comment")),
        (Event(name="pull_request", pull_request=7), "HEAD"),
        *((Event(name=name, base_ref="release/1"), "refs/heads/release/1") for name in ("workflow_run", "push")),
        *((Event(name=name), "") for name in ("push", "schedule", "deployment")),
    ],
)
def test_the_policy_file_that_applies_to_each_event(event: Event, commit: str) -> None:
    assert policy_ref(event) == commit


ODD = {"message": "Something went wrong"}
MAY_FAIL = (["workflow"], ["workflow", "text"], ["evaluated"], ["evaluated", "status"], ["headPolicy"])


@pytest.mark.parametrize("path", MAY_FAIL)
def test_an_error_of_workflow_statuses_or_head_leaves_the_policy_known(path: list[str]) -> None:
    found = read({**ODD, "path": ["repository", *path]}, workflow=None, evaluated={"oid": TIP, "status": None})
    assert found is not None
    assert (found.policy, found.workflow) == (PolicyFile(), "")
    assert (found.statuses is None) is ("evaluated" in path)
    assert bool(found.head_policy.details) is ("headPolicy" in path)


@pytest.mark.parametrize("path", [*([each] for each in ("policy", "policyYaml", "policyCommit", "defaultPolicy")), []])
def test_any_other_error_or_a_limit_of_github_leaves_everything_unread(path: list[str]) -> None:
    of_workflow = {**ODD, "path": ["repository", "workflow"]}
    assert read(of_workflow) is not None
    assert read(of_workflow, {**ODD, "path": ["repository", *path]}) is None
    assert read(of_workflow, ODD) is None
    assert read({**of_workflow, "type": "RESOURCE_LIMITS_EXCEEDED"}) is None


@pytest.mark.parametrize("errors", [None, [], "Something went wrong"])
def test_errors_of_an_unknown_shape_are_still_errors(errors: object) -> None:
    client = GitHubClient(lambda *_, **__: {"data": {"repository": BASE}, "errors": errors}, "octo/shop")
    with pytest.raises(GitHubError):
        client.commit(OWN, "gate.yml")


AT = f"{TIP}:.github/workflows/gate.yml"
BLOB = {"__typename": "Blob", "text": "a: 1", "isTruncated": False}


@pytest.mark.parametrize(
    ("names", "file", "read"),
    [
        (("pull_request", "pull_request_target"), AT, True),
        (("pull_request",), "", False),
        (("pull_request_review", "merge_group", "push", "workflow_run"), AT, False),
    ],
)
def test_a_workflow_is_read_only_where_a_review_may_start_no_run(
    names: tuple[str, ...], file: str, *, read: bool
) -> None:
    queries = [commit_query(Event(name=name, workflow_file=file), "gate.yml") for name in names]
    assert [AT in query for query in queries] == [read] * len(names)


NO_FILES = ["", "a page", [], {}, True, 0, {"__typename": "Tree"}, BLOB | {"isTruncated": True}, BLOB | {"text": None}]


@pytest.mark.parametrize("blob", NO_FILES)
def test_what_is_no_whole_text_file_is_not_known_and_no_missing_file(blob: object) -> None:
    found = parsed(workflow=blob, policy=blob)
    assert (found.workflow, found.policy) == ("", PolicyFile(error=NO_TEXT_FILE))


@pytest.mark.parametrize("other", [{"__typename": "Blob"}, {"__typename": "Tree"}, {}, "a page"])
def test_a_policy_file_is_misnamed_only_if_there_is_none_with_the_right_name(other: object) -> None:
    absent = {"policyYaml": other, "headPolicyYaml": other}
    named = {"policy": BLOB, "headPolicy": BLOB}
    for files, found in ((absent, PolicyFile(misnamed=True)), (absent | named, PolicyFile(text="a: 1"))):
        commit = parsed(**files)
        assert (commit.policy, commit.head_policy) == (found, found)


def test_a_base_commit_that_the_token_may_not_see_is_not_one_without_a_policy_file() -> None:
    assert parsed(policyCommit=None).policy.error == "GitHub shows no base commit"


@pytest.mark.parametrize(
    ("status", "known"), [(None, ()), ({"contexts": []}, ()), ({"contexts": None}, None), ({}, None), ("success", None)]
)
def test_statuses_are_known_only_from_a_response_of_the_known_form(status: object, known: object) -> None:
    assert parsed(evaluated={"oid": TIP, "status": status}).statuses == known
    assert parsed(evaluated={"oid": BEFORE, "status": status}).statuses is None


@pytest.mark.parametrize(("value", "known"), [("2027-01-03T12:00:00Z", 1_798_977_600.0), (None, None), ("soon", None)])
def test_the_time_of_the_evaluated_commit_is_that_of_github(value: object, known: float | None) -> None:
    assert parsed(evaluated={"oid": TIP, "committedDate": value}).committed == known
    assert parsed(evaluated={"oid": BEFORE, "committedDate": value}).committed is None
