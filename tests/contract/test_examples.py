"""Every example, and every piece of YAML in the documents, is accepted by the linters and by the action itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from scripts import schema
from sepurux_action.config.options import MIN_SCENARIOS, input_layer
from sepurux_action.config.policy import read_policy
from sepurux_action.config.settings import POLICY_PATH, Settings, Trace, read_settings
from sepurux_action.sandbox import Sandbox
from tests.sandboxed import SECRET, TRACES
from tests.yaml_blocks import blocks_of

ROOT = schema.ROOT
ACTION = "sepurux/gate-action@v1"
WORKFLOWS = sorted((ROOT / "examples" / "workflows").glob("*.yml"))
POLICIES = sorted((ROOT / "examples" / "policies").glob("*.yml"))
CI = ROOT / "examples" / "ci"
COPIED = ROOT / "examples" / "repository"
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
EXPRESSIONS = {"${{ secrets.SEPURUX_CI_TOKEN }}": SECRET, "${{ runner.temp }}": "/runner-temp"}


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path.name, text_of(path))]
PIECES = {path.name: text_of(path) for path in WORKFLOWS}
PIECES |= {block.name: block.text for block in BLOCKS if not block.is_policy}
PARSED: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in PIECES.items()}
POLICY_TEXTS = {path.name: text_of(path) for path in POLICIES}
POLICY_TEXTS |= {block.name: block.text for block in BLOCKS if block.is_policy}
ON = True  # `on`, as YAML 1.1 reads it
GATES = [path for path in WORKFLOWS if ACTION in text_of(path) and path.name != "review.yml"]
OF_PULL_REQUESTS = {name: workflow for name, workflow in PARSED.items() if "pull_request" in workflow[ON]}
TWO_JOBS = {name: PARSED[name] for name in PARSED if "record" in PARSED[name]["jobs"] and ACTION in PIECES[name]}
GATE = ACTION.partition("@")[0]
DOWNLOAD, SAVE = "actions/download-artifact", "actions/cache/save"
GITLAB, JENKINS = yaml.safe_load(text_of(CI / ".gitlab-ci.yml")), text_of(CI / "Jenkinsfile")
REPORT_DIR, KEPT = "sepurux-report", "sepurux-baseline"
GITLAB_SCRIPT = "\n".join(GITLAB["sepurux-gate"]["script"])
[JENKINS_SCRIPT] = (
    dedent(script).replace("\\\\", "\\")  # as Groovy reads it
    for script in re.findall(r"sh '''(.*?)'''", JENKINS, re.DOTALL)
    if "bin/sepurux-gate" in script
)


def lint(tool: str, *arguments: object, folder: Path) -> None:
    command = [str(Path(sys.executable).with_name(tool)), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linters_find_nothing_in_a_workflow(tmp_path: Path) -> None:
    """They stand beside the real `action.yml`, so that an input or an output that the action does not have is found."""
    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for file in ("action.yml", "Dockerfile"):
        shutil.copy(ROOT / file, tmp_path)
    for name, text in PIECES.items():
        (workflows / f"{name}.yml").write_text(text.replace(f"uses: {ACTION}", "uses: ./"), encoding="utf-8")
    shellcheck = Path(sys.executable).with_name("shellcheck")
    lint("actionlint", "-pyflakes", "", "-shellcheck", shellcheck, folder=tmp_path)


def test_the_audit_finds_nothing_in_a_workflow(tmp_path: Path) -> None:
    """An example can only name a tag; a team pins commits as its own policy asks."""
    config = {"rules": {"unpinned-uses": {"config": {"policies": {"*": "ref-pin"}}}}}
    (tmp_path / "zizmor.json").write_text(json.dumps(config), encoding="utf-8")
    lint("zizmor", "--offline", "--no-progress", "--config", "zizmor.json", *WORKFLOWS, folder=tmp_path)


def test_readme_names_every_example() -> None:
    readme = text_of(ROOT / "README.md")
    assert [path.name for path in (*WORKFLOWS, *CI.iterdir()) if f"({path.relative_to(ROOT)})" not in readme] == []


def test_the_code_owners_own_what_decides_whether_the_gate_blocks(tmp_path: Path) -> None:
    """The patterns are those of .gitignore, so Git says what they match."""
    lines = text_of(COPIED / ".github" / "CODEOWNERS").splitlines()
    patterns = [line.split()[0] for line in lines if not line.startswith("#")]
    (tmp_path / ".gitignore").write_text("\n".join(patterns), encoding="utf-8")
    deciding = [".github/CODEOWNERS", ".github/workflows/sepurux.yml", POLICY_PATH, "record_traces.py"]
    deciding += ["recording.py", "bots/refunds/record_traces.py", "bots/refunds/stubs/shop.py", "requirements.txt"]
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)  # noqa: S607
    owned = subprocess.check_output(["git", "check-ignore", *deciding], cwd=tmp_path, text=True)  # noqa: S607
    assert owned.splitlines() == deciding


def settings(policy: str, inputs: Mapping[str, str] | None = None) -> Settings:
    def found(pattern: str) -> tuple[Trace, ...]:
        return (Trace(label=pattern, content=b"{}"),)

    layer, read = input_layer(inputs or {"token": SECRET}), None
    if policy:
        read = read_policy(policy.encode(), "policy.yml")
    made = read_settings([layer], found, read)
    assert made.problems == ()
    return made


@pytest.mark.parametrize("name", POLICY_TEXTS)
def test_a_policy_fits_the_schema_names_it_and_is_accepted_by_the_action(name: str) -> None:
    text = POLICY_TEXTS[name]
    as_json = json.loads(json.dumps(yaml.safe_load(text), default=str))  # YAML has dates
    assert [*Draft202012Validator(json.loads(text_of(schema.PATH))).iter_errors(as_json)] == []
    assert text.startswith(f"# yaml-language-server: $schema={schema.ADDRESS}\n")
    assert settings(text).gates


def test_each_gate_of_a_recommended_policy_blocks_if_a_scenario_is_deleted() -> None:
    gates = [gate for path in POLICIES for gate in settings(POLICY_TEXTS[path.name]).gates]
    assert {gate.limits.get(MIN_SCENARIOS.name) for gate in gates} == {3}


def header(path: Path) -> str:
    """Return the comment that a file begins with, on one line."""
    return re.sub(r"\n?# ", " ", re.match(r"(?:#.*\n)*", text_of(path))[0])  # type: ignore[index]


def of_gate(workflow: Mapping[Any, Any]) -> dict[str, Any]:
    (job,) = (job for job in workflow["jobs"].values() if ACTION in str(job))
    return dict(job)


@pytest.mark.parametrize("path", GATES, ids=lambda path: path.name)
def test_the_settings_of_a_workflow_and_its_policy_are_valid_and_fit_its_job(path: Path) -> None:
    text = text_of(path)
    for expression, value in EXPRESSIONS.items():
        text = text.replace(expression, value)
    job = of_gate(yaml.safe_load(text))
    (step,) = (step for step in job["steps"] if step.get("uses") == ACTION)
    inputs = {name: str(value) for name, value in step["with"].items()}
    assert "${{" not in str(inputs)
    policies = re.findall(r"examples/policies/([\w.-]+\.yml)", header(path))
    made = settings("".join(POLICY_TEXTS[name] for name in policies), inputs)
    assert (bool(made.gates), made.overridden) == (True, ())
    assert re.findall(r"as (\.github/[\w.-]+\.yml)", header(path)) in ([], [POLICY_PATH])
    longest = max(gate.timeout_s for gate in made.gates)
    assert job["timeout-minutes"] * 60 > longest + 105  # reads 15 s, effects 90 s
    assert (job["permissions"]["contents"], job["permissions"]["statuses"]) == ("read", "write")


@pytest.mark.parametrize("name", OF_PULL_REQUESTS)
def test_a_pull_request_has_one_run_also_for_another_base_and_an_edited_title_cancels_none(name: str) -> None:
    workflow = OF_PULL_REQUESTS[name]
    assert workflow[ON]["pull_request"]["types"] == ["opened", "synchronize", "reopened", "edited"]
    assert workflow[ON]["push"] == {"branches": ["main"]}, "without results, there is nothing to compare with"
    assert "concurrency" not in workflow, "a run whose job is skipped would join the group"
    prefixes = []
    for job in filter(None, [workflow["jobs"]["record"], workflow["jobs"].get("reliability")]):
        if "needs" in job:  # without an `if`, such a job runs only if the job that it needs ran and succeeded
            assert "if" not in job
        else:
            assert "github.event.action != 'edited' || github.event.changes.base" in job["if"]
        prefix, group = job["concurrency"]["group"].split("$")
        assert group == "{{ github.event.pull_request.number || github.run_id }}", "pushes share no group"
        prefixes.append(prefix)
        assert job["concurrency"]["cancel-in-progress"] is True
    assert len(prefixes) == len({*prefixes}), "the second job of an older run could cancel the first of a newer one"


def test_a_review_needs_no_secret_and_waits_for_the_running_evaluation() -> None:
    [review] = PARSED["review.yml"]["jobs"].values()
    group = of_gate(PARSED["week-2-soft.yml"])["concurrency"]["group"].replace(" || github.run_id", "")
    assert ("secrets." in str(PARSED["review.yml"]), review["steps"]) == (False, [{"uses": ACTION}])
    assert review["concurrency"] == {"group": group, "cancel-in-progress": False}


def used_by(job: Mapping[str, Any]) -> list[str]:
    return [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]


@pytest.mark.parametrize("name", PARSED)
def test_no_job_with_the_secret_restores_a_cache(name: str) -> None:
    """Code of a pull request can write a cache that its runs restore, and a cache can unpack over any file."""
    for job in PARSED[name].get("jobs", {}).values():
        if GATE in str(job) or "secrets.SEPURUX" in str(job):
            assert [name for name in used_by(job) if "cache" in name] in ([], [SAVE])
            assert [step for step in job["steps"] if "cache" in step.get("with", {})] == [], "as of setup-python"


@pytest.mark.parametrize("name", [*TWO_JOBS, "forks-record.yml"])
def test_the_job_that_runs_a_pull_requests_code_has_no_secret_of_the_gate_and_can_only_read(name: str) -> None:
    record = PARSED[name]["jobs"]["record"]
    assert record["permissions"] == {"contents": "read"}
    secrets = ["secrets.OPENAI_API_KEY"] * (name != "forks-record.yml")
    assert re.findall(r"secrets\.\w+|github\.token", str(record)) == secrets
    assert "pull_request_target" not in PARSED[name][ON]
    assert record["steps"][0]["with"]["persist-credentials"] is False
    assert record["steps"][0]["with"].keys() <= {"persist-credentials", "fetch-depth"}
    assert "env" not in {**PARSED[name], **record}


@pytest.mark.parametrize("name", TWO_JOBS)
def test_the_job_with_the_gates_secret_runs_nothing_of_a_pull_request_and_evaluates_what_it_recorded(name: str) -> None:
    """Below `traces`, an artifact replaces no policy file and nothing that runs."""
    workflow, job = TWO_JOBS[name], of_gate(TWO_JOBS[name])
    assert (job["needs"], {"if", "env", "container"} & job.keys()) == ("record", set())
    assert used_by(job) in ([DOWNLOAD, GATE], [DOWNLOAD, GATE, SAVE])
    assert not [step for step in job["steps"] if "run" in step]
    download, *others = (step["with"] for step in job["steps"])
    upload = workflow["jobs"]["record"]["steps"][-1]["with"]
    assert download == {"name": upload["name"], "path": "traces"}
    assert (upload["path"].removesuffix("/*.json"), upload["if-no-files-found"]) == ("traces", "error")
    files = [each["trace_file"] for each in others if "trace_file" in each]
    if name == "many-agents.yml":
        files = [each["trace_file"] for each in yaml.safe_load(POLICY_TEXTS[name])["gates"]]
    assert {each.partition("/")[0] for each in files} == {"traces"}


OF_CACHES = {name: workflow for name, workflow in TWO_JOBS.items() if "pull_request" in workflow[ON]}
OF_CACHES["forks-evaluate.yml"] = {"jobs": PARSED["forks-record.yml"]["jobs"] | PARSED["forks-evaluate.yml"]["jobs"]}


@pytest.mark.parametrize("name", OF_CACHES)
def test_pushes_to_the_base_branch_alone_save_results_also_failed_ones_and_each_run_sees_the_newest(name: str) -> None:
    """A cache is never changed, so each attempt saves under a key of its own, and restores the newest with its prefix.

    Source: https://docs.github.com/actions/reference/workflows-and-actions/dependency-caching
    """
    restore, upload = OF_CACHES[name]["jobs"]["record"]["steps"][-2:]
    download, gate, save = of_gate(OF_CACHES[name])["steps"][-3:]
    prefix = restore["with"]["restore-keys"]
    assert restore["with"]["key"] == f"{prefix}${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}"
    assert save["with"] == {name: restore["with"][name] for name in ("path", "key")}
    assert restore["uses"].replace("restore", "save") == save["uses"]
    assert "if" not in restore
    assert re.fullmatch(r"always\(\) && github\.event(_name|\.workflow_run\.event) == 'push'", save["if"])
    # What is restored is in the folder that is uploaded and then downloaded, and no `trace_file` matches it.
    folders = [gate["with"]["baseline_dir"], save["with"]["path"], f"{upload['with']['path']}/baseline"]
    assert ({*folders}, download["with"]["path"]) == ({"traces/baseline"}, "traces")


@pytest.mark.parametrize(
    ("script", "variable", "value"),
    [
        (GITLAB_SCRIPT, "WRITE_BASELINE", "--write-baseline"),
        (GITLAB_SCRIPT, "WRITE_BASELINE", ""),
        (JENKINS_SCRIPT, "BRANCH_NAME", "main"),
        (JENKINS_SCRIPT, "BRANCH_NAME", "PR-42"),
    ],
    ids=range(4),
)
def test_each_other_ci_system_blocks(script: str, variable: str, value: str, sandbox: Sandbox, tmp_path: Path) -> None:
    program = tmp_path / "gate" / "bin" / "sepurux-gate"  # where the scripts' first steps install it
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sepurux_action "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    checkout = tmp_path / "checkout"
    shutil.copytree(TRACES, checkout / "traces")
    policy = checkout / ".github" / "sepurux-gate.yml"  # what a merge request could add
    policy.parent.mkdir()
    policy.write_text("enforcement: observe\n", encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), variable: value}
    environment |= {"SEPURUX_API_BASE_URL": sandbox.url, "SEPURUX_CI_TOKEN": SECRET}
    environment |= dict.fromkeys(["CI_BUILDS_DIR", "WORKSPACE_TMP"], str(tmp_path))
    environment |= dict.fromkeys(["CI_PROJECT_PATH", "GITHUB_REPO"], "my-org/my-agent")
    environment |= dict.fromkeys(["CI_MERGE_REQUEST_IID", "CHANGE_ID"], "42")
    command = ["/bin/sh", "-e", "-c", script]
    done = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=False)
    started = [json.loads(each.body) for each in sandbox.requests if each.path == "/v1/ci/runs"]
    assert done.returncode == 1, done.stderr
    assert {(body["repo"], body["pull_request_number"]) for body in started} == {("my-org/my-agent", 42)}
    assert json.loads(text_of(checkout / REPORT_DIR / "report.json"))["decision"] == "fail"
    assert (checkout / KEPT / "baseline.json").exists() == (value in {"--write-baseline", "main"})


def test_another_ci_system_records_in_a_job_that_gets_no_secret_of_the_gate() -> None:
    record, gate = GITLAB["record"], GITLAB["sepurux-gate"]
    assert (gate["needs"], gate["environment"]) == (["record"], {"name": "sepurux", "action": "access"})
    assert "environment" not in record
    before, _, after = JENKINS.partition("unstash 'traces'")
    record_stage, _, gate_stage = before.partition("stash name: 'traces', includes: 'traces/*.json'")
    assert ["credentials('sepurux-ci-token')" in each for each in (record_stage, gate_stage)] == [False, True]
    assert "credentials(" not in after
    assert gate["cache"]["policy"] == "push", "a cache may unpack anywhere"
    assert (gate["variables"], "variables" in GITLAB[".changes"]["rules"][0]) == (
        {"KEY": "not-read", "WRITE_BASELINE": ""},
        False,
    )
