"""What a step shows of the base's results, by scenario and for the whole gate, and which runs write them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sepurux_action.app import run_command_line
from sepurux_action.evaluation.results import write_results
from sepurux_action.host.deadlines import Signals
from sepurux_action.sandbox import Sandbox
from tests import backend
from tests.backend import decided, sound_backend
from tests.github_double import faults
from tests.runner import StepResult, interrupt, run_action
from tests.scenes import CAMPAIGN, PASSED, SECRET, Scene

FOLDER = "kept"
PLAIN = ("orders.lookup", "payments.status")
UNSAFE = ("orders.lookup", "payments.refund")
PATH, LIMIT = ".github/sepurux-gate.yml", "thresholds: {max_pass_rate_drop: 3%}\n"


def a_trace(task: str, tools: Sequence[str], failing: str = "") -> bytes:
    events: list[dict[str, object]] = []
    for tool in tools:
        events.append({"type": "tool_call", "tool": tool, "args": {"order": "A-17"}})
        result: dict[str, object] = {"type": "tool_result", "tool": tool, "status": "success"}
        events.append({**result, "error": {"message": "timed out"}} if tool == failing else result)
    head = {"trace_version": "0.1", "source": "sdk", "recorder": "1"}
    return json.dumps({**head, "task": {"name": task}, "events": events}).encode()


def recorded(refund: Sequence[str] = PLAIN, cancel: Sequence[str] = ("orders.cancel",)) -> dict[str, bytes]:
    return {"refund.json": a_trace("refund twice", refund), "cancel.json": a_trace("cancel an order", cancel)}


def options(scene: Scene, sandbox: Sandbox, **inputs: str) -> dict[str, Any]:
    given = {"base_url": sandbox.url, "trace_file": "*.json", "baseline_dir": FOLDER, "report_dir": "out", **inputs}
    return scene.options(**{name: value for name, value in given.items() if value})


def at(
    scene: Scene, given: dict[str, Any], sha: str, ref: str = "refs/heads/main", event: str = "push"
) -> dict[str, Any]:
    variables = {"GITHUB_SHA": sha, "GITHUB_REF": ref}
    repository = {"full_name": "octo/shop", "default_branch": "main"}
    payload: dict[str, Any] = {"repository": repository, "ref": ref, "after": sha}
    payload["workflow_run"] = {"event": "push", "head_branch": ref.rpartition("/")[2], "head_sha": sha}
    payload["workflow_run"]["head_repository"] = repository
    return given | {"event_name": event, "event": payload, "env": scene.environment() | variables}


def on_main(scene: Scene, sandbox: Sandbox, files: dict[str, bytes], event: str = "push", **inputs: str) -> StepResult:
    sha = scene.repository.commit("main")
    return run_action(**at(scene, options(scene, sandbox, **inputs), sha, event=event), files=files)


def on_pull_request(scene: Scene, sandbox: Sandbox, files: dict[str, bytes], **inputs: str) -> StepResult:
    scene.pull.push()
    return run_action(**options(scene, sandbox, **inputs), files=files)


def kept(scene: Scene) -> Path:
    return scene.workspace / FOLDER / "baseline.json"


def results(scene: Scene) -> list[dict[str, Any]]:
    return list(json.loads(kept(scene).read_bytes())["results"])


def report(scene: Scene) -> dict[str, Any]:
    [gate] = json.loads((scene.workspace / "out" / "report.json").read_text("utf-8"))["gates"]
    return dict(gate)


def test_a_pull_request_says_what_is_new_and_what_main_did_instead(scene: Scene, sandbox: Sandbox) -> None:
    for _ in range(3):
        assert on_main(scene, sandbox, recorded()).exit_code == 0
    before, github_before = len(sandbox.requests), len(scene.github.requests)
    result = on_pull_request(scene, sandbox, recorded(UNSAFE))
    assert result.exit_code == 1, result.log
    requests = [each.path.rpartition("/")[0] for each in scene.github.requests[github_before:]]
    statuses = requests.count("/repos/octo/shop/statuses")
    assert (len(requests) - statuses, statuses) == (5, 2)  # none for the base
    assert sum("/failures" in each.path for each in sandbox.requests[before:]) == 1
    assert "--only 'refund twice' --times 5\nsepurux-gate" in result.summary
    assert f" --base-url={sandbox.url}\n" in result.summary
    steps = ["  1 orders.lookup(order)", "- 2 payments.status(order)", "> 2 payments.refund(order)"]
    gate = report(scene)
    [failure] = gate["failures"]
    assert failure["scenario"] == "refund twice"
    assert failure["on_base"] == {"having": 0, "results": 3, "here": 1, "most": 0}
    assert failure["steps"] == [line.strip() for line in steps]
    bases = {each["name"]: each["base_rates"] for each in gate["scenarios"]}
    assert bases == {name: [1, 1, 1] for name in ("refund twice", "cancel an order")}
    assert len(results(scene)) == 3  # a pull request writes nothing


def test_what_main_has_too_is_not_new(scene: Scene, sandbox: Sandbox) -> None:
    for _ in range(2):
        assert on_main(scene, sandbox, recorded(UNSAFE)).exit_code == 1
        assert results(scene)[0]["commit"] == scene.repository.branches["main"].sha, "the newest one is the first"
    again = at(scene, options(scene, sandbox), scene.repository.branches["main"].sha)
    run_action(**again, files=recorded(UNSAFE))
    [failure] = report(scene)["failures"]
    assert failure["on_base"] == {"having": 1, "results": 1, "here": 1, "most": 1}  # without itself
    on_pull_request(scene, sandbox, recorded(UNSAFE))
    [failure] = report(scene)["failures"]
    assert failure["on_base"] == {"having": 3, "results": 3, "here": 1, "most": 1}
    assert failure["steps"]  # the same steps, with the failed one
    on_pull_request(scene, sandbox, recorded((*UNSAFE, "payments.refund")))
    [failure] = report(scene)["failures"]
    assert failure["on_base"] == {"having": 3, "results": 3, "here": 2, "most": 1}


@pytest.mark.parametrize(
    ("event", "ref", "adds"),
    [
        *(("schedule", "refs/heads/main", True), ("workflow_dispatch", "refs/heads/main", True)),
        *(("push", "refs/tags/v1", False), ("workflow_run", "refs/heads/main", False)),
        *(("deployment", "refs/heads/main", False), ("merge_group", "refs/heads/main", False)),
    ],
)
def test_only_runs_on_branches_add_results(event: str, ref: str, scene: Scene, sandbox: Sandbox, *, adds: bool) -> None:
    sha = scene.repository.commit("main")
    result = run_action(**at(scene, options(scene, sandbox), sha, ref, event), files=recorded())
    assert result.outputs["decision"] != ""
    added = results(scene) if kept(scene).exists() else []
    assert [(each["origin"][-1], each["commit"]) for each in added] == [("main", sha)] * adds


def test_only_a_pass_or_a_fail_is_added_and_nothing_after_a_signal(scene: Scene, sandbox: Sandbox) -> None:
    on_main(scene, sandbox, recorded(), token="wrong-token-123456")
    given = at(scene, scene.options(baseline_dir=FOLDER), scene.repository.commit("main"))
    scene.answers(failures=1)
    scene.sepurux.script("GET /v1/campaigns/*/failures", backend.hang())
    result = interrupt("fail after", **given)
    assert (result.exit_code, result.outputs["decision"]) == (143, "fail")
    assert not kept(scene).exists()


@pytest.mark.parametrize("is_forged", [True, False])
def test_a_bad_file_is_ignored_with_a_note_and_replaced(scene: Scene, sandbox: Sandbox, *, is_forged: bool) -> None:
    kept(scene).parent.mkdir(parents=True)
    if is_forged:
        kept(scene).write_text(write_results((), "another secret", "octo/shop"))
    else:
        kept(scene).symlink_to("/proc/self/mem")
    result = on_pull_request(scene, sandbox, recorded(UNSAFE))
    assert (result.exit_code, result.outputs["decision"]) == (1, "fail")
    notes = json.loads((scene.workspace / "out" / "report.json").read_text("utf-8"))["notes"]
    assert len([note for note in notes if "baseline.json" in note["text"]]) == 1
    assert [each["on_base"] for each in report(scene)["failures"]] == [None]
    on_main(scene, sandbox, recorded())
    assert len(results(scene)) == 1


def test_a_command_line_compares_and_adds_results_in_a_folder(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def gate(files: dict[str, bytes], *flags: str) -> tuple[int, dict[str, Any], str]:
        for path, content in files.items():
            (tmp_path / path).write_bytes(content)
        given = ["--campaign", "core-reliability", "--trace-file", "refund.json", "--trace-file", "cancel.json"]
        given += ["--api-key", SECRET, "--format", "json"]
        status = run_command_line([*given, *flags], {"SEPURUX_API_BASE_URL": sandbox.url}, Signals())
        ended = capsys.readouterr()
        return status, json.loads(ended.out), ended.err

    def drop_of(shown: dict[str, Any]) -> str:
        [drop] = [each for each in shown["gates"][0]["checks"] if each["threshold"] == "max_pass_rate_drop"]
        return str(drop["state"])

    drop = ("--max-pass-rate-drop", "5%", "--min-pass-rate", "10%")
    failing = recorded() | {"refund.json": a_trace("refund twice", PLAIN, failing="payments.status")}
    status, shown, _ = gate(failing, *drop)
    assert (status, drop_of(shown)) == (0, "not_compared")
    for _ in range(3):
        assert gate(recorded(), "--baseline-dir", FOLDER, "--write-baseline")[0] == 0
    status, shown, _ = gate(failing, *drop, "--baseline-dir", FOLDER)
    assert (status, drop_of(shown)) == (1, "missed")
    assert [each["on_base"]["having"] for each in shown["gates"][0]["failures"]] == [0]
    invalid = ["--write-baseline", "--max-unsafe", "x"], ["--max-unsafe", "--write-baseline"]
    for flags, wrong in ((["--baseline-dir", "misspelled"], ["--baseline-dir"]), invalid):
        status, shown, _ = gate(recorded(), *flags)
        assert (status, [each["where"] for each in shown["problems"]]) == (2, wrong)
    (tmp_path / FOLDER / "baseline.json").write_text(write_results((), "another secret", ""))
    assert "`baseline.json` was ignored: " in gate(recorded(), "--baseline-dir", FOLDER)[2]


def test_without_github_a_drop_cannot_be_compared(tmp_path: Path) -> None:
    answer = backend.json(decided(**PASSED))
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url}
        result = run_action(workspace=tmp_path, inputs=inputs, secrets=[SECRET], files={PATH: LIMIT})
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")
    assert "Leave `github_token` at its default" in result.gate["hint"]


@pytest.mark.parametrize(
    ("status", "hint", "asks"), [(401, "`github_token` is not valid", False), (403, "`contents: read`", True)]
)
def test_an_unread_main_is_no_pass_and_names_permissions(scene: Scene, status: int, hint: str, *, asks: bool) -> None:
    scene.github.fault("graphql base", faults.refused(status, "Resource not accessible"), always=True)
    scene.answers(**PASSED)
    scene.repository.commit("main", {PATH: LIMIT})
    result = scene.push("main")
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")
    assert (hint in result.gate["hint"], "permissions:" in result.gate["hint"]) == (True, asks)
    [warning] = result.messages("warning")
    assert warning.startswith("Could not read the last results of the base branch")
    assert "does not change the result" not in warning
