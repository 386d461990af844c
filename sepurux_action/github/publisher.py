"""Publishes the statuses and the comment of a run, each part within its own time.

Nothing here changes results or exit status, whatever GitHub responds. Source: docs/configuration.md.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from operator import methodcaller

from sepurux_action.common.wording import joined
from sepurux_action.config.options import CommentMode
from sepurux_action.errors import GitHubError
from sepurux_action.evaluation.decision import GateDecision, summarize
from sepurux_action.evaluation.published_result import format_description
from sepurux_action.evaluation.runs import Decision
from sepurux_action.github.bounded_calls import READS_S, BoundedCalls
from sepurux_action.github.client import CommitState, CommitStatus
from sepurux_action.github.permissions import Operation
from sepurux_action.github.snapshot import MAX_PAGES, PAGE, Comment, Snapshot
from sepurux_action.github.subject import Subject, fetch_more_comments, fetch_page

STATUSES_S = 55.0  # for all decided statuses
COMMENT_S = 20.0  # for comment and review requests, added to what the statuses left: with READS_S at most 90 s
# After a signal, the program must exit within 5 s: one attempt at each call.
STATUSES_AFTER_SIGNAL_S = 2.0
UNKNOWN_COMMENTS = (
    f"not all comments of the pull request could be read (the gate reads {MAX_PAGES * PAGE:,}), "
    "and one of them may be its own"
)
BLOCKING_FIRST = (CommitState.FAILURE, CommitState.PENDING, CommitState.SUCCESS)


class Publisher:
    """What one run publishes about its subject; nothing without a client."""

    def __init__(self, calls: BoundedCalls, subject: Subject) -> None:
        self._calls, self._subject = calls, subject
        self._event, self._settings = subject.event, subject.settings
        self._now: Snapshot | None = None  # the pull request after the evaluation, with the first page of comments
        self._set: dict[str, CommitStatus] = {}  # the last status of each context that this run set

    def publish_pending(self, gates: Iterable[str]) -> None:
        self._calls.set_timeout(READS_S)
        running = "the evaluation is running"
        self._set_statuses(self._status(self._subject.context_of(gate), CommitState.PENDING, running) for gate in gates)

    def read_again(self) -> None:
        """Read the pull request again after the evaluation, for the comment."""
        self._calls.set_timeout(READS_S)
        if self._event.pull_request is not None and self._subject.has_comment:
            self._now = fetch_page(self._calls, self._event)

    def publish_results(self, results: Sequence[GateDecision]) -> None:
        """Set the decided status of each gate; those that block come first. The time for all effects begins here."""
        self._calls.set_timeout(STATUSES_S, STATUSES_AFTER_SIGNAL_S)
        statuses = map(self._decided_status, results)
        self._set_statuses(sorted(statuses, key=lambda status: BLOCKING_FIRST.index(status.state)))
        self._calls.extend(COMMENT_S)

    def publish_comment(self, results: Sequence[GateDecision], body: Callable[[str], str]) -> str:
        """Create or edit the comment; return its address or ''. `body` gets its first line."""
        if self._now is None or not self._subject.has_comment:
            return ""
        now = fetch_more_comments(self._calls, self._subject, self._now)
        if why := self._no_comment_reason(now):
            self._calls.output.log(f"no comment: {why}")
            return ""
        ours = self._subject.ours(now.comments)
        passed = all(result.decision in {Decision.PASS, Decision.SKIPPED} for result in results)
        if not ours and passed and self._settings.comment is CommentMode.ON_FAILURE:
            return ""
        return self._upsert(ours, body(self._subject.marker))

    def _no_comment_reason(self, now: Snapshot) -> str:
        if not now.pull_request.head_sha:
            return "the pull request could not be read"
        if now.pull_request.head_sha != self._event.commit:
            return "the pull request has a newer commit, which gets a run of its own"
        return UNKNOWN_COMMENTS if now.after and not self._subject.ours(now.comments) else ""

    def _upsert(self, ours: Sequence[Comment], text: str) -> str:
        """Create the comment, or edit the first of `ours` and delete the others; return its address, or ''."""
        if not ours:
            return self._create(text)
        first, *duplicates = ours
        edit = methodcaller("edit_comment", first, text)
        edited = first.body == text or self._calls.try_call(Operation.COMMENT, edit)
        if edited is False:  # deleted between the read and the edit
            return self._upsert(duplicates, text)
        if edited:
            for duplicate in duplicates:
                self._calls.try_call(Operation.COMMENT, methodcaller("delete_comment", duplicate))
        return first.url

    def _create(self, text: str) -> str:
        """Create the comment, once: after a failure it may exist."""
        number = self._event.pull_request or 0
        try:
            return self._calls.call(lambda github: github.create_comment(number, text), retry=False).url
        except GitHubError as error:
            self._calls.warn(Operation.COMMENT, error.details)
        return ""

    def _set_statuses(self, statuses: Iterable[CommitStatus]) -> None:
        """Set each status that this run has not set yet."""
        new = (each for each in statuses if self._set.get(each.context) != each)
        if self._event.commit:
            self._calls.try_each(Operation.STATUS, {each.context: partial(self._set_status, each) for each in new})

    def _set_status(self, status: CommitStatus) -> None:
        """Set a status, without its link if GitHub rejects it with one; raises GitHubError."""
        try:
            self._calls.call(methodcaller("set_status", self._event.commit, status))
        except GitHubError as error:
            if not (status.url and error.details.of_one_target):
                raise
            self._calls.call(methodcaller("set_status", self._event.commit, replace(status, url="")))
            why = error.details.summary
            self._calls.warn_once(f"GitHub refused the link of a commit status ({why}), so the status has no link.")
        self._set[status.context] = status

    def _status(self, context: str, state: CommitState, description: str, url: str = "") -> CommitStatus:
        """Return a status that links to this run unless it has another `url`."""
        return CommitStatus(context, state, description, url or self._event.run_url)

    def _decided_status(self, result: GateDecision) -> CommitStatus:
        state, in_queue = CommitState.SUCCESS, self._event.name == "merge_group"  # where no one waits for a review
        if result.needs_approval and not in_queue:
            state = CommitState.PENDING
        elif result.blocks:
            state = CommitState.FAILURE
        description = format_description(summarize(result), _note(result))
        url = result.link or result.worst.dashboard_url
        return self._status(self._subject.context_of(result.gate.name), state, description, url)


def _note(result: GateDecision) -> str:
    if result.needs_approval:
        return "needs an approval"
    if result.approval and result.approved:
        return f"approved by {', '.join(result.approval.approved_by)}"
    if result.decision is Decision.SKIPPED:
        return "no changed file matches its paths"
    effect = "" if result.decision is Decision.PASS or result.blocks else "does not block"
    return joined(
        ": ", effect, result.reason.rstrip(".") if result.decision in {Decision.ERROR, Decision.PENDING} else ""
    )
