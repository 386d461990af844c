"""The states of a commit status."""

from __future__ import annotations

from enum import StrEnum


class CommitState(StrEnum):
    """The state of a commit status, of those that the gate uses."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
