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
from sepurux_action.config.settings import Manner
from sepurux_action.config.stage import Stage
from sepurux_action.config.status_context import MAX_CONTEXT_LENGTH
from sepurux_action.errors import GitHubError
from sepurux_action.evaluation import published_result
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.fingerprint import fingerprint
from sepurux_action.evaluation.published_result import PastCommit, PastResult
from sepurux_action.evaluation.result import GateResult, RunResult
from sepurux_action.github import comment_state
from sepurux_action.github.calls import FIRST_READ_S, READS_S, Asking
from sepurux_action.github.comment_state import Memory
from sepurux_action.github.commit_status import State
from sepurux_action.github.event import ByNumber, Event, as_unsettled, settle
from sepurux_action.github.permissions import Deed
from sepurux_action.github.protocol import Forge
from sepurux_action.github.snapshot import MAX_PAGES, PAGE, Look
from sepurux_action.github.soft_gate import SoftGate
from sepurux_action.github.stage_advice import advise
from sepurux_action.github.sticky_comment import OneComment
from sepurux_action.host.protocols import Clock, Place

STATUSES_S = 70.0  # all decided statuses
COMMENT_S = 20.0  # beside what the statuses left over: comment and review requests; together with them 90 s
AFTER_SIGNAL_S = 3.0  # for one try of the status; the whole program has to be out within 5 s
MAX_QUESTIONS = 3  # an answer may raise another question, but not for ever
LARGE_STEP = 20  # gates; a larger step sets a pending status only where an older status would show meanwhile
UNKNOWN_COMMENTS = (
    f"no comment: not all comments of the pull request could be read (the gate reads {MAX_PAGES * PAGE:,}), "
    "and one of them may be its own"
)
BLOCKING_FIRST = (State.FAILURE, State.PENDING, State.SUCCESS)


@dataclass(frozen=True, slots=True)
class _Status:
    context: str
    state: State
    description: str
    url: str = ""


class Conversation:
    """One run's talk with GitHub, about one event."""

    def __init__(self, forge: Forge, clock: Clock, place: Place, event: Event, *, secret: str) -> None:
        """Take who takes part; `secret` signs the comment's memory, '' leaves it out."""
        self.look = Look()
        self._forge = forge
        self._place = place
        self._asking = Asking(clock, place, event)
        self._asking.allow(FIRST_READ_S)
        self.soft_gate = SoftGate(forge, self._asking)
        self._manner = Manner(key="")
        self._secret = secret
        self._statuses_s = STATUSES_S
        self._hurried = False

    @property
    def event(self) -> Event:
        """Return the event, settled once `listen` has returned."""
        return self._asking.event

    # -- at the start -----------------------------------------------------------------------------------------------

    def listen(self, config: str) -> bool:
        """Settle which pull request the run belongs to, and read what is there; return whether it could be read.

        `config` is the path of the policy file, which is read with the rest.
        """
        for _ in range(MAX_QUESTIONS):
            if (question := self.event.question) is None:
                break
            ask = partial(self._forge.candidates, question)
            found = self._asking.ask_patiently(Deed.FIND, ask, lambda _: None)
            if found is None:
                self._asking.event = _unanswered(self.event)
                break
            self._asking.event = settle(self.event, found)
        if self.event.pull_request is None:
            what = "no comment" if self.event.commit else "no comment and no status"
            self._place.line(f"{what}: {self.event.why_none}")
        if self.event.skipped:
            return True
        look = self._asking.read_first(self._forge, config)
        self.look = look or self.look
        return look is not None

    def adopt(self, manner: Manner) -> None:
        """Appear in this manner from now on: it is known only once the policy is read."""
        self._manner = manner

    def refuse(self, gates: Sequence[str]) -> None:
        """Set a failed status where nothing can be judged, because an earlier status might be green.

        That is for the gates that inputs name, and for each status of ours that this commit already has. A status is
        ours if its context has our prefix, or if a run of the gate wrote its description: a policy that cannot be read
        may set another prefix.
        """
        self._asking.allow(min(READS_S, self._statuses_s))
        bases = list(dict.fromkeys(pull.base_ref for pull in self.event.matches)) or [self.event.branch]
        contexts = [self._context(gate, base) for base in bases for gate in gates]
        prefixes = tuple(self._context("", base).lower() for base in bases)
        contexts += [
            context
            for context, description in (self.look.head_contexts or {}).items()
            if context.lower().startswith(prefixes) or published_result.read_description(description)
        ]
        each_once: dict[str, str] = {}
        for context in contexts:
            if len(context) <= MAX_CONTEXT_LENGTH:
                each_once.setdefault(context.lower(), context)
        why = self.event.why_none if self.event.unsettled else "bad settings, or an unreadable policy"
        nothing = PastResult(decision=Decision.ERROR, stage=Stage.HARD, numbers=published_result.Numbers())
        description = published_result.describe(nothing, why)
        self._set_statuses(_Status(context, State.FAILURE, description) for context in each_once.values())

    def begin(self, gates: Iterable[str]) -> None:
        """Set the pending status of each gate, the first thing after the policy; here begins the time for more reads.

        A large step leaves out the gates of which the commit has no status yet: a required status that is missing
        blocks like a pending one.
        """
        self._asking.allow(READS_S)
        contexts = list(map(self.context_of, gates))
        if len(contexts) > LARGE_STEP and self.look.head_contexts is not None:
            shown = {context.lower() for context in self.look.head_contexts}
            contexts = [context for context in contexts if context.lower() in shown]
        self._set_statuses(_Status(context, State.PENDING, "the evaluation is under way") for context in contexts)

    def read_further_comments(self) -> None:
        """Read the pages of comments behind the first, until there is a comment of ours, for what it remembers."""
        if memory := self._memory:
            ours = self._comment_of(memory)
            self.look = self._asking.read_further(
                self._forge, self.look, enough=lambda look: bool(ours.among(look.comments))
            )

    @property
    def baselines(self) -> Mapping[str, PastResult]:
        """Return what the base decided last, by lower-case context."""
        return self.look.baselines

    def context_of(self, gate: str) -> str:
        """Return the status context of a gate."""
        return self._context(gate, self.event.branch)

    def _context(self, gate: str, base: str) -> str:
        return status_context.status_context(self._manner.status_context, gate, base)

    @property
    def history(self) -> tuple[PastCommit, ...]:
        """Return the results of this pull request's earlier commits, the oldest first."""
        memory = self._memory
        ours = self._comment_of(memory).among(self.look.comments) if memory else ()
        remembered = memory.read(ours[0].body) if memory and ours else ()
        return tuple(commit for commit in remembered if commit.commit != self.event.commit)

    def changed_files(self) -> tuple[ChangedFile, ...] | None:
        """Return the files that the pull request changes at its head, which `is_current` has to confirm afterwards.

        None: there is no pull request, its head is not the judged commit, or the list cannot be read.
        """
        number = self.event.pull_request
        if number is None or not self._is_judged(self.look):
            return None
        return self._asking.ask(Deed.FILES, self._forge.changed_files, number)

    def is_current(self) -> bool:
        """Fetch the pull request again; return whether its head is still the judged commit, with the same base."""
        now = self._asking.ask(Deed.READ, self._forge.look, self.event, with_base=False)
        return now is not None and self._is_judged(now)

    def advice(self, gate: str, stage: Stage, *, scheduled: bool) -> str:
        """Return what the past says of the next stage, or of a `hard` gate that nothing requires; '' for nothing.

        `scheduled`: a stricter stage has its day already.
        """
        base, number = self.event.base_ref, self.event.pull_request
        if not base or number is None or not self._manner.status:
            return ""
        context = self.context_of(gate).lower()
        if stage is Stage.HARD:
            if self._required is None or context in {each.lower() for each in self._required}:
                return ""
            return (
                f"The status `{self.context_of(gate)}` is not required by a rule of `{base}`: a gate that nothing "
                "requires blocks no merge. (Rules of the older kind, branch protection, cannot be seen from here.)"
            )
        if self._newest is None:
            return ""
        newest = (results[context] for results in self._newest if context in results)
        promotion = advise(stage, newest, scheduled=scheduled)
        return str(promotion) if promotion else ""

    @cached_property
    def _required(self) -> tuple[str, ...] | None:
        return self._asking.ask(Deed.RULES, self._forge.required_contexts, self.event.base_ref)

    @cached_property
    def _newest(self) -> tuple[Mapping[str, PastResult], ...] | None:
        return self._asking.ask(Deed.PULLS, self._forge.last_results, self.event.base_ref)

    def remembered_fail(self, gate: Gate, fingerprint: str) -> tuple[RunResult, ...]:
        """Return the run of a `fail` that our own comment remembers for this very commit and fingerprint."""
        memory = self._memory
        if memory is None:
            return ()
        for comment in self._comment_of(memory).among(self.look.comments):
            decided = memory.read_decided(comment.body)
            run = decided.fail_of(gate, fingerprint, self.event.commit) if decided else None
            if run is not None:
                return (run,)
        return ()

    # -- at the end -------------------------------------------------------------------------------------------------

    def hurry(self, clock: Clock) -> None:
        """Leave only the time for one try, after a signal; `clock` is one that the signal has not interrupted."""
        self._asking.hurry(clock)
        self._statuses_s = AFTER_SIGNAL_S
        self._hurried = True

    def conclude(self, results: Sequence[GateResult]) -> None:
        """Set the decided status of each gate; from here on runs the time for effects.

        If the time is too short for all, those that block come first, above all where the commit has an older status.
        """
        self._asking.allow(self._statuses_s)
        shown = {context.lower() for context in self.look.head_contexts or {}}

        def place(status: _Status) -> tuple[int, bool]:
            return BLOCKING_FIRST.index(status.state), status.context.lower() not in shown

        self._set_statuses(sorted(map(self._decided_status, results), key=place))
        self._asking.extend(COMMENT_S)

    def comment(self, results: Sequence[GateResult], body: Callable[[str], str]) -> str:
        """Keep the one comment; return its address, '' where there is none. `body` makes the text below a marker.

        Nothing is written when the pull request has moved on to another commit, or nothing has changed.
        """
        memory = self._memory
        if memory is None or self._manner.comment is CommentMode.NEVER or self.event.skipped:
            return ""
        now = self._asking.read(self._forge)
        if now is None:
            return ""
        head = now.pull_request.head_sha if now.pull_request else ""
        if head != self.event.commit:
            own = "a merge group is judged on a commit of its own"
            newer = "the pull request has a newer commit, which gets a run of its own"
            unread = "" if head else "the pull request could not be read"
            self._place.line(f"no comment: {unread or (own if self.event.name == 'merge_group' else newer)}")
            return ""
        if not now.comments_known:
            self._place.line(UNKNOWN_COMMENTS)
            return ""
        self.look = replace(self.look, comments=now.comments)  # another run may have added to the memory meanwhile
        kept = self._comment_of(memory)
        ours = kept.among(now.comments)
        sound = all(result.decision in {Decision.PASS, Decision.SKIPPED} for result in results)
        if not ours and sound and self._manner.comment is CommentMode.ON_FAILURE:
            return ""
        judged = PastCommit(
            commit=self.event.commit, results={result.gate.name: published_result.of_gate(result) for result in results}
        )
        prints = {result.gate.name: fingerprint(result.gate) for result in results}
        text = body(memory.write([*self.history, judged], comment_state.decided_of(results, self.event.commit, prints)))
        return kept.keep(ours, text)

    # -- what all share ---------------------------------------------------------------------------------------------

    def _is_judged(self, look: Look) -> bool:
        """Return whether the pull request, as it was read, has the judged commit as its head, and the event's base."""
        pull, event = look.pull_request, self.event
        if pull is None or not event.commit:
            return False
        return (pull.head_sha, pull.base_ref) == (event.commit, event.base_ref)

    @property
    def _memory(self) -> Memory | None:
        number = self.event.pull_request
        if number is None:
            return None
        return Memory(secret=self._secret, repository=self.event.repository, pull_request=number, key=self._manner.key)

    def _comment_of(self, memory: Memory) -> OneComment:
        return OneComment(self._forge, self._asking, memory.marker)

    def _set_statuses(self, statuses: Iterable[_Status]) -> None:
        if self._manner.status and self.event.commit:
            self._asking.each(Deed.STATUS, {status.context: partial(self._set_status, status) for status in statuses})

    def _set_status(self, status: _Status) -> None:
        """Set a status, without its link where GitHub refuses it with one; raises ForgeRefused."""

        def send(url: str) -> None:
            state, description = status.state, status.description
            set_status = partial(self._forge.set_status, self.event.commit, status.context, state, description, url)
            self._asking.once(Deed.STATUS, partial(set_status, retry=not self._hurried))

        url = status.url or self._manner.run_url
        try:
            send(url)
        except GitHubError as refused:
            if not (url and refused.details.of_one_target):
                raise
            send("")
            said = refused.details.summary
            self._asking.warn_once(f"GitHub did not accept a commit status with its link ({said}): it has none now.")

    def _decided_status(self, result: GateResult) -> _Status:
        state = State.FAILURE if result.conclusion.blocks else State.SUCCESS
        state = State.PENDING if result.waits_for_review else state
        description = published_result.describe(published_result.of_gate(result), _remark(result))
        return _Status(self.context_of(result.gate.name), state, description, result.worst.run.dashboard_url)


def _remark(result: GateResult) -> str:
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


def _unanswered(event: Event) -> Event:
    """Return an event whose question got no answer."""
    number = event.question.number if isinstance(event.question, ByNumber) else None
    what = f"pull request {number}" if number else "the pull request of this run"
    return as_unsettled(event, f"{what} could not be read")
