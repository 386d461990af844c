"""Whether a change made the agent worse than the base branch, as a step sees it."""

from __future__ import annotations

import json
from contextlib import chdir
from pathlib import Path

import pytest

from sepurux_action.app import run_command_line
from sepurux_action.host.deadlines import Signals
from tests import backend
from tests.backend import decided, sound_backend
from tests.gfm import read
from tests.github_double import faults
from tests.runner import StepResult
from tests.scenes import PASSED, SECRET, Scene, step

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


@pytest.mark.parametrize(
    ("flags", "policy", "line"),
    [
        (["--max-pass-rate-drop", "3%"], "", "--max-pass-rate-drop is not compared without --baseline-dir"),
        (
            ["--max-pass-rate-drop", "3%"],
            "gates:\n- name: a\n  thresholds:\n    max_reliability_score_drop: 7\n",
            "--max-pass-rate-drop and --max-reliability-score-drop are not compared without --baseline-dir",
        ),
    ],
)
def test_on_a_command_line_without_earlier_results_a_drop_is_not_compared_and_one_line_says_so(
    flags: list[str], policy: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".github").mkdir()
    if policy:
        (tmp_path / ".github" / "sepurux-gate.yml").write_text(f"campaign: core-reliability\n{policy}")
    with chdir(tmp_path), sound_backend(**{"GET /v1/ci/batch/*": backend.json(decided(**PASSED))}) as sepurux:
        common = ["--campaign", "core-reliability", "--token", SECRET, "--base-url", sepurux.url]
        assert run_command_line([*common, *flags], {}, Signals()) == 0
    shown = capsys.readouterr()
    assert shown.err.count(line) == 1
    assert "Drop of" not in shown.out


def test_a_review_reports_the_recorded_fail_although_main_has_got_worse(scene: Scene) -> None:
    on_main(scene, 95, 95, 94)
    scene.answers(**WORSE)
    scene.run(enforcement="soft", **LIMIT)
    on_main(scene, 50, 50, 50, 50, 50)
    result = scene.review(enforcement="soft", **LIMIT)
    assert exit_and_decision(result) == (1, "fail"), result.log
    assert len(scene.sepurux.calls("POST /v1/ci/runs")) == 1
    reason = "4.2 points below the median of 3 results on `main`"
    for page in (scene.ours[0], result.summary):
        shown = read(page).prose
        assert "failed: 90.8% passed, 4.2 points below `main`" in page
        assert "| drop ≤\u00a03.0 |" in page
        assert "50.0%" not in shown, "the results of today are not what it was compared with"
    assert reason in result.outputs["reason"]


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
