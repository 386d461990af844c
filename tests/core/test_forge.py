"""What a refusal of GitHub's means, in the one warning that a user reads."""

from __future__ import annotations

import pytest

from sepurux_action.core.event import Event
from sepurux_action.core.forge import Deed, Refusal, explain, policy_commit

FORBIDDEN = Refusal(status=403, message="Resource not accessible by integration", forbidden=True)
OWN = Event(name="pull_request", pull_request=7, why_none="")
FORK = Event(name="pull_request", pull_request=7, fork=True, why_none="")
DEPENDABOT = Event(name="pull_request", pull_request=7, dependabot=True, why_none="")


@pytest.mark.parametrize(
    ("deed", "refusal", "event", "says"),
    [
        (Deed.STATUS, FORBIDDEN, OWN, "Give the job `statuses: write` under `permissions:`."),
        (Deed.COMMENT, FORBIDDEN, OWN, "Give the job `pull-requests: write` under `permissions:`."),
        (
            Deed.COMMENT,
            Refusal(status=403, accepted="issues=write; pull_requests=write", forbidden=True),
            OWN,
            "Give the job `issues: write` or `pull-requests: write` under `permissions:`.",
        ),
        (Deed.COMMENT, FORBIDDEN, FORK, "`workflow_run`"),
        (Deed.STATUS, FORBIDDEN, DEPENDABOT, "Dependabot's token reads only unless the job says so"),
        (Deed.STATUS, Refusal(status=403, message="Repository was archived so is read-only."), OWN, "archived"),
        (Deed.COMMENT, Refusal(status=403, message="issue is locked"), OWN, "`comment: never`"),
        (Deed.STATUS, Refusal(status=401), OWN, "not valid any more"),
        (Deed.STATUS, Refusal(status=404), OWN, "`statuses: write`"),
        (Deed.STATUS, Refusal(status=422, message="Validation Failed"), OWN, "Validation Failed"),
        (Deed.READ, Refusal(status=429, limited=True), OWN, "rate limit"),
        (Deed.READ, Refusal(status=0, message="GitHub kept failing"), OWN, "GitHub kept failing"),
    ],
)
def test_each_refusal_is_one_sentence_more_than_what_to_change(
    deed: Deed, refusal: Refusal, event: Event, says: str
) -> None:
    warning = explain(deed, refusal, event)
    assert warning.startswith(f"Could not {deed} (")
    assert says in warning
    assert warning.lower().endswith("the verdict and the exit status stand.")
    assert warning.isprintable()


@pytest.mark.parametrize(
    ("event", "commit"),
    [
        (Event(name="pull_request", pull_request=7, base_sha="b" * 40, why_none=""), "b" * 40),
        (Event(name="merge_group", pull_request=7, base_sha="b" * 40, why_none=""), "b" * 40),
        (Event(name="push", pull_request=7, base_sha="b" * 40, why_none=""), "b" * 40),
        (Event(name="workflow_run"), "HEAD"),
        (Event(name="issue_comment"), "HEAD"),
        (Event(name="pull_request", pull_request=7, why_none=""), "HEAD"),
        (Event(name="workflow_run", base_ref="release/1"), "refs/heads/release/1"),
        (Event(name="push", base_ref="release/1"), "refs/heads/release/1"),
        (Event(name="push"), ""),
        (Event(name="schedule"), ""),
        (Event(name="deployment"), ""),
    ],
)
def test_whose_policy_rules_each_event(event: Event, commit: str) -> None:
    assert policy_commit(event) == commit
