"""The gate on a command line, for other CI systems."""

import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
import yaml

from sepurux_action.app import run_command_line
from sepurux_action.config.options import BY_NAME
from sepurux_action.config.settings import MISNAMED_PATH, POLICY_PATH
from sepurux_action.host.deadlines import Signals
from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import REPOSITORY, run_cli, run_shell

SECRET = "api-key-0123456789"


def test_the_vendors_own_flags_and_variables_work(tmp_path: Path) -> None:
    answer = backend.json(decided(pass_rate=0.95, unsafe_attempts=0, failures=0, reliability_score=0.9))
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        flags = ["--project", "P", "--campaign", "core-reliability", "--min-reliability", "80", "--timeout", "20"]
        environ = {"SEPURUX_API_BASE_URL": sepurux.url, "GITHUB_REPO": "o/r", "PR_NUMBER": "9"}
        ended = run_cli([*flags, "--api-key", SECRET, "--enforcement", "soft"], environ, tmp_path)
        [created] = sepurux.calls("POST /v1/ci/runs")
    assert ended.returncode == 1, ended.stderr
    assert (created.json()["repo"], created.json()["pull_request_number"]) == ("o/r", 9)
    assert created.json()["thresholds"] == {"max_unsafe": 0, "min_reliability_score": 80.0}
    assert (created.headers["x-api-key"], "x-sepurux-token" in created.headers) == (SECRET, False)
    assert "core-reliability" in ended.stdout
    assert "a soft gate acts as a hard gate" in ended.stderr
    assert not re.search(f"::|{SECRET}", ended.stdout + ended.stderr)


def test_a_broken_installation_is_undecided_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "requests.py").write_text("raise ImportError('secret-1234')")
    ended = run_shell(f"{sys.executable} -m sepurux_action --campaign c", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: The gate has no result: internal error (ImportError at requests.py:1)")
    assert "secret-1234" not in ended.stderr


class Ended(NamedTuple):
    status: int
    out: str
    log: str

    @property
    def problems(self) -> list[str]:
        return [problem["where"] for problem in json.loads(self.out)["problems"]]


Gate = Callable[..., Ended]


def test_the_hook_of_pre_commit_reports_all_problems_of_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [hook] = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    program, *entry = hook["entry"].split()
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert (hook["id"], hook["language"], program in scripts) == ("sepurux-gate-check", "python", True)
    usual, misnamed = POLICY_PATH, MISNAMED_PATH
    assert re.search(hook["files"], usual)
    assert re.search(hook["files"], misnamed)

    def check(*arguments: str) -> Ended:
        return Ended(run_command_line([*entry, *arguments], {}, Signals()), *capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    assert check() == (2, f"{usual}:1: there is no such policy file\n", "")
    (tmp_path / ".github").mkdir()
    (tmp_path / misnamed).write_text("campain: c\n")
    assert check().out.startswith(f"{misnamed}:1: the gate does not read a file with this name")
    assert check(misnamed).out.startswith(f"{misnamed}:1: the gate does not read a file with this name")
    (tmp_path / usual).write_text("campaign: c\n")
    plan = "c: min_pass_rate 0.9; max_unsafe 0; campaign c; enforcement hard; on_outage block; timeout 600"
    assert check() == (0, f"{usual}: valid, 1 gate\n  {plan}\n", "")
    assert check(misnamed).out.startswith(f"{misnamed}:1: there is no key `campain`")
    (tmp_path / "a.yml").write_text("enforcement: soft\ntrace_file: none.json\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "b.yml").write_text("campain: c\ngates: [{timeout: soon}, {name: a}]\n")
    status, out, _ = check("b.yml", "a.yml", ".", "pipe", "../c.yml")
    lines = ["b.yml:1", "b.yml:2", "a.yml", "  a gate without a name", ".:1", "pipe:1", "../c.yml:1"]
    assert [line.split(": ")[0] for line in out.splitlines()] == lines
    assert status == 2


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gate:
    monkeypatch.chdir(tmp_path)

    def run(arguments: Sequence[str], url: str, **environ: str) -> Ended:
        settings = {"SEPURUX_API_BASE_URL": url, "SEPURUX_API_KEY": SECRET, **environ}
        status = run_command_line(["--campaign", "core-reliability", *arguments], settings, Signals())
        return Ended(status, *capsys.readouterr())

    return run


def test_a_document_goes_to_stdout_and_everything_else_to_stderr(tmp_path: Path, gate: Gate) -> None:
    answer = backend.json(decided(decision="fail", pass_rate=0.5, unsafe_attempts=0))
    (tmp_path / "file").touch()
    with sound_backend(**{"GET /v1/ci/batch/*": answer}) as sepurux:
        as_json = gate(["--report-dir", "report", "--format", "json"], sepurux.url)
        as_text = gate(["--report-dir", "file"], sepurux.url)
        bad = gate(["--format", "json", "--max-unsafe", "x"], sepurux.url)
    assert as_json.out == (tmp_path / "report" / "report.json").read_text(encoding="utf-8")
    assert json.loads(as_json.out)["gates"][0]["decision"] == "fail"
    lines = [line for line in as_text.out.splitlines() + as_text.log.splitlines() if line]
    assert len(lines) == len(set(lines)) > 5, "no line is written twice"
    assert 'could not be written to "' in as_text.log
    assert {*as_text.out.splitlines()} <= {*as_json.log.splitlines()}
    assert bad.problems == ["--max-unsafe"]
    assert bad.log.count("--max-unsafe") == 1
    assert [as_json.status, bad.status] == [1, 2]


def test_a_remedy_is_one_for_a_command_line(gate: Gate) -> None:
    with sound_backend() as sepurux:
        without_secret = gate([], sepurux.url, SEPURUX_API_KEY="")
        elsewhere = gate(["--campaign", "wrong", "--project", "p"], sepurux.url)
    assert (without_secret.status, elsewhere.status) == (2, 2)
    assert "export SEPURUX_CI_TOKEN=" in without_secret.out
    assert "Set --campaign to one of these, or --project to another project:" in elsewhere.out


def test_bad_flags_are_reported_all_at_once_under_their_own_names_without_what_may_be_a_secret(gate: Gate) -> None:
    value = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
    flags = ["--campaign", "", "--min-pass-rate", "eighty", "--max-unsafe", value, "--format", "json"]
    bad = gate(flags, "https://sepurux.example.com", SEPURUX_PROJECT_ID="a\nb")
    wrong = {"--campaign", "--max-unsafe", "--min-pass-rate", "environment variable SEPURUX_PROJECT_ID"}
    assert (bad.status, {*bad.problems}) == (2, wrong)
    assert value not in bad.out + bad.log
    log = gate([], "https://sepurux.example.com", PR_NUMBER="abc").log
    assert '`PR_NUMBER`: must be the number of a pull request, not "abc"' in log


def test_a_problem_names_flags_and_variables_and_no_inputs(tmp_path: Path, gate: Gate) -> None:
    (tmp_path / "policy.yml").write_text("gates:\n- name: a\n  trace_file: refnd.json\n")
    (tmp_path / "several.yml").write_text("gates: [{campaign: a}, {campaign: b}]\n")
    same = 'not "core-reliability"; --campaign-name is the same setting, and differs'
    unfound = '"refnd.json" was not found as a file in the working directory'
    for flags, problems in (
        (["absent.yml", "--campaign-name", "b"], ["absent.yml:1: there is no such policy file", same]),
        (["../x.yml"], ["../x.yml:1: the policy could not be read: it leads outside the working directory."]),
        (["policy.yml"], [f"policy.yml:3: gate 1, `trace_file`: {unfound}"]),
        (["several.yml"], ["--campaign: must not be the name of 2 gates; select one with --name"]),
    ):
        ended = gate(["--config", *flags], "https://sepurux.example.com", SEPURUX_API_KEY="")
        assert (ended.status, [each for each in problems if each not in ended.log]) == (2, [])


def test_a_flag_overrides_the_value_of_every_gate_in_the_policy_file(tmp_path: Path, gate: Gate) -> None:
    gates = "- {name: a, thresholds: {max_unsafe: 9}}\n- {name: b, enforcement: observe}\n"
    (tmp_path / "policy.yml").write_text(f"thresholds: {{max_unsafe: 2}}\ngates:\n{gates}")
    flags = ["--config", "policy.yml", "--format", "json"]
    with sound_backend() as sepurux:
        fixed = gate([*flags, "--max-unsafe", "1", "--enforcement", "soft"], sepurux.url)
    found = json.loads(fixed.out)["gates"]
    limits = [check["limit"] for each in found for check in each["checks"] if check["threshold"] == "max_unsafe"]
    assert (limits, [each["stage"] for each in found]) == ([1, 1], ["hard", "hard"])
    assert "flags override: enforcement, max_unsafe\n" in fixed.log


def test_the_embedded_sandbox_needs_nothing_and_sends_nothing_to_a_backend(tmp_path: Path, gate: Gate) -> None:
    assert not {"sandbox", "approval", "approvals", "reversible"} & BY_NAME.keys(), "no input and no key of a policy"
    unsafe = {"args": {"approval_id": "apr-7"}}
    for name, tool in (("refund.json", "refund"), ("send.json", "send_receipt")):
        calls = [{"type": "tool_call", "tool": tool, **unsafe}, {"type": "tool_result", "tool": tool}]
        trace = {"trace_version": "0.1", "source": "x", "task": {"name": tool}, "events": calls}
        (tmp_path / name).write_text(json.dumps(trace))
    gates = f"[{{name: a, campaign: my own}}, {{name: b, campaign: {uuid4()}, thresholds: {{min_scenarios: 3}}}}]"
    (tmp_path / "policy.yml").write_text(f"gates: {gates}")
    about = {"trace_version": "0.1", "source": "x", "task": {"name": "cancel"}, "recorder": "sepurux-recorder 0.1.0"}
    events: list[object] = [{"type": "tool_call", "tool": "look_up"}]
    failure = {"type": "failure", "error": {"message": "not met: informs the customer"}}
    for number, every in enumerate((events, [*events, failure])):
        (tmp_path / f"kept-{number}.txt").write_text(json.dumps({**about, "events": every}))
    unmet = gate(["--sandbox", "--trace-file", "kept-*.txt"], "")
    assert (unmet.status, "1 of 2 recordings is not as expected." in unmet.out) == (1, True)
    assert " ".join(unmet.out.split()).count("Pass rate 50.0% needs ≥ 90.0%") == 1
    assert gate(["--sandbox", "--trace-file", "kept-*.txt", "--min-pass-rate", "50%"], "").status == 0
    with sound_backend() as sepurux:
        strict = gate(["--sandbox", "--trace-file", "*.json"], sepurux.url)
        flags = ["--sandbox", "--approval", "approval_id", "--trace-file=refund.json"]
        approved = gate(flags, sepurux.url, SEPURUX_CI_TOKEN=SECRET)
        own = ["--sandbox", "--approval", "signed_by", "--reversible", "refund", "--reversible", "send_receipt"]
        status = run_command_line([*own, "--config=policy.yml", "--trace-file=*.json"], {}, Signals())
        without_traces = gate(["--sandbox"], sepurux.url)
        assert not sepurux.requests
    assert (strict.status, "2 failures" in strict.out) == (1, True)
    assert "looks irreversible by its name, without approval_token" in strict.out
    assert (approved.status, "core-reliability passed" in approved.out) == (0, True)
    used = "--sandbox does not use SEPURUX_API_BASE_URL and SEPURUX_CI_TOKEN and SEPURUX_API_KEY\n"
    assert used in approved.log
    assert "rules are those of the sandbox" in approved.log
    assert SECRET not in approved.log
    assert (status, without_traces.status) == (1, 2)
    said = "--sandbox: must come with --trace-file, because it has no registered scenarios and no stored traces"
    assert said in without_traces.log
