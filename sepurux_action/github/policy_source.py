"""Decides which policy file applies to a run, and what the pull request changes in it.

For a pull request or merge group, the file of the base commit applies, so that no change can loosen its own gate.
Source: docs/configuration.md#whose-file-applies.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sepurux_action.common import json_reader
from sepurux_action.common.wording import joined, optional
from sepurux_action.config.policy import (
    MAX_FILE_BYTES,
    MISNAMED_PATH,
    POLICY_PATH,
    Change,
    Policy,
    PolicyNote,
    diff,
    without_unmerged_rules,
)
from sepurux_action.config.settings import Inputs
from sepurux_action.errors import ConfigurationError, Problem
from sepurux_action.evaluation.trace_files import TraceFolder
from sepurux_action.github.commit import Commit, PolicyFile, policy_ref
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation, advice

FIRST_FILE_EVENTS = frozenset({"pull_request", "pull_request_review"})
FIRST_FILE = PolicyNote(
    "This pull request adds the first policy file. Until it is merged, only the names, campaigns, projects, traces, "
    "and mutation packs of its gates apply."
)
DELETED = PolicyNote("This pull request deletes the policy file. The file applies until the pull request is merged.")
INVALID_BASE = (
    "The policy file on {} is invalid. This blocks every pull request into the branch, the one that repairs the file "
    "too. Someone who may bypass the ruleset or branch protection must merge the repair."
)
MISNAMED_BASE = (
    "The gate does not read the policy file on {}, because of its name. This blocks every pull request into the branch "
    "but one that renames the file."
)
UNREADABLE_FILE = "Make it a text file that the gate can read."
CHECKOUT = "the checkout"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPolicy:
    """The policy that applies, and what the pull request does to its file.

    `problems` are those that the pull request brings into the file. If it `replaces` the file by one without problems,
    or by none, `merged` is the policy that applies after the merge. `place` has the file, or would have it.
    """

    policy: Policy | None = None
    changes: tuple[Change, ...] = ()
    notes: tuple[PolicyNote, ...] = ()
    problems: tuple[Problem, ...] = ()
    replaces: bool = False
    merged: Policy | None = None
    place: str = ""


ReadFile = Callable[[str], bytes | None]
Check = Callable[[Policy], object]


class OutsideError(PermissionError):
    """A policy file is outside the folders that the gate may read."""


def resolve_policy(
    inputs: Inputs, event: Event, commit: Commit | None, read_file: ReadFile, check: Check | None = None
) -> ResolvedPolicy:
    """Return the policy that applies to an event; raises ConfigurationError with its problems and the inputs'.

    `commit` is None if GitHub is not used. In that case, and for events without a base commit, `read_file` reads the
    file from the checkout. `check` is given if the pull request or merge group changes the file. It raises
    ConfigurationError if the inputs and trace files of this run would be a bad setting with that policy.
    """
    try:
        _check_event(inputs, event, uses_github=commit is not None)
        if commit is None or not policy_ref(event):
            return _of_checkout(inputs.config, read_file)
        return _of_base(event, commit, check)
    except ConfigurationError as bad:
        raise ConfigurationError((*bad.problems, *inputs.problems)) from None


def read_checkout(folder: TraceFolder, path: str) -> bytes | None:
    """Return the content of a policy file, at most one byte more than is allowed, or None if there is no file.

    Raises OSError for a file that cannot be read, and OutsideError for one outside: it may be a stricter policy.
    """
    file = folder.resolved(folder.base / path)
    if file is None:
        raise OutsideError(errno.EACCES, f"it leads outside {folder.where}")
    try:
        (folder.base / path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not file.is_file():
        raise OSError(errno.EINVAL, "it is not a file")
    with file.open("rb") as opened:
        return opened.read(MAX_FILE_BYTES + 1)


def check_file(path: str) -> Policy:
    """Return the policy in a file; raises ConfigurationError with its problems, also if there is no file."""
    usual, other = (Path(path).with_suffix(suffix) for suffix in (".yml", ".yaml"))
    try:
        if usual.parts[-2:] == Path(POLICY_PATH).parts and other.exists() and not usual.exists():
            raise _misnamed(str(other))
        with Path(path).open("rb") as opened:
            return _read(opened.read(MAX_FILE_BYTES + 1), path)
    except OSError as error:
        raise ConfigurationError([Problem("", f"the file could not be read: {error.strerror}", path, 1)]) from None


def invalid_base_note(event: Event, path: str) -> PolicyNote:
    """Return the note that says how to repair the invalid policy file of the base at `path`, with its address."""
    branch = f"`{event.base_ref}`" if event.base_ref else "the default branch"
    text = MISNAMED_BASE if path == MISNAMED_PATH else INVALID_BASE
    page = event.url("blob", quote(f"{event.base_ref or 'HEAD'}/{path}"))
    return PolicyNote(text.format(branch), "file", page)


def _base_place(event: Event) -> str:
    branch = json_reader.printable(event.base_ref)
    if event.base_sha:
        return joined(" of ", f"commit {event.base_sha[:7]}", branch)
    return f"branch {branch}" if branch else "the default branch"


def _of_checkout(config: str, read_file: ReadFile) -> ResolvedPolicy:
    path, where = config or POLICY_PATH, optional("--config {}", config)
    try:
        text = read_file(path)
        if text is None and not config and read_file(MISNAMED_PATH) is not None:
            raise _misnamed(MISNAMED_PATH)
    except OutsideError as error:
        raise _unreadable(str(error.strerror), "Use a path that stays inside, also through links.", where) from None
    except OSError as error:
        raise _unreadable(error.strerror or "it is not readable", UNREADABLE_FILE, where) from None
    if text is None and config:
        message = f"there is no such file in {CHECKOUT}; accepted: the path of a policy file that exists"
        raise ConfigurationError([Problem(where=where, message=message)])
    return ResolvedPolicy(policy=None if text is None else _read(text, path), place=CHECKOUT)


def _of_base(event: Event, commit: Commit, check: Check | None) -> ResolvedPolicy:
    """Return the base's policy, and what the pull request changes in it; without one, the first policy."""
    if details := commit.policy.details:
        raise _unreadable(commit.policy.error, advice(Operation.COMMIT, details, event))
    base, head = None, commit.head_policy
    adds_file = check is not None and head.text is not None
    if not (adds_file and commit.policy.misnamed):
        base = _policy(commit.policy)
    found = partial(ResolvedPolicy, policy=base, place=_base_place(event))
    if check is None:
        return found()
    if head.details:
        return found(notes=(PolicyNote(f"The policy file of this pull request could not be read: {head.error}."),))
    try:
        merged = _policy(head)
        if merged is None:
            return found(notes=(DELETED,), replaces=True)
        check(merged)
    except ConfigurationError as invalid:
        return found(problems=tuple(each.of_file(POLICY_PATH) for each in invalid.problems))
    if base is None and event.name in FIRST_FILE_EVENTS:
        first, place = without_unmerged_rules(merged), "this pull request"
        return ResolvedPolicy(policy=first, notes=(FIRST_FILE,), replaces=True, merged=merged, place=place)
    return found(changes=diff(base or merged, merged), replaces=True, merged=merged)


def _check_event(inputs: Inputs, event: Event, *, uses_github: bool) -> None:
    if event.problem:
        raise ConfigurationError([Problem(event.name and f"event `{event.name}`", event.problem)])
    if not uses_github and inputs.github_token and (policy_ref(event) or event.head):
        raise _unreadable("GitHub's address is not known", "Set `GITHUB_API_URL` to an https address.")


def _unreadable(why: str, step: str, where: str = "") -> ConfigurationError:
    message = f"the policy could not be read: {why}. {step}"
    return ConfigurationError([Problem(where=where or f"`{POLICY_PATH}`", message=message)])


def _read(raw: bytes, path: str) -> Policy:
    from sepurux_action.config.policy_parser import read_policy  # noqa: PLC0415 - with PyYAML, which not every step needs

    return read_policy(raw, path)


def _misnamed(path: str) -> ConfigurationError:
    message = f"the gate does not read a file with this name; rename it to `{Path(POLICY_PATH).name}`"
    return ConfigurationError([Problem("", message, path, 1)])


def _policy(file: PolicyFile) -> Policy | None:
    """Return the policy in a file that GitHub returned, None if there is none; raises ConfigurationError."""
    if file.misnamed:
        raise _misnamed(MISNAMED_PATH)
    if file.error:
        raise ConfigurationError([Problem("", f"{file.error}. {UNREADABLE_FILE}", POLICY_PATH, 1)])
    return None if file.text is None else _read(file.text.encode(errors="surrogatepass"), POLICY_PATH)
