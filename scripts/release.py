"""Prepares a release of the checked-out commit of `main`: its checks, its commit, and its notes.

`.github/workflows/release.yml` runs `python3 scripts/release.py COMMAND ARGUMENT...` with nothing but Python and git.

The tree of the release commit differs from that of the checked-out commit in one line: the action runs the image by its
digest instead of building it. The reusable workflow names this action by `$/.`, so it is part of the release, as the
recorder is. The commit has two parents, the checked-out commit and the last release of the same major version, because
a lock file rejects a commit that its tag no longer contains:
https://docs.github.com/actions/concepts/security/workflow-dependency-lockfiles. The same parents and digest make the
same release commit, so each job makes its own.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action import __version__

REPOSITORY = "sepurux/gate-action"
IMAGE = f"ghcr.io/{REPOSITORY}"
RECORDER = Path("recorder", "sepurux_recorder", "recording.py")
VERSION = re.compile(r"(?:(?:0|[1-9]\d*)\.){2}(?:0|[1-9]\d*)(?:-rc\.[1-9]\d*)?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
SHA = re.compile(r"[0-9a-f]{40}")
MAJOR = f"v{__version__.partition('.')[0]}"
BRANCH = f"refs/heads/releases/{MAJOR}"  # the releases of a major version
BUILT = b"\n  image: Dockerfile\n"
# What GitHub shows for a commit of its own automation.
AUTHOR = {"NAME": "github-actions[bot]", "EMAIL": "41898282+github-actions[bot]@users.noreply.github.com"}


class Refused(Exception):
    """The commit cannot be released, or not like this; the text says why."""


def check(version: str, ref: str) -> str:
    """Raise Refused unless `ref` is `main` and its commit is ready to become this version."""
    if ref != "refs/heads/main":
        raise Refused(f"the workflow runs on {ref}: start it on main")
    if not VERSION.fullmatch(version) or version != __version__:
        raise Refused(f"{version!r} is not X.Y.Z or X.Y.Z-rc.N, or sepurux_action/__init__.py says {__version__!r}")
    if f'\nVERSION = "{version}"\n' not in (ROOT / RECORDER).read_text(encoding="utf-8"):
        raise Refused(f"{RECORDER} has another VERSION than {version}")
    changes()
    if git("ls-remote", "--tags", "origin", f"refs/tags/v{version}"):
        raise Refused(f"the tag v{version} exists already: re-run the failed jobs of the run that created it")
    return f"{version} can be released"


def previous() -> str:
    """Return the last release commit of this major version, or '' before the first one."""
    found = remote(BRANCH, f"refs/tags/{MAJOR}.*")
    if found and BRANCH not in found:
        raise Refused(f"{BRANCH} does not exist, although {MAJOR} has releases: push the last one to it")
    return found.get(BRANCH, "")


def commit(digest: str, parent: str) -> str:
    """Make the release commit of an image in the checkout, and return it; `parent` is what `previous` printed."""
    if not DIGEST.fullmatch(digest):
        raise Refused(f"{digest!r} is not the digest of an image")
    if parent and not SHA.fullmatch(parent):
        raise Refused(f"{parent!r} is not a commit")
    manifest = ROOT / "action.yml"
    text = manifest.read_bytes()
    if text.count(BUILT) != 1:
        raise Refused("action.yml does not have one line `  image: Dockerfile`")
    manifest.write_bytes(text.replace(BUILT, f"\n  image: docker://{IMAGE}@{digest}\n".encode()))
    who = {**AUTHOR, "DATE": git("log", "-1", "--format=%cI")}
    variables = {f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in who.items()}
    message = f"Release {__version__}\n\nThe action runs {IMAGE}@{digest}."
    git("add", "action.yml")
    parents = ["-p", "HEAD"]
    if parent:
        git("fetch", "--quiet", "--no-tags", "origin", parent)
        parents += ["-p", parent]
    made = git("commit-tree", git("write-tree"), *parents, "-m", message, **variables)
    git("reset", "--quiet", "--soft", made)
    return made


def push() -> str:
    """Push the release commit, which is checked out, as the tag of its version and as the tip of its branch."""
    git("push", "--quiet", "--atomic", "origin", f"HEAD:refs/tags/v{__version__}", f"HEAD:{BRANCH}")
    return f"pushed v{__version__}"


def move(version: str) -> str:
    """Move the tag of the major version to its highest release; raise Refused unless that contains where it was."""
    major = f"refs/tags/v{version.partition('.')[0]}"
    tags = {name.removeprefix("refs/tags/v"): sha for name, sha in remote(major, f"{major}.*").items()}
    released = [each for each in tags if VERSION.fullmatch(each) and "-" not in each]
    highest = max(released, key=lambda each: tuple(map(int, each.split("."))), default="none")
    if version != highest:
        raise Refused(f"{version!r} is not the highest release: that is {highest}")
    new, old = tags[version], tags.get(major.removeprefix("refs/tags/v"), "")
    git("fetch", "--quiet", "--no-tags", "origin", new, *filter(None, [old]))
    if old and git("merge-base", old, new) != old:
        raise Refused(f"v{version} does not contain {old}, so the tag would not move forward")
    git("push", "--quiet", f"--force-with-lease={major}:{old}", "origin", f"{new}:{major}")
    return f"{major} is at v{version}"


def notes(digest: str) -> str:
    """Return what the GitHub release says, in Markdown; the release commit is checked out."""
    commit = git("rev-parse", "HEAD")
    return f"""\
{changes()}

### Pin and verify
- Reusable workflow: `uses: {REPOSITORY}/.github/workflows/gate.yml@{commit} # v{__version__}`
- Action: `uses: {REPOSITORY}@{commit} # v{__version__}`
- Recorder: `pip install "sepurux-recorder @ git+https://github.com/{REPOSITORY}@{commit}#subdirectory=recorder"`
- Image, for linux/amd64 and linux/arm64: `{IMAGE}@{digest}`

```sh
gh release verify v{__version__} --repo {REPOSITORY}
gh attestation verify oci://{IMAGE}@{digest} --repo {REPOSITORY} \\
  --signer-workflow {REPOSITORY}/.github/workflows/release.yml --source-ref refs/heads/main --deny-self-hosted-runners
```
"""


def changes() -> str:
    """Return what CHANGELOG.md says of the version; raise Refused when it has no date or says nothing."""
    heading = rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d\n"
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"{heading}(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise Refused(f"CHANGELOG.md has no section `## [{__version__}] - YYYY-MM-DD` that says something")
    return found[1].strip()


def remote(*patterns: str) -> dict[str, str]:
    """Return the commits of the refs of the remote repository that match."""
    found = (line.split("\t") for line in git("ls-remote", "origin", *patterns).splitlines())
    return {name: sha for sha, name in found}


def git(*arguments: str, **variables: str) -> str:
    """Return what git prints; raise Refused with its error message when it fails."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise Refused(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


COMMANDS: dict[str, Callable[..., str]] = {each.__name__: each for each in (check, previous, commit, notes, push, move)}

if __name__ == "__main__":
    try:
        print(COMMANDS[sys.argv[1]](*sys.argv[2:]))
    except Refused as refused:
        sys.exit(str(refused))
