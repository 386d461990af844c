"""The parts of a run that use GitHub: what it is about, what earlier runs left, and what it publishes."""

from collections.abc import Iterable
from dataclasses import replace

from sepurux_action.config.settings import Gate, Settings
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.earlier import Earlier
from sepurux_action.github.publisher import Publisher
from sepurux_action.github.soft_gate import ReviewGate
from sepurux_action.github.stage_advice import StageAdvice
from sepurux_action.github.subject import Changes, Subject, read_subject, with_base


class GitHubSession:
    """What one run reads from GitHub and publishes there, about one subject; nothing without a client."""

    def __init__(self, calls: BoundedCalls, subject: Subject, changes: Changes | None = None) -> None:
        self.calls, self.subject = calls, subject
        self.changes = changes or Changes(calls, subject)
        self.reviews = ReviewGate(calls, subject)
        self.advice = StageAdvice(calls, subject)
        self.earlier = Earlier(calls, subject)
        self.publisher = Publisher(calls, subject)

    def load(self) -> "GitHubSession":
        """Return the session with what GitHub shows before the evaluation."""
        return GitHubSession(self.calls, read_subject(self.calls, self.subject))

    def with_settings(self, settings: Settings) -> "GitHubSession":
        """Return the session with settings that say where and what to publish. What was read is not read again."""
        return GitHubSession(self.calls, replace(self.subject, settings=settings), self.changes)

    def with_base(self, gates: Iterable[Gate]) -> "GitHubSession":
        """Return the session with the results on the base branch if a gate limits a drop."""
        return GitHubSession(self.calls, with_base(self.calls, self.subject, gates), self.changes)
