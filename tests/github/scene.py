"""A pull request on the double, and the session of a step on it."""

import json
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from sepurux_action.config.settings import Settings
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.event import Event
from sepurux_action.github.session import GitHubSession
from sepurux_action.github.snapshot import PAGE
from sepurux_action.github.subject import Subject
from sepurux_action.host.deadlines import Timeouts
from tests.fakes import FakeClock, FakeOutput
from tests.github_double import BOT, GitHub, Record
from tests.github_double.state import Refusal
from tests.scenes import DECIDED, a_client_scene

SETTINGS = Settings()
BODY = "{}\nReport".format
PULL, FILES, SET = "graphql pull", "repos/compare-commits-with-basehead", "repos/create-commit-status"

OUTAGE, FORBIDDEN = Refusal(502, "Server Error"), Refusal(403, "Resource not accessible by integration")

Reject = Callable[[Record], Refusal | None]


class Scene:
    """A pull request, a clock that only requests and pauses move, and the session of a step.

    Each request takes `takes_s` seconds. `reject` returns why one is rejected.
    """

    session: GitHubSession

    def __init__(self, github: GitHub) -> None:
        self.github = github
        _, self.repository, self.pull, self.client, event = a_client_scene(github)
        self.event = replace(event, run_url="https://github.com/run")
        self.clock, self.output = FakeClock(), FakeOutput()
        self.timeouts: Timeouts = self.clock
        self.takes_s = 0.0
        self.reject: Reject = lambda _: None
        github.arrived = self._arrive

    def _arrive(self, record: Record) -> None:
        self.clock.time += self.takes_s
        if refusal := self.reject(record):
            raise refusal

    def calls(self, event: Event) -> BoundedCalls:
        return BoundedCalls(self.client, self.timeouts, self.output, event)

    def load(self, settings: Settings = SETTINGS, **changes: Any) -> GitHubSession:  # noqa: ANN401 - fields of many types
        """Begin a step for the event with these changes: make the first reads."""
        event = replace(self.event, **changes)
        subject = Subject(event=event, settings=settings)
        self.session = GitHubSession(self.calls(event), subject).load()
        return self.session

    def comments(self, pages: int) -> None:
        """Add comments of others, until there are so many pages of comments."""
        for number in range(len(self.pull.comments), PAGE * pages - 1):
            self.pull.comment("mona", f"comment {number}")

    def comment(self, body: str) -> None:
        self.pull.comment(BOT, body.replace("HEAD", self.pull.head_sha))

    def decided(self, commit: str, rate: float) -> None:
        self.repository.status(commit, "success", "Sepurux / core", DECIDED.replace("91.0", f"{rate:.1f}"))

    def push(self) -> None:
        self.pull.push()

    def hide(self) -> None:
        """Let the pull request be unreadable."""
        self.reject = rejecting(FORBIDDEN, PULL)

    @property
    def warnings(self) -> list[str]:
        return [text.removeprefix("Sepurux gate: ") for _, text in self.output.annotations]

    @property
    def operations(self) -> list[str]:
        return [record.operation for record in self.github.requests]

    @property
    def contexts(self) -> list[str]:
        return [json.loads(record.body)["context"] for record in self.github.calls(SET)]

    def states(self) -> dict[str, str]:
        """Return the states of the statuses of the pull request's head, by context."""
        newest = self.repository.latest_statuses(self.pull.head_sha)
        return {each.context: each.state for each in newest}


def rejecting(refusal: Refusal, operation: str, body: str = "") -> Reject:
    """Reject the requests of an operation whose body contains a text."""
    return lambda each: refusal if fnmatchcase(each.operation, operation) and body in each.body.decode() else None
