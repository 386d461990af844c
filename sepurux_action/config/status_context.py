"""The context of a commit status: its prefix, the base branch, and the name of the gate."""

from __future__ import annotations

MAX_CONTEXT_LENGTH = 255  # characters
BASE = "{base}"  # in a prefix of status contexts


# -- the description of a commit status -------------------------------------------------------------------------------


def status_context(prefix: str, gate: str, base: str) -> str:
    """Return the context of a gate's status: `<prefix> / <name>`, with the base branch for `{base}` in the prefix."""
    return f"{prefix.replace(BASE, base)} / {gate}"
