"""What follows from a decision if the pull request makes the policy file invalid: each gate blocks in every stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.harness import Observed, run_world
from tests.worlds.worlds import CAMPAIGN, CONTEXT, Pull, Review, Run, make_world

PASSES = {"status": "done", "decision": "pass", "pass_rate": 1.0, "unsafe_attempts": 0, "failures": 0}
UNKNOWN = dict.fromkeys(("reliability_score", "mutation_categories", "trace_count"))
INVALID = {"campaign": CAMPAIGN, "bogus": 1}
QUIET = replace(
    make_world(0),
    event="pull_request",
    pulls=(Pull(number=1, base="main"),),
    stale_base="",
    deleted=False,
    inputs={"campaign": CAMPAIGN},
    secret=True,
    files=("README.md",),
    reviews=(Review(login="ada", state="APPROVED"),),
    roles={"ada": "write", "bob": "write"},
    actor="",
    base=(),
    older_statuses=(),
    fault=None,
    late_faults={},
    github_fault="",
    retargeted=False,
    signal=False,
    behind=False,
)


ROWS = (  # decision, settings, exit status, and the exit status if the pull request does not change the file
    ("pass", {"enforcement": "observe"}, 2, 0),
    ("pass", {"enforcement": "hard"}, 2, 0),
    ("fail", {"enforcement": "observe"}, 2, 0),
    ("fail", {"enforcement": "soft", "reviewers": ["ada"]}, 2, 0),
    ("fail", {"enforcement": "soft", "reviewers": ["bob"]}, 1, 1),
    ("fail", {"enforcement": "hard"}, 1, 1),
    ("error", {"enforcement": "observe"}, 2, 0),
    ("error", {"enforcement": "hard", "on_undecided": "allow"}, 2, 0),
    ("error", {"enforcement": "hard"}, 2, 2),
    ("skipped", {"enforcement": "hard", "paths": ["agents/**"]}, 2, 0),
)


def run_row(row: int, folder: Path, *, of_file: bool, **parts: Any) -> Observed:  # noqa: ANN401 - parts of a world
    """Return what a run does with the decision and the settings of a row, in the file of the base or in the inputs."""
    decision, settings, *_ = ROWS[row]
    reported = {**PASSES, **UNKNOWN, "decision": "fail" if decision == "fail" else "pass"}
    everything = {"campaign": CAMPAIGN, **settings}
    world = replace(
        QUIET,
        secret=decision != "error",
        runs=(Run(waits=0, names_runs=(), fields=reported, rates=(1,), scores=("null",)),),
        inputs=QUIET.inputs if of_file else everything,
        policies={"main": everything if of_file else None, "head": INVALID, "checkout": None},
        **parts,
    )
    folder.mkdir()
    return run_world(world, folder)


@pytest.mark.parametrize("of_file", [True, False], ids=["changed file", "first file"])
@pytest.mark.parametrize("row", range(len(ROWS)))
def test_a_pull_request_that_makes_the_policy_invalid_is_blocked_in_every_stage(
    row: int, tmp_path: Path, *, of_file: bool
) -> None:
    decision, _, blocked, without = ROWS[row]
    seen = run_row(row, tmp_path / "changed", of_file=of_file)
    assert (seen.exit_status, seen.outputs["decision"], seen.outputs["conclusion"]) == (blocked, decision, "failure")
    assert seen.statuses[CONTEXT] == "failure"
    assert "; this pull request makes the policy invalid" in seen.description
    behind = run_row(row, tmp_path / "behind", of_file=of_file, behind=True)
    assert (behind.exit_status, behind.outputs["decision"]) == (without, decision)
    assert "invalid" not in behind.description + behind.log
