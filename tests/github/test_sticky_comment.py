"""One comment on the pull request is created, kept up to date, and left alone where it is someone else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sepurux_action.errors import ErrorDetails
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.event import Event
from sepurux_action.github.snapshot import Comment
from sepurux_action.github.sticky_comment import StickyComment
from tests.fakes import FakeClock, FakeGitHubClient, FakeOutput

EVENT = Event(name="pull_request", repository="octo/shop", commit="b" * 40, pull_request=7)
MARKER = "<!-- sepurux-gate:core "
TEXT = f"{MARKER}new -->"
OLD = Comment(id=3, body=f"{MARKER}old -->", url="https://github.com/#3")
NEWER = Comment(id=4, body=f"{MARKER}old -->", url="https://github.com/#4")

OUTAGE = ErrorDetails(message="GitHub kept failing")
LIMITED = ErrorDetails(status=403, message="You have exceeded a secondary rate limit", rate_limited=True)
FORBIDDEN = ErrorDetails(status=403, message="issue is locked", forbidden=True)


class Scene:
    """A pull request with comments of the gate."""

    def __init__(self, *comments: Comment, account: str = "github-actions[bot]") -> None:
        clock = FakeClock()
        self.client = FakeGitHubClient(clock, comments={comment.id: comment for comment in comments})
        self.output = FakeOutput()
        calls = BoundedCalls(self.client, clock, self.output, EVENT)
        calls.set_timeout(60)
        self.sticky = StickyComment(calls, 7, MARKER, account)

    def upsert(self, *ours: Comment) -> str:
        return self.sticky.upsert(ours, TEXT)

    def reject(self, name: str, details: ErrorDetails) -> None:
        self.client.reject = lambda called, _target, _time: details if called == name else None

    @property
    def bodies(self) -> list[str]:
        return [comment.body for comment in self.client.comments.values()]


def test_the_comment_is_created_once_and_then_edited() -> None:
    scene = Scene()
    address = scene.upsert()
    [created] = scene.client.comments.values()
    assert (address, created.body) == (created.url, TEXT)
    scene = Scene(OLD)
    assert scene.upsert(OLD) == OLD.url
    assert scene.bodies == [TEXT]


def test_an_unchanged_comment_is_not_edited() -> None:
    scene = Scene(Comment(id=3, body=TEXT))
    scene.upsert(*scene.client.comments.values())
    assert scene.client.calls == []


def test_a_comment_whose_response_was_lost_is_found_instead_of_created_again() -> None:
    scene = Scene()
    scene.client.lose = 1
    address = scene.upsert()
    [created] = scene.client.comments.values()
    assert address == created.url
    assert len(scene.client.named("create_comment")) == 1
    assert scene.output.annotations == []


def test_a_comment_that_was_not_created_is_sent_a_second_time_and_no_more() -> None:
    scene = Scene()
    scene.reject("create_comment", OUTAGE)
    assert scene.upsert() == ""
    assert len(scene.client.named("create_comment")) == 2
    assert len(scene.output.annotations) == 1


def test_a_lost_comment_that_cannot_be_searched_for_is_not_sent_again() -> None:
    scene = Scene()
    scene.client.reject = lambda called, *_: OUTAGE if called in {"create_comment", "newest_comments"} else None
    assert scene.upsert() == ""
    assert len(scene.client.named("create_comment")) == 1
    assert len(scene.output.annotations) == 2


def test_without_the_tokens_account_no_comment_is_known_as_its_own() -> None:
    scene = Scene(OLD, account="")
    scene.client.lose = 1
    assert scene.upsert() == ""
    assert len(scene.client.named("create_comment")) == 1
    assert OLD in scene.client.comments.values()
    assert any("did not return the account of the token" in text for _, text in scene.output.annotations)


@pytest.mark.parametrize(("lose", "calls"), [(0, 1), (1, 2)])
def test_of_comments_that_are_listed_late_the_oldest_one_is_left(lose: int, calls: int) -> None:
    scene = Scene()
    scene.client.lose, scene.client.late = lose, 1
    address = scene.upsert()
    [left] = scene.client.comments.values()
    assert (address, left.url, left.body) == (left.url, "https://github.com/#1", TEXT)
    called = [*["create_comment", "newest_comments"] * calls, *["delete_comment"] * lose]
    assert [name for _, name, _ in scene.client.calls] == called


@pytest.mark.parametrize("details", [LIMITED, FORBIDDEN])
def test_a_rejected_comment_is_not_sent_again(details: ErrorDetails) -> None:
    scene = Scene()
    scene.reject("create_comment", details)
    assert scene.upsert() == ""
    assert len(scene.client.named("create_comment")) == 1


def test_after_a_race_the_older_comment_is_left_with_the_text_of_the_newer_one() -> None:
    scene = Scene(OLD)
    assert scene.upsert() == OLD.url
    assert scene.bodies == [TEXT]


def test_after_a_race_the_older_comment_keeps_its_text_if_it_is_this_runs_own() -> None:
    """The other run has edited it meanwhile, with its own text."""
    scene = Scene()
    other = f"{MARKER}of the other run -->"

    def edited(called: str, _target: str, _time: float) -> None:
        if called == "newest_comments":
            number, comment = next(iter(scene.client.comments.items()))
            scene.client.comments = {number: replace(comment, body=other), NEWER.id + 1_000: replace(NEWER, id=1_004)}

    scene.client.reject = edited
    scene.upsert()
    assert scene.bodies == [other]


def test_duplicates_are_deleted_only_if_the_comment_was_edited() -> None:
    scene = Scene(OLD, NEWER)
    scene.reject("edit_comment", OUTAGE)
    scene.upsert(OLD, NEWER)
    assert len(scene.bodies) == 2
    scene.reject("", OUTAGE)
    scene.upsert(OLD, NEWER)
    assert scene.bodies == [TEXT]


def test_a_comment_that_was_deleted_meanwhile_is_created_again() -> None:
    scene = Scene()
    scene.upsert(OLD)
    assert scene.bodies == [TEXT]
    assert scene.output.annotations == []
