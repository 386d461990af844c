"""Who asked a bot for a pull request: its assignees, and the authors of its commits."""

from __future__ import annotations

from itertools import starmap

from sepurux_action.common import json_reader
from sepurux_action.evaluation.enforcement import Reason, Refusal
from sepurux_action.github.snapshot import PAGE

MAX_UPDATES = 10  # merges of the base branch in a row, by GitHub, before whose commits the authors are looked for
_ANCESTORS = "...authored"
for _ in range(MAX_UPDATES):
    _ANCESTORS = f"...authored parents(first: 1) {{ nodes {{ {_ANCESTORS} }} }}"

REQUESTERS_QUERY = f"""
query requesters($owner: String!, $name: String!, $number: Int!, $withPull: Boolean!, $head: String!) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) @include(if: $withPull) {{
      assignees(first: {PAGE}) {{ nodes {{ login }} pageInfo {{ hasNextPage }} }}
    }}
    object(expression: $head) {{ ... on Commit {{ {_ANCESTORS} }} }}
  }}
}}
fragment authored on Commit {{
  committedViaWeb committer {{ user {{ login }} }} parents(first: 1) {{ totalCount }}
  authors(first: {PAGE}) {{ nodes {{ user {{ login }} }} pageInfo {{ hasNextPage }} }}
}}
"""


def parse_requesters(response: object, *, of_pull: bool) -> tuple[Refusal, ...] | None:
    """Return the assignees, and the authors of the newest commit that is no update; None if someone may be missing.

    `of_pull`: the query asked for a pull request, which has the assignees.

    An update is a merge that someone made on GitHub's pages, so its author need not have asked for the changes.
    """
    repository = json_reader.at(response, "data", "repository")
    commit = json_reader.at(repository, "object")
    while _is_update(commit):
        commit = next(json_reader.as_array(json_reader.at(commit, "parents", "nodes")), None)
    assignees = _whole(json_reader.at(repository, "pullRequest", "assignees")) if of_pull else []
    authors = _whole(json_reader.at(commit, "authors"))
    if assignees is None or not authors:
        return None
    users = (json_reader.as_object(author).get("user", "") for author in authors)
    people = [(user, Reason.COMMIT_AUTHOR) for user in users if user is not None]  # null: the address of no person
    people += [(user, Reason.ASSIGNEE) for user in assignees]
    reasons = {json_reader.text(json_reader.at(user, "login")): reason for user, reason in people}
    return None if "" in reasons else tuple(starmap(Refusal, reasons.items()))


def _is_update(commit: object) -> bool:
    """Return whether GitHub's own account made a merge; GraphQL does not always name that account."""
    own = json_reader.at(commit, "committer", "user", "login") == "web-flow"
    own = own or json_reader.at(commit, "committedViaWeb") is True
    return own and json_reader.at(commit, "parents", "totalCount") != 1


def _whole(page: object) -> list[object] | None:
    nodes = json_reader.at(page, "nodes")
    return nodes if isinstance(nodes, list) and json_reader.at(page, "pageInfo", "hasNextPage") is False else None
