"""What an event says about the change under evaluation, and which pull request it belongs to."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common import json_reader
from sepurux_action.github import event as github_event
from sepurux_action.github.event import INCOMPLETE, NOT_A_RUN, Event, parse_event, with_pull_request
from sepurux_action.github.queries import Subject

HEAD, BASE, MERGE, OTHER = "a" * 40, "b" * 40, "e" * 40, "c" * 40
REPOSITORY = {"full_name": "acme/shop", "default_branch": "main"}
FORK = {"full_name": "mallory/shop", "default_branch": "main"}
QUEUED = ("main", "release/1.x", f"gh-readonly-queue/x/pr-7-{OTHER}", "ünï/código")
NO_APIS = ("", "api.github.com", "http://ghe.example/api/v3", "https://u:p@ghe.example")
KINDS = ("", "_target", "_review")
MAIN, QUEUE = "refs/heads/main", "refs/heads/gh-readonly-queue"
PULL = {
    "number": 42,
    "state": "open",
    "head": {"sha": HEAD, "ref": "refunds", "repo": REPOSITORY},
    "base": {"sha": BASE, "ref": "main", "repo": REPOSITORY},
}
RUN = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "7100001"}
NO_NAMES = [MAIN, f"{QUEUE}/pr-42-{OTHER}", f"{QUEUE}/main/pr-42-{OTHER[1:]}"]
NO_NAMES += [f"{QUEUE}/main/pr-{end}" for end in (f"042-{OTHER}", f"٤٢-{OTHER}", f"9999999999-{OTHER}")]
OF_PULL = {"commit": HEAD, "pull_request": 42, "base_ref": "main", "base_sha": "", "fork": False, "skip_reason": ""}
OF_GROUP = {"commit": HEAD, "pull_request": None, "base_ref": "main", "base_sha": BASE, "fork": False}
OF_COMMIT = {"commit": MERGE, "pull_request": None, "head": "", "base_ref": "", "base_sha": ""}
RUN_OF_MAIN = {"event": "push", "head_repository": REPOSITORY, "head_branch": "main", "head_sha": MERGE}
REFUNDS = "refs/heads/refunds"
NO_PULLS: list[object] = [None, [], "x", {}, {"pull_request": None}]
NO_NUMBERS: list[object] = [None, 0, -1, 1.5, True, "42", [], 10**400, github_event.MAX_NUMBER + 1]
NO_HEADS: list[object] = [None, "x", [], {}, *({"sha": sha} for sha in (None, "abc", f"{HEAD}\n", 5))]
NO_BASES: list[object] = [None, {}, {"ref": "", "sha": BASE}, {"ref": "a\u200bb", "sha": BASE}]
NO_RUNS: list[Mapping[str, object]] = [
    *({"event": cause} for cause in ("schedule", "workflow_dispatch", "workflow_run", None)),
    *({"head_repository": repository} for repository in (FORK, None)),
    *(*({"head_branch": branch} for branch in ("dev", None)), *({"head_sha": sha} for sha in (HEAD, None))),
]
RUN_OF_FORK = Event(name="workflow_run", repository="acme/shop", commit=HEAD, fork=True, head="mallory/shop:refunds")
# Names and values that the reading looks for, so that random payloads get past its first lookup.
KEYS = ["pull_request", "merge_group", "workflow_run", "repository", "head", "base", "repo"]
KEYS += ["number", "sha", "ref", "head_sha", "head_ref", "head_repository", "head_branch", "event", "full_name"]
KEYS += ["user", "login", "state", "after", "deleted"]
VALUES = [HEAD, "0" * 40, "acme/shop", "mallory/shop", "main", MAIN, f"{QUEUE}/main/pr-42-{OTHER}", 42]
texts = st.text(st.characters())
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from([*VALUES, "pull_request"])
payloads = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | texts, inner),
    max_leaves=40,
)
variables = st.sampled_from(["GITHUB_SHA", "GITHUB_REF", "GITHUB_REPOSITORY", "GITHUB_ACTOR"])
environs = st.dictionaries(variables, texts | st.sampled_from([HEAD, MAIN, "acme/shop"]))


def pull_request(**changes: object) -> dict[str, object]:
    return {"action": "opened", "repository": REPOSITORY, "pull_request": PULL | changes}


def workflow_run(**changes: object) -> dict[str, object]:
    run = {"event": "pull_request", "head_sha": HEAD, "head_branch": "refunds", "head_repository": FORK}
    return {"action": "completed", "repository": REPOSITORY, "workflow_run": run | changes}


def merge_group(**changes: object) -> dict[str, object]:
    group = {"head_ref": f"{QUEUE}/main/pr-42-{OTHER}", "head_sha": HEAD, "base_ref": MAIN, "base_sha": BASE}
    return {"action": "checks_requested", "repository": REPOSITORY, "merge_group": group | changes}


def push(**changes: object) -> dict[str, object]:
    return {"repository": REPOSITORY, "ref": "refs/heads/refunds", "after": MERGE, "deleted": False} | changes


def suffix(event: Event) -> str:
    return Subject(event=event).suffix


def event_of(name: str, payload: object, **environ: str) -> Event:
    return parse_event(name, payload, {"GITHUB_SHA": MERGE, "GITHUB_REPOSITORY": "acme/shop", **environ})


def headed(repository: object) -> dict[str, object]:
    return pull_request(head={"sha": HEAD, "ref": "refunds", "repo": repository})


def queued(base: str) -> dict[str, object]:
    return merge_group(head_ref=f"{QUEUE}/{base}/pr-42-{OTHER}", base_ref=f"refs/heads/{base}")


# The event, its payload, variables, and fields of what is read.
EVENTS: list[tuple[str, object, Mapping[str, str], Mapping[str, object]]] = [
    # A pull request is evaluated at its head, never at its merge commit.
    *((f"pull_request{kind}", pull_request(), {"GITHUB_REF": "refs/pull/42/merge"}, OF_PULL) for kind in KINDS),
    # A head that is not surely of this repository is a fork's.
    *(("pull_request", headed(REPOSITORY | {"full_name": name}), {}, OF_PULL) for name in ("acme/shop", "Acme/Shop")),
    *(("pull_request", headed(repository), {}, {"fork": True}) for repository in (FORK, None, {})),
    ("pull_request", pull_request() | {"repository": None}, {"GITHUB_REPOSITORY": ""}, {"fork": True}),
    # A merge group is of the pull request that named its branch, if one did.
    *(("merge_group", merge_group(head_ref=ref), {}, OF_GROUP) for ref in (None, *NO_NAMES)),
    *(("merge_group", queued(base), {}, OF_GROUP | {"pull_request": 42, "base_ref": base}) for base in QUEUED),
    # A workflow run is of the pull request that started it, or a push of the newest commit of the default branch.
    *(
        (
            *("workflow_run", workflow_run(event=f"pull_request{kind}", head_repository={"full_name": repository})),
            {"GITHUB_REF": MAIN},
            {"commit": HEAD, "pull_request": None, "head": f"{repository}:refunds", "by_review": kind == "_review"},
        )
        for kind in KINDS
        for repository in ("acme/shop", "mallory/shop")
    ),
    ("workflow_run", workflow_run(**RUN_OF_MAIN), {"GITHUB_REF": MAIN}, {"commit": MERGE, "head": ""}),
    # Any other event is about the commit of the run.
    ("push", push(), {"GITHUB_REF": REFUNDS}, OF_COMMIT | {"head_branch": "refunds"}),
    ("push", push(ref="refs/tags/v1"), {"GITHUB_REF": "refs/tags/v1"}, OF_COMMIT | {"head_branch": "", "tag": "v1"}),
    ("workflow_dispatch", {"repository": REPOSITORY}, {"GITHUB_REF": REFUNDS}, OF_COMMIT | {"head_branch": "refunds"}),
    ("repository_dispatch", {"client_payload": {"pull_request": 1}}, {}, OF_COMMIT),
    ("schedule", None, {"GITHUB_REF": MAIN}, OF_COMMIT | {"head_branch": "main"}),
    *((name, {"deployment": {"sha": HEAD}}, {}, OF_COMMIT) for name in ("deployment", "deployment_status", "release")),
    ("push", push(), {"GITHUB_SHA": "b" * 64}, {"commit": "b" * 64}),
    # A deleted branch is skipped.
    ("push", push(deleted=True), {"GITHUB_REF": REFUNDS}, {"commit": "", "skip_reason": f"{REFUNDS} was deleted"}),
    # The environment names the repository, not the payload.
    ("push", push(), {"GITHUB_REPOSITORY": ""}, {"repository": ""}),
    ("push", push(), {"GITHUB_REPOSITORY": "acme/moved"}, {"repository": "acme/moved"}),
    # A run has an address only on a server, and of a repository, that may be linked.
    ("push", push(), RUN, {"run_url": "https://github.com/acme/shop/actions/runs/7100001"}),
    *(("push", {}, RUN | {"GITHUB_SERVER_URL": url}, {"run_url": ""}) for url in ("", "javascript:alert(1)//")),
    ("push", {}, RUN | {"GITHUB_REPOSITORY": "a/b\n::error::x"}, {"run_url": ""}),
    # No token goes where others could read it.
    ("push", push(), {"GITHUB_API_URL": "https://ghe.example/api/v3/"}, {"api_url": "https://ghe.example/api/v3"}),
    ("push", push(), {"GITHUB_API_URL": "http://127.0.0.1:8123"}, {"api_url": "http://127.0.0.1:8123"}),
    *(("push", push(), {"GITHUB_API_URL": address}, {"api_url": ""}) for address in NO_APIS),
]


@pytest.mark.parametrize(("name", "payload", "environ", "fields"), EVENTS, ids=range(len(EVENTS)))
def test_an_event_says_which_commit_and_which_pull_request_are_evaluated(
    name: str, payload: object, environ: Mapping[str, str], fields: Mapping[str, object]
) -> None:
    event = event_of(name, payload, **environ)
    assert {name: getattr(event, name) for name in (*fields, "problem")} == {**fields, "problem": ""}


@pytest.mark.parametrize(
    ("name", "payload", "problem"),
    [
        *(("pull_request", payload, INCOMPLETE) for payload in NO_PULLS),
        *(("pull_request", pull_request(number=number), INCOMPLETE) for number in NO_NUMBERS),
        *(("pull_request", pull_request(head=head), INCOMPLETE) for head in NO_HEADS),
        *(("pull_request", pull_request(base=base), INCOMPLETE) for base in NO_BASES),
        *(("merge_group", merge_group(**{field: None}), INCOMPLETE) for field in ("head_sha", "base_ref", "base_sha")),
        ("merge_group", merge_group(base_ref="refs/tags/v1"), INCOMPLETE),
        *(("workflow_run", workflow_run(**{**RUN_OF_MAIN, **run}), NOT_A_RUN) for run in NO_RUNS),
        ("push", push(), github_event.NO_NAME),
    ],
)
def test_an_event_that_says_no_base_or_commit_is_a_bad_setting(name: str, payload: object, problem: str) -> None:
    ref = MAIN if problem == NOT_A_RUN else "refs/heads/a\u200bb"
    assert event_of(name, payload, GITHUB_REF=ref).problem == problem


@pytest.mark.parametrize("name", ["", "issue_comment", "pull_request_review_comment", "label", "check_run"])
def test_an_event_that_is_not_listed_is_a_bad_setting_that_lists_them(name: str) -> None:
    event = event_of(name, pull_request())
    assert event.problem.startswith("must be one of `pull_request`, `pull_request_review`, ")


@pytest.mark.parametrize(
    ("ref", "branch"),
    [
        *(("refs/heads/release/1.x_y-z", "release/1.x_y-z"), ("refs/heads/Main", "%4Dain")),
        *(("refs/heads/ünï(main)", "%C3%BCn%C3%AF%28main%29"), ("refs/tags/v1", "tag: v1")),
        *(("refs/tags/V1", "tag: %561"), ("refs/pull/1/merge", "no branch"), ("", "no branch")),
    ],
)
def test_a_status_of_another_branch_or_of_a_tag_has_a_name_that_no_other_one_has(ref: str, branch: str) -> None:
    assert suffix(event_of("workflow_dispatch", {}, GITHUB_REF=ref)) == f" ({branch})"


@pytest.mark.parametrize("sha", ["", "A" * 40, "a" * 39, "a" * 41, f"{MERGE}\n", f" {MERGE}", "0" * 40])
def test_what_is_no_sha_is_no_commit(sha: str) -> None:
    event = event_of("push", push(), GITHUB_SHA=sha)
    assert (event.commit, event.problem) == ("", INCOMPLETE)


def from_fork(repository: object = FORK, sha: str = HEAD, ref: str = "refunds", **changes: object) -> dict[str, object]:
    return {**PULL, "head": {"sha": sha, "ref": ref, "repo": repository}, **changes}


@pytest.mark.parametrize(
    "change",
    [
        *({"repository": each} for each in ({"full_name": "eve/shop"}, None)),
        *({"sha": OTHER}, {"ref": "main"}, {"state": "closed"}),
    ],
)
def test_a_run_without_an_open_pull_request_with_its_head_is_skipped_without_a_status(change: dict[str, Any]) -> None:
    event = with_pull_request(RUN_OF_FORK, [from_fork(**change)])
    assert (event.commit, event.pull_request, event.head, event.problem) == ("", None, "", "")
    assert event.skip_reason == "no open pull request has the head `mallory/shop:refunds` at `aaaaaaa`"


def test_a_run_has_the_pull_request_with_its_head_and_an_error_if_there_are_several() -> None:
    others = [from_fork(number=1, state="closed"), from_fork(number=2, sha=OTHER), "x", {}]
    event = with_pull_request(RUN_OF_FORK, [*others, from_fork()])
    assert (event.commit, event.pull_request, event.base_ref, event.base_sha) == (HEAD, 42, "main", "")
    assert (event.fork, event.head, event.problem) == (True, "", "")
    several = with_pull_request(RUN_OF_FORK, [from_fork(), from_fork(number=43)])
    assert several.problem.startswith("2 open pull requests have the head `mallory/shop:refunds`")
    assert with_pull_request(RUN_OF_FORK, [from_fork(base={"ref": ""})]).problem == INCOMPLETE


@given(st.sampled_from([*github_event.PARSERS]) | texts, payloads, environs, payloads)
def test_any_payload_is_a_printable_event(name: str, payload: object, environ: dict[str, str], answer: object) -> None:
    event = parse_event(name, payload, environ)
    for each in (event, with_pull_request(event, [answer])):
        shown = [getattr(each, field) for field in Event.__slots__ if isinstance(getattr(each, field), str)]
        assert shown == [json_reader.printable(text) for text in shown]
        assert each.commit == "" or github_event.SHA.match(each.commit)
        assert each.problem or each.skip_reason or each.commit
        assert suffix(each).isascii()
