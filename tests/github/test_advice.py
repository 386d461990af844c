"""What the base branch of a pull request says about the gates of a step."""

from dataclasses import replace

import pytest

from sepurux_action.config.options import Stage
from sepurux_action.github.statuses import NOT_REQUIRED, NOT_SET, advise
from tests import backend
from tests.builders import a_gate
from tests.github.scene import FORBIDDEN, Scene, rejecting
from tests.scenes import DECIDED

CONTEXT = "Sepurux / core"
LACKS = NOT_REQUIRED.format(base="main", context=CONTEXT)


def advice(scene: Scene, stage: Stage = Stage.HARD) -> list[str]:
    subject = scene.load()
    return [*advise(scene.calls, subject, ["core", "search"], a_gate(name="core", stage=stage))]


@pytest.mark.parametrize("stage", [Stage.HARD, Stage.SOFT])
def test_a_gate_blocks_only_if_a_ruleset_or_the_protection_requires_its_status(stage: Stage, scene: Scene) -> None:
    assert advice(scene, stage) == [LACKS]
    scene.repository.protected["main"] = ["build"]
    scene.repository.require_statuses("main", "Sepurux / search", "lint")
    assert advice(scene, stage) == [LACKS]
    scene.repository.protected["main"] = ["build", "SEPURUX / core"]
    assert advice(scene, stage) == []
    scene.repository.protected.clear()
    scene.repository.require_statuses("main", CONTEXT)
    assert advice(scene, stage) == []


def test_a_required_status_of_the_gate_that_no_gate_sets_is_named(scene: Scene) -> None:
    scene.repository.protected["main"] = [CONTEXT, "sepurux / SEARCH", "Sepurux / core (main)"]
    scene.repository.require_statuses("main", "Sepurux / refunds", "build")
    contexts = "Sepurux / core (main)", "Sepurux / refunds"
    assert advice(scene) == [NOT_SET.format(base="main", context=each) for each in contexts]
    assert advice(scene, Stage.OBSERVE) == advice(scene)


def test_what_cannot_be_read_or_is_no_pull_request_is_no_advice(scene: Scene) -> None:
    scene.reject = rejecting(FORBIDDEN, "repos/get-branch-rules")
    assert advice(scene) == []
    scene.reject = lambda _: None
    scene.github.denied = ["Ref.refUpdateRule"]
    assert advice(scene) == []
    assert scene.subject.policy is None
    scene.event = replace(scene.event, pull_request=None)
    assert advice(scene) == []


def test_the_required_statuses_of_all_pages_of_rules_are_read(scene: Scene) -> None:
    scene.repository.require_statuses("main", "SEPURUX / Core", "other")
    pages = [{"type": "deletion"}] * 100, scene.repository.rules["main"]
    more = {"Link": '<https://api.github.com/next>; rel="next"'}
    scene.github.fault("repos/get-branch-rules", backend.json(pages[0], headers=more), backend.json(pages[1]))
    assert advice(scene) == []


@pytest.mark.parametrize(
    ("passed", "failed", "which"), [(0, 0, None), (9, 0, "none of the last 9"), (17, 2, "2 of the last 19")]
)
def test_the_next_stage_would_have_blocked_a_fail(passed: int, failed: int, which: str | None, scene: Scene) -> None:
    scene.repository.protected["main"] = [CONTEXT, "Sepurux / search"]
    decisions = ["pass"] * passed + ["fail"] * failed + ["error", "pending"] * 5
    for decision in decisions:
        pull = scene.repository.pull("mona", head=f"topic-{len(scene.repository.pulls)}")
        scene.repository.status(pull.head_sha, "success", CONTEXT.upper(), DECIDED.replace("pass", decision, 1))
    for stage, following in ((Stage.OBSERVE, "soft"), (Stage.SOFT, "hard")):
        said = f"With `{following}`, {which} evaluated pull requests would have been blocked."
        assert advice(scene, stage) == ([said] if which else [])
