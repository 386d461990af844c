"""The double for GitHub responds only to what GitHub's published description has, and as that describes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema, get_named_type

from tests import backend as be
from tests.github_double import BOT, GitHub, PullRequest, Undescribed, description, faults
from tests.github_double.rest import CALLS

COMMENTS = """
query($number: Int!, $after: String) {
  repository(owner: "octo", name: "shop") {
    pullRequest(number: $number) {
      comments(first: 100, after: $after) { nodes { viewerDidAuthor } pageInfo { endCursor hasNextPage } }
    }
  }
}"""
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


def graphql(server: GitHub, query: str, token: str = "", **variables: object) -> Any:  # noqa: ANN401 - JSON
    headers = {"Authorization": f"Bearer {token or server.token()}"}
    body = {"query": query, "variables": variables}
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
def test_a_response_has_the_shape_that_the_description_promises(
    operation: description.Operation, cloud: GitHub
) -> None:
    response = call(cloud, operation, rich(cloud))
    payload = response.json() if response.content else None
    assert operation.misfits(response.status_code, payload) == []
    assert payload != []


VALUES = {
    "Query.repository": 'owner: "octo", name: "shop"',
    "Repository.object": "expression: $expression",
    "Repository.pullRequest": "number: 1",
    "Repository.pullRequests": 'first: 5, baseRefName: "main", orderBy: {field: CREATED_AT, direction: DESC}',
}


def everything(schema: GraphQLSchema, kind: object, above: tuple[str, ...] = ()) -> str:
    """Return a selection of all fields below a type, each under the alias TYPE_FIELD, and no type within itself."""
    if isinstance(kind, GraphQLInterfaceType):
        parts = [f"... on {each.name} {everything(schema, each, above)}" for each in schema.get_possible_types(kind)]
        return f"{{ {' '.join(parts)} }}"
    if not isinstance(kind, GraphQLObjectType):
        return ""
    if kind.name in above:
        return "{ __typename }"
    fields = []
    for name, field in kind.fields.items():
        arguments = VALUES.get(f"{kind.name}.{name}") or ("first: 5" if "first" in field.args else "")
        below = everything(schema, get_named_type(field.type), (*above, kind.name))
        fields.append(f"{kind.name}_{name}: {name}{f'({arguments})' if arguments else ''} {below}")
    return f"{{ {' '.join(fields)} }}"


def names_in(response: object) -> Iterator[str]:
    if isinstance(response, dict):
        for name, value in response.items():
            yield name
            yield from names_in(value)
    elif isinstance(response, list):
        for each in response:
            yield from names_in(each)


def test_every_field_of_the_schema_is_resolved(cloud: GitHub) -> None:
    rich(cloud)
    schema = description.graphql_schema()
    query = f"query($expression: String!) {everything(schema, schema.query_type)}"
    resolved: set[str] = set()
    for expression in ("HEAD", "HEAD:docs/a.md", "HEAD:docs"):
        response = graphql(cloud, query, expression=expression)
        assert "errors" not in response
        resolved |= set(names_in(response["data"]))
    assert resolved - {"__typename"} == {
        f"{name}_{field}"
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__")
        for field in kind.fields
    }


@contextmanager
def reported(complaint: str, *, enterprise: bool = False) -> Iterator[GitHub]:
    """Yield a GitHub whose block must end with this complaint."""
    with pytest.raises(Undescribed, match=re.escape(complaint)), GitHub(enterprise=enterprise) as server:
        yield server


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("GET", "/user", None, "GET /user: no such call"),
        ("PUT", NEW_COMMENT, {"body": "text"}, "no such call"),
        ("POST", NEW_COMMENT, {"text": "text"}, "'body' is a required property"),
        ("POST", NEW_COMMENT, {"body": "text", "pinned": True}, "'pinned' was unexpected"),
        ("POST", NEW_COMMENT, {"body": None}, "None is not of type 'string'"),
        ("POST", NEW_COMMENT, None, "the body is no JSON"),
        ("POST", "/repos/octo/shop/statuses/HEAD", {"state": "fail"}, "'fail' is not one of"),
        ("GET", PULL, {"body": "text"}, "takes no body"),
        ("GET", f"{PULL}/files?sort=asc", None, "no parameter 'sort' in the query"),
        ("GET", "/repos/octo/shop/pulls?state=merged", None, "state='merged' in the query"),
        ("GET", "/repos/octo/shop/pulls/one", None, "pull_number='one' in the path"),
    ],
)
def test_a_call_that_is_not_described_is_rejected_and_fails_the_test_that_sent_it(
    method: str, path: str, body: object, complaint: str
) -> None:
    with reported(complaint) as server:
        response = ask(server, method, path.replace("HEAD", rich(server).head_sha), body)
        assert response.status_code == (404 if "no such call" in complaint else 422)


@pytest.mark.parametrize(
    ("query", "variables", "complaint"),
    [
        ("{ rateLimit { cost } }", {}, "Cannot query field 'rateLimit' on type 'Query'"),
        ("{ repository {", {}, "Syntax Error"),
        (COMMENTS, {"number": "one"}, "Int cannot represent non-integer value"),
        (COMMENTS, {}, "'Int!' to be provided"),
    ],
)
def test_a_query_that_the_schema_forbids_fails_the_test_that_sent_it(
    query: str, variables: Mapping[str, Any], complaint: str
) -> None:
    with reported(complaint) as server:
        rich(server)
        assert "errors" in graphql(server, query, **variables)


def test_an_enterprise_server_has_rest_only_below_its_root() -> None:
    with reported(f"GET {PULL}: no such call", enterprise=True) as server:
        rich(server)
        headers = {"Authorization": f"Bearer {server.token()}"}
        assert requests.get(f"{server.server_url}{PULL}", headers=headers, timeout=10).status_code == 404


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_an_unknown_token_is_rejected(cloud: GitHub) -> None:
    rich(cloud)
    assert ask(cloud, "GET", PULL, token="wrong").status_code == 401
    assert graphql(cloud, COMMENTS, "wrong", number=1)["message"] == "Bad credentials"


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


def test_a_token_sees_which_comments_are_its_own(cloud: GitHub) -> None:
    pull = cloud.repository().pull()
    pull.comment("other-app[bot]", "theirs")
    pull.comment(BOT, "ours")
    response = graphql(cloud, COMMENTS, number=1)["data"]["repository"]["pullRequest"]["comments"]
    assert [each["viewerDidAuthor"] for each in response["nodes"]] == [False, True]


# -- GitHub's own rules -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "status"), [(1, 201), (65_536, 201), (65_537, 422), (0, 422)], ids=str)
def test_a_comment_has_1_to_65536_characters(cloud: GitHub, length: int, status: int) -> None:
    cloud.repository().pull()
    assert ask(cloud, "POST", NEW_COMMENT, {"body": "ä" * length}).status_code == status


@pytest.mark.parametrize(
    "body", [{"description": "x" * 141}, {"context": "x" * 256}, {"target_url": "ftp://example.invalid/"}]
)
def test_a_status_beyond_the_limits_is_rejected(cloud: GitHub, body: dict[str, str]) -> None:
    pull = cloud.repository().pull()
    path = f"/repos/octo/shop/statuses/{pull.head_sha}"
    assert ask(cloud, "POST", path, {"state": "success", **body}).status_code == 422
    shorter = {name: value[1:] if len(value) > 100 else "" for name, value in body.items()}
    assert ask(cloud, "POST", path, {"state": "success", **shorter}).status_code == 201


@pytest.mark.parametrize(
    ("reviewers", "message"),
    [(["mona"], "pull request author"), (["otto", "stranger"], "only be requested from collaborators")],
)
def test_one_ineligible_reviewer_fails_the_whole_request(cloud: GitHub, reviewers: list[str], message: str) -> None:
    repository = cloud.repository()
    repository.collaborator("mona", "write")
    repository.collaborator("otto", "write")
    pull = repository.pull("mona")
    response = ask(cloud, "POST", f"{PULL}/requested_reviewers", {"reviewers": reviewers})
    assert response.status_code == 422
    assert message in response.json()["message"]
    assert pull.requested == []


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("", "MISSING_PAGINATION_BOUNDARIES"),
        ("(first: 101)", "EXCESSIVE_PAGINATION"),
        ('(first: 1, after: "?")', "INVALID_CURSOR_ARGUMENTS"),
    ],
)
def test_a_connection_is_read_in_pages_of_at_most_100(cloud: GitHub, page: str, kind: str) -> None:
    cloud.repository().pull()
    query = f"""{{ repository(owner: "octo", name: "shop") {{
      pullRequest(number: 1) {{ comments{page} {{ nodes {{ body }} }} }} }} }}"""
    assert [each["type"] for each in graphql(cloud, query)["errors"]] == [kind]


@pytest.mark.parametrize(
    ("content", "text", "truncated"),
    [("a: ä\n".encode(), "a: ä\n", False), (b"\xff\xfe", None, False), (b"x" * 600_000, "x" * 512_000, True)],
    ids=["text", "binary", "large"],
)
def test_a_file_is_text_and_cut_if_it_is_large(
    cloud: GitHub, content: bytes, text: str | None, *, truncated: bool
) -> None:
    cloud.repository().commit(files={"a.yml": content})
    query = """{ repository(owner: "octo", name: "shop") { none: object(expression: "HEAD:b.yml") { oid }
      file: object(expression: "HEAD:a.yml") { ... on Blob { text isTruncated } } } }"""
    expected = {"none": None, "file": {"text": text, "isTruncated": truncated}}
    assert graphql(cloud, query)["data"]["repository"] == expected


def test_comments_are_listed_if_they_were_written_or_edited_since_a_time(cloud: GitHub) -> None:
    pull = cloud.repository().pull()
    old, edited, _ = (pull.comment(BOT, text) for text in ("old", "edited", "new"))
    old.updated_at = edited.updated_at = datetime(2026, 1, 1, tzinfo=UTC)
    assert ask(cloud, "PATCH", COMMENT.replace("COMMENT", str(edited.id)), {"body": "again"}).status_code == 200
    listed = ask(cloud, "GET", f"{NEW_COMMENT}?since=2026-01-01T00:00:01Z").json()
    assert [each["body"] for each in listed] == ["again", "new"]


# -- faults and hooks -------------------------------------------------------------------------------------------------


def test_each_fault_applies_to_one_call_and_the_last_one_to_all_others_if_asked(cloud: GitHub) -> None:
    cloud.repository().pull()
    cloud.fault("pulls/get", faults.broken(), faults.through, faults.secondary_limit(retry_after_s=7))
    responses = [ask(cloud, "GET", PULL) for _ in range(4)]
    assert [each.status_code for each in responses] == [502, 200, 403, 200]
    assert responses[2].headers["Retry-After"] == "7"
    cloud.fault("pulls/*", faults.broken(503), always=True)
    assert [ask(cloud, "GET", PULL).status_code for _ in range(2)] == [503, 503]


def test_a_lost_response_was_processed_and_a_reset_one_was_not(cloud: GitHub) -> None:
    pull = cloud.repository().pull()
    cloud.fault("issues/create-comment", be.reset(), faults.lost)
    made = []
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            ask(cloud, "POST", NEW_COMMENT, {"body": "text"})
        made.append(len(pull.comments))
    assert made == [0, 1]


def test_a_hook_runs_once_before_or_after_a_call(cloud: GitHub) -> None:
    pull = cloud.repository().pull()
    cloud.after("pulls/get", pull.push)
    cloud.before("pulls/get", pull.push)
    first, last = (ask(cloud, "GET", PULL).json()["head"]["sha"] for _ in range(2))
    (parent,) = pull.head.parents
    assert (first, last) == (parent.sha, pull.head_sha)
