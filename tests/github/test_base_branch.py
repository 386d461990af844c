"""The results on the base branch, as GitHub shows them."""

from __future__ import annotations

import re

import pytest

from sepurux_action.errors import ErrorDetails
from sepurux_action.evaluation.drops import Baseline
from sepurux_action.github.base_branch import BaseBranch, base_query, parse_base_branch
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation

TIP, BEFORE = "a" * 40, "b" * 40
DECIDED = "pass (hard): 91.0% passed, 0 unsafe, 2 failures, score 88.0"
OURS = {"__typename": "Bot", "login": "github-actions"}
VIEWER = {"login": "github-actions[bot]"}


def a_commit(
    oid: object, creator: object = OURS, description: object = DECIDED, contexts: tuple[str, ...] = ("Sepurux / core",)
) -> object:
    status = {"description": description, "targetUrl": None, "creator": creator}
    return {"oid": oid, "status": {"contexts": [{**status, "context": context} for context in contexts]}}


def a_base(*commits: object, viewer: object = VIEWER) -> dict[str, object]:
    line = {f"base{steps}": commit for steps, commit in enumerate(commits)}
    return {"viewer": viewer, "repository": line}


def compared(data: object) -> list[str]:
    baseline = (parse_base_branch({"data": data}, "").results or {}).get("sepurux / core", Baseline())
    return [each.commit for each in baseline.results]


@pytest.mark.parametrize(
    ("commits", "found"),
    [
        ((a_commit(TIP), a_commit(BEFORE)), [TIP, BEFORE]),
        ((a_commit(TIP), a_commit(BEFORE), None), [TIP, BEFORE]),
        ((a_commit(TIP), a_commit(TIP), a_commit(BEFORE)), [TIP, BEFORE]),
        ((a_commit(TIP, creator=None),), []),
        ((a_commit(TIP, creator={"login": "github-actions"}),), []),
        ((a_commit(TIP, creator={"__typename": "Bot"}),), []),
        ((a_commit(TIP, creator={"__typename": "User", "login": "github-actions"}),), []),
        ((a_commit(TIP, description=7),), []),
        (
            (a_commit(TIP, contexts=("Sepurux / core", "SEPURUX / core", "sepurux / CORE")), a_commit(BEFORE)),
            [TIP, BEFORE],
        ),
    ],
)
def test_each_commit_has_at_most_one_result_of_the_own_account(commits: tuple[object, ...], found: list[str]) -> None:
    assert compared(a_base(*commits)) == found
    assert parse_base_branch({"data": a_base(*commits)}, "").results is not None


UNKNOWN_STATUSES: list[object] = [
    {"contexts": None},
    {"contexts": {}},
    *({"contexts": each} for each in ("Sepurux / core", [None])),
    *({}, "success", [], {"contexts": [{"context": None, "description": DECIDED, "creator": OURS}]}),
]


@pytest.mark.parametrize(
    "data",
    [
        a_base(),
        a_base(None, a_commit(BEFORE)),
        *(a_base(a_commit(TIP), gap, a_commit(BEFORE)) for gap in (None, 7)),
        a_base(a_commit(["a"])),
        a_base(a_commit(TIP), a_commit("main")),
        a_base(a_commit(TIP), {"oid": BEFORE}),
        *(a_base(a_commit(TIP), {"oid": BEFORE, "status": status}) for status in UNKNOWN_STATUSES),
        *(a_base(a_commit(TIP), viewer=who) for who in (None, {}, {"login": ""}, {"login": None}, "octo[bot]")),
    ],
)
def test_with_a_gap_a_status_of_an_unknown_shape_or_an_unknown_own_account_no_result_is_known(data: object) -> None:
    assert parse_base_branch({"data": data}, "").results is None


def test_a_commit_with_null_in_place_of_a_status_has_none() -> None:
    empty = {"oid": BEFORE, "status": None}
    assert parse_base_branch({"data": a_base(a_commit(TIP), empty)}, "").results is not None
    assert compared(a_base(a_commit(TIP), empty)) == [TIP]


@pytest.mark.parametrize(
    ("event", "first"),
    [(Event(name="pull_request", base_ref="main"), "refs/heads/main~0"), (Event(name="push", commit=TIP), f"{TIP}~0")],
)
def test_the_query_names_51_commits_of_the_base(event: Event, first: str) -> None:
    named = re.findall(r'base\d+: object\(expression: "(.*?)"\)', base_query(event))
    assert named == [first.replace("~0", f"~{steps}") for steps in range(51)]


@pytest.mark.parametrize(("accepted", "operation"), [("", Operation.BASE), ("statuses=read", Operation.RESULTS)])
def test_a_missing_permission_for_statuses_is_named(accepted: str, operation: Operation) -> None:
    assert BaseBranch(error=ErrorDetails(accepted=accepted)).operation is operation
