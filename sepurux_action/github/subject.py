"""Reads what a run is about: the pull request, the commit and its changes, and the policy that applies.

For a pull request or merge group, the file of the base applies, so that no change can loosen its own gate.
Source: docs/policy.md#whose-file-applies.
"""

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sepurux_action.common import json_reader, wording
from sepurux_action.config import options
from sepurux_action.config.options import Layer, Source
from sepurux_action.config.parsers import Filter
from sepurux_action.config.policy import read_policy
from sepurux_action.config.settings import MAX_FILE_BYTES, MISNAMED_PATH, POLICY_PATH, Change, Gate, Settings, diff
from sepurux_action.errors import ConfigurationError, Problem
from sepurux_action.evaluation.traces import TraceFolder
from sepurux_action.github import queries
from sepurux_action.github.client import FIRST_READ_S, UNEXPECTED_SHAPE, Calls, Client, GitHubError, Operation, advice
from sepurux_action.github.event import Event, with_pull_request
from sepurux_action.github.queries import UNREADABLE_FILE, PolicyFile, Subject, misnamed, unreadable
from sepurux_action.host.output import read_file

MAX_FILES = 300  # GitHub lists no more files of a comparison, so a list of this length may be incomplete
FIRST_FILE_EVENTS = frozenset({"pull_request", "pull_request_review"})


def read_subject(calls: Calls, event: Event) -> Subject:
    """Return what a run is about; its policy says why it could not be read. The time of the first reads begins here."""
    if not calls.connected or event.problem or event.skip_reason:
        return Subject(event=event)
    calls.set_timeout(FIRST_READ_S)
    if head := event.head:
        # Also those of a branch with its name in other repositories of the owner.
        repository, _, branch = head.partition(":")
        query = {"state": "open", "head": f"{repository.partition('/')[0]}:{branch}"}
        try:
            found = calls.call(lambda client: [*client.pages("pulls", **query)], decides=Operation.FIND)
        except GitHubError as error:
            unread = f"the pull request with the head `{head}` could not be read ({error})"
            problem = f"{unread}. {advice(Operation.FIND, error)}"
            return Subject(event=replace(event, commit="", problem=problem))
        event = with_pull_request(event, found)
        if event.problem or event.skip_reason:
            return Subject(event=event)
    try:
        return calls.call(partial(queries.read_commit, event), decides=Operation.COMMIT)
    except GitHubError as error:
        return Subject(event=event, policy=unreadable(str(error), advice(Operation.COMMIT, error)))


def with_base(calls: Calls, subject: Subject, gates: Iterable[Gate]) -> Subject:
    limited = {each.name for each in gates if options.MAX_PASS_RATE_DROP.name in each.limits}
    if not calls.connected or not limited:
        return subject
    contexts = {subject.context_of(name).lower() for name in limited}
    try:
        results = calls.call(partial(queries.read_base, subject.event, contexts), decides=Operation.BASE)
        return replace(subject, results=results)
    except GitHubError as error:
        calls.warn(Operation.BASE, error)
        return replace(subject, results=error)


def changes_policy(calls: Calls, subject: Subject) -> bool:
    """Return whether the policy file is changed: other content is no change if only the branch is behind its base."""
    policy = subject.policy
    is_unread = isinstance(policy, Problem) and policy.file != MISNAMED_PATH
    if is_unread or subject.head_policy == policy:
        return False
    names = _changed_names(calls, subject)
    return names is None or not names.isdisjoint({POLICY_PATH, MISNAMED_PATH})


def is_skipped(calls: Calls, subject: Subject, paths: Filter) -> bool:
    event = subject.event
    is_pull = event.pull_request is not None and event.name != "merge_group"
    if not calls.connected or not is_pull or event.by_review:
        return False
    names = _changed_names(calls, subject)
    return names is not None and not any(map(paths.matches, names))


def _changed_names(calls: Calls, subject: Subject) -> frozenset[str] | None:
    """Return the old and new names of files that the head changes since it left the base; None if not all are known."""

    def read(client: Client) -> frozenset[str] | None:
        path = f"compare/{subject.base}...{subject.event.commit}"
        first = client.send("GET", path, query={"per_page": "1"})  # of the commits; it has all files
        files = json_reader.at(first, "files")
        if not isinstance(files, list) or not all(isinstance(json_reader.at(each, "filename"), str) for each in files):
            raise GitHubError(UNEXPECTED_SHAPE)
        names = (name for each in files for name in (each["filename"], each.get("previous_filename")))
        return frozenset(map(str, filter(None, names))) if len(files) < MAX_FILES else None

    return calls.once("files", lambda: calls.try_call(Operation.FILES, read, decides=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPolicy:
    """The policy that applies, and the changes that apply once merged. `place` has the file, or would have it."""

    policy: Layer | None = None
    changes: tuple[Change, ...] = ()
    place: str = ""


Check = Callable[[Layer], Settings]


def resolve_policy(
    settings: Settings, subject: Subject, folder: TraceFolder | None, check: Check | None = None, config: str = ""
) -> ResolvedPolicy:
    """Return the policy that applies to an event; raises ConfigurationError with its problems.

    `folder` is given if GitHub is not used, and has the file `config`, by default the usual one. `check` is given
    if the pull request or merge group changes the file. It returns the settings of this run with that policy, in which
    inputs and trace files may be a problem.
    """
    event = subject.event
    if event.problem:
        raise ConfigurationError([Problem(event.name and f"event `{event.name}`", event.problem)])
    if folder and settings.github_token and event.name:
        unknown = unreadable("GitHub's address is not known", "Set `GITHUB_API_URL` to an https address.")
        raise ConfigurationError([unknown])
    if folder:
        return ResolvedPolicy(policy=read_checkout(folder, config), place="the workspace")
    try:
        policy = _policy(subject.policy)
    except ConfigurationError as error:  # the head may have another file with this path
        at = wording.optional("on `{}`", subject.base != event.commit and json_reader.printable(event.base_ref))
        found = (
            replace(each, where=wording.joined(", ", at if each.line else "", each.where)) for each in error.problems
        )
        raise ConfigurationError(found) from None
    if policy is None and event.name in FIRST_FILE_EVENTS and not event.fork and not settings.gates[0].campaign:
        return ResolvedPolicy(policy=_policy(subject.head_policy), place="this pull request")
    merged = _policy(subject.head_policy) if check else None
    if check and merged and (problems := check(merged).problems):
        raise ConfigurationError(problems)
    place = wording.joined(" of ", f"commit {subject.base[:7]}", json_reader.printable(event.base_ref))
    none = Layer(Source.POLICY)
    return ResolvedPolicy(policy=policy, place=place, changes=diff(policy or none, merged or none) if check else ())


def read_checkout(folder: TraceFolder, config: str = "") -> Layer | None:
    """Return the policy in the file `config`, or in the usual one, which may be missing; raises ConfigurationError.

    A file that cannot be read, or that is outside, is a problem: it may be a stricter policy.
    """
    path = Path(config or POLICY_PATH)
    stem = str(path).removesuffix(".yaml").removesuffix(".yml")
    usual, other = Path(f"{stem}.yml"), Path(f"{stem}.yaml")
    try:
        raw = _content(folder, path)
        is_misnamed = usual.parts[-2:] == Path(POLICY_PATH).parts and _content(folder, usual) is None
        is_misnamed = is_misnamed and _content(folder, other) is not None
    except OSError as error:
        message = f"the policy could not be read: {error.strerror}. {UNREADABLE_FILE}"
        raise ConfigurationError([Problem("", message, str(path), 1)]) from None
    if is_misnamed:
        raise ConfigurationError([misnamed(str(other))])
    if raw is None and config:
        raise ConfigurationError([Problem("", "there is no such policy file", str(path), 1)])
    return None if raw is None else read_policy(raw, str(path))


def _content(folder: TraceFolder, path: Path) -> bytes | None:
    """Return what a file has, at most one byte more than is allowed; None if nothing has its name; raises OSError."""
    file = folder.resolved(folder.base / path)
    if file is None:
        raise OSError(errno.EACCES, f"it leads outside {folder.where}")
    try:
        (folder.base / path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if (content := read_file(file, MAX_FILE_BYTES + 1)) is None:
        raise OSError(errno.EINVAL, "it is not a file")
    return content


def _policy(file: PolicyFile) -> Layer | None:
    if isinstance(file, Problem):
        raise ConfigurationError([file])
    return None if file is None else read_policy(file.encode(errors="surrogatepass"), POLICY_PATH)
