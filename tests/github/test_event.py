"""What an event says about the change under evaluation, and what GitHub's answer adds to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common import json_reader
from sepurux_action.github.event import (
    MAX_NUMBER,
    SHA,
    Event,
    Lookup,
    PullRequest,
    parse_event,
    parse_pull_request,
    pr_number_warning,
    resolve,
    with_pull_request_number,
)

HEAD, BASE, MERGE, OTHER = "a" * 40, "b" * 40, "e" * 40, "c" * 40
ENVIRON = {"GITHUB_SHA": MERGE, "GITHUB_REPOSITORY": "acme/shop"}
REPOSITORY = {"full_name": "acme/shop", "default_branch": "main"}
FORK = {"full_name": "mallory/shop", "default_branch": "main"}
QUEUE = "refs/heads/gh-readonly-queue"
PULL = PullRequest(
    number=42,
    head_sha=HEAD,
    head_repository="acme/shop",
    head_branch="refunds",
    base_repository="acme/shop",
    base_ref="main",
    base_sha=BASE,
    open=True,
)


def pull_request(**changes: object) -> dict[str, object]:
    pull = {
        "number": 42,
        "state": "open",
        "user": {"login": "ada"},
        "head": {"sha": HEAD, "ref": "refunds", "repo": REPOSITORY},
        "base": {"sha": BASE, "ref": "main", "repo": REPOSITORY},
    }
    return {"action": "opened", "repository": REPOSITORY, "pull_request": pull | changes}


def workflow_run(**changes: object) -> dict[str, object]:
    run = {"event": "pull_request", "head_sha": HEAD, "head_branch": "refunds", "head_repository": FORK}
    return {"action": "completed", "repository": REPOSITORY, "workflow_run": run | changes}


def merge_group(**changes: object) -> dict[str, object]:
    group = {
        "head_ref": f"{QUEUE}/main/pr-42-{OTHER}",
        "head_sha": HEAD,
        "base_ref": "refs/heads/main",
        "base_sha": BASE,
    }
    return {"action": "checks_requested", "repository": REPOSITORY, "merge_group": group | changes}


def push(**changes: object) -> dict[str, object]:
    return {"repository": REPOSITORY, "ref": "refs/heads/refunds", "after": MERGE, "deleted": False} | changes


def comment(**changes: object) -> dict[str, object]:
    return {"repository": REPOSITORY, "issue": {"number": 42, "pull_request": {"url": "u"}} | changes}


RUN = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "7100001"}


def event_of(name: str, payload: object, **environ: str) -> Event:
    return parse_event(name, payload, ENVIRON | environ)


# --- Pull requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pull_request", "pull_request_target", "pull_request_review"])
def test_a_pull_request_is_evaluated_at_its_head_and_never_at_its_merge_commit(name: str) -> None:
    event = event_of(name, pull_request())
    assert (event.name, event.commit, event.pull_request) == (name, HEAD, 42)
    assert (event.base_ref, event.base_sha, event.branch) == ("main", BASE, "main")
    assert not event.fork
    assert (event.lookup, event.skip_reason) == (None, "")


@pytest.mark.parametrize("head", [None, "x", [], {}, {"sha": None}, {"sha": "abc"}, {"sha": HEAD + "\n"}, {"sha": 5}])
def test_a_pull_request_with_an_unreadable_head_has_no_commit_rather_than_the_merge_commit(head: object) -> None:
    assert event_of("pull_request", pull_request(head=head)).commit == ""


@pytest.mark.parametrize("number", [None, 0, -1, 1.5, True, "42", [], 10**400, MAX_NUMBER + 1])
def test_what_is_no_number_of_a_pull_request_is_none_and_says_so(number: object) -> None:
    event = event_of("pull_request", pull_request(number=number))
    assert (event.pull_request, event.no_pr_reason) == (None, "the pull request's number cannot be read")


@pytest.mark.parametrize("payload", [None, [], "x", {}, {"pull_request": None}, {"pull_request": "x"}])
def test_a_payload_without_its_pull_request_has_no_commit_and_says_so(payload: object) -> None:
    event = event_of("pull_request", payload)
    assert (event.commit, event.pull_request) == ("", None)
    assert event.no_pr_reason == "the payload of this pull_request event has no pull request"


@pytest.mark.parametrize(
    ("repository", "fork"),
    [(REPOSITORY, False), (REPOSITORY | {"full_name": "Acme/Shop"}, False), (FORK, True), (None, True), ({}, True)],
    ids=["own", "own in other letters", "fork", "deleted", "unreadable"],
)
def test_a_head_that_is_not_surely_this_repositorys_is_a_fork(repository: object, fork: bool) -> None:  # noqa: FBT001
    head = {"sha": HEAD, "ref": "refunds", "repo": repository}
    assert event_of("pull_request", pull_request(head=head)).fork is fork


def test_a_head_is_a_fork_if_this_repository_is_not_known() -> None:
    payload = pull_request(head={"sha": HEAD, "repo": None}) | {"repository": None}
    assert parse_event("pull_request", payload, {}).fork


@pytest.mark.parametrize(("actor", "dependabot"), [("dependabot[bot]", True), ("dependabot", False), ("", False)])
def test_dependabot_is_known_by_the_actor(actor: str, dependabot: bool) -> None:  # noqa: FBT001
    assert event_of("pull_request", pull_request(), GITHUB_ACTOR=actor).dependabot is dependabot


# --- Merge groups ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["main", "release/1.x", f"gh-readonly-queue/x/pr-7-{OTHER}", "ünï/código"])
def test_a_merge_group_is_of_the_pull_request_that_named_its_branch(base: str) -> None:
    payload = merge_group(head_ref=f"{QUEUE}/{base}/pr-42-{OTHER}", base_ref=f"refs/heads/{base}")
    event = event_of("merge_group", payload)
    assert (event.commit, event.pull_request) == (HEAD, 42)
    assert (event.base_ref, event.base_sha, event.branch) == (base, BASE, base)
    assert (event.fork, event.lookup) == (False, None)


@pytest.mark.parametrize(
    "ref",
    [
        *(None, "refs/heads/main", f"{QUEUE}/pr-42-{OTHER}", f"{QUEUE}/main/pr-42-{OTHER[1:]}"),
        *(f"{QUEUE}/main/pr-{end}" for end in (f"0-{OTHER}", f"042-{OTHER}", f"42-{OTHER}/x", f"9999999999-{OTHER}")),
        f"{QUEUE}/main/pr-٤٢-{OTHER}",
    ],
)
def test_a_merge_group_whose_branch_names_no_pull_request_says_so(ref: object) -> None:
    event = event_of("merge_group", merge_group(head_ref=ref))
    assert (event.commit, event.base_sha, event.pull_request) == (HEAD, BASE, None)
    assert event.no_pr_reason == "the merge group's branch names no pull request"


# --- Workflow runs -----------------------------------------------------------------------------------------

BY_HEAD = Lookup(repository="mallory/shop", branch="refunds", commit=HEAD)
FROM_FORK = replace(PULL, head_repository="mallory/shop")


@pytest.mark.parametrize("cause", ["pull_request", "pull_request_target", "pull_request_review"])
@pytest.mark.parametrize("repository", ["acme/shop", "mallory/shop"])
def test_a_run_of_a_pull_request_is_looked_up_by_its_head(cause: str, repository: str) -> None:
    event = event_of("workflow_run", workflow_run(event=cause, head_repository={"full_name": repository}))
    assert (event.commit, event.pull_request, event.fork) == (HEAD, None, repository != "acme/shop")
    assert event.lookup == replace(BY_HEAD, repository=repository)
    assert event.branch == "main"


@pytest.mark.parametrize("cause", ["push", "schedule", "workflow_dispatch", "issue_comment"])
def test_a_run_that_no_pull_request_started_is_looked_up_like_a_push(cause: str) -> None:
    run = workflow_run(event=cause, head_repository=REPOSITORY)
    event = event_of("workflow_run", run, GITHUB_REF="refs/heads/main")
    assert (event.commit, event.pull_request, event.lookup) == (HEAD, None, Lookup(commit=HEAD))


@pytest.mark.parametrize(
    "gone",
    [
        {"head_repository": None},
        {"head_repository": {"full_name": "mallory/.."}},
        {"head_branch": None},
        {"head_branch": "refunds\u200b"},
        {"head_sha": "0" * 40},
        {"head_sha": None},
    ],
    ids=ascii,
)
def test_a_run_whose_repository_or_branch_is_gone_is_not_evaluated(gone: dict[str, object]) -> None:
    event = with_pull_request_number(event_of("workflow_run", workflow_run(**gone)), 7)
    assert (event.pull_request, event.lookup, event.ambiguous) == (None, None, True)
    assert event.commit == ("" if "head_sha" in gone else HEAD)
    assert event.no_pr_reason == "the repository or branch that the workflow run is about is gone"


# --- Pushes ------------------------------------------------------------------------------------------------


def test_a_push_is_evaluated_at_its_commit_and_looked_up_by_it() -> None:
    event = event_of("push", push())
    assert (event.commit, event.pull_request, event.lookup) == (MERGE, None, Lookup(commit=MERGE, forks=True))
    assert (event.base_ref, event.base_sha, event.branch) == ("", "", "refunds")


@pytest.mark.parametrize(
    ("name", "payload", "ref", "forks"),
    [
        ("push", push(), "refs/heads/refunds", True),
        ("workflow_dispatch", {"repository": REPOSITORY}, "refs/heads/refunds", False),
        ("repository_dispatch", {"repository": REPOSITORY}, "refs/heads/main", False),
        ("release", {"repository": REPOSITORY}, "refs/tags/v1", False),
        ("push", push(ref="refs/tags/v1"), "refs/tags/v1", False),
        ("push", push(ref="refs/heads/main"), "refs/heads/main", False),
        ("schedule", {"schedule": "0 5 * * *"}, "refs/heads/main", False),
        ("issue_comment", comment(pull_request=None), "refs/heads/main", False),
        (
            "workflow_run",
            workflow_run(event="push", head_repository=REPOSITORY, head_branch="main", head_sha=MERGE),
            "refs/heads/main",
            False,
        ),
    ],
)
def test_only_a_push_to_another_branch_may_belong_to_a_pull_request_of_a_fork(
    name: str, payload: object, ref: str, *, forks: bool
) -> None:
    event = event_of(name, payload, GITHUB_REF=ref)
    assert event.lookup == Lookup(commit=MERGE, forks=forks)
    assert event.branch == ("refunds" if forks else "main")


@pytest.mark.parametrize("changes", [{"deleted": True}, {"after": "0" * 40}, {"after": "0" * 64}])
def test_a_deleted_branch_is_skipped(changes: dict[str, object]) -> None:
    event = event_of("push", push(**changes))
    assert (event.commit, event.lookup) == ("", None)
    assert event.skip_reason == event.no_pr_reason == "refs/heads/refunds was deleted"


@pytest.mark.parametrize("sha", ["", "main", "A" * 40, "a" * 39, "a" * 41, f"{MERGE}\n", f" {MERGE}", "0" * 40])
def test_what_is_no_sha_is_no_commit(sha: str) -> None:
    event = event_of("push", push(), GITHUB_SHA=sha)
    assert (event.commit, event.lookup, event.no_pr_reason) == ("", None, "the pushed commit is not known")


def test_a_sha_256_is_a_commit_too() -> None:
    assert event_of("push", push(), GITHUB_SHA="b" * 64).commit == "b" * 64


# --- The others --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deployment", "deployment_status"])
@pytest.mark.parametrize("ref", ["refunds", "refs/heads/refunds", None, "refunds\u200b"])
def test_a_deployment_is_evaluated_at_the_deployed_commit(name: str, ref: object) -> None:
    payload = {"deployment": {"sha": HEAD, "ref": ref}, "repository": REPOSITORY}
    event = event_of(name, payload, GITHUB_REF="refs/heads/main")
    assert (event.commit, event.pull_request, event.branch) == (HEAD, None, "main")
    assert event.lookup == Lookup(commit=HEAD)


@pytest.mark.parametrize("name", ["release", "schedule", "workflow_dispatch", "repository_dispatch", "label"])
@pytest.mark.parametrize("payload", [None, [], {}, {"client_payload": {"pull_request": 1}}, pull_request()])
def test_any_other_event_is_evaluated_at_the_commit_of_the_run(name: str, payload: object) -> None:
    event = event_of(name, payload)
    assert (event.commit, event.pull_request, event.lookup) == (MERGE, None, Lookup(commit=MERGE))


def test_an_event_without_a_commit_has_no_pull_request_and_says_so() -> None:
    event = event_of("schedule", {}, GITHUB_SHA="")
    assert (event.commit, event.lookup, event.no_pr_reason) == ("", None, "a schedule event has no pull request")


def test_a_comment_on_a_pull_request_has_its_number_and_asks_for_its_head() -> None:
    event = event_of("issue_comment", comment())
    assert (event.commit, event.pull_request, event.lookup) == ("", 42, Lookup(number=42))


def test_a_comment_on_an_issue_has_no_pull_request_of_its_own_and_one_without_a_number_is_not_evaluated() -> None:
    pulls: tuple[object, ...] = (None, {}, 1)
    for pull in pulls:
        event = event_of("issue_comment", comment(pull_request=pull))
        assert (event.commit, event.pull_request, event.lookup) == (MERGE, None, Lookup(commit=MERGE))
    event = event_of("issue_comment", comment(number="42"))
    assert (event.commit, event.no_pr_reason) == ("", "the pull request's number cannot be read")


def test_no_event_at_all_is_an_event_without_anything() -> None:
    assert parse_event("", None, {}) == Event()


def test_the_repository_of_the_environment_overrides_that_of_the_payload() -> None:
    assert parse_event("push", push(), {}).repository == "acme/shop"
    assert event_of("push", push(), GITHUB_REPOSITORY="acme/moved").repository == "acme/moved"


# --- GitHub's answer ---------------------------------------------------------------------------------------


def resolved(lookup: Lookup, *candidates: PullRequest, commit: str = HEAD) -> Event:
    return resolve(Event(name="x", repository="acme/shop", commit=commit, lookup=lookup), candidates)


@pytest.mark.parametrize(
    ("lookup", "pull"),
    [
        (Lookup(number=42), PULL),
        (Lookup(number=42), FROM_FORK),
        (BY_HEAD, FROM_FORK),
        (Lookup(commit=HEAD), PULL),
        (Lookup(commit=HEAD, forks=True), FROM_FORK),
    ],
)
def test_the_pull_request_that_matches_gives_all_fields(lookup: Lookup, pull: PullRequest) -> None:
    event = resolved(lookup, pull, commit=HEAD)
    assert (event.commit, event.pull_request, event.base_ref, event.base_sha) == (HEAD, 42, "main", BASE)
    assert event.fork is (pull is FROM_FORK)
    assert (event.lookup, event.closed) == (None, False)


@pytest.mark.parametrize(
    "change",
    [{"head_sha": OTHER}, {"head_repository": "eve/shop"}, {"head_repository": ""}, {"head_branch": "main"}],
    ids=ascii,
)
def test_a_run_of_a_pull_request_that_no_open_one_matches_is_not_evaluated(change: dict[str, Any]) -> None:
    event = resolved(BY_HEAD, replace(FROM_FORK, **change))
    assert (event.commit, event.pull_request, event.lookup, event.ambiguous) == (HEAD, None, None, True)
    assert event.no_pr_reason == (
        "no pull request has the head `mallory/shop:refunds` at `aaaaaaa`; a newer commit has a run of its own"
    )


def test_a_closed_pull_request_counts_for_a_run_if_no_open_one_has_its_head() -> None:
    closed = replace(FROM_FORK, number=41, base_ref="release/1", open=False)
    event = resolved(BY_HEAD, closed)
    assert (event.pull_request, event.base_ref, event.base_sha, event.closed) == (41, "release/1", BASE, True)
    event = resolved(BY_HEAD, closed, FROM_FORK)
    assert (event.pull_request, event.base_ref, event.closed) == (42, "main", False)
    event = resolved(BY_HEAD, closed, replace(FROM_FORK, open=False))
    assert event.ambiguous
    assert event.no_pr_reason == "`aaaaaaa` is the head of 2 closed pull requests into different branches"
    assert resolved(Lookup(commit=HEAD), closed).pull_request is None


@pytest.mark.parametrize(
    "change",
    [
        {"head_sha": OTHER},
        {"open": False},
        {"head_repository": "mallory/shop"},
        {"head_repository": ""},
        {"base_repository": "mallory/shop"},
    ],
    ids=ascii,
)
def test_a_push_belongs_only_to_an_open_pull_request_of_this_repository_at_its_commit(change: dict[str, Any]) -> None:
    event = resolved(Lookup(commit=HEAD), replace(PULL, **change))
    assert (event.commit, event.pull_request) == (HEAD, None)
    assert event.no_pr_reason == "`aaaaaaa` is the head of no open pull request"


@pytest.mark.parametrize(("lookup", "pull"), [(BY_HEAD, FROM_FORK), (Lookup(commit=HEAD), PULL)])
@pytest.mark.parametrize(("base", "other"), [("main", "next"), ("", "next"), ("", "")])
def test_several_pull_requests_into_different_or_unknown_branches_are_not_evaluated(
    lookup: Lookup, pull: PullRequest, base: str, other: str
) -> None:
    matches = (replace(pull, base_ref=base), replace(pull, number=43, base_ref=other))
    event = resolved(lookup, *matches)
    assert (event.commit, event.pull_request, event.base_ref) == (HEAD, None, "")
    assert (event.ambiguous, event.matches) == (True, matches)
    assert event.no_pr_reason == "`aaaaaaa` is the head of 2 open pull requests into different branches"


@pytest.mark.parametrize(("lookup", "pull"), [(BY_HEAD, FROM_FORK), (Lookup(commit=HEAD), PULL)])
def test_several_pull_requests_into_one_branch_are_evaluated_by_that_branch(lookup: Lookup, pull: PullRequest) -> None:
    event = resolved(lookup, pull, replace(pull, number=43, base_sha=OTHER))
    assert (event.commit, event.pull_request, event.base_ref, event.base_sha) == (HEAD, None, "main", "")
    assert (event.ambiguous, event.fork, event.branch) == (False, pull is FROM_FORK, "main")
    assert event.no_pr_reason == "`aaaaaaa` is the head of 2 open pull requests into `main`"


def test_a_pull_request_that_cannot_be_read_prevents_the_evaluation() -> None:
    event = resolve(event_of("issue_comment", comment()), [replace(PULL, number=41)])
    assert (event.commit, event.pull_request, event.lookup, event.ambiguous) == ("", None, None, True)
    assert event.no_pr_reason == "pull request 42 cannot be read"


def test_invalid_fields_of_a_pull_request_are_empty() -> None:
    assert parse_pull_request(pull_request()["pull_request"]) == replace(PULL, author="ada", by_agent=True)
    assert parse_pull_request("x") == PullRequest(number=None, by_agent=True)
    hostile: dict[str, object] = {"state": [], "head": {"ref": "a\nb"}, "base": {"ref": "\ud800", "sha": "HEAD"}}
    assert parse_pull_request(hostile) == PullRequest(number=None, by_agent=True)


# --- The number that the workflow's author gives ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["schedule", "workflow_dispatch", "deployment", "release"])
def test_pr_number_applies_if_the_event_has_no_pull_request(name: str) -> None:
    event = with_pull_request_number(event_of(name, {}), 42)
    assert (event.commit, event.lookup) == ("", Lookup(number=42))
    assert resolve(event, [PULL]).commit == HEAD


def test_only_a_pull_request_found_by_its_number_is_evaluated_at_its_current_head() -> None:
    by_number = [
        event_of("issue_comment", comment()),
        with_pull_request_number(event_of("schedule", {}), 42),
        resolve(with_pull_request_number(event_of("push", push()), 42), []),
    ]
    assert [resolve(event, [PULL]).at_current_head for event in by_number] == [True] * 3
    by_commit = with_pull_request_number(event_of("push", push(), GITHUB_SHA=HEAD), 42)
    by_head = with_pull_request_number(event_of("workflow_run", workflow_run()), 42)
    others = [resolve(by_commit, [PULL]), resolve(by_head, [FROM_FORK]), event_of("pull_request", pull_request())]
    assert [event.at_current_head for event in others] == [False] * 3


def test_without_pr_number_the_event_stays_as_it_is() -> None:
    event = event_of("schedule", {})
    assert with_pull_request_number(event, None) is event
    assert pr_number_warning(event, None) == ""


@pytest.mark.parametrize(
    ("name", "payload"),
    [("pull_request", pull_request()), ("merge_group", merge_group()), ("issue_comment", comment())],
)
def test_pr_number_never_replaces_the_pull_request_of_the_event(name: str, payload: object) -> None:
    event = event_of(name, payload)
    assert with_pull_request_number(event, 7) is event
    done = resolve(event, [PULL])
    assert pr_number_warning(done, 7) == "`pr_number` 7 is ignored: this run belongs to pull request 42."
    assert pr_number_warning(done, 42) == ""


def test_pr_number_does_not_apply_to_a_deleted_branch() -> None:
    event = event_of("push", push(deleted=True))
    assert with_pull_request_number(event, 7) is event
    assert pr_number_warning(event, 7) == "`pr_number` 7 is ignored: refs/heads/refunds was deleted."


def test_pr_number_selects_one_of_several_pull_requests_with_the_head_of_the_run_and_no_other() -> None:
    event = with_pull_request_number(event_of("workflow_run", workflow_run()), 43)
    assert resolve(event, [FROM_FORK, replace(FROM_FORK, number=43)]).pull_request == 43
    found = resolve(event, [FROM_FORK])
    assert found.pull_request == 42
    assert pr_number_warning(found, 43) == "`pr_number` 43 is ignored: this run belongs to pull request 42."
    nothing = resolve(event, [replace(FROM_FORK, number=43, head_sha=OTHER)])
    assert (nothing.pull_request, nothing.lookup) == (None, None)
    assert pr_number_warning(nothing, 43).startswith("`pr_number` 43 is ignored: no pull request has the head ")


def test_pr_number_is_looked_up_if_a_push_has_no_pull_request() -> None:
    event = with_pull_request_number(event_of("push", push(), GITHUB_SHA=HEAD), 7)
    assert resolve(event, [PULL]).pull_request == 42
    asking = resolve(event, [])
    assert (asking.lookup, pr_number_warning(asking, 7)) == (Lookup(number=7), "")
    assert resolve(asking, [replace(PULL, number=7, head_sha=OTHER)]).commit == OTHER


# --- Whatever comes ----------------------------------------------------------------------------------------

# Names and values that the reading looks for, so that random payloads get past its first lookup.
NAMES = ["pull_request", "merge_group", "workflow_run", "issue", "deployment", "review", "repository", "head", "base"]
KEYS = [*NAMES, "repo", "number", "sha", "ref", "head_sha", "head_ref", "head_repository", "head_branch", "event"]
KEYS += ["full_name", "user", "login", "state", "after", "deleted", "action", "default_branch"]
VALUES = [HEAD, "0" * 40, "acme/shop", "mallory/shop", "main", "refs/heads/main", f"{QUEUE}/main/pr-42-{OTHER}", 42]
texts = st.text(st.characters())
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from([*VALUES, "pull_request"])
payloads = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | texts, inner),
    max_leaves=40,
)
EVENTS = ["pull_request", "pull_request_target", "pull_request_review", "merge_group", "push", "workflow_run"]
EVENTS += ["issue_comment", "deployment", "deployment_status", "release"]
variables = ["GITHUB_SHA", "GITHUB_REPOSITORY", "GITHUB_ACTOR"]
environs = st.dictionaries(st.sampled_from(variables), texts | st.sampled_from([HEAD, "acme/shop"]))


@given(st.sampled_from(EVENTS) | texts, payloads, environs, st.none() | st.integers(1, 50), payloads)
def test_any_payload_and_environment_is_an_event_that_can_be_shown_and_resolved(
    name: str, payload: object, environ: dict[str, str], number: int | None, answer: object
) -> None:
    event = parse_event(name, payload, environ)
    steps = [event, with_pull_request_number(event, number)]
    while steps[-1].lookup is not None:
        steps.append(resolve(steps[-1], [parse_pull_request(answer)]))
    assert len(steps) <= 4
    for step in steps:
        shown = [getattr(step, field) for field in Event.__slots__ if isinstance(getattr(step, field), str)]
        assert shown == [json_reader.printable(text) for text in shown]
        assert step.commit == "" or SHA.match(step.commit)
        assert step.lookup or step.pull_request is not None or step.no_pr_reason
        assert pr_number_warning(step, number).isprintable()


# -- the file of the running workflow ---------------------------------------------------------------------------------

FILE = ".github/workflows/gate.yml"


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (f"acme/shop/{FILE}@refs/heads/main", FILE),
        (f"acme/shop/{FILE}@refs/pull/7/merge", FILE),
        (f"Acme/SHOP/{FILE}@refs/heads/a@b", FILE),
        ("acme/shop/.github/workflows/a gate@1.yaml@refs/tags/v1", ".github/workflows/a gate@1.yaml"),
        *((ref, "") for ref in ("", FILE, f"acme/shop/{FILE}", f"acme/shop/{FILE}@", f"acme/shop/{FILE}@main")),
        *((f"{where}/{FILE}@refs/heads/main", "") for where in ("acme/other", "evil/acme/shop")),
        *(
            (f"acme/shop/.github/{file}@refs/heads/main", "")
            for file in (
                *("workflows/sub/gate.yml", "workflows/../x.yml", "workflows/gate.txt", "sepurux-gate.yml"),
                *("workflows/a\nb.yml", f"workflows/{'a' * 201}.yml"),
            )
        ),
    ],
)
def test_the_file_of_the_running_workflow_is_known_if_it_is_in_this_repository(ref: str, path: str) -> None:
    event = event_of("pull_request", pull_request(), GITHUB_WORKFLOW_REF=ref, GITHUB_WORKFLOW_SHA=MERGE)
    assert event.workflow_file == (f"{MERGE}:{path}" if path else "")


@pytest.mark.parametrize("sha", ["", "main", "HEAD", MERGE[:7], MERGE.upper(), f"{MERGE}:x", "0" * 40])
def test_the_file_of_the_running_workflow_is_read_at_a_full_sha(sha: str) -> None:
    ref = f"acme/shop/{FILE}@refs/heads/main"
    assert event_of("pull_request", {}, GITHUB_WORKFLOW_REF=ref, GITHUB_WORKFLOW_SHA=sha).workflow_file == ""


# --- The addresses of the run ------------------------------------------------------------------------------


@pytest.mark.parametrize(("attempt", "run"), [("2", "7100001/attempts/2"), ("", "7100001")])
def test_a_run_has_the_addresses_that_the_environment_names(attempt: str, run: str) -> None:
    event = event_of("push", push(), **RUN, GITHUB_RUN_ATTEMPT=attempt)
    assert event.run_url == f"https://github.com/acme/shop/actions/runs/{run}"
    assert event.url("commit", event.commit) == f"https://github.com/acme/shop/commit/{event.commit}"


@pytest.mark.parametrize(
    "changed",
    [
        *({"GITHUB_SERVER_URL": each} for each in ("", "github.com", "javascript:alert(1)//", "http://ghe.example")),
        {"GITHUB_SERVER_URL": "https://u:p@ghe.example"},
        {"GITHUB_REPOSITORY": "acme/shop\n::error::x"},
    ],
)
def test_a_server_or_repository_that_may_not_be_linked_gives_no_addresses(changed: dict[str, str]) -> None:
    event = parse_event("push", {}, {**ENVIRON, **RUN, **changed})
    assert (event.run_url, event.url("commit", event.commit)) == ("", "")


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("https://api.github.com/", "https://api.github.com"),
        ("https://ghe.example/api/v3", "https://ghe.example/api/v3"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
        *((each, "") for each in ("", "api.github.com", "http://ghe.example/api/v3", "https://u:p@ghe.example")),
        *((each, "") for each in ("file:///etc", "https://a b", "https://")),
    ],
)
def test_no_token_goes_where_others_could_read_it(address: str, accepted: str) -> None:
    assert event_of("push", push(), GITHUB_API_URL=address).api_url == accepted
