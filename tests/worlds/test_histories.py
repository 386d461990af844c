"""Random histories of one commit: once it failed, it stays failed."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.worlds.histories import History, SetStatus, make_history, play

HISTORIES = 3_000 if os.environ.get("CI") else 100
PLAYED_TOGETHER = min(HISTORIES, 200)  # enough that some are approved


@pytest.mark.parametrize("first", range(0, HISTORIES, PLAYED_TOGETHER))
def test_after_a_fail_no_status_is_success_without_someone_who_may_approve(first: int, tmp_path: Path) -> None:
    seen = Counter[str]()
    for seed in range(first, first + PLAYED_TOGETHER):
        history, folder = make_history(seed), tmp_path / str(seed)
        folder.mkdir()
        played = play(history, folder)
        told, failed = played.statuses, any(each.description.startswith("fail (") for each in played.statuses)
        shown = "\n".join(f"{each.run} {each.state} {each.description}" for each in told)
        assert first_wrong(history, told) is None, f"history {seed}\n{shown}\n{history}"
        seen["failed"] += failed
        seen["passed after all"] += failed and told[-1].state == "success"
    assert seen["failed"] > PLAYED_TOGETHER / 2
    assert seen["passed after all"] > 0


def first_wrong(history: History, told: Sequence[SetStatus]) -> SetStatus | None:
    """Return the first success after a `fail` of another run that is not by an approval of someone who may approve."""
    failed = set[int]()  # the runs
    for each in told:
        if each.state == "success":
            by_review = history.inputs["enforcement"] == "soft" and "; approved by ada" in each.description
            may_be = by_review and any(step.approves for step in each.begun)
            if failed - {each.run} and not may_be:
                return each
        if each.description.startswith("fail ("):
            failed.add(each.run)
    return None
