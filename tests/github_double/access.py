"""What a token of the double may do, and how GitHub rejects a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.github_double.state import Account

LEVELS = ("none", "read", "write")
ALWAYS = {"metadata": "read"}  # every token of an app has it
NOT_ACCESSIBLE = "Resource not accessible by integration"


class Refusal(Exception):
    """GitHub rejects a call: `status` and `message` are those of REST, `kind` is the `type` of a GraphQL error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "UNPROCESSABLE",
        errors: Sequence[object] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.errors = errors
        self.headers = headers or {}


def not_found(message: str = "Not Found") -> Refusal:
    """Return the rejection for a thing that does not exist, or that the token may not see."""
    return Refusal(404, message, kind="NOT_FOUND")


def invalid(resource: str, name: str, message: str) -> Refusal:
    """Return the rejection of a value in a body."""
    error = {"resource": resource, "code": "custom", "field": name, "message": message}
    return Refusal(422, "Validation Failed", errors=[error])


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an account; `permissions` maps a workflow's `permissions:` keys to read or write, None is all."""

    account: Account
    permissions: Mapping[str, str] | None = None
    read_only: bool = False

    def level(self, permission: str) -> int:
        """Return 0 for none, 1 for read, 2 for write."""
        given = self.permissions if self.permissions is not None else {permission: "write"}
        word = {**given, **ALWAYS}.get(permission, "none")
        return min(LEVELS.index(word), 1 if self.read_only else 2)

    def need(self, *alternatives: str) -> None:
        """Raise Refusal unless one alternative such as `pull-requests=write` is granted."""
        for alternative in alternatives:
            permission, level = alternative.split("=")
            if self.level(permission) >= LEVELS.index(level):
                return
        accepted = "; ".join(alternatives).replace("-", "_")
        headers = {"X-Accepted-GitHub-Permissions": accepted}
        raise Refusal(403, NOT_ACCESSIBLE, kind="FORBIDDEN", headers=headers)
