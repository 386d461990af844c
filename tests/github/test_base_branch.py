"""The results on the base branch, as GitHub shows them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sepurux_action.errors import ErrorDetails
from sepurux_action.evaluation.drops import Baseline, BaselineResult
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.github.base_branch import BaseBranch, base_query, parse_base_branch
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation
from tests.github.scene import Scene
from tests.scenes import BOT, DECIDED

TIP, BEFORE = "a" * 40, "b" * 40
OURS = {"__typename": "Bot", "login": "github-actions"}
VIEWER = {"login": BOT}
USER = {"__typename": "User", "login": "mona"}
CONTEXT, SPELLINGS = "Sepurux / core", ("Sepurux / core", "SEPURUX / core", "sepurux / CORE")
LINK = "https://app.sepurux.dev/runs/1"


def a_commit(
    oid: object, creator: object = OURS, description: object = DECIDED, contexts: tuple[str, ...] = (CONTEXT,)
) -> object:
    status = {"description": description, "targetUrl": LINK, "creator": creator}
    return {"oid": oid, "status": {"contexts": [{**status, "context": context} for context in contexts]}}


def a_base(*commits: object, viewer: object = VIEWER) -> dict[str, object]:
    line = {f"base{steps}": commit for steps, commit in enumerate(commits)}
    return {"viewer": viewer, "repository": line}


def results(data: object, evaluated: str = "") -> tuple[BaselineResult, ...]:
    found = parse_base_branch({"data": data}, evaluated).results
    assert found is not None
    return found.get("sepurux / core", Baseline()).results


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (a_base(a_commit(TIP), a_commit(BEFORE)), [TIP, BEFORE]),
        (a_base(a_commit(TIP), a_commit(BEFORE), None), [TIP, BEFORE]),
        (a_base(a_commit(TIP), a_commit(TIP), a_commit(BEFORE)), [TIP, BEFORE]),
        (a_base(a_commit(TIP, contexts=SPELLINGS), a_commit(BEFORE)), [TIP, BEFORE]),
        (a_base(a_commit(TIP), {"oid": BEFORE, "status": None}), [TIP]),
        (a_base(a_commit(TIP, description=7)), []),
        *(
            (a_base(a_commit(TIP, creator={**OURS, **creator})), [])  # a user may have an app's name
            for creator in ({"__typename": None}, {"__typename": "User"}, {"login": None}, {"login": "other-app"})
        ),
        (a_base(a_commit(TIP, creator=None)), []),  # the account was deleted
        (a_base(a_commit(TIP, USER), a_commit(BEFORE, {**USER, "__typename": "Bot"}), viewer={"login": "Mona"}), [TIP]),
    ],
)
def test_each_commit_has_at_most_one_result_of_the_own_account(data: object, found: list[str]) -> None:
    assert [each.commit for each in results(data)] == found


def test_results_are_those_of_50_commits_before_the_evaluated_one_with_their_links() -> None:
    line = [f"{number:040x}" for number in range(1, 52)]
    data = a_base(*(a_commit(oid, description=DECIDED.replace("91.0", f"{int(oid, 16)}.0")) for oid in line))
    assert [each.commit for each in results(data)] == line[:50]
    found = results(data, evaluated=line[1])
    assert [each.commit for each in found] == [line[0], *line[2:]]
    assert [each.result.value(PASS_RATE) for each in found[:2]] == [0.01, 0.03]
    assert {each.url for each in found} == {LINK}


def test_commits_without_a_result_of_the_own_account_are_counted_by_context() -> None:
    texts = [DECIDED.replace("pass (", f"{decision} (") for decision in ("pass", "fail", "error", "skipped")]
    commits = [a_commit(f"{number:040x}", description=text) for number, text in enumerate(texts, 1)]
    running = a_commit(TIP, description="the evaluation is running", contexts=("SEPURUX / core", "Sepurux / search"))
    data = a_base(*commits, a_commit(BEFORE, creator=None), running)
    baselines = parse_base_branch({"data": data}, "").results or {}
    assert {context: (len(each.results), each.hidden) for context, each in baselines.items()} == {
        "sepurux / core": (2, 4),
        "sepurux / search": (0, 1),
    }


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


def test_a_merge_of_many_commits_hides_no_older_result(scene: Scene) -> None:
    for rate in (90, 91):
        scene.decided(scene.repository.commit("main"), rate)
    for number in range(120):
        scene.decided(scene.repository.commit("topic", {"change.txt": str(number)}), 10)
    scene.repository.merge(scene.repository.branches["topic"].sha)
    scene.decided(scene.repository.commit("main"), 92)
    baseline = (scene.client.base_branch(scene.event).results or {})["sepurux / core"]
    assert [each.result.value(PASS_RATE) for each in baseline.results] == [0.92, 0.91, 0.9]
    [request] = scene.github.requests
    assert len(request.body) < 6_000


def test_the_name_of_the_base_branch_ends_no_literal_of_the_query(scene: Scene) -> None:
    name = 'release/"){ü\\"}\\u0041'
    scene.decided(scene.repository.commit(name), 90)
    assert (scene.client.base_branch(replace(scene.event, base_ref=name)).results or {})["sepurux / core"].results
