"""A release is one commit, pinned to one image: `scripts/release.py` against a real git remote."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from scripts import release
from sepurux_action import __version__

ROOT = release.ROOT
DIGEST, OTHER_DIGEST = f"sha256:{'0a' * 32}", f"sha256:{'1b' * 32}"
CHANGELOG = """\
# Changelog

## [Unreleased]

## [{version}] - 2027-01-20

### Fixed
- What {version} fixes.

## [0.0.9] - 2026-12-01

### Added
- What was there before.
"""
IDENTITY = {f"GIT_{role}_{key}": "made-up" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
# No settings of this machine, and no wait for the disk.
OPTION = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsync", "GIT_CONFIG_VALUE_0": "none"}
GIT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **OPTION}


@dataclass(frozen=True, slots=True)
class Project:
    """A checkout with what a release reads, and the bare repository it came from."""

    checkout: Path
    remote: Path

    def git(self, *arguments: str) -> str:
        done = self.start(shutil.which("git") or "git", *arguments, **IDENTITY)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, version: str, changelog: str = CHANGELOG) -> None:
        """Commit a version and its changelog on main, and push."""
        (self.checkout / "sepurux_action" / "__init__.py").write_text(f'__version__ = "{version}"\n', encoding="utf-8")
        (self.checkout / "CHANGELOG.md").write_text(changelog.format(version=version), encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--allow-empty", "--message", f"Prepare {version}")
        self.git("push", "--quiet", "origin", "HEAD:main")

    def at(self, *refs: str) -> list[str]:
        """Return the commits of refs of the bare repository, without those that do not exist."""
        lines = [line.split("\t") for line in self.git("ls-remote", "origin", *refs).splitlines()]
        return [sha for ref in refs for sha, name in lines if name == ref]

    def run(self, *arguments: str) -> str:
        """Return what a command of the script prints, which must succeed."""
        done = self.try_to(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def try_to(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.start(sys.executable, "-I", "-S", "-B", "scripts/release.py", *arguments)  # without any package

    def start(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.checkout, env=GIT | env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a checkout, which has the version 1.2.3 on main, and its remote repository."""
    folder = tmp_path_factory.mktemp("prepared")
    made = Project(folder / "checkout", folder / "remote.git")
    for name in ("action.yml", "composite/action.yml", "scripts/release.py", "sepurux_action/__init__.py"):
        target = made.checkout / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    made.git("init", "--quiet", "--template=", "--initial-branch=main")
    made.git("init", "--quiet", "--template=", "--bare", "--initial-branch=main", str(made.remote))
    made.git("remote", "add", "origin", "../remote.git")
    made.write("1.2.3")
    return folder


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Project:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path / "checkout", tmp_path / "remote.git")


@pytest.mark.parametrize("version", ["1.2.3", "10.20.30", "1.0.0-rc.1"])
def test_a_commit_of_main_that_names_the_version_may_be_released(version: str, project: Project) -> None:
    project.write(version)
    assert project.run("check", version, "refs/heads/main") == f"{version} can be released"


@pytest.mark.parametrize(
    ("asked", "version", "changelog", "complaint"),
    [
        ("1.2.4", "1.2.3", CHANGELOG, "__init__.py says '1.2.3'"),
        ("v1.2.3", "1.2.3", CHANGELOG, "is not X.Y.Z"),
        ("1.2.3.dev1", "1.2.3.dev1", CHANGELOG, "is not X.Y.Z"),
        ("1.2.3", "1.2.3", "## [1.2.3]\n- A.\n", "no section"),
        ("1.2.3", "1.2.3", "## [1.2.30] - 2027-01-20\n- A.\n", "no section"),
        ("1.2.3", "1.2.3", "## [1.2.3] - 2027-01-20\n\n## [1.2.2] - 2027-01-01\n- A.\n", "no section"),
    ],
)
def test_another_version_or_one_without_a_dated_section_is_rejected(
    asked: str, version: str, changelog: str, complaint: str, project: Project
) -> None:
    project.write(version, changelog)
    done = project.try_to("check", asked, "refs/heads/main")
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_another_branch_and_a_version_that_is_tagged_are_rejected(project: Project) -> None:
    assert "start it on main" in project.try_to("check", "1.2.3", "refs/heads/main-of-mine").stderr
    project.git("push", "--quiet", "origin", "HEAD:refs/tags/v1.2.3")
    assert "v1.2.3 exists already" in project.try_to("check", "1.2.3", "refs/heads/main").stderr
    assert "releases/v1 does not exist, although v1 has releases" in project.try_to("previous").stderr


def test_the_first_release_commit_is_a_child_that_changes_the_image_and_nothing_else(project: Project) -> None:
    with (project.checkout / "action.yml").open("ab") as file:
        file.write(b"# whatever ends a line\r\n# stays as it is\r")
    project.write("1.2.4")
    head = project.git("rev-parse", "HEAD")
    assert project.run("previous") == ""
    made = project.run("commit", DIGEST, "")
    assert project.git("rev-list", "--parents", "-1", "HEAD").split() == [made, head]
    assert project.git("diff", "--numstat", head, made) == "1\t1\taction.yml"
    assert project.git("diff", "--summary", head, made) == ""  # no mode changes
    assert project.git("status", "--porcelain") == ""
    action = yaml.safe_load(project.git("show", f"{made}:action.yml"))
    assert action["runs"].pop("image") == f"docker://ghcr.io/sepurux/gate-action@{DIGEST}"
    before = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert before["runs"].pop("image") == "Dockerfile"
    assert action == before


def test_each_of_three_releases_contains_the_earlier_ones_and_the_tag_moves_forward_only(project: Project) -> None:
    previous, versions = "", ("1.2.3", "1.2.4", "1.10.0")
    for version in versions:
        project.write(version)
        main = project.git("rev-parse", "HEAD")
        job = a_job(project, version, DIGEST)
        job.run("push")
        made = job.git("rev-parse", "HEAD")
        assert job.git("rev-list", "--parents", "-1", "HEAD").split() == [made, main, *filter(None, [previous])]
        assert job.git("diff", "--numstat", main, made) == "1\t1\taction.yml"
        project.run("move", version)
        assert project.at("refs/tags/v1", f"refs/tags/v{version}", "refs/heads/releases/v1") == [made] * 3
        previous = made
    project.git("fetch", "--quiet", "--tags", "origin")
    chain = project.git("rev-list", "--ancestry-path", "--merges", "v1.2.3..v1").split()
    assert chain == project.git("rev-parse", "v1.10.0", "v1.2.4").split()
    project.git("push", "--quiet", "origin", "HEAD:refs/tags/v1.11.0-rc.1")
    for version in ("1.2.4", "1.11.0-rc.1"):
        assert "is not the highest release: that is 1.10.0" in project.try_to("move", version).stderr
    assert project.at("refs/tags/v1") == [previous]


def test_a_release_that_does_not_contain_the_last_one_is_neither_pushed_nor_tagged(project: Project) -> None:
    a_job(project, "first", DIGEST).run("push")
    project.run("move", "1.2.3")
    released = project.at("refs/tags/v1")
    project.write("1.2.4")
    sibling = a_job(project, "sibling", DIGEST, "")
    assert "rejected" in sibling.try_to("push").stderr
    assert project.at("refs/tags/v1.2.4", "refs/heads/releases/v1") == released
    sibling.git("push", "--quiet", "origin", "HEAD:refs/tags/v1.2.4")
    assert "would not move forward" in project.try_to("move", "1.2.4").stderr
    assert project.at("refs/tags/v1") == released


def test_each_job_makes_the_same_release_commit_and_no_other_image_gets_its_tag(project: Project) -> None:
    """A job that runs again gets what was the last release before the first try."""
    made, again = a_job(project, "first", DIGEST), a_job(project, "again", DIGEST)
    made.run("push")
    again.run("push")
    assert made.git("rev-parse", "HEAD") == again.git("rev-parse", "HEAD")
    assert "rejected" in a_job(project, "other", OTHER_DIGEST).try_to("push").stderr
    assert project.at("refs/tags/v1.2.3") == [made.git("rev-parse", "HEAD")]


def a_job(project: Project, name: str, digest: str, previous: str | None = None) -> Project:
    """Return a checkout without history, in which a job has made the release commit."""
    job = replace(project, checkout=project.remote.with_name(f"job-{name}"))
    project.git("clone", "--quiet", "--depth=1", project.remote.as_uri(), str(job.checkout))
    job.run("commit", digest, job.run("previous") if previous is None else previous)
    return job


@pytest.mark.parametrize("digest", ["latest", DIGEST[:-1], f"{DIGEST}\nentrypoint: x"])
def test_an_invalid_digest_is_rejected(digest: str, project: Project) -> None:
    done = project.try_to("commit", digest, "")
    assert (done.returncode, project.git("status", "--porcelain")) == (1, "")
    assert "is not the digest of an image" in done.stderr


def test_the_notes_have_the_changes_of_this_version_and_everything_to_pin(project: Project) -> None:
    made = project.run("commit", DIGEST, "")
    assert "does not have one line" in project.try_to("commit", DIGEST, "").stderr
    assert "'HEAD' is not a commit" in project.try_to("commit", DIGEST, "HEAD").stderr
    notes = project.run("notes", DIGEST)
    assert notes.startswith("### Fixed\n- What 1.2.3 fixes.\n\n###")
    assert "before" not in notes
    assert f"`uses: sepurux/gate-action@{made} # v1.2.3`" in notes
    assert f"`ghcr.io/sepurux/gate-action@{DIGEST}`" in notes
    assert "gh release verify v1.2.3 " in notes


def test_the_changelog_the_version_and_the_readme_agree_on_what_is_released() -> None:
    headings = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert max(map(Version, headings), default=Version("0")) <= Version(__version__)
    assert headings == sorted(headings, key=Version, reverse=True)
    is_released = any(not Version(heading).is_prerelease for heading in headings)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert ("Version 1 is not released yet." in readme) is not is_released
