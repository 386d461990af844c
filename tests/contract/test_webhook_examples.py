"""GitHub's own example payloads, read as docs/reference.md says."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sepurux_action.github.event import COMMIT_EVENTS, Event, parse_event

Payload = dict[str, Any]
PACKAGES = Path(sys.prefix) / "node_modules"  # `make setup` installs what package-lock.json names
INDEX = PACKAGES / "@octokit" / "webhooks-examples" / "api.github.com" / "index.json"
PAYLOADS: dict[str, list[Payload]] = {each["name"]: each["examples"] for each in json.loads(INDEX.read_bytes())}
RUN_SHA = "d" * 40  # GITHUB_SHA, where the runner takes it from nothing in the payload


def parsed(name: str, payload: Payload, sha: str = RUN_SHA) -> Event:
    home = payload.get("repository") or {}
    return parse_event(name, payload, {"GITHUB_SHA": sha, "GITHUB_REPOSITORY": home.get("full_name", "acme/shop")})


def facts(event: Event) -> tuple[object, ...]:
    return event.commit, event.pull_request, event.base_ref, event.base_sha, event.problem


def of_pull_request(payload: Payload) -> tuple[object, ...]:
    pull = payload["pull_request"]
    return pull["head"]["sha"], pull["number"], pull["base"]["ref"], "", ""


def of_merge_group(payload: Payload) -> tuple[object, ...]:
    group = payload["merge_group"]
    return group["head_sha"], 104, "main", group["base_sha"], ""


EXPECTED: dict[str, Callable[[Payload], tuple[object, ...]]] = {
    **dict.fromkeys(["pull_request", "pull_request_review"], of_pull_request),
    "merge_group": of_merge_group,
    **dict.fromkeys(sorted(COMMIT_EVENTS & PAYLOADS.keys()), lambda _: (RUN_SHA, None, "", "", "")),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_event_has_its_commit_and_its_pull_request_with_number_and_base(name: str) -> None:
    assert [facts(parsed(name, each)) for each in PAYLOADS[name]] == [EXPECTED[name](each) for each in PAYLOADS[name]]


def test_a_run_is_of_a_pull_request_if_one_started_it_and_a_deletion_is_skipped() -> None:
    for payload in PAYLOADS["workflow_run"]:
        event = parsed("workflow_run", payload)
        of_pull = payload["workflow_run"]["event"] == "pull_request"
        assert (bool(event.head), event.problem == "") == (of_pull, of_pull)
    for payload in PAYLOADS["push"]:
        event = parsed("push", payload, payload["after"])
        expected = ("", f"{payload['ref']} was deleted") if payload["deleted"] else (payload["after"], "")
        assert (event.commit, event.skip_reason, event.problem) == (*expected, "")
