"""The soft gate: whose review approves it, who else can, and who is asked for one."""

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from sepurux_action.config.options import Stage
from sepurux_action.evaluation.decision import ApprovalStatus
from sepurux_action.github.client import GitHubError
from sepurux_action.github.pull_request import Review, Reviews, approval_status, request_reviews
from sepurux_action.github.queries import PullRequest, read_requesters
from tests.builders import a_gate, a_result
from tests.github.scene import FORBIDDEN, PULL, Scene, answering, rejecting

HEAD, OLDER = "b" * 40, "a" * 40
APPROVED, CHANGES, DISMISSED, COMMENTED = "APPROVED", "CHANGES_REQUESTED", "DISMISSED", "COMMENTED"
PERMISSIONS = {"author": "admin", "owner": "admin", "keeper": "maintain", "triager": "triage", "reader": "read"}
PERMISSIONS |= {"writer": "write", "robot": "write", "gate[bot]": "write", "stranger": "none"}
TERMS = Reviews(head=HEAD, authors={"author"})
LISTED = ("Writer", "author", "reader", "keeper")
OPENED = PullRequest(head=HEAD, author="Copilot", by_agent=True, comments=())
ROBOT = Review(author="robot", state=APPROVED, commit=HEAD, kind="Bot")


def given(text: str) -> list[Review]:
    """Return reviews from `login STATE` or `login STATE older`, one a line, the oldest first."""
    parts = [line.split() for line in text.strip().splitlines()]
    return [Review(author=who, state=state, commit=OLDER if more else HEAD) for who, state, *more in parts]


def status(
    reviews: str | list[Review] = "",
    reviewers: tuple[str, ...] = (),
    permission: Callable[[str], str] = PERMISSIONS.__getitem__,
) -> ApprovalStatus:
    listed = given(reviews) if isinstance(reviews, str) else reviews
    return approval_status(replace(TERMS, given=tuple(listed)), reviewers, permission)


def test_an_account_that_is_no_person_and_a_review_without_a_login_approve_nothing() -> None:
    assert status([ROBOT]).ignored == ("robot",)
    assert status([ROBOT._replace(kind="User")]).approved_by
    nameless = Review(author="", state=APPROVED, commit=HEAD)
    assert not status([nameless], permission=lambda _: "write").approved_by


def test_each_approval_that_does_not_count_is_named() -> None:
    text = "writer APPROVED older\nreader APPROVED\nauthor APPROVED\nowner APPROVED\nkeeper DISMISSED"
    found = status(text, LISTED)
    assert (found.approved_by, found.outdated, found.ignored) == ((), ("writer",), ("reader", "author", "owner"))


def test_who_of_the_listed_reviewers_can_approve_is_named_and_without_a_list_anyone_can() -> None:
    found = status(reviewers=LISTED)
    assert (found.can_approve, found.anyone) == (("Writer", "keeper"), False)
    none = status(reviewers=("author", "reader", "stranger", "gate[bot]"))
    assert (none.can_approve, none.anyone, none.unread) == ((), False, False)
    assert status() == ApprovalStatus(commit=HEAD, anyone=True)
    assert status("keeper APPROVED\nkeeper ADMIRED", LISTED).approved_by == ("keeper",)


@pytest.mark.parametrize("operation", [PULL, "pulls/list-reviews", "graphql requesters", "repos/get-collaborator-*"])
def test_while_any_part_cannot_be_read_no_one_can_approve(operation: str, scene: Scene) -> None:
    for login in ("writer", "keeper"):
        scene.repository.collaborator(login, "write")
    scene.pull.review("keeper", "APPROVED")
    scene.load()
    assert scene.approval("keeper").approved_by
    scene.reject = rejecting(FORBIDDEN, operation)
    scene.load()
    found = scene.approval("writer", "keeper")
    assert (found.unread, found.approved_by, found.can_approve) == (True, (), ())


def test_a_permission_is_read_only_if_it_decides() -> None:
    text = "writer APPROVED\nauthor APPROVED\nowner APPROVED older\nkeeper CHANGES_REQUESTED\ngate[bot] APPROVED"
    read: list[str] = []

    def permission(login: str) -> str:
        read.append(login)
        return ""

    status([*given(text), ROBOT], permission=permission)
    status("owner APPROVED\nreader APPROVED", ("reader",), permission=permission)
    assert list(dict.fromkeys(read)) == ["writer", "reader"]


def a_page(*nodes: object, more: bool = False) -> dict[str, Any]:
    return {"nodes": list(nodes), "pageInfo": {"hasNextPage": more}}


def a_commit(*authors: str | None, updates: object = None, committer: str = "", web: bool = False) -> dict[str, Any]:
    """Return a commit as GraphQL has it; the account of a bot is null there. `updates` is a merge's first parent."""
    return {
        "committedViaWeb": web,
        "committer": {"user": {"login": committer} if committer else None},
        "parents": {"totalCount": 2 if updates else 1, "nodes": [updates or {}]},
        "authors": a_page(*({"user": login and {"login": login}} for login in authors)),
    }


def requesters(head: object, assignees: object) -> Collection[str]:
    return read_requesters(OPENED, 7, HEAD, answering({"pullRequest": {"assignees": assignees}, "object": head}))


COPILOTS = a_commit(None, "octocat", web=True)  # Copilot's commits name the person who asked as a co-author
MONA = a_page({"login": "mona"})


@pytest.mark.parametrize(
    ("head", "authors"),
    [
        *((COPILOTS, ["octocat"]), (a_commit(None), []), (a_commit("hubot", None, "octocat"), ["hubot", "octocat"])),
        (a_commit("hubot", updates=COPILOTS, web=True), ["octocat"]),
        (a_commit("hubot", updates=COPILOTS, committer="web-flow"), ["octocat"]),
        (a_commit("hubot", updates=a_commit("ada", updates=COPILOTS, web=True), web=True), ["ada"]),
        *((a_commit("hubot", updates=COPILOTS), ["hubot"]), (a_commit("hubot", committer="web-flow"), ["hubot"])),
        (a_commit("mona"), []),
    ],
)
def test_who_asked_a_bot_are_the_assignees_and_the_authors_of_the_last_change(head: object, authors: list[str]) -> None:
    assert requesters(head, MONA) == {*authors, "mona", "copilot"}


@pytest.mark.parametrize(
    ("head", "assignees"),
    [
        *((COPILOTS, None), (COPILOTS, a_page({"login": "mona"}, more=True)), (COPILOTS, a_page(None))),
        *((COPILOTS, a_page({"login": 1})), (None, MONA), (a_commit(), MONA)),
        *(({"authors": a_page({"user": None}, more=True)}, MONA), ({"authors": a_page({})}, MONA)),
        ({**COPILOTS, "parents": None}, MONA),
    ],
)
def test_if_someone_who_asked_a_bot_may_be_missing_they_are_not_known(head: object, assignees: object) -> None:
    with pytest.raises(GitHubError):
        requesters(head, assignees)


@pytest.mark.parametrize(
    ("reviewers", "reviews", "requested", "asked"),
    [
        *((LISTED, "", [], ["Writer", "keeper"]), ((), "", [], []), (LISTED, "", ["writer"], ["keeper"])),
        *((LISTED, f"WRITER {state}", [], ["keeper"]) for state in (CHANGES, DISMISSED, COMMENTED)),
        (LISTED, "writer APPROVED older\nkeeper PENDING", [], ["Writer", "keeper"]),
    ],
)
def test_a_review_of_this_head_is_requested_once_from_each_listed_reviewer_who_can_approve(
    reviewers: tuple[str, ...], reviews: str, requested: list[str], asked: list[str], scene: Scene
) -> None:
    scene.pull.author = scene.github.world.user("author")
    for login in ("Writer", "keeper"):
        scene.repository.collaborator(login, "write")
    older, head = scene.repository.branches["main"].sha, scene.pull.head_sha
    for each in given(reviews):
        scene.pull.review(each.author, each.state, sha=head if each.commit == HEAD else older)
    scene.pull.requested = [scene.github.world.user(login) for login in requested]
    scene.load()
    result = a_result(gate=a_gate(stage=Stage.SOFT), approval=scene.approval(*reviewers))
    request_reviews(scene.calls, scene.subject.event, [result, result])
    sent = scene.github.calls("pulls/request-reviewers")
    assert [json.loads(each.body)["reviewers"] for each in sent] == [[login] for login in asked]
