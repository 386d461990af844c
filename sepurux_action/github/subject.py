"""Reads what a run is about before the evaluation: the event with its pull request, and what GitHub shows of both."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from operator import methodcaller
from typing import Any
from urllib.parse import quote

from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.config.options import CommentMode
from sepurux_action.config.path_filter import ChangedFile, affects
from sepurux_action.config.policy import MISNAMED_PATH, POLICY_PATH
from sepurux_action.config.settings import Settings, status_context
from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.evaluation.drops import Baseline
from sepurux_action.github.base_branch import BaseBranch, base_revision
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.commit import Commit, unread
from sepurux_action.github.event import Event, encoded, with_pull_request
from sepurux_action.github.permissions import Operation, advice
from sepurux_action.github.snapshot import MAX_PAGES, Comment, Snapshot, oldest_first

MARKER = "sepurux-gate"
FIRST_READ_S = 60.0  # for finding the pull request and the first reads, which have the policy
Part = Commit | Snapshot | BaseBranch
# The field of a subject for each part, and what it has if it could not be read.
PARTS: Mapping[Operation, tuple[str, Callable[[ErrorDetails], Part]]] = {
    Operation.COMMIT: ("commit", lambda why: Commit(policy=unread(why), error=why)),
    Operation.PULL: ("snapshot", lambda why: Snapshot(error=why)),
    Operation.BASE: ("base", lambda why: BaseBranch(error=why)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An event, what GitHub shows of it, and the `settings` known so far, which say how to publish.

    The run has `started` at a time of UTC.
    """

    event: Event
    settings: Settings = field(default_factory=Settings)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    commit: Commit = field(default_factory=Commit)
    snapshot: Snapshot = field(default_factory=Snapshot)
    base: BaseBranch = field(default_factory=BaseBranch)

    def is_at_event_commit(self, snapshot: Snapshot) -> bool:
        """Return whether the pull request in a snapshot has the event's commit as its head."""
        return bool(self.event.commit) and snapshot.pull_request.head_sha == self.event.commit

    def context_of(self, gate: str) -> str:
        """Return the context of a gate's status, of which GitHub ignores the case."""
        return status_context(gate, self.suffix)

    @property
    def suffix(self) -> str:
        """Return the end of each context: none for the default branch."""
        branch = self.event.status_branch
        return "" if branch == encoded(self.commit.default_branch) else f" ({branch})"

    def baseline(self, gate: Gate) -> Baseline | None:
        """Return the results that a gate is compared with, None if they could not be read."""
        if self.base.results is None:
            return None
        return self.base.results.get(self.context_of(gate.name).lower(), Baseline()).for_gate(gate)

    @property
    def has_comment(self) -> bool:
        return self.settings.comment is not CommentMode.NEVER

    @property
    def marker(self) -> str:
        """Return the first line of the comment, by which it is found."""
        return f"<!-- {MARKER}:{quote(self.settings.comment_key, safe='', errors='surrogatepass')} -->"

    def ours(self, comments: Iterable[Comment]) -> tuple[Comment, ...]:
        """Return the comments with the marker, the oldest first; there is more than one after a race."""
        return tuple(each for each in comments if each.body.startswith(self.marker))


def read_subject(calls: BoundedCalls, subject: Subject) -> Subject:
    """Find the pull request, and return the subject with what GitHub shows of it and of the policy file.

    If the policy cannot be read, its file says so.
    """
    if not calls.connected or subject.event.problem or subject.event.skip_reason:
        return subject
    calls.set_timeout(FIRST_READ_S)
    event = _find_pull_request(calls, subject.event)
    if event.problem or event.skip_reason:
        return replace(subject, event=event)
    parts = _read(calls, event)
    subject = replace(subject, event=event, **parts)
    if not subject.commit.policy.error:  # which says why
        for operation, why in ((Operation.COMMIT, subject.commit.error), (Operation.PULL, subject.snapshot.error)):
            if why and why != subject.base.error:  # of which `with_base` warns
                calls.warn(operation, why)
    return subject


def _find_pull_request(calls: BoundedCalls, event: Event) -> Event:
    if event.head is None:
        return event
    find = methodcaller("open_pull_requests", event.head)
    found = calls.read_side_by_side({Operation.FIND: find})[Operation.FIND]
    if isinstance(found, ErrorDetails):
        unread = f"the pull request with the head {event.head} could not be read ({found.summary})"
        return replace(event, commit="", problem=f"{unread}. {advice(Operation.FIND, found, event)}")
    return with_pull_request(event, found)


def _read(calls: BoundedCalls, event: Event) -> dict[str, Any]:
    """Read parts of a subject side by side. One that cannot be read has nothing but its error."""
    reads: dict[Operation, Callable[[GitHubClient], Part]] = {}
    reads[Operation.COMMIT] = methodcaller("commit", event)
    if event.pull_request is not None:
        reads[Operation.PULL] = methodcaller("snapshot", event.pull_request)
    if base_revision(event):
        reads[Operation.BASE] = lambda github: github.base_branch(event)
    found: dict[str, Any] = {}
    for operation, part in calls.read_side_by_side(reads).items():
        name, unread_part = PARTS[operation]
        found[name] = unread_part(part) if isinstance(part, ErrorDetails) else part
    return found


def with_base(calls: BoundedCalls, subject: Subject, gates: Iterable[Gate]) -> Subject:
    """Read the base branch once more if it could not be read, GitHub may show it later, and a gate limits a drop."""
    base, event = subject.base, subject.event
    if (
        base.error
        and not base.error.permanent
        and any(options.MAX_PASS_RATE_DROP.name in gate.limits for gate in gates)
    ):
        try:
            base = calls.call(lambda github: github.base_branch(event), retry=False)
        except GitHubError as error:
            base = BaseBranch(error=error.details)
    if base.error:
        calls.warn(base.operation, base.error)
    return replace(subject, base=base)


def fetch_page(calls: BoundedCalls, event: Event, after: str = "") -> Snapshot | None:
    """Return the pull request and a page of its comments, None after a warning."""
    return calls.try_call(Operation.PULL, methodcaller("snapshot", event.pull_request, after))


def fetch_more_comments(
    calls: BoundedCalls, event: Event, snapshot: Snapshot, enough: Callable[[Iterable[Comment]], object]
) -> Snapshot:
    """Return the snapshot with the comments of further pages, until there are `enough` or no next one can be read."""
    for _ in range(MAX_PAGES - 1):
        if not snapshot.after or enough(snapshot.comments):
            break
        if (page := fetch_page(calls, event, snapshot.after)) is None:
            break
        comments = oldest_first((*snapshot.comments, *page.comments))
        snapshot = Snapshot(pull_request=snapshot.pull_request, comments=comments, after=page.after)
    return snapshot


class Changes:
    """The changes of one pull request, which are read once."""

    def __init__(self, calls: BoundedCalls, subject: Subject) -> None:
        self._calls, self._subject = calls, subject

    @cached_property
    def files(self) -> tuple[ChangedFile, ...] | None:
        """Return the files that the pull request changes, None if not known; `is_current` confirms the head then."""
        number = self._subject.event.pull_request
        if number is None or not self._subject.is_at_event_commit(self._subject.snapshot):
            return None
        return self._calls.try_call(Operation.FILES, methodcaller("changed_files", number))

    def of_policy(self) -> bool:
        """Return whether the pull request or merge group changes the policy file.

        A branch may be behind its base, so another content is a change unless the list of changed files lacks the file.
        """
        policy, head = self._subject.commit.policy, self._subject.commit.head_policy
        if policy.error or head == policy:
            return False
        return affects({POLICY_PATH, MISNAMED_PATH}.__contains__, self.files) or not self.is_current()

    def is_current(self) -> bool:
        """Read the pull request again; return whether it still has the evaluated commit."""
        now = fetch_page(self._calls, self._subject.event)
        return now is not None and self._subject.is_at_event_commit(now)
