"""The parts of a run that use GitHub: what it is about, what earlier runs left, and what it publishes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from sepurux_action.config.gate import Gate
from sepurux_action.config.settings import Publishing
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.earlier import Earlier
from sepurux_action.github.publisher import Publisher
from sepurux_action.github.soft_gate import ReviewGate
from sepurux_action.github.stage_advice import StageAdvice
from sepurux_action.github.subject import Changes, Subject, read_subject, with_base


@dataclass(frozen=True, slots=True)
class GitHubSession:
    """What one run reads from GitHub and publishes there, about one subject; nothing without a client."""

    calls: BoundedCalls
    subject: Subject
    changes: Changes
    reviews: ReviewGate
    advice: StageAdvice
    earlier: Earlier
    publisher: Publisher

    @classmethod
    def of(cls, calls: BoundedCalls, subject: Subject) -> Self:
        reviews = ReviewGate(calls, subject)
        earlier = Earlier(calls, subject, reviews)
        publisher = Publisher(calls, subject, earlier)
        return cls(
            calls, subject, Changes(calls, subject), reviews, StageAdvice(calls, subject.event), earlier, publisher
        )

    def load(self) -> Self:
        """Return the session with what GitHub shows before the evaluation."""
        return self.of(self.calls, read_subject(self.calls, self.subject))

    def with_settings(self, settings: Publishing) -> Self:
        """Return the session with settings that say where and what to publish. What was read is not read again."""
        found = self.of(self.calls, replace(self.subject, settings=settings))
        return replace(found, changes=self.changes)

    def with_base(self, gates: Iterable[Gate]) -> Self:
        """Return the session with the base branch, read once more if it could not be read and a gate limits a drop."""
        return replace(self, subject=with_base(self.calls, self.subject, gates))
