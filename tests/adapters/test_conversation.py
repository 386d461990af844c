"""The talk with GitHub has time of its own: what was spent on the evaluation is not taken from the last word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from sepurux_action.conversation import Conversation
from sepurux_action.core.forge import Manner
from tests.adapters.test_github_forge import Scene, a_scene
from tests.builders import a_result
from tests.fakes import FakeClock, FakePlace
from tests.github import GitHub, faults

DAY_S = 24 * 3600


@pytest.fixture
def dotcom() -> Iterator[Scene]:
    with GitHub() as github:
        yield a_scene(github)


def after_a_day(scene: Scene) -> Conversation:
    """Return a talk whose pull request was read a day ago."""
    clock = FakeClock()
    talk = Conversation(scene.forge, clock, FakePlace(), scene.event, secret="")
    talk.listen("")
    talk.adopt(Manner(key="core"))
    clock.time += DAY_S
    return talk


def test_reviews_have_time_of_their_own(dotcom: Scene) -> None:
    talk = after_a_day(dotcom)
    assert talk.look.pull_request is not None
    assert talk.soft_gate.opening(talk.look.pull_request, ()) is not None


@pytest.mark.parametrize("end", [lambda talk: talk.conclude([a_result()]), lambda talk: talk.refuse(["core"])])
def test_the_last_status_has_time_of_its_own(end: Callable[[Conversation], None], dotcom: Scene) -> None:
    end(after_a_day(dotcom))
    [status] = dotcom.repository.latest_statuses(dotcom.pull.head_sha)
    assert status.state == "failure"


def listened(scene: Scene) -> Conversation:
    """Return a conversation that has just read the pull request."""
    talk = Conversation(scene.forge, FakeClock(), FakePlace(), scene.event, secret="")
    talk.listen("")
    return talk


def retarget(scene: Scene) -> None:
    scene.pull.base_ref = "next"


def push(scene: Scene) -> None:
    scene.pull.push({"docs/readme.md": "x"})


def fail_to_answer(scene: Scene) -> None:
    scene.github.fault("graphql", faults.refused(404, "Not Found"), always=True)


@pytest.mark.parametrize("change", [push, retarget])
def test_of_a_pull_request_that_was_changed_before_the_start_no_files_are_read(
    change: Callable[[Scene], None], dotcom: Scene
) -> None:
    change(dotcom)
    assert listened(dotcom).changed_files() is None
    assert not dotcom.github.calls("pulls/list-files")


@pytest.mark.parametrize("change", [push, retarget, fail_to_answer])
def test_the_list_of_files_does_not_count_once_the_pull_request_has_changed(
    change: Callable[[Scene], None], dotcom: Scene
) -> None:
    talk = listened(dotcom)
    assert talk.changed_files() is not None
    assert talk.is_current()
    change(dotcom)
    assert not talk.is_current()


@pytest.mark.parametrize("commit", ["f" * 40, ""], ids=["a merge group", "unknown"])
def test_a_judged_commit_that_is_not_the_pull_requests_head_has_no_list_of_files(commit: str, dotcom: Scene) -> None:
    event = replace(dotcom.event, commit=commit)
    assert listened(dotcom._replace(event=event)).changed_files() is None
