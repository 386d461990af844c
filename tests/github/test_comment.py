"""One comment on the pull request is created, kept up to date, and left alone where it is someone else's."""

from __future__ import annotations

import pytest

from tests import backend
from tests.github.scene import Scene
from tests.github_double import faults

CREATE, LIST, EDIT = "issues/create-comment", "issues/list-comments", "issues/update-comment"
MARKER = "<!-- sepurux-gate:gates -->"
TEXT, BEFORE = f"{MARKER}\nnew", f"{MARKER}\nold"


def write(scene: Scene) -> str:
    """Write the comment; return its address."""
    publisher = scene.load().publisher
    publisher.read_again()
    publisher.publish_results([])
    return publisher.publish_comment([], lambda marker, _: f"{marker}\nnew")


def bodies(scene: Scene) -> list[str]:
    return [comment.body for comment in scene.pull.comments]


def sent(scene: Scene) -> list[str]:
    """Return the operations on comments, in their order."""
    return [record.operation for record in scene.github.calls("issues/*")]


def test_the_comment_is_created_once_and_then_edited_if_it_changes(scene: Scene) -> None:
    address = write(scene)
    [created] = scene.pull.comments
    assert address.endswith(f"#issuecomment-{created.id}")
    assert write(scene) == address
    created.body = BEFORE
    assert write(scene) == address
    assert (bodies(scene), sent(scene)) == ([TEXT], [CREATE, LIST, EDIT])


@pytest.mark.parametrize("lost", [True, False])
def test_a_comment_that_was_not_created_is_sent_a_second_time_and_no_more(scene: Scene, *, lost: bool) -> None:
    scene.github.fault(CREATE, faults.lost if lost else backend.reset(), always=True)
    assert bool(write(scene)) is lost
    assert sent(scene) == ([CREATE, LIST] if lost else [CREATE, LIST, CREATE])
    assert len(scene.warnings) == (not lost)


@pytest.mark.parametrize("rejection", [faults.secondary_limit(), faults.refused(403, "issue is locked")])
def test_a_rejected_comment_or_one_that_may_exist_is_not_sent_again(rejection: backend.Answer, scene: Scene) -> None:
    scene.github.fault(CREATE, rejection, backend.reset())
    scene.github.fault(LIST, faults.broken(), always=True)
    assert write(scene) == ""
    assert sent(scene) == [CREATE]
    assert write(scene) == ""
    assert sent(scene).count(CREATE) == 2
    assert len(scene.warnings) == 3


def test_without_the_tokens_account_no_comment_is_known_as_its_own(scene: Scene) -> None:
    scene.github.fault("graphql commit", backend.reset(), always=True)
    scene.github.fault(CREATE, faults.lost)
    scene.github.before(CREATE, lambda: scene.comment(BEFORE))
    assert write(scene) == ""
    assert (sent(scene), bodies(scene)) == ([CREATE], [BEFORE, TEXT])
    assert any("did not return the account of the token" in text for text in scene.warnings)


@pytest.mark.parametrize("lost", [False, True])
def test_of_comments_that_are_listed_late_the_oldest_one_is_left(scene: Scene, *, lost: bool) -> None:
    scene.github.fault(CREATE, faults.lost if lost else faults.through)
    scene.github.fault(LIST, backend.json([]))
    ids = []
    scene.github.after(CREATE, lambda: ids.append(scene.pull.comments[0].id))
    address = write(scene)
    assert (address.partition("#")[2], bodies(scene)) == (f"issuecomment-{ids[0]}", [TEXT])
    assert sent(scene) == [*[CREATE, LIST] * (1 + lost), *["issues/delete-comment"] * lost]


def test_after_a_race_the_older_comment_is_left_with_the_text_of_the_newer_one(scene: Scene) -> None:
    scene.github.before(CREATE, lambda: scene.comment(BEFORE))
    address = write(scene)
    assert address.endswith(f"#issuecomment-{scene.pull.comments[0].id}")
    assert bodies(scene) == [TEXT]


def test_after_a_race_the_older_comment_keeps_its_text_if_it_is_this_runs_own(scene: Scene) -> None:
    other = f"{MARKER}\nof the other run"

    def edited() -> None:
        scene.pull.comments[0].body = other
        scene.comment(BEFORE)

    scene.github.after(CREATE, edited)
    write(scene)
    assert bodies(scene) == [other]


def test_duplicates_are_deleted_only_if_the_comment_was_edited(scene: Scene) -> None:
    scene.comment(BEFORE)
    scene.comment(BEFORE)
    scene.github.fault(EDIT, *[faults.broken()] * 4)
    write(scene)
    assert bodies(scene) == [BEFORE] * 2
    write(scene)
    assert bodies(scene) == [TEXT]


def test_a_comment_that_was_deleted_meanwhile_is_created_again(scene: Scene) -> None:
    scene.comment(BEFORE)
    scene.github.before(EDIT, scene.pull.comments.clear)
    write(scene)
    assert bodies(scene) == [TEXT]
    assert scene.warnings == []
