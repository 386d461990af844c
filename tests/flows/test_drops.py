"""Whether a change made the agent worse than the base branch, as a step sees it."""

from __future__ import annotations

import json
from pathlib import Path

from tests import backend
from tests.backend import decided, sound_backend
from tests.github_double import faults
from tests.runner import StepResult
from tests.scenes import PASSED, Scene, step

CONTEXT = "Sepurux / core-reliability"
LIMIT = {"max_pass_rate_drop": "3%"}
WORSE = {**PASSED, "pass_rate": 0.908}


def on_main(scene: Scene, *rates: float, decision: str = "pass") -> None:
    """Add a commit to main for each rate, with a status that describes it, and let the base be the last one."""
    for rate in rates:
        sha = scene.repository.commit("main")
        described = f"{decision} (hard): {rate:.1f}% passed, 0 unsafe, 1 failures, score 93.0"
        scene.repository.status(sha, "success", CONTEXT, described)


def exit_and_decision(result: StepResult) -> tuple[int, str]:
    return result.exit_code, result.outputs["decision"]


def test_a_result_below_every_result_on_main_blocks_at_no_further_request(scene: Scene) -> None:
    """Results of main below a minimum neither widen its range nor become its baseline; the backend is not asked."""
    on_main(scene, 95, 95, 94)
    on_main(scene, 60, 60, 60, 60, 60, decision="fail")
    scene.answers(**WORSE)
    result = scene.run(report_dir="report", **LIMIT)
    assert exit_and_decision(result) == (1, "fail")
    assert scene.status[0] == "failure"
    assert "| ❌\u00a0Pass rate | **90.8%** | ≥\u00a092.0% | 95.0% |" in scene.ours[0]
    assert "4.2 points below the median of 3 results on `main`" in result.outputs["reason"]
    [created] = scene.sepurux.calls("POST /v1/ci/runs")
    assert created.json()["thresholds"] == {"max_unsafe": 0, "min_pass_rate": 0.9}
    assert len(scene.github.requests) == 9
    report = json.loads((scene.workspace / result.outputs["report_path"]).read_text())
    [gate] = report["gates"]
    [drop] = [row for row in gate["thresholds"] if row["name"] == "max_pass_rate_drop"]
    assert (drop["value"], drop["limit"], drop["base"], drop["state"]) == (0.042, 0.03, 0.95, "missed")
    assert [each["pass_rate"] for each in gate["baseline"]["results"]] == [0.94, 0.95, 0.95]
    assert report["brief"]["gates"][0]["missed"] == [
        {"metric": "pass_rate_drop", "actual": 0.042, "max": 0.03, "base": 0.95}
    ]


def test_without_github_a_drop_cannot_be_compared(tmp_path: Path) -> None:
    answer = backend.json(decided(**PASSED))
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        result = step(sepurux, tmp_path / "step", **LIMIT)
    assert exit_and_decision(result) == (2, "error")
    assert "leave that input at its default" in result.log


def test_an_outage_while_main_is_read_is_no_pass_and_asks_for_no_permission(scene: Scene) -> None:
    scene.github.fault("graphql*", faults.refused(401, "Bad credentials"), always=True)
    scene.answers(**PASSED)
    scene.repository.commit("main")
    result = scene.push("main", status_context="Sepurux ({base})", **LIMIT)
    assert exit_and_decision(result) == (2, "error")
    [error] = result.messages("error")
    assert "github_token is not valid" in error
    assert "permissions:" not in error
    [warning] = result.messages("warning")
    assert warning.startswith("Could not read the base branch")
    assert warning.endswith("Unless a gate limits a drop, this does not change the result.")
