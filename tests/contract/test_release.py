"""A release is one commit, pinned to one image: `scripts/release.py` against a real git remote."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
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
GIT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **OPTION, **IDENTITY}


class Project(NamedTuple):
    """A checkout with what a release reads, and the bare repository it came from."""

    checkout: Path
    remote: Path

    def start(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.checkout, env=GIT, capture_output=True, text=True, check=False)

    def git(self, *arguments: str) -> str:
        return printed(self.start("git", *arguments))

    def try_to(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.start(sys.executable, "-I", "-S", "-B", "scripts/release.py", *arguments)  # without any package

    def run(self, *arguments: str) -> str:
        return printed(self.try_to(*arguments))

    def write(self, version: str, changelog: str = CHANGELOG, recorder: str = "") -> None:
        (self.checkout / release.RECORDER).write_text(f'\nVERSION = "{recorder or version}"\n', encoding="utf-8")
        (self.checkout / "sepurux_action" / "__init__.py").write_text(f'__version__ = "{version}"\n', encoding="utf-8")
        (self.checkout / "CHANGELOG.md").write_text(changelog.format(version=version), encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--allow-empty", "--message", f"Prepare {version}")
        self.git("push", "--quiet", "origin", "HEAD:main")

    def at(self, *refs: str) -> list[str]:
        """Return the commits of refs of the bare repository, without those that do not exist."""
        lines = [line.split("\t") for line in self.git("ls-remote", "origin", *refs).splitlines()]
        return [sha for ref in refs for sha, name in lines if name == ref]


def printed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a checkout, which has the version 1.2.3 on main, and its remote repository."""
    folder = tmp_path_factory.mktemp("prepared")
    made = Project(folder / "checkout", folder / "remote.git")
    for name in (
        *("action.yml", "composite/action.yml", "scripts/release.py", "sepurux_action/__init__.py"),
        release.RECORDER,
    ):
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


@pytest.mark.parametrize(
    ("asked", "version", "changelog", "said"),
    [
        ("10.20.30", "10.20.30", CHANGELOG, "10.20.30 can be released"),
        ("1.2.4", "1.2.3", CHANGELOG, "'1.2.4' is not X.Y.Z or X.Y.Z-rc.N, or sepurux_action/__init__.py says '1.2.3'"),
        ("1.2.3.dev1", "1.2.3.dev1", CHANGELOG, "'1.2.3.dev1' is not X.Y.Z"),
        ("1.2.3", "1.2.3", "## [1.2.30] - 2027-01-20\n- A.\n", "CHANGELOG.md has no section"),
        ("1.2.3", "1.2.3", "## [1.2.3] - 2027-01-20\n\n## [1.2.2] - 2027-01-01\n- A.\n", "CHANGELOG.md has no section"),
    ],
)
def test_which_version_may_be_released(asked: str, version: str, changelog: str, said: str, project: Project) -> None:
    project.write(version, changelog)
    done = project.try_to("check", asked, "refs/heads/main")
    assert (done.stdout + done.stderr).startswith(said)
    assert done.returncode == (not said.endswith("can be released"))


def test_another_branch_a_tagged_version_and_one_that_the_recorder_lacks_are_rejected(project: Project) -> None:
    assert "start it on main" in project.try_to("check", "1.2.3", "refs/heads/main-of-mine").stderr
    project.git("push", "--quiet", "origin", "HEAD:refs/tags/v1.2.3")
    assert "v1.2.3 exists already" in project.try_to("check", "1.2.3", "refs/heads/main").stderr
    assert "releases/v1 does not exist, although v1 has releases" in project.try_to("previous").stderr
    project.write("1.2.3", recorder="1.2.2")
    assert "recording.py has another VERSION than 1.2.3" in project.try_to("check", "1.2.3", "refs/heads/main").stderr


def test_the_release_commit_changes_the_image_alone_and_its_notes_have_everything_to_pin(project: Project) -> None:
    head, manifest = project.git("rev-parse", "HEAD"), project.checkout / "action.yml"
    before = manifest.read_bytes()
    assert "not the digest of an image" in project.try_to("commit", f"{DIGEST}\nentrypoint: x", "").stderr
    assert "'HEAD' is not a commit" in project.try_to("commit", DIGEST, "HEAD").stderr
    assert project.git("status", "--porcelain") == ""
    made = project.run("commit", DIGEST, "")
    assert project.git("rev-list", "--parents", "-1", "HEAD").split() == [made, head]
    assert project.git("diff", "--numstat", "--summary", head, made) == "1\t1\taction.yml"  # and no mode
    assert project.git("status", "--porcelain") == ""
    image = f"\n  image: docker://ghcr.io/sepurux/gate-action@{DIGEST}\n".encode()
    assert manifest.read_bytes() == before.replace(b"\n  image: Dockerfile\n", image)
    notes = project.run("notes", DIGEST)
    assert notes.startswith("### Fixed\n- What 1.2.3 fixes.\n\n###")
    assert "before" not in notes
    assert f"`uses: sepurux/gate-action@{made} # v1.2.3`" in notes
    assert f"`uses: sepurux/gate-action/.github/workflows/gate.yml@{made} # v1.2.3`" in notes
    assert f"git+https://github.com/sepurux/gate-action@{made}#subdirectory=recorder" in notes
    assert f"`ghcr.io/sepurux/gate-action@{DIGEST}`" in notes


def test_each_release_is_one_commit_that_contains_the_earlier_ones_and_the_tag_moves_on(project: Project) -> None:
    previous, versions = "", ("1.2.3", "1.10.0")
    for version in versions:
        project.write(version)
        main = project.git("rev-parse", "HEAD")
        job = a_job(project, version, DIGEST)
        assert "does not have one line" in job.try_to("commit", DIGEST, "").stderr
        job.run("push")
        made = job.git("rev-parse", "HEAD")
        again = a_job(project, f"{version}-again", DIGEST, previous)  # what was the last release before the first try
        again.run("push")
        assert again.git("rev-parse", "HEAD") == made
        assert "rejected" in a_job(project, f"{version}-other", OTHER_DIGEST, previous).try_to("push").stderr
        assert job.git("rev-list", "--parents", "-1", "HEAD").split() == [made, main, *filter(None, [previous])]
        project.run("move", version)
        assert project.at("refs/tags/v1", f"refs/tags/v{version}", "refs/heads/releases/v1") == [made] * 3
        previous = made
    project.git("push", "--quiet", "origin", "HEAD:refs/tags/v1.11.0-rc.1")
    for version in ("1.2.3", "1.11.0-rc.1"):
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


def a_job(project: Project, name: str, digest: str, previous: str | None = None) -> Project:
    """Return a checkout without history, in which a job has made the release commit."""
    job = Project(project.remote.with_name(f"job-{name}"), project.remote)
    project.git("clone", "--quiet", "--depth=1", project.remote.as_uri(), str(job.checkout))
    job.run("commit", digest, job.run("previous") if previous is None else previous)
    return job


def test_the_changelog_has_no_version_above_the_packages_and_the_newest_first() -> None:
    headings = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert max(map(Version, headings), default=Version("0")) <= Version(__version__)
    assert headings == sorted(headings, key=Version, reverse=True)
