"""GitHub's own example payloads, read as docs/reference.md says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sepurux_action.github.event import SHA, Event, Lookup, PullRequest, parse_event, parse_pull_request

Payload = dict[str, Any]
PACKAGES = Path(sys.prefix) / "node_modules"  # `make setup` installs what package-lock.json names
RUN_SHA = "d" * 40  # GITHUB_SHA, where the runner takes it from nothing in the payload

# Where an example has commit, number, base and base commit; `-` for nowhere.
EXAMPLES = """
pull_request         pull_request.head.sha  pull_request.number pull_request.base.ref pull_request.base.sha
pull_request_target  pull_request.head.sha  pull_request.number pull_request.base.ref pull_request.base.sha
pull_request_review  pull_request.head.sha  pull_request.number pull_request.base.ref pull_request.base.sha
merge_group          merge_group.head_sha   104                 main                  merge_group.base_sha
push                 -                      -                   -                     -
workflow_run         workflow_run.head_sha  -                   -                     -
workflow_dispatch    GITHUB_SHA             -                   -                     -
deployment           deployment.sha         -                   -                     -
deployment_status    deployment.sha         -                   -                     -
release              GITHUB_SHA             -                   -                     -
schedule             GITHUB_SHA             -                   -                     -
issue_comment        GITHUB_SHA             -                   -                     -
repository_dispatch  GITHUB_SHA             -                   -                     -
"""
ROWS = [line.split() for line in EXAMPLES.strip().splitlines()]
# The package has none of these: one has the payload of another event, the other only a time.
STANDING_IN = {"pull_request_target": "pull_request"}
SCHEDULED: Payload = {"schedule": "30 5 * * 1,3"}


@pytest.fixture(scope="session")
def payloads() -> dict[str, list[Payload]]:
    index = PACKAGES / "@octokit" / "webhooks-examples" / "api.github.com" / "index.json"
    return {event["name"]: event["examples"] for event in json.loads(index.read_text(encoding="utf-8"))}


def parsed(name: str, payload: Payload) -> Event:
    home = payload.get("repository") or {}
    sha = payload["after"] if name == "push" else RUN_SHA
    return parse_event(name, payload, {"GITHUB_SHA": sha, "GITHUB_REPOSITORY": home.get("full_name", "acme/shop")})


def at(payload: Payload, path: str) -> object:
    """Return what the payload holds at a path, or the fixed value that the table gives in its place."""
    if path in {"-", "GITHUB_SHA"}:
        return {"-": "", "GITHUB_SHA": RUN_SHA}[path]
    if "." not in path:
        return path
    found: Any = payload
    for key in path.split("."):
        found = found[key]
    return found


@pytest.mark.parametrize(("name", "paths"), [(row[0], row[1:]) for row in ROWS if row[0] != "push"])
def test_an_event_has_what_its_payload_says(name: str, paths: list[str], payloads: dict[str, list[Payload]]) -> None:
    examples = payloads.get(STANDING_IN.get(name, name), [SCHEDULED])
    assert examples
    for payload in examples:
        event = parsed(name, payload)
        commit, number, base, base_sha = (at(payload, path) for path in paths)
        assert event.commit == commit
        assert str(event.pull_request or "") == str(number)
        assert (event.base_ref, event.base_sha) == (base, base_sha)
        if number:
            assert event.lookup is None
        else:  # some examples of workflow_run have the head in another repository
            assert event.lookup is not None
            assert bool(event.lookup.branch) is event.fork
            assert event.lookup.commit == commit
        assert not event.skip_reason


def test_a_push_is_asked_for_by_its_commit_and_a_deletion_is_skipped(payloads: dict[str, list[Payload]]) -> None:
    for payload in payloads["push"]:
        event = parsed("push", payload)
        if payload["deleted"]:
            assert (event.commit, event.skip_reason, event.lookup) == ("", f"{payload['ref']} was deleted", None)
        else:
            assert (event.commit, event.skip_reason) == (payload["after"], "")
            assert event.lookup == Lookup(commit=payload["after"])  # of the default branch, or of a tag
        assert event.head_branch == ("master" if payload["ref"] == "refs/heads/master" else "")
        assert event.branch == ("master" if event.head_branch else payload["repository"]["default_branch"])


def test_an_example_pull_request_is_read_whole(payloads: dict[str, list[Payload]]) -> None:
    assert parse_pull_request(payloads["pull_request"][0]["pull_request"]) == PullRequest(
        number=2,
        head_sha="ec26c3e57ca3a959ca5aad62de7213c562f8c821",
        head_repository="Codertocat/Hello-World",
        head_branch="changes",
        base_repository="Codertocat/Hello-World",
        base_ref="master",
        base_sha="f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
        author="Codertocat",
        open=True,
    )


def test_every_example_of_github_is_an_event_with_a_commit_or_none(payloads: dict[str, list[Payload]]) -> None:
    events = [parse_event(name, payload, {}) for name, examples in payloads.items() for payload in examples]
    assert len(events) > 300
    assert all(event.commit == "" or SHA.match(event.commit) for event in events)
    assert all(event.pull_request or event.no_pr_reason or event.lookup for event in events)
