"""The warning about a rejected call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sepurux_action.errors import ErrorDetails
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation, warning_text

FORBIDDEN = ErrorDetails(status=403, message="Resource not accessible by integration", forbidden=True)
EITHER = ErrorDetails(status=403, accepted="issues=write; pull_requests=write", forbidden=True)
OWN = Event(name="pull_request", pull_request=7)
REJECTED = ErrorDetails(status=422, message="Validation Failed")


@pytest.mark.parametrize(
    ("operation", "rejection", "event", "says"),
    [
        (Operation.STATUS, FORBIDDEN, OWN, "Give the job `statuses: write` under `permissions:`."),
        (Operation.COMMENT, EITHER, OWN, "Give the job `issues: write` or `pull-requests: write` under `permissions"),
        (Operation.COMMENT, FORBIDDEN, replace(OWN, fork=True), "`workflow_run`"),
        (Operation.STATUS, FORBIDDEN, replace(OWN, dependabot=True), "Dependabot's token reads only unless the job"),
        (Operation.STATUS, ErrorDetails(status=403, message="Repository was archived."), OWN, "archived"),
        (Operation.COMMENT, ErrorDetails(status=403, message="issue is locked"), OWN, "`comment: never`"),
        (Operation.STATUS, ErrorDetails(status=401), OWN, "`github_token` is not valid"),
        (Operation.STATUS, ErrorDetails(status=404), OWN, "`statuses: write`"),
        (Operation.STATUS, ErrorDetails(status=410), OWN, "It is turned off in the settings of this repository."),
        (Operation.STATUS, REJECTED, OWN, "(HTTP 422 Validation Failed). GitHub did not accept what the gate sent."),
        (Operation.PULL, ErrorDetails(status=429, rate_limited=True), OWN, "rate limit"),
        (Operation.PULL, ErrorDetails(message="GitHub kept failing"), OWN, "GitHub kept failing). Re-run the job. "),
    ],
)
def test_a_warning_says_what_to_change(operation: Operation, rejection: ErrorDetails, event: Event, says: str) -> None:
    warning = warning_text(operation, rejection, event)
    assert warning.startswith(f"Could not {operation.text} (")
    assert says in warning
    assert warning.lower().endswith("this does not change the result.")
    assert warning.isprintable()


@pytest.mark.parametrize(
    ("targets", "says"),
    [(("one", "two"), "(one, two: HTTP 422 "), ([f"g{number}" for number in range(23)], "g18, g19, 3 more: HTTP 422 ")],
)
def test_a_warning_names_the_targets_that_were_rejected(targets: Sequence[str], says: str) -> None:
    assert says in warning_text(Operation.STATUS, REJECTED, OWN, targets)
