"""Makes a commit of `main` a release: the checks, the release commit, its notes, and its tags.

It builds and pushes no image. `.github/workflows/release.yml` runs it in a checkout of the commit to release, with
nothing but Python and git: `python3 scripts/release.py COMMAND ARGUMENTS...` prints what the workflow needs next.

The release commit is a child of that commit and differs in one line: the action runs the image by its digest instead of
building it. The same commit and digest make the same release commit, so a step that is run again pushes what is there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action import __version__

IMAGE = "ghcr.io/sepurux/gate-action"
REPOSITORY = "sepurux/gate-action"
TRIGGER = f"refs/tags/release/{__version__}"
TAG = f"v{__version__}"
MAJOR = f"v{__version__.partition('.')[0]}"
VERSION = re.compile(r"(?:(?:0|[1-9]\d*)\.){2}(?:0|[1-9]\d*)(?:-rc\.[1-9]\d*)?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
BUILT = "\n  image: Dockerfile\n"
# What GitHub shows for a commit of its own automation.
AUTHOR = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")


class Refused(Exception):
    """The commit cannot be released, or not like this; the text says why."""


def check(ref: str) -> str:
    """Return the version and the base image as outputs of a step; raise Refused when `ref` must not be released."""
    if not VERSION.fullmatch(__version__):
        raise Refused(f"{__version__!r} in sepurux_action/__init__.py is neither X.Y.Z nor X.Y.Z-rc.N")
    if ref != TRIGGER:
        raise Refused(f"{ref} was pushed, but sepurux_action/__init__.py says {__version__}: push {TRIGGER}")
    changes()
    if not git("branch", "--remotes", "--contains", "HEAD", "--list", "origin/main"):
        raise Refused("the commit is not on main")
    if git("ls-remote", "--tags", "origin", f"refs/tags/{TAG}"):
        raise Refused(f"{TAG} is there already: finish a release that stopped half-way with `Re-run failed jobs`")
    found = re.search(r"^FROM (\S+) AS base$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise Refused("Dockerfile has no line `FROM <image> AS base`")
    return f"version={__version__}\nbase={found[1]}"


def commit(digest: str) -> str:
    """Tag the release commit of an image with the full version at the remote and return it.

    Raises Refused when the tag is there and names another commit: git moves no tag without force.
    """
    made = release_commit(digest)
    git("push", "origin", f"{made}:refs/tags/{TAG}")
    return made


def notes(digest: str, base: str) -> str:
    """Return what the GitHub release says, in Markdown; `base` is the base image with its digest."""
    return f"""\
{changes()}

### Pins
- Action: `uses: {REPOSITORY}@{release_commit(digest)} # {TAG}`
- Image, for linux/amd64 and linux/arm64: `{IMAGE}@{digest}`
- Base image: `{base}`

`gh attestation verify oci://{IMAGE}@{digest} --repo {REPOSITORY}` proves that the image was built here.
"""


def standing() -> str:
    """Return the flag of `gh release create` that says what the release is beside the others."""
    return "--prerelease" if _is_prerelease() else f"--latest={str(_numbers() == max(releases())).lower()}"


def advance() -> str:
    """Move the tag of the major version to the release when none of its versions is newer; return what was done."""
    if _is_prerelease():
        return f"{MAJOR} stays: {TAG} is a pre-release"
    there = releases()
    if _numbers() not in there:
        raise Refused(f"{TAG} is not at the remote yet")
    newest = max(each for each in there if each[0] == _numbers()[0])
    if newest != _numbers():
        return f"{MAJOR} stays: v{'.'.join(map(str, newest))} is newer than {TAG}"
    git("push", "--force", "origin", f"{there[newest]}:refs/tags/{MAJOR}")
    return f"{MAJOR} is {TAG} now"


def changes() -> str:
    """Return what CHANGELOG.md says of the version; raise Refused when it has no date or says nothing."""
    heading = rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d\n"
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"{heading}(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise Refused(f"CHANGELOG.md has no section `## [{__version__}] - YYYY-MM-DD` that says something")
    return found[1].strip()


def release_commit(digest: str) -> str:
    """Return the commit, made in the object store only, that runs the image of this digest."""
    if not DIGEST.fullmatch(digest):
        raise Refused(f"{digest!r} is not the digest of an image")
    manifest = git("show", "HEAD:action.yml")
    if manifest.count(BUILT) != 1:
        raise Refused("action.yml has not one line `  image: Dockerfile`")
    pinned = manifest.replace(BUILT, f"\n  image: docker://{IMAGE}@{digest}\n")
    blob = git("hash-object", "-w", "--stdin", text=pinned).strip()
    tree = git(
        "mktree", text=re.sub(r"\b[0-9a-f]+(?=\taction\.yml$)", blob, git("ls-tree", "HEAD"), flags=re.MULTILINE)
    )
    when = git("log", "-1", "--format=%cI").strip()
    who = {
        f"GIT_{role}_{name}": value
        for role in ("AUTHOR", "COMMITTER")
        for name, value in zip(("NAME", "EMAIL", "DATE"), (*AUTHOR, when), strict=True)
    }
    message = f"Release {__version__}\n\nThe action runs {IMAGE}@{digest}."
    return git("commit-tree", tree.strip(), "-p", "HEAD", "-m", message, **who).strip()


def releases() -> dict[tuple[int, ...], str]:
    """Return the commits of all releases at the remote by the three numbers of their version, pre-releases left out."""
    tags = re.findall(r"^(\w+)\trefs/tags/v(\d+)\.(\d+)\.(\d+)$", git("ls-remote", "--tags", "origin"), re.MULTILINE)
    return {tuple(map(int, numbers)): found for found, *numbers in tags}


def git(*arguments: str, text: str | None = None, **variables: str) -> str:
    """Return what git prints; raise Refused with its complaint where it fails."""
    done = subprocess.run(  # noqa: S603 - the arguments are checked above
        ["git", *arguments],  # noqa: S607 - the git of who runs this
        cwd=ROOT,
        env=os.environ | variables,
        input=None if text is None else text.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise Refused(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()  # not by `encoding`, which would write every end of a line anew


def _numbers() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", __version__)[:3])


def _is_prerelease() -> bool:
    return "-" in __version__


COMMANDS: dict[str, Callable[..., str]] = {each.__name__: each for each in (check, commit, notes, standing, advance)}

if __name__ == "__main__":
    try:
        print(COMMANDS[sys.argv[1]](*sys.argv[2:]))
    except Refused as refused:
        sys.exit(str(refused))
