"""The talk with GitHub has time of its own: what was spent on the evaluation is not taken from the last word."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sepurux_action.conversation import Conversation
from sepurux_action.core.forge import Manner
from tests.adapters.test_github_forge import Scene, a_scene
from tests.builders import a_result
from tests.fakes import FakeClock, FakePlace
from tests.github import GitHub

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
