"""What a pull request shows of failures that are new, known, and fixed, and what that costs in requests."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from sepurux_action.sandbox import Sandbox
from tests import backend
from tests.gfm import read
from tests.runner import StepResult, interrupt, run_action
from tests.scenes import PASSED, SECRET, Scene

CONTEXT = "Sepurux / core-reliability"
FAILED = {"decision": "fail", "pass_rate": 0.5, "unsafe_attempts": 0, "failures": 1, "reliability_score": 50}
OWN = {"type": "wrong_arguments", "severity": "medium", "mutation": "timeouts"}
FIXED = {**OWN, "type": "loop"}


def base_result(scene: Scene, run_id: str, *, page: str = "") -> None:
    """Add a commit to the base branch, with a result whose status links a run."""
    sha = scene.repository.commit("main")
    description = "pass (hard): 95.0% passed, 0 unsafe, 1 failures, score 93.0"
    status = scene.repository.status(sha, "success", CONTEXT, description)
    status.target_url = f"{page or scene.sepurux.url}/runs/{run_id}"


def script(scene: Scene, base: backend.Answer, **numbers: object) -> None:
    """Let the backend answer this for runs of the base, and list one failure of the run of this step."""

    def answer(request: backend.Request) -> backend.Answer:
        return base if request.query["run_id"].startswith("base") else backend.json([OWN])

    scene.sepurux.script("GET /v1/campaigns/*/failures", answer)
    scene.answers(**{"dashboard_url": f"{scene.sepurux.url}/runs/{backend.RUN_ID}", **numbers})


def of_base(scene: Scene) -> int:
    """Return the number of requests for failures of the base's runs."""
    calls = scene.sepurux.calls("GET /v1/campaigns/*/failures")
    return sum(call.query["run_id"].startswith("base") for call in calls)


def gate_report(scene: Scene) -> dict[str, Any]:
    gate: dict[str, Any] = json.loads((scene.workspace / "out" / "report.json").read_text("utf-8"))["gates"][0]
    return gate


def marks(scene: Scene) -> list[tuple[str, str | None]]:
    return [(each["type"], each["base"]) for each in gate_report(scene)["failures"]]


# -- the sandbox: the whole way ---------------------------------------------------------------------------------------


def trace(*failing: str) -> bytes:
    """Return a trace in which these tools fail, each under the mutation that its name begins with."""
    events: list[dict[str, object]] = [{"type": "tool_call", "tool": "fine"}, {"type": "tool_result", "tool": "fine"}]
    for tool in failing:
        events.append({"type": "mutation", "name": tool.partition(".")[0]})
        events.append({"type": "tool_call", "tool": tool, "status": "error"})
    return json.dumps({"trace_version": "0.1", "source": "sdk", "task": {"name": "t"}, "events": events}).encode()


def evaluate(scene: Scene, sandbox: Sandbox, *failing: str) -> StepResult:
    options = scene.options(base_url=sandbox.url, trace_file="agent.json", report_dir="out")
    return run_action(**options, files={"agent.json": trace(*failing)})


def copy_status_to_base(scene: Scene) -> None:
    """Let the base branch have the run of the pull request's head, in a result that passed there."""
    [status] = scene.repository.latest_statuses(scene.pull.head_sha)
    passed = (status.description or "").replace("fail (", "pass (")
    copied = scene.repository.status(scene.repository.commit("main"), "success", CONTEXT, passed)
    copied.target_url = status.target_url


def test_the_failures_of_an_uploaded_trace_are_new_known_or_fixed_against_the_base(scene: Scene) -> None:
    with Sandbox(token=SECRET) as sandbox:
        evaluate(scene, sandbox, "timeouts.a", "timeouts.b", "drift.c")
        copy_status_to_base(scene)
        scene.pull.push()
        before, github_before = len(sandbox.requests), len(scene.github.requests)
        result = evaluate(scene, sandbox, "timeouts.a", "timeouts.b", "timeouts.d", "malformed.e")
        added = [f"{each.method} {each.path}" for each in sandbox.requests[before:]]
    assert result.exit_code == 1, result.log
    found = {each["mutation"]: (each["count"], each["base"], each["new"]) for each in gate_report(scene)["failures"]}
    assert found == {"timeouts": (3, "new", 1), "malformed": (1, "new", 1)}
    assert [(each["mutation"], each["count"]) for each in gate_report(scene)["fixed"]] == [("drift", 1)]
    for page in (scene.ours[0], result.summary):
        assert "×3, 1 new, under `timeouts`" in page
        assert "×1, new, under `malformed`" in page
        assert "1 failure of `main` is fixed." in page
    assert 'failure: tool_error under drift in agent.json" />' in (scene.workspace / "out/junit.xml").read_text("utf-8")
    assert Counter(each.partition("/v1/")[2].partition("/")[0] for each in added)["ci"] == 3
    assert sum(each.endswith("/failures") for each in added) == 2
    assert len(scene.github.requests) - github_before == 6


# -- what is requested ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("results", "requests"), [(0, 0), (1, 1), (5, 5), (7, 5)])
def test_each_result_of_the_base_costs_a_request_to_sepurux_and_none_to_github(
    scene: Scene, results: int, requests: int
) -> None:
    for number in range(results):
        base_result(scene, f"base-{number}")
    script(scene, backend.json([FIXED]), **PASSED)
    result = scene.run(report_dir="out")
    assert (result.exit_code, result.outputs["decision"]) == (0, "pass"), result.log
    assert of_base(scene) == requests
    assert len(scene.sepurux.requests) == 4 + requests
    assert len(scene.github.requests) == 7
    assert gate_report(scene)["failures_compared_with"] == requests
    assert marks(scene) == [("wrong_arguments", "new" if results else None)]
    assert len(gate_report(scene)["fixed"]) == bool(results)


def test_a_skipped_and_a_cached_gate_are_not_compared(scene: Scene) -> None:
    base_result(scene, "base-1")
    script(scene, backend.json([FIXED]), **FAILED)
    first = scene.run(report_dir="out", enforcement="soft")
    assert (first.exit_code, of_base(scene), marks(scene)) == (1, 1, [("wrong_arguments", "new")])
    before = len(scene.sepurux.requests)
    scene.review(report_dir="out", enforcement="soft")
    assert len(scene.sepurux.requests) == before
    assert marks(scene) == [("wrong_arguments", "new")], "the comment's state keeps the marks"


def test_a_run_of_another_host_is_not_requested_and_not_compared(scene: Scene) -> None:
    base_result(scene, "base-1", page="https://evil.example")
    base_result(scene, "..%2f..%2ftraces")
    result = scene.run(report_dir="out")
    assert (result.exit_code, of_base(scene)) == (0, 0)
    assert {call.path for call in scene.sepurux.requests} == {
        *("/v1/campaigns", "/v1/ci/runs", f"/v1/ci/batch/{backend.BATCH_ID}"),
        *(f"/v1/campaigns/{backend.CAMPAIGN_ID}/{what}" for what in ("failures", "reliability")),
    }
    assert marks(scene) == [("wrong_arguments", None)]
    for page in (scene.ours[0], result.summary):
        assert "The failures are not compared with the base" in read(page).prose


@pytest.mark.parametrize("passes", [True, False])
@pytest.mark.parametrize(
    "answer",
    [
        backend.json({"detail": f"run not found, {SECRET}"}, 404),
        backend.json([{"type": "wrong_arguments", "campaign_id": backend.OTHER_CAMPAIGN_ID}]),
        backend.json([{"type": "x" * 100}] * 20_000),
        backend.raw(b"[" * 1_000_000),
        backend.page(status=200),
        backend.truncated([]),
        backend.empty(503),
    ],
    ids=range(7),
)
def test_no_response_about_the_base_changes_the_result(scene: Scene, answer: backend.Answer, passes: bool) -> None:  # noqa: FBT001
    base_result(scene, "base-1")
    script(scene, answer, **(PASSED if passes else FAILED))
    result = scene.run(report_dir="out")
    assert (result.exit_code, result.outputs["decision"]) == ((0, "pass") if passes else (1, "fail")), result.log
    assert (of_base(scene), marks(scene)) == (1, [("wrong_arguments", None)])
    assert "The failures are not compared with the base: for its run base-1" in result.summary.replace("\u200b", "")
    assert SECRET not in result.summary + scene.ours[0]


def test_an_empty_list_of_the_base_makes_no_failure_new(scene: Scene) -> None:
    for number in range(3):
        base_result(scene, f"base-{number}")
    script(scene, backend.json([]), **FAILED)
    result = scene.run(report_dir="out")
    assert (result.exit_code, of_base(scene), marks(scene)) == (1, 1, [("wrong_arguments", None)])
    for page in (scene.ours[0], result.summary):
        assert "Sepurux lists fewer failures than it counted" in read(page).prose
        assert ", new" not in page


def test_an_empty_list_of_this_run_makes_no_failure_of_the_base_fixed(scene: Scene) -> None:
    base_result(scene, "base-1")
    script(scene, backend.json([OWN]), **{**FAILED, "failures": 5})
    scene.sepurux.script("GET /v1/campaigns/*/failures", backend.json([]))
    result = scene.run(report_dir="out")
    assert (result.exit_code, of_base(scene), marks(scene), gate_report(scene)["fixed"]) == (1, 0, [], [])
    assert gate_report(scene)["failures_complete"] is False
    for page in (scene.ours[0], result.summary):
        assert "not all failures of this run are known" in read(page).prose
        assert "fixed" not in page
    assert "failure: " not in (scene.workspace / "out" / "junit.xml").read_text("utf-8")


def test_a_signal_while_the_base_is_read_ends_the_step_at_once_with_the_decision(scene: Scene) -> None:
    base_result(scene, "base-1")
    script(scene, backend.hang(), **FAILED)
    result = interrupt("fail after", **scene.options())
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (143, "fail", "failure")
    assert scene.status[0] == "failure"
