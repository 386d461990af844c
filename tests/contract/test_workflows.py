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


def read(name: str) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(TEXTS[name])
    return workflow


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
    assert set(check["needs"]) == set(jobs)
    assert check["if"] == "always()"
    assert [name for name, job in jobs.items() if "if" in job or "continue-on-error" in job] == []


def test_only_the_job_of_a_release_that_waits_for_an_approval_may_push_and_sign_the_image() -> None:
    jobs = read("release.yml")["jobs"]
    may = {name for name, job in jobs.items() if {"packages", "id-token"} & job["permissions"].keys()}
    assert may == {name for name, job in jobs.items() if job.get("environment") == "release"} == {"image"}


@pytest.mark.parametrize("name", [".github/workflows/release.yml", "SECURITY.md", "scripts/release.py"])
def test_a_verification_names_the_workflow_the_branch_and_githubs_own_runners(name: str) -> None:
    """Otherwise an edited workflow on a branch could sign an image too."""
    (command,) = re.findall(r"gh attestation verify (?:.*\\\n)*.*", (release.ROOT / name).read_text(encoding="utf-8"))
    wanted = ("/.github/workflows/release.yml", "--source-ref refs/heads/main", "--deny-self-hosted-runners")
    assert [each for each in wanted if each not in command] == []


def test_the_tests_run_on_every_python_that_the_package_names_and_the_image_has_the_newest() -> None:
    project = tomllib.loads((release.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3." in each]
    assert read("ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"] == named
    assert project["requires-python"] == f">={named[0]}"
    dockerfile = (release.ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM python:([\d.]+)", dockerfile, re.MULTILINE) == [named[-1]]
