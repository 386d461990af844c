"""What an event says about the change under judgement."""

from __future__ import annotations

import pytest

from sepurux_action.core.event import Event, parse_event

HEAD, MERGE = "a" * 40, "e" * 40


def pull_request(**changes: object) -> dict[str, object]:
    return {"pull_request": {"number": 42, "head": {"sha": HEAD}, **changes}}


def test_a_pull_request_is_judged_at_its_head_and_never_at_its_merge_commit() -> None:
    event = parse_event("pull_request", pull_request(), {"GITHUB_SHA": MERGE})
    assert event == Event(name="pull_request", commit=HEAD, pull_request=42)


@pytest.mark.parametrize("head", [None, "x", [], {}, {"sha": None}, {"sha": "abc"}, {"sha": HEAD + "\n"}, {"sha": 5}])
def test_a_pull_request_with_an_unreadable_head_has_no_commit_rather_than_the_merge_commit(head: object) -> None:
    assert parse_event("pull_request", pull_request(head=head), {"GITHUB_SHA": MERGE}).commit == ""


@pytest.mark.parametrize("payload", [None, [], "x", {}, {"pull_request": None}, {"pull_request": "x"}])
def test_an_event_without_a_pull_request_is_judged_at_the_commit_of_the_run(payload: object) -> None:
    assert parse_event("push", payload, {"GITHUB_SHA": MERGE}) == Event(name="push", commit=MERGE, pull_request=None)


@pytest.mark.parametrize("number", [None, 0, -1, 1.5, True, "42", [], 10**400])
def test_what_is_no_number_of_a_pull_request_is_none(number: object) -> None:
    assert parse_event("pull_request", pull_request(number=number), {"GITHUB_SHA": MERGE}).pull_request is None


@pytest.mark.parametrize("sha", ["", "main", "A" * 40, "a" * 39, "a" * 41, f"{MERGE}\n", f" {MERGE}"])
def test_what_is_no_sha_is_no_commit(sha: str) -> None:
    assert parse_event("push", {}, {"GITHUB_SHA": sha}).commit == ""


def test_a_sha_256_is_a_commit_too() -> None:
    assert parse_event("push", {}, {"GITHUB_SHA": "b" * 64}).commit == "b" * 64
