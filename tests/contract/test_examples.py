"""Every example, and every piece of YAML in the documents, is accepted by the linters and by the action itself.

Workflows are linted in a repository of their own that holds the real `action.yml`, so that an input or an output that
the action does not have is found.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from scripts import schema
from sepurux_action.config import policy_parser
from sepurux_action.config.gate import Trace
from sepurux_action.config.layers import input_layer
from sepurux_action.config.options import CONFIG, MIN_SCENARIOS, CommentMode
from sepurux_action.config.policy import Policy
from sepurux_action.config.settings import Settings, read_settings
from sepurux_action.config.stage import Stage
from sepurux_action.sandbox import Sandbox
from tests.yaml_blocks import blocks_of

ROOT = schema.ROOT
BIN = Path(sys.executable).parent
ACTION = "sepurux/gate-action@v1"
WORKFLOWS = sorted((ROOT / "examples" / "workflows").glob("*.yml"))
POLICIES = sorted((ROOT / "examples" / "policies").glob("*.yml"))
CI = ROOT / "examples" / "ci"
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
TOKEN = "made-up-token-0123456789"
EXPRESSIONS = {"${{ secrets.SEPURUX_CI_TOKEN }}": TOKEN, "${{ runner.temp }}": "/runner-temp"}
TODAY = date(2027, 1, 20)

# An example can only name a tag; a team pins commits as its own policy asks.
ZIZMOR = {"rules": {"unpinned-uses": {"config": {"policies": {"*": "ref-pin"}}}}}


# -- what there is ----------------------------------------------------------------------------------------------------

BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path.name, path.read_text(encoding="utf-8"))]
PIECES = {path.name: path.read_text(encoding="utf-8") for path in WORKFLOWS}
PIECES |= {block.name: block.workflow for block in BLOCKS if block.kind != "policy"}
POLICY_TEXTS = {path.name: path.read_text(encoding="utf-8") for path in POLICIES}
POLICY_TEXTS |= {block.name: block.text for block in BLOCKS if block.kind == "policy"}


# -- the linters ------------------------------------------------------------------------------------------------------


def run(tool: str, *arguments: str, folder: Path) -> str:
    """Return a linter's findings; every one of them ends with 0 or its own status for findings."""
    done = subprocess.run([BIN / tool, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout, f"{tool} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def check(schema_arguments: tuple[str, ...], texts: Mapping[str, str], folder: Path) -> dict[str, list[str]]:
    """Return what check-jsonschema finds, by the text's name."""
    names = {f"{number}.yml": name for number, name in enumerate(texts)}
    for file, name in names.items():
        (folder / file).write_text(texts[name], encoding="utf-8")
    output = json.loads(run("check-jsonschema", *schema_arguments, "-o", "json", *names, folder=folder))
    found: dict[str, list[str]] = {name: [] for name in texts}
    for each in output.get("errors", []) + output.get("parse_errors", []):
        found[names[Path(each["filename"]).name]].append(f"schema: {each.get('path')}: {each['message']}")
    return found


def lint(texts: Mapping[str, str], folder: Path) -> dict[str, list[str]]:
    """Return what actionlint, shellcheck and GitHub's schema find in workflows, by their name."""
    workflows = folder / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (folder / ".git").mkdir()
    for file in ("action.yml", "Dockerfile"):
        shutil.copy(ROOT / file, folder)
    local = {name: text.replace(f"uses: {ACTION}", "uses: ./") for name, text in texts.items()}
    found = check(("--builtin-schema", "vendor.github-workflows"), local, workflows)
    tools = ("-pyflakes", "", "-shellcheck", str(BIN / "shellcheck"))
    output = run("actionlint", "-format", "{{json .}}", *tools, folder=folder)
    names = list(texts)
    for each in json.loads(output):
        found[names[int(Path(each["filepath"]).stem)]].append(f"{each['kind']}: {each['message']}")
    return found


def audit(texts: Mapping[str, str], folder: Path) -> dict[str, list[str]]:
    """Return the insecure things that zizmor finds in workflows, by their name."""
    (folder / "zizmor.json").write_text(json.dumps(ZIZMOR), encoding="utf-8")
    workflows = folder / ".github" / "workflows"
    workflows.mkdir(parents=True)
    for name, text in texts.items():
        (workflows / name).write_text(text, encoding="utf-8")
    arguments = ("--offline", "--no-progress", "--format", "json-v1", "--config", "zizmor.json", ".github/workflows")
    found: dict[str, list[str]] = {name: [] for name in texts}
    for each in json.loads(run("zizmor", *arguments, folder=folder)):
        if not each["ignored"]:
            place = each["locations"][0]["symbolic"]["key"]["Local"]["verbatim_path"]
            found[Path(place).name].append(f"{each['ident']}: {each['desc']}")
    return found


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return lint(PIECES, tmp_path_factory.mktemp("linted"))


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return audit({path.name: PIECES[path.name] for path in WORKFLOWS}, tmp_path_factory.mktemp("audited"))


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return check(("--schemafile", str(schema.PATH)), POLICY_TEXTS, tmp_path_factory.mktemp("checked"))


@pytest.mark.parametrize("name", PIECES)
def test_the_linters_find_nothing_in_a_workflow(name: str, linted: Mapping[str, list[str]]) -> None:
    assert linted[name] == []


@pytest.mark.parametrize("name", [path.name for path in WORKFLOWS])
def test_the_audit_finds_nothing_in_a_workflow(name: str, audited: Mapping[str, list[str]]) -> None:
    assert audited[name] == []


def test_the_gitlab_example_fits_gitlabs_schema(tmp_path: Path) -> None:
    text = (CI / ".gitlab-ci.yml").read_text(encoding="utf-8")
    assert check(("--builtin-schema", "vendor.gitlab-ci"), {"example": text}, tmp_path) == {"example": []}


def test_readme_names_every_example() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = [*WORKFLOWS, *CI.iterdir()]
    assert [path.name for path in examples if f"({path.relative_to(ROOT)})" not in readme] == []
    named = "".join([*map(header, WORKFLOWS), (ROOT / "docs" / "rollout.md").read_text(encoding="utf-8")])
    assert [path.name for path in POLICIES if path.name not in named] == []


# -- files to copy into a repository ----------------------------------------------------------------------------------

COPIED = ROOT / "examples" / "repository"


@pytest.mark.parametrize(
    "path",
    [
        ".github/CODEOWNERS",
        ".github/workflows/sepurux.yml",
        CONFIG.default,
        "record_traces.py",
        "recording.py",
        "bots/refunds/record_traces.py",
        "bots/refunds/stubs/shop.py",
        "requirements.txt",
    ],
)
def test_the_code_owners_own_what_decides_whether_the_gate_blocks(path: str, tmp_path: Path) -> None:
    """The patterns are those of .gitignore, so Git says what they match."""
    lines = (COPIED / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    patterns = [line.split()[0] for line in lines if not line.startswith("#")]
    (tmp_path / ".gitignore").write_text("\n".join(patterns), encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)  # noqa: S607
    assert subprocess.run(["git", "check-ignore", "--quiet", path], cwd=tmp_path, check=False).returncode == 0  # noqa: S607


def test_the_configuration_of_pre_commit_names_the_hook_of_this_repository() -> None:
    [repository] = yaml.safe_load((COPIED / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert repository["repo"].endswith(f"/{ACTION.partition('@')[0]}")
    assert repository["hooks"] == [{"id": hook["id"]} for hook in hooks]


# -- policies ---------------------------------------------------------------------------------------------------------


def read_policy(text: str) -> Policy:
    return policy_parser.read_policy(text.encode(), "policy.yml")


@pytest.mark.parametrize("name", POLICY_TEXTS)
def test_a_policy_fits_the_schema_names_it_and_is_accepted_by_the_action(
    name: str, checked: Mapping[str, list[str]]
) -> None:
    text = POLICY_TEXTS[name]
    assert checked[name] == []
    assert text.startswith(f"# yaml-language-server: $schema={schema.ADDRESS}\n")
    assert settings(read_policy(text)).gates
    assert not settings(read_policy(text)).shares_statuses, "stages by branch need a status for each branch"


@pytest.mark.parametrize(
    ("day", "branch", "stage"),
    [
        (date(2027, 1, 10), "main", Stage.OBSERVE),
        (date(2027, 1, 11), "main", Stage.SOFT),
        (date(2027, 1, 18), "main", Stage.HARD),
        (date(2027, 1, 1), "release/2.4", Stage.HARD),
    ],
)
def test_the_policy_by_date_and_branch_goes_through_the_stages(day: date, branch: str, stage: Stage) -> None:
    policy = read_policy(POLICY_TEXTS["by-date-and-branch.yml"])
    assert [gate.stage for gate in settings(policy, branch=branch, today=day).gates] == [stage]


# -- what the action makes of a workflow ------------------------------------------------------------------------------


def header(path: Path) -> str:
    """Return the comment that a file begins with, on one line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    return " ".join(line.removeprefix("# ") for line in comment)


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def gate_inputs(path: Path) -> dict[str, str]:
    """Return the inputs of the workflow's gate, its expressions replaced by what they could be."""
    (step,) = (step for step in steps(path) if step.get("uses") == ACTION)
    texts = {name: str(value) for name, value in step["with"].items()}
    for expression, value in EXPRESSIONS.items():
        texts = {name: text.replace(expression, value) for name, text in texts.items()}
    assert not [text for text in texts.values() if "${{" in text]
    return texts


def settings(
    policy: Policy | None, inputs: Mapping[str, str] | None = None, *, branch: str = "main", today: date = TODAY
) -> Settings:
    def found(pattern: str) -> tuple[Trace, ...]:
        return (Trace(label=pattern, content=b"{}"),)

    layer = input_layer(inputs or {"token": TOKEN})
    return read_settings([layer], found, policy, branch=branch, today=today)


def settings_of(path: Path) -> Settings:
    """Return the settings of a workflow with the policy that its header names."""
    named = re.findall(r"examples/policies/([\w.-]+\.yml)", header(path))
    assert len(named) <= 1
    return settings(read_policy(POLICY_TEXTS[named[0]]) if named else None, gate_inputs(path))


GATED = [path for path in WORKFLOWS if ACTION in path.read_text(encoding="utf-8")]
named_by_file = pytest.mark.parametrize("path", GATED, ids=lambda path: path.name)


@named_by_file
def test_the_inputs_of_a_workflow_and_its_policy_are_valid_none_is_overridden_and_the_gate_finds_the_file(
    path: Path,
) -> None:
    made = settings_of(path)
    assert made.gates
    assert made.overridden == ()
    output = re.findall(r"as (\.github/[\w.-]+\.yml)", header(path))
    assert output in ([], [gate_inputs(path).get("config", ".github/sepurux-gate.yml")])


@named_by_file
def test_a_workflow_with_a_soft_gate_on_pull_requests_runs_on_reviews_and_no_hard_one_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    soft = any(gate.stage is Stage.SOFT for gate in settings_of(path).gates)
    triggers = re.findall(r"^  (\w+):", text[text.index("on:") : text.index("permissions:")], re.MULTILINE)
    if "pull_request" in triggers:
        assert ("pull_request_review" in triggers) == soft


@named_by_file
def test_a_gates_job_waits_longer_than_its_gates_can_read_the_policy_and_set_the_status(path: Path) -> None:
    (job,) = (job for job in jobs(path).values() if ACTION in str(job))
    longest = max(gate.timeout_s for gate in settings_of(path).gates)
    assert job["timeout-minutes"] * 60 > longest + 105  # reads 15 s, effects 90 s
    statuses = "write" if settings_of(path).status else "read"
    assert (job["permissions"]["contents"], job["permissions"]["statuses"]) == ("read", statuses)


def test_only_a_gate_that_sets_no_status_observes_beside_another_one() -> None:
    """It would replace the status and the comment of the gate that blocks."""
    made = settings_of(ROOT / "examples" / "workflows" / "use-outputs.yml")
    assert [gate.stage for gate in made.gates] == [Stage.OBSERVE]
    assert (made.status, made.comment) == (False, CommentMode.NEVER)


# -- pull requests: another base branch, and one run at a time --------------------------------------------------------

OF_PULL_REQUESTS = {
    name: workflow
    for name, text in PIECES.items()
    if isinstance(on := (workflow := yaml.safe_load(text))[True], dict)  # `on`, as YAML 1.1 reads it
    if "pull_request" in on
}
of_pull_requests = pytest.mark.parametrize("name", OF_PULL_REQUESTS)


def test_no_workflow_runs_on_pull_requests_without_types() -> None:
    assert len(OF_PULL_REQUESTS) == 8
    assert [name for name, text in PIECES.items() if "pull_request" in str(yaml.safe_load(text)[True]).split()] == []


@of_pull_requests
def test_a_workflow_of_pull_requests_runs_when_the_base_branch_changes(name: str) -> None:
    assert OF_PULL_REQUESTS[name][True]["pull_request"]["types"] == ["opened", "synchronize", "reopened", "edited"]


@of_pull_requests
def test_a_pull_request_has_one_run_and_an_edited_title_cancels_none(name: str) -> None:
    workflow = OF_PULL_REQUESTS[name]
    assert "concurrency" not in workflow, "a run whose job is skipped would join the group"
    groups = []
    for job in workflow["jobs"].values():
        if job["steps"] == [{"run": "true"}]:
            continue  # the documents show the triggers alone
        if "needs" in job:  # without an `if`, such a job runs only if the job that it needs ran and succeeded
            assert "if" not in job
        else:
            assert "github.event.action != 'edited' || github.event.changes.base" in job["if"]
        prefix, number, otherwise = re.findall(r"^(\w+-)\$\{\{ (.+) \|\| (.+) \}\}$", job["concurrency"]["group"])[0]
        assert (number, otherwise) == ("github.event.pull_request.number", "github.run_id"), "pushes share no group"
        groups.append(prefix)
        assert workflow[True]["push"] == {"branches": ["main"]}, "without results, there is nothing to compare with"
        waits = "pull_request_review" in workflow[True]  # the run of a review does not end an evaluation
        cancels = (True, "${{ github.event_name == 'pull_request' }}")
        assert job["concurrency"]["cancel-in-progress"] in cancels[waits:]
    assert len(groups) == len(set(groups)), "the second job of an older run could cancel the first of a newer one"


# -- what an example may do -------------------------------------------------------------------------------------------

RECORDING = [name for name, text in PIECES.items() if re.search(r'record_traces\.py"? "?traces', text)]
PARSED = {name: yaml.safe_load(PIECES[name]) for name in RECORDING if name != "forks-record.yml"}
TWO_JOBS = {name: workflow for name, workflow in PARSED.items() if "record" in workflow["jobs"]}  # no single steps
of_two_jobs = pytest.mark.parametrize("name", TWO_JOBS)
NOT_THE_PULL_REQUEST = "${{ github.event.pull_request.base.sha || "
BEFORE, CACHE, GATE = ("actions/checkout", "actions/download-artifact"), "actions/cache", ACTION.partition("@")[0]


def of_gate(workflow: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the only job of a workflow that has the gate."""
    (job,) = (job for job in workflow["jobs"].values() if ACTION in str(job))
    return dict(job)


def test_each_workflow_that_gates_pull_requests_or_deployments_or_runs_at_night_records_traces() -> None:
    gates = [name for name, workflow in OF_PULL_REQUESTS.items() if ACTION in str(workflow)]
    assert (len(gates), len(TWO_JOBS)) == (7, 9)
    assert TWO_JOBS.keys() - gates == {"deployment.yml", "scheduled.yml"}


@pytest.mark.parametrize("name", [*TWO_JOBS, "forks-record.yml"])
def test_a_workflow_records_each_scenario_three_times_and_installs_what_the_recording_needs(name: str) -> None:
    record = yaml.safe_load(PIECES[name])["jobs"]["record"]
    *_, install, script, _ = [step.get("run", step.get("uses")) for step in record["steps"]]
    assert install == "pip install -r requirements.txt"
    [arguments] = re.findall(r"record_traces\.py\"? (.+?)$", script, re.MULTILINE)
    assert arguments in {"traces --times 3", '"traces/$agent" --times 3'}


RECOMMENDED = [
    name for name in POLICY_TEXTS if name.startswith("README.md:") or name in {each.name for each in POLICIES}
]


@pytest.mark.parametrize("name", RECOMMENDED)
def test_each_gate_of_a_recommended_policy_blocks_if_a_scenario_is_deleted(name: str) -> None:
    gates = settings(read_policy(POLICY_TEXTS[name])).gates
    assert [gate.limits.get(MIN_SCENARIOS.name) for gate in gates] == [3] * len(gates)


@of_two_jobs
def test_the_job_that_runs_a_pull_requests_code_has_no_secret_of_the_gate_and_can_only_read(name: str) -> None:
    record = TWO_JOBS[name]["jobs"]["record"]
    assert record["permissions"] == {"contents": "read"}
    assert re.findall(r"secrets\.\w+|github\.token", str(record)) == ["secrets.OPENAI_API_KEY"]
    assert record["steps"][0]["with"]["persist-credentials"] is False
    assert record["steps"][0]["with"].keys() <= {"persist-credentials", "fetch-depth"}
    assert "env" not in TWO_JOBS[name]
    assert "env" not in record


@of_two_jobs
def test_the_job_with_the_gates_secret_runs_nothing_of_a_pull_request(name: str) -> None:
    workflow = TWO_JOBS[name]
    job = of_gate(workflow)
    checkout, *others = job["steps"]
    used = [step["uses"].partition("@")[0] for step in job["steps"]]
    assert used in ([*BEFORE, GATE], [*BEFORE, f"{CACHE}/restore", GATE, f"{CACHE}/save"])
    assert not [step for step in others if "run" in step]
    assert job["needs"] == "record"
    assert {"if", "env", "container"} & job.keys() == set()
    if {"pull_request", "merge_group"} & workflow[True].keys():
        assert checkout["with"]["ref"].startswith(NOT_THE_PULL_REQUEST)
        assert ("github.event.merge_group.base_sha" in checkout["with"]["ref"]) == ("merge_group" in workflow[True])


@of_two_jobs
def test_the_gate_evaluates_what_the_other_job_uploads_from_a_folder_that_has_nothing_else(name: str) -> None:
    """Below `traces`, an artifact replaces no policy file and nothing that runs."""
    workflow = TWO_JOBS[name]
    upload = workflow["jobs"]["record"]["steps"][-1]
    _, download, *others = of_gate(workflow)["steps"]
    [gate] = [step for step in others if step["uses"] == ACTION]
    assert download["with"] == {"name": upload["with"]["name"], "path": "traces"}
    assert upload["with"]["path"].removesuffix("/*.json") == "traces"
    assert upload["with"]["if-no-files-found"] == "error"
    files = [gate["with"].get("trace_file")]
    if name == "many-agents.yml":
        files = [each["trace_file"] for each in yaml.safe_load(POLICY_TEXTS[name])["gates"]]
    assert [str(each).partition("/")[0] for each in files] == ["traces"] * len(files)


def test_the_job_that_runs_a_forks_code_has_no_secret_and_can_only_read() -> None:
    path = ROOT / "examples" / "workflows" / "forks-record.yml"
    assert [job["permissions"] for job in jobs(path).values()] == [{"contents": "read"}]
    assert not re.search(r"secrets\.|github\.token|pull_request_target", path.read_text(encoding="utf-8"))


def test_the_job_with_the_secret_neither_checks_out_nor_runs_a_forks_code() -> None:
    path = ROOT / "examples" / "workflows" / "forks-evaluate.yml"
    download, gate = steps(path)
    assert (download["uses"], gate["uses"]) == ("actions/download-artifact@v8", ACTION)
    assert not [step for step in (download, gate) if "run" in step]
    assert download["with"]["path"].startswith("${{ runner.temp }}/")


def test_the_two_stages_of_forks_fit_each_other() -> None:
    folder = ROOT / "examples" / "workflows"
    record, evaluate = (yaml.safe_load((folder / f"forks-{each}.yml").read_text()) for each in ("record", "evaluate"))
    assert evaluate[True]["workflow_run"]["workflows"] == [record["name"]]  # `on`, as YAML 1.1 reads it
    upload = next(step for step in record["jobs"]["record"]["steps"] if "upload-artifact" in step.get("uses", ""))
    job = evaluate["jobs"]["evaluate"]
    assert job["steps"][0]["with"]["name"] == upload["with"]["name"]
    assert set(record[True]) == set(json.loads(re.findall(r"fromJSON\('(.+?)'\)", job["if"])[0]))


def test_the_report_is_uploaded_from_where_the_gate_writes_it_whatever_happened() -> None:
    _, gate, upload = steps(ROOT / "examples" / "workflows" / "use-outputs.yml")[:3]
    assert gate["with"]["report_dir"] == upload["with"]["path"]
    assert upload["if"] == "always()"


# -- the base's results, kept between runs ----------------------------------------------------------------------------

KEEPING = {name: workflow for name, workflow in TWO_JOBS.items() if "pull_request" in workflow[True]}
of_keeping = pytest.mark.parametrize("name", KEEPING)
MAIN, SAVED_BY_PUSH = "refs/heads/main", "always() && github.event_name == 'push'"


def cache_steps(name: str) -> tuple[dict[str, Any], ...]:
    """Return the steps that restore, evaluate, and save; the first one is after the download of what was recorded."""
    return tuple(of_gate(KEEPING[name])["steps"][-3:])


def key_of(step: Mapping[str, Any], run_id: int, attempt: int) -> str:
    key = str(step["with"]["key"])
    return key.replace("${{ github.run_id }}", str(run_id)).replace("${{ github.run_attempt }}", str(attempt))


def restored(step: Mapping[str, Any], key: str, caches: Mapping[tuple[str, str], str], *scopes: str) -> str:
    """Return the content that GitHub restores; `caches` are by scope and key, the oldest first.

    Source: docs.github.com/actions/reference/workflows-and-actions/dependency-caching, "Cache key matching".
    """
    for scope in scopes:
        for prefix in (key, step["with"]["restore-keys"]):
            found = [content for (place, each), content in caches.items() if place == scope and each.startswith(prefix)]
            if found:
                return found[-1]
    return ""


@of_keeping
def test_what_is_restored_is_saved_from_the_same_folder_by_pushes_to_the_base_branch_alone(name: str) -> None:
    restore, gate, save = cache_steps(name)
    paths = {restore["with"]["path"], gate["with"]["baseline_dir"], save["with"]["path"]}
    assert len(paths) == 1, "the path is a part of a cache's version"
    assert restore["uses"].replace("restore", "save") == save["uses"]
    assert ("if" in restore, save["if"]) == (False, SAVED_BY_PUSH)
    assert KEEPING[name][True]["push"] == {"branches": ["main"]}


@of_keeping
def test_a_pull_request_finds_the_newest_results_of_main_and_a_push_those_of_the_last_one(name: str) -> None:
    restore, _, save = cache_steps(name)
    caches = {(MAIN, key_of(save, run, attempt)): f"{run}.{attempt}" for run, attempt in ((99, 1), (100, 1), (100, 2))}
    caches |= {("refs/heads/release", key_of(save, 101, 1)): "release", ("refs/pull/8/merge", "sepurux-x"): "other"}
    assert len(caches) == 5, "a re-run has a key of its own, because a cache cannot be changed"
    here, key = "refs/pull/7/merge", key_of(restore, 200, 1)
    assert restored(restore, key, caches, here, MAIN) == "100.2"
    assert restored(restore, key, caches, here, "refs/heads/next", MAIN) == "100.2"
    assert restored(restore, key, {}, here, MAIN) == ""
    assert restored(restore, key, caches, MAIN) == "100.2", "a push adds to what the last one saved"
    own = {(here, key_of(save, 150, 1)): "by code of the pull request"}
    assert restored(restore, key, caches | own, here, MAIN) == "by code of the pull request"  # so it is signed


# -- other CI systems -------------------------------------------------------------------------------------------------

REPORT_DIR, KEPT = "sepurux-report", ".sepurux-baseline"


def gitlab_script() -> str:
    script = yaml.safe_load((CI / ".gitlab-ci.yml").read_text(encoding="utf-8"))["sepurux-gate"]["script"]
    return "\n".join(script)


def jenkins_script() -> str:
    scripts = re.findall(r"sh '''(.*?)'''", (CI / "Jenkinsfile").read_text(encoding="utf-8"), re.DOTALL)
    (gate,) = (script for script in scripts if "bin/sepurux-gate" in script)
    return dedent(gate).replace("\\\\", "\\")  # as Groovy reads it


@pytest.mark.parametrize(
    ("script", "variable", "value"),
    [
        (gitlab_script, "WRITE_BASELINE", "--write-baseline"),
        (gitlab_script, "WRITE_BASELINE", ""),
        (jenkins_script, "BRANCH_NAME", "main"),
        (jenkins_script, "BRANCH_NAME", "PR-42"),
    ],
)
def test_the_script_of_another_ci_system_blocks_also_if_the_policy_observes(
    script: Callable[[], str], variable: str, value: str, tmp_path: Path
) -> None:
    (tmp_path / "gate" / "bin").mkdir(parents=True)
    program = tmp_path / "gate" / "bin" / "sepurux-gate"  # where the scripts' first steps install it
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sepurux_action "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    traces = tmp_path / "checkout" / "traces"
    traces.mkdir(parents=True)
    for name in ("refund-sound", "refund-failing-tool", "refund-unsafe"):
        shutil.copy(ROOT / "examples" / "traces" / f"{name}.json", traces)
    (tmp_path / "checkout" / ".github").mkdir()
    policy = tmp_path / "checkout" / ".github" / "sepurux-gate.yml"  # what a merge request could add
    policy.write_text("enforcement: observe\n", encoding="utf-8")
    with Sandbox(token=TOKEN) as sandbox:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "CI_BUILDS_DIR": str(tmp_path),
            "CI_PROJECT_PATH": "my-org/my-agent",
            "CI_MERGE_REQUEST_IID": "42",
            "WORKSPACE_TMP": str(tmp_path),
            "GITHUB_REPO": "my-org/my-agent",
            "CHANGE_ID": "42",
            "SEPURUX_API_BASE_URL": sandbox.url,
            "SEPURUX_CI_TOKEN": TOKEN,
            variable: value,
        }
        command = ["/bin/sh", "-e", "-c", script()]
        done = subprocess.run(
            command, env=environment, cwd=traces.parent, capture_output=True, text=True, check=False, timeout=60
        )
        started = [json.loads(each.body) for each in sandbox.requests if each.path == "/v1/ci/runs"]
    assert done.returncode == 1, done.stderr
    assert [(body["repo"], body["pull_request_number"]) for body in started] == [("my-org/my-agent", 42)] * 3
    report = json.loads((traces.parent / REPORT_DIR / "report.json").read_text(encoding="utf-8"))
    assert report["decision"] == "fail"
    assert (traces.parent / KEPT / "baseline.json").exists() == (value in {"--write-baseline", "main"})


def test_another_ci_system_records_in_a_job_that_gets_no_secret_of_the_gate() -> None:
    jobs = yaml.safe_load((CI / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    record, gate = jobs["record"], jobs["sepurux-gate"]
    assert record["script"][-1] == "python record_traces.py traces --times 3"
    assert record["artifacts"]["paths"] == ["traces"]
    assert (gate["needs"], gate["environment"]) == (["record"], {"name": "sepurux", "action": "access"})
    assert "environment" not in record
    before, _, after = (CI / "Jenkinsfile").read_text(encoding="utf-8").partition("unstash 'traces'")
    record_stage, _, gate_stage = before.partition("stash name: 'traces', includes: 'traces/*.json'")
    assert '/bin/python" record_traces.py traces --times 3\n' in record_stage
    assert ["credentials('sepurux-ci-token')" in each for each in (record_stage, gate_stage)] == [False, True]
    assert "credentials(" not in after


def test_gitlab_saves_the_results_of_the_default_branch_alone_and_merge_requests_read_them() -> None:
    jobs = yaml.safe_load((CI / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    gate, (of_merge_request, of_default) = jobs["sepurux-gate"], jobs[".changes"]["rules"]
    cache = {"key": "sepurux-baseline", "paths": [KEPT], "policy": "$CACHE_POLICY", "when": "always", "unprotect": True}
    assert gate["cache"] == cache
    assert gate["variables"] == {"CACHE_POLICY": "pull", "WRITE_BASELINE": ""}
    assert "variables" not in of_merge_request
    assert of_default["variables"] == {"CACHE_POLICY": "pull-push", "WRITE_BASELINE": "--write-baseline"}
    assert f"--baseline-dir {KEPT} $WRITE_BASELINE" in gitlab_script()


def test_another_ci_system_reads_the_folder_that_its_script_writes() -> None:
    artifacts = yaml.safe_load((CI / ".gitlab-ci.yml").read_text(encoding="utf-8"))["sepurux-gate"]["artifacts"]
    assert (artifacts["when"], artifacts["paths"]) == ("always", [REPORT_DIR])
    assert artifacts["reports"] == {"junit": f"{REPORT_DIR}/junit.xml"}
    _, _, always = (CI / "Jenkinsfile").read_text(encoding="utf-8").partition("always {")
    assert re.findall(r"(?:testResults|artifacts): '(.+?)'", always) == [
        f"{REPORT_DIR}/junit.xml",
        f"{REPORT_DIR}/*, {KEPT}/*",
    ]
    assert all(f"--report-dir {REPORT_DIR}" in script() for script in (gitlab_script, jenkins_script))
