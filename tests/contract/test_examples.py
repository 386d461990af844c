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
REUSABLE = "sepurux/gate-action/.github/workflows/gate.yml@v1"
WORKFLOWS = sorted((ROOT / "examples" / "workflows").glob("*.yml"))
POLICIES = sorted((ROOT / "examples" / "policies").glob("*.yml"))
CI = ROOT / "examples" / "ci"
COPIED = ROOT / "examples" / "repository"
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path.name, text_of(path))]
PIECES = {path.name: text_of(path) for path in WORKFLOWS}
PIECES |= {block.name: block.text for block in BLOCKS if not block.is_policy}
PARSED: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in PIECES.items()}
POLICY_TEXTS = {path.name: text_of(path) for path in POLICIES}
POLICY_TEXTS |= {block.name: block.text for block in BLOCKS if block.is_policy}
ON = True  # `on`, as YAML 1.1 reads it
EVALUATING = [path for path in WORKFLOWS if "sepurux/gate-action" in text_of(path) and path.name != "forks-record.yml"]
OF_PULL_REQUESTS = {name: workflow for name, workflow in PARSED.items() if "pull_request" in workflow[ON]}
RECORDING = [name for name, workflow in PARSED.items() if "record" in workflow["jobs"]]
TWO_JOBS = {name: PARSED[name] for name in RECORDING if f"uses: {ACTION}" in PIECES[name]}
OWN = {path.name: yaml.safe_load(text_of(path)) for path in (ROOT / ".github" / "workflows").iterdir()}
CALLED = OWN["gate.yml"]["jobs"]
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
    """They stand beside the real `action.yml` and `gate.yml`, so that a name that these do not have is found."""
    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for file in ("action.yml", "Dockerfile", ".github/workflows/gate.yml"):
        shutil.copy(ROOT / file, tmp_path / file)
    for name, text in PIECES.items():
        here = text.replace(f"uses: {REUSABLE}", "uses: ./.github/workflows/gate.yml")
        (workflows / f"{name}.yml").write_text(here.replace(f"uses: {ACTION}", "uses: ./"), encoding="utf-8")
    shellcheck = Path(sys.executable).with_name("shellcheck")
    lint("actionlint", "-pyflakes", "", "-shellcheck", shellcheck, folder=tmp_path)


def test_the_audit_finds_nothing_in_a_workflow(tmp_path: Path) -> None:
    """An example can only name a tag; a team pins commits as its own policy asks."""
    config = {"rules": {"unpinned-uses": {"config": {"policies": {"*": "ref-pin"}}}}}
    (tmp_path / "zizmor.json").write_text(json.dumps(config), encoding="utf-8")
    lint("zizmor", "--offline", "--no-progress", "--config", "zizmor.json", *WORKFLOWS, folder=tmp_path)


def test_the_code_owners_own_what_decides_whether_the_gate_blocks(tmp_path: Path) -> None:
    """The patterns are those of .gitignore, so Git says what they match."""
    lines = text_of(COPIED / ".github" / "CODEOWNERS").splitlines()
    patterns = [line.split()[0] for line in lines if not line.startswith("#")]
    (tmp_path / ".gitignore").write_text("\n".join(patterns), encoding="utf-8")
    deciding = [".github/CODEOWNERS", ".github/workflows/sepurux.yml", POLICY_PATH, "record_traces.py"]
    deciding += ["bots/refunds/record_traces.py", "bots/refunds/stubs/shop.py", "requirements.txt"]
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
    """Return the job that has the gate: of a call, that of the reusable workflow, with the values of the call."""
    (job,) = (job for job in workflow["jobs"].values() if "sepurux/gate-action" in str(job) and "pip" not in str(job))
    if job.get("uses") != REUSABLE:
        return dict(job)
    assert job["permissions"] == CALLED["gate"]["permissions"], "with fewer, the run does not start"
    given = {name: each.get("default", "") for name, each in OWN["gate.yml"][ON]["workflow_call"]["inputs"].items()}
    values = {f"inputs.{name}": value for name, value in {**given, **job.get("with", {})}.items()}
    values["secrets.api_key"] = job.get("secrets", {}).get("api_key", "")
    text = re.sub(
        r"\$\{\{ ([\w.]+) \}\}", lambda found: str(values.get(found[1], found[0])), json.dumps(CALLED["gate"])
    )
    called: dict[str, Any] = json.loads(text.replace('"$/."', json.dumps(ACTION)))
    return called


@pytest.mark.parametrize("path", EVALUATING, ids=lambda path: path.name)
def test_the_settings_of_a_workflow_and_its_policy_are_valid_and_fit_its_job(path: Path) -> None:
    job = of_gate(PARSED[path.name])
    (step,) = (step for step in job["steps"] if step.get("uses") == ACTION)
    inputs = {name: str(value) for name, value in step["with"].items()}
    if path.name != "review.yml":
        assert inputs["api_key"] == "${{ secrets.SEPURUX_API_KEY }}"
        inputs["api_key"] = SECRET
    assert "${{" not in str(inputs)
    policies = re.findall(r"examples/policies/([\w.-]+\.yml)", header(path))
    made = settings("".join(POLICY_TEXTS[name] for name in policies), inputs)
    overridden = ("trace_file",) if path.name == "many-agents.yml" else ()
    assert (bool(made.gates), made.overridden) == (True, overridden)
    assert re.findall(r"as (\.github/[\w.-]+\.yml)", header(path)) in ([], [POLICY_PATH])
    longest = max(gate.timeout_s for gate in made.gates)
    assert job.get("timeout-minutes", 360) * 60 > longest + 105  # reads 15 s, effects 90 s
    assert (job["permissions"]["contents"], job["permissions"]["statuses"]) == ("read", "write")


@pytest.mark.parametrize("name", OF_PULL_REQUESTS)
def test_a_newer_commit_of_a_pull_request_cancels_the_older_run_and_pushes_share_no_group(name: str) -> None:
    workflow = OF_PULL_REQUESTS[name]
    assert workflow[ON]["push"] == {"branches": ["main"]}, "without results, there is nothing to compare with"
    concurrency = workflow.get("concurrency") or workflow["jobs"]["record"]["concurrency"]
    prefix, group = concurrency["group"].split("$")
    assert (group, concurrency["cancel-in-progress"]) == (
        "{{ github.event.pull_request.number || github.run_id }}",
        True,
    )
    own = CALLED["gate"]["concurrency"]
    assert own["group"].startswith("sepurux-gate-${{ github.event_name }}-$" + group)
    assert prefix != "sepurux-gate-", "caller and called would cancel each other"
    assert own["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    for job in workflow["jobs"].values():  # without an `if`, a job runs only if the job that it needs succeeded
        assert "if" not in job or "needs" not in job or "issue" in workflow["jobs"]


def test_a_review_needs_no_secret_restores_and_downloads_nothing_and_its_job_has_another_name() -> None:
    [job] = PARSED["review.yml"]["jobs"].values()
    assert ("secrets" in job, job["uses"]) == (False, REUSABLE)
    not_a_review = "github.event_name != 'pull_request_review'"
    called = CALLED["gate"]
    assert (CALLED["baseline"]["if"], called["steps"][0]["if"]) == (not_a_review, not_a_review)
    assert called["steps"][1]["if"] == "needs.baseline.outputs.artifact", "which a job that is skipped does not have"
    assert called["name"] == "${{ github.event_name == 'pull_request_review' && 'review' || 'gate' }}"
    assert called["if"] == "${{ !cancelled() && github.event.review.state != 'commented' }}"


def used_by(job: Mapping[str, Any]) -> list[str]:
    return [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]


@pytest.mark.parametrize("name", [*PARSED, *OWN])
def test_no_job_with_the_secret_restores_a_cache(name: str) -> None:
    """Code of a pull request can write a cache that its runs restore, and a cache can unpack over any file."""
    for job in (PARSED | OWN)[name].get("jobs", {}).values():
        if "steps" in job and re.search(rf"'uses': '({GATE}@\w+|\./|\$/\.)'|secrets\.(SEPURUX|api_key)", str(job)):
            assert [name for name in used_by(job) if "cache" in name] in ([], [SAVE])
            assert [step for step in job["steps"] if "cache" in step.get("with", {})] == [], "as of setup-python"


@pytest.mark.parametrize("name", RECORDING)
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
    assert {each["trace_file"].partition("/")[0] for each in others if "trace_file" in each} == {"traces"}


def test_the_reusable_workflow_runs_only_actions_and_keeps_recordings_and_results_apart() -> None:
    """An artifact is unpacked below its folder, without links, but code of a pull request can replace it by name."""
    restore, upload = CALLED["baseline"]["steps"]
    recordings, results, gate, save = CALLED["gate"]["steps"]
    assert [job.keys() & {"env", "container", "services"} for job in CALLED.values()] == [set(), set()]
    assert CALLED["baseline"]["permissions"] == OWN["gate.yml"]["permissions"] == {}
    assert "secrets." not in str(CALLED["baseline"])
    assert CALLED["gate"]["permissions"] == {"contents": "read", "pull-requests": "write", "statuses": "write"}
    assert used_by(CALLED["gate"]) == [DOWNLOAD, DOWNLOAD, "$/.", SAVE]
    assert recordings["with"] == {"name": "${{ inputs.artifact }}", "path": "traces"}
    assert results["with"] == {"artifact-ids": "${{ needs.baseline.outputs.artifact }}", "path": "baseline"}
    assert CALLED["baseline"]["outputs"]["artifact"] == f"${{{{ steps.{upload['id']}.outputs.artifact-id }}}}"
    assert upload["with"]["path"] == "baseline/baseline.json", "of what a cache can hold, one file"
    assert (gate["with"]["trace_file"], gate["with"]["baseline_dir"]) == ("traces/*.json", "baseline")
    assert "continue-on-error" not in recordings, "with fewer recordings, a gate could pass"
    assert save["if"] == "${{ !cancelled() && github.event_name == 'push' }}"
    prefix = restore["with"]["restore-keys"]
    assert restore["with"]["key"] == f"{prefix}${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}"
    assert save["with"] == {name: restore["with"][name] for name in ("path", "key")}


CREATES = "create --title main fails the reliability evaluation --body https://a.example/1"


@pytest.mark.parametrize(
    ("decision", "issues", "called"),
    [
        *(("fail", "[]", CREATES), ("fail", '[{"number": 1, "title": "another"}]', CREATES)),
        *(("fail", '[{"number": 3, "title": "main fails the reliability evaluation"}]', ""), ("fail", "no answer", "")),
        ("pass", '[{"number": 3, "title": "main fails the reliability evaluation"}]',
            "close 3 --comment It passes again: https://a.example/1"),
        ("pass", '[{"number": 1, "title": "another"}]', ""),
        ("error", '[{"number": 3, "title": "main fails the reliability evaluation"}]', ""),
        ("", '[{"number": 3, "title": "main fails the reliability evaluation"}]', ""),  # the recording failed
    ],
    ids=range(8),
)  # fmt: skip
def test_a_fail_opens_one_issue_and_a_pass_closes_it(decision: str, issues: str, called: str, tmp_path: Path) -> None:
    job = PARSED["issue-on-main.yml"]["jobs"]["issue"]
    [step] = job["steps"]
    assert (job["permissions"], step["shell"], "${{" in step["run"]) == ({"issues": "write"}, "bash", False)
    (tmp_path / "issues").write_text(issues, encoding="utf-8")
    gh = tmp_path / "gh"
    gh.write_text(
        '#!/bin/sh\nif [ "$1" = issue ]; then shift; echo "$@" >said; else cat issues; fi\n', encoding="utf-8"
    )
    gh.chmod(0o755)
    hostile = [{"name": "a`@octocat $(touch pwned)\n<img>", "decision": "fail"}, {"name": "b", "decision": "pass"}]
    values = {"DECISION": decision, "GATES": json.dumps(hostile), "RUN": "https://a.example/1"}
    environment = {**step["env"], **values, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode == 0) == (issues != "no answer"), done.stderr
    said = (tmp_path / "said").read_text(encoding="utf-8") if called else ""
    assert said.rstrip("\n") == called + "\n\n- `a??octocat ??touch pwned???img?`" * (called == CREATES)
    assert {path.name for path in tmp_path.iterdir()} == {"issues", "gh", *["said"] * bool(called)}


def test_pushes_to_the_base_branch_alone_save_results_also_failed_ones_and_each_run_sees_the_newest() -> None:
    """A cache is never changed, so each attempt saves under a key of its own, and restores the newest with its prefix.

    Source: https://docs.github.com/actions/reference/workflows-and-actions/dependency-caching
    """
    restore, upload = PARSED["plain-steps.yml"]["jobs"]["record"]["steps"][-2:]
    download, gate, save = of_gate(PARSED["plain-steps.yml"])["steps"][-3:]
    prefix = restore["with"]["restore-keys"]
    assert restore["with"]["key"] == f"{prefix}${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}"
    assert save["with"] == {name: restore["with"][name] for name in ("path", "key")}
    assert restore["uses"].replace("restore", "save") == save["uses"]
    assert "if" not in restore
    assert save["if"] == "always() && github.event_name == 'push'"
    # What is restored is in the folder that is uploaded and then downloaded, and no `trace_file` matches it.
    folders = [gate["with"]["baseline_dir"], save["with"]["path"], f"{upload['with']['path']}/baseline"]
    assert ({*folders}, download["with"]["path"]) == ({"traces/baseline"}, "traces")


@pytest.mark.parametrize(
    ("script", "variable", "value"),
    [
        *((GITLAB_SCRIPT, "WRITE_BASELINE", "--write-baseline"), (GITLAB_SCRIPT, "WRITE_BASELINE", "")),
        *((JENKINS_SCRIPT, "BRANCH_NAME", "main"), (JENKINS_SCRIPT, "BRANCH_NAME", "PR-42")),
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
    if script is GITLAB_SCRIPT:  # what a runner may have kept from another job; Jenkins empties the folder
        for folder in (checkout, checkout / "evaluation"):
            policy = folder / ".github" / "sepurux-gate.yml"
            policy.parent.mkdir(parents=True)
            policy.write_text("enforcement: observe\nmutation_pack: lenient\n", encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), variable: value}
    environment |= {"SEPURUX_API_BASE_URL": sandbox.url, "SEPURUX_API_KEY": SECRET}
    environment |= dict.fromkeys(["CI_BUILDS_DIR", "WORKSPACE_TMP"], str(tmp_path))
    environment |= dict.fromkeys(["CI_PROJECT_PATH", "GITHUB_REPO"], "my-org/my-agent")
    environment |= dict.fromkeys(["CI_MERGE_REQUEST_IID", "CHANGE_ID"], "42")
    command = ["/bin/sh", "-e", "-c", script]
    done = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=False)
    started = [json.loads(each.body) for each in sandbox.requests if each.path == "/v1/ci/runs"]
    assert done.returncode == 1, done.stderr
    assert {(body["repo"], body["pull_request_number"]) for body in started} == {("my-org/my-agent", 42)}
    assert not any("mutation_pack_id" in body for body in started), "a policy file of the merge request applied"
    folder = checkout / "evaluation" if script is GITLAB_SCRIPT else checkout
    assert json.loads(text_of(folder / REPORT_DIR / "report.json"))["decision"] == "fail"
    assert (folder / KEPT / "baseline.json").exists() == (value in {"--write-baseline", "main"})


def test_another_ci_system_has_no_checkout_beside_the_secret_and_imports_nothing_from_its_folder(
    tmp_path: Path,
) -> None:
    assert GITLAB["sepurux-gate"]["variables"]["GIT_STRATEGY"] == "none"
    stages = JENKINS.partition("stage('Reliability gate')")
    assert "skipDefaultCheckout()" in stages[0]
    assert [stages[at].count("checkout scm") for at in (0, 2)] == [1, 0]
    assert stages[2].index("deleteDir()") < stages[2].index("sh '''")
    scripts = (
        "\n".join(GITLAB["sepurux-gate"]["before_script"]),
        "\n".join(re.findall("sh '''(.*?)'''", stages[2], re.DOTALL)),
    )
    (tmp_path / "venv.py").write_text("open('imported', 'w')\n", encoding="utf-8")
    for script in scripts:
        [line] = re.findall("^ *python.*", script, re.MULTILINE)
        environment = {"PATH": os.environ["PATH"], **dict.fromkeys(("CI_BUILDS_DIR", "WORKSPACE_TMP"), str(tmp_path))}
        command = line.partition(" # ")[0].replace("python ", f'"{sys.executable}" ', 1) + " --without-pip"
        subprocess.run(["/bin/sh", "-ec", command], cwd=tmp_path, env=environment, check=True)
        assert ((tmp_path / "gate" / "pyvenv.cfg").exists(), (tmp_path / "imported").exists()) == (True, False)
        shutil.rmtree(tmp_path / "gate")


def test_another_ci_system_records_in_a_job_that_gets_no_secret_of_the_gate() -> None:
    record, gate = GITLAB["record"], GITLAB["sepurux-gate"]
    assert (gate["needs"], gate["environment"]) == (["record"], {"name": "sepurux", "action": "access"})
    assert "environment" not in record
    before, _, after = JENKINS.partition("unstash 'traces'")
    record_stage, _, gate_stage = before.partition("stash name: 'traces', includes: 'traces/*.json'")
    assert ["credentials('sepurux-api-key')" in each for each in (record_stage, gate_stage)] == [False, True]
    assert "credentials(" not in after
    assert gate["cache"]["policy"] == "push", "a cache may unpack anywhere"
    assert (gate["variables"], "variables" in GITLAB[".changes"]["rules"][0]) == (
        {"GIT_STRATEGY": "none", "KEY": "not-read", "WRITE_BASELINE": ""},
        False,
    )
