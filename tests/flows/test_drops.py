"""Whether a change made the agent worse than the base branch, as a step sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import backend
from tests.backend import decided, sound_backend
from tests.gfm import read
from tests.github_double import faults
from tests.runner import StepResult, run_action, run_cli
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


def outcome(result: StepResult) -> tuple[int, str]:
    return result.exit_code, result.outputs["decision"]


def test_a_result_below_every_result_on_main_blocks_and_the_backend_is_not_asked(scene: Scene) -> None:
    on_main(scene, 95, 95, 94)
    scene.answers(**WORSE)
    result = scene.run(**LIMIT)
    assert outcome(result) == (1, "fail")
    assert scene.status[0] == "failure"
    assert "| ❌\u00a0Pass rate vs main | **−4.2** | ≥ −3.0 | – |" in scene.ours[0]
    assert "4.2 points below the median of 3 results on main" in result.outputs["reason"]
    [created] = scene.sepurux.calls("POST /v1/ci/runs")
    assert created.json()["thresholds"] == {"max_unsafe": 0, "min_pass_rate": 0.9}


def test_a_limit_costs_no_request(scene: Scene) -> None:
    on_main(scene, 95, 95, 94)
    scene.answers(**PASSED)
    assert scene.run(**LIMIT).exit_code == 0
    assert len(scene.github.requests) == 7


@pytest.mark.parametrize("rates", [(), (95, 95)])
def test_the_first_pull_requests_are_not_judged_and_learn_how_to_get_more_results(
    rates: tuple[float, ...], scene: Scene
) -> None:
    on_main(scene, *rates)
    scene.answers(**WORSE)
    result = scene.run(**LIMIT)
    assert outcome(result) == (0, "pass")
    for page in (scene.ours[0], result.summary):
        assert f"not judged yet: {len(rates)} of 3 results on main" in read(page).prose
        assert "examples/workflows/scheduled.yml" in read(page).prose


def test_a_drop_within_the_range_of_main_does_not_block(scene: Scene) -> None:
    on_main(scene, 95, 95, 90.5)
    scene.answers(**WORSE)
    assert outcome(scene.run(**LIMIT)) == (0, "pass")
    assert "within main's range, 90.5% to 95.0%" in read(scene.ours[0]).prose


@pytest.mark.parametrize("rates", [(), (10, 10, 10)])
def test_a_fail_of_the_backend_stays_a_fail(rates: tuple[float, ...], scene: Scene) -> None:
    on_main(scene, *rates, decision="fail")
    scene.answers()
    assert outcome(scene.run(**LIMIT)) == (1, "fail")


def test_without_the_statuses_of_main_a_pass_is_an_error(scene: Scene) -> None:
    on_main(scene, 95, 95, 94)
    scene.token = scene.github.token({"contents": "read", "pull-requests": "write"})
    scene.answers(**PASSED)
    result = scene.run(status="false", **LIMIT)
    assert outcome(result) == (2, "error")
    assert "the results on main could not be read" in result.outputs["reason"]
    assert "`statuses: write`" in result.log
    assert outcome(scene.run(status="false")) == (0, "pass"), "without a limit they are not needed"


def test_a_number_that_only_main_has_makes_a_pass_an_error(scene: Scene) -> None:
    on_main(scene, 95, 95, 94)
    scene.answers(**{**PASSED, "reliability_score": None})
    scene.sepurux.script("GET /v1/campaigns/*/reliability", backend.json({"detail": "none"}, 404))
    result = scene.run(max_reliability_score_drop="5")
    assert outcome(result) == (2, "error")
    assert "it did not report the score" in result.outputs["reason"]


def test_without_github_a_limit_cannot_be_judged(tmp_path: Path) -> None:
    answer = backend.json(decided(**PASSED))
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        result = step(sepurux, tmp_path / "step", **LIMIT)
        flags = ["--campaign", "core-reliability", "--token", SECRET, "--max-pass-rate-drop", "3%"]
        ended = run_cli([*flags, "--base-url", sepurux.url], {}, tmp_path)
    assert outcome(result) == (2, "error")
    assert "leave that input at its default" in result.log
    assert ended.returncode == 2
    assert "A command line has no base branch to compare with" in ended.stderr + ended.stdout


def test_a_push_to_main_is_compared_with_what_was_before_it(scene: Scene) -> None:
    on_main(scene, 95, 95, 94)
    pushed = scene.repository.commit("main")
    on_main(scene, 10, 10, 10)
    scene.answers(**WORSE)
    event = {"ref": "refs/heads/main", "after": pushed, "deleted": False, "repository": {"full_name": "octo/shop"}}
    env = {**scene.environment(), "GITHUB_SHA": pushed, "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"}
    result = run_action(**{**scene.options(**LIMIT), "event_name": "push", "event": event, "env": env})
    assert outcome(result) == (1, "fail"), result.log
    assert "below the median of 3 results on this branch" in result.outputs["reason"]


def test_a_merge_group_is_compared_with_its_base_branch(scene: Scene) -> None:
    on_main(scene, 95, 95, 94)
    queued = scene.repository.commit("gh-readonly-queue")
    group = {
        "head_sha": queued,
        "head_ref": f"refs/heads/gh-readonly-queue/main/pr-{scene.pull.number}-{'a' * 40}",
        "base_ref": "refs/heads/main",
        "base_sha": scene.pull.base_sha,
    }
    scene.answers(**WORSE)
    event = {"action": "checks_requested", "merge_group": group, "repository": {"full_name": "octo/shop"}}
    env = {**scene.environment(), "GITHUB_SHA": queued}
    result = run_action(**{**scene.options(**LIMIT), "event_name": "merge_group", "event": event, "env": env})
    assert outcome(result) == (1, "fail"), result.log
    assert "3 results on main" in result.outputs["reason"]


def test_a_limit_of_the_policy_cannot_be_loosened_by_an_input_or_by_the_pull_request(scene: Scene) -> None:
    path, text = ".github/sepurux-gate.yml", "campaign: core-reliability\nthresholds:\n  max_pass_rate_drop: 3%\n"
    scene.repository.commit("main", {path: text})
    on_main(scene, 95, 95, 94)
    scene.pull = scene.repository.pull("mona", head="looser", files={path: text.replace("3%", "50%")})
    scene.answers(**WORSE)
    result = scene.run(max_pass_rate_drop="50%")
    assert outcome(result) == (1, "fail")
    assert "max_pass_rate_drop" in scene.ours[0]


def test_the_failure_is_remembered_for_a_review_although_main_has_got_worse(scene: Scene) -> None:
    on_main(scene, 95, 95, 94)
    scene.answers(**WORSE)
    scene.run(enforcement="soft", **LIMIT)
    on_main(scene, 50, 50, 50, 50, 50)
    options = scene.options(enforcement="soft", **LIMIT)
    event = {**options["event"], "action": "submitted"}
    event["review"] = {"state": "commented", "commit_id": scene.pull.head_sha, "user": {"login": "hubot"}}
    result = run_action(**{**options, "event_name": "pull_request_review", "event": event})
    assert outcome(result) == (1, "fail"), result.log
    assert len(scene.sepurux.calls("POST /v1/ci/runs")) == 1
    assert "no threshold that is set here explains why" not in result.summary


def test_report_json_has_the_drop_and_the_compared_results(scene: Scene) -> None:
    on_main(scene, 95, 95, 94)
    scene.answers(**WORSE)
    result = scene.run(report_dir="report", **LIMIT)
    report = json.loads((scene.workspace / result.outputs["report_path"]).read_text())
    [gate] = report["gates"]
    [drop] = [row for row in gate["thresholds"] if row["name"] == "max_pass_rate_drop"]
    assert (drop["value"], drop["limit"], drop["base"], drop["state"]) == (0.042, 0.03, 0.95, "missed")
    assert [each["pass_rate"] for each in gate["baseline"]["results"]] == [0.94, 0.95, 0.95]
    assert gate["baseline"]["pass_rate"] == 0.95
    assert report["brief"]["gates"][0]["missed"] == [
        {"metric": "pass_rate_drop", "actual": 0.042, "max": 0.03, "base": 0.95}
    ]


def test_an_outage_while_main_is_read_is_no_pass(scene: Scene) -> None:
    scene.github.fault("graphql", faults.refused(401, "Bad credentials"), always=True)
    scene.answers(**PASSED)
    assert outcome(scene.run(**LIMIT)) == (2, "error")
