"""The client with the real PyGithub, against the double on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.config import options
from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.evaluation.drops import Baseline
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.client import CommitState, CommitStatus
from sepurux_action.github.connection import connect
from sepurux_action.github.event import Lookup, PullRequest
from sepurux_action.github.permissions import Operation, warning_text
from sepurux_action.github.snapshot import Comment
from tests import backend
from tests.fakes import FakeClock, FakeOutput
from tests.github_double import GitHub, faults
from tests.scenes import BOT
from tests.scenes import ClientScene as Scene
from tests.scenes import a_client_scene as a_scene

DECIDED = "pass (hard): 91.0% passed, 0 unsafe, 2 failures, score 88.0"
SUCCESS = CommitStatus("c", CommitState.SUCCESS, "d")


@pytest.fixture(params=[False, True], ids=["github.com", "enterprise"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with GitHub(enterprise=request.param) as github:
        yield a_scene(github)


@pytest.fixture
def dotcom() -> Iterator[Scene]:
    with GitHub() as github:
        yield a_scene(github)


def error_of(call: Callable[[], object]) -> ErrorDetails:
    with pytest.raises(GitHubError) as caught:
        call()
    return caught.value.details


def test_one_request_each_reads_the_pull_request_and_the_base_branch(scene: Scene) -> None:
    scene.pull.comment("someone", "<!-- sepurux-gate:core -->")
    ours = scene.pull.comment("github-actions[bot]", "ours")
    scene.repository.status(scene.pull.base_sha, "success", "Sepurux / core", DECIDED)
    snapshot, base = scene.client.snapshot(scene.pull.number), scene.client.base_branch(scene.event)
    assert len(scene.github.requests) == 2
    assert snapshot.pull_request == PullRequest(
        head_sha=scene.pull.head_sha, base_ref="main", base_sha=scene.pull.base_sha, author="mona"
    )
    assert [comment.id for comment in snapshot.comments] == [ours.id]
    assert snapshot.comments[0].id > 2**31 - 1
    assert (base.results or {})["sepurux / core"].median(PASS_RATE) == pytest.approx(0.91)


def test_all_pages_are_read_by_their_cursors(dotcom: Scene) -> None:
    for number in range(250):
        dotcom.pull.comment("github-actions[bot]", f"comment {number}")
    seen, after = list[str](), ""
    while not seen or after:
        snapshot = dotcom.client.snapshot(dotcom.pull.number, after)
        seen += [comment.body for comment in snapshot.comments]
        after = snapshot.after
    assert seen == [f"comment {number}" for number in range(250)]
    assert len(dotcom.github.requests) == 3


def test_a_comment_is_created_edited_and_deleted_by_one_request_each(scene: Scene) -> None:
    made = scene.client.create_comment(scene.pull.number, "first")
    assert made.url.startswith(scene.github.server_url)
    assert scene.client.edit_comment(made, "second")
    assert [comment.body for comment in scene.pull.comments] == ["second"]
    scene.client.delete_comment(made)
    assert scene.pull.comments == []
    scene.client.delete_comment(made)  # another run has deleted it
    assert not scene.client.edit_comment(made, "third")
    assert len(scene.github.requests) == 5


def test_the_newest_comments_are_those_of_the_account_since_a_minute_before_the_run(scene: Scene) -> None:
    for login in ("mallory", "github-actions", "other-app[bot]", None):
        scene.pull.comment(login, "<!-- sepurux-gate:core -->")
    now = datetime.now(UTC)
    ours = [scene.pull.comment(BOT, text) for text in ("of an older run", "of a run that began before", "new")]
    ours[0].updated_at, ours[1].updated_at = now - timedelta(minutes=2), now - timedelta(seconds=30)
    for number in range(100):
        scene.pull.comment("mona", f"comment {number}")
    last = scene.pull.comment(BOT, "last")
    newest = scene.client.newest_comments(scene.pull.number, "GitHub-Actions[bot]")
    assert [comment.id for comment in newest] == [ours[1].id, ours[2].id, last.id]
    assert newest[-1].url == f"{scene.github.server_url}/octo/shop/pull/1#issuecomment-{last.id}"
    assert len(scene.github.requests) == 2


@pytest.mark.parametrize(
    "page", [{}, [None], [{"user": {"login": BOT}, "body": "text"}], [{"user": {"login": BOT}, "body": "", "id": "1"}]]
)
def test_a_page_of_comments_of_another_shape_is_an_error(page: object, dotcom: Scene) -> None:
    dotcom.github.fault("issues/list-comments", backend.json(page))
    error_of(lambda: dotcom.client.newest_comments(1, BOT))


def test_a_status_is_one_request(scene: Scene) -> None:
    scene.client.set_status(scene.pull.head_sha, CommitStatus("Sepurux / core", CommitState.PENDING, "under way"))
    failed = CommitStatus("Sepurux / core", CommitState.FAILURE, "fail", "https://x.example/1")
    scene.client.set_status(scene.pull.head_sha, failed)
    [newest] = scene.repository.latest_statuses(scene.pull.head_sha)
    assert (newest.state, newest.description, newest.target_url) == ("failure", "fail", "https://x.example/1")
    assert len(scene.github.requests) == 2


def test_whatever_is_sent_to_github_is_redacted(dotcom: Scene) -> None:
    secret = "tok_9f8e7d6c5b4a3928"
    client = connect(dotcom.github.url, Secret(dotcom.github.token()), "octo/shop", Redactor([secret]))
    made = client.create_comment(dotcom.pull.number, f"created {secret}\nsecond line")
    assert client.edit_comment(made, f"edited {secret}\nsecond line")
    sha = dotcom.pull.head_sha
    context, description, url = f"Sepurux / {secret}", f"fail {secret[:9]}…", f"https://x.example/{secret}"
    client.set_status(sha, CommitStatus(context, CommitState.FAILURE, description, url))
    with suppress(GitHubError):
        client.request_review(dotcom.pull.number, secret)
    bodies = [json.loads(record.body) for record in dotcom.github.requests]
    assert [body.get("body") for body in bodies[:2]] == ["created ***\nsecond line", "edited ***\nsecond line"]
    assert (bodies[2]["description"], bodies[2]["context"]) == ("fail ***…", "Sepurux / ***")
    assert bodies[2]["target_url"] == "https://x.example/***"
    assert bodies[3] == {"reviewers": ["***"]}


def test_each_lookup_is_one_request(scene: Scene) -> None:
    number, sha = scene.pull.number, scene.pull.head_sha
    by_head = Lookup(repository="octo/shop", branch="feature", commit=sha)
    for lookup in (Lookup(number=number), by_head, Lookup(commit=sha)):
        [found] = scene.client.find_pull_requests(lookup)
        assert (found.number, found.head_sha, found.open) == (scene.pull.number, scene.pull.head_sha, True)
    assert len(scene.github.requests) == 3


def test_a_lookup_by_head_lists_closed_pull_requests_only_if_no_open_one_is_at_the_commit(scene: Scene) -> None:
    lookup = Lookup(repository="octo/shop", branch="feature", commit=scene.pull.head_sha)
    scene.pull.state = "closed"
    later = scene.repository.pull("mona", head="feature")
    found = scene.client.find_pull_requests(lookup)
    assert [(pull.number, pull.open) for pull in found] == [(later.number, True), (scene.pull.number, False)]
    assert len(scene.github.requests) == 2


def test_a_lookup_by_commit_lists_open_pull_requests_from_forks_too(scene: Scene) -> None:
    fork = scene.repository.pull("fan", head="feature", source=scene.repository.fork("fan"))
    scene.repository.pull("mona", head="old").state = "closed"
    found = scene.client.find_pull_requests(Lookup(commit=fork.head_sha))
    repositories = {pull.number: pull.head_repository for pull in found}
    assert repositories == {fork.number: "fan/shop", scene.pull.number: "octo/shop"}


def bounded(scene: Scene, seconds: float = 15) -> BoundedCalls:
    calls = BoundedCalls(scene.client, FakeClock(), FakeOutput(), scene.event)
    calls.set_timeout(seconds)
    return calls


def test_an_edit_and_a_status_survive_a_502_and_a_reset(dotcom: Scene) -> None:
    made = dotcom.client.create_comment(dotcom.pull.number, "first")
    dotcom.github.fault("issues/update-comment", faults.broken(), backend.reset(), backend.truncated({}))
    dotcom.github.fault("repos/create-commit-status", faults.broken(503))
    calls = bounded(dotcom)
    calls.call(lambda github: github.edit_comment(made, "second"))
    calls.call(lambda github: github.set_status(dotcom.pull.head_sha, SUCCESS))
    assert dotcom.pull.comments[0].body == "second"
    assert len(dotcom.github.calls("issues/update-comment")) == 4


@pytest.mark.parametrize("body", [b'{"mess', b"[1]", b"\xff", b'{"message": ["x"]}'])
def test_a_status_survives_a_500_whose_body_is_no_error_of_github(body: bytes, dotcom: Scene) -> None:
    headers = {"Content-Type": "application/json"}
    dotcom.github.fault("repos/create-commit-status", backend.raw(body, 500, headers), backend.raw(body, 500, headers))
    bounded(dotcom).call(lambda github: github.set_status(dotcom.pull.head_sha, SUCCESS))
    assert len(dotcom.repository.latest_statuses(dotcom.pull.head_sha)) == 1


def test_a_call_waits_for_the_reset_of_the_rate_limit_if_time_is_left(dotcom: Scene) -> None:
    dotcom.github.fault("repos/create-commit-status", faults.primary_limit(reset_after_s=5))
    bounded(dotcom).call(lambda github: github.set_status(dotcom.pull.head_sha, SUCCESS))
    assert len(dotcom.repository.latest_statuses(dotcom.pull.head_sha)) == 1


def creating(scene: Scene, fault: faults.Step | backend.Answer) -> int:
    """Return how many times a comment is sent if its first request has a fault."""
    scene.github.fault("issues/create-comment", fault)
    with suppress(GitHubError):
        bounded(scene).call(lambda github: github.create_comment(1, "once"), retry=False)
    return len(scene.github.calls("issues/create-comment"))


def test_a_comment_is_never_sent_twice_by_itself(dotcom: Scene) -> None:
    assert creating(dotcom, faults.lost) == 1
    assert len(dotcom.pull.comments) == 1


@pytest.mark.parametrize("status", [403, 429])
def test_a_comment_that_github_rejected_with_a_retry_after_is_sent_again(status: int, dotcom: Scene) -> None:
    assert creating(dotcom, faults.secondary_limit(retry_after_s=10, status=status)) == 2
    assert [comment.body for comment in dotcom.pull.comments] == ["once"]


@pytest.mark.parametrize(
    "fault",
    [
        backend.json({"message": "Server Error"}, 503, {"Retry-After": "1"}),
        backend.reset(),
        faults.secondary_limit(),
        faults.secondary_limit(status=429),
        faults.secondary_limit(retry_after_s=15),
    ],
    ids=["503", "reset", "limit without a time", "429 without a time", "time after the deadline"],
)
def test_a_comment_is_not_sent_again_after_another_error_or_after_the_deadline(
    fault: backend.Answer, dotcom: Scene
) -> None:
    assert creating(dotcom, fault) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_is_an_error_for_every_call(status: int, dotcom: Scene) -> None:
    made = dotcom.client.create_comment(dotcom.pull.number, "first")
    dotcom.github.fault("*", faults.moved("https://elsewhere.example/x", status), always=True)
    calls: list[Callable[[], object]] = [
        lambda: dotcom.client.snapshot(dotcom.pull.number),
        lambda: dotcom.client.set_status(dotcom.pull.head_sha, SUCCESS),
        lambda: dotcom.client.create_comment(dotcom.pull.number, "second"),
        lambda: dotcom.client.edit_comment(made, "second"),
        lambda: dotcom.client.delete_comment(made),
    ]
    for call in calls:
        assert "redirect" in error_of(call).message
    assert [comment.body for comment in dotcom.pull.comments] == ["first"]


@pytest.mark.parametrize("asked", ["Wed, 21 Oct 99999999999 07:28:00 GMT", "9" * 400, "9" * 5000, "-5", "soon", ""])
def test_an_invalid_retry_after_is_ignored(asked: str, dotcom: Scene) -> None:
    dotcom.github.fault("graphql*", backend.json({}, 503, {"Retry-After": asked}))
    error = error_of(lambda: dotcom.client.snapshot(1))
    assert (error.temporary, error.retry_after_s) == (True, None)


@pytest.mark.parametrize("fault", [faults.secondary_limit(retry_after_s=1), faults.broken(503)], ids=["limit", "503"])
def test_no_call_is_retried_after_its_deadline(fault: backend.Answer, dotcom: Scene) -> None:
    """A `pending` that was sent again after the time for it was over would replace the decided status."""
    dotcom.github.fault("repos/create-commit-status", fault, fault)
    calls = bounded(dotcom, 0.9)
    assert not error_of(lambda: calls.call(lambda github: github.set_status(dotcom.pull.head_sha, SUCCESS))).permanent
    assert dotcom.repository.latest_statuses(dotcom.pull.head_sha) == []


def test_a_rate_limit_beyond_the_deadline_is_an_error_at_once(dotcom: Scene) -> None:
    calls = bounded(dotcom)
    for fault in (faults.secondary_limit(), faults.secondary_limit(retry_after_s=3600), faults.primary_limit()):
        dotcom.github.fault("graphql*", fault)
        assert error_of(lambda: calls.call(lambda github: github.snapshot(1))).rate_limited
    assert len(dotcom.github.requests) == 3


REJECTIONS = {
    "missing permission": (faults.refused(403, "Resource not accessible by integration"), "forbidden"),
    "404": (faults.refused(404, "Not Found"), "of_one_target"),
    "422": (faults.refused(422, "Validation Failed"), "of_one_target"),
    "secondary limit": (faults.secondary_limit(), "rate_limited"),
    "secondary limit with Retry-After": (faults.secondary_limit(retry_after_s=3600), "rate_limited"),
    "primary limit": (faults.primary_limit(), "rate_limited"),
    "primary limit as 429": (faults.primary_limit(status=429), "rate_limited"),
}


@pytest.mark.parametrize("case", REJECTIONS)
def test_each_kind_of_rejection_is_recognized(case: str, dotcom: Scene) -> None:
    fault, kind = REJECTIONS[case]
    dotcom.github.fault("repos/create-commit-status", fault, always=True)
    error = error_of(lambda: dotcom.client.set_status(dotcom.pull.head_sha, SUCCESS))
    assert getattr(error, kind) is True


def test_a_missing_permission_is_named_as_github_names_it(dotcom: Scene) -> None:
    token = dotcom.github.token({"contents": "read", "pull-requests": "read"})
    client = connect(dotcom.github.url, Secret(token), "octo/shop")
    error = error_of(lambda: client.set_status(dotcom.pull.head_sha, SUCCESS))
    assert "`statuses: write`" in warning_text(Operation.STATUS, error, dotcom.event)
    error = error_of(lambda: client.create_comment(dotcom.pull.number, "text"))
    assert "`pull-requests: write`" in warning_text(Operation.COMMENT, error, dotcom.event)


def test_a_rejection_by_graphql_has_status_200(dotcom: Scene) -> None:
    client = connect(dotcom.github.url, Secret(dotcom.github.token({"contents": "read"})), "octo/shop")
    error = error_of(lambda: client.snapshot(dotcom.pull.number))
    assert (error.status, error.forbidden) == (0, True)
    assert "`pull-requests: read`" in warning_text(Operation.PULL, error, dotcom.event)


ENDLESS = {"viewerDidAuthor": True, "fullDatabaseId": "9" * 5_000, "body": ""}
ODD = {
    "HTML": backend.page(status=200),
    "empty": backend.empty(),
    "a list": backend.json([]),
    "null": backend.json(None),
    "odd types": backend.json({"data": {"repository": {"pullRequest": [], "base": 7}}}),
    "odd errors": backend.json({"errors": "no"}),
    "a number without end": backend.json({"data": {"repository": {"pullRequest": {"comments": {"nodes": [ENDLESS]}}}}}),
    "no address": backend.json({"id": 1, "html_url": 5}, 201),
    "deep": backend.raw(b"[" * 200_000, 200, {"Content-Type": "application/json"}),
    "cut off": backend.truncated({"data": {}}),
}


@pytest.mark.parametrize("case", ODD)
def test_a_response_of_an_unknown_shape_is_an_error_or_has_no_comments(case: str, dotcom: Scene) -> None:
    dotcom.github.fault("graphql*", ODD[case], always=True)
    dotcom.github.fault("issues/create-comment", ODD[case], always=True)
    with suppress(GitHubError):
        assert dotcom.client.snapshot(1).comments == ()
    with suppress(GitHubError):
        assert isinstance(dotcom.client.create_comment(dotcom.pull.number, "text"), Comment)
    assert len(dotcom.github.calls("issues/create-comment")) == 1


def test_an_outage_that_outlasts_the_retries_is_an_error_that_may_be_temporary(dotcom: Scene) -> None:
    dotcom.github.fault("graphql*", faults.broken(502), always=True)
    error = error_of(lambda: bounded(dotcom).call(lambda github: github.snapshot(1)))
    assert (error.summary, error.permanent, error.of_every_target) == ("HTTP 502 Server Error", False, False)
    assert len(dotcom.github.requests) == 4


def test_a_user_without_a_role_may_not_write_and_a_rejection_is_an_error(dotcom: Scene) -> None:
    assert dotcom.client.permission("unknown") == "none"
    dotcom.github.fault("repos/get-collaborator-permission-level", faults.refused(403, "no"))
    assert error_of(lambda: dotcom.client.permission("mona")).forbidden


def test_a_comments_address_is_one_or_nothing(dotcom: Scene) -> None:
    dotcom.github.fault("issues/create-comment", backend.json({"id": 1, "html_url": "javascript:alert(1)"}, 201))
    assert dotcom.client.create_comment(dotcom.pull.number, "text").url == ""


@pytest.mark.parametrize("path", ["reviews", "files"])
def test_a_list_of_more_entries_than_the_limit_is_an_error(path: str, dotcom: Scene) -> None:
    entry = {"user": {"login": "hubot", "type": "User"}, "state": "APPROVED", "filename": "a"}
    dotcom.github.fault(f"pulls/list-{path}", backend.json([entry] * 100), always=True)
    call = dotcom.client.reviews if path == "reviews" else dotcom.client.changed_files
    assert "more than 3000 entries" in error_of(lambda: call(dotcom.pull.number)).message


def test_a_policy_file_that_github_truncates_is_an_error(dotcom: Scene) -> None:
    base = dotcom.repository.commit("main", {options.CONFIG.default: b"campaign: c\n".ljust(600_000, b"#")})
    policy = dotcom.client.commit(replace(dotcom.event, base_sha=base), options.CONFIG.default).policy
    assert (policy.text, policy.error) == (None, "it is not a text file of at most 256 KiB")


def test_the_head_of_a_merge_group_is_read_also_if_its_branch_names_no_pull_request(dotcom: Scene) -> None:
    base, path = dotcom.pull.base_sha, options.CONFIG.default
    dotcom.pull.push({path: "a: 1"})
    event = replace(dotcom.event, commit=dotcom.pull.head_sha, base_sha=base, pull_request=None)
    heads = [dotcom.client.commit(replace(event, name=name), path).head_policy.text for name in ("merge_group", "push")]
    assert heads == ["a: 1", None]


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ({"ruleset_source_type": "Organization", "ruleset_source": "octo"}, "organizations/octo/settings/rules/42"),
        ({}, "octo/shop/rules/42"),
        ({"ruleset_id": None}, "octo/shop/rules"),
    ],
)
def test_each_required_status_has_the_page_of_its_ruleset(source: dict[str, Any], page: str, dotcom: Scene) -> None:
    dotcom.repository.require_statuses("release/1", "Sepurux / Core", "other")
    rules = [{**rule, **source} for rule in dotcom.repository.rules["release/1"]]
    pages = [{"type": "deletion"}] * 100, rules
    dotcom.github.fault("repos/get-branch-rules", *map(backend.json, pages))
    assert dotcom.client.required_contexts("release/1") == {"sepurux / core": page, "other": page}


# -- the results on the base branch -----------------------------------------------------------------------------------


def rated(rate: float, decision: str = "pass") -> str:
    return f"{decision} (hard): {rate:.1f}% passed, 0 unsafe, 2 failures, score 88.0"


def compared(scene: Scene, **changes: str) -> list[float | None]:
    """Return the pass rates of the results that are compared, in percent."""
    base = scene.client.base_branch(replace(scene.event, **changes))  # type: ignore[arg-type]
    assert base.results is not None
    results = base.results.get("sepurux / core", Baseline()).results
    return [None if (rate := each.result.value(PASS_RATE)) is None else rate * 100 for each in results]


def on_main(scene: Scene, *rates: float, creator: str | None = BOT) -> None:
    """Add a commit with a result to main for each rate."""
    for rate in rates:
        sha = scene.repository.commit("main")
        scene.repository.status(sha, "success", "Sepurux / core", rated(rate), creator=creator)


def test_results_have_commit_and_link(dotcom: Scene) -> None:
    on_main(dotcom, 90, 91, 92, 93, 94, 95)
    status = dotcom.repository.latest_statuses(dotcom.repository.branches["main"].sha)[0]
    status.target_url = "https://app.sepurux.dev/runs/1"
    baseline = (dotcom.client.base_branch(dotcom.event).results or {})["sepurux / core"]
    assert [each.result.value(PASS_RATE) for each in baseline.results] == [0.95, 0.94, 0.93, 0.92, 0.91, 0.9]
    newest, *others = baseline.results
    assert (newest.commit, newest.url) == (dotcom.repository.branches["main"].sha, status.target_url)
    assert {each.url for each in others} == {""}


@pytest.mark.parametrize(
    ("own", "others"),
    [
        (BOT, ["mona", "other-app[bot]", "github-actions", None]),  # a user may have an app's name; None was deleted
        ("Mona", [BOT, "mona[bot]", "other", None]),
    ],
)
def test_only_a_status_of_the_own_account_is_compared(own: str, others: list[str | None], dotcom: Scene) -> None:
    client = connect(dotcom.github.url, Secret(dotcom.github.token(login=own)), "octo/shop")
    on_main(dotcom, 90, creator=own.lower())
    for creator in others:
        on_main(dotcom, 10, creator=creator)
    assert compared(dotcom._replace(client=client)) == [90]


def test_the_newest_50_commits_of_the_first_parent_line_are_searched(dotcom: Scene) -> None:
    on_main(dotcom, 80, 90)
    for _ in range(49):
        dotcom.repository.commit("main")
    assert compared(dotcom) == [90]
    dotcom.repository.commit("main")
    assert compared(dotcom) == [], "it is known that there is none"


def test_a_merge_of_many_commits_hides_no_older_result(dotcom: Scene) -> None:
    on_main(dotcom, 90, 91)
    for number in range(120):
        head = dotcom.repository.commit("topic", {"change.txt": str(number)})
        dotcom.repository.status(head, "success", "Sepurux / core", rated(10))
    dotcom.repository.merge(dotcom.repository.branches["topic"].sha)
    on_main(dotcom, 92)
    assert compared(dotcom) == [92, 91, 90]
    [request] = dotcom.github.requests
    assert len(request.body) < 6_000


def test_the_name_of_the_base_branch_ends_no_literal_of_the_query(dotcom: Scene) -> None:
    name = 'release/"){ü\\"}\\u0041'
    dotcom.repository.status(dotcom.repository.commit(name), "success", "Sepurux / core", rated(90))
    assert compared(dotcom, base_ref=name) == [90]


def test_a_push_is_compared_with_what_was_before_it(dotcom: Scene) -> None:
    on_main(dotcom, 90, 91, 50)
    evaluated = dotcom.repository.branches["main"].sha
    on_main(dotcom, 10)
    event = {"name": "push", "commit": evaluated, "base_ref": "", "pull_request": None}
    assert compared(dotcom, **event) == [91, 90]  # type: ignore[arg-type]


def test_commits_without_a_result_of_the_own_account_are_counted_by_context(dotcom: Scene) -> None:
    on_main(dotcom, 90)
    pending, undecided, skipped, foreign, failed = (dotcom.repository.commit("main") for _ in range(5))
    for sha in (pending, undecided, skipped, foreign, failed):
        dotcom.repository.status(sha, "success", "Sepurux / core", rated(91))
    dotcom.repository.status(pending, "pending", "Sepurux / core", "the evaluation is running")
    dotcom.repository.status(undecided, "failure", "sepurux / CORE", rated(10, "error"))
    dotcom.repository.status(skipped, "success", "Sepurux / core", rated(10, "skipped"))
    dotcom.repository.status(foreign, "success", "Sepurux / core", rated(95), creator="mona")
    dotcom.repository.status(failed, "failure", "Sepurux / core", rated(10, "fail"))
    dotcom.repository.status(pending, "pending", "Sepurux / search", "the evaluation is running")
    baselines = dotcom.client.base_branch(dotcom.event).results or {}
    assert [each.result.value(PASS_RATE) for each in baselines["sepurux / core"].results] == [0.1, 0.9]
    hidden = {context: baseline.hidden for context, baseline in baselines.items()}
    assert hidden == {"sepurux / core": 4, "sepurux / search": 1}


@pytest.mark.parametrize("permissions", [{"contents": "read", "pull-requests": "read"}, {"pull-requests": "read"}])
def test_statuses_that_may_not_be_read_are_an_error(permissions: dict[str, str], dotcom: Scene) -> None:
    on_main(dotcom, 90)
    client = connect(dotcom.github.url, Secret(dotcom.github.token(permissions)), "octo/shop")
    assert error_of(lambda: client.base_branch(dotcom.event)).forbidden
