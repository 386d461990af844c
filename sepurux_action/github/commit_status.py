"""A commit status, and its states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CommitState(StrEnum):
    """The state of a commit status, of those that the gate uses."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """A status of a commit; `context` is its name, and `url` where it links to, or ''."""

    context: str
    state: CommitState
    description: str
    url: str = ""
