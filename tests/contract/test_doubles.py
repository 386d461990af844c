"""The doubles are strict: GitHub's responds only to what GitHub describes, the runner reads commands as GitHub's."""

import re

import pytest
import requests

from tests.github_double import GitHub, Undescribed
from tests.runner import Command, parse_command

PULLS = "/repos/octo/shop/pulls"
COMMENTS = "/repos/octo/shop/issues/1/comments"


def ask(server: GitHub, method: str, path: str, body: object) -> None:
    url = server.graphql_url if path == "graphql" else f"{server.url}{path}"
    requests.request(method, url, json=body, headers={"Authorization": f"Bearer {server.token()}"}, timeout=10)


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("GET", "/user", None, "GET /user: no such call"),
        ("POST", COMMENTS, {"body": "text", "pinned": True}, "'pinned' was unexpected"),
        ("GET", f"{PULLS}?state=all", {"body": "text"}, "takes no body"),
        ("GET", f"{PULLS}/1/reviews?sort=asc", None, "no parameter 'sort' in the query"),
        ("POST", "graphql", {"query": "{ rateLimit { cost } }"}, "Cannot query field 'rateLimit' on type 'Query'"),
        ("GET", f"{PULLS}?state=all", None, "pulls/list: $[0].state: 7 is not of type 'string'"),
    ],
)
def test_what_is_not_described_fails_the_test(method: str, path: str, body: object, complaint: str) -> None:
    server = GitHub()
    server.repository().pull().state = 7  # type: ignore[assignment]
    with pytest.raises(Undescribed, match=re.escape(complaint)), server:
        ask(server, method, path, body)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (" \t\u00a0::ERROR File=a.py,Line=3::x", Command("error", {"file": "a.py", "line": "3"}, "x")),
        (
            "::warning title=a%2Cb%3A%25,=k==v=w,empty=,::1%0A2%0D%25",
            Command("warning", {"title": "a,b:%", "k": "v=w"}, "1\n2\r%"),
        ),
        *(("::error::%250A %3A", Command("error", {}, "%0A %3A")), ("said ##[error]x", Command("error", {}, "x"))),
        ("a ##[set-output name=n%5D;other=1]v%3B", Command("set-output", {"name": "n]", "other": "1"}, "v;")),
        ("::error unfinished ##[warning]y", Command("warning", {}, "y")),
        *((line, None) for line in ("", "text ::error::x", "\x1c::error::x", "::error", "::unknown::x", ":::error::x")),
        *((line, None) for line in ("##[unknown]x", "##[error x", "# #[error]x", "##[x]##[error]y")),
    ],
)
def test_a_command_has_colons_at_a_lines_start_or_the_old_form_anywhere(line: str, command: Command | None) -> None:
    assert parse_command(line) == command
