"""The double for GitHub responds only to what GitHub's published description has, and as that describes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.github_double import GitHub, PullRequest, Undescribed, description
from tests.github_double.rest import CALLS

PULL = "/repos/octo/shop/pulls/1"
COMMENT = "/repos/octo/shop/issues/comments/COMMENT"
NEW_COMMENT = "/repos/octo/shop/issues/1/comments"
PATHS: Mapping[str, tuple[str, object]] = {
    "issues/create-comment": (NEW_COMMENT, {"body": "text"}),
    "issues/delete-comment": (COMMENT, None),
    "issues/list-comments": (NEW_COMMENT, None),
    "issues/update-comment": (COMMENT, {"body": "text"}),
    "pulls/get": (PULL, None),
    "pulls/list": ("/repos/octo/shop/pulls", None),
    "pulls/list-files": (f"{PULL}/files", None),
    "pulls/list-requested-reviewers": (f"{PULL}/requested_reviewers", None),
    "pulls/list-reviews": (f"{PULL}/reviews", None),
    "pulls/request-reviewers": (f"{PULL}/requested_reviewers", {"reviewers": ["hubot"]}),
    "repos/create-commit-status": ("/repos/octo/shop/statuses/HEAD", {"state": "error", "target_url": None}),
    "repos/get-branch-rules": ("/repos/octo/shop/rules/branches/main", None),
    "repos/get-combined-status-for-ref": ("/repos/octo/shop/commits/HEAD/status", None),
    "repos/get-collaborator-permission-level": ("/repos/octo/shop/collaborators/hubot/permission", None),
}


@pytest.fixture
def cloud() -> Iterator[GitHub]:
    with GitHub() as server:
        yield server


def ask(server: GitHub, method: str, path: str, body: object = None, token: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {token or server.token()}"}
    return requests.request(method, f"{server.url}{path}", json=body, headers=headers, timeout=10)


def call(server: GitHub, operation: description.Operation, pull: PullRequest, token: str = "") -> requests.Response:
    path, body = PATHS[operation.name]
    path = path.replace("COMMENT", str(pull.comments[0].id)).replace("HEAD", pull.head_sha)
    return ask(server, operation.method, path, body, token)


def graphql(server: GitHub, query: str, token: str = "") -> Any:  # noqa: ANN401 - JSON
    headers = {"Authorization": f"Bearer {token or server.token()}"}
    body = {"query": query}
    return requests.post(server.graphql_url, json=body, headers=headers, timeout=10).json()


def rich(server: GitHub) -> PullRequest:
    """Return a pull request that has one of everything, also a comment of a deleted account."""
    repository = server.repository(files={"docs/a.md": "a\n"})
    repository.collaborator("hubot", "write")
    repository.collaborator("otto", "write")
    repository.require_statuses("main", "Sepurux / a")
    pull = repository.pull()
    pull.comment(None, "of a deleted account")
    pull.comment("dependabot[bot]", "of a bot")
    pull.review("hubot", "APPROVED")
    pull.requested = [server.world.user("otto")]
    repository.pull("dependabot[bot]", head="update")
    for sha in (pull.head_sha, repository.branches["main"].sha):
        repository.status(sha, "success", "Sepurux / a", "pass: 90.0% passed")
    return pull


# -- the description --------------------------------------------------------------------------------------------------


def test_every_call_of_the_description_is_implemented() -> None:
    names = {operation.name for operation in description.OPERATIONS}
    assert names == CALLS.keys() == PATHS.keys()


@pytest.mark.parametrize("operation", description.OPERATIONS, ids=lambda operation: operation.name)
def test_the_fields_of_a_response_are_those_of_the_description(operation: description.Operation, cloud: GitHub) -> None:
    response = call(cloud, operation, rich(cloud))
    payload = response.json() if response.content else None
    assert operation.misfits(response.status_code, payload) == []
    assert payload != []


@contextmanager
def reported(complaint: str) -> Iterator[GitHub]:
    """Yield a GitHub whose block must end with this complaint."""
    with pytest.raises(Undescribed, match=re.escape(complaint)), GitHub() as server:
        yield server


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("GET", "/user", None, "GET /user: no such call"),
        ("POST", NEW_COMMENT, {"text": "text"}, "'body' is a required property"),
        ("POST", NEW_COMMENT, {"body": "text", "pinned": True}, "'pinned' was unexpected"),
        ("POST", "/repos/octo/shop/statuses/HEAD", {"state": "fail"}, "'fail' is not one of"),
        ("GET", PULL, {"body": "text"}, "takes no body"),
        ("GET", f"{PULL}/files?sort=asc", None, "no parameter 'sort' in the query"),
        ("GET", "/repos/octo/shop/pulls?state=merged", None, "state='merged' in the query"),
    ],
)
def test_a_call_that_is_not_described_is_rejected_and_fails_the_test_that_sent_it(
    method: str, path: str, body: object, complaint: str
) -> None:
    with reported(complaint) as server:
        response = ask(server, method, path.replace("HEAD", rich(server).head_sha), body)
        assert response.status_code == (404 if "no such call" in complaint else 422)


def test_a_query_that_the_schema_forbids_fails_the_test_that_sent_it() -> None:
    with reported("Cannot query field 'rateLimit' on type 'Query'") as server:
        assert "errors" in graphql(server, "{ rateLimit { cost } }")


# -- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", description.OPERATIONS, ids=lambda operation: operation.name)
def test_a_call_without_its_permission_is_rejected_with_the_permission_that_it_needs(
    operation: description.Operation, cloud: GitHub
) -> None:
    pull = rich(cloud)
    _, _, permissions = CALLS[operation.name]
    response = call(cloud, operation, pull, cloud.token({}))
    if permissions == ("metadata=read",):
        assert response.status_code == 200
    else:
        assert (response.status_code, response.json()["message"]) == (403, "Resource not accessible by integration")
        assert response.headers["x-accepted-github-permissions"] == "; ".join(permissions).replace("-", "_")
    assert (call(cloud, operation, pull, cloud.token(read_only=True)).status_code == 403) is (operation.method != "GET")
    for permission in permissions:
        granted = cloud.token(dict([permission.split("=")]))
        assert call(cloud, operation, pull, granted).status_code < 300


def test_graphql_rejects_a_field_with_status_200_and_returns_the_rest(cloud: GitHub) -> None:
    pull = rich(cloud)
    query = """{ repository(owner: "octo", name: "shop") {
      object(expression: "HEAD") { oid ... on Commit { status { contexts { context } } } }
      pullRequest(number: 1) { number } } }"""
    response = graphql(cloud, query, cloud.token({"contents": "read"}))
    assert response["data"]["repository"] == {"object": {"oid": pull.base_sha, "status": None}, "pullRequest": None}
    assert [(each["type"], each["message"], each["path"]) for each in response["errors"]] == [
        ("FORBIDDEN", "Resource not accessible by integration", ["repository", "object", "status"]),
        ("FORBIDDEN", "Resource not accessible by integration", ["repository", "pullRequest"]),
    ]
