"""Decides which policy file applies to a run, and what the pull request changes in it.

For a pull request or merge group, the file of the base applies, so that no change can loosen its own gate.
Source: docs/configuration.md#whose-file-applies.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sepurux_action.common import json_reader
from sepurux_action.common.wording import joined, optional
from sepurux_action.config.options import Layer, Source
from sepurux_action.config.settings import MAX_FILE_BYTES, MISNAMED_PATH, POLICY_PATH, Change, Settings, diff
from sepurux_action.errors import ConfigurationError, Problem
from sepurux_action.evaluation.trace_files import TraceFolder
from sepurux_action.github.commit import Commit, PolicyFile
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation, advice

FIRST_FILE_EVENTS = frozenset({"pull_request", "pull_request_review"})
UNREADABLE_FILE = "Make it a text file that the gate can read."
CHECKOUT = "the workspace"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPolicy:
    """The policy that applies, and the changes that apply once merged. `place` has the file, or would have it."""

    policy: Layer | None = None
    changes: tuple[Change, ...] = ()
    place: str = ""


ReadFile = Callable[[str], bytes | None]
Check = Callable[[Layer], Settings]


class OutsideError(PermissionError):
    """A policy file is outside the folders that the gate may read."""


def resolve_policy(
    settings: Settings, event: Event, commit: Commit | None, read_file: ReadFile, check: Check | None = None
) -> ResolvedPolicy:
    """Return the policy that applies to an event; raises ConfigurationError with its problems and the `settings`'.

    `commit` is None if GitHub is not used. In that case, `read_file` reads the file from the workspace. `check` is
    given if the pull request or merge group changes the file. It returns the settings of this run with that policy, in
    which inputs and trace files may be a problem.
    """
    try:
        _check_event(settings, event, uses_github=commit is not None)
        if commit is None:
            return _of_checkout(settings.config, read_file)
        return _of_github(settings, event, commit, check)
    except ConfigurationError as bad:
        raise ConfigurationError(dict.fromkeys((*bad.problems, *settings.problems))) from None


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


def check_file(path: str) -> Layer:
    """Return the policy in a file; raises ConfigurationError with its problems, also if there is no file."""
    usual, other = (Path(path).parent / Path(each).name for each in (POLICY_PATH, MISNAMED_PATH))
    asked = Path(path) in {usual, other} and usual.parts[-2:] == Path(POLICY_PATH).parts
    try:
        if asked and other.exists() and not usual.exists():
            raise _misnamed(str(other))
        with Path(path).open("rb") as opened:
            return _read(opened.read(MAX_FILE_BYTES + 1), path)
    except OSError as error:
        raise ConfigurationError([Problem("", f"the file could not be read: {error.strerror}", path, 1)]) from None


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
        message = "there is no such file; accepted: the path of a policy file that exists"
        raise ConfigurationError([Problem(where=where, message=message)])
    return ResolvedPolicy(policy=None if text is None else _read(text, path), place=CHECKOUT)


def _of_github(settings: Settings, event: Event, commit: Commit, check: Check | None) -> ResolvedPolicy:
    """Return the base's policy, and what the pull request changes in it; without one, that of the pull request."""
    policy = _policy(commit.policy, event)
    if policy is None and event.name in FIRST_FILE_EVENTS and not event.fork and not settings.gates[0].campaign:
        return ResolvedPolicy(policy=_policy(commit.head_policy, event), place="this pull request")
    branch = json_reader.printable(event.base_ref)
    found = ResolvedPolicy(policy=policy, place=joined(" of ", f"commit {commit.base[:7]}", branch))
    if check is None:
        return found
    none, merged = Layer(Source.POLICY), _policy(commit.head_policy, event)
    if merged and (problems := check(merged).problems):
        raise ConfigurationError(problems)
    return replace(found, changes=diff(policy or none, merged or none))


def _check_event(settings: Settings, event: Event, *, uses_github: bool) -> None:
    if event.problem:
        raise ConfigurationError([Problem(event.name and f"event `{event.name}`", event.problem)])
    if not uses_github and settings.github_token and event.name:
        raise _unreadable("GitHub's address is not known", "Set `GITHUB_API_URL` to an https address.")


def _unreadable(why: str, step: str, where: str = "") -> ConfigurationError:
    message = f"the policy could not be read: {why}. {step}"
    return ConfigurationError([Problem(where=where or f"`{POLICY_PATH}`", message=message)])


def _read(raw: bytes, path: str) -> Layer:
    from sepurux_action.config.policy import read_policy  # noqa: PLC0415 - with PyYAML, which not every step needs

    return read_policy(raw, path)


def _misnamed(path: str) -> ConfigurationError:
    message = f"the gate does not read a file with this name; rename it to `{Path(POLICY_PATH).name}`"
    return ConfigurationError([Problem("", message, path, 1)])


def _policy(file: PolicyFile, event: Event) -> Layer | None:
    """Return the policy in a file that GitHub returned, None if there is none; raises ConfigurationError."""
    if file.details:
        raise _unreadable(file.error, advice(Operation.COMMIT, file.details, event))
    if file.misnamed:
        raise _misnamed(MISNAMED_PATH)
    if file.error:
        raise ConfigurationError([Problem("", f"{file.error}. {UNREADABLE_FILE}", POLICY_PATH, 1)])
    return None if file.text is None else _read(file.text.encode(errors="surrogatepass"), POLICY_PATH)
