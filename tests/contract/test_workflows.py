"""The project's own workflows: what each waits for, what it may do, and whose code it runs.

What linters see, `make lint` holds; whole workflows run in tests/container.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

from scripts import release

FOLDER = release.ROOT / ".github" / "workflows"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
# The order of a release; what comes later must not be seen before all of the earlier has succeeded.
RELEASE = ["ci", "check", "build", "image", "try", "release"]


def read(name: str) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(TEXTS[name])
    return workflow


def needs(job: dict[str, Any]) -> set[str]:
    named = job.get("needs", [])
    return {named} if isinstance(named, str) else set(named)


def test_the_workflow_pushes_the_image_that_the_release_commit_names() -> None:
    workflow = read("release.yml")
    assert workflow["env"] == {"IMAGE": release.IMAGE}
    assert workflow[True] == {"push": {"tags": ["release/*"]}}  # `on`, as YAML 1.1 reads it


@pytest.mark.parametrize("name", TEXTS)
def test_a_workflow_uses_others_actions_by_commit_and_says_their_version(name: str) -> None:
    used = re.findall(r"\buses: (?!\$/|\./)(.*)", TEXTS[name])
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", each)] == []


def test_one_action_is_pinned_to_one_commit_everywhere() -> None:
    pins = set(re.findall(r"\buses: ([\w-]+/[\w-]+)\S*@(\w+)", "".join(TEXTS.values())))
    assert len(pins) == len({name for name, _ in pins}) > 0


@pytest.mark.parametrize("name", TEXTS)
def test_a_job_may_do_what_it_names_and_nothing_besides(name: str) -> None:
    workflow = read(name)
    assert workflow["permissions"] == {}
    assert [job for job, about in workflow["jobs"].items() if not isinstance(about.get("permissions"), dict)] == []


def test_the_required_check_waits_for_every_job_and_fails_where_one_is_skipped() -> None:
    jobs = read("ci.yml")["jobs"]
    check = jobs.pop("all-green")
    assert needs(check) == set(jobs)
    assert check["if"] == "always()"
    assert [name for name, job in jobs.items() if "if" in job or "continue-on-error" in job] == []


def test_the_tests_run_on_every_python_that_the_package_names_and_the_image_has_the_newest() -> None:
    project = tomllib.loads((release.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3." in each]
    assert read("ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"] == named
    assert project["requires-python"] == f">={named[0]}"
    dockerfile = (release.ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM python:([\d.]+)", dockerfile, re.MULTILINE) == [named[-1]]


def test_each_step_of_a_release_waits_for_all_before_it() -> None:
    jobs = read("release.yml")["jobs"]
    assert list(jobs) == RELEASE
    waits_for: dict[str, set[str]] = {}
    for name, job in jobs.items():
        waits_for[name] = needs(job).union(*(waits_for[before] for before in needs(job)))
        assert not {"if", "continue-on-error"} & job.keys(), "a job without either is skipped after a failure"
    later = {name: set(RELEASE[:position]) for position, name in enumerate(RELEASE) if position > 1}
    assert waits_for == {"ci": set(), "check": set(), **later}


def test_only_the_last_job_of_a_release_writes_to_the_repository_once_a_maintainer_agrees() -> None:
    jobs = read("release.yml")["jobs"]
    assert {name for name, job in jobs.items() if job["permissions"].get("contents") == "write"} == {"release"}
    assert {name for name, job in jobs.items() if "environment" in job} == {"release"}
    run = jobs["release"]["steps"][-1]["run"]
    steps = [run.index(each) for each in ("release.py commit", "gh release create", "release.py advance")]
    assert steps == sorted(steps), "the moving tag is the last to go"


def test_a_released_image_is_tried_on_both_architectures_by_the_digest_that_the_commit_names() -> None:
    jobs = read("release.yml")["jobs"]
    digest = "${{ needs.image.outputs.digest }}"
    assert jobs["try"]["env"] == {"GATE_IMAGE": f"{release.IMAGE}@{digest}"}
    assert jobs["release"]["steps"][-1]["env"]["DIGEST"] == digest
    built = {each["runner"] for each in jobs["build"]["strategy"]["matrix"]["include"]}
    assert set(jobs["try"]["strategy"]["matrix"]["runner"]) == built
    assert len(built) == 2
