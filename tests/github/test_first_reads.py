"""The first reads of a commit, its pull request, and its base branch, if GitHub does not return one of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from math import inf
from threading import Barrier

import pytest

from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.github.bounded_calls import BASE_QUERY_S
from sepurux_action.github.event import PullRequest
from sepurux_action.github.subject import Subject
from sepurux_action.host.deadlines import Timeouts
from tests import backend
from tests.builders import a_gate
from tests.github.scene import Scene
from tests.github_double import faults
from tests.scenes import DECIDED

POLICY, WORKFLOW = options.CONFIG.default, ".github/workflows/gate.yml"
DROP = a_gate(name="core", limits={"max_pass_rate_drop": 0.03})
FEW = 150  # nodes; the base branch has some 210, and the pull request some 105
TIMED_OUT = "Something went wrong while executing your query. This may be the result of a timeout, or a GitHub bug."
TOO_LARGE = "Could not read the base branch"


@pytest.fixture
def large(scene: Scene) -> Scene:
    """Return a scene whose base branch and pull request have many statuses and comments."""
    base = scene.repository.commit("main", {POLICY: "campaign: core", WORKFLOW: "on: pull_request"})
    for _ in range(60):
        base = scene.repository.commit("main")
        scene.repository.status(base, "success", "Sepurux / core", DECIDED)
    scene.comments(1)
    scene.event = replace(scene.event, base_sha=base, workflow_file=f"{base}:{WORKFLOW}")
    scene.repository.status(scene.event.commit, "failure", "Sepurux / old")
    return scene


def load(scene: Scene) -> Subject:
    """Make the first reads, of which all but the base branch succeed."""
    subject = scene.load(config=POLICY).subject
    assert subject.snapshot.pull_request.head_sha
    assert (subject.commit.policy.text, subject.commit.workflow) == ("campaign: core", "on: pull_request")
    assert [each.context for each in subject.commit.statuses or ()] == ["Sepurux / old"]
    return subject


def queries(scene: Scene) -> dict[str, int]:
    """Return how often each query was sent."""
    return dict(Counter(operation.removeprefix("graphql ") for operation in scene.operations))


def warnings(scene: Scene) -> list[str]:
    return [text.partition(" (")[0] for text in scene.warnings]


def test_each_part_is_read_by_one_query_and_all_are_under_way_at_once(large: Scene) -> None:
    under_way = Barrier(3)
    for query in ("commit", "pull", "base"):
        large.github.before(f"graphql {query}", partial(under_way.wait, 5))
    large.timeouts = Timeouts()
    assert load(large).baseline(DROP)
    assert queries(large) == {"commit": 1, "pull": 1, "base": 1}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        *map(faults.broken, (502, 503, 504)),
        backend.json({"data": None, "errors": [{"message": TIMED_OUT}]}),
        backend.json({"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "no"}]}),
        backend.json({"message": "Request timed out"}, 500),
    ],
)
def test_a_base_branch_that_is_too_large_costs_only_the_comparison(answer: backend.Answer | None, large: Scene) -> None:
    large.github.max_nodes, large.github.too_large = FEW, answer
    start = large.clock.time
    load(large)
    assert large.session.with_base([a_gate()]).subject.baseline(DROP) is None
    assert (queries(large), large.clock.time) == ({"commit": 1, "pull": 1, "base": 1}, start)
    assert warnings(large) == [TOO_LARGE]


@pytest.mark.parametrize(("seconds", "known"), [(7.9, True), (8.1, False)])
def test_no_one_waits_for_the_base_branch_for_more_than_8_s(seconds: float, large: Scene, *, known: bool) -> None:
    start = large.clock.time
    large.github.before("graphql base", lambda: setattr(large.clock, "time", large.clock.time + seconds))
    assert bool(load(large).baseline(DROP)) is known
    assert (queries(large)["base"], large.clock.time) == (1, start + min(seconds, BASE_QUERY_S))


@pytest.mark.parametrize("fault", [faults.lost, faults.broken(500), faults.secondary_limit(retry_after_s=3)])
@pytest.mark.parametrize("query", ["commit", "pull", "base"])
def test_only_the_part_that_failed_is_read_again(query: str, fault: faults.Step, large: Scene) -> None:
    large.github.fault(f"graphql {query}", fault)
    assert load(large).baseline(DROP)
    assert queries(large) == {"commit": 1, "pull": 1, "base": 1, query: 2}


def test_no_one_waits_for_the_base_branch_alone_but_an_outage_of_all_is_survived(large: Scene) -> None:
    start, broken = large.clock.time, faults.broken(500)
    large.github.fault("graphql base", broken, always=True)
    assert load(large).baseline(DROP) is None
    assert (queries(large), large.clock.time) == ({"commit": 1, "pull": 1, "base": 4}, start + 3)


@pytest.mark.parametrize(
    ("limit", "gate", "later_s", "expected"),
    [
        (inf, DROP, 0, (1, 0.91)),
        (FEW, DROP, 0, (2, None)),
        (FEW, a_gate(), 0, (1, None)),
        (FEW, DROP, 60, (1, None)),
    ],
)
def test_if_a_drop_is_set_the_base_branch_is_read_once_more_within_60_s(
    limit: float, gate: Gate, later_s: int, expected: tuple[int, float | None], large: Scene
) -> None:
    large.github.max_nodes = limit
    load(large)
    large.clock.time += later_s
    found = large.session.with_base([a_gate(), gate]).subject.baseline(DROP)
    assert (queries(large)["base"], found and found.median(PASS_RATE)) == expected
    assert warnings(large) == ([] if found else [TOO_LARGE])


@pytest.mark.parametrize(("fault", "requests"), [(faults.broken(502), 2), (faults.refused(403, "no"), 1)])
def test_a_base_branch_is_read_again_if_the_token_may(fault: backend.Answer, requests: int, large: Scene) -> None:
    large.github.fault("graphql base", fault)
    assert load(large).baseline(DROP) is None
    assert bool(large.session.with_base([DROP]).subject.baseline(DROP)) is (requests == 2)
    assert (queries(large)["base"], len(large.warnings)) == (requests, 2 - requests)


@pytest.mark.parametrize(("fault", "rerun", "read"), [(500, True, False), (500, False, True), (403, True, True)])
def test_a_re_run_needs_the_pull_request_as_it_is_now(fault: int, large: Scene, *, rerun: bool, read: bool) -> None:
    large.github.fault("graphql pull", faults.refused(fault, "no"), always=True)
    subject = large.load(config=POLICY, rerun=rerun).subject
    assert (subject.snapshot.pull_request, bool(subject.commit.policy.text)) == (PullRequest(), read)
    assert [each.context for each in subject.commit.statuses or ()] == ["Sepurux / old"]
    assert warnings(large) == (["Could not read the pull request"] if read else [])
