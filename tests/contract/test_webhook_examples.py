"""GitHub's own example payloads, read as docs/reference.md says."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sepurux_action.github.event import SHA, Event, Lookup, PullRequest, parse_event, parse_pull_request

Payload = dict[str, Any]
PACKAGES = Path(sys.prefix) / "node_modules"  # `make setup` installs what package-lock.json names
INDEX = PACKAGES / "@octokit" / "webhooks-examples" / "api.github.com" / "index.json"
PAYLOADS: dict[str, list[Payload]] = {each["name"]: each["examples"] for each in json.loads(INDEX.read_bytes())}
RUN_SHA = "d" * 40  # GITHUB_SHA, where the runner takes it from nothing in the payload


def parsed(name: str, payload: Payload, sha: str = RUN_SHA) -> Event:
    home = payload.get("repository") or {}
    return parse_event(name, payload, {"GITHUB_SHA": sha, "GITHUB_REPOSITORY": home.get("full_name", "acme/shop")})


@pytest.mark.parametrize("name", ["pull_request", "pull_request_review", "merge_group"])
def test_an_event_of_a_pull_request_has_its_commits_its_number_and_its_base(name: str) -> None:
    for payload in PAYLOADS[name]:
        event = parsed(name, payload)
        if name == "merge_group":
            group = payload["merge_group"]
            expected = (group["head_sha"], 104, "main", group["base_sha"])
        else:
            pull = payload["pull_request"]
            expected = (pull["head"]["sha"], pull["number"], pull["base"]["ref"], pull["base"]["sha"])
        assert (event.commit, event.pull_request, event.base_ref, event.base_sha) == expected
        assert (event.lookup, event.skip_reason) == (None, "")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("workflow_run", ["workflow_run", "head_sha"]),
        ("deployment", ["deployment", "sha"]),
        ("deployment_status", ["deployment", "sha"]),
        *((name, []) for name in ("workflow_dispatch", "release", "issue_comment", "repository_dispatch")),
    ],
)
def test_any_other_event_is_looked_up_by_the_commit_of_its_payload_or_of_the_run(name: str, path: list[str]) -> None:
    for payload in PAYLOADS[name]:
        event = parsed(name, payload)
        assert event.commit == (payload[path[0]][path[1]] if path else RUN_SHA)
        assert (event.pull_request, event.base_ref, event.base_sha, event.skip_reason) == (None, "", "", "")
        assert event.lookup is not None
        assert event.lookup.commit == event.commit
        assert bool(event.lookup.branch) is event.fork  # some examples of workflow_run have another repository's head


def test_a_push_is_asked_for_by_its_commit_and_a_deletion_is_skipped() -> None:
    for payload in PAYLOADS["push"]:
        event = parsed("push", payload, payload["after"])
        expected: tuple[object, ...] = (
            payload["after"],
            "",
            Lookup(commit=payload["after"]),
        )  # of the default branch, or of a tag
        if payload["deleted"]:
            expected = ("", f"{payload['ref']} was deleted", None)
        assert (event.commit, event.skip_reason, event.lookup) == expected
        assert event.head_branch == ("master" if payload["ref"] == "refs/heads/master" else "")
        assert event.branch == (event.head_branch or payload["repository"]["default_branch"])


def test_an_example_pull_request_is_read_whole() -> None:
    assert parse_pull_request(PAYLOADS["pull_request"][0]["pull_request"]) == PullRequest(
        number=2,
        head_sha="ec26c3e57ca3a959ca5aad62de7213c562f8c821",
        head_repository="Codertocat/Hello-World",
        head_branch="changes",
        base_ref="master",
        base_sha="f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
        author="Codertocat",
        open=True,
    )


def test_every_example_of_github_is_an_event_with_a_commit_or_none() -> None:
    events = [parse_event(name, payload, {}) for name, examples in PAYLOADS.items() for payload in examples]
    assert len(events) > 300
    assert all(event.commit == "" or SHA.match(event.commit) for event in events)
    assert all(event.pull_request or event.no_pr_reason or event.lookup for event in events)
