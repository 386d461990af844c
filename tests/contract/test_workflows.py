"""The project's own workflows: what each waits for, what it may do, and whose code it runs.

What linters see, `make lint` holds; whole workflows run in tests/container.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from scripts import release

FOLDER = release.ROOT / ".github" / "workflows"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}


def read(name: str) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(TEXTS[name])
    return workflow


def needs(job: dict[str, Any]) -> set[str]:
    named = job.get("needs", [])
    return {named} if isinstance(named, str) else set(named)


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


def test_a_release_builds_then_tries_then_drafts_and_each_job_may_do_its_own_part_only() -> None:
    workflow = read("release.yml")
    assert list(workflow[True]) == ["workflow_dispatch"]  # `on`, as YAML 1.1 reads it
    jobs = workflow["jobs"]
    order = {name: sorted(needs(job)) for name, job in jobs.items()}
    assert order == {"image": [], "try": ["image"], "draft": ["image", "try"]}
    assert not [name for name, job in jobs.items() if {"if", "continue-on-error"} & job.keys()]
    assert {name: job["environment"] for name, job in jobs.items() if "environment" in job} == {"image": "release"}
    attest = {"attestations": "write", "id-token": "write"}
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "image": {"checks": "read", "contents": "read", "packages": "write", **attest},
        "try": {"contents": "read"},
        "draft": {"contents": "write"},
    }


def test_the_digest_that_is_signed_tried_and_released_is_that_of_the_build() -> None:
    workflow = read("release.yml")
    image, attempt, draft = workflow["jobs"].values()
    assert workflow["env"]["IMAGE"] == release.IMAGE
    assert image["outputs"] == {"digest": "${{ steps.build.outputs.digest }}"}
    (attest,) = [step["with"] for step in image["steps"] if step.get("uses", "").startswith("actions/attest@")]
    assert attest["subject-digest"] == image["outputs"]["digest"]
    assert attempt["env"]["DIGEST"] == draft["steps"][-1]["env"]["DIGEST"] == "${{ needs.image.outputs.digest }}"
    tools = [image["env"][name] for name in ("BUILDKIT", "QEMU", "SCANNER")]
    assert [tool for tool in tools if not re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", tool)] == []


def test_a_release_is_tried_on_both_architectures_without_a_login() -> None:
    job = read("release.yml")["jobs"]["try"]
    assert job["strategy"]["matrix"]["runner"] == ["ubuntu-24.04", "ubuntu-24.04-arm"]
    assert not [each for each in ("login", "github.token", "secrets.", "GH_TOKEN") if each in yaml.safe_dump(job)]


@pytest.mark.parametrize("name", [".github/workflows/release.yml", "SECURITY.md", "scripts/release.py"])
def test_a_verification_names_the_workflow_the_branch_and_githubs_own_runners(name: str) -> None:
    """Otherwise an edited workflow on a branch could sign an image too."""
    (command,) = re.findall(r"gh attestation verify (?:.*\\\n)*.*", (release.ROOT / name).read_text(encoding="utf-8"))
    wanted = ("/.github/workflows/release.yml", "--source-ref refs/heads/main", "--deny-self-hosted-runners")
    assert [each for each in wanted if each not in command] == []
