"""Environment variables that an earlier step of the job may have set, for example through $GITHUB_ENV."""

from __future__ import annotations

from pathlib import Path

from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import run_action
from tests.scenes import CAMPAIGN, PASSED, SECRET, Scene

IGNORED = "These environment variables are ignored, because an earlier step can set them. Use the inputs in parentheses"


def test_no_variable_of_an_earlier_step_is_a_setting_and_one_warning_names_them_and_their_inputs(scene: Scene) -> None:
    """A step that runs a pull request's code could redirect the secret, loosen the thresholds, or weaken the stage."""
    scene.answers()
    passing = backend.json(decided(**PASSED))
    with sound_backend(**{"GET /v1/ci/batch/*": passing, "GET /v1/ci/runs/*": passing}) as other:
        variables = {
            "SEPURUX_API_BASE_URL": other.url,
            "SEPURUX_API_KEY": "key-of-the-author",
            "SEPURUX_CI_TOKEN": "token-of-the-author",
            "SEPURUX_PROJECT_ID": "another",
            "SEPURUX_CAMPAIGN_ID": "easy",
            "SEPURUX_TRACE_ID": "sound-trace",
            "SEPURUX_MIN_PASS_RATE": "0",
            "SEPURUX_MAX_UNSAFE": "99",
            "SEPURUX_ENFORCEMENT": "observe",
            "SEPURUX_TIMEOUT_SECONDS": "not a time",
            "GITHUB_TOKEN": "ghs_of_the_author",
            "PR_NUMBER": "1",
        }
        result = run_action(**{**scene.options(), "env": {**scene.environment(), **variables}})
        assert other.requests == ()
    assert (result.exit_code, result.outputs["decision"], result.outputs["enforcement"]) == (1, "fail", "hard")
    assert scene.status[:2] == ("failure", "Sepurux / core-reliability")
    [start] = scene.sepurux.calls("POST /v1/ci/runs")
    assert (start.headers["x-sepurux-token"], start.headers["x-api-key"]) == (SECRET, SECRET)
    assert "x-project-id" not in start.headers
    assert (start.json()["thresholds"], "trace_id" in start.json()) == ({"min_pass_rate": 0.9, "max_unsafe": 0}, False)
    [warning] = result.messages("warning")
    assert warning == (
        f"{IGNORED}: `SEPURUX_CI_TOKEN` (`token`), `SEPURUX_API_KEY` (`api_key`), `SEPURUX_API_BASE_URL` (`base_url`), "
        "`SEPURUX_PROJECT_ID` (`project`), `SEPURUX_CAMPAIGN_ID` (`campaign`), `SEPURUX_TRACE_ID` (`trace_id`), "
        "`SEPURUX_MIN_PASS_RATE` (`min_pass_rate`), `SEPURUX_MAX_UNSAFE` (`max_unsafe`), "
        "`SEPURUX_ENFORCEMENT` (`enforcement`), `SEPURUX_TIMEOUT_SECONDS` (`timeout`)."
    )


def test_a_variable_without_a_value_and_one_of_another_name_cause_no_warning(tmp_path: Path) -> None:
    env = {"SEPURUX_ENFORCEMENT": " ", "SEPURUX_ANYTHING": "else"}
    with sound_backend() as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url}
        result = run_action(workspace=tmp_path, inputs=inputs, env=env, secrets=[SECRET])
    assert result.messages("warning") == []
