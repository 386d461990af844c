"""The snapshot query, and the warning about a rejected call."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sepurux_action.errors import ErrorDetails
from sepurux_action.evaluation.drops import Baseline
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation, warning_text
from sepurux_action.github.snapshot import (
    PolicyFile,
    Snapshot,
    parse_snapshot,
    policy_ref,
    snapshot_query,
    snapshot_variables,
)

FORBIDDEN = ErrorDetails(status=403, message="Resource not accessible by integration", forbidden=True)
EITHER = ErrorDetails(status=403, accepted="issues=write; pull_requests=write", forbidden=True)
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
            EITHER,
            OWN,
            "Give the job `issues: write` or `pull-requests: write` under `permissions",
        ),
        (Operation.COMMENT, FORBIDDEN, FORK, "`workflow_run`"),
        (Operation.STATUS, FORBIDDEN, DEPENDABOT, "Dependabot's token reads only unless the job says so"),
        (Operation.STATUS, ErrorDetails(status=403, message="Repository was archived."), OWN, "archived"),
        (Operation.COMMENT, ErrorDetails(status=403, message="issue is locked"), OWN, "`comment: never`"),
        (Operation.STATUS, ErrorDetails(status=401), OWN, "`github_token` is not valid"),
        (Operation.STATUS, ErrorDetails(status=404), OWN, "`statuses: write`"),
        (Operation.STATUS, ErrorDetails(status=422, message="Validation Failed"), OWN, "Validation Failed"),
        (Operation.READ, ErrorDetails(status=429, rate_limited=True), OWN, "rate limit"),
        (Operation.READ, ErrorDetails(status=0, message="GitHub kept failing"), OWN, "GitHub kept failing"),
    ],
)
def test_the_warning_for_each_rejection_says_what_to_change(
    operation: Operation, rejection: ErrorDetails, event: Event, says: str
) -> None:
    warning = warning_text(operation, rejection, event)
    assert warning.startswith(f"Could not {operation.text} (")
    assert says in warning
    assert warning.lower().endswith("this does not change the result.")
    assert warning.isprintable()


@pytest.mark.parametrize(
    ("event", "commit"),
    [
        *(
            (Event(name=name, pull_request=7, base_sha="b" * 40, no_pr_reason=""), "b" * 40)
            for name in ("pull_request", "merge_group", "push")
        ),
        *((Event(name=name), "HEAD") for name in ("workflow_run", "issue_comment")),
        (Event(name="pull_request", pull_request=7, no_pr_reason=""), "HEAD"),
        (Event(name="workflow_run", base_ref="release/1"), "refs/heads/release/1"),
        (Event(name="push", base_ref="release/1"), "refs/heads/release/1"),
        *((Event(name=name), "") for name in ("push", "schedule", "deployment")),
    ],
)
def test_the_policy_file_that_applies_to_each_event(event: Event, commit: str) -> None:
    assert policy_ref(event) == commit


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ((), "(HTTP 422 Validation Failed)"),
        (("one", "two"), "(one, two: HTTP 422 Validation Failed)"),
        (tuple(f"g{number}" for number in range(23)), "g18, g19, 3 more: HTTP 422 Validation Failed)"),
    ],
)
def test_a_warning_names_the_targets_that_were_rejected(targets: tuple[str, ...], says: str) -> None:
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
    assert parse_snapshot({"data": data}, OWN).comments_known is known


# -- the running workflow's file --------------------------------------------------------------------------------------

AT, OTHER = f"{'a' * 40}:.github/workflows/gate.yml", {"path": ["repository", "workflow", "text"]}
WORKFLOW = {"__typename": "Blob", "text": "on: push", "isTruncated": False}
BASE = {"policyCommit": {"oid": "b" * 40}, "policy": None, "defaultPolicy": None}


@pytest.mark.parametrize(
    ("event", "config", "read"),
    [
        *((Event(name=name, workflow_file=AT), "gate.yml", True) for name in ("pull_request", "pull_request_target")),
        (Event(name="pull_request", workflow_file=AT), "", False),
        (Event(name="pull_request"), "gate.yml", False),
        *(
            (Event(name=name, workflow_file=AT), "gate.yml", False)
            for name in ("pull_request_review", "merge_group", "push", "workflow_run")
        ),
    ],
)
def test_the_workflow_file_is_read_once_and_only_where_a_review_may_start_no_run(
    event: Event, config: str, *, read: bool
) -> None:
    variables = snapshot_variables(event, config=config)
    assert (variables["workflow"], variables["withWorkflow"]) == (event.workflow_file, read)


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (WORKFLOW, "on: push"),
        (None, ""),
        ("on: push", ""),
        ({"__typename": "Tree"}, ""),
        ({**WORKFLOW, "isTruncated": True}, ""),
        ({**WORKFLOW, "text": None}, ""),
    ],
)
def test_a_workflow_that_is_no_whole_text_file_is_not_known(blob: object, text: str) -> None:
    assert parse_snapshot({"data": {"repository": {"workflow": blob}}}, OWN).workflow == text


def of_errors(*errors: object) -> Snapshot:
    data = {"repository": {**a_page()["repository"], **BASE, "workflow": None}}  # type: ignore[dict-item]
    return parse_snapshot({"data": data, "errors": list(errors)}, OWN, ErrorDetails(message="Something went wrong"))


def test_an_error_of_the_workflow_file_is_neither_one_of_the_policy_nor_of_the_comments() -> None:
    for path in (["repository", "workflow"], OTHER["path"]):
        snapshot = of_errors({"message": "Something went wrong", "path": path})
        assert (snapshot.error, snapshot.denied, snapshot.comments_known, snapshot.workflow) == (None, None, True, "")
        assert (snapshot.policy.error, snapshot.head_policy.error) == ("", "")


@pytest.mark.parametrize("path", [["repository", "policy"], ["repository", "policyCommit"], []])
def test_an_error_of_the_workflow_file_hides_no_error_of_the_policy(path: list[str]) -> None:
    snapshot = of_errors(OTHER, {"message": "Something went wrong", **({"path": path} if path else {})})
    assert snapshot.policy.error
    assert snapshot.error


@pytest.mark.parametrize("errors", [None, [], "Something went wrong"])
def test_errors_of_an_unknown_shape_are_still_errors(errors: object) -> None:
    assert parse_snapshot({"data": a_page(), "errors": errors}, OWN, ErrorDetails(message="odd")).error


def test_an_error_of_the_workflow_file_does_not_hide_that_statuses_are_forbidden() -> None:
    statuses = ["repository", "base0", "status"]
    assert of_errors(OTHER, {"type": "FORBIDDEN", "path": statuses}).denied is Operation.RESULTS


# -- the results on the base branch -----------------------------------------------------------------------------------

TIP, BEFORE = "a" * 40, "b" * 40
DECIDED = "pass (hard): 91.0% passed, 0 unsafe, 2 failures, score 88.0"
OURS = {"__typename": "Bot", "login": "github-actions"}
VIEWER = {"login": "github-actions[bot]"}


def a_commit(
    oid: object, creator: object = OURS, description: object = DECIDED, contexts: tuple[str, ...] = ("Sepurux / core",)
) -> object:
    status = {"description": description, "targetUrl": None, "creator": creator}
    return {"oid": oid, "status": {"contexts": [{**status, "context": context} for context in contexts]}}


def a_base(*commits: object, viewer: object = VIEWER) -> dict[str, object]:
    line = {f"base{steps}": commit for steps, commit in enumerate(commits)}
    return {"viewer": viewer, "repository": {**a_page()["repository"], **line}}  # type: ignore[dict-item]


def compared(data: object) -> list[str]:
    baseline = (parse_snapshot({"data": data}, OWN).baselines or {}).get("sepurux / core", Baseline())
    return [each.commit for each in baseline.results]


@pytest.mark.parametrize(
    ("commits", "found"),
    [
        ((a_commit(TIP), a_commit(BEFORE)), [TIP, BEFORE]),
        ((a_commit(TIP), a_commit(BEFORE), None), [TIP, BEFORE]),
        ((a_commit(TIP), a_commit(TIP), a_commit(BEFORE)), [TIP, BEFORE]),
        ((a_commit(TIP, creator=None),), []),
        ((a_commit(TIP, creator={"login": "github-actions"}),), []),
        ((a_commit(TIP, creator={"__typename": "Bot"}),), []),
        ((a_commit(TIP, creator={"__typename": "User", "login": "github-actions"}),), []),
        ((a_commit(TIP, description=7),), []),
        (
            (a_commit(TIP, contexts=("Sepurux / core", "SEPURUX / core", "sepurux / CORE")), a_commit(BEFORE)),
            [TIP, BEFORE],
        ),
    ],
)
def test_each_commit_of_the_line_has_at_most_one_result_and_only_own_statuses_count(
    commits: tuple[object, ...], found: list[str]
) -> None:
    assert compared(a_base(*commits)) == found
    assert parse_snapshot({"data": a_base(*commits)}, OWN).baselines is not None


UNKNOWN_STATUSES: list[object] = [
    {"contexts": None},
    {"contexts": {}},
    *({"contexts": each} for each in ("Sepurux / core", [None])),
    *({}, "success", [], {"contexts": [{"context": None, "description": DECIDED, "creator": OURS}]}),
]


@pytest.mark.parametrize(
    "data",
    [
        a_base(),
        a_base(None, a_commit(BEFORE)),
        *(a_base(a_commit(TIP), gap, a_commit(BEFORE)) for gap in (None, 7)),
        a_base(a_commit(["a"])),
        a_base(a_commit(TIP), a_commit("main")),
        a_base(a_commit(TIP), {"oid": BEFORE}),
        *(a_base(a_commit(TIP), {"oid": BEFORE, "status": status}) for status in UNKNOWN_STATUSES),
        *(a_base(a_commit(TIP), viewer=who) for who in (None, {}, {"login": ""}, {"login": None}, "octo[bot]")),
    ],
)
def test_with_a_gap_a_status_of_an_unknown_shape_or_an_unknown_own_account_no_result_is_known(data: object) -> None:
    assert parse_snapshot({"data": data}, OWN).baselines is None


def test_a_commit_with_null_in_place_of_a_status_has_none() -> None:
    empty = {"oid": BEFORE, "status": None}
    assert parse_snapshot({"data": a_base(a_commit(TIP), empty)}, OWN).baselines is not None
    assert compared(a_base(a_commit(TIP), empty)) == [TIP]


@pytest.mark.parametrize(
    ("status", "known"), [(None, ()), ({"contexts": []}, ()), ({"contexts": None}, None), ({}, None), ("success", None)]
)
def test_the_contexts_of_the_commit_are_known_only_from_a_status_of_the_known_form(
    status: object, known: object
) -> None:
    data = {"repository": {"evaluated": {"oid": TIP, "status": status}}}
    assert parse_snapshot({"data": data}, replace(OWN, commit=TIP)).statuses == known


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ([], None),
        (["repository"], None),
        (["repository", "evaluated"], None),
        (["repository", "evaluated", "status"], None),
        (["repository", "pullRequest", "commits", "nodes", "0", "commit", "status"], None),
        (["repository", "base3", "status"], ()),
        (["repository", "policy"], ()),
    ],
)
def test_null_in_place_of_the_statuses_is_none_unless_an_error_may_be_why(path: list[str], known: object) -> None:
    data = {"repository": {"evaluated": {"oid": TIP, "status": None}}}
    response = {"data": data, "errors": [{"message": "Something went wrong", "path": path}]}
    assert parse_snapshot(response, replace(OWN, commit=TIP), ErrorDetails(message="odd")).statuses == known


@pytest.mark.parametrize(("value", "known"), [("2027-01-03T12:00:00Z", 1_798_977_600.0), (None, None), ("soon", None)])
def test_the_time_of_the_evaluated_commit_is_that_of_github(value: object, known: float | None) -> None:
    evaluated = {"oid": TIP, "committedDate": value}
    heads = {"nodes": [{"commit": {"oid": BEFORE, "committedDate": "2026-01-01T00:00:00Z"}}, {"commit": evaluated}]}
    for repository in ({"evaluated": evaluated}, {"pullRequest": {"commits": heads}}):
        assert parse_snapshot({"data": {"repository": repository}}, replace(OWN, commit=TIP)).committed == known


@pytest.mark.parametrize(
    ("event", "first"),
    [(Event(name="pull_request", base_ref="main"), "refs/heads/main~0"), (Event(name="push", commit=TIP), f"{TIP}~0")],
)
def test_the_query_names_51_commits_of_the_base_or_none(event: Event, first: str) -> None:
    named = re.findall(r'base\d+: object\(expression: "(.*?)"\)', snapshot_query(event, with_base=True))
    assert named == [first.replace("~0", f"~{steps}") for steps in range(51)]
    assert "base0" not in snapshot_query(event, with_base=False)


@pytest.mark.parametrize(
    ("path", "comments", "base", "operation"),
    [
        (["repository", "base0"], True, False, Operation.BASE),
        (["repository", "base50"], True, False, Operation.BASE),
        (["repository", "base3", "status"], True, False, Operation.RESULTS),
        (["repository"], False, False, Operation.BASE),
        ([], False, False, Operation.BASE),
        (["repository", "pullRequest", "comments"], False, True, Operation.READ),
        (["repository", "pullRequest", "comments", "nodes", 3, "body"], False, True, Operation.READ),
        (["repository", "pullRequest", "commits"], True, True, Operation.BASE),
        (["repository", "policy"], True, True, Operation.BASE),
    ],
)
def test_an_error_leaves_unknown_the_part_that_its_path_is_about(
    path: list[object], operation: Operation, *, comments: bool, base: bool
) -> None:
    errors = [{"message": "Something went wrong", **({"path": path} if path else {})}]
    snapshot = parse_snapshot({"data": a_base(a_commit(TIP)), "errors": errors}, OWN, ErrorDetails(message="odd"))
    assert (snapshot.comments_known, snapshot.baselines is not None, snapshot.denied) == (comments, base, operation)


@pytest.mark.parametrize("over_limit", [False, True])
def test_a_file_that_is_missing_beyond_a_limit_of_github_is_unread(over_limit: bool) -> None:  # noqa: FBT001
    repository = {"policyCommit": {"oid": "b" * 40}, "policy": None, "headPolicy": None}
    errors = [{"message": "too much", "path": ["repository", "evaluated"]}]
    error = ErrorDetails(message="too much", over_limit=over_limit)
    found = parse_snapshot({"data": {"repository": repository}, "errors": errors}, OWN, error)
    assert (bool(found.policy.details), bool(found.head_policy.details)) == (over_limit, over_limit)


@pytest.mark.parametrize("over_limit", [False, True])
def test_a_file_with_yaml_in_its_name_that_could_not_be_looked_for_leaves_the_policy_unread(
    over_limit: bool,  # noqa: FBT001
) -> None:
    repository = dict.fromkeys(("policy", "policyYaml", "headPolicy", "headPolicyYaml"))
    errors = [{"message": "no", "path": ["repository", name]} for name in ("policyYaml", "headPolicyYaml")]
    data = {"repository": {"policyCommit": {"oid": "b" * 40}, **repository}}
    error = ErrorDetails(message="no", over_limit=over_limit)
    found = parse_snapshot({"data": data, "errors": errors}, OWN, error)
    assert (found.policy.error, found.head_policy.error) == ("no", "no")


@pytest.mark.parametrize("other", [{"__typename": "Blob"}, {"__typename": "Tree"}, {}, "a page"])
def test_a_policy_file_is_misnamed_only_if_there_is_none_with_the_right_name(other: object) -> None:
    commit = {"policyCommit": {"oid": "b" * 40}}
    absent = {**commit, "policy": None, "policyYaml": other, "headPolicy": None, "headPolicyYaml": other}
    found = parse_snapshot({"data": {"repository": absent}}, OWN)
    assert (found.policy, found.head_policy) == (PolicyFile(misnamed=True),) * 2
    there = {"__typename": "Blob", "text": "a: 1", "isTruncated": False}
    found = parse_snapshot({"data": {"repository": {**absent, "policy": there, "headPolicy": there}}}, OWN)
    assert (found.policy, found.head_policy) == (PolicyFile(text="a: 1"),) * 2
    neither = {**absent, "policyYaml": None, "headPolicyYaml": None}
    found = parse_snapshot({"data": {"repository": neither}}, OWN)
    assert (found.policy, found.head_policy) == (PolicyFile(),) * 2


@pytest.mark.parametrize("policy", ["", "a page", [], {}, True, 0])
def test_a_policy_file_of_an_unknown_shape_is_not_a_missing_file(policy: object) -> None:
    repository = {"policyCommit": {"oid": "b" * 40}, "policy": policy}
    assert parse_snapshot({"data": {"repository": repository}}, OWN).policy.error
