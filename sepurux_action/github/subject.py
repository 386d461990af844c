"""Reads what a run is about before the evaluation: the event with its pull request, and what GitHub shows of both."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from operator import methodcaller
from urllib.parse import quote

from sepurux_action.config import options
from sepurux_action.config.options import CommentMode
from sepurux_action.config.path_filter import ChangedFile, Filter, affects
from sepurux_action.config.settings import CONTEXT_PREFIX, MISNAMED_PATH, POLICY_PATH, Gate, Settings
from sepurux_action.errors import GitHubError
from sepurux_action.evaluation.published_result import Results, comparable
from sepurux_action.github.base_branch import BaseBranch
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.commit import Commit, unread
from sepurux_action.github.event import Event, encoded, with_pull_request
from sepurux_action.github.permissions import Operation, advice
from sepurux_action.github.snapshot import MAX_PAGES, Comment, Snapshot, oldest_first

MARKER = "sepurux-gate"
FIRST_READ_S = 60.0  # for finding the pull request and the policy; the same for what decides besides


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An event, what GitHub shows of it, and the `settings` known so far, which say how to publish.

    The run has `started` at a time of UTC.
    """

    event: Event
    settings: Settings = field(default_factory=Settings)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    commit: Commit = field(default_factory=Commit)
    base: BaseBranch = field(default_factory=BaseBranch)

    def context_of(self, gate: str) -> str:
        """Return the context of a gate's status, of which GitHub ignores the case."""
        return f"{CONTEXT_PREFIX}{gate}{self.suffix}"

    @property
    def suffix(self) -> str:
        """Return the end of each context: none for the default branch."""
        branch = self.event.status_branch
        return "" if branch == encoded(self.commit.default_branch) else f" ({branch})"

    def baseline(self, gate: Gate) -> Results | None:
        """Return the results that a gate is compared with, None if they could not be read."""
        if self.base.results is None:
            return None
        return comparable(self.base.results.get(self.context_of(gate.name).lower(), ()), gate)

    @property
    def has_comment(self) -> bool:
        return self.settings.comment is not CommentMode.NEVER and self.event.name != "merge_group"

    @property
    def marker(self) -> str:
        """Return the first line of the comment, by which it is found."""
        return f"<!-- {MARKER}:{quote(self.settings.key, safe='', errors='surrogatepass')} -->"

    def ours(self, comments: Iterable[Comment]) -> tuple[Comment, ...]:
        """Return the comments with the marker, the oldest first; there is more than one after a race."""
        return tuple(each for each in comments if each.body.startswith(self.marker))


def read_subject(calls: BoundedCalls, subject: Subject) -> Subject:
    """Return the subject with its pull request, and with what GitHub shows of its commit and of the policy file.

    If the policy cannot be read, its file says so. The first reads share the time that begins here.
    """
    if not calls.connected or subject.event.problem or subject.event.skip_reason:
        return subject
    calls.set_timeout(FIRST_READ_S)
    event = _find_pull_request(calls, subject.event)
    if event.problem or event.skip_reason:
        return replace(subject, event=event)
    try:
        commit = calls.read(Operation.COMMIT, methodcaller("commit", event))
    except GitHubError as error:
        commit = Commit(policy=unread(error.details))
    return replace(subject, event=event, commit=commit)


def _find_pull_request(calls: BoundedCalls, event: Event) -> Event:
    if event.head is None:
        return event
    try:
        found = calls.read(Operation.FIND, methodcaller("open_pull_requests", event.head))
    except GitHubError as error:
        unread = f"the pull request with the head {event.head} could not be read ({error.details.summary})"
        return replace(event, commit="", problem=f"{unread}. {advice(Operation.FIND, error.details, event)}")
    return with_pull_request(event, found)


def with_base(calls: BoundedCalls, subject: Subject, gates: Iterable[Gate]) -> Subject:
    """Return the subject with the results on the base branch if a gate limits a drop."""
    limited = {each.name for each in gates if options.MAX_PASS_RATE_DROP.name in each.limits}
    if not calls.connected or not limited:
        return subject
    contexts = {subject.context_of(name).lower() for name in limited}
    try:
        base = calls.read(Operation.BASE, methodcaller("base_branch", subject.event, contexts))
    except GitHubError as error:
        base = BaseBranch(error=error.details)
        calls.warn(base.operation, error.details)
    return replace(subject, base=base)


def fetch_page(calls: BoundedCalls, event: Event, after: str = "") -> Snapshot | None:
    """Return the pull request and a page of its comments, None after a warning."""
    return calls.try_call(Operation.PULL, methodcaller("snapshot", event.pull_request, after))


def fetch_more_comments(calls: BoundedCalls, subject: Subject, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with further pages of comments, until one is the gate's own or no next page can be read."""
    for _ in range(MAX_PAGES - 1):
        if not snapshot.after or subject.ours(snapshot.comments):
            break
        if (page := fetch_page(calls, subject.event, snapshot.after)) is None:
            break
        comments = oldest_first((*snapshot.comments, *page.comments))
        snapshot = Snapshot(pull_request=snapshot.pull_request, comments=comments, after=page.after)
    return snapshot


class Changes:
    """The files that a pull request or merge group changes, which are read once."""

    def __init__(self, calls: BoundedCalls, subject: Subject) -> None:
        self._calls, self._subject = calls, subject

    @cached_property
    def files(self) -> tuple[ChangedFile, ...] | None:
        """Return the files of GitHub's comparison with the commit whose policy applies, None if they cannot be read."""
        base, head = self._subject.commit.base, self._subject.event.commit
        try:
            return self._calls.read(Operation.FILES, lambda github: github.changed_files(base, head))
        except GitHubError as error:
            self._calls.warn(Operation.FILES, error.details)
        return None

    def of_policy(self) -> bool:
        """Return whether the pull request or merge group changes the policy file.

        A branch may be behind its base, so another content is a change unless the list of changed files lacks the file.
        """
        policy, head = self._subject.commit.policy, self._subject.commit.head_policy
        if policy.error or head == policy:
            return False
        return affects({POLICY_PATH, MISNAMED_PATH}.__contains__, self.files)

    def skip(self, paths: Filter) -> bool:
        """Return whether a pull request changes no file that matches a gate's `paths`."""
        event = self._subject.event
        is_pull = event.pull_request is not None and event.name != "merge_group"
        return self._calls.connected and is_pull and not event.by_review and not affects(paths.matches, self.files)
