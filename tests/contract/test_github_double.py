"""Holds the tests' GitHub to its word: real clients get along with it, and it knows only what GitHub describes.

Never asks anything of the action.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import github as pygithub
import pytest
import requests
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema, GraphQLUnionType, get_named_type

from tests import backend as be
from tests import github_double as gh
from tests.github_double import description
from tests.github_double.rest import CALLS

READ_ALL = {"contents": "read", "issues": "read", "pull-requests": "read", "statuses": "read"}
COMMENTS = """
query($number: Int!, $after: String) {
  repository(owner: "octo", name: "shop") {
    pullRequest(number: $number) {
      headRefOid isDraft state author { login }
      comments(first: 100, after: $after) {
        nodes { id databaseId fullDatabaseId viewerDidAuthor isMinimized body author { login } }
        pageInfo { endCursor hasNextPage }
      }
    }
  }
}"""
HIDE = """
mutation($id: ID!) {
  minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) { minimizedComment { isMinimized minimizedReason } }
}"""


@pytest.fixture(params=[False, True], ids=["github.com", "enterprise"])
def server(request: pytest.FixtureRequest) -> Iterator[gh.GitHub]:
    before = set(threading.enumerate())
    with gh.GitHub(enterprise=request.param) as server:
        yield server
    assert set(threading.enumerate()) <= before


@pytest.fixture
def cloud() -> Iterator[gh.GitHub]:
    with gh.GitHub() as server:
        yield server


def client(
    server: gh.GitHub, token: str = "", *, lazy: bool = True, retry: pygithub.GithubRetry | None = None
) -> closing[pygithub.Github]:
    auth = pygithub.Auth.Token(token or server.token())
    return closing(
        pygithub.Github(
            auth=auth,
            base_url=server.url,
            lazy=lazy,
            per_page=100,
            retry=retry,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )
    )


def ask(server: gh.GitHub, method: str, path: str, body: object = None, token: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {token or server.token()}"}
    return requests.request(method, f"{server.url}{path}", json=body, headers=headers, timeout=10)


def graphql(server: gh.GitHub, query: str, token: str = "", **variables: object) -> Any:  # noqa: ANN401 - JSON
    headers = {"Authorization": f"Bearer {token or server.token()}"}
    body = {"query": query, "variables": variables}
    return requests.post(server.graphql_url, json=body, headers=headers, timeout=10).json()


# --- A real client -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [True, False])
def test_comments_are_made_changed_read_and_removed(server: gh.GitHub, *, lazy: bool) -> None:
    pull = server.repository().pull()
    with client(server, lazy=lazy) as user:
        issue = user.get_repo("octo/shop").get_issue(1)
        comment = issue.create_comment("first")
        assert comment.html_url == f"{server.server_url}/octo/shop/pull/1#issuecomment-{comment.id}"
        assert comment.id > 2**31
        issue.get_comment(comment.id).edit("second")
        assert [(each.body, each.user.login) for each in issue.get_comments()] == [("second", gh.BOT)]
        comment.delete()
    assert pull.comments == []


def test_all_of_250_comments_are_listed_over_pages_that_name_the_repository_by_number(server: gh.GitHub) -> None:
    repository = server.repository()
    pull = repository.pull()
    made = [pull.comment("mona", f"no. {number}").id for number in range(250)]
    with client(server) as user:
        assert [each.id for each in user.get_repo("octo/shop").get_issue(1).get_comments()] == made
    first, second, third = server.calls("issues/list-comments")
    assert (first.path, second.path) == (
        f"{server.url.removeprefix(server.server_url)}/repos/octo/shop/issues/1/comments",
        f"{server.url.removeprefix(server.server_url)}/repositories/{repository.id}/issues/1/comments",
    )
    assert third.query == {"per_page": "100", "page": "3"}


def test_a_page_links_to_its_neighbours_and_to_the_ends(cloud: gh.GitHub) -> None:
    pull = cloud.repository().pull()
    for number in range(7):
        pull.comment("mona", f"{number}")
    answer = ask(cloud, "GET", "/repos/octo/shop/issues/1/comments?per_page=2&page=2")
    assert [each["body"] for each in answer.json()] == ["2", "3"]
    pages = {rel: link["url"].rpartition("=")[2] for rel, link in answer.links.items()}
    assert pages == {"prev": "1", "next": "3", "last": "4", "first": "1"}
    assert "Link" not in ask(cloud, "GET", "/repos/octo/shop/issues/1/comments").headers


def test_statuses_are_made_and_combined_by_context_without_regard_to_case(server: gh.GitHub) -> None:
    pull = server.repository().pull()
    with client(server) as user:
        commit = user.get_repo("octo/shop").get_commit(pull.head_sha)
        commit.create_status("pending", "https://example.invalid/run", "waits", "Sepurux / a")
        commit.create_status("success", description="done", context="SEPURUX / A")
        combined = commit.get_combined_status()
        assert (combined.state, combined.total_count) == ("success", 1)
        assert [each.description for each in combined.statuses] == ["done"]
    listed = ask(server, "GET", f"/repos/octo/shop/commits/{pull.head_sha}/statuses").json()
    assert [each["state"] for each in listed] == ["success", "pending"]


def test_a_pull_request_is_read_in_pygithubs_own_ways(server: gh.GitHub) -> None:
    repository = server.repository(files={"old.txt": "same\n", "gone.txt": "x\n"})
    repository.collaborator("hubot", "maintain")
    pull = repository.pull("mona", files={"new.txt": "same\n", "old.txt": None, "gone.txt": None, "a.txt": "1\n2\n"})
    pull.review("hubot", "APPROVED")
    with client(server, lazy=False) as user:
        seen = user.get_repo("octo/shop")
        (listed,) = seen.get_pulls(state="open", head="octo:topic")
        assert (listed.number, listed.head.sha, listed.base.ref) == (1, pull.head_sha, "main")
        one = seen.get_pull(1)
        assert (one.draft, one.merged, one.changed_files, one.user.login) == (False, False, 3, "mona")
        assert [(each.filename, each.status, each.previous_filename) for each in one.get_files()] == [
            ("a.txt", "added", None),
            ("gone.txt", "removed", None),
            ("new.txt", "renamed", "old.txt"),
        ]
        one.create_review_request(["hubot"])
        assert [each.login for each in one.get_review_requests()[0]] == ["hubot"]
        assert [(each.state, each.commit_id) for each in one.get_reviews()] == [("APPROVED", pull.head_sha)]
        assert [each.number for each in seen.get_commit(pull.head_sha).get_pulls()] == [1]
        assert (seen.get_collaborator_permission("hubot"), seen.get_collaborator_role_name("hubot")) == (
            "write",
            "maintain",
        )


def test_a_file_is_read_at_a_commit(server: gh.GitHub) -> None:
    repository = server.repository(files={".github/gate.yml": "campaign: a\n"})
    old = repository.branches["main"].sha
    repository.commit(files={".github/gate.yml": "campaign: b\n"})
    with client(server) as user:
        seen = user.get_repo("octo/shop")
        before, now = seen.get_contents(".github/gate.yml", ref=old), seen.get_contents(".github/gate.yml")
        assert not isinstance(before, list)
        assert not isinstance(now, list)
        assert (before.decoded_content, now.decoded_content) == (b"campaign: a\n", b"campaign: b\n")
        with pytest.raises(pygithub.UnknownObjectException):
            seen.get_contents(".github/none.yml")
        with pytest.raises(pygithub.GithubException, match="No commit found for the ref"):
            seen.get_contents(".github/gate.yml", ref="0" * 40)


def test_comments_are_read_hidden_and_removed_by_graphql(server: gh.GitHub) -> None:
    pull = server.repository().pull()
    for number in range(150):
        pull.comment("mona" if number else gh.BOT, f"{number}")
    with client(server) as user:
        pages: list[Any] = []
        after = None
        while not pages or pages[-1]["pageInfo"]["hasNextPage"]:
            data = user.requester.graphql_query(COMMENTS, {"number": 1, "after": after})[1]
            pages.append(data["data"]["repository"]["pullRequest"]["comments"])
            after = pages[-1]["pageInfo"]["endCursor"]
        seen = [node for page in pages for node in page["nodes"]]
        assert [node["body"] for node in seen] == [str(number) for number in range(150)]
        assert seen[0] == {
            "id": pull.comments[0].node_id,
            "databaseId": None,
            "fullDatabaseId": str(pull.comments[0].id),
            "viewerDidAuthor": True,
            "isMinimized": False,
            "body": "0",
            "author": {"login": "github-actions"},
        }
        assert user.get_repo("octo/shop").get_issue(1).get_comment(pull.comments[0].id).minimize("OUTDATED")
        deleted = {"id": pull.comments[1].node_id}
        user.requester.graphql_named_mutation("deleteIssueComment", deleted, "clientMutationId")
    assert pull.comments[0].minimized_reason == "outdated"
    assert len(pull.comments) == 149
    assert len(server.calls("graphql/repository")) == 2
    assert len(server.calls("graphql/minimizeComment")) == 1


# --- The description ---------------------------------------------------------------------------------------

PULL = "/repos/octo/shop/pulls/1"
ISSUE = "/repos/octo/shop/issues/1"
PATHS: Mapping[str, tuple[str, object]] = {
    "issues/create-comment": (f"{ISSUE}/comments", {"body": "text"}),
    "issues/delete-comment": ("/repos/octo/shop/issues/comments/COMMENT", None),
    "issues/get": (ISSUE, None),
    "issues/get-comment": ("/repos/octo/shop/issues/comments/COMMENT", None),
    "issues/list-comments": (f"{ISSUE}/comments", None),
    "issues/update-comment": ("/repos/octo/shop/issues/comments/COMMENT", {"body": "text"}),
    "pulls/get": (PULL, None),
    "pulls/list": ("/repos/octo/shop/pulls", None),
    "pulls/list-files": (f"{PULL}/files", None),
    "pulls/list-requested-reviewers": (f"{PULL}/requested_reviewers", None),
    "pulls/list-reviews": (f"{PULL}/reviews", None),
    "pulls/request-reviewers": (f"{PULL}/requested_reviewers", {"reviewers": ["hubot"]}),
    "repos/create-commit-status": ("/repos/octo/shop/statuses/HEAD", {"state": "error", "target_url": None}),
    "repos/get": ("/repos/octo/shop", None),
    "repos/get-branch": ("/repos/octo/shop/branches/main", None),
    "repos/get-branch-rules": ("/repos/octo/shop/rules/branches/main", None),
    "repos/get-collaborator-permission-level": ("/repos/octo/shop/collaborators/hubot/permission", None),
    "repos/get-combined-status-for-ref": ("/repos/octo/shop/commits/HEAD/status", None),
    "repos/get-commit": ("/repos/octo/shop/commits/HEAD", None),
    "repos/get-content": ("/repos/octo/shop/contents/docs/a.md", None),
    "repos/list-commit-statuses-for-ref": ("/repos/octo/shop/commits/HEAD/statuses", None),
    "repos/list-pull-requests-associated-with-commit": ("/repos/octo/shop/commits/HEAD/pulls", None),
}


def rich(server: gh.GitHub) -> gh.PullRequest:
    """Return a pull request that has one of everything, of a ghost too."""
    repository = server.repository(files={"docs/a.md": "a\n"})
    repository.collaborator("hubot", "write")
    repository.collaborator("otto", "write")
    repository.require_statuses("main", "Sepurux / a")
    pull = repository.pull()
    pull.comment(None, "of a ghost")
    pull.comment("dependabot[bot]", "of a bot")
    pull.review("hubot", "APPROVED")
    pull.request_review("otto")
    for sha in (pull.head_sha, repository.branches["main"].sha):
        repository.status(sha, "success", "Sepurux / a", "pass: 90.0% passed", by=gh.BOT)
    return pull


def test_every_call_that_is_kept_of_the_description_is_answered() -> None:
    names = {operation.name for operation in description.OPERATIONS}
    assert names == CALLS.keys() == PATHS.keys()


@pytest.mark.parametrize("operation", description.OPERATIONS, ids=lambda operation: operation.name)
def test_an_answer_has_the_shape_that_the_description_promises(
    operation: description.Operation, server: gh.GitHub
) -> None:
    pull = rich(server)
    path, body = PATHS[operation.name]
    path = path.replace("COMMENT", str(pull.comments[0].id)).replace("HEAD", pull.head_sha)
    answer = ask(server, operation.method, path, body)
    payload = answer.json() if answer.content else None
    assert operation.misfits(answer.status_code, payload) == []
    assert payload != []
    assert server.requests[-1].operation == operation.name


VALUES = {
    "Query.repository.owner": '"octo"',
    "Query.repository.name": '"shop"',
    "Repository.object.expression": "$expression",
    "Repository.pullRequest.number": "1",
    "Repository.ref.qualifiedName": '"refs/heads/main"',
    "Commit.file.path": '"docs/a.md"',
    "Status.context.name": '"sepurux / A"',
}


def everything(schema: GraphQLSchema, kind: object, above: tuple[str, ...] = ()) -> str:
    """Return a selection of all fields below a type, each under the alias TYPE_FIELD, and no type within itself."""
    if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
        parts = [f"... on {each.name} {everything(schema, each, above)}" for each in schema.get_possible_types(kind)]
        return f"{{ {' '.join(parts)} }}"
    if not isinstance(kind, GraphQLObjectType):
        return ""
    if kind.name in above:
        return "{ __typename }"
    fields = []
    for name, field in kind.fields.items():
        values = {
            each: VALUES.get(f"{kind.name}.{name}.{each}") or ("5" if each == "first" else "") for each in field.args
        }
        given = ", ".join(f"{each}: {value}" for each, value in values.items() if value)
        below = everything(schema, get_named_type(field.type), (*above, kind.name))
        fields.append(f"{kind.name}_{name}: {name}{f'({given})' if given else ''} {below}")
    return f"{{ {' '.join(fields)} }}"


def names_in(answer: object) -> Iterator[str]:
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield name
            yield from names_in(value)
    elif isinstance(answer, list):
        for each in answer:
            yield from names_in(each)


def test_every_field_that_is_kept_of_the_schema_is_answered(server: gh.GitHub) -> None:
    pull = rich(server)
    pull.repository.status(pull.repository.branches["main"].sha, "failure", "other", by="mona")
    schema = description.graphql_schema()
    query = f"query($expression: String!) {everything(schema, schema.query_type)}"
    answered: set[str] = set()
    for expression in ("HEAD", "HEAD:docs/a.md", "HEAD:docs"):
        answer = graphql(server, query, expression=expression)
        assert "errors" not in answer
        answered |= set(names_in(answer["data"]))
    kept = {
        f"{name}_{field}"
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__")
        for field in kind.fields
    }
    mutations = {each for each in kept if each.startswith(("Mutation_", "MinimizeComment", "DeleteIssueComment"))}
    assert kept - mutations == answered - {"__typename"}


@contextmanager
def noticed(complaint: str, *, enterprise: bool = False) -> Iterator[gh.GitHub]:
    """Give a GitHub whose block must end with this complaint."""
    with pytest.raises(gh.Undescribed, match=re.escape(complaint)), gh.GitHub(enterprise=enterprise) as server:
        yield server


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("GET", "/user", None, "GET /user: no such call"),
        ("GET", "/repos/octo/shop/statuses/main", None, "/repos/octo/shop/statuses/main: no such call"),
        ("PUT", f"{ISSUE}/comments", {"body": "text"}, "no such call"),
        ("POST", f"{ISSUE}/comments", {"text": "text"}, "'body' is a required property"),
        ("POST", f"{ISSUE}/comments", {"body": "text", "pinned": True}, "'pinned' was unexpected"),
        ("POST", f"{ISSUE}/comments", {"body": None}, "None is not of type 'string'"),
        ("POST", f"{ISSUE}/comments", None, "the body is no JSON"),
        ("POST", "/repos/octo/shop/statuses/HEAD", {"state": "fail"}, "'fail' is not one of"),
        ("POST", f"{PULL}/requested_reviewers", {"reviewers": "hubot"}, "'hubot' is not of type 'array'"),
        ("GET", f"{ISSUE}/comments", {"body": "text"}, "takes no body"),
        ("GET", f"{ISSUE}/comments?sort=asc", None, "no parameter 'sort' in the query"),
        ("GET", "/repos/octo/shop/pulls?state=merged", None, "state='merged' in the query"),
        ("GET", "/repos/octo/shop/pulls/one", None, "pull_number='one' in the path"),
    ],
)
def test_what_the_description_does_not_know_is_refused_and_fails_the_test_that_sent_it(
    method: str, path: str, body: object, complaint: str
) -> None:
    with noticed(complaint) as server:
        answer = ask(server, method, path.replace("HEAD", rich(server).head_sha), body)
        assert answer.status_code == (404 if "no such call" in complaint else 422)


@pytest.mark.parametrize(
    ("query", "variables", "complaint"),
    [
        ("{ viewer { email2 } }", {}, "Cannot query field 'email2' on type 'User'"),
        ("{ viewer { login }", {}, "Syntax Error"),
        (COMMENTS, {"number": "one"}, "Int cannot represent non-integer value"),
        (COMMENTS, {}, "'Int!' to be provided"),
        (HIDE.replace("OUTDATED", "OLD"), {"id": "IC_1"}, "'OLD' does not exist in 'ReportedContentClassifiers'"),
    ],
)
def test_a_query_that_the_schema_forbids_fails_the_test_that_sent_it(
    query: str, variables: Mapping[str, Any], complaint: str
) -> None:
    with noticed(complaint) as server:
        rich(server)
        assert "errors" in graphql(server, query, **variables)


def test_no_rest_is_answered_outside_the_path_of_an_enterprise_server() -> None:
    with noticed("GET /repos/octo/shop: no such call", enterprise=True) as server:
        server.repository()
        headers = {"Authorization": f"Bearer {server.token()}"}
        assert requests.get(f"{server.server_url}/repos/octo/shop", headers=headers, timeout=10).status_code == 404


# --- Tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic dXNlcjpwYXNz"])
def test_nothing_is_answered_without_a_token(cloud: gh.GitHub, authorization: str | None) -> None:
    cloud.repository()
    headers = {"Authorization": authorization} if authorization else {}
    assert requests.get(f"{cloud.url}/repos/octo/shop", headers=headers, timeout=10).status_code == 401
    assert (
        requests.post(
            cloud.graphql_url, json={"query": "{ viewer { login } }"}, headers=headers, timeout=10
        ).status_code
        == 401
    )


@pytest.mark.parametrize("operation", description.OPERATIONS, ids=lambda operation: operation.name)
def test_a_call_without_its_permission_is_refused_by_name(operation: description.Operation, cloud: gh.GitHub) -> None:
    pull = rich(cloud)
    path, body = PATHS[operation.name]
    path = path.replace("COMMENT", str(pull.comments[0].id)).replace("HEAD", pull.head_sha)
    _, permissions = CALLS[operation.name]
    answer = ask(cloud, operation.method, path, body, cloud.token({}))
    if permissions == ("metadata=read",):
        assert answer.status_code == 200
    else:
        assert (answer.status_code, answer.json()["message"]) == (403, "Resource not accessible by integration")
        assert answer.headers["x-accepted-github-permissions"] == "; ".join(permissions).replace("-", "_")
    for permission in permissions:
        granted = dict([permission.split("=")])
        assert ask(cloud, operation.method, path, body, cloud.token(granted)).status_code < 300
        if operation.name == "issues/delete-comment":
            path = f"{path.rpartition('/')[0]}/{pull.comments[0].id if pull.comments else 0}"


def test_a_token_of_a_fork_reads_and_writes_nothing(cloud: gh.GitHub) -> None:
    pull = rich(cloud)
    token = cloud.token(read_only=True)
    writes = {operation.name for operation in description.OPERATIONS if operation.method != "GET"}
    for operation in description.OPERATIONS:
        path, body = PATHS[operation.name]
        path = path.replace("COMMENT", str(pull.comments[0].id)).replace("HEAD", pull.head_sha)
        refused = ask(cloud, operation.method, path, body, token).status_code == 403
        assert refused is (operation.name in writes)


def test_graphql_refuses_with_status_200_and_answers_the_rest(cloud: gh.GitHub) -> None:
    pull = rich(cloud)
    query = """{ repository(owner: "octo", name: "shop") {
      object(expression: "HEAD") { oid ... on Commit { status { state } } } pullRequest(number: 1) { number } } }"""
    answer = graphql(cloud, query, cloud.token({"contents": "read"}))
    assert answer["data"]["repository"] == {"object": {"oid": pull.base_sha, "status": None}, "pullRequest": None}
    assert [(each["type"], each["message"], each["path"]) for each in answer["errors"]] == [
        ("FORBIDDEN", "Resource not accessible by integration", ["repository", "object", "status"]),
        ("FORBIDDEN", "Resource not accessible by integration", ["repository", "pullRequest"]),
    ]
    answer = graphql(cloud, HIDE, cloud.token(READ_ALL), id=pull.comments[0].node_id)
    assert (answer["data"], answer["errors"][0]["type"]) == ({"minimizeComment": None}, "FORBIDDEN")
    assert pull.comments[0].minimized_reason is None


def test_each_token_sees_what_it_wrote_itself(cloud: gh.GitHub) -> None:
    cloud.repository().pull().comment("other-app[bot]", "mine")
    query = COMMENTS.replace("$after: String", "$after: String = null")
    for login, mine in (("other-app[bot]", True), (gh.BOT, False)):
        pull = graphql(cloud, query, cloud.token(login=login), number=1)["data"]["repository"]["pullRequest"]
        assert [each["viewerDidAuthor"] for each in pull["comments"]["nodes"]] == [mine]
    assert graphql(cloud, "{ viewer { login } }")["data"] == {"viewer": {"login": gh.BOT}}


# --- Rules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "status"), [(1, 201), (65_536, 201), (65_537, 422), (0, 422)], ids=str)
def test_a_comment_has_1_to_65536_characters(cloud: gh.GitHub, length: int, status: int) -> None:
    cloud.repository().pull()
    assert ask(cloud, "POST", f"{ISSUE}/comments", {"body": "ä" * length}).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {"description": "x" * 141},
        {"context": "x" * 256},
        {"target_url": "ftp://example.invalid/"},
        {"target_url": "example.invalid"},
    ],
)
def test_a_status_beyond_the_limits_is_refused(cloud: gh.GitHub, body: dict[str, str]) -> None:
    pull = cloud.repository().pull()
    path = f"/repos/octo/shop/statuses/{pull.head_sha}"
    assert ask(cloud, "POST", path, {"state": "success", **body}).status_code == 422
    shorter = {name: value[1:] if len(value) > 100 else "" for name, value in body.items()}
    assert ask(cloud, "POST", path, {"state": "success", **shorter}).status_code == 201


def test_a_context_takes_a_thousand_statuses_of_a_commit(cloud: gh.GitHub) -> None:
    pull = cloud.repository().pull()
    for _ in range(999):
        pull.repository.status(pull.head_sha, "pending", "a")
    path = f"/repos/octo/shop/statuses/{pull.head_sha}"
    statuses = [ask(cloud, "POST", path, {"state": "success", "context": context}).status_code for context in "aAb"]
    assert statuses == [201, 422, 201]


def test_a_status_of_an_unknown_commit_is_refused(cloud: gh.GitHub) -> None:
    cloud.repository()
    answer = ask(cloud, "POST", f"/repos/octo/shop/statuses/{'0' * 40}", {"state": "success"})
    assert (answer.status_code, answer.json()["message"]) == (422, f"No commit found for SHA: {'0' * 40}")


def test_a_locked_conversation_takes_no_comment(cloud: gh.GitHub) -> None:
    pull = cloud.repository().pull()
    comment = pull.comment(gh.BOT, "old")
    pull.locked = True
    assert ask(cloud, "POST", f"{ISSUE}/comments", {"body": "text"}).status_code == 403
    assert ask(cloud, "PATCH", f"/repos/octo/shop/issues/comments/{comment.id}", {"body": "new"}).status_code == 200


def test_an_archived_repository_takes_nothing(cloud: gh.GitHub) -> None:
    pull = rich(cloud)
    pull.repository.archived = True
    for operation in description.OPERATIONS:
        path, body = PATHS[operation.name]
        path = path.replace("COMMENT", str(pull.comments[0].id)).replace("HEAD", pull.head_sha)
        assert (ask(cloud, operation.method, path, body).status_code == 403) is (operation.method != "GET")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"reviewers": ["mona"]}, "pull request author"),
        ({"reviewers": ["otto", "stranger"]}, "only be requested from collaborators"),
        ({"team_reviewers": ["core"]}, "Could not resolve to a node"),
    ],
)
def test_one_reviewer_who_cannot_be_asked_fails_the_whole_call(
    cloud: gh.GitHub, body: dict[str, list[str]], message: str
) -> None:
    repository = cloud.repository()
    repository.collaborator("mona", "write")
    repository.collaborator("otto", "write")
    pull = repository.pull("mona")
    answer = ask(cloud, "POST", f"{PULL}/requested_reviewers", body)
    assert answer.status_code == 422
    assert message in answer.json()["message"]
    assert pull.requested == []


@pytest.mark.parametrize(("private", "permission"), [(False, "read"), (True, "none")])
def test_whoever_has_no_role_may_read_what_is_public(cloud: gh.GitHub, *, private: bool, permission: str) -> None:
    cloud.repository(private=private)
    cloud.world.user("stranger")
    answer = ask(cloud, "GET", "/repos/octo/shop/collaborators/stranger/permission")
    assert answer.json()["permission"] == permission
    assert ask(cloud, "GET", "/repos/octo/shop/collaborators/nobody/permission").status_code == 404


def test_a_forks_head_is_known_here_but_leads_to_no_pull_request(cloud: gh.GitHub) -> None:
    repository = cloud.repository()
    pull = repository.pull("fan", source=repository.fork("fan"))
    seen = ask(cloud, "GET", "/repos/octo/shop/pulls?head=fan:topic").json()
    assert [each["head"]["repo"]["full_name"] for each in seen] == ["fan/shop"]
    assert ask(cloud, "GET", f"/repos/octo/shop/commits/{pull.head_sha}/pulls").json() == []
    path = f"/repos/octo/shop/statuses/{pull.head_sha}"
    assert ask(cloud, "POST", path, {"state": "success"}).status_code == 201
    pull.head_repository = None
    assert ask(cloud, "GET", PULL).json()["head"]["repo"] is None


def test_a_renamed_repository_leads_to_its_new_place(cloud: gh.GitHub) -> None:
    repository = cloud.repository()
    repository.pull()
    repository.rename("store")
    path = f"{ISSUE}/comments"
    gone = requests.get(
        f"{cloud.url}{path}",
        params={"page": 1},
        headers={"Authorization": f"Bearer {cloud.token()}"},
        timeout=10,
        allow_redirects=False,
    )
    assert (gone.status_code, gone.headers["Location"]) == (
        301,
        f"{cloud.url}/repositories/{repository.id}/issues/1/comments?page=1",
    )
    assert ask(cloud, "GET", path).json() == []
    assert ask(cloud, "POST", path, {"body": "text"}).status_code == 201
    assert len(cloud.calls("issues/create-comment")) == 2
    seen = graphql(cloud, '{ repository(owner: "octo", name: "shop") { nameWithOwner } }')
    assert seen["data"] == {"repository": {"nameWithOwner": "octo/store"}}


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("", "MISSING_PAGINATION_BOUNDARIES"),
        ("(first: 101)", "EXCESSIVE_PAGINATION"),
        ('(first: 1, after: "?")', "INVALID_CURSOR_ARGUMENTS"),
    ],
)
def test_a_connection_is_read_in_pages_of_at_most_100(cloud: gh.GitHub, page: str, kind: str) -> None:
    cloud.repository().pull()
    query = f"""{{ repository(owner: "octo", name: "shop") {{
      pullRequest(number: 1) {{ comments{page} {{ totalCount }} }} }} }}"""
    assert [each["type"] for each in graphql(cloud, query)["errors"]] == [kind]


def test_a_connection_is_read_backwards_and_by_order(cloud: gh.GitHub) -> None:
    pull = cloud.repository().pull()
    for number in range(5):
        pull.comment("mona", str(number))
    pull.comments[1].updated_at = cloud.world.tick()
    query = """query($before: String) { repository(owner: "octo", name: "shop") { pullRequest(number: 1) {
      back: comments(last: 2, before: $before) { nodes { body } pageInfo { startCursor hasPreviousPage } }
      newest: comments(first: 2, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { body } } } } }"""
    before, pages = None, []
    for _ in range(3):
        seen = graphql(cloud, query, before=before)["data"]["repository"]["pullRequest"]
        pages.append(([each["body"] for each in seen["back"]["nodes"]], seen["back"]["pageInfo"]["hasPreviousPage"]))
        before = seen["back"]["pageInfo"]["startCursor"]
        assert [each["body"] for each in seen["newest"]["nodes"]] == ["1", "4"]
    assert pages == [(["3", "4"], True), (["1", "2"], True), (["0"], False)]


def test_a_history_tells_the_newest_status_of_a_context(cloud: gh.GitHub) -> None:
    repository = cloud.repository()
    for state in ("success", "failure"):
        repository.status(repository.commit(), state, "Sepurux / a", state)
    query = """{ repository(owner: "octo", name: "shop") { defaultBranchRef { target { ... on Commit {
      history(first: 2) { nodes { status { context(name: "Sepurux / a") { state description } } } } } } } } }"""
    nodes = graphql(cloud, query)["data"]["repository"]["defaultBranchRef"]["target"]["history"]["nodes"]
    assert [each["status"]["context"]["description"] for each in nodes] == ["failure", "success"]


@pytest.mark.parametrize(
    ("content", "text", "binary", "truncated"),
    [
        ("a: ä\n".encode(), "a: ä\n", False, False),
        (b"\xff\xfe", None, True, False),
        (b"x" * 600_000, "x" * 512_000, False, True),
    ],
    ids=["text", "binary", "large"],
)
def test_a_file_is_read_by_graphql(
    cloud: gh.GitHub, content: bytes, text: str | None, *, binary: bool, truncated: bool
) -> None:
    cloud.repository().commit(files={"a.yml": content})
    query = """{ repository(owner: "octo", name: "shop") { none: object(expression: "HEAD:b.yml") { oid }
      file: object(expression: "main:a.yml") { ... on Blob { text byteSize isBinary isTruncated } } } }"""
    assert graphql(cloud, query)["data"]["repository"] == {
        "none": None,
        "file": {"text": text, "byteSize": len(content), "isBinary": binary, "isTruncated": truncated},
    }


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('{ repository(owner: "octo", name: "none") { id } }', "Could not resolve to a Repository"),
        ('{ repository(owner: "octo", name: "shop") { pullRequest(number: 5) { id } } }', "to a PullRequest"),
    ],
)
def test_what_is_not_there_is_told_by_graphql_with_its_kind(cloud: gh.GitHub, query: str, message: str) -> None:
    cloud.repository()
    (error,) = graphql(cloud, query)["errors"]
    assert error["type"] == "NOT_FOUND"
    assert message in error["message"]


# --- Faults and hooks --------------------------------------------------------------------------------------


def test_faults_strike_one_call_each_and_then_no_more(cloud: gh.GitHub) -> None:
    cloud.repository()
    cloud.fault("repos/*", gh.broken(), gh.refused(404, "Not Found"), gh.through, gh.secondary_limit(retry_after_s=7))
    answers = [ask(cloud, "GET", "/repos/octo/shop") for _ in range(5)]
    assert [each.status_code for each in answers] == [502, 404, 200, 403, 200]
    assert answers[3].headers["Retry-After"] == "7"


def test_a_fault_that_is_there_always_strikes_every_call_that_fits(cloud: gh.GitHub) -> None:
    pull = cloud.repository().pull()
    cloud.fault("issues/create-comment", gh.through, gh.broken(503), always=True)
    statuses = [ask(cloud, "POST", f"{ISSUE}/comments", {"body": "text"}).status_code for _ in range(4)]
    assert (statuses, len(pull.comments)) == ([201, 503, 503, 503], 1)
    assert ask(cloud, "GET", f"{ISSUE}/comments").status_code == 200


def test_a_lost_answer_was_worked_on_and_a_reset_one_was_not(cloud: gh.GitHub) -> None:
    pull = cloud.repository().pull()
    cloud.fault("issues/create-comment", be.reset(), gh.lost)
    made = []
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            ask(cloud, "POST", f"{ISSUE}/comments", {"body": "text"})
        made.append(len(pull.comments))
    assert made == [0, 1]


def test_a_client_that_does_not_wait_has_still_written(cloud: gh.GitHub) -> None:
    pull = cloud.repository().pull()
    cloud.fault("issues/create-comment", gh.slow(60))
    headers = {"Authorization": f"Bearer {cloud.token()}"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{cloud.url}{ISSUE}/comments", json={"body": "text"}, headers=headers, timeout=0.5)
    assert len(pull.comments) == 1


def test_graphql_is_struck_by_its_first_field(cloud: gh.GitHub) -> None:
    rich(cloud)
    cloud.fault("graphql/viewer", gh.graphql_error("RATE_LIMITED", "API rate limit exceeded"))
    cloud.fault("graphql", be.page())
    token = cloud.token()
    answers = [
        requests.post(
            cloud.graphql_url, json={"query": query}, headers={"Authorization": f"Bearer {token}"}, timeout=10
        )
        for query in ("{ rateLimit { remaining } }", "{ viewer { login } }", "{ viewer { login } }")
    ]
    assert [(each.status_code, each.headers["Content-Type"].partition(";")[0]) for each in answers] == [
        (502, "text/html"),
        (200, "application/json"),
        (200, "application/json"),
    ]
    assert answers[1].json()["errors"][0]["type"] == "RATE_LIMITED"
    assert answers[2].json() == {"data": {"viewer": {"login": gh.BOT}}}


@pytest.mark.parametrize(
    "limit", [gh.secondary_limit(), gh.secondary_limit(status=429), gh.primary_limit(), gh.primary_limit(status=429)]
)
def test_pygithub_takes_a_limit_for_one(cloud: gh.GitHub, limit: be.Answer) -> None:
    cloud.repository().pull()
    cloud.fault("issues/list-comments", limit)
    with client(cloud) as user, pytest.raises(pygithub.GithubException, match="rate limit") as raised:
        list(user.get_repo("octo/shop").get_issue(1).get_comments())
    assert raised.value.status in {403, 429}


def test_a_hook_runs_once_between_two_calls(cloud: gh.GitHub) -> None:
    pull = cloud.repository().pull()
    old = pull.head_sha
    cloud.after("issues/list-comments", lambda: pull.comment(gh.BOT, "rival"))
    cloud.before("pulls/get", pull.push)
    seen = [[each["body"] for each in ask(cloud, "GET", f"{ISSUE}/comments").json()] for _ in range(2)]
    assert seen == [[], ["rival"]]
    assert [each.body for each in pull.comments] == ["rival"]
    heads = [ask(cloud, "GET", PULL).json()["head"]["sha"] for _ in range(2)]
    assert heads == [pull.head_sha, pull.head_sha]
    assert pull.head_sha != old


def test_a_request_is_remembered_as_it_arrived(server: gh.GitHub) -> None:
    server.repository().pull()
    ask(server, "POST", f"{ISSUE}/comments", {"body": "text"}, token := server.token())
    graphql(server, HIDE, id="IC_0")
    comment, hidden = server.requests
    assert (comment.method, comment.query, comment.operation, comment.json()) == (
        "POST",
        {},
        "issues/create-comment",
        {"body": "text"},
    )
    assert comment.headers["authorization"] == f"Bearer {token}"
    assert (hidden.operation, hidden.names) == ("graphql", ("graphql", "graphql/minimizeComment"))
    assert server.calls("issues/*") == (comment,)
