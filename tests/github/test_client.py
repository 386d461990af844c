"""The client with the real PyGithub, against the double on loopback, and the warning about a rejected call."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pytest

from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.config.options import Stage
from sepurux_action.github.client import Calls, Client, GitHubError, Kind, Operation, connect
from sepurux_action.github.pull_request import delete_comment, request_reviews, write_comment
from sepurux_action.github.queries import PullRequest, Status, read_pull_request
from sepurux_action.github.statuses import set_status
from tests import backend
from tests.builders import a_gate, a_result
from tests.fakes import FakeClock, FakeOutput
from tests.github.scene import Scene
from tests.github_double import GitHub, faults

SUCCESS = Status(context="c", state="success", description="d")
ENDLESS = {"viewerDidAuthor": True, "fullDatabaseId": "9" * 5_000, "body": ""}
ODD = {
    "HTML": backend.page(status=200),
    "empty": backend.empty(),
    "null": backend.json(None),
    "odd types": backend.json({"data": {"repository": {"pullRequest": [], "base": 7}}}),
    "odd errors": backend.json({"errors": "no"}),
    "a number without end": backend.json({"data": {"repository": {"pullRequest": {"comments": {"nodes": [ENDLESS]}}}}}),
    "another address": backend.json({"id": 1, "html_url": "javascript:alert(1)"}, 201),
    "deep": backend.raw(b"[" * 200_000, 200, {"Content-Type": "application/json"}),
    "cut off": backend.truncated({"data": {}}),
}


@pytest.fixture(params=[False, True], ids=["github.com", "enterprise"])
def either(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with GitHub(enterprise=request.param) as github:
        yield Scene(github)


def error_of(call: Callable[[], object]) -> GitHubError:
    with pytest.raises(GitHubError) as caught:
        call()
    return caught.value


def query(client: Client) -> PullRequest:
    return read_pull_request(1, client)


def warning_of(operation: Operation, error: GitHubError) -> str:
    output = FakeOutput()
    Calls(None, FakeClock(), output).warn(operation, error, "")
    [(_, warning)] = output.annotations
    return warning.removeprefix("Sepurux gate: ")


def test_an_own_comment_is_created_read_edited_and_deleted_by_one_request_each(either: Scene) -> None:
    url = write_comment("POST", f"{either.pull.number}/comments", "first", either.client)
    assert url.startswith(either.github.server_url)
    either.pull.comment("someone", "<!-- sepurux-gate:core -->")
    pull = query(either.client)
    assert (pull.head, pull.author, pull.by_agent) == (either.pull.head_sha, "mona", False)
    [made] = pull.comments
    assert (made.body, made.id > 2**31 - 1) == ("first", True)
    assert write_comment("PATCH", f"comments/{made.id}", "second", either.client)
    assert either.pull.comments[0].body == "second"
    delete_comment(made, either.client)
    assert len(either.pull.comments) == 1
    assert len(either.github.requests) == 4


def test_whatever_is_sent_to_github_is_redacted(scene: Scene) -> None:
    secret = "tok_9f8e7d6c5b4a3928"
    client = connect(scene.github.url, Secret(scene.github.token()), "octo/shop", Redactor([secret]))
    write_comment("POST", f"{scene.pull.number}/comments", f"created {secret}\nsecond line", client)
    assert write_comment("PATCH", f"comments/{scene.pull.comments[0].id}", f"edited {secret}\nsecond line", client)
    sha = scene.pull.head_sha
    context, description, url = f"Sepurux / {secret}", f"fail {secret}", f"https://x.example/{secret}"
    set_status(sha, Status(context=context, state="failure", description=description, url=url), client)
    set_status(sha, Status(context="c", state="success", description="", url=""), client)
    assert json.loads(scene.github.requests[-1].body) == {"context": "c", "state": "success"}  # not an empty URL
    scene.client = client
    scene.repository.collaborator(secret, "write")
    subject = scene.load()
    results = [a_result(gate=a_gate(stage=Stage.SOFT), approval=scene.approval(secret))]
    request_reviews(scene.calls, subject.event, results)
    sent = (each for each in scene.github.requests if each.body and not each.operation.startswith("graphql"))
    bodies = [json.loads(record.body) for record in sent]
    assert [body.get("body") for body in bodies[:2]] == ["created ***\nsecond line", "edited ***\nsecond line"]
    assert (bodies[2]["description"], bodies[2]["context"]) == ("fail ***", "Sepurux / ***")
    assert bodies[2]["target_url"] == "https://x.example/***"
    assert bodies[4] == {"reviewers": ["***"]}


def bounded(scene: Scene) -> Calls:
    calls = Calls(scene.client, scene.timeouts, scene.output)
    calls.set_timeout(15)
    return calls


@pytest.mark.parametrize(
    "failures",
    [
        *([faults.broken(), backend.reset(), backend.truncated({})], [faults.broken(503)]),
        *([backend.raw(body, 500, backend.JSON)] * 2 for body in (b'{"mess', b"[1]", b"\xff", b'{"message": ["x"]}')),
    ],
)
def test_a_status_survives_failures_that_may_be_temporary(failures: list[backend.Answer], scene: Scene) -> None:
    scene.github.fault("repos/create-commit-status", *failures)
    bounded(scene).call(partial(set_status, scene.pull.head_sha, SUCCESS))
    assert len(scene.repository.latest_statuses(scene.pull.head_sha)) == 1
    assert len(scene.github.requests) == len(failures) + 1


@pytest.mark.parametrize(
    ("fault", "sent", "made"),
    [
        (faults.secondary_limit(retry_after_s=10), 2, 1),
        *((faults.secondary_limit(retry_after_s=10, status=429), 2, 1), (faults.lost, 1, 1)),
        (backend.json({"message": "Server Error"}, 503, {"Retry-After": "1"}), 1, 0),
        *((faults.secondary_limit(), 1, 0), (faults.secondary_limit(retry_after_s=15), 1, 0)),
    ],
)
def test_when_a_comment_is_sent_again(fault: faults.Step | backend.Answer, sent: int, made: int, scene: Scene) -> None:
    scene.github.fault("issues/create-comment", fault)
    with suppress(GitHubError):
        bounded(scene).call(partial(write_comment, "POST", "1/comments", "once"), retry=False)
    assert (len(scene.github.requests), len(scene.pull.comments)) == (sent, made)


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_to_another_host_is_an_error_for_every_call(status: int, scene: Scene) -> None:
    moved = backend.json({"message": "Moved Permanently"}, status, {"Location": "https://elsewhere.example/x"})
    scene.github.fault("*", moved, always=True)
    calls: list[Callable[[Client], object]] = [query, partial(set_status, scene.pull.head_sha, SUCCESS)]
    calls += [partial(write_comment, *each, "second") for each in (("POST", "1/comments"), ("PATCH", "comments/1"))]
    for call in calls:
        assert "redirect" in error_of(partial(call, scene.client)).message


@pytest.mark.parametrize("asked", ["Wed, 21 Oct 99999999999 07:28:00 GMT", "9" * 5000, "-5"])
def test_an_invalid_retry_after_is_ignored(asked: str, scene: Scene) -> None:
    scene.github.fault("graphql*", backend.json({}, 503, {"Retry-After": asked}))
    assert error_of(lambda: query(scene.client)).retry_after_s is None


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.refused(403, "Resource not accessible by integration"), Kind.FORBIDDEN),
        (faults.refused(422, "Validation Failed"), None),
        *((faults.secondary_limit(retry_after_s=seconds), Kind.RATE_LIMITED) for seconds in (None, 3600)),
        *((faults.primary_limit(status=status), Kind.RATE_LIMITED) for status in (403, 429)),
        (backend.json({"message": "no"}, 403, {"Retry-After": "soon"}), Kind.RATE_LIMITED),
        (backend.json({"message": "no"}, 403, {"X-RateLimit-Remaining": "0"}), Kind.RATE_LIMITED),
    ],
)
def test_each_kind_of_rejection_is_recognized(fault: backend.Answer, kind: Kind | None, scene: Scene) -> None:
    scene.github.fault("repos/create-commit-status", fault)
    error = error_of(lambda: set_status(scene.pull.head_sha, SUCCESS, scene.client))
    assert (error.kind, error.is_final) == (kind, True)


def test_a_missing_permission_is_named_as_github_names_it_by_graphql_with_status_200(scene: Scene) -> None:
    client = connect(scene.github.url, Secret(scene.github.token({"contents": "read"})), "octo/shop")
    error = error_of(lambda: set_status(scene.pull.head_sha, SUCCESS, client))
    assert "Give the job `statuses: write` under `permissions:` if it lacks it" in warning_of(Operation.STATUS, error)
    error = error_of(lambda: write_comment("POST", "1/comments", "text", client))
    assert "Give the job `pull-requests: write` under `permissions:`" in warning_of(Operation.COMMENT, error)
    error = error_of(lambda: query(client))
    assert (error.status, error.kind) == (0, Kind.FORBIDDEN)
    assert "`pull-requests: read`" in warning_of(Operation.PULL, error)


@pytest.mark.parametrize("case", ODD)
def test_a_response_of_an_unknown_shape_is_an_error_or_has_no_comments_and_no_address(case: str, scene: Scene) -> None:
    scene.github.fault("graphql*", ODD[case])
    scene.github.fault("issues/create-comment", ODD[case])
    with suppress(GitHubError):
        assert query(scene.client).comments == ()
    with suppress(GitHubError):
        assert write_comment("POST", "1/comments", "text", scene.client) == ""


def test_an_unknown_user_may_not_write(scene: Scene) -> None:
    scene.load()
    unknown = scene.approval("unknown")
    assert (unknown.can_approve, unknown.unread) == ((), False)


MORE = {"Link": '<https://api.github.com/next>; rel="next"'}


def test_a_list_of_more_entries_than_the_limit_is_an_error(scene: Scene) -> None:
    entry = {"user": {"login": "hubot", "type": "User"}, "state": "APPROVED"}
    scene.github.fault("pulls/list-reviews", backend.json([entry] * 100, headers=MORE), always=True)
    scene.load()
    assert scene.approval().unread
    assert scene.warnings[0].startswith("Could not read the reviews (")
    assert "more than 3000 entries" in scene.warnings[0]


@pytest.mark.parametrize(
    ("operation", "rejection", "says"),
    [
        (Operation.STATUS, GitHubError("", status=401), "`github_token` is not valid"),
        (Operation.STATUS, GitHubError("Invalid", status=422), "(HTTP 422 Invalid). Re-run the job later."),
        (Operation.PULL, GitHubError("", Kind.RATE_LIMITED, status=429), "Re-run the job later."),
        (Operation.STATUSES, GitHubError("", Kind.TOO_LONG), "Push a commit: a re-run finds as many."),
        (Operation.PULL, GitHubError("GitHub kept failing"), "GitHub kept failing). Re-run the job later."),
    ],
)
def test_a_warning_says_what_to_change(operation: Operation, rejection: GitHubError, says: str) -> None:
    warning = warning_of(operation, rejection)
    assert warning.startswith(f"Could not {operation.text} (")
    assert says in warning
    assert warning.endswith("This does not change the result.") is operation.permission.endswith("write")
    assert warning.isprintable()
