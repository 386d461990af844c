"""The permission that each GitHub call needs, and the warning for a rejected call.

Source: https://docs.github.com/rest/authentication/permissions-required-for-github-apps
"""

import re
from collections.abc import Sequence
from enum import Enum

from sepurux_action.common import json_reader
from sepurux_action.common.wording import joined, optional
from sepurux_action.errors import ErrorDetails
from sepurux_action.github.event import Event

MAX_TARGETS_NAMED = 20  # in one warning
FORK_READS_ONLY = (
    "The token of a pull request from a fork can only read: "
    "evaluate such pull requests in a `workflow_run` workflow, or set `comment: never`."
)
# In `x-accepted-github-permissions`, such as `issues=write; pull_requests=write` for one of two ways.
_PERMISSION = re.compile(r"\b([a-z_]{1,40})=(read|write|admin)\b")


def failed_fields(response: object) -> frozenset[str]:
    """Return the fields of the repository that the errors in a GraphQL response are about; '' for another error."""
    paths = error_paths(json_reader.at(response, "errors"))
    return frozenset(path[1] if path[:1] == ("repository",) and len(path) > 1 else "" for path in paths)


def error_paths(errors: object) -> list[tuple[str, ...]]:
    paths = (json_reader.at(error, "path") for error in json_reader.as_array(errors))
    return [tuple(map(json_reader.text, json_reader.as_array(path))) for path in paths]


class Operation(Enum):
    """What the gate does on GitHub, as it completes "Could not ...", and the permission that it needs."""

    COMMIT = "read the policy file and the commit", "contents: read"
    BASE = "read the base branch", "contents: read"
    FILES = "read which files change", "contents: read"
    RULES = "read the branch's rules", "contents: read"
    FIND = "find the pull request of this run", "pull-requests: read"
    PULL = "read the pull request", "pull-requests: read"
    REVIEWS = "read the reviews", "pull-requests: read"
    REQUESTERS = "read who made the commit", "pull-requests: read"
    PULLS = "read the results of the last pull requests", "pull-requests: read"
    COMMENT = "write the comment", "pull-requests: write"
    REQUEST_REVIEW = "request a review", "pull-requests: write"
    RESULTS = "read the last results of the base branch", "statuses: read"
    STATUSES = "read the statuses of the commit", "statuses: read"
    STATUS = "set the commit status", "statuses: write"

    def __init__(self, text: str, permission: str) -> None:
        self.text = text
        self.permission = permission


def warning_text(operation: Operation, error: ErrorDetails, event: Event, targets: Sequence[str] = ()) -> str:
    more = optional("{} more", len(targets[MAX_TARGETS_NAMED:]))
    named = json_reader.printable(joined(", ", *targets[:MAX_TARGETS_NAMED], more))
    text = f"Could not {operation.text} ({joined(': ', named, error.summary)}). {advice(operation, error, event)}"
    if operation is Operation.STATUSES:
        return text
    if operation in {Operation.BASE, Operation.RESULTS}:
        return f"{text} Unless a gate limits a drop, this does not change the result."
    return f"{text} This does not change the result."


def advice(operation: Operation, error: ErrorDetails, event: Event) -> str:
    needed, message = operation.permission, error.message.lower()
    if "archived" in message:
        return "The repository is archived, so GitHub accepts no writes."
    if "locked" in message:
        return "The conversation is locked: unlock it, or set `comment: never`."
    if error.rate_limited:
        return "Re-run the job once GitHub's rate limit is reset: after some minutes, at most an hour."
    if error.forbidden:
        if needed.endswith("write") and event.fork and event.name in {"pull_request", "pull_request_review"}:
            return FORK_READS_ONLY
        ways = filter(None, map(_PERMISSION.findall, error.accepted.split(";")))
        several = (" and ".join(f"`{name.replace('_', '-')}: {level}`" for name, level in way) for way in ways)
        whose = " (Dependabot's token reads only unless the job says so)" if event.dependabot else ""
        return f"Give the job {' or '.join(several) or f'`{needed}`'} under `permissions:`{whose}."
    by_status = {
        401: "`github_token` is not valid: remove that input, so that the job's own token is used.",
        404: f"The token cannot see it, or it is gone: give the job `{needed}`.",
        410: "It is turned off in the settings of this repository.",
        422: "GitHub did not accept what the gate sent.",
    }
    rerun = "Re-run the job to publish it." if needed.endswith("write") else "Re-run the job."
    return by_status.get(error.status, rerun)
