"""One comment on the pull request is created, kept up to date, and left alone where it is somebody else's."""

from __future__ import annotations

import pytest

from sepurux_action.errors import ErrorDetails
from sepurux_action.github.calls import BoundedCalls
from sepurux_action.github.event import Event
from sepurux_action.github.snapshot import Comment, Snapshot
from sepurux_action.github.sticky_comment import StickyComment
from tests.fakes import FakeClock, FakeGitHubClient, FakeOutput

EVENT = Event(name="pull_request", repository="octo/shop", commit="b" * 40, pull_request=7, no_pr_reason="")
MARKER = "<!-- sepurux-gate:core "
TEXT = f"{MARKER}new -->"
OLD = Comment(id=3, body=f"{MARKER}old -->", url="https://github.com/#3")
NEWER = Comment(id=4, body=f"{MARKER}old -->", url="https://github.com/#4")

OUTAGE = ErrorDetails(message="GitHub kept failing")
LIMITED = ErrorDetails(status=403, message="You have exceeded a secondary rate limit", rate_limited=True)
FORBIDDEN = ErrorDetails(status=403, message="issue is locked", forbidden=True)


class Scene:
    """A pull request with comments of the gate."""

    def __init__(self, *comments: Comment, pages: tuple[Snapshot, ...] = (Snapshot(),)) -> None:
        clock = FakeClock()
        self.client = FakeGitHubClient(clock, pages=pages, comments={comment.id: comment for comment in comments})
        self.output = FakeOutput()
        calls = BoundedCalls(clock, self.output, EVENT)
        calls.set_timeout(60)
        self.sticky = StickyComment(self.client, calls, MARKER)

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


def test_only_a_comment_that_begins_with_the_marker_is_found() -> None:
    quoted = Comment(id=5, body=f"> {OLD.body}")
    assert Scene().sticky.find_in([quoted, OLD, NEWER]) == (OLD, NEWER)


def test_a_comment_whose_response_was_lost_is_found_instead_of_created_again() -> None:
    scene = Scene()
    scene.client.lose = True
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


@pytest.mark.parametrize(
    "pages", [(Snapshot(comments_known=False),), (Snapshot(after="1"), Snapshot(comments_known=False))]
)
def test_a_lost_comment_that_cannot_be_searched_for_is_not_sent_again(pages: tuple[Snapshot, ...]) -> None:
    scene = Scene(pages=pages)
    scene.reject("create_comment", OUTAGE)
    assert scene.upsert() == ""
    assert len(scene.client.named("create_comment")) == 1
    assert len(scene.output.annotations) == 1


@pytest.mark.parametrize("details", [LIMITED, FORBIDDEN])
def test_a_rejected_comment_is_not_sent_again(details: ErrorDetails) -> None:
    scene = Scene()
    scene.reject("create_comment", details)
    assert scene.upsert() == ""
    assert len(scene.client.named("create_comment")) == 1


def test_after_a_race_the_oldest_comment_is_left() -> None:
    scene = Scene(OLD)
    assert scene.upsert() == OLD.url
    assert scene.bodies == [TEXT]


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
