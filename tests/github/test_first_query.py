"""The first query, when it is too large for GitHub: what the next ones ask for, and what the gate knows then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from typing import NamedTuple

import pytest

from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.event import Event
from sepurux_action.github.subject import Subject, read_subject, with_base
from tests import backend
from tests.builders import a_gate
from tests.fakes import FakeClock, FakeOutput
from tests.github_double import GitHub, faults
from tests.scenes import DECIDED, a_client_scene

POLICY, WORKFLOW = options.CONFIG.default, ".github/workflows/gate.yml"
SOME, FEW = 250, 150  # nodes: without the base branch there are some 110, and with its 50 commits alone some 210
WITHOUT_BASE, BASE = {"pull", "evaluated", "policy", "workflow"}, {"base"}
WHOLE = WITHOUT_BASE | BASE
DROP = a_gate(name="core", limits={"max_pass_rate_drop": 0.03})
TIMED_OUT = "Something went wrong while executing your query. This may be the result of a timeout, or a GitHub bug."


class Scene(NamedTuple):
    github: GitHub
    calls: BoundedCalls
    event: Event
    clock: FakeClock
    output: FakeOutput

    @property
    def queries(self) -> list[set[str]]:
        """Return what each query asks for."""
        sent = [json.loads(record.body) for record in self.github.calls("graphql")]
        asked = [{**each["variables"], "withBase": "base50" in each["query"]} for each in sent]
        return [{part for part in WHOLE if each[f"with{part.title()}"]} for each in asked]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with GitHub() as github:
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
        yield Scene(github, BoundedCalls(made.client, clock, output, event), event, clock, output)


def load(scene: Scene) -> Subject:
    subject = read_subject(scene.calls, Subject(event=scene.event))
    snapshot = subject.snapshot
    assert snapshot.pull_request
    assert (snapshot.policy.text, snapshot.workflow) == ("campaign: core", "on: pull_request")
    assert ([each.context for each in snapshot.statuses or ()], snapshot.error) == (["Sepurux / old"], None)
    return subject


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
def test_after_a_query_that_is_too_large_the_next_one_leaves_the_base_branch_out(
    answer: backend.Answer | None, scene: Scene
) -> None:
    scene.github.max_nodes, scene.github.too_large = SOME, answer
    start = scene.clock.time
    load(scene)
    assert (scene.queries, scene.clock.time) == ([WHOLE, WITHOUT_BASE], start)


@pytest.mark.parametrize(("seconds", "queries"), [(7.9, [WHOLE]), (8.1, [WHOLE, WITHOUT_BASE])])
def test_a_query_of_8_s_is_too_large(seconds: float, queries: list[set[str]], scene: Scene) -> None:
    start = scene.clock.time
    scene.github.before("graphql", lambda: setattr(scene.clock, "time", start + seconds))
    load(scene)
    assert (scene.queries, scene.clock.time) == (queries, start + min(seconds, 8))


@pytest.mark.parametrize("fault", [faults.lost, faults.broken(500), faults.secondary_limit(retry_after_s=3)])
def test_after_another_failure_the_next_query_reads_the_base_branch_too(fault: faults.Step, scene: Scene) -> None:
    scene.github.fault("graphql", fault)
    load(scene)
    assert scene.queries == [WHOLE, WHOLE]


def test_a_query_without_the_base_branch_is_retried_as_every_first_read(scene: Scene) -> None:
    scene.github.fault("graphql", faults.broken(502), faults.broken(502), faults.lost)
    load(scene)
    assert scene.queries == [WHOLE, WITHOUT_BASE, WITHOUT_BASE, WITHOUT_BASE]


@pytest.mark.parametrize(
    ("limit", "gate", "later_s", "expected"),
    [
        ((inf, None), DROP, 0, ([WHOLE], 0.91)),
        ((SOME, None), DROP, 0, ([WHOLE, WITHOUT_BASE, BASE], 0.91)),
        ((SOME, None), a_gate(), 0, ([WHOLE, WITHOUT_BASE], None)),
        ((SOME, None), DROP, 60, ([WHOLE, WITHOUT_BASE], None)),
        ((FEW, None), DROP, 0, ([WHOLE, WITHOUT_BASE, BASE], None)),
        ((FEW, faults.broken(502)), DROP, 0, ([WHOLE, WITHOUT_BASE, BASE], None)),
    ],
)
def test_if_a_drop_is_set_the_base_branch_is_read_alone_once_within_60_s(
    limit: tuple[float, backend.Answer | None], gate: Gate, later_s: int, expected: tuple[object, object], scene: Scene
) -> None:
    scene.github.max_nodes, scene.github.too_large = limit
    subject = load(scene)
    scene.clock.time += later_s
    found = with_base(scene.calls, subject, [a_gate(), gate]).baseline(DROP)
    assert (scene.queries, found and found.median(PASS_RATE)) == expected
    warnings = [text.partition(" (")[0] for _, text in scene.output.annotations]
    assert warnings == ([] if found else ["Sepurux gate: Could not read the base branch"])
