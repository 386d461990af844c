"""What a step shows of a campaign of many scenarios; no response about them changes the decision."""

from __future__ import annotations

import re

import pytest

from sepurux_action.evaluation import schedule
from tests import backend
from tests.runner import StepResult
from tests.sandboxed import MANY, many_scenarios, scripted_sandbox
from tests.scenes import Scene

FAILED = ("fail", 1, "failure")


def evaluate(scene: Scene, *broken: str, late_s: float = 0) -> tuple[StepResult, list[str]]:
    """Evaluate forty scenarios, of which five fail; return the result and what a reader sees of it."""
    with scripted_sandbox(many_scenarios(40), late_s=late_s) as server:
        for route in broken:
            server.script(route, backend.empty(503))
        result = scene.run(base_url=server.url, campaign=MANY)
    assert (result.outputs["decision"], result.exit_code, scene.status[0]) == FAILED, result.log
    assert scene.status[2].endswith("; 40 scenarios")
    return result, [scene.ours[0], result.summary, result.log]


def test_a_report_says_in_which_of_many_scenarios_something_failed(scene: Scene) -> None:
    result, shown = evaluate(scene)
    names = re.findall(r"^- ❌.\[`(refund order A-\d+)`\]\(.*?\): ", result.summary, re.MULTILINE)
    assert names == [f"refund order A-{number}" for number in (1001, 1009, 1017, 1025, 1033)]
    comment, summary, log = shown
    assert all("in 5 of 40 scenarios" in text for text in (comment, summary))
    assert re.findall(r"✗.* (refund order A-\d+)  ", log) == names
    assert "35 of 40 scenarios passed." in log
    assert not any("were not read" in text for text in shown)


@pytest.mark.parametrize(("broken", "late_s"), [("GET */failures", 0), ("GET */ci/runs/*", 0), ("none", 0.3)])
def test_slow_and_broken_endpoints_are_counted(
    broken: str, late_s: float, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "SCENARIOS_S", 0.7)
    _, shown = evaluate(scene, broken, late_s=late_s)
    assert all(re.search(r"\d+ more failures in \d+ scenarios were not read", text) for text in shown), shown
    assert not any("named no failures" in text for text in shown)
