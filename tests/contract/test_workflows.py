"""The project's own workflows: what each waits for, and what it may do.

What linters see, `make lint` holds; whole workflows run in tests/container.
"""

import re
import tomllib
from typing import Any

import pytest
import yaml

from scripts import release


def text_of(name: str) -> str:
    return (release.ROOT / name).read_text(encoding="utf-8")


def jobs_of(name: str) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load(text_of(f".github/workflows/{name}"))["jobs"]
    return jobs


def test_the_required_check_waits_for_every_job_and_fails_where_one_is_skipped() -> None:
    jobs = jobs_of("ci.yml")
    check = jobs.pop("all-green")
    assert (check["if"], set(check["needs"])) == ("always()", set(jobs))
    assert [name for name, job in jobs.items() if "if" in job or "continue-on-error" in job] == []


def test_only_the_job_of_a_release_that_waits_for_an_approval_may_push_and_sign_the_image() -> None:
    jobs = jobs_of("release.yml")
    may = {name for name, job in jobs.items() if {"packages", "id-token"} & job["permissions"].keys()}
    assert may == {name for name, job in jobs.items() if job.get("environment") == "release"} == {"image"}


@pytest.mark.parametrize("name", [".github/workflows/release.yml", "SECURITY.md", "scripts/release.py"])
def test_a_verification_names_the_workflow_the_branch_and_githubs_own_runners(name: str) -> None:
    """Otherwise an edited workflow on a branch could sign an image too."""
    (command,) = re.findall(r"gh attestation verify (?:.*\\\n)*.*", text_of(name))
    wanted = ("/.github/workflows/release.yml", "--source-ref refs/heads/main", "--deny-self-hosted-runners")
    assert [each for each in wanted if each not in command] == []


def test_the_tests_run_on_every_python_that_the_package_names_and_the_image_has_the_newest() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"]]
    assert jobs_of("ci.yml")["test"]["strategy"]["matrix"]["python"] == named
    assert project["requires-python"] == f">={named[0]}"
    assert re.findall(r"^FROM python:([\d.]+)", text_of("Dockerfile"), re.MULTILINE) == [named[-1]]
