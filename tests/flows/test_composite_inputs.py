"""The inputs of the composite action, from the workflow to the gate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from sepurux_action.sandbox import Sandbox
from tests.flows.composite_job import COMPOSITE, Job, a_copy, only_step, read_action
from tests.runner import run_action


def test_inputs_travel_by_one_variable_and_no_expression_stands_in_what_a_shell_reads() -> None:
    step = only_step(read_action(COMPOSITE))
    assert step["env"] == {"GATE_INPUTS": "${{ toJSON(inputs) }}"}
    assert "${{" not in step["run"]
    assert "INPUT" not in step["run"] + (COMPOSITE / "run.sh").read_text(encoding="utf-8")


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


def test_an_input_of_a_surrounding_action_is_no_misspelled_input(job: Job) -> None:
    result = job.run(env={"INPUT_FAIL-UNDER": "80", "INPUT_CAMPAIGNE": "x"})
    assert (result.exit_code, result.outputs.get("decision")) == (0, "pass"), result.log


HOSTILE_TEXT = (
    "$(touch ran) `touch ran` ${PATH}; touch ran & '\"\\ %PATH% !! ~ *\n\ttouch ran\nEOF\n::error::x\n\u2713 \x07"
)


def test_any_text_of_an_input_arrives_unchanged_and_is_never_run(job: Job, tmp_path: Path) -> None:
    texts = {str(name): f"{name} {HOSTILE_TEXT}" for name in read_action(COMPOSITE)["inputs"]}
    action = a_copy(tmp_path, "import os\nprint(os.environ['GATE_INPUTS'])\n")
    result = run_action(**replace(job, action=action).step(texts))
    assert json.loads(result.raw_log) == texts
    assert [path.name for path in job.workspace.iterdir()] == ["traces"]
