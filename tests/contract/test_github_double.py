"""The double for GitHub responds only to what GitHub's published description has, and as that describes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.github_double import GitHub, Undescribed, description
from tests.github_double.rest import CALLS

PULL = "/repos/octo/shop/pulls/1"
COMMENTS = "/repos/octo/shop/issues/1/comments"
STATUSES = "/repos/octo/shop/statuses/HEAD"


def ask(server: GitHub, method: str, path: str, body: object = None, **permissions: str) -> requests.Response:
    token = server.token({name.replace("_", "-"): level for name, level in permissions.items()} or None)
    url = server.graphql_url if path == "graphql" else f"{server.url}{path}"
    return requests.request(method, url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10)


def graphql(server: GitHub, query: str, **permissions: str) -> Any:  # noqa: ANN401 - JSON
    return ask(server, "POST", "graphql", {"query": query}, **permissions).json()


@contextmanager
def reported(complaint: str) -> Iterator[GitHub]:
    """Yield a GitHub whose block must end with this complaint."""
    server = GitHub()
    server.repository().pull()
    with pytest.raises(Undescribed, match=re.escape(complaint)), server:
        yield server


def test_every_call_of_the_description_is_implemented() -> None:
    assert {operation.name for operation in description.OPERATIONS} == CALLS.keys()


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("GET", "/user", None, "GET /user: no such call"),
        ("POST", COMMENTS, {"text": "text"}, "'body' is a required property"),
        ("POST", COMMENTS, {"body": "text", "pinned": True}, "'pinned' was unexpected"),
        ("POST", STATUSES, {"state": "fail"}, "'fail' is not one of"),
        ("GET", PULL, {"body": "text"}, "takes no body"),
        ("GET", f"{PULL}/files?sort=asc", None, "no parameter 'sort' in the query"),
        ("GET", "/repos/octo/shop/pulls?state=merged", None, "state='merged' in the query"),
    ],
)
def test_a_call_that_is_not_described_is_rejected_and_fails_the_test_that_sent_it(
    method: str, path: str, body: object, complaint: str
) -> None:
    with reported(complaint) as server:
        assert ask(server, method, path, body).status_code == (404 if "no such call" in complaint else 422)


def test_a_query_that_the_schema_forbids_fails_the_test_that_sent_it() -> None:
    with reported("Cannot query field 'rateLimit' on type 'Query'") as server:
        assert "errors" in graphql(server, "{ rateLimit { cost } }")


def test_a_response_that_is_not_described_fails_the_test_that_got_it() -> None:
    with reported("pulls/get: $.state: 'odd' is not one of ['open', 'closed']") as server:
        server.world.repositories["octo/shop"].pulls[1].state = "odd"
        ask(server, "GET", PULL)


def test_graphql_rejects_a_field_with_status_200_and_returns_the_rest() -> None:
    query = """{ repository(owner: "octo", name: "shop") {
      object(expression: "HEAD") { oid ... on Commit { status { contexts { context } } } }
      pullRequest(number: 1) { number } } }"""
    with GitHub() as server:
        pull = server.repository().pull()
        response = graphql(server, query, contents="read")
    assert response["data"]["repository"] == {"object": {"oid": pull.base_sha, "status": None}, "pullRequest": None}
    assert [(each["type"], each["message"], each["path"]) for each in response["errors"]] == [
        ("FORBIDDEN", "Resource not accessible by integration", ["repository", "object", "status"]),
        ("FORBIDDEN", "Resource not accessible by integration", ["repository", "pullRequest"]),
    ]
