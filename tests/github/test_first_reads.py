"""The first reads of a commit, its pull request, and its base branch, if GitHub does not return one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import inf
from threading import Barrier
from typing import NamedTuple

import pytest

from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.github.bounded_calls import BASE_QUERY_S, BoundedCalls
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.event import Event, PullRequest
from sepurux_action.github.subject import Subject, read_subject, with_base
from sepurux_action.host.deadlines import Timeouts
from tests import backend
from tests.builders import a_gate
from tests.fakes import FakeClock, FakeOutput
from tests.github_double import GitHub, faults
from tests.github_double.in_process import connected
from tests.scenes import DECIDED, a_client_scene

POLICY, WORKFLOW = options.CONFIG.default, ".github/workflows/gate.yml"
DROP = a_gate(name="core", limits={"max_pass_rate_drop": 0.03})
FEW = 150  # nodes; the base branch has some 210, and the pull request some 105
TIMED_OUT = "Something went wrong while executing your query. This may be the result of a timeout, or a GitHub bug."
TOO_LARGE = "Could not read the base branch"


class Scene(NamedTuple):
    github: GitHub
    client: GitHubClient
    calls: BoundedCalls
    event: Event
    clock: FakeClock
    output: FakeOutput

    @property
    def queries(self) -> dict[str, int]:
        """Return how often each query was sent."""
        return dict(Counter(record.operation.removeprefix("graphql ") for record in self.github.calls("graphql*")))

    @property
    def warnings(self) -> list[str]:
        return [text.removeprefix("Sepurux gate: ").partition(" (")[0] for _, text in self.output.annotations]


@pytest.fixture
def scene() -> Iterator[Scene]:
    github = GitHub()
    with connected(github):
        made = a_client_scene(github)
        base = made.repository.commit("main", {POLICY: "campaign: core", WORKFLOW: "on: pull_request"})
        for _ in range(60):
            base = made.repository.commit("main")
            made.repository.status(base, "success", "Sepurux / core", DECIDED)
        for number in range(100):
            made.pull.comment("mona", f"comment {number}")
        event = replace(made.event, base_sha=base, workflow_file=f"{base}:{WORKFLOW}")
        made.repository.status(event.commit, "failure", "Sepurux / old")
        clock, output = FakeClock(), FakeOutput()
        yield Scene(github, made.client, BoundedCalls(made.client, clock, output, event), event, clock, output)


def load(scene: Scene) -> Subject:
    """Read all but the base branch."""
    subject = read_subject(scene.calls, Subject(event=scene.event), POLICY)
    assert subject.snapshot.pull_request.head_sha
    assert (subject.commit.policy.text, subject.commit.workflow) == ("campaign: core", "on: pull_request")
    assert [each.context for each in subject.commit.statuses or ()] == ["Sepurux / old"]
    return subject


def test_each_part_is_read_by_one_query_and_they_are_sent_side_by_side(scene: Scene) -> None:
    start = scene.clock.time
    for query in ("commit", "pull", "base"):
        scene.github.before(f"graphql {query}", lambda: setattr(scene.clock, "time", scene.clock.time + 3))
    assert load(scene).baseline(DROP)
    assert (scene.queries, scene.clock.time) == ({"commit": 1, "pull": 1, "base": 1}, start + 3)


def test_all_queries_are_under_way_at_once(scene: Scene) -> None:
    under_way = Barrier(3)
    for query in ("commit", "pull", "base"):
        scene.github.before(f"graphql {query}", partial(under_way.wait, 5))
    assert load(scene._replace(calls=BoundedCalls(scene.client, Timeouts(), scene.output, scene.event))).baseline(DROP)
    assert scene.queries == {"commit": 1, "pull": 1, "base": 1}


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
def test_a_base_branch_that_is_too_large_for_a_query_costs_only_the_comparison_and_no_time(
    answer: backend.Answer | None, scene: Scene
) -> None:
    scene.github.max_nodes, scene.github.too_large = FEW, answer
    start = scene.clock.time
    subject = with_base(scene.calls, load(scene), [a_gate()])
    assert subject.baseline(DROP) is None
    assert (scene.queries, scene.clock.time) == ({"commit": 1, "pull": 1, "base": 1}, start)
    assert scene.warnings == [TOO_LARGE]


@pytest.mark.parametrize(("seconds", "known"), [(7.9, True), (8.1, False)])
def test_no_one_waits_for_the_base_branch_for_more_than_8_s(seconds: float, scene: Scene, *, known: bool) -> None:
    start = scene.clock.time
    scene.github.before("graphql base", lambda: setattr(scene.clock, "time", scene.clock.time + seconds))
    assert bool(load(scene).baseline(DROP)) is known
    assert (scene.queries["base"], scene.clock.time) == (1, start + min(seconds, BASE_QUERY_S))


@pytest.mark.parametrize("fault", [faults.lost, faults.broken(500), faults.secondary_limit(retry_after_s=3)])
@pytest.mark.parametrize("query", ["commit", "pull", "base"])
def test_after_another_failure_only_the_part_that_failed_is_read_again(
    query: str, fault: faults.Step, scene: Scene
) -> None:
    scene.github.fault(f"graphql {query}", fault)
    assert load(scene).baseline(DROP)
    assert scene.queries == {"commit": 1, "pull": 1, "base": 1, query: 2}


def test_no_one_waits_for_the_base_branch_alone_but_an_outage_of_all_is_survived(scene: Scene) -> None:
    start, broken = scene.clock.time, faults.broken(500)
    scene.github.fault("graphql base", broken, always=True)
    assert load(scene).baseline(DROP) is None
    assert (scene.queries, scene.clock.time) == ({"commit": 1, "pull": 1, "base": 4}, start + 3)


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
    limit: float, gate: Gate, later_s: int, expected: tuple[int, float | None], scene: Scene
) -> None:
    scene.github.max_nodes = limit
    subject = load(scene)
    scene.clock.time += later_s
    found = with_base(scene.calls, subject, [a_gate(), gate]).baseline(DROP)
    assert (scene.queries["base"], found and found.median(PASS_RATE)) == expected
    assert scene.warnings == ([] if found else [TOO_LARGE])


def test_a_base_branch_that_github_shows_later_is_compared_with(scene: Scene) -> None:
    scene.github.fault("graphql base", faults.broken(502))
    subject = load(scene)
    assert subject.baseline(DROP) is None
    assert with_base(scene.calls, subject, [DROP]).baseline(DROP)
    assert scene.warnings == []


def test_without_permission_the_base_branch_is_not_read_again(scene: Scene) -> None:
    scene.github.fault("graphql base", faults.refused(403, "Resource not accessible by integration"), always=True)
    assert with_base(scene.calls, load(scene), [DROP]).baseline(DROP) is None
    assert scene.queries["base"] == 1


@pytest.mark.parametrize(("fault", "rerun", "read"), [(500, True, False), (500, False, True), (403, True, True)])
def test_a_re_run_needs_the_pull_request_because_its_payload_may_have_an_earlier_base_branch(
    fault: int, scene: Scene, *, rerun: bool, read: bool
) -> None:
    scene.github.fault("graphql pull", faults.refused(fault, "no"), always=True)
    subject = read_subject(scene.calls, Subject(event=replace(scene.event, rerun=rerun)), POLICY)
    assert (subject.snapshot.pull_request, bool(subject.commit.policy.text)) == (PullRequest(), read)
    assert [each.context for each in subject.commit.statuses or ()] == ["Sepurux / old"]
    assert scene.warnings == (["Could not read the pull request"] if read else [])
