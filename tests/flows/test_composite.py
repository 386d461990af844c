"""The composite action, for runners without Docker: its file, and what its step does once its environment is ready."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

from sepurux_action.report.outputs import OUTPUTS
from sepurux_action.sandbox import Sandbox, Store
from tests.flows.composite_job import COMPOSITE, NO_INDEX, PYTHON, Job, a_copy, evaluated, read_action, tool
from tests.runner import run_action, start_action
from tests.sandboxed import SECRET

# --- What the step does ------------------------------------------------------------------------------------


def test_a_passing_trace_passes_and_the_action_passes_on_every_output(job: Job) -> None:
    """It installs nothing as a later step of its job, and an input of a surrounding action is no misspelled input."""
    result = job.run(env={**NO_INDEX, "INPUT_FAIL-UNDER": "80", "INPUT_CAMPAIGNE": "x"})
    assert len(job.environments) == 1
    assert (result.exit_code, result.errors) == (0, ()), result.log
    contexts = {"steps.gate.outputs": result.outputs}
    outputs = {name: evaluated(about["value"], contexts) for name, about in read_action(COMPOSITE)["outputs"].items()}
    assert outputs == result.outputs
    assert outputs["decision"] == "pass"
    assert list(outputs) == list(OUTPUTS)
    assert result.summary
    unsafe = job.run(trace_file="traces/refund-unsafe.json")
    assert (unsafe.exit_code, unsafe.outputs["decision"]) == (1, "fail"), unsafe.log


def test_the_gate_runs_isolated_and_holds_no_line_back(job: Job, tmp_path: Path) -> None:
    action = a_copy(tmp_path, "import sys\nprint(sys.flags.isolated, sys.stdout.write_through)\n")
    assert replace(job, action=action).run().raw_log == "1 True\n"


def test_a_signal_reaches_the_gate_which_exits_with_its_status(job: Job) -> None:
    with Sandbox(Store(decide_after=600), token=SECRET) as slow:
        step = replace(job, url=slow.url).step({})
        with start_action(**step) as running:
            running.wait_for("not decided yet", 30)
            running.send_signal(signal.SIGTERM)
            result = running.finish(10)
    assert result.exit_code == 143, result.log
    assert result.outputs["decision"] == "error"


def test_a_job_that_is_canceled_before_the_gate_has_started_sends_no_request(
    job: Job, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The search for Python waits on a pipe until the signal was sent."""
    tools = tmp_path / "tools"
    tool(tools, "python3", f'#!/bin/sh\n>"{tools}/asked"\ncat "{tools}/go" >&2\nexec "{PYTHON}" "$@"\n')
    os.mkfifo(tools / "asked")
    os.mkfifo(tools / "go")
    with start_action(**replace(job, tools=tools).step({})) as running:
        (tools / "asked").read_bytes()
        running.send_signal(signal.SIGINT)
        (tools / "go").write_bytes(b"")
        result = running.finish(10)
    assert result.exit_code == 130, result.log
    assert not sandbox.requests
    reason = "The step ended before the gate started. Re-run the job."
    assert result.outputs == {"decision": "error", "conclusion": "failure", "reason": reason, "gates": "[]"}


# --- Its inputs --------------------------------------------------------------------------------------------


def test_the_jobs_own_token_is_the_default_of_github_token(job: Job, tmp_path: Path) -> None:
    action = a_copy(tmp_path, "import json, os\nprint(json.loads(os.environ['GATE_INPUTS'])['github_token'])\n")
    step = replace(job, action=action).step({})
    step["inputs"], step["token"] = {}, "made.up"
    assert run_action(**step).raw_log == "made.up\n"


def test_a_misspelled_input_is_an_error_with_status_2(job: Job, sandbox: Sandbox) -> None:
    names = ["trace_fil", "Trace-File", "a=b"]
    result = run_action(**job.step(dict.fromkeys(names, "traces/refund-sound.json")))
    assert (result.exit_code, result.outputs["decision"]) == (2, "error"), result.log
    assert [name for name in names if f"`{name.lower()}`" not in "".join(result.messages("error"))] == []
    assert not sandbox.requests


HOSTILE_TEXT = (
    "$(touch ran) `touch ran` ${PATH}; touch ran & '\"\\ %PATH% !! ~ *\n\ttouch ran\nEOF\n::error::x\n\u2713 \x07"
)


def test_any_text_of_an_input_arrives_unchanged_and_is_never_run(job: Job, tmp_path: Path) -> None:
    texts = {str(name): f"{name} {HOSTILE_TEXT}" for name in read_action(COMPOSITE)["inputs"]}
    action = a_copy(tmp_path, "import os\nprint(os.environ['GATE_INPUTS'])\n")
    result = run_action(**replace(job, action=action).step(texts))
    assert json.loads(result.raw_log) == texts
    assert [path.name for path in job.workspace.iterdir()] == ["traces"]
