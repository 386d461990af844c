"""Reads the pull request of a run from GitHub and publishes its statuses and comment, each part within its own time.

Nothing here changes results or exit status, whatever GitHub responds. Source: docs/configuration.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from operator import methodcaller
from typing import TypeVar

from sepurux_action.common import json_reader
from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.config.options import CommentMode
from sepurux_action.config.path_filter import ChangedFile, lists
from sepurux_action.config.policy import PolicyNote, misnamed
from sepurux_action.config.policy_parser import workflow_triggers
from sepurux_action.config.settings import MAX_CONTEXT_LENGTH, Settings
from sepurux_action.config.stage import Stage
from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.evaluation import published_result
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.enforcement import ApprovalStatus
from sepurux_action.evaluation.published_result import Baseline, CommitResults, PreviousResult
from sepurux_action.evaluation.result import Evaluated, GateResult, of_status, summarize
from sepurux_action.evaluation.runs import Runs, WorkflowRun
from sepurux_action.github import comment_state
from sepurux_action.github.calls import FIRST_READ_S, READS_S, BoundedCalls
from sepurux_action.github.client import CommitState, CommitStatus, GitHubClient
from sepurux_action.github.comment_state import CommentState, State
from sepurux_action.github.event import REVIEW, Event, as_ambiguous, resolve
from sepurux_action.github.permissions import Operation
from sepurux_action.github.record import DECIDED, FAILED, Record
from sepurux_action.github.snapshot import (
    MAX_PAGES,
    PAGE,
    RECENT_PULL_REQUESTS,
    Comment,
    PublishedStatus,
    Snapshot,
    policy_ref,
    reads_head,
)
from sepurux_action.github.soft_gate import ReviewGate
from sepurux_action.github.sticky_comment import StickyComment
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.output import Output

STATUSES_S = 55.0  # for all decided statuses; the same for those that are set during the evaluation
FRESH_S = 1.0  # after which the statuses are read once more before one that hides a `fail` of another run
COMMENT_S = 20.0  # for comment and review requests, added to what the statuses left: with READS_S at most 90 s
# After a signal, the program must exit within 5 s: one attempt at each call.
READS_AFTER_SIGNAL_S = 1.0  # for the record and the pull request
STATUSES_AFTER_SIGNAL_S = 2.0
NOTICE_AFTER_SIGNAL_S = 1.0  # added to what the statuses left
MAX_LOOKUPS = 3  # the result of a lookup may require another one
UNKNOWN_PULL_REQUEST = "the pull request of this run"
NEWER_COMMIT = "the pull request has a newer commit, which gets a run of its own"
UNKNOWN_COMMENTS = (
    f"not all comments of the pull request could be read (the gate reads {MAX_PAGES * PAGE:,}), "
    "and one of them may be its own"
)
LOST = (
    "Once this pull request is merged, no gate sets {} any more, but a ruleset requires {it}, so every pull request "
    "would wait for {it}. Change the ruleset too."
)
INVALID_POLICY = "this pull request makes the policy invalid"
BASE_CHANGED = "the base branch has changed"
RERUN = "; re-run the job"
MAX_COMMENT_LENGTH = 65_000  # characters; GitHub accepts 65,536
FAILED_MEANWHILE = ErrorDetails(message="another run failed in the meantime, and its status stays")
AGAIN = "evaluating once more"
MIN_DECIDED = 10  # results; with fewer, one flaky run changes the advice on the next stage
MAX_BLOCKED_PERCENT = 10  # of the results; teams soon turn off a gate that blocks more
NEXT_STAGE = {Stage.OBSERVE: Stage.SOFT, Stage.SOFT: Stage.HARD}  # the vendor's rollout advice
BLOCKING_FIRST = (CommitState.FAILURE, CommitState.PENDING, CommitState.SUCCESS)


T = TypeVar("T")


class GitHubSession:
    """What one run reads from GitHub and publishes there, about one event; nothing without a client.

    `signing_key` signs the state in the comment; without it there is no state.
    """

    def __init__(
        self, client: GitHubClient | None, timeouts: Timeouts, output: Output, event: Event, *, signing_key: str = ""
    ) -> None:
        self.snapshot = Snapshot()
        self.settings = Settings()  # those known so far, which say how to publish
        self.started = datetime.now(UTC)
        self.connected = client is not None
        self._output = output
        self._calls = BoundedCalls(client, timeouts, output, event)
        self._calls.set_timeout(FIRST_READ_S)
        self.soft_gate = ReviewGate(self._calls)
        self._signing_key = signing_key
        self._now: Snapshot | None = None  # the pull request after the evaluation, with the first page of comments
        self._notice = ""  # this run's line above the result of an earlier commit
        self._shutting_down = False
        self._record: Record | None = None
        self._new_fails: Callable[[GitHubClient], Mapping[str, PublishedStatus]] = lambda _: {}  # by context
        self._read_at = 0.0  # when they were read
        self._early_s = STATUSES_S  # left for all statuses that are set during the evaluation
        self._set: dict[str, CommitStatus] = {}  # the last status of each context, in lower case, that this run set
        self._read_state = cache(CommentState.read)  # each gate needs the state

    @property
    def event(self) -> Event:
        return self._calls.event

    @property
    def base_left_out(self) -> ErrorDetails | None:
        return self._calls.base_left_out

    # -- before the evaluation --------------------------------------------------------------------------------------

    def load(self, config: str) -> None:
        """Find the pull request of the run, and fetch the first snapshot with the policy file at the path `config`.

        If that fails, the snapshot says that the policy could not be read. The payload of a re-run is that of the first
        run, so if the pull request has another base branch now, the policy of that branch is fetched instead.
        """
        if not self.connected:
            return
        for _ in range(MAX_LOOKUPS):
            if (lookup := self.event.lookup) is None:
                break
            find = methodcaller("find_pull_requests", lookup)
            try:
                self._calls.event = resolve(self.event, self._calls.call_until_deadline(Operation.FIND, find))
            except GitHubError as error:
                which = UNKNOWN_PULL_REQUEST if lookup.commit else f"pull request {lookup.number}"
                why = f"{which} could not be read ({error.details.summary})"
                self._calls.event = as_ambiguous(self.event, why, error.details)
        if self.event.pull_request is None:
            what = "no comment" if self.event.commit else "no comment and no status"
            self._output.log(f"{what}: {self.event.no_pr_reason}")
        elif self.event.closed:
            self._output.log(f"no comment: pull request {self.event.pull_request} is closed")
        if self.event.skip_reason:
            return
        self.snapshot = self._calls.fetch_first_snapshot(config)
        pull = self.snapshot.pull_request
        if pull and self._new_base(self.snapshot) and self.event.name != "merge_group":
            then, now = map(json_reader.preview, (self.event.base_ref, pull.base_ref))
            self._output.log(f"the base branch is now {now}, and not {then} as in the event's payload")
            self._calls.event = replace(self.event, base_ref=pull.base_ref, base_sha=pull.base_sha)
            self.snapshot = self._calls.fetch_first_snapshot(config)

    def load_base(self, gates: Iterable[Gate]) -> None:
        """Read the base branch alone, once, if the first snapshot is without it and a gate limits a drop."""
        if (why := self.base_left_out) is None:
            return
        base, alone = Snapshot(error=why), replace(self.event, pull_request=None)
        if any(options.DROPS & set(gate.limits) for gate in gates):
            try:
                base = self._calls.call(methodcaller("fetch_snapshot", alone), retry=False)
            except GitHubError as error:
                base = Snapshot(error=error.details)
        if base.baselines is not None:
            self.snapshot = replace(self.snapshot, baselines=base.baselines, base_commits=base.base_commits)
        else:
            why, denied = base.error or why, base.denied or Operation.BASE
            self.snapshot = replace(self.snapshot, error=why, denied=denied)
            self._calls.warn(denied, why)

    def publish_config_error(self, gates: Sequence[str]) -> None:
        """Set a failed status when nothing can be evaluated, because an earlier status may be green.

        This is for the gates that inputs name, and for each status of the gate that the commit already has: one with
        the prefix of `status_context`, or with a description that a run of the gate wrote. The second test is needed
        because a policy that cannot be read may set another prefix. If the first snapshot lacks the statuses, because
        GraphQL did not respond, they are read by REST, after those of the given gates are set.
        """
        self._calls.set_timeout(STATUSES_AFTER_SIGNAL_S if self._shutting_down else STATUSES_S)
        event, known = self.event, self.snapshot.statuses
        bases = list(dict.fromkeys(pull.base_ref for pull in event.matches)) or [event.branch]
        given = [self.settings.context_of(gate, base) for base in bases for gate in gates]
        self._set_failed(given)
        if known is None and self.settings.status and event.commit:
            read = methodcaller("statuses", event.commit, self.snapshot.account)
            known = self._calls.try_call(Operation.STATUSES, lambda github: tuple(read(github)))
            self.snapshot = replace(self.snapshot, statuses=known)
        prefixes = tuple(self.settings.context_of("", base).lower() for base in bases)
        own = [
            each.context
            for each in known or ()
            if each.context.lower().startswith(prefixes) or published_result.parse_description(each.description)
        ]
        self._set_failed(context for context in own if context.lower() not in map(str.lower, given))

    def _set_failed(self, contexts: Iterable[str]) -> None:
        unread = self.snapshot.policy.error and policy_ref(self.event)
        note = "the policy could not be read" if unread else "invalid settings"
        note = self.event.no_pr_reason if self.event.ambiguous else note
        result = PreviousResult(decision=Decision.ERROR, stage=Stage.HARD, numbers={})
        description = published_result.format_description(result, note)
        self._set_statuses(CommitStatus(context, CommitState.FAILURE, description) for context in contexts)

    def read_record(self, gates: Sequence[Gate]) -> None:
        """Read the decisions on this commit that earlier runs published. Without statuses there is no record.

        The reads at the start share the time that begins here.
        """
        self._calls.set_timeout(READS_S)
        if not (self.connected and self.settings.status and self.event.commit and self.event.keeps_fail):
            return
        self._record = record = Record(self.event.commit)
        contexts = [self.context_of(gate.name).lower() for gate in gates]
        if unknown := record.without_decision(contexts, self.snapshot.statuses):
            read = partial(record.read, contexts=unknown, account=self.snapshot.account)
            self._calls.try_call(Operation.STATUSES, read)

    def knows_record(self, gate: Gate) -> bool:
        return self._record is None or self._record.is_known(self.context_of(gate.name).lower())

    def publish_pending(self, gates: Iterable[str]) -> None:
        """Set the pending status of each gate."""
        running = "the evaluation is running"
        self._set_statuses(CommitStatus(self.context_of(gate), CommitState.PENDING, running) for gate in gates)

    def load_more_comments(self) -> None:
        """Fetch further pages of comments until the gate's own comment is found, for the state in it."""
        self.snapshot = self._calls.fetch_more_comments(self.snapshot, enough=self._ours)

    def baseline(self, gate: Gate) -> Baseline | None:
        """Return the results that a gate is compared with, None if they could not be read."""
        if self.snapshot.baselines is None:
            return None
        return self.snapshot.baselines.get(self.context_of(gate.name).lower(), Baseline()).for_gate(gate)

    def context_of(self, gate: str) -> str:
        return self.settings.context_of(gate, self.event.branch)

    @property
    def previous_results(self) -> tuple[CommitResults, ...]:
        """Return the results of this pull request's earlier commits, the oldest first."""
        state = next(self._own_states(), State())
        return tuple(commit for commit in state.commits if commit.commit != self.event.commit)

    def _own_states(self) -> Iterator[State]:
        return (self._read_state(self._comment_state, comment.body) for comment in self._ours(self.snapshot))

    def _ours(self, snapshot: Snapshot) -> tuple[Comment, ...]:
        """Return the comments with the marker, the oldest first; there is more than one after a race."""
        return tuple(each for each in snapshot.comments if each.body.startswith(self._comment_state.marker))

    @cached_property
    def changed_files(self) -> tuple[ChangedFile, ...] | None:
        """Return the files that the pull request changes, None if not known; `is_current` confirms the head then."""
        number = self.event.pull_request
        if number is None or not self._has_event_commit(self.snapshot):
            return None
        return self._calls.try_call(Operation.FILES, lambda github: github.changed_files(number))

    def changes_policy(self, path: str) -> bool:
        """Return whether the pull request or merge group changes the policy file.

        A branch may be behind its base, so another content is a change unless the list of changed files lacks the file.
        """
        policy, head = self.snapshot.policy, self.snapshot.head_policy
        if policy.error or head == policy or not reads_head(self.event):
            return False
        return lists(self.changed_files, path, misnamed(path)) or not self.is_current()

    def is_current(self) -> bool:
        """Fetch the pull request again; return whether it still has the evaluated commit and the same base."""
        now = self._calls.try_call(Operation.READ, lambda github: github.fetch_snapshot(self.event, with_base=False))
        return now is not None and self._has_event_commit(now)

    def stage_advice(self, gate: str, stage: Stage, *, scheduled: bool) -> str:
        """Return advice on the next stage, or that no rule requires a `hard` gate; '' if there is no advice."""
        base, number = self.event.base_ref, self.event.pull_request
        if not base or number is None or not self.settings.status:
            return ""
        context = self.context_of(gate).lower()
        if stage is Stage.HARD:
            if self._required is None or context in self._required:
                return ""
            return (
                f"No ruleset of `{base}` requires the status `{self.context_of(gate)}`, so this gate blocks no merge. "
                "Require it under `Settings > Rules > Rulesets`. (The gate cannot read classic branch protection.)"
            )
        if self._recent is None:
            return ""
        newest = (results[context] for results in self._recent if context in results)
        return advise(stage, newest, scheduled=scheduled)

    @cached_property
    def _required(self) -> Mapping[str, str] | None:
        return self._calls.try_call(Operation.RULES, lambda github: github.required_contexts(self.event.base_ref))

    def lost_statuses(self, now: Settings, merged: Settings) -> tuple[PolicyNote, ...]:
        """Return a note for each ruleset that requires statuses that no gate sets with the settings after the merge."""
        kept = {merged.context_of(gate.name, self.event.branch).lower() for gate in merged.gates if merged.status}
        old = (now.context_of(gate.name, self.event.branch) for gate in now.gates if now.status)
        lost: dict[str, list[str]] = {}
        for context in (each for each in old if each.lower() not in kept):
            if page := (self._required or {}).get(context.lower()):
                lost.setdefault(page, []).append(f"`{context}`")
        server = self.event.server_url
        return tuple(
            PolicyNote(
                LOST.format(", ".join(names), it="them" if names[1:] else "it"),
                "ruleset",
                json_reader.safe_url(f"{server}/{page}"),
            )
            for page, names in lost.items()
        )

    @cached_property
    def _recent(self) -> tuple[Mapping[str, PreviousResult], ...] | None:
        return self._calls.try_call(Operation.PULLS, lambda github: github.recent_results(self.event.base_ref))

    def recorded_fail(self, gate: Gate) -> Evaluated | None:
        """Return the gate's `fail` at this commit that an earlier run published, unless this run may evaluate again."""
        status = self._record.fail(self.context_of(gate.name).lower()) if self._record else None
        if status is None or self.soft_gate.may_evaluate_again(self.snapshot.pull_request, gate.reviewers):
            return None
        return self._as_recorded(gate, status)

    def new_fails(self, gates: Sequence[Gate]) -> Mapping[str, Evaluated] | None:
        """Return the `fail` of each gate that another run published meanwhile, by name; None if it could not be read.

        No status is `success`, and no decision `pass`, without this read, after a signal neither.
        """
        if self._record is None or not gates:
            return {}
        if not self._shutting_down:
            self._calls.set_timeout(READS_S)
        contexts = {self.context_of(gate.name).lower(): gate for gate in gates}
        self._read_at = self._calls.timeouts.now()
        self._new_fails = partial(self._record.new_fails, contexts=contexts, account=self.snapshot.account)
        found = self._calls.try_call(Operation.STATUSES, self._new_fails, retry=not self._shutting_down)
        if found is None:
            return None
        return {contexts[each].name: self._as_recorded(contexts[each], status) for each, status in found.items()}

    def _as_recorded(self, gate: Gate, status: PublishedStatus) -> Evaluated:
        """Return a `fail` with the numbers of its status, and with what failed if the comment says so."""
        self.load_more_comments()
        who = self.soft_gate.who_evaluates_again(self.snapshot.pull_request, gate.reviewers)
        of_comment = (state.find_fail(gate.name, self.event.commit, status.url) for state in self._own_states())
        recorded = replace(who, link=status.url)
        if (kept := next(filter(None, of_comment), None)) and (earlier := kept.worst.earlier):
            at = datetime.fromtimestamp(earlier.at, UTC)
            day = f" on {at.date()}" if at.date() != self.started.date() else ""
            return replace(kept, recorded=replace(recorded, run=earlier, at=f"{at:%H:%M} UTC{day}"))
        at_sepurux = "" if status.url.startswith(self.event.url("actions", "runs")) else status.url
        return replace(of_status(status.description, at_sepurux), recorded=recorded)

    def unfinished_runs(self, gate: Gate) -> Runs:
        """Return the runs that an earlier workflow run started for this commit and gate, and that it left pending."""
        if not self._writes_comment:
            return ()
        return next(filter(None, (state.find_unfinished(gate, self.event.commit) for state in self._own_states())), ())

    def approval(self, reviewers: tuple[str, ...]) -> ApprovalStatus:
        status = self.soft_gate.approval(self.snapshot.pull_request, reviewers)
        triggers = workflow_triggers(self.snapshot.workflow)
        by_review = not triggers or REVIEW in triggers
        return replace(
            status,
            rerun_needed=status.possible and not status.unread and not by_review,
            read_only=self.event.fork and self.event.name == REVIEW,
        )

    # -- after the evaluation ---------------------------------------------------------------------------------------

    def enter_shutdown(self, timeouts: Timeouts) -> None:
        """Allow one attempt at each status, after a signal. `timeouts` are new: the signal interrupted the others."""
        self._calls.timeouts = timeouts
        self._shutting_down = True
        self._calls.set_timeout(READS_AFTER_SIGNAL_S)

    def read_again(self) -> None:
        """Read the pull request again after the evaluation: with another base branch, another policy applies."""
        if not self._shutting_down:
            self._calls.set_timeout(READS_S)
        if self.event.pull_request is None or not (self.settings.status or self._writes_comment):
            return
        self._now = self._calls.fetch_page()
        if new_base := self._new_base(self._now):
            then, now = map(json_reader.preview, (self.event.base_ref, new_base))
            changed = f"The base branch of the pull request has changed from {then} to {now} since the policy was read"
            self._calls.warn_once(f"{changed}, so each status is `failure`. Re-run the job.")

    def publish_fail(self, result: GateResult, *, may_change: bool) -> None:
        """Set the status of a gate that certainly fails; it is pending if a second evaluation may change that.

        What all gates wait for this is limited, because GitHub may hang; each status is set again in the end.
        """
        self._calls.set_timeout(self._early_s)
        status = self._decided_status(result)
        if may_change:
            published = summarize(result)
            description = published_result.format_description(published, AGAIN if published.numbers else "")
            status = replace(status, state=CommitState.PENDING, description=description)
        self._set_statuses([status])
        self._early_s = self._calls.left

    def publish_results(self, results: Sequence[GateResult]) -> None:
        """Set the decided status of each gate; those that block come first. The time for all effects begins here."""
        self._calls.set_timeout(STATUSES_AFTER_SIGNAL_S if self._shutting_down else STATUSES_S)
        statuses = map(self._decided_status, results)
        self._set_statuses(sorted(statuses, key=lambda status: BLOCKING_FIRST.index(status.state)))
        self._calls.extend(COMMENT_S)

    def publish_comment(self, results: Sequence[GateResult], body: Callable[[str, str], str]) -> str:
        """Create or edit the comment; return its address or ''. `body` gets its first and its last line."""
        if self._now is None or not self._writes_comment or self.event.skip_reason:
            return ""
        now = self._calls.fetch_more_comments(self._now)
        if why := self._no_comment_reason(now):
            self._output.log(f"no comment: {why}")
            return ""
        # Another run may have changed the state since the first snapshot.
        self.snapshot = replace(self.snapshot, comments=now.comments)
        ours = self._ours(now)
        passed = all(result.decision in {Decision.PASS, Decision.SKIPPED} for result in results)
        if not ours and passed and self.settings.comment is CommentMode.ON_FAILURE:
            return ""
        newest = CommitResults(
            commit=self.event.commit,
            results={result.gate.name: summarize(result) for result in results},
        )
        here = WorkflowRun(self.event.run_url, self.started.timestamp())
        commits = (*self.previous_results, newest)
        before = next(self._own_states(), State()).fails_at(self.event.commit)
        kept = State(
            commits=commits,
            fails={**before, **comment_state.fails_of(results, here)},
            unfinished=comment_state.unfinished_of(results, here),
        )
        place, old_body = self._comment_state, ours[0].body if ours else ""
        comment = StickyComment(self._calls, place.marker, now.account)
        return comment.upsert(ours, body(place.marker, place.write(kept, old_body)))

    def publish_notice(self, notice: Callable[..., tuple[str, str]], key: str) -> None:
        """Say in the existing comment how the evaluated commit goes, if its report is about another commit.

        `notice` gets that commit, the symbol of the report, and whether it is collapsed; it returns the text above the
        report, and a summary to collapse it. Without a `key`, it is the token's only comment with a marker. After a
        signal, the text replaces the line that this run wrote, if that is still there.
        """
        ours = self._comments_with_notice() if self._shutting_down else self._comments_to_notice(key)
        earlier = comment_state.earlier_of(ours[0].body) if ours else comment_state.Earlier("", "", collapsed=False)
        if earlier.commit not in {"", self.event.commit}:
            self._notice, summary = notice(earlier.commit, earlier.symbol, collapsed=earlier.collapsed)
            text = comment_state.with_line(ours[0].body, self._notice)
            if summary:
                text = comment_state.with_title(ours[0].body, self._notice, summary, MAX_COMMENT_LENGTH)
            edit = methodcaller("edit_comment", ours[0], text)
            self._calls.try_call(Operation.COMMENT, edit, retry=not self._shutting_down)

    def _comments_with_notice(self) -> Sequence[Comment]:
        """Return the comment with the line that this run wrote, after a signal; () if another run has replaced it."""
        if not self._notice:
            return ()
        self._calls.extend(NOTICE_AFTER_SIGNAL_S)
        newest = methodcaller("newest_comments", self.event.pull_request, self.snapshot.account)
        listed = self._calls.try_call(Operation.COMMENTS, newest, retry=False)
        return [each for each in listed or () if self._notice in each.body]

    def _comments_to_notice(self, key: str) -> Sequence[Comment]:
        if not (self._writes_comment and self._has_event_commit(self.snapshot)):
            return ()
        if key:
            self.settings = replace(self.settings, comment_key=key)
            self.load_more_comments()
            return self._ours(self.snapshot)
        self.snapshot = self._calls.fetch_more_comments(self.snapshot)
        marked = [each for each in self.snapshot.comments if each.body.startswith(f"<!-- {comment_state.MARKER}:")]
        return marked if len(marked) == 1 and self.snapshot.comments_known else ()

    def _no_comment_reason(self, now: Snapshot) -> str:
        head = now.pull_request.head_sha if now.pull_request else ""
        if not head:
            return "the pull request could not be read"
        if head != self.event.commit:
            own = "a merge group has a commit of its own"
            return own if self.event.name == "merge_group" else NEWER_COMMIT
        if self._new_base(self._now):
            return "the base branch of the pull request has changed"
        return "" if now.comments_known else UNKNOWN_COMMENTS

    def _new_base(self, snapshot: Snapshot | None) -> str:
        """Return the base branch of the pull request in a snapshot if the event has another one, else ''."""
        pull = snapshot.pull_request if snapshot else None
        return pull.base_ref if pull and pull.base_ref != self.event.base_ref else ""

    @property
    def _writes_comment(self) -> bool:
        return self.settings.comment is not CommentMode.NEVER and not self.event.closed

    def _has_event_commit(self, snapshot: Snapshot) -> bool:
        """Return whether the pull request in a snapshot has the event's commit as its head, and the event's base."""
        pull, event = snapshot.pull_request, self.event
        now = (pull.head_sha, pull.base_ref) if pull else None
        return bool(event.commit) and now == (event.commit, event.base_ref)

    @property
    def _comment_state(self) -> CommentState:
        return CommentState(
            signing_key=self._signing_key,
            repository=self.event.repository,
            pull_request=self.event.pull_request or 0,
            key=self.settings.comment_key,
        )

    def _set_statuses(self, statuses: Iterable[CommitStatus]) -> None:
        """Set each status once, as GitHub ignores the case of a context; leave out one whose context is too long."""
        unique: dict[str, CommitStatus] = {}
        for status in statuses:
            if len(status.context) <= MAX_CONTEXT_LENGTH and self._set.get(status.context.lower()) != status:
                unique.setdefault(status.context.lower(), status)
        if self.settings.status and self.event.commit:
            self._calls.try_each(
                Operation.STATUS, {status.context: partial(self._set_status, status) for status in unique.values()}
            )

    def _set_status(self, status: CommitStatus) -> None:
        """Set a status, without its link if GitHub rejects it with one; raises GitHubError."""
        linked = replace(status, url=status.url or self.event.run_url)
        try:
            self._send(linked)
        except GitHubError as error:
            if not (linked.url and error.details.of_one_target):
                raise
            self._send(replace(status, url=""))
            why = error.details.summary
            self._calls.warn_once(f"GitHub refused the link of a commit status ({why}), so the status has no link.")
        self._set[status.context.lower()] = status

    def _send(self, status: CommitStatus) -> None:
        if self._record:
            self._record.note_link(status.description, status.url)  # also if the response is lost
        number = self._calls.call(partial(self._post, status), retry=not self._shutting_down)
        if self._record:
            self._record.note_set(number)

    def _post(self, status: CommitStatus, github: GitHubClient) -> int:
        """Set a status, and return its id; raises GitHubError if it would hide a new `fail` of another run.

        Setting other statuses, or waiting until GitHub accepts this one, may take long after the record was read.
        """
        now = self._calls.timeouts.now()
        if hides_fail(status) and now - self._read_at > FRESH_S:
            found = self._new_fails(github)
            if status.context.lower() in found:
                raise GitHubError(FAILED_MEANWHILE)
            self._read_at = self._read_at if found else now
        return github.set_status(self.event.commit, status)

    def _decided_status(self, result: GateResult) -> CommitStatus:
        state = CommitState.FAILURE if result.blocks else CommitState.SUCCESS
        state = CommitState.PENDING if result.needs_approval else state
        note = _status_note(result)
        if self._new_base(self._now):
            state = CommitState.FAILURE
            note = BASE_CHANGED if result.decision is Decision.FAIL else BASE_CHANGED + RERUN
        description = published_result.format_description(summarize(result), note)
        url = result.recorded.link if result.recorded else result.worst.run.dashboard_url
        return CommitStatus(self.context_of(result.gate.name), state, description, url)


def hides_fail(status: CommitStatus) -> bool:
    success = status.state is CommitState.SUCCESS or status.description.startswith(DECIDED)
    return success and not status.description.startswith(FAILED)


def _status_note(result: GateResult) -> str:
    run = result.recorded.run.number if result.recorded and result.recorded.run else ""
    evaluated_by = f"evaluated by run {run}" if run else ""
    return "; ".join(filter(None, (_note(result), evaluated_by)))


def _note(result: GateResult) -> str:
    if result.invalid_policy:
        return INVALID_POLICY
    if result.needs_approval:
        return "needs an approval"
    if result.approval and result.approval.approved:
        return f"approved by {', '.join(result.approval.approved_by)}"
    if result.decision is Decision.SKIPPED:
        return "no changed file matches its paths"
    if result.decision.is_undecided:
        reason = result.reason.rstrip(".")
        return reason if result.blocks else f"does not block: {reason}"
    return "does not block" if result.decision is Decision.FAIL and not result.blocks else ""


def advise(stage: Stage, newest: Iterable[PreviousResult], *, scheduled: bool) -> str:
    """Return what `hard` would have blocked of the last pull requests, and the advice; '' in the last stage, `hard`.

    `scheduled`: the policy sets the date of a stricter stage already.
    """
    if stage not in NEXT_STAGE:
        return ""
    blocks = [result.decision is Decision.FAIL for result in newest if result.decision.is_decided]
    if len(blocks) == 1:
        would = "would" if blocks[0] else "would not"
        text = f"With `hard`, the last evaluated pull request {would} have been blocked."
    elif blocks:
        which = f"{sum(blocks) or 'none'} of the last {len(blocks)} evaluated pull requests"
        text = f"With `hard`, {which} would have been blocked."
    else:
        text = f"None of the last {RECENT_PULL_REQUESTS} pull requests was evaluated."
    if len(blocks) < MIN_DECIDED:
        return f"{text} Keep `{stage}` until {MIN_DECIDED} are evaluated."
    if sum(blocks) * 100 > MAX_BLOCKED_PERCENT * len(blocks):
        limit = f"at most {MAX_BLOCKED_PERCENT}% would have been blocked"
        return f"{text} Keep `{stage}` until {limit}: fix what fails, or change the thresholds."
    return text if scheduled else f"{text} Set `enforcement: {NEXT_STAGE[stage]}`."
