"""A release is one commit, pinned to one image: `scripts/release.py` against a real git remote."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from scripts import release
from sepurux_action import __version__

ROOT = release.ROOT
DIGEST = f"sha256:{'0a' * 32}"
OTHER_DIGEST = f"sha256:{'1b' * 32}"
BASE = f"python:3.14-slim@sha256:{'2c' * 32}"
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
# No settings of this machine, no process that tidies up after a command, and no wait for the disk.
OPTIONS = {"core.fsync": "none", "gc.auto": "0", "maintenance.auto": "false", "receive.autogc": "false"}
GIT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": str(len(OPTIONS)),
    **{f"GIT_CONFIG_KEY_{number}": key for number, key in enumerate(OPTIONS)},
    **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(OPTIONS.values())},
}


@dataclass(frozen=True, slots=True)
class Project:
    """A checkout with what a release reads, and the bare repository it came from."""

    checkout: Path
    remote: Path

    def git(self, *arguments: str) -> str:
        command = [shutil.which("git") or "git", *arguments]
        done = subprocess.run(
            command, cwd=self.checkout, env=GIT | IDENTITY, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, version: str, changelog: str = CHANGELOG) -> None:
        """Commit a version and its changelog on main, and push."""
        (self.checkout / "sepurux_action" / "__init__.py").write_text(f'__version__ = "{version}"\n', encoding="utf-8")
        (self.checkout / "CHANGELOG.md").write_text(changelog.format(version=version), encoding="utf-8")
        self.git("commit", "--all", "--message", f"Prepare {version}")
        self.git("push", "--quiet", "origin", "HEAD:main")

    def run(self, *arguments: str) -> str:
        """Return what a command of the script prints, which must succeed."""
        done = self.try_to(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    def try_to(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-S", "-B", "scripts/release.py", *arguments],  # without any package
            cwd=self.checkout,
            env=GIT,
            capture_output=True,
            text=True,
            check=False,
        )

    def release(self, version: str, digest: str = DIGEST) -> str:
        """Release a version as the workflow does and return its commit."""
        self.write(version)
        self.run("check", f"refs/tags/release/{version}")
        made = self.run("commit", digest)
        self.run("advance")
        return made

    def tags(self) -> dict[str, str]:
        """Return the remote's tags and their commits."""
        lines = (line.split("\trefs/tags/") for line in self.git("ls-remote", "--tags", "origin").splitlines())
        return {tag: commit for commit, tag in lines}


@pytest.fixture(scope="module")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a project whose remote has no commit yet; each test copies it."""
    folder = tmp_path_factory.mktemp("project")
    made = Project(folder / "checkout", folder / "remote.git")
    read = ("action.yml", "CHANGELOG.md", "Dockerfile", "README.md", "scripts/release.py", "sepurux_action/__init__.py")
    for name in read:
        target = made.checkout / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for name in ("composite/action.yml", "other action.yml", "no-action.yml"):  # what must stay as it is
        (made.checkout / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "action.yml", made.checkout / name)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("init", "--quiet", "--bare", "--initial-branch=main", str(made.remote))
    made.git("remote", "add", "origin", f"../{made.remote.name}")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "Begin")
    for hook in folder.rglob("*.sample"):
        hook.unlink()
    return folder


def copied(new_project: Path, folder: Path) -> Project:
    """Return a copy of the new project in an empty folder."""
    shutil.copytree(new_project, folder, dirs_exist_ok=True)
    return Project(folder / "checkout", folder / "remote.git")


@pytest.fixture
def project(new_project: Path, tmp_path: Path) -> Project:
    return copied(new_project, tmp_path)


@pytest.fixture(scope="module")
def unreleased(new_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with the version 1.2.3 on main, for tests in which nothing is released."""
    made = copied(new_project, tmp_path_factory.mktemp("unreleased"))
    made.write("1.2.3")
    return made


# -- what may be released ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.2.3", "0.1.0", "10.20.30", "1.0.0-rc.1"])
def test_a_tagged_commit_of_main_that_names_its_version_may_be_released(version: str, project: Project) -> None:
    project.write(version)
    first = next(line for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if line[:5] == "FROM ")
    outputs = project.run("check", f"refs/tags/release/{version}")
    assert outputs == f"version={version}\nbase={first.split()[1]}"


@pytest.mark.parametrize(
    ("ref", "version", "changelog", "complaint"),
    [
        ("release/1.2.4", "1.2.3", CHANGELOG, "says 1.2.3: push refs/tags/release/1.2.3"),
        ("v1.2.3", "1.2.3", CHANGELOG, "push refs/tags/release/1.2.3"),
        ("release/1.2", "1.2", CHANGELOG, "neither X.Y.Z nor X.Y.Z-rc.N"),
        ("release/1.2.3.dev1", "1.2.3.dev1", CHANGELOG, "neither X.Y.Z nor X.Y.Z-rc.N"),
        ("release/01.2.3", "01.2.3", CHANGELOG, "neither X.Y.Z nor X.Y.Z-rc.N"),
        ("release/1.2.3", "1.2.3", "# Changelog\n", "no section"),
        ("release/1.2.3", "1.2.3", "## [Unreleased]\n- A.\n", "no section"),
        ("release/1.2.3", "1.2.3", "## [1.2.3]\n- A.\n", "no section"),
        ("release/1.2.3", "1.2.3", "## [1.2.30] - 2027-01-20\n- A.\n", "no section"),
        ("release/1.2.3", "1.2.3", "## [1x2.3] - 2027-01-20\n- A.\n", "no section"),
        ("release/1.2.3", "1.2.3", "## [1.2.3] - 2027-01-20\n\n## [1.2.2] - 2027-01-01\n- A.\n", "no section"),
    ],
)
def test_another_version_or_one_without_a_dated_section_is_refused(
    ref: str, version: str, changelog: str, complaint: str, project: Project
) -> None:
    project.write(version, changelog)
    done = project.try_to("check", f"refs/tags/{ref}")
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_commit_that_is_not_on_main_is_refused(project: Project) -> None:
    project.write("1.2.3")
    project.git("commit", "--allow-empty", "--message", "Not merged")
    project.git("push", "--quiet", "origin", "HEAD:main-of-mine")
    assert "not on main" in project.try_to("check", "refs/tags/release/1.2.3").stderr


def test_an_older_commit_of_main_may_be_released(project: Project) -> None:
    project.write("1.2.3")
    older = project.git("rev-parse", "HEAD")
    project.write("1.3.0")
    project.git("checkout", "--quiet", older)
    assert project.run("check", "refs/tags/release/1.2.3").startswith("version=1.2.3\n")


def test_a_version_is_released_once(project: Project) -> None:
    project.write("1.2.3")
    project.run("commit", DIGEST)
    assert "is there already" in project.try_to("check", "refs/tags/release/1.2.3").stderr


# -- the release commit -----------------------------------------------------------------------------------------------


def test_the_release_commit_is_a_child_that_changes_the_image_and_nothing_else(project: Project) -> None:
    with (project.checkout / "action.yml").open("ab") as file:
        file.write(b"# whatever ends a line\r\n# stays as it is\r")
    project.write("1.2.3")
    head = project.git("rev-parse", "HEAD")
    made = project.run("commit", DIGEST)
    assert project.git("rev-parse", f"{made}^") == head
    assert project.git("diff", "--numstat", head, made) == "1\t1\taction.yml"
    assert project.git("diff", "--summary", head, made) == ""  # no mode changes
    action = yaml.safe_load(project.git("show", f"{made}:action.yml"))
    assert action["runs"].pop("image") == f"docker://ghcr.io/sepurux/gate-action@{DIGEST}"
    before = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert before["runs"].pop("image") == "Dockerfile"
    assert action == before


def test_only_the_tag_holds_the_release_commit_and_the_checkout_stays_as_it_was(project: Project) -> None:
    project.write("1.2.3")
    before = project.git("rev-parse", "HEAD", "origin/main")
    made = project.run("commit", DIGEST)
    assert project.tags() == {"v1.2.3": made}
    assert project.git("rev-parse", "HEAD", "origin/main") == before
    assert project.git("ls-remote", "--heads", "origin") == f"{before.splitlines()[1]}\trefs/heads/main"
    assert project.git("status", "--porcelain") == ""


def test_a_checkout_without_history_is_enough_for_the_release_commit(project: Project, tmp_path: Path) -> None:
    project.write("1.2.2")
    project.write("1.2.3")
    project.git("clone", "--quiet", "--depth=1", project.remote.as_uri(), str(tmp_path / "shallow"))
    shallow = Project(tmp_path / "shallow", project.remote)
    assert shallow.git("rev-list", "--count", "HEAD") == "1"
    made = shallow.run("commit", DIGEST)
    assert project.tags() == {"v1.2.3": made}
    assert project.run("commit", DIGEST) == made


def test_the_same_release_again_goes_on(project: Project) -> None:
    made = project.release("1.2.3")
    before = project.tags()
    assert project.run("commit", DIGEST) == made
    project.run("advance")
    assert project.tags() == before == {"v1.2.3": made, "v1": made}


def test_a_full_version_never_moves_to_another_image(project: Project) -> None:
    project.write("1.2.3")
    project.run("commit", DIGEST)
    before = project.tags()
    done = project.try_to("commit", OTHER_DIGEST)
    assert done.returncode == 1
    assert "v1.2.3 (already exists)" in done.stderr
    assert project.tags() == before


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "latest",
        "0a" * 32,
        DIGEST[:-1],
        f"{DIGEST}0",
        f"{DIGEST}\n",
        f"{DIGEST}\nentrypoint: /bin/sh",
        DIGEST.upper(),
        f"sha512:{'0a' * 64}",
    ],
)
def test_a_digest_of_another_shape_is_refused_and_nothing_is_tagged(digest: str, unreleased: Project) -> None:
    done = unreleased.try_to("commit", digest)
    assert (done.returncode, unreleased.tags()) == (1, {})
    assert "is not the digest of an image" in done.stderr


def test_an_action_that_runs_an_image_already_is_refused(project: Project) -> None:
    project.write("1.2.3")
    project.git("checkout", "--quiet", project.run("commit", DIGEST))
    assert "action.yml" in project.try_to("commit", DIGEST).stderr


# -- the major version ------------------------------------------------------------------------------------------------


def test_the_major_version_moves_forward_by_number_and_never_back(project: Project) -> None:
    project.release("1.9.0")
    newest = project.release("1.10.0")
    older = project.release("1.9.1", OTHER_DIGEST)
    tags = project.tags()
    assert (tags["v1"], tags["v1.9.1"]) == (newest, older)
    assert project.run("advance") == "v1 stays: v1.10.0 is newer than v1.9.1"


def test_a_pre_release_moves_no_major_version(project: Project) -> None:
    stable = project.release("1.2.3")
    pre = project.release("1.3.0-rc.1", OTHER_DIGEST)
    assert project.tags() == {"v1.2.3": stable, "v1": stable, "v1.3.0-rc.1": pre}


def test_a_release_moves_the_tag_of_its_own_major_version_only(project: Project) -> None:
    first = project.release("1.2.3")
    second = project.release("2.0.0", OTHER_DIGEST)
    patch = project.release("1.2.4")
    assert first != patch
    assert {tag: commit for tag, commit in project.tags().items() if "." not in tag} == {"v1": patch, "v2": second}


def test_the_major_version_does_not_move_before_the_full_version_is_tagged(project: Project) -> None:
    project.release("1.2.3")
    project.write("1.2.4")
    before = project.tags()
    assert "v1.2.4 is not at the remote yet" in project.try_to("advance").stderr
    assert project.tags() == before


# -- the GitHub release -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "version", "flag"),
    [
        ([], "1.2.3", "--latest=true"),
        (["1.9.0"], "1.10.0", "--latest=true"),
        (["1.3.0"], "1.2.4", "--latest=false"),
        (["2.0.0"], "1.9.0", "--latest=false"),
        (["1.2.3"], "2.0.0-rc.1", "--prerelease"),
        (["2.0.0-rc.1"], "1.2.3", "--latest=true"),
    ],
)
def test_the_newest_release_is_the_latest_and_a_pre_release_is_called_one(
    earlier: list[str], version: str, flag: str, project: Project
) -> None:
    project.write(version)
    project.git("push", "--quiet", "origin", *(f"HEAD:refs/tags/v{each}" for each in [*earlier, version]))
    assert project.run("standing") == flag


def test_the_notes_have_the_changes_of_this_version_and_everything_to_pin(project: Project) -> None:
    project.write("1.2.3")
    made = project.run("commit", DIGEST)
    notes = project.run("notes", DIGEST, BASE)
    assert notes.startswith("### Fixed\n- What 1.2.3 fixes.\n\n###")
    assert "before" not in notes
    assert f"`uses: sepurux/gate-action@{made} # v1.2.3`" in notes
    assert f"`ghcr.io/sepurux/gate-action@{DIGEST}`" in notes
    assert f"`{BASE}`" in notes


# -- what holds it ----------------------------------------------------------------------------------------------------


def test_no_release_in_the_changelog_is_newer_than_the_version() -> None:
    headings = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert max(map(Version, headings), default=Version("0")) <= Version(__version__)
    assert headings == sorted(headings, key=Version, reverse=True)
