"""What a pull request shows of failures that are new, known, and fixed, and what that costs in requests."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from sepurux_action.sandbox import Sandbox
from tests import backend
from tests.runner import StepResult, interrupt, run_action
from tests.scenes import SECRET, Scene

CONTEXT = "Sepurux / core-reliability"


def trace(*failing: str) -> bytes:
    """Return a trace in which these tools fail, each under the mutation that its name begins with."""
    events: list[dict[str, object]] = [{"type": "tool_call", "tool": "fine"}, {"type": "tool_result", "tool": "fine"}]
    for tool in failing:
        events.append({"type": "mutation", "name": tool.partition(".")[0]})
        events.append({"type": "tool_call", "tool": tool, "status": "error"})
    return json.dumps({"trace_version": "0.1", "source": "sdk", "task": {"name": "t"}, "events": events}).encode()


def evaluate(scene: Scene, sandbox: Sandbox, *failing: str) -> StepResult:
    limits = {"min_pass_rate": "0", "max_failures": "3"}
    options = scene.options(base_url=sandbox.url, trace_file="agent.json", report_dir="out", **limits)
    return run_action(**options, files={"agent.json": trace(*failing)})


def test_the_failures_of_an_uploaded_trace_are_new_known_or_fixed_against_the_base(scene: Scene) -> None:
    with Sandbox(token=SECRET) as sandbox:
        evaluate(scene, sandbox, "timeouts.a", "timeouts.b", "drift.c")
        [status] = scene.repository.latest_statuses(scene.pull.head_sha)
        copied = scene.repository.status(scene.repository.commit("main"), "success", CONTEXT, status.description)
        copied.target_url = status.target_url
        scene.pull.push()
        before, github_before = len(sandbox.requests), len(scene.github.requests)
        result = evaluate(scene, sandbox, "timeouts.a", "timeouts.b", "timeouts.d", "malformed.e")
        added = [f"{each.method} {each.path}" for each in sandbox.requests[before:]]
    assert result.exit_code == 1, result.log
    [gate] = json.loads((scene.workspace / "out" / "report.json").read_text("utf-8"))["gates"]
    found = {each["mutation"]: (each["count"], each["base"], each["new"]) for each in gate["failures"]}
    assert found == {"timeouts": (3, "new", 1), "malformed": (1, "new", 1)}
    assert [(each["mutation"], each["count"]) for each in gate["fixed"]] == [("drift", 1)]
    for page in (scene.ours[0], result.summary):
        assert ", **1 new**, 2 also on `main`, under `timeouts`" in page
        assert ", **1 new**, under `malformed`" in page
        assert "1 failure of the last result on `main` is fixed." in page
    assert 'name="t">\n<failure' in (scene.workspace / "out/junit.xml").read_text("utf-8")
    assert Counter(each.partition("/v1/")[2].partition("/")[0] for each in added)["ci"] == 3
    assert sum(each.endswith("/failures") for each in added) == 4  # a page, and one that has nothing new, of each run
    assert len(scene.github.requests) - github_before == 7


def fail_against_base(scene: Scene, about_the_base: backend.Answer) -> None:
    """Let the gate fail, and let the backend answer this about the failures of the base's run."""
    sha = scene.repository.commit("main")
    description = "pass (hard): 95.0% passed, 0 unsafe, 1 failures, score 93.0"
    scene.repository.status(sha, "success", CONTEXT, description).target_url = f"{scene.sepurux.url}/runs/base-1"
    own = backend.json([{"type": "wrong_arguments", "severity": "medium", "mutation": "timeouts"}])
    scene.sepurux.script(
        "GET /v1/campaigns/*/failures", lambda request: about_the_base if request.query["run_id"] == "base-1" else own
    )
    scene.answers(dashboard_url=f"{scene.sepurux.url}/runs/{backend.RUN_ID}", failures=1)


@pytest.mark.parametrize(
    "answer", [backend.json({"detail": f"run not found, {SECRET}"}, 404), backend.raw(b"[" * 1_000_000)], ids=range(2)
)
def test_no_response_about_the_base_changes_the_result(scene: Scene, answer: backend.Answer) -> None:
    fail_against_base(scene, answer)
    result = scene.run()
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail"), result.log
    assert "The failures are not compared with the base: for its run `base-1`" in result.summary
    assert SECRET not in result.summary + scene.ours[0]


def test_a_signal_while_the_base_is_read_ends_the_step_at_once_with_the_decision(scene: Scene) -> None:
    fail_against_base(scene, backend.hang())
    result = interrupt("fail after", **scene.options())
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (143, "fail", "failure")
    assert scene.status[0] == "failure"
