"""Reads what a run is about: the pull request, the commit and its changes, the policy files, and the base branch."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from sepurux_action.common import json_reader
from sepurux_action.config import options
from sepurux_action.config.path_filter import Filter
from sepurux_action.config.settings import MISNAMED_PATH, POLICY_PATH, Gate
from sepurux_action.errors import Problem
from sepurux_action.github.client import FIRST_READ_S, UNEXPECTED_SHAPE, Calls, Client, GitHubError, Operation, advice
from sepurux_action.github.event import Event, with_pull_request
from sepurux_action.github.queries import Subject, read_base, read_commit, unreadable

MAX_FILES = 300  # GitHub lists no more files of a comparison, so a list of this length may be incomplete


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
            problem = f"{unread}. {advice(Operation.FIND, error, event)}"
            return Subject(event=replace(event, commit="", problem=problem))
        event = with_pull_request(event, found)
        if event.problem or event.skip_reason:
            return Subject(event=event)
    try:
        return calls.call(partial(read_commit, event), decides=Operation.COMMIT)
    except GitHubError as error:
        return Subject(event=event, policy=unreadable(str(error), advice(Operation.COMMIT, error, event)))


def with_base(calls: Calls, subject: Subject, gates: Iterable[Gate]) -> Subject:
    """Return the subject with the results on the base branch if a gate limits a drop."""
    limited = {each.name for each in gates if options.MAX_PASS_RATE_DROP.name in each.limits}
    if not calls.connected or not limited:
        return subject
    contexts = {subject.context_of(name).lower() for name in limited}
    try:
        results = calls.call(partial(read_base, subject.event, contexts), decides=Operation.BASE)
        return replace(subject, results=results)
    except GitHubError as error:
        calls.warn(operation_on_base(error), error)
        return replace(subject, results=error)


def operation_on_base(error: GitHubError) -> Operation:
    """Return what could not be done. Only a missing permission for statuses is clear from GitHub's errors."""
    return Operation.RESULTS if error.accepted == "statuses=read" else Operation.BASE


def changes_policy(calls: Calls, subject: Subject) -> bool:
    """Return whether the policy file is changed: other content is no change if only the branch is behind its base."""
    policy = subject.policy
    is_unread = isinstance(policy, Problem) and policy.file != MISNAMED_PATH
    if is_unread or subject.head_policy == policy:
        return False
    names = _changed_names(calls, subject)
    return names is None or not names.isdisjoint({POLICY_PATH, MISNAMED_PATH})


def is_skipped(calls: Calls, subject: Subject, paths: Filter) -> bool:
    """Return whether a pull request changes no file that matches a gate's `paths`."""
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
        if not isinstance(files, list) or not all(json_reader.text(each, "filename") for each in files):
            raise GitHubError(UNEXPECTED_SHAPE)
        names = (name for each in files for name in (each["filename"], each.get("previous_filename")))
        return frozenset(map(str, filter(None, names))) if len(files) < MAX_FILES else None

    return calls.once("files", lambda: calls.try_call(Operation.FILES, read, decides=True))
