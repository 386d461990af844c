"""The stages of a gate, and what it does without a decision."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """How far a team has adopted the gate."""

    OBSERVE = "observe"
    SOFT = "soft"
    HARD = "hard"


class OnUndecided(StrEnum):
    """What a gate does when there is no verdict."""

    BLOCK = "block"
    ALLOW = "allow"
