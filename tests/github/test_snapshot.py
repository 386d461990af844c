"""The snapshot of a pull request."""

from __future__ import annotations

import pytest

from sepurux_action.github.snapshot import parse_snapshot


def a_page(**changes: object) -> dict[str, object]:
    page = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}, **changes}
    return {"repository": {"pullRequest": {"number": 7, "comments": page}}}


@pytest.mark.parametrize(
    ("data", "known"),
    [
        (a_page(), True),
        (a_page(pageInfo={"hasNextPage": True, "endCursor": "abc"}), True),
        (a_page(pageInfo={"hasNextPage": True, "endCursor": None}), False),
        (a_page(pageInfo=None), False),
        (a_page(nodes=None), False),
        (a_page(nodes=[None]), False),
        (a_page(nodes=[{"viewerDidAuthor": False}]), True),
        (a_page(nodes=[{"viewerDidAuthor": None}]), False),
        ({"repository": {"pullRequest": {"number": 7, "comments": None}}}, False),
    ],
)
def test_a_page_that_is_not_whole_is_not_read(data: object, known: bool) -> None:  # noqa: FBT001
    assert (parse_snapshot({"data": data}) is not None) is known
