"""GitHub's own example payloads, read as docs/reference.md says."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sepurux_action.github.event import SHA, Event, parse_event, with_pull_request

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
            expected = (pull["head"]["sha"], pull["number"], pull["base"]["ref"], "")
        assert (event.commit, event.pull_request, event.base_ref, event.base_sha) == expected
        assert (event.problem, event.skip_reason) == ("", "")


@pytest.mark.parametrize(
    "name", ["workflow_dispatch", "release", "repository_dispatch", "deployment", "deployment_status"]
)
def test_any_other_event_is_about_the_commit_of_the_run(name: str) -> None:
    for payload in PAYLOADS[name]:
        event = parsed(name, payload)
        assert (event.commit, event.pull_request, event.base_ref, event.problem) == (RUN_SHA, None, "", "")


def test_a_run_is_of_a_pull_request_if_one_started_it() -> None:
    events = [(payload["workflow_run"], parsed("workflow_run", payload)) for payload in PAYLOADS["workflow_run"]]
    of_pulls = [run["event"] == "pull_request" for run, _ in events]
    assert [bool(event.head) for _, event in events] == of_pulls
    assert [event.problem == "" for _, event in events] == of_pulls


def test_a_push_is_about_its_commit_and_a_deletion_is_skipped() -> None:
    for payload in PAYLOADS["push"]:
        event = parsed("push", payload, payload["after"])
        expected = ("", f"{payload['ref']} was deleted") if payload["deleted"] else (payload["after"], "")
        assert (event.commit, event.skip_reason, event.problem) == (*expected, "")


def test_an_example_pull_request_is_read_whole() -> None:
    head, sha = "Codertocat/Hello-World:changes", "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
    event = Event(repository="Codertocat/Hello-World", commit=sha, head=head)
    found = with_pull_request(event, [PAYLOADS["pull_request"][0]["pull_request"]])
    assert found == replace(event, head="", pull_request=2, base_ref="master")


def test_every_example_of_github_is_an_event_with_a_commit_or_none() -> None:
    events = [parse_event(name, payload, {}) for name, examples in PAYLOADS.items() for payload in examples]
    assert len(events) > 300
    assert all(event.commit == "" or SHA.match(event.commit) for event in events)
    assert all(event.commit or event.skip_reason or event.problem for event in events)
