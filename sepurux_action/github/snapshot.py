"""What GitHub shows of a pull request: its head, author, and the token's own comments."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from sepurux_action.common import json_reader
from sepurux_action.github.event import PullRequest, parse_author, parse_sha

PAGE = 100  # comments of one page, GitHub's largest
MAX_PAGES = 30  # pages of comments; GitHub itself allows 2,500 comments on a pull request

SNAPSHOT_QUERY = f"""
query pull($owner: String!, $name: String!, $number: Int!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{
      headRefOid author {{ __typename login }}
      comments(first: {PAGE}, after: $after) {{
        nodes {{ fullDatabaseId viewerDidAuthor body url }}
        pageInfo {{ hasNextPage endCursor }}
      }}
    }}
  }}
}}
"""
_BIG_INT = re.compile(r"[0-9]{1,19}\Z")  # GraphQL sends a BigInt as text


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment that the token's own account wrote. `id` is GitHub's, beyond 32 bits."""

    id: int
    body: str = field(repr=False)
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A pull request as one query shows it, empty if it was not read, and a page of the token's own comments.

    The oldest comment comes first. `after` is the cursor of the next page, '' on the last one.
    """

    pull_request: PullRequest = field(default_factory=PullRequest)
    comments: tuple[Comment, ...] = ()
    after: str = ""


def parse_snapshot(response: object) -> Snapshot | None:
    """Return the snapshot in a response without errors; None if it lacks a comment, its author, or the next page."""
    pull = json_reader.at(response, "data", "repository", "pullRequest")
    thread = json_reader.at(pull, "comments")
    nodes, more = json_reader.at(thread, "nodes"), json_reader.at(thread, "pageInfo", "hasNextPage")
    after = json_reader.text(json_reader.at(thread, "pageInfo", "endCursor")) if more is True else ""
    if not isinstance(nodes, list) or not (after or more is False):
        return None
    own: list[Comment] = []
    for node in map(json_reader.as_object, nodes):
        is_own, number, body = (node.get(name) for name in ("viewerDidAuthor", "fullDatabaseId", "body"))
        if not isinstance(is_own, bool):
            return None
        if is_own and isinstance(number, str) and _BIG_INT.match(number) and isinstance(body, str):
            own.append(Comment(id=int(number), body=body, url=json_reader.safe_url(node.get("url"))))
    author, by_agent = parse_author(json_reader.at(pull, "author"))
    shown = PullRequest(
        head_sha=parse_sha(json_reader.at(pull, "headRefOid")),
        author=author,
        by_agent=by_agent,
    )
    return Snapshot(pull_request=shown, comments=oldest_first(own), after=after)


def oldest_first(comments: Iterable[Comment]) -> tuple[Comment, ...]:
    """Return each comment once, in its last version; one that occurred twice would be deleted as its own duplicate."""
    by_id = {comment.id: comment for comment in comments}
    return tuple(by_id[number] for number in sorted(by_id))
