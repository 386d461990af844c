"""The stages of a gate."""

from enum import StrEnum

from sepurux_action.config import kinds


class Stage(StrEnum):
    OBSERVE = "observe"
    SOFT = "soft"
    HARD = "hard"


STAGE = kinds.word_of(Stage, "STAGE")


class OnOutage(StrEnum):
    BLOCK = "block"
    ALLOW = "allow"
