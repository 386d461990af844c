"""What GitHub's default variables say about the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sepurux_action.github.event import Event
from sepurux_action.github.run_context import RunContext, parse_run_context

SHA = "a" * 40
ENVIRON = {
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_SHA": SHA,
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_API_URL": "https://api.github.com",
    "GITHUB_GRAPHQL_URL": "https://api.github.com/graphql",
    "GITHUB_RUN_ID": "7100001",
    "GITHUB_RUN_ATTEMPT": "2",
}


def test_repository_commit_and_addresses_are_read() -> None:
    run_context = parse_run_context(ENVIRON, {})
    assert run_context.repository == "acme/shop"
    assert run_context.run_url == "https://github.com/acme/shop/actions/runs/7100001/attempts/2"
    assert run_context.commit_url == f"https://github.com/acme/shop/commit/{SHA}"
    assert (run_context.event.name, run_context.event.commit) == ("push", SHA)


def test_a_first_attempt_without_its_number_is_the_run_itself() -> None:
    environ = {name: text for name, text in ENVIRON.items() if name != "GITHUB_RUN_ATTEMPT"}
    assert parse_run_context(environ, {}).run_url == "https://github.com/acme/shop/actions/runs/7100001"


def test_nothing_is_known_of_an_empty_environment() -> None:
    assert parse_run_context({}, None) == RunContext()


@pytest.mark.parametrize(
    "server", ["", "github.com", "javascript:alert(1)//", "http://ghe.example", "https://u:p@ghe.example"]
)
def test_a_server_that_may_not_be_linked_gives_no_addresses(server: str) -> None:
    run_context = parse_run_context({**ENVIRON, "GITHUB_SERVER_URL": server}, {})
    assert (run_context.run_url, run_context.commit_url) == ("", "")


def test_a_hostile_repository_name_is_one_line_and_gives_no_address() -> None:
    run_context = parse_run_context({**ENVIRON, "GITHUB_REPOSITORY": "acme/shop\n::error::x"}, {})
    assert run_context.repository == "acme/shop ::error::x"
    assert (run_context.run_url, run_context.commit_url) == ("", "")


@pytest.mark.parametrize(
    ("api", "graphql"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://ghe.example/api/v3", "https://ghe.example/api/graphql"),
        ("http://127.0.0.1:8123", "http://localhost:8123/graphql"),
    ],
)
def test_the_addresses_that_get_the_token_are_the_runners(api: str, graphql: str) -> None:
    run_context = parse_run_context({**ENVIRON, "GITHUB_API_URL": f"{api}/", "GITHUB_GRAPHQL_URL": graphql}, {})
    assert (run_context.server_url, run_context.api_url) == ("https://github.com", api)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "api.github.com",
        "http://ghe.example/api/v3",
        "https://u:p@ghe.example",
        "file:///etc",
        "https://a b",
        "https://",
    ],
)
def test_no_token_goes_where_others_could_read_it(address: str) -> None:
    run_context = parse_run_context({**ENVIRON, "GITHUB_API_URL": address, "GITHUB_GRAPHQL_URL": address}, {})
    assert run_context.api_url == ""


def test_the_url_of_the_commit_is_that_of_the_evaluated_commit() -> None:
    run_context = replace(parse_run_context(ENVIRON, {}), event=Event(commit="b" * 40))
    assert run_context.commit_url == f"https://github.com/acme/shop/commit/{'b' * 40}"
