"""Random histories of one commit: several runs on one GitHub, each in a world of its own. A seed gives always the same.

A run may be interrupted by a signal before any of its calls, or by a whole other run before any but its last calls, and
calls of GitHub may fail.
"""

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from sepurux_action.host.deadlines import Signals
from tests.github_double.in_process import connected
from tests.github_double.state import Refusal
from tests.worlds.harness import OLDER, WorldGitHub, run_on
from tests.worlds.worlds import AUTHOR, CAMPAIGN, CONTEXT, FILES, Pull, Review, Run, World

REVIEWER = "ada"
ROLES = {REVIEWER: "write", AUTHOR: "write"}
PULL = Pull(number=1, base="main")
EVENTS = ("pull_request",) * 4 + ("pull_request_review", "workflow_run")
SET_STATUS = "repos/create-commit-status"
FAULTS = (
    *(("graphql",), ("repos/list-commit-statuses-for-ref",), (SET_STATUS,), ("issues/create-comment",)),
    *(("repos/get-collaborator-permission-level",), ("pulls/list",)),
)
OTHER_CONTEXTS = (CONTEXT, *(f"ci / {number}" for number in range(99)))  # one page
NUMBERS = {"pass_rate": 1.0, "unsafe_attempts": 0, "failures": 0, "trace_count": 3}
PASSES = {"status": "done", "decision": "pass", **NUMBERS}
FAILS = {**PASSES, "decision": "fail", "pass_rate": 0.8, "failures": 2}
OTHERS = dict.fromkeys(("reliability_score", "mutation_categories"))


@dataclass(frozen=True, kw_only=True)
class Step:
    """One run of the step: what started it, and what the backend shows in each of its evaluations.

    Before the call `stopped_at`, counted from 0, a signal arrives, or the step is `killed`. From `other_at` on, `other`
    runs from its start to its end, before a call of the backend or one of the first reads, because two runs that end at
    the same time miss each other. `fault` has the calls of GitHub that fail, from their `fault_from`th time on. With
    `times`, it succeeds again after these failures, and if it is `lost`, a status is set although the call fails.
    Before the run, `others` set many statuses of other contexts, and a `pass` of this one by another account.
    """

    event: str
    rerun: bool
    runs: tuple[Run, ...]
    again: tuple[Run, ...]
    approves: bool
    closed: bool = False
    stopped_at: int | None = None
    killed: bool = False
    other_at: int = 0
    other: "Step | None" = None
    fault: tuple[str, ...] = ()
    fault_from: int = 0
    times: int = 0
    lost: bool = False
    others: bool = False

    def refuses(self, call: str, number: int) -> bool:
        """Return whether GitHub refuses a call; it is the one with this number, from 1, of the calls of `fault`."""
        return call in self.fault and self.fault_from < number <= self.fault_from + (self.times or number)


@dataclass(frozen=True, kw_only=True)
class History:
    seed: int
    inputs: Mapping[str, Any]
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class SetStatus:
    """A status of the gate that the commit got, and the steps that had begun by then. `run` set it."""

    run: int
    state: str
    description: str
    begun: tuple[Step, ...]


class Killed(BaseException):
    """The process of the step is killed, and reports nothing."""


def make_history(seed: int) -> History:
    rng = Random(seed)  # noqa: S311 - no secret
    traces = rng.choice(({}, {}, {"trace_id": ["t-1", "t-2"]}, {"trace_file": ["a.json"]}))
    stage = rng.choice(("hard", "hard", "soft"))
    inputs = {"campaign": CAMPAIGN, "timeout": 8, "enforcement": stage, **traces}
    steps = [_step(rng) for _ in range(rng.randint(2, 5))]
    steps[0] = replace(steps[0], event="pull_request", fault=(), runs=_runs(rng, fails=0.8))
    return History(seed=seed, inputs=inputs, steps=tuple(steps))


def _step(rng: Random, *, nested: bool = False) -> Step:
    other = None if nested or rng.random() < 0.6 else _step(rng, nested=True)
    return Step(
        event=rng.choice(EVENTS),
        rerun=rng.random() < 0.4,
        runs=_runs(rng, fails=0.4),
        again=_runs(rng, fails=0.3),
        approves=rng.random() < 0.2,
        closed=rng.random() < 0.1,
        stopped_at=rng.randrange(14) if rng.random() < 0.35 else None,
        killed=rng.random() < 0.5,
        other_at=rng.randrange(8),
        other=other,
        fault=rng.choice(FAULTS) if rng.random() < 0.25 else (),
        fault_from=rng.randrange(3),
        times=rng.choice((0, 1, 4, 5)),
        lost=rng.random() < 0.5,
        others=rng.random() < 0.1,
    )


def _runs(rng: Random, *, fails: float) -> tuple[Run, ...]:
    shown = [{**(FAILS if rng.random() < fails else PASSES), **OTHERS} for _ in range(3)]
    batch = partial(Run, names_runs=("start", "poll"), rates=(1,) * 3, scores=("null",) * 3)
    return tuple(batch(waits=rng.choice((0, 0, 1, 2)), fields=fields) for fields in shown)


@dataclass(kw_only=True)
class Played:
    """What became of a history: every status of the gate that the commit got, the oldest first."""

    statuses: list[SetStatus] = field(default_factory=list)
    begun: list[Step] = field(default_factory=list)


def play(history: History, folder: Path) -> Played:
    played, github = Played(), WorldGitHub(_world(history, history.steps[0]))
    with connected(github.double):
        for number, step in enumerate(history.steps):
            _Playing(history, step, github, played, folder / str(number)).run()
    return played


class _Playing:
    """One step of a history while it runs."""

    def __init__(self, history: History, step: Step, github: WorldGitHub, played: Played, folder: Path) -> None:
        self._history, self._step, self._github, self._played, self._folder = history, step, github, played, folder
        self._signals, self._calls, self._failed = Signals(), 0, 0
        self._number = len(played.begun) + 1
        # A soft gate may read the reviews with its second call, for which Python has a lock.
        self._last_early = int(history.inputs["enforcement"] == "hard")

    def run(self) -> None:
        github, step = self._github, self._step
        outer = github.world, github.before, github.between
        self._played.begun.append(step)
        for context in OTHER_CONTEXTS if step.others else ():
            github.set_status(context, "success", OLDER, creator="mallory")
        github.before, github.between = self._before, self._between
        workflow_run = self._number, 2 if step.rerun else 1
        with suppress(Killed):
            run_on(github, _world(self._history, step), self._folder, workflow_run, self._signals)
        world, github.before, github.between = outer
        github.show(world)

    def _between(self, called: str) -> None:
        """Run the other step, in a thread of its own, because the event loop of this one is running."""
        other, is_early = self._step.other, called == "backend" or self._calls <= self._last_early
        if other and self._calls >= self._step.other_at and is_early and other not in self._played.begun:
            folder = self._folder.with_name(f"{self._folder.name}-other")
            thread = threading.Thread(target=_Playing(self._history, other, self._github, self._played, folder).run)
            thread.start()
            thread.join()

    def _before(self, operation: str, body: bytes) -> None:
        step, number = self._step, self._calls
        call = operation.partition(" ")[0]  # without the name of a query
        self._calls += 1
        if number == step.stopped_at and step.killed:
            raise Killed
        if number == step.stopped_at:
            self._signals.receive(15)
        self._failed += call in step.fault
        fails, sent = step.refuses(call, self._failed), json.loads(body) if call == SET_STATUS else {}
        texts = {name: sent.get(name, "") for name in ("state", "description")}
        link = sent.get("target_url", "")
        if sent.get("context") == CONTEXT and (step.lost or not fails):
            begun = tuple(self._played.begun)
            self._played.statuses.append(SetStatus(run=self._number, begun=begun, **texts))
        if sent and step.lost and fails:
            self._github.set_status(sent["context"], url=link, **texts)
        if fails:
            raise Refusal(502 if step.times else 403, "refused")


def _world(history: History, step: Step) -> World:
    reviews = (Review(login=REVIEWER, state="APPROVED"),) if step.approves else ()
    return World(
        event=step.event,
        branch="topic",
        pulls=(replace(PULL, closed=step.closed and step.event == "workflow_run"),),
        rerun=step.rerun,
        inputs=history.inputs,
        runs=step.runs,
        again=step.again,
        reviews=reviews,
        roles=ROLES,
        tasks=dict.fromkeys(FILES),
    )
