"""The snapshot query, and the warning about a rejected call."""

from __future__ import annotations

import pytest

from sepurux_action.errors import ErrorDetails
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation, warning_text
from sepurux_action.github.snapshot import parse_partial, parse_snapshot, policy_ref

FORBIDDEN = ErrorDetails(status=403, message="Resource not accessible by integration", forbidden=True)
OWN = Event(name="pull_request", pull_request=7, no_pr_reason="")
FORK = Event(name="pull_request", pull_request=7, fork=True, no_pr_reason="")
DEPENDABOT = Event(name="pull_request", pull_request=7, dependabot=True, no_pr_reason="")


@pytest.mark.parametrize(
    ("operation", "rejection", "event", "says"),
    [
        (Operation.STATUS, FORBIDDEN, OWN, "Give the job `statuses: write` under `permissions:`."),
        (Operation.COMMENT, FORBIDDEN, OWN, "Give the job `pull-requests: write` under `permissions:`."),
        (
            Operation.COMMENT,
            ErrorDetails(status=403, accepted="issues=write; pull_requests=write", forbidden=True),
            OWN,
            "Give the job `issues: write` or `pull-requests: write` under `permissions:`.",
        ),
        (Operation.COMMENT, FORBIDDEN, FORK, "`workflow_run`"),
        (Operation.STATUS, FORBIDDEN, DEPENDABOT, "Dependabot's token reads only unless the job says so"),
        (
            Operation.STATUS,
            ErrorDetails(status=403, message="Repository was archived so is read-only."),
            OWN,
            "archived",
        ),
        (Operation.COMMENT, ErrorDetails(status=403, message="issue is locked"), OWN, "`comment: never`"),
        (Operation.STATUS, ErrorDetails(status=401), OWN, "`github_token` is not valid"),
        (Operation.STATUS, ErrorDetails(status=404), OWN, "`statuses: write`"),
        (Operation.STATUS, ErrorDetails(status=422, message="Validation Failed"), OWN, "Validation Failed"),
        (Operation.READ, ErrorDetails(status=429, rate_limited=True), OWN, "rate limit"),
        (Operation.READ, ErrorDetails(status=0, message="GitHub kept failing"), OWN, "GitHub kept failing"),
    ],
)
def test_each_refusal_is_one_sentence_more_than_what_to_change(
    operation: Operation, rejection: ErrorDetails, event: Event, says: str
) -> None:
    warning = warning_text(operation, rejection, event)
    assert warning.startswith(f"Could not {operation} (")
    assert says in warning
    assert warning.lower().endswith("this does not change the result.")
    assert warning.isprintable()


@pytest.mark.parametrize(
    ("event", "commit"),
    [
        (Event(name="pull_request", pull_request=7, base_sha="b" * 40, no_pr_reason=""), "b" * 40),
        (Event(name="merge_group", pull_request=7, base_sha="b" * 40, no_pr_reason=""), "b" * 40),
        (Event(name="push", pull_request=7, base_sha="b" * 40, no_pr_reason=""), "b" * 40),
        (Event(name="workflow_run"), "HEAD"),
        (Event(name="issue_comment"), "HEAD"),
        (Event(name="pull_request", pull_request=7, no_pr_reason=""), "HEAD"),
        (Event(name="workflow_run", base_ref="release/1"), "refs/heads/release/1"),
        (Event(name="push", base_ref="release/1"), "refs/heads/release/1"),
        (Event(name="push"), ""),
        (Event(name="schedule"), ""),
        (Event(name="deployment"), ""),
    ],
)
def test_whose_policy_rules_each_event(event: Event, commit: str) -> None:
    assert policy_ref(event) == commit


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ((), "(HTTP 422 Validation Failed)"),
        (("one", "two"), "(one, two: HTTP 422 Validation Failed)"),
        (tuple(f"g{number}" for number in range(23)), "g18, g19, 3 more: HTTP 422 Validation Failed)"),
    ],
)
def test_a_warning_names_the_targets_that_were_refused(targets: tuple[str, ...], says: str) -> None:
    rejection = ErrorDetails(status=422, message="Validation Failed")
    assert says in warning_text(Operation.STATUS, rejection, OWN, targets)


def a_page(**changes: object) -> dict[str, object]:
    page = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}, **changes}
    return {"repository": {"pullRequest": {"number": 7, "comments": page}}}


@pytest.mark.parametrize(
    ("data", "known"),
    [
        (a_page(), True),
        (a_page(pageInfo={"hasNextPage": True, "endCursor": "abc"}), True),
        (a_page(pageInfo={"hasNextPage": True, "endCursor": None}), False),
        (a_page(pageInfo=None), False),
        (a_page(nodes=None), False),
        (a_page(nodes=[None]), False),
        (a_page(nodes=[{"viewerDidAuthor": False}]), True),
        (a_page(nodes=[{"viewerDidAuthor": None}]), False),
        ({"repository": {"pullRequest": {"number": 7, "comments": None}}}, False),
    ],
)
def test_comments_are_known_only_where_the_page_is_whole(data: object, known: bool) -> None:  # noqa: FBT001
    assert parse_snapshot(data, OWN).comments_known is known


@pytest.mark.parametrize(
    ("path", "known", "operation"),
    [
        (["repository", "pullRequest", "comments"], False, Operation.READ),
        (["repository", "pullRequest", "comments", "nodes", 3, "body"], False, Operation.READ),
        ([], False, Operation.BASE),
        (["repository", "pullRequest", "commits"], True, Operation.BASE),
        (["repository", "policy"], True, Operation.BASE),
    ],
)
def test_an_error_about_comments_leaves_them_unknown(path: list[object], known: bool, operation: Operation) -> None:  # noqa: FBT001
    errors = [{"message": "Something went wrong", **({"path": path} if path else {})}]
    snapshot = parse_partial({"data": a_page(), "errors": errors}, OWN, ErrorDetails(message="Something went wrong"))
    assert (snapshot.comments_known, snapshot.denied) == (known, operation)
