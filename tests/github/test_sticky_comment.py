"""One comment on the pull request is created, kept up to date, and left alone where it is someone else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.sticky_comment import StickyComment
from tests import backend
from tests.fakes import FakeClock, FakeOutput
from tests.github_double import BOT, GitHub, faults
from tests.github_double.in_process import connected
from tests.scenes import a_client_scene

CREATE, LIST, EDIT = "issues/create-comment", "issues/list-comments", "issues/update-comment"
MARKER = "<!-- sepurux-gate:core "
TEXT, BEFORE = f"{MARKER}new -->", f"{MARKER}old -->"


class Scene:
    """A pull request, and a step that writes its comment."""

    def __init__(self, github: GitHub) -> None:
        made = a_client_scene(github)
        self.github, self.pull, self._client = github, made.pull, made.client
        self.output = FakeOutput()
        self._calls = BoundedCalls(made.client, FakeClock(), self.output, made.event)
        self._calls.set_timeout(60)

    def upsert(self, *, known: bool = True, account: str = BOT) -> str:
        """Write the comment; without `known`, the comments that there are were not seen before."""
        ours = self._client.snapshot(self.pull.number).comments if known else ()
        return StickyComment(self._calls, self.pull.number, MARKER, account).upsert(ours, TEXT)

    @property
    def bodies(self) -> list[str]:
        return [comment.body for comment in self.pull.comments]

    @property
    def sent(self) -> list[str]:
        """Return the operations on comments, in their order."""
        return [record.operation for record in self.github.calls("issues/*")]


@pytest.fixture
def scene() -> Iterator[Scene]:
    github = GitHub()
    with connected(github):
        yield Scene(github)


def test_the_comment_is_created_once_and_then_edited(scene: Scene) -> None:
    address = scene.upsert()
    [created] = scene.pull.comments
    assert address.endswith(f"#issuecomment-{created.id}")
    created.body = BEFORE
    assert scene.upsert() == address
    assert scene.bodies == [TEXT]


def test_an_unchanged_comment_is_not_edited(scene: Scene) -> None:
    scene.pull.comment(BOT, TEXT)
    scene.upsert()
    assert scene.sent == []


def test_a_comment_whose_response_was_lost_is_found_instead_of_created_again(scene: Scene) -> None:
    scene.github.fault(CREATE, faults.lost)
    address = scene.upsert()
    [created] = scene.pull.comments
    assert address.endswith(f"#issuecomment-{created.id}")
    assert scene.sent == [CREATE, LIST]
    assert scene.output.annotations == []


def test_a_comment_that_was_not_created_is_sent_a_second_time_and_no_more(scene: Scene) -> None:
    scene.github.fault(CREATE, backend.reset(), always=True)
    assert scene.upsert() == ""
    assert scene.sent == [CREATE, LIST, CREATE]
    assert len(scene.output.annotations) == 1


def test_a_lost_comment_that_cannot_be_searched_for_is_not_sent_again(scene: Scene) -> None:
    scene.github.fault(CREATE, backend.reset())
    scene.github.fault(LIST, faults.broken(), always=True)
    assert scene.upsert() == ""
    assert scene.sent.count(CREATE) == 1
    assert len(scene.output.annotations) == 2


def test_without_the_tokens_account_no_comment_is_known_as_its_own(scene: Scene) -> None:
    scene.pull.comment(BOT, BEFORE)
    scene.github.fault(CREATE, faults.lost)
    assert scene.upsert(known=False, account="") == ""
    assert (scene.sent, scene.bodies) == ([CREATE], [BEFORE, TEXT])
    assert any("did not return the account of the token" in text for _, text in scene.output.annotations)


@pytest.mark.parametrize("lost", [False, True])
def test_of_comments_that_are_listed_late_the_oldest_one_is_left(scene: Scene, *, lost: bool) -> None:
    scene.github.fault(CREATE, faults.lost if lost else faults.through)
    scene.github.fault(LIST, backend.json([]))
    ids = []
    scene.github.after(CREATE, lambda: ids.append(scene.pull.comments[0].id))
    address = scene.upsert()
    assert (address.partition("#")[2], scene.bodies) == (f"issuecomment-{ids[0]}", [TEXT])
    assert scene.sent == [*[CREATE, LIST] * (1 + lost), *["issues/delete-comment"] * lost]


@pytest.mark.parametrize("rejection", [faults.secondary_limit(), faults.refused(403, "issue is locked")])
def test_a_rejected_comment_is_not_sent_again(rejection: backend.Answer, scene: Scene) -> None:
    scene.github.fault(CREATE, rejection)
    assert scene.upsert() == ""
    assert scene.sent == [CREATE]


def test_after_a_race_the_older_comment_is_left_with_the_text_of_the_newer_one(scene: Scene) -> None:
    older = scene.pull.comment(BOT, BEFORE)
    assert scene.upsert(known=False).endswith(f"#issuecomment-{older.id}")
    assert scene.bodies == [TEXT]


def test_after_a_race_the_older_comment_keeps_its_text_if_it_is_this_runs_own(scene: Scene) -> None:
    other = f"{MARKER}of the other run -->"

    def edited() -> None:
        scene.pull.comments[0].body = other
        scene.pull.comment(BOT, BEFORE)

    scene.github.after(CREATE, edited)
    scene.upsert()
    assert scene.bodies == [other]


def test_duplicates_are_deleted_only_if_the_comment_was_edited(scene: Scene) -> None:
    for _ in range(2):
        scene.pull.comment(BOT, BEFORE)
    scene.github.fault(EDIT, faults.broken(), always=True)
    scene.upsert()
    assert scene.bodies == [BEFORE] * 2
    scene.github.faults.clear()
    scene.upsert()
    assert scene.bodies == [TEXT]


def test_a_comment_that_was_deleted_meanwhile_is_created_again(scene: Scene) -> None:
    scene.pull.comment(BOT, BEFORE)
    scene.github.before(EDIT, scene.pull.comments.clear)
    scene.upsert()
    assert scene.bodies == [TEXT]
    assert scene.output.annotations == []
