"""Reads what a run is about before the evaluation: the event with its pull request, and what GitHub shows of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import methodcaller

from sepurux_action.common import json_reader
from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.config.options import CommentMode
from sepurux_action.config.settings import Publishing
from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.evaluation.published_result import Baseline
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.comment_state import StateLine
from sepurux_action.github.event import Event, as_ambiguous, resolve
from sepurux_action.github.permissions import Operation
from sepurux_action.github.snapshot import MAX_PAGES, Comment, Snapshot, policy_ref, unread

FIRST_READ_S = 60.0  # for finding the pull request and the first snapshot, which has the policy
MAX_LOOKUPS = 3  # the result of a lookup may require another one
UNKNOWN_PULL_REQUEST = "the pull request of this run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An event, the first snapshot of it, and the `settings` known so far, which say how to publish.

    The snapshot has the policy file at the path `config`.
    `base_left_out` is why the snapshot is without the base branch. `signing_key` signs the state in the comment;
    without it there is no state. The run has `started` at a time of UTC.
    """

    event: Event
    settings: Publishing = field(default_factory=Publishing)
    config: str = options.CONFIG.default
    signing_key: str = field(default="", repr=False)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    snapshot: Snapshot = field(default_factory=Snapshot)
    base_left_out: ErrorDetails | None = None

    def is_at_event_commit(self, snapshot: Snapshot) -> bool:
        """Return whether the pull request in a snapshot has the event's commit as its head, and the event's base."""
        pull, event = snapshot.pull_request, self.event
        now = (pull.head_sha, pull.base_ref) if pull else None
        return bool(event.commit) and now == (event.commit, event.base_ref)

    def new_base(self, snapshot: Snapshot | None) -> str:
        """Return the base branch of the pull request in a snapshot if the event has another one, else ''."""
        pull = snapshot.pull_request if snapshot else None
        return pull.base_ref if pull and pull.base_ref != self.event.base_ref else ""

    def context_of(self, gate: Gate) -> str:
        """Return the context of a gate's status in lower case, as GitHub ignores its case."""
        return self.settings.context_of(gate.name, self.event.branch).lower()

    def baseline(self, gate: Gate) -> Baseline | None:
        """Return the results that a gate is compared with, None if they could not be read."""
        if self.snapshot.baselines is None:
            return None
        return self.snapshot.baselines.get(self.context_of(gate), Baseline()).for_gate(gate)

    @property
    def has_comment(self) -> bool:
        return self.settings.comment is not CommentMode.NEVER and not self.event.closed

    @property
    def state_line(self) -> StateLine:
        return StateLine(
            signing_key=self.signing_key,
            repository=self.event.repository,
            pull_request=self.event.pull_request or 0,
            key=self.settings.comment_key,
        )


def read_subject(calls: BoundedCalls, subject: Subject) -> Subject:
    """Find the pull request of the event, and return the subject with the policy file at the path `config`.

    If that fails, the snapshot says that the policy could not be read. The payload of a re-run is that of the first
    run, so if the pull request has another base branch now, the policy of that branch is read instead.
    """
    if not calls.connected:
        return subject
    calls.set_timeout(FIRST_READ_S)
    event = _find_pull_request(calls, subject.event)
    subject = replace(subject, event=event)
    if event.skip_reason:
        return subject
    subject = _with_snapshot(calls, subject)
    pull = subject.snapshot.pull_request
    if pull and subject.new_base(subject.snapshot) and event.name != "merge_group":
        then, now = map(json_reader.preview, (event.base_ref, pull.base_ref))
        calls.output.log(f"the base branch is now {now}, and not {then} as in the event's payload")
        event = replace(event, base_ref=pull.base_ref, base_sha=pull.base_sha)
        subject = _with_snapshot(calls, replace(subject, event=event))
    return subject


def _find_pull_request(calls: BoundedCalls, event: Event) -> Event:
    for _ in range(MAX_LOOKUPS):
        if (lookup := event.lookup) is None:
            break
        find = methodcaller("find_pull_requests", lookup)
        try:
            event = resolve(event, calls.call_until_deadline(Operation.FIND, find))
        except GitHubError as error:
            which = UNKNOWN_PULL_REQUEST if lookup.commit else f"pull request {lookup.number}"
            event = as_ambiguous(event, f"{which} could not be read ({error.details.summary})", error.details)
    if event.pull_request is None:
        what = "no comment" if event.commit else "no comment and no status"
        calls.output.log(f"{what}: {event.no_pr_reason}")
    elif event.closed:
        calls.output.log(f"no comment: pull request {event.pull_request} is closed")
    return event


def _with_snapshot(calls: BoundedCalls, subject: Subject) -> Subject:
    """Read the first snapshot, again while it lacks policy or pull request and time is left.

    If the query is too large for GitHub, the base branch is left out from then on. If that fails, the snapshot has
    a policy file that is not read. If the file applies to the event, there is no warning, because the error about
    the policy says the same.
    """
    event, left_out = subject.event, subject.base_left_out
    incomplete: list[Snapshot] = []

    def fetch(github: GitHubClient) -> Snapshot:
        fetched = github.fetch_snapshot(event, config=subject.config, with_base=left_out is None)
        lacks_pull_request = event.pull_request is not None and fetched.pull_request is None
        too_large = left_out is None and fetched.error and fetched.error.too_large
        if (why := fetched.error) and (fetched.policy.error or lacks_pull_request or too_large):
            incomplete.append(fetched)
            raise GitHubError(why)
        return fetched

    try:
        snapshot = calls.call_until_deadline(Operation.READ, fetch, whole=left_out is None)
    except GitHubError as error:
        if left_out is None and error.details.too_large:
            why = error.details.summary
            calls.output.log(f"could not {Operation.READ.text} at once ({why}); next attempt without the base branch")
            return _with_snapshot(calls, replace(subject, base_left_out=error.details))
        unknown = Snapshot(policy=unread(error.details), error=error.details, denied=Operation.READ)
        snapshot = incomplete[-1] if incomplete else unknown
    if not (snapshot.policy.error and policy_ref(event)):
        _warn_of(calls, snapshot)
    return replace(subject, snapshot=snapshot)


def with_base(calls: BoundedCalls, subject: Subject, gates: Iterable[Gate]) -> Subject:
    """Read the base branch alone, once, if the first snapshot is without it and a gate limits a drop."""
    if (why := subject.base_left_out) is None:
        return subject
    base, alone = Snapshot(error=why), replace(subject.event, pull_request=None)
    if any(options.DROPS & set(gate.limits) for gate in gates):
        try:
            base = calls.call(methodcaller("fetch_snapshot", alone), retry=False)
        except GitHubError as error:
            base = Snapshot(error=error.details)
    if base.baselines is not None:
        found = replace(subject.snapshot, baselines=base.baselines, base_commits=base.base_commits)
        return replace(subject, snapshot=found)
    why, denied = base.error or why, base.denied or Operation.BASE
    calls.warn(denied, why)
    return replace(subject, snapshot=replace(subject.snapshot, error=why, denied=denied))


def fetch_page(calls: BoundedCalls, event: Event, after: str = "") -> Snapshot | None:
    """Return the pull request and a page of its comments, None after a warning."""
    read = methodcaller("fetch_snapshot", event, after=after, with_base=False)
    page: Snapshot | None = calls.try_call(Operation.READ, read)
    if page is not None:
        _warn_of(calls, page)
    return page


def fetch_more_comments(
    calls: BoundedCalls,
    event: Event,
    snapshot: Snapshot,
    enough: Callable[[Iterable[Comment]], object] = lambda _: False,
) -> Snapshot:
    """Return the snapshot with the comments of further pages, until there are `enough`."""
    for _ in range(MAX_PAGES - 1):
        if not snapshot.after or enough(snapshot.comments):
            return snapshot
        page = fetch_page(calls, event, snapshot.after)
        if page is None:
            break
        comments = oldest_first((*snapshot.comments, *page.comments))
        known = snapshot.comments_known and page.comments_known
        snapshot = replace(snapshot, comments=comments, comments_known=known, after=page.after)
    return replace(snapshot, comments_known=snapshot.comments_known and not snapshot.after)


def oldest_first(comments: Iterable[Comment]) -> tuple[Comment, ...]:
    """Return each comment once, in its last version; one that occurred twice would be deleted as its own duplicate."""
    by_id = {comment.id: comment for comment in comments}
    return tuple(by_id[number] for number in sorted(by_id))


def _warn_of(calls: BoundedCalls, snapshot: Snapshot) -> None:
    if snapshot.error and snapshot.denied:
        calls.warn(snapshot.denied, snapshot.error)
