"""What an event says about the change under evaluation, and what GitHub's answer adds to it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common import json_reader
from sepurux_action.errors import ErrorDetails
from sepurux_action.github.event import (
    MAX_NUMBER,
    PARSERS,
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
MAIN, QUEUE = "refs/heads/main", "refs/heads/gh-readonly-queue"
PULL = PullRequest(
    number=42,
    head_sha=HEAD,
    head_repository="acme/shop",
    head_branch="refunds",
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
    group = {"head_ref": f"{QUEUE}/main/pr-42-{OTHER}", "head_sha": HEAD, "base_ref": MAIN, "base_sha": BASE}
    return {"action": "checks_requested", "repository": REPOSITORY, "merge_group": group | changes}


def push(**changes: object) -> dict[str, object]:
    return {"repository": REPOSITORY, "ref": "refs/heads/refunds", "after": MERGE, "deleted": False} | changes


def comment(**changes: object) -> dict[str, object]:
    return {"repository": REPOSITORY, "issue": {"number": 42, "pull_request": {"url": "u"}} | changes}


RUN = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "7100001"}
NO_PULL = "the payload of this pull_request event has no pull request"
NO_NUMBER = "the pull request's number cannot be read"
NO_NAME = "the merge group's branch names no pull request"
GONE = "the repository or branch that the workflow run is about is gone"


def event_of(name: str, payload: object, **environ: str) -> Event:
    return parse_event(name, payload, ENVIRON | environ)


@pytest.mark.parametrize("kind", ["", "_target", "_review", "_review_comment"])
def test_a_pull_request_is_evaluated_at_its_head_and_never_at_its_merge_commit(kind: str) -> None:
    event = event_of(name := f"pull_request{kind}", pull_request())
    assert (event.name, event.commit, event.pull_request) == (name, HEAD, 42)
    assert (event.base_ref, event.base_sha, event.branch) == ("main", BASE, "main")
    assert (event.fork, event.lookup, event.skip_reason) == (False, None, "")
    heads: list[object] = [None, "x", [], {}, *({"sha": sha} for sha in (None, "abc", f"{HEAD}\n", 5))]
    assert [event_of(name, pull_request(head=head)).commit for head in heads] == [""] * 8


NO_PULLS: list[object] = [None, [], "x", {}, {"pull_request": None}]
NO_NUMBERS: list[object] = [None, 0, -1, 1.5, True, "42", [], 10**400, MAX_NUMBER + 1]
NO_NAMES = [MAIN, f"{QUEUE}/pr-42-{OTHER}", f"{QUEUE}/main/pr-42-{OTHER[1:]}"]
NO_NAMES += [f"{QUEUE}/main/pr-{end}" for end in (f"0-{OTHER}", f"042-{OTHER}", f"٤٢-{OTHER}", f"42-{OTHER}/x")]
NO_NAMES += [f"{QUEUE}/main/pr-9999999999-{OTHER}"]


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        *(("pull_request", payload, NO_PULL) for payload in NO_PULLS),
        *(("pull_request", pull_request(number=number), NO_NUMBER) for number in NO_NUMBERS),
        ("pull_request", pull_request(number=None, base=None, head={"sha": HEAD, "repo": FORK}), NO_NUMBER),
        ("issue_comment", comment(number="42"), NO_NUMBER),
        *(("merge_group", merge_group(head_ref=ref), NO_NAME) for ref in (None, *NO_NAMES)),
    ],
)
def test_an_event_without_a_pull_request_says_so(name: str, payload: object, reason: str) -> None:
    event = event_of(name, payload)
    assert (event.pull_request, event.lookup, event.no_pr_reason) == (None, None, reason)
    assert event.commit == ("" if reason == NO_PULL or name == "issue_comment" else HEAD)


@pytest.mark.parametrize(
    ("repository", "fork"),
    [(REPOSITORY, False), (REPOSITORY | {"full_name": "Acme/Shop"}, False), (FORK, True), (None, True), ({}, True)],
)
def test_a_head_that_is_not_surely_this_repositorys_is_a_fork(repository: object, *, fork: bool) -> None:
    payload = pull_request(head={"sha": HEAD, "ref": "refunds", "repo": repository})
    assert event_of("pull_request", payload).fork is fork
    assert parse_event("pull_request", payload | {"repository": None}, {}).fork


@pytest.mark.parametrize("base", ["main", "release/1.x", f"gh-readonly-queue/x/pr-7-{OTHER}", "ünï/código"])
def test_a_merge_group_is_of_the_pull_request_that_named_its_branch(base: str) -> None:
    payload = merge_group(head_ref=f"{QUEUE}/{base}/pr-42-{OTHER}", base_ref=f"refs/heads/{base}")
    event = event_of("merge_group", payload)
    assert (event.commit, event.pull_request) == (HEAD, 42)
    assert (event.base_ref, event.base_sha, event.branch) == (base, BASE, base)
    assert (event.fork, event.lookup) == (False, None)


BY_HEAD = Lookup(repository="mallory/shop", branch="refunds", commit=HEAD)
FROM_FORK = replace(PULL, head_repository="mallory/shop")


@pytest.mark.parametrize("cause", ["pull_request", "pull_request_target", "pull_request_review", "push", "schedule"])
@pytest.mark.parametrize("repository", ["acme/shop", "mallory/shop"])
def test_a_run_of_a_pull_request_or_a_fork_is_looked_up_by_its_head(cause: str, repository: str) -> None:
    run = workflow_run(event=cause, head_repository={"full_name": repository})
    event = event_of("workflow_run", run, GITHUB_REF=MAIN)
    fork, by_commit = repository != "acme/shop", cause in {"push", "schedule"}
    assert (event.commit, event.pull_request, event.fork, event.branch) == (HEAD, None, fork, "main")
    by_head = replace(BY_HEAD, repository=repository)
    assert event.lookup == (Lookup(commit=HEAD) if by_commit and not fork else by_head)


@pytest.mark.parametrize(
    "gone",
    [
        *({"head_repository": each} for each in (None, {"full_name": "mallory/.."})),
        *({"head_branch": each} for each in (None, "refunds\u200b")),
        *({"head_sha": each} for each in (None, "0" * 40)),
    ],
    ids=ascii,
)
def test_a_run_whose_repository_or_branch_is_gone_is_not_evaluated(gone: dict[str, object]) -> None:
    event = with_pull_request_number(event_of("workflow_run", workflow_run(**gone)), 7)
    assert (event.pull_request, event.lookup, event.ambiguous, event.no_pr_reason) == (None, None, True, GONE)
    assert event.commit == ("" if "head_sha" in gone else HEAD)


TIP = {"event": "push", "head_repository": REPOSITORY, "head_branch": "main", "head_sha": MERGE}
DISPATCHED = {"client_payload": {"pull_request": 1}, "repository": REPOSITORY}


@pytest.mark.parametrize(
    ("name", "payload", "ref"),
    [
        ("push", push(), "refs/heads/refunds"),
        ("workflow_dispatch", {"repository": REPOSITORY}, "refs/heads/refunds"),
        ("repository_dispatch", DISPATCHED, MAIN),
        ("release", {"repository": REPOSITORY}, "refs/tags/v1"),
        ("label", pull_request(), MAIN),
        ("push", push(ref="refs/tags/v1"), "refs/tags/v1"),
        ("push", push(ref=MAIN), MAIN),
        ("schedule", None, MAIN),
        ("schedule", {"schedule": "0 5 * * *"}, MAIN),
        ("issue_comment", comment(pull_request=None), MAIN),
        ("issue_comment", comment(pull_request={}), MAIN),
        ("workflow_run", workflow_run(**TIP), MAIN),
    ],
)
def test_only_a_push_to_another_branch_may_be_of_a_fork(name: str, payload: object, ref: str) -> None:
    event = event_of(name, payload, GITHUB_REF=ref)
    forks = (name, ref) == ("push", "refs/heads/refunds")
    assert (event.commit, event.pull_request, event.lookup) == (MERGE, None, Lookup(commit=MERGE, forks=forks))
    assert (event.base_ref, event.base_sha, event.branch) == ("", "", "refunds" if forks else "main")


def test_only_a_scheduled_run_is_known_to_be_on_the_default_branch() -> None:
    branches = [event_of(name, {}, GITHUB_REF=MAIN).default_branch for name in ("schedule", "workflow_dispatch")]
    assert branches == ["main", ""]


@pytest.mark.parametrize("changes", [{"deleted": True}, {"after": "0" * 40}, {"after": "0" * 64}])
def test_a_deleted_branch_is_skipped_also_with_pr_number(changes: dict[str, object]) -> None:
    event = event_of("push", push(**changes))
    assert (event.commit, event.lookup) == ("", None)
    assert event.skip_reason == event.no_pr_reason == "refs/heads/refunds was deleted"
    assert with_pull_request_number(event, 7) is event
    assert pr_number_warning(event, 7) == "`pr_number` 7 is ignored: refs/heads/refunds was deleted."


@pytest.mark.parametrize(
    ("ref", "branch"),
    [
        ("refs/heads/release/1.x_y-z", "release/1.x_y-z"),
        ("refs/heads/Main", "%4Dain"),
        ("refs/heads/ünï(main)", "%C3%BCn%C3%AF%28main%29"),
        ("refs/tags/v1", "tag: v1"),
        ("refs/tags/V1", "tag: %561"),
        ("refs/pull/1/merge", "no branch"),
        ("", "no branch"),
    ],
)
def test_a_status_of_another_branch_or_of_a_tag_has_a_name_that_no_other_one_has(ref: str, branch: str) -> None:
    assert event_of("workflow_dispatch", {}, GITHUB_REF=ref).status_branch == branch


@pytest.mark.parametrize("sha", ["", "main", "A" * 40, "a" * 39, "a" * 41, f"{MERGE}\n", f" {MERGE}", "0" * 40])
def test_what_is_no_sha_is_no_commit(sha: str) -> None:
    event = event_of("push", push(), GITHUB_SHA=sha)
    assert (event.commit, event.lookup, event.no_pr_reason) == ("", None, "the pushed commit is not known")
    event = event_of("schedule", {}, GITHUB_SHA=sha)
    assert (event.commit, event.lookup, event.no_pr_reason) == ("", None, "a schedule event has no pull request")
    assert event_of("push", push(), GITHUB_SHA="b" * 64).commit == "b" * 64


@pytest.mark.parametrize("name", ["deployment", "deployment_status"])
@pytest.mark.parametrize("ref", ["refunds", "refs/heads/refunds", None, "refunds\u200b"])
def test_a_deployment_is_evaluated_at_the_deployed_commit(name: str, ref: object) -> None:
    payload = {"deployment": {"sha": HEAD, "ref": ref}, "repository": REPOSITORY}
    event = event_of(name, payload, GITHUB_REF=MAIN)
    assert (event.commit, event.pull_request, event.branch) == (HEAD, None, "main")
    assert event.lookup == Lookup(commit=HEAD)


def test_the_repository_of_the_environment_overrides_that_of_the_payload() -> None:
    assert parse_event("push", push(), {}).repository == "acme/shop"
    assert event_of("push", push(), GITHUB_REPOSITORY="acme/moved").repository == "acme/moved"


def resolved(lookup: Lookup, *candidates: PullRequest) -> Event:
    return resolve(Event(name="x", repository="acme/shop", commit=HEAD, lookup=lookup), candidates)


NO_HEAD = "no pull request has the head `mallory/shop:refunds` at `aaaaaaa`; a newer commit has a run of its own"


@pytest.mark.parametrize(
    ("lookup", "change"),
    [
        *((BY_HEAD, {"head_repository": each}) for each in ("eve/shop", "")),
        (BY_HEAD, {"head_sha": OTHER}),
        (BY_HEAD, {"head_branch": "main"}),
        *((Lookup(commit=HEAD), {"head_repository": each}) for each in ("mallory/shop", "")),
        (Lookup(commit=HEAD), {"head_sha": OTHER}),
        (Lookup(commit=HEAD), {"open": False}),
    ],
)
def test_a_push_may_have_no_pull_request_and_a_run_of_one_may_not(lookup: Lookup, change: dict[str, Any]) -> None:
    event = resolved(lookup, replace(FROM_FORK if lookup.branch else PULL, **change))
    assert (event.commit, event.pull_request, event.lookup, event.ambiguous) == (HEAD, None, None, bool(lookup.branch))
    assert event.no_pr_reason == (NO_HEAD if lookup.branch else "`aaaaaaa` is the head of no open pull request")


def test_a_closed_pull_request_counts_for_a_run_if_no_open_one_has_its_head() -> None:
    closed = replace(FROM_FORK, number=41, base_ref="release/1", open=False)
    event = resolved(BY_HEAD, closed)
    assert (event.pull_request, event.base_ref, event.base_sha, event.closed) == (41, "release/1", BASE, True)
    event = resolved(BY_HEAD, closed, FROM_FORK)
    assert (event.pull_request, event.base_ref, event.closed, event.fork) == (42, "main", False, True)
    event = resolved(BY_HEAD, closed, replace(FROM_FORK, open=False))
    assert event.ambiguous
    assert event.no_pr_reason == "`aaaaaaa` is the head of 2 closed pull requests into different branches"


@pytest.mark.parametrize(("lookup", "pull"), [(BY_HEAD, FROM_FORK), (Lookup(commit=HEAD), PULL)])
@pytest.mark.parametrize(("base", "other"), [("main", "main"), ("main", "next"), ("", "next"), ("", "")])
def test_several_matches_must_be_into_one_branch(lookup: Lookup, pull: PullRequest, base: str, other: str) -> None:
    matches = (replace(pull, base_ref=base), replace(pull, number=43, base_ref=other, base_sha=OTHER))
    event, one = resolved(lookup, *matches), base == other == "main"
    assert (event.commit, event.pull_request, event.base_ref, event.base_sha) == (HEAD, None, "main" if one else "", "")
    assert (event.ambiguous, event.matches) == (not one, () if one else matches)
    into = "`main`" if one else "different branches"
    assert event.no_pr_reason == f"`aaaaaaa` is the head of 2 open pull requests into {into}"
    assert event.fork is (one and pull is FROM_FORK)


def test_a_pull_request_that_cannot_be_read_prevents_the_evaluation() -> None:
    event = resolve(event_of("issue_comment", comment()), [replace(PULL, number=41)])
    assert (event.commit, event.pull_request, event.lookup, event.ambiguous) == ("", None, None, True)
    assert event.no_pr_reason == "pull request 42 cannot be read"
    for lookup, which in ((Lookup(number=42), "pull request 42"), (BY_HEAD, "the pull request of this run")):
        event = resolve(Event(name="x", lookup=lookup), ErrorDetails(status=502, message="Server Error"))
        assert (event.ambiguous, event.no_pr_reason) == (True, f"{which} could not be read (HTTP 502 Server Error)")


def test_invalid_fields_of_a_pull_request_are_empty() -> None:
    assert parse_pull_request(pull_request()["pull_request"]) == replace(PULL, author="ada", by_agent=True)
    hostile: dict[str, object] = {"state": [], "head": {"ref": "a\nb"}, "base": {"ref": "\ud800", "sha": "HEAD"}}
    assert parse_pull_request("x") == parse_pull_request(hostile) == PullRequest(by_agent=True)


def test_pr_number_applies_if_the_event_has_no_pull_request_and_is_evaluated_at_its_current_head() -> None:
    event = with_pull_request_number(event_of("schedule", {}), 42)
    assert (event.commit, event.lookup) == ("", Lookup(number=42))
    found = resolve(event, [PULL])
    assert (found.commit, found.at_current_head, found.fork) == (HEAD, True, False)
    assert with_pull_request_number(event_of("schedule", {}), None).lookup == Lookup(commit=MERGE)


@pytest.mark.parametrize(
    ("name", "payload"),
    [("pull_request", pull_request()), ("merge_group", merge_group()), ("issue_comment", comment())],
)
def test_pr_number_never_replaces_the_pull_request_of_the_event(name: str, payload: object) -> None:
    event = event_of(name, payload)
    assert with_pull_request_number(event, 7) is event
    done = resolve(event, [PULL])
    assert done.at_current_head is (name == "issue_comment")
    assert pr_number_warning(done, 7) == "`pr_number` 7 is ignored: this run belongs to pull request 42."
    assert pr_number_warning(done, 42) == ""


def test_pr_number_selects_one_of_several_pull_requests_with_the_head_of_the_run_and_no_other() -> None:
    event = with_pull_request_number(event_of("workflow_run", workflow_run()), 43)
    assert resolve(event, [FROM_FORK, replace(FROM_FORK, number=43)]).pull_request == 43
    found = resolve(event, [FROM_FORK])
    assert (found.pull_request, found.at_current_head) == (42, False)
    nothing = resolve(event, [replace(FROM_FORK, number=43, head_sha=OTHER)])
    assert (nothing.pull_request, nothing.lookup) == (None, None)
    assert pr_number_warning(nothing, 43).startswith("`pr_number` 43 is ignored: no pull request has the head ")


def test_pr_number_is_looked_up_if_a_push_has_no_pull_request() -> None:
    event = with_pull_request_number(event_of("push", push(), GITHUB_SHA=HEAD), 7)
    found, asking = resolve(event, [PULL]), resolve(event, [])
    assert (found.pull_request, found.branch, found.at_current_head) == (42, "main", False)
    assert (asking.lookup, pr_number_warning(asking, 7)) == (Lookup(number=7), "")
    found = resolve(asking, [replace(PULL, number=7, head_sha=OTHER)])
    assert (found.commit, found.at_current_head) == (OTHER, True)


# Names and values that the reading looks for, so that random payloads get past its first lookup.
KEYS = ["pull_request", "merge_group", "workflow_run", "issue", "deployment", "repository", "head", "base", "repo"]
KEYS += ["number", "sha", "ref", "head_sha", "head_ref", "head_repository", "head_branch", "event", "full_name"]
KEYS += ["user", "login", "state", "after", "deleted", "default_branch"]
VALUES = [HEAD, "0" * 40, "acme/shop", "mallory/shop", "main", MAIN, f"{QUEUE}/main/pr-42-{OTHER}", 42]
texts = st.text(st.characters())
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from([*VALUES, "pull_request"])
payloads = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | texts, inner),
    max_leaves=40,
)
EVENTS = [*PARSERS, "release"]
variables = st.sampled_from(["GITHUB_SHA", "GITHUB_REPOSITORY", "GITHUB_ACTOR"])
environs = st.dictionaries(variables, texts | st.sampled_from([HEAD, "acme/shop"]))


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


FILE = ".github/workflows/gate.yml"


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        *((f"acme/shop/{FILE}@refs/{ref}", FILE) for ref in ("heads/main", "pull/7/merge")),
        (f"Acme/SHOP/{FILE}@refs/heads/a@b", FILE),
        ("acme/shop/.github/workflows/a gate@1.yaml@refs/tags/v1", ".github/workflows/a gate@1.yaml"),
        *((ref, "") for ref in ("", FILE, f"acme/shop/{FILE}", f"acme/shop/{FILE}@", f"acme/shop/{FILE}@main")),
        *((f"{where}/{FILE}@refs/heads/main", "") for where in ("acme/other", "evil/acme/shop")),
        *(
            (f"acme/shop/.github/{path}@refs/heads/main", "")
            for path in ("workflows/sub/gate.yml", "workflows/../x.yml", "workflows/gate.txt", "sepurux-gate.yml")
        ),
        *((f"acme/shop/.github/workflows/{name}.yml@refs/heads/main", "") for name in ("a\nb", "a" * 201)),
    ],
)
def test_the_file_of_the_running_workflow_is_known_if_it_is_in_this_repository(ref: str, path: str) -> None:
    event = event_of("pull_request", pull_request(), GITHUB_WORKFLOW_REF=ref, GITHUB_WORKFLOW_SHA=MERGE)
    assert event.workflow_file == (f"{MERGE}:{path}" if path else "")


@pytest.mark.parametrize("sha", ["", "main", "HEAD", MERGE[:7], MERGE.upper(), f"{MERGE}:x", "0" * 40])
def test_the_file_of_the_running_workflow_is_read_at_a_full_sha(sha: str) -> None:
    ref = f"acme/shop/{FILE}@refs/heads/main"
    assert event_of("pull_request", {}, GITHUB_WORKFLOW_REF=ref, GITHUB_WORKFLOW_SHA=sha).workflow_file == ""


@pytest.mark.parametrize(("attempt", "run"), [("2", "7100001/attempts/2"), ("", "7100001")])
def test_a_run_has_the_addresses_that_the_environment_names(attempt: str, run: str) -> None:
    event = event_of("push", push(), **RUN, GITHUB_RUN_ATTEMPT=attempt)
    assert event.run_url == f"https://github.com/acme/shop/actions/runs/{run}"
    assert event.url("commit", event.commit) == f"https://github.com/acme/shop/commit/{event.commit}"


@pytest.mark.parametrize(
    "changed",
    [
        {"GITHUB_SERVER_URL": "javascript:alert(1)//"},
        {"GITHUB_SERVER_URL": ""},
        {"GITHUB_REPOSITORY": "a/b\n::error::x"},
    ],
)
def test_a_server_or_repository_that_may_not_be_linked_gives_no_addresses(changed: dict[str, str]) -> None:
    event = parse_event("push", {}, {**ENVIRON, **RUN, **changed})
    assert (event.run_url, event.url("commit", event.commit)) == ("", "")


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("https://ghe.example/api/v3/", "https://ghe.example/api/v3"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
        *((each, "") for each in ("", "api.github.com", "http://ghe.example/api/v3", "https://u:p@ghe.example")),
    ],
)
def test_no_token_goes_where_others_could_read_it(address: str, accepted: str) -> None:
    assert event_of("push", push(), GITHUB_API_URL=address).api_url == accepted
