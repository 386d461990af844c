"""What follows from a decision if the pull request makes the policy file invalid: each gate blocks in every stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import worlds
from tests.worlds.harness import Observed, run_world
from tests.worlds.worlds import ABSENT, CAMPAIGN, CONTEXT, MERGED, Pull, Review, Run

PASSES = {"status": "done", "decision": "pass", "pass_rate": 1.0, "unsafe_attempts": 0, "failures": 0}
UNKNOWN = dict.fromkeys(("reliability_score", "mutation_categories", "trace_count"))
UNKNOWN_KEY, NO_TRACE = {"campaign": CAMPAIGN, "bogus": 1}, {"campaign": CAMPAIGN, "trace_file": [ABSENT]}
NO_CAMPAIGN: dict[str, Any] = {"timeout": 60}  # which the inputs lack too, if they have no campaign
QUIET = replace(
    worlds.QUIET,
    event="pull_request",
    pulls=(Pull(number=1, base="main"),),
    inputs={"campaign": CAMPAIGN},
    reviews=(Review(login="ada", state="APPROVED"),),
    roles={"ada": "write", "bob": "write"},
    actor="",
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


def run_row(
    row: int,
    folder: Path,
    *,
    of_file: bool,
    head: dict[str, Any],
    **parts: Any,  # noqa: ANN401 - parts of a world
) -> Observed:
    """Return what a run does with the decision and the settings of a row, in the file of the base or in the inputs."""
    decision, settings, *_ = ROWS[row]
    reported = {**PASSES, **UNKNOWN, "decision": "fail" if decision == "fail" else "pass"}
    everything = {"campaign": CAMPAIGN, **settings}
    world = replace(
        QUIET,
        secret=decision != "error",
        runs=(Run(waits=0, names_runs=(), fields=reported, rates=(1,), scores=("null",)),),
        inputs=everything if not of_file else {} if head is NO_CAMPAIGN else QUIET.inputs,
        policies={"main": everything if of_file else None, "head": head, "checkout": None},
        **parts,
    )
    folder.mkdir()
    return run_world(world, folder)


@pytest.mark.parametrize(
    ("of_file", "head"),
    [(True, UNKNOWN_KEY), (True, NO_TRACE), (True, NO_CAMPAIGN), (False, UNKNOWN_KEY), (False, NO_TRACE)],
    ids=["unknown key", "no trace", "no campaign", "unknown key in the first file", "no trace in the first file"],
)
@pytest.mark.parametrize("row", range(len(ROWS)))
def test_a_pull_request_that_makes_the_policy_invalid_is_blocked_in_every_stage(
    row: int, head: dict[str, Any], tmp_path: Path, *, of_file: bool
) -> None:
    decision, _, blocked, without = ROWS[row]
    seen = run_row(row, tmp_path / "changed", of_file=of_file, head=head)
    assert (seen.exit_status, seen.outputs["decision"], seen.outputs["conclusion"]) == (blocked, decision, "failure")
    assert seen.statuses[CONTEXT] == "failure"
    assert "; this pull request makes the policy invalid" in seen.description
    behind = run_row(row, tmp_path / "behind", of_file=of_file, head=head, behind=True)
    assert (behind.exit_status, behind.outputs["decision"]) == (without, decision)
    assert "invalid" not in behind.description + behind.log


@pytest.mark.parametrize("event", ["pull_request_review", "pull_request_target", "push", "workflow_run", MERGED])
@pytest.mark.parametrize("head", [UNKNOWN_KEY, NO_TRACE, NO_CAMPAIGN], ids=["unknown key", "no trace", "no campaign"])
def test_the_policy_after_the_merge_is_checked_on_each_event_with_a_pull_request_and_for_a_merge_group(
    head: dict[str, Any], event: str, tmp_path: Path
) -> None:
    seen = run_row(0, tmp_path / "changed", of_file=True, head=head, event=event, branch="dev")
    assert (seen.exit_status, seen.outputs["decision"], seen.outputs["conclusion"]) == (2, "pass", "failure")
    behind = run_row(0, tmp_path / "behind", of_file=True, head=head, event=event, branch="dev", behind=True)
    assert behind.exit_status == (2 if event == MERGED else 0)  # of a merge group, every difference is its change
