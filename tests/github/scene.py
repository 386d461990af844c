"""A pull request on the double, and the session of a step on it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from sepurux_action.common.secret import Secret
from sepurux_action.config.settings import Settings
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision
from sepurux_action.github.client import Calls, Client, connect
from sepurux_action.github.event import Event
from sepurux_action.github.pull_request import approval, marker_of, publish_comment
from sepurux_action.github.queries import PullRequest, Status, Subject
from sepurux_action.github.statuses import publish_results
from sepurux_action.github.subject import read_subject
from sepurux_action.host.deadlines import Timeouts
from tests.fakes import FakeClock, FakeOutput
from tests.github_double import BOT, GitHub, Record
from tests.github_double.state import Refusal
from tests.scenes import DECIDED

SETTINGS = Settings()
PULL, FILES, SET = "graphql pull", "repos/compare-commits-with-basehead", "repos/create-commit-status"
OUTAGE, FORBIDDEN = Refusal(502, "Server Error"), Refusal(403, "Resource not accessible by integration")
Reject = Callable[[Record], Refusal | None]


class Scene:
    """A pull request, a clock that only requests and pauses move, and the calls and the subject of a step.

    Each request takes `takes_s` seconds. `reject` returns why one is rejected.
    """

    calls: Calls
    subject: Subject
    done: dict[str, Status]

    def __init__(self, github: GitHub) -> None:
        self.github = github
        self.repository = github.repository("octo/shop")
        self.pull = self.repository.pull("mona", head="feature")
        self.client = connect(github.url, Secret(github.token()), "octo/shop")
        event = Event(name="pull_request", repository="octo/shop", run_url="https://github.com/run", base_ref="main")
        self.event = replace(event, commit=self.pull.head_sha, pull_request=self.pull.number)
        self.clock, self.output = FakeClock(), FakeOutput()
        self.timeouts: Timeouts = self.clock
        self.takes_s = 0.0
        self.reject: Reject = lambda _: None
        github.arrived = self._arrive

    def _arrive(self, record: Record) -> None:
        self.clock.time += self.takes_s
        if refusal := self.reject(record):
            raise refusal

    def load(self, **changes: Any) -> Subject:  # noqa: ANN401 - fields of many types
        """Begin a step for the event with these changes: make the first reads."""
        event = replace(self.event, **changes)
        self.calls, self.done = Calls(self.client, self.timeouts, self.output), {}
        self.subject = read_subject(self.calls, event)
        return self.subject

    def approval(self, *reviewers: str) -> ApprovalStatus:
        return approval(self.calls, self.subject.event, reviewers)

    def publish_results(self, results: Iterable[GateDecision]) -> None:
        publish_results(self.calls, self.subject, results, self.done)

    def publish_comment(self, pull: PullRequest | None, text: str = "Report") -> str:
        event, text = self.subject.event, f"{marker_of(SETTINGS)}\n{text}"
        return publish_comment(self.calls, event, pull, text, create=True) if pull else ""

    def decided(self, commit: str, rate: float) -> None:
        self.repository.status(commit, "success", "Sepurux / core", DECIDED.replace("91.0", f"{rate:.1f}"))

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
        newest = self.repository.latest_statuses(self.pull.head_sha)
        return {each.context: each.state for each in newest}


def answering(repository: object, **others: object) -> Client:
    """Return a client whose queries all get this repository."""
    return Client(
        lambda *_, **__: {"data": {"repository": repository, "viewer": {"login": BOT}}, **others}, "octo/shop"
    )


def rejecting(refusal: Refusal, operation: str, body: str = "") -> Reject:
    """Reject the requests of an operation whose body contains a text."""
    return lambda each: refusal if fnmatchcase(each.operation, operation) and body in each.body.decode() else None
