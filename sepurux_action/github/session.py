"""Owns what the gate reads of GitHub and says to it, in which order and within which time.

Never a verdict: whatever GitHub answers, the results and the exit status are as without it. Source: contract,
sections 4 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import assert_never

from sepurux_action.config import status_context
from sepurux_action.config.gate import Gate
from sepurux_action.config.options import CommentMode
from sepurux_action.config.path_filter import ChangedFile
from sepurux_action.config.settings import PublishOptions
from sepurux_action.config.stage import Stage
from sepurux_action.config.status_context import MAX_CONTEXT_LENGTH
from sepurux_action.errors import GitHubError
from sepurux_action.evaluation import published_result
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.fingerprint import fingerprint
from sepurux_action.evaluation.published_result import CommitResults, PreviousResult
from sepurux_action.evaluation.result import GateResult, RunResult
from sepurux_action.github import comment_state
from sepurux_action.github.calls import FIRST_READ_S, READS_S, WRITES_A_MINUTE, BoundedCalls
from sepurux_action.github.comment_state import CommentState
from sepurux_action.github.commit_status import CommitState
from sepurux_action.github.event import ByNumber, Event, as_ambiguous, resolve
from sepurux_action.github.permissions import Operation
from sepurux_action.github.protocol import GitHubClient
from sepurux_action.github.snapshot import MAX_PAGES, PAGE, Snapshot
from sepurux_action.github.soft_gate import ReviewGate
from sepurux_action.github.stage_advice import advise
from sepurux_action.github.sticky_comment import StickyComment
from sepurux_action.host.protocols import Output, Timeouts

STATUSES_S = 70.0  # all decided statuses
COMMENT_S = 20.0  # beside what the statuses left over: comment and review requests; together with them 90 s
AFTER_SIGNAL_S = 3.0  # for one try of the status; the whole program has to be out within 5 s
MAX_QUESTIONS = 3  # an answer may raise another question, but not for ever
MAX_PENDING = WRITES_A_MINUTE // 2  # pending statuses of a large step, so that the decided ones can follow at once
LARGE_STEP = 20  # gates; a larger step sets a pending status only where an older status would show meanwhile
UNKNOWN_COMMENTS = (
    f"no comment: not all comments of the pull request could be read (the gate reads {MAX_PAGES * PAGE:,}), "
    "and one of them may be its own"
)
BLOCKING_FIRST = (CommitState.FAILURE, CommitState.PENDING, CommitState.SUCCESS)


@dataclass(frozen=True, slots=True)
class _Status:
    context: str
    state: CommitState
    description: str
    url: str = ""


class GitHubSession:
    """One run's talk with GitHub, about one event."""

    def __init__(self, client: GitHubClient, clock: Timeouts, output: Output, event: Event, *, secret: str) -> None:
        """Take who takes part; `secret` signs the comment's memory, '' leaves it out."""
        self.snapshot = Snapshot()
        self._client = client
        self._output = output
        self._calls = BoundedCalls(clock, output, event)
        self._calls.set_timeout(FIRST_READ_S)
        self.soft_gate = ReviewGate(client, self._calls)
        self._options = PublishOptions(key="")
        self._signing_key = secret
        self._statuses_s = STATUSES_S
        self._shutting_down = False

    @property
    def event(self) -> Event:
        """Return the event, settled once `listen` has returned."""
        return self._calls.event

    # -- at the start -----------------------------------------------------------------------------------------------

    def load(self, config: str) -> bool:
        """Settle which pull request the run belongs to, and read what is there; return whether it could be read.

        `config` is the path of the policy file, which is read with the rest.
        """
        for _ in range(MAX_QUESTIONS):
            if (question := self.event.lookup) is None:
                break
            ask = partial(self._client.find_pull_requests, question)
            found = self._calls.try_until_deadline(Operation.FIND, ask, lambda _: None)
            if found is None:
                self._calls.event = _without_answer(self.event)
                break
            self._calls.event = resolve(self.event, found)
        if self.event.pull_request is None:
            what = "no comment" if self.event.commit else "no comment and no status"
            self._output.log(f"{what}: {self.event.no_pr_reason}")
        if self.event.skip_reason:
            return True
        look = self._calls.fetch_first_snapshot(self._client, config)
        self.snapshot = look or self.snapshot
        return look is not None

    def configure(self, manner: PublishOptions) -> None:
        """Appear in this manner from now on: it is known only once the policy is read."""
        self._options = manner

    def publish_config_error(self, gates: Sequence[str]) -> None:
        """Set a failed status where nothing can be judged, because an earlier status might be green.

        That is for the gates that inputs name, and for each status of ours that this commit already has. A status is
        ours if its context has our prefix, or if a run of the gate wrote its description: a policy that cannot be read
        may set another prefix.
        """
        self._calls.set_timeout(self._statuses_s)
        bases = list(dict.fromkeys(pull.base_ref for pull in self.event.matches)) or [self.event.branch]
        contexts = [self._context(gate, base) for base in bases for gate in gates]
        prefixes = tuple(self._context("", base).lower() for base in bases)
        contexts += [
            context
            for context, description in (self.snapshot.head_contexts or {}).items()
            if context.lower().startswith(prefixes) or published_result.parse_description(description)
        ]
        each_once: dict[str, str] = {}
        for context in contexts:
            if len(context) <= MAX_CONTEXT_LENGTH:
                each_once.setdefault(context.lower(), context)
        why = self.event.no_pr_reason if self.event.ambiguous else "bad settings, or an unreadable policy"
        nothing = PreviousResult(decision=Decision.ERROR, stage=Stage.HARD, metrics=published_result.Metrics())
        description = published_result.format_description(nothing, why)
        self._set_statuses(_Status(context, CommitState.FAILURE, description) for context in each_once.values())

    def publish_pending(self, gates: Iterable[str]) -> None:
        """Set the pending status of each gate, the first thing after the policy; here begins the time for more reads.

        A large step leaves out the gates for which the commit has no status yet, because a required status that is
        missing blocks like a pending one. Of the others it sets at most MAX_PENDING.
        """
        self._calls.set_timeout(READS_S)
        contexts = list(map(self.context_of, gates))
        if len(contexts) > LARGE_STEP and self.snapshot.head_contexts is not None:
            shown = {context.lower() for context in self.snapshot.head_contexts}
            contexts = [context for context in contexts if context.lower() in shown]
        if len(contexts) > LARGE_STEP:
            contexts = contexts[:MAX_PENDING]
        self._set_statuses(_Status(context, CommitState.PENDING, "the evaluation is under way") for context in contexts)

    def load_more_comments(self) -> None:
        """Read the pages of comments behind the first, until there is a comment of ours, for what it remembers."""
        if memory := self._comment_state:
            ours = self._comment_of(memory)
            self.snapshot = self._calls.fetch_more_comments(
                self._client, self.snapshot, enough=lambda look: bool(ours.find_in(look.comments))
            )

    @property
    def baselines(self) -> Mapping[str, PreviousResult]:
        """Return what the base decided last, by lower-case context."""
        return self.snapshot.baselines

    def context_of(self, gate: str) -> str:
        """Return the status context of a gate."""
        return self._context(gate, self.event.branch)

    def _context(self, gate: str, base: str) -> str:
        return status_context.status_context(self._options.status_context, gate, base)

    @property
    def previous_results(self) -> tuple[CommitResults, ...]:
        """Return the results of this pull request's earlier commits, the oldest first."""
        memory = self._comment_state
        ours = self._comment_of(memory).find_in(self.snapshot.comments) if memory else ()
        remembered = memory.read(ours[0].body) if memory and ours else ()
        return tuple(commit for commit in remembered if commit.commit != self.event.commit)

    def changed_files(self) -> tuple[ChangedFile, ...] | None:
        """Return the files that the pull request changes at its head, which `is_current` has to confirm afterwards.

        None: there is no pull request, its head is not the judged commit, or the list cannot be read.
        """
        number = self.event.pull_request
        if number is None or not self._is_judged(self.snapshot):
            return None
        return self._calls.try_call(Operation.FILES, self._client.changed_files, number)

    def is_current(self) -> bool:
        """Fetch the pull request again; return whether its head is still the judged commit, with the same base."""
        now = self._calls.try_call(Operation.READ, self._client.fetch_snapshot, self.event, with_base=False)
        return now is not None and self._is_judged(now)

    def stage_advice(self, gate: str, stage: Stage, *, scheduled: bool) -> str:
        """Return what the past says of the next stage, or of a `hard` gate that nothing requires; '' for nothing.

        `scheduled`: a stricter stage has its day already.
        """
        base, number = self.event.base_ref, self.event.pull_request
        if not base or number is None or not self._options.status:
            return ""
        context = self.context_of(gate).lower()
        if stage is Stage.HARD:
            if self._required is None or context in {each.lower() for each in self._required}:
                return ""
            return (
                f"The status `{self.context_of(gate)}` is not required by a rule of `{base}`: a gate that nothing "
                "requires blocks no merge. (Rules of the older kind, branch protection, cannot be seen from here.)"
            )
        if self._recent is None:
            return ""
        newest = (results[context] for results in self._recent if context in results)
        promotion = advise(stage, newest, scheduled=scheduled)
        return str(promotion) if promotion else ""

    @cached_property
    def _required(self) -> tuple[str, ...] | None:
        return self._calls.try_call(Operation.RULES, self._client.required_contexts, self.event.base_ref)

    @cached_property
    def _recent(self) -> tuple[Mapping[str, PreviousResult], ...] | None:
        return self._calls.try_call(Operation.PULLS, self._client.recent_results, self.event.base_ref)

    def cached_failure(self, gate: Gate, fingerprint: str) -> tuple[RunResult, ...]:
        """Return the run of a `fail` that our own comment remembers for this very commit and fingerprint."""
        memory = self._comment_state
        if memory is None:
            return ()
        for comment in self._comment_of(memory).find_in(self.snapshot.comments):
            decided = memory.read_cached_failures(comment.body)
            run = decided.find(gate, fingerprint, self.event.commit) if decided else None
            if run is not None:
                return (run,)
        return ()

    # -- at the end -------------------------------------------------------------------------------------------------

    def enter_shutdown(self, clock: Timeouts) -> None:
        """Leave only the time for one try, after a signal; `clock` is one that the signal has not interrupted."""
        self._calls.replace_clock(clock)
        self._statuses_s = AFTER_SIGNAL_S
        self._shutting_down = True

    def publish_results(self, results: Sequence[GateResult]) -> None:
        """Set the decided status of each gate; from here on runs the time for effects.

        If the time is too short for all, those that block come first, above all where the commit has an older status.
        """
        self._calls.set_timeout(self._statuses_s)
        shown = {context.lower() for context in self.snapshot.head_contexts or {}}

        def output(status: _Status) -> tuple[int, bool]:
            return BLOCKING_FIRST.index(status.state), status.context.lower() not in shown

        self._set_statuses(sorted(map(self._decided_status, results), key=output))
        self._calls.extend(COMMENT_S)

    def publish_comment(self, results: Sequence[GateResult], body: Callable[[str], str]) -> str:
        """Keep the one comment; return its address, '' where there is none. `body` makes the text below a marker.

        Nothing is written when the pull request has moved on to another commit, or nothing has changed.
        """
        memory = self._comment_state
        if memory is None or self._options.comment is CommentMode.NEVER or self.event.skip_reason:
            return ""
        now = self._calls.fetch_snapshot(self._client)
        if now is None:
            return ""
        head = now.pull_request.head_sha if now.pull_request else ""
        if head != self.event.commit:
            own = "a merge group is judged on a commit of its own"
            newer = "the pull request has a newer commit, which gets a run of its own"
            unread = "" if head else "the pull request could not be read"
            self._output.log(f"no comment: {unread or (own if self.event.name == 'merge_group' else newer)}")
            return ""
        if not now.comments_known:
            self._output.log(UNKNOWN_COMMENTS)
            return ""
        self.snapshot = replace(
            self.snapshot, comments=now.comments
        )  # another run may have added to the memory meanwhile
        kept = self._comment_of(memory)
        ours = kept.find_in(now.comments)
        sound = all(result.decision in {Decision.PASS, Decision.SKIPPED} for result in results)
        if not ours and sound and self._options.comment is CommentMode.ON_FAILURE:
            return ""
        judged = CommitResults(
            commit=self.event.commit,
            results={result.gate.name: published_result.summarize(result) for result in results},
        )
        prints = {result.gate.name: fingerprint(result.gate) for result in results}
        text = body(
            memory.write(
                [*self.previous_results, judged], comment_state.cached_failures_of(results, self.event.commit, prints)
            )
        )
        return kept.upsert(ours, text)

    # -- what all share ---------------------------------------------------------------------------------------------

    def _is_judged(self, look: Snapshot) -> bool:
        """Return whether the pull request, as it was read, has the judged commit as its head, and the event's base."""
        pull, event = look.pull_request, self.event
        if pull is None or not event.commit:
            return False
        return (pull.head_sha, pull.base_ref) == (event.commit, event.base_ref)

    @property
    def _comment_state(self) -> CommentState | None:
        number = self.event.pull_request
        if number is None:
            return None
        return CommentState(
            secret=self._signing_key, repository=self.event.repository, pull_request=number, key=self._options.key
        )

    def _comment_of(self, memory: CommentState) -> StickyComment:
        return StickyComment(self._client, self._calls, memory.marker)

    def _set_statuses(self, statuses: Iterable[_Status]) -> None:
        if self._options.status and self.event.commit:
            self._calls.try_each(
                Operation.STATUS, {status.context: partial(self._set_status, status) for status in statuses}
            )

    def _set_status(self, status: _Status) -> None:
        """Set a status, without its link where GitHub refuses it with one; raises ForgeRefused."""

        def send(url: str) -> None:
            state, description = status.state, status.description
            set_status = partial(self._client.set_status, self.event.commit, status.context, state, description, url)
            self._calls.call(Operation.STATUS, partial(set_status, retry=not self._shutting_down))

        url = status.url or self._options.run_url
        try:
            send(url)
        except GitHubError as refused:
            if not (url and refused.details.of_one_target):
                raise
            send("")
            said = refused.details.summary
            self._calls.warn_once(f"GitHub did not accept a commit status with its link ({said}): it has none now.")

    def _decided_status(self, result: GateResult) -> _Status:
        state = CommitState.FAILURE if result.conclusion.blocks else CommitState.SUCCESS
        state = CommitState.PENDING if result.waits_for_review else state
        description = published_result.format_description(published_result.summarize(result), _status_note(result))
        return _Status(self.context_of(result.gate.name), state, description, result.worst.run.dashboard_url)


def _status_note(result: GateResult) -> str:
    """Return what a status says beside the numbers, '' where they tell all."""
    if result.waits_for_review:
        return "waits for a review"
    match result.decision:
        case Decision.SKIPPED:
            return "no changed file matches its paths"
        case Decision.ERROR | Decision.PENDING:
            return result.reason
        case Decision.PASS | Decision.FAIL:
            return ""
        case _:
            assert_never(result.decision)


def _without_answer(event: Event) -> Event:
    """Return an event whose question got no answer."""
    number = event.lookup.number if isinstance(event.lookup, ByNumber) else None
    what = f"pull request {number}" if number else "the pull request of this run"
    return as_ambiguous(event, f"{what} could not be read")
