"""What GitHub shows of commits, of the base branch, and of a page of comments."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from sepurux_action.config.settings import MISNAMED_PATH, POLICY_PATH
from sepurux_action.errors import Problem
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.results import Results
from sepurux_action.github.client import Client, GitHubError
from sepurux_action.github.event import Event
from sepurux_action.github.queries import NO_TEXT_FILE, Subject, misnamed, read_base, read_commit, read_pull_request
from sepurux_action.github.subject import with_base
from tests.builders import a_gate
from tests.github.scene import Scene, answering
from tests.scenes import BOT, DECIDED

TIP, BEFORE = "a" * 40, "b" * 40
OWN = Event(name="pull_request", repository="octo/shop", commit=TIP, pull_request=7)
BASE = {"policyCommit": {"oid": BEFORE}, "policy": None, "headPolicy": None, "evaluated": {"oid": TIP}}
ODD = {"message": "Something went wrong"}
BLOB = {"__typename": "Blob", "text": "a: 1", "isTruncated": False}
NO_FILES = ["", [], {}, True, 0, {"__typename": "Tree"}, BLOB | {"isTruncated": True}, BLOB | {"text": None}]
UNKNOWN: list[object] = [{}, "success", [], {"contexts": None}, {"contexts": {}}, {"contexts": "Sepurux / core"}]
UNKNOWN += [{"contexts": [None]}, {"contexts": [{"context": None, "description": DECIDED}]}]
OURS = {"__typename": "Bot", "login": "github-actions"}
VIEWER = {"login": BOT}
USER = {"__typename": "User", "login": "mona"}
CONTEXT, SPELLINGS = "Sepurux / core", ("Sepurux / core", "SEPURUX / core", "sepurux / CORE")
LINK = "https://app.sepurux.dev/runs/1"


def parsed(**repository: object) -> Subject:
    return read_commit(OWN, answering({**BASE, **repository}))


def read(*errors: object, **repository: object) -> Subject | None:
    """Return what is made of a response with errors, None if the client raises GitHubError."""
    with suppress(GitHubError):
        return read_commit(OWN, answering({**BASE, **repository}, errors=list(errors)))
    return None


def test_an_error_of_the_protection_leaves_the_policy_known() -> None:
    found = read({**ODD, "path": ["repository", "baseRef", "refUpdateRule"]})
    assert found is not None
    assert (found.policy, found.required) == (None, None)


@pytest.mark.parametrize("path", [*([each] for each in ("policy", "headPolicy", "policyYaml", "policyCommit")), []])
def test_any_other_error_leaves_everything_unread(path: list[str]) -> None:
    of_protection = {**ODD, "path": ["repository", "baseRef"]}
    assert read(of_protection) is not None
    assert read(of_protection, {**ODD, "path": ["repository", *path]}) is None
    assert read(of_protection, ODD) is None


@pytest.mark.parametrize("errors", [None, "Something went wrong"])
def test_errors_of_an_unknown_shape_are_still_errors(errors: object) -> None:
    with pytest.raises(GitHubError):
        read_commit(OWN, answering(BASE, errors=errors))


@pytest.mark.parametrize("blob", NO_FILES)
def test_what_is_no_whole_text_file_is_not_known_and_no_missing_file(blob: object) -> None:
    problem = Problem("", f"{NO_TEXT_FILE}. Make it a text file that the gate can read.", POLICY_PATH, 1)
    assert parsed(policy=blob).policy == problem


@pytest.mark.parametrize("other", [{"__typename": "Blob"}, {"__typename": "Tree"}, "a page"])
def test_a_policy_file_is_misnamed_only_if_there_is_none_with_the_right_name(other: object) -> None:
    absent = {"policyYaml": other, "headPolicyYaml": other}
    named = {"policy": BLOB, "headPolicy": BLOB}
    for files, found in ((absent, misnamed(MISNAMED_PATH)), (absent | named, "a: 1")):
        subject = parsed(**files)
        assert (subject.policy, subject.head_policy) == (found, found)


@pytest.mark.parametrize("hidden", [{"policyCommit": None}, {"evaluated": None}, {"evaluated": {"oid": BEFORE}}])
def test_a_commit_that_the_token_may_not_see_is_not_one_without_a_policy_file(hidden: dict[str, object]) -> None:
    shown = parsed()
    assert (shown.policy, shown.head_policy) == (None, None)
    with pytest.raises(GitHubError, match="HTTP 404 GitHub does not show the commit"):
        parsed(**hidden)


@pytest.mark.parametrize(("value", "known"), [("2027-01-03T12:00:00Z", 1_798_977_600.0), (None, None), ("soon", None)])
def test_the_time_of_the_evaluated_commit_is_that_of_github(value: object, known: float | None) -> None:
    assert parsed(evaluated={"oid": TIP, "committedDate": value}).committed == known


def a_commit(
    oid: object, creator: object = OURS, description: object = DECIDED, contexts: tuple[str, ...] = (CONTEXT,)
) -> object:
    status = {"description": description, "targetUrl": LINK, "creator": creator}
    return {"oid": oid, "status": {"contexts": [{**status, "context": context} for context in contexts]}}


def a_base(*commits: object, viewer: object = VIEWER) -> dict[str, object]:
    line = {f"base{steps}": commit for steps, commit in enumerate(commits)}
    return {"viewer": viewer, "repository": line}


def on_base(data: object, evaluated: str = "", older: Sequence[object] = ()) -> Mapping[str, Results] | None:
    contexts = {"sepurux / core", "sepurux / search"}
    client = Client(lambda verb, *_, **__: {"data": data} if verb == "POST" else [*older], "octo/shop")
    return read_base(Event(commit=evaluated), contexts, client)


def results(data: object, evaluated: str = "") -> Results:
    found = on_base(data, evaluated)
    assert found is not None
    return found.get("sepurux / core", ())


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (a_base(a_commit(TIP), a_commit(BEFORE)), [TIP, BEFORE]),
        (a_base(a_commit(TIP), a_commit(BEFORE), None), [TIP, BEFORE]),
        (a_base(a_commit(TIP), a_commit(TIP), a_commit(BEFORE)), [TIP, BEFORE]),
        (a_base(a_commit(TIP, contexts=SPELLINGS), a_commit(BEFORE)), [TIP, BEFORE]),
        *((a_base(a_commit(TIP), {"oid": BEFORE, "status": None}), [TIP]), (a_base(a_commit(TIP, description=7)), [])),
        (a_base(a_commit(TIP, creator={**OURS, "__typename": "User"})), []),  # a user may have an app's name
        (a_base(a_commit(TIP, creator=None)), []),  # the account was deleted
        (a_base(a_commit(TIP, USER), a_commit(BEFORE, {**USER, "__typename": "Bot"}), viewer={"login": "Mona"}), [TIP]),
    ],
)
def test_each_commit_has_at_most_one_result_of_the_own_account(data: object, found: list[str]) -> None:
    assert [each.commit for each in results(data)] == found


def test_results_are_the_decided_ones_of_50_commits_before_the_evaluated_one_with_their_links() -> None:
    line = [f"{number:040x}" for number in range(1, 52)]
    texts = [DECIDED.replace("91.0", f"{number}.0") for number in range(1, 52)]
    for place, decision in enumerate(("fail", "error", "skipped"), 3):
        texts[place] = texts[place].replace("pass (", f"{decision} (")
    data = a_base(*(a_commit(oid, description=text) for oid, text in zip(line, texts, strict=True)))
    assert [each.commit for each in results(data)] == [*line[:4], *line[6:50]]
    found = results(data, evaluated=line[1])
    assert [each.commit for each in found] == [line[0], *line[2:4], *line[6:]]
    assert [each.value(PASS_RATE) for each in found[:2]] == [0.01, 0.03]
    assert {each.url for each in found} == {LINK}


def test_a_newer_status_that_is_no_result_hides_none() -> None:
    """GraphQL shows the newest status of a context alone, which may be of a run that was canceled, or of a stranger."""
    statuses = [
        ("Sepurux / core", "the evaluation is running", BOT),
        ("Sepurux / core", DECIDED.replace("91.0", "99.0"), "mona"),
        *(("Sepurux / other", DECIDED.replace("91.0", "98.0"), BOT), ("SEPURUX / core", DECIDED, BOT)),
        ("Sepurux / core", DECIDED.replace("91.0", "97.0"), BOT),
    ]
    older = [{"context": context, "description": text, "creator": {"login": who}} for context, text, who in statuses]
    for newest in (a_commit(TIP, description="the evaluation is running"), a_commit(TIP, USER)):
        found = on_base(a_base(newest), older=older)
        assert found
        assert [each.value(PASS_RATE) for each in found["sepurux / core"]] == [0.91]


@pytest.mark.parametrize(
    "data",
    [
        *(a_base(), a_base(None, a_commit(BEFORE))),
        *(a_base(a_commit(TIP), gap, a_commit(BEFORE)) for gap in (None, 7)),
        *(a_base(a_commit(["a"])), a_base(a_commit(TIP), a_commit("main")), a_base(a_commit(TIP), {"oid": BEFORE})),
        *(a_base(a_commit(TIP), {"oid": BEFORE, "status": status}) for status in UNKNOWN),
        *(a_base(a_commit(TIP), viewer=who) for who in (None, {}, {"login": ""}, {"login": None}, "octo[bot]")),
    ],
)
def test_with_a_gap_a_status_of_an_unknown_shape_or_an_unknown_own_account_no_result_is_known(data: object) -> None:
    assert on_base(data) is None


def results_on_base(scene: Scene, **changes: str) -> Results:
    subject, gate = scene.load(**changes), a_gate(name="core", limits={"max_pass_rate_drop": 0.03})
    return with_base(scene.calls, subject, [gate]).baseline(gate) or ()


def test_a_merge_of_many_commits_hides_no_older_result(scene: Scene) -> None:
    for rate in (90, 91):
        scene.decided(scene.repository.commit("main"), rate)
    for number in range(120):
        scene.decided(scene.repository.commit("topic", {"change.txt": str(number)}), 10)
    scene.repository.merge(scene.repository.branches["topic"].sha)
    scene.decided(scene.repository.commit("main"), 92)
    assert [each.value(PASS_RATE) for each in results_on_base(scene)] == [0.92, 0.91, 0.9]
    [_, request] = scene.github.requests
    assert len(request.body) < 6_000


def test_the_name_of_the_base_branch_ends_no_literal_of_the_query(scene: Scene) -> None:
    name = 'release/"){ü\\"}\\u0041'
    scene.decided(scene.repository.commit(name), 90)
    scene.repository.default_branch = name
    assert results_on_base(scene, base_ref=name)


def a_page(**changes: object) -> dict[str, Any]:
    """Return a pull request as a query shows it; the author is null if an account was deleted, also that of an app."""
    page = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}, **changes}
    return {"pullRequest": {"headRefOid": page.pop("head", "a" * 40), "author": None, "comments": page}}


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        *(({}, True), *(({"pageInfo": {"hasNextPage": True, "endCursor": cursor}}, False) for cursor in ("abc", None))),
        ({"nodes": [{"viewerDidAuthor": False}]}, True),
        *(({"nodes": each}, False) for each in (None, [None], [{"viewerDidAuthor": None}])),
        *(({"pageInfo": None}, False), ({"head": None}, False)),
    ],
)
def test_whole_comments_are_read_and_unknown_authors_may_be_bots(changes: dict[str, object], *, known: bool) -> None:
    client = answering(a_page(**changes))
    if known:
        assert read_pull_request(7, client).by_agent
        return
    with pytest.raises(GitHubError):
        read_pull_request(7, client)
