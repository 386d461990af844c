"""What can go wrong between a client and GitHub, as steps around the work of a call."""

import time
from collections.abc import Callable

from tests import backend as be

Work = Callable[[], be.Answer]
Step = Callable[[Work], be.Answer]
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


def as_step(fault: be.Answer | Step) -> Step:
    return (lambda _: fault) if isinstance(fault, be.Answer) else fault


def through(work: Work) -> be.Answer:
    return work()


def lost(work: Work) -> be.Answer:
    """Do the work, and reset the connection instead of a response."""
    work()
    return be.reset()


def broken(status: int = 502) -> be.Answer:
    return be.json({"message": "Server Error"}, status)


def refused(status: int, message: str) -> be.Answer:
    """Answer a status with GitHub's message: 404 Not Found, 410 This issue was deleted, 422 Validation Failed."""
    return be.json({"message": message, "status": str(status)}, status)


def secondary_limit(*, retry_after_s: int | None = None, status: int = 403) -> be.Answer:
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return be.json({"message": SECONDARY}, status, headers)


def primary_limit(*, status: int = 403) -> be.Answer:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3600)}
    return be.json({"message": "API rate limit exceeded for installation ID 1."}, status, headers)
