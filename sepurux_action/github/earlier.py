"""What earlier runs left: the decisions in the statuses of the commit, and the signed state in the comment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial

from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.published_result import CommitResults
from sepurux_action.evaluation.result import Evaluated, of_status
from sepurux_action.evaluation.runs import Runs
from sepurux_action.github.bounded_calls import READS_S, BoundedCalls
from sepurux_action.github.comment_state import CommentState
from sepurux_action.github.commit import PublishedStatus
from sepurux_action.github.permissions import Operation
from sepurux_action.github.record import Record
from sepurux_action.github.snapshot import Comment, Snapshot
from sepurux_action.github.soft_gate import ReviewGate
from sepurux_action.github.subject import Subject, fetch_more_comments


class Earlier:
    """What earlier runs left about a subject. Without a `record`, no decision of theirs counts."""

    def __init__(self, calls: BoundedCalls, subject: Subject, reviews: ReviewGate) -> None:
        self._calls, self._subject, self._reviews = calls, subject, reviews
        event, self._commit, self._line = subject.event, subject.event.commit, subject.state_line
        records = calls.connected and subject.settings.status and event.commit and event.keeps_fail
        self.record = Record(event.commit, subject.commit.account) if records else None
        self._page = subject.snapshot
        self._read_state = cache(self._line.read)  # each gate needs the state

    def recorded_fails(self, gates: Sequence[Gate]) -> dict[str, Evaluated | None]:
        """Return each `fail` at this commit that an earlier run published, by gate; None if that could not be read.

        One is left out if this run may evaluate again. Without statuses there is no record. The reads at the start
        share the time that begins here.
        """
        self._calls.set_timeout(READS_S)
        found = dict[str, Evaluated | None]()
        if self.record is None:
            return found
        by_context = {self._subject.context_of(gate): gate for gate in gates}
        if unknown := self.record.without_decision(by_context, self._subject.commit.statuses):
            self._calls.try_call(Operation.STATUSES, partial(self.record.read, contexts=unknown))
        for context, gate in by_context.items():
            status = self.record.recorded_fail(context)
            if not self.record.is_known(context):
                found[gate.name] = None
            elif status and not self._reviews.may_evaluate_again(gate.reviewers):
                found[gate.name] = self._as_recorded(gate, status)
        return found

    def new_fails(self, gates: Sequence[Gate]) -> Mapping[str, Evaluated] | None:
        """Return the `fail` of each gate that another run published meanwhile, by name; None if it could not be read.

        No status is `success`, and no decision `pass`, without this read, after a signal neither.
        """
        if self.record is None or not gates:
            return {}
        self._calls.set_timeout(READS_S)
        by_context = {self._subject.context_of(gate): gate for gate in gates}
        self.record.watch(by_context, self._calls.now())
        found = self._calls.try_call(Operation.STATUSES, self.record.new_fails)
        if found is None:
            return None
        return {by_context[each].name: self._as_recorded(by_context[each], status) for each, status in found.items()}

    def _as_recorded(self, gate: Gate, status: PublishedStatus) -> Evaluated:
        """Return a `fail` with the numbers of its status, and with what failed if the comment says so."""
        self.load_comments()
        recorded = replace(self._reviews.who_evaluates_again(gate.reviewers), link=status.url)
        of_comment = (state.recorded_fail(gate.name, self._commit, status.url) for state in self._states())
        if (kept := next(filter(None, of_comment), None)) and (earlier := kept.worst.earlier):
            at = datetime.fromtimestamp(earlier.at, UTC)
            day = f" on {at.date()}" if at.date() != self._subject.started.date() else ""
            return replace(kept, recorded=replace(recorded, run=earlier, at=f"{at:%H:%M} UTC{day}"))
        at_sepurux = "" if status.url.startswith(self._subject.event.url("actions", "runs")) else status.url
        return replace(of_status(status.description, at_sepurux), recorded=recorded)

    def load_comments(self, enough: Callable[[Iterable[Comment]], object] | None = None) -> Snapshot:
        """Read further pages of comments until there are `enough`: by default the gate's own, for the state in it."""
        self._page = fetch_more_comments(self._calls, self._subject.event, self._page, enough or self._line.ours)
        return self._page

    @property
    def history(self) -> tuple[CommitResults, ...]:
        """Return the results of this pull request's earlier commits, the oldest first."""
        return next(self._states(), CommentState()).before(self._commit)

    def unfinished_runs(self, gate: Gate) -> Runs:
        """Return the runs that an earlier workflow run started for this commit and gate, and that it left pending."""
        if not self._subject.has_comment:
            return ()
        return next(filter(None, (state.find_unfinished(gate, self._commit) for state in self._states())), ())

    def _states(self) -> Iterator[CommentState]:
        return (self._read_state(comment.body) for comment in self._line.ours(self._page.comments))
