"""Owns what the gate says to GitHub: in which order, within which time, with one warning for a refusal.

Never a verdict: whatever GitHub answers, the results and the exit status are as without it. Source: contract,
sections 4 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ParamSpec, Protocol, TypeVar

from sepurux_action.core import past
from sepurux_action.core.enforcement import Stage
from sepurux_action.core.event import ByNumber, Event, PullRequest, Question, settle
from sepurux_action.core.fingerprint import fingerprint
from sepurux_action.core.forge import MOST_PAGES, Comment, CommentMode, Deed, Look, Manner, Refusal, State, explain
from sepurux_action.core.gate import Gate, GateResult, RunResult
from sepurux_action.core.past import Memory, PastCommit, PastResult
from sepurux_action.core.path_filter import ChangedFile
from sepurux_action.core.promotion import advise
from sepurux_action.core.review import GivenReview, Opening, Terms, in_question, opening, to_ask
from sepurux_action.core.verdict import Decision
from sepurux_action.core.workflow_commands import Level
from sepurux_action.errors import ForgeRefused, OverTime
from sepurux_action.ports import Place

T = TypeVar("T")
P = ParamSpec("P")

READS_S = 15.0  # reads and the start status together
EFFECTS_S = 90.0  # status and comment together, once decided
AFTER_SIGNAL_S = 3.0  # for one try of the status; the whole program has to be out within 5 s
MOST_QUESTIONS = 3  # an answer may raise another question, but not for ever
CREATE_TRIES = 2  # of a comment whose first answer was lost and that is not found


class Forge(Protocol):
    """GitHub, as far as the gate needs it; every method raises ForgeRefused."""

    def candidates(self, question: Question) -> tuple[PullRequest, ...]:
        """Return the pull requests that may answer a question."""

    def look(self, event: Event, *, after: str = "", with_base: bool = True, config: str = "") -> Look:
        """Return one page of what can be read at once."""

    def changed_files(self, number: int) -> tuple[ChangedFile, ...]:
        """Return the files that a pull request changes."""

    def reviews(self, number: int) -> tuple[GivenReview, ...]:
        """Return the reviews of a pull request, the oldest first."""

    def asked(self, number: int) -> tuple[str, ...]:
        """Return who is asked for a review."""

    def permission(self, login: str) -> str:
        """Return what a user may do in the repository."""

    def ask_for_review(self, number: int, login: str) -> None:
        """Ask one user for a review."""

    def required_contexts(self, branch: str) -> tuple[str, ...]:
        """Return the status contexts that rules of a branch require."""

    def last_results(self, base: str) -> tuple[Mapping[str, PastResult], ...]:
        """Return what the last pull requests into a branch came to, by context, the newest first."""

    def set_status(self, commit: str, context: str, state: State, description: str, url: str) -> None:
        """Set a commit status."""

    def create_comment(self, number: int, body: str) -> Comment:
        """Write a comment, trying once."""

    def edit_comment(self, comment: Comment, body: str) -> bool:
        """Replace the body of a comment of our own; return whether there still is one."""

    def delete_comment(self, comment: Comment) -> None:
        """Delete a comment of our own."""


class Clock(Protocol):
    """Bounds what blocks."""

    def now(self) -> float:
        """Return seconds on a clock that never jumps."""

    def within(self, seconds: float, work: Callable[[], T]) -> T:
        """Return what the work returns; raises OverTime after the seconds."""


class Conversation:
    """One run's talk with GitHub, about one event. `event` is settled after `listen`."""

    def __init__(self, forge: Forge, clock: Clock, place: Place, event: Event, *, secret: str) -> None:
        """Take who takes part; `secret` signs the comment's memory, '' leaves it out."""
        self.event = event
        self.look = Look()
        self._forge = forge
        self._clock = clock
        self._place = place
        self._manner = Manner(key="")
        self._secret = secret
        self._hasty = False
        self._until = clock.now() + READS_S
        self._given_up: set[Deed] = set()
        self._warned: set[str] = set()
        self._reviews: tuple[GivenReview, ...] | None = None
        self._permissions: dict[str, str] = {}
        self._waiting: list[Terms] = []
        self._required: tuple[str, ...] | None = None
        self._newest: tuple[Mapping[str, PastResult], ...] | None = None

    # -- at the start -----------------------------------------------------------------------------------------------

    def listen(self, config: str) -> bool:
        """Settle which pull request the run belongs to, and read what is there; return whether it could be read.

        `config` is the path of the policy file, which is read with the rest.
        """
        for _ in range(MOST_QUESTIONS):
            if (question := self.event.question) is None:
                break
            found = self._ask(Deed.FIND, self._forge.candidates, question)
            if found is None:
                self.event = _unsettled(self.event)
                break
            self.event = settle(self.event, found)
        if self.event.pull_request is None:
            what = "no comment" if self.event.commit else "no comment and no status"
            self._place.line(f"{what}: {self.event.why_none}")
        if self.event.skipped:
            return True
        look = self._read(with_base=True, config=config)
        self.look = look or self.look
        return look is not None

    def adopt(self, manner: Manner) -> None:
        """Appear in this manner from now on: it is known only once the policy is read."""
        self._manner = manner

    def refuse(self, gates: Iterable[str]) -> None:
        """Set a failed status for settings or a policy that nothing can be judged by: an older one might be green.

        That is for the gates that inputs name, and for every gate of ours that has a status on this commit already.
        """
        self._until = self._clock.now() + READS_S
        known = {self.context_of(gate).lower(): gate for gate in gates}
        prefix = self.context_of("")
        for context in self.look.head_contexts:
            if context.lower().startswith(prefix.lower()):
                known.setdefault(context.lower(), context[len(prefix) :])
        nothing = PastResult(decision=Decision.ERROR, stage=Stage.HARD, numbers=past.Numbers())
        for gate in known.values():
            self._set_status(gate, State.FAILURE, past.describe(nothing, "bad settings, or an unreadable policy"))

    def begin(self, gates: Iterable[str]) -> None:
        """Set the pending status of each gate."""
        for gate in gates:
            self._set_status(gate, State.PENDING, "the evaluation is under way")

    @property
    def baselines(self) -> Mapping[str, PastResult]:
        """Return what the base decided last, by lower-case context."""
        return self.look.baselines

    def context_of(self, gate: str) -> str:
        """Return the status context of a gate."""
        return past.status_context(self._manner.status_context, gate)

    @property
    def history(self) -> tuple[PastCommit, ...]:
        """Return the results of this pull request's earlier commits, the oldest first."""
        memory = self._memory
        ours = _with_marker(self.look.comments, memory.marker) if memory else ()
        remembered = memory.read(ours[0].body) if memory and ours else ()
        return tuple(commit for commit in remembered if commit.commit != self.event.commit)

    def changed_files(self) -> tuple[ChangedFile, ...] | None:
        """Return the files that the pull request changes; None without one, or when the list cannot be read."""
        number = self.event.pull_request
        return None if number is None else self._ask(Deed.FILES, self._forge.changed_files, number)

    def advice(self, gate: str, stage: Stage) -> str:
        """Return what the past says of the next stage, or of a `hard` gate that nothing requires; '' for nothing."""
        base, number = self.event.base_ref, self.event.pull_request
        if not base or number is None or not self._manner.status:
            return ""
        context = self.context_of(gate).lower()
        if stage is Stage.HARD:
            if self._required is None:
                self._required = self._ask(Deed.RULES, self._forge.required_contexts, base)
            if self._required is None or context in {each.lower() for each in self._required}:
                return ""
            return (
                f"The status `{self.context_of(gate)}` is not required by a rule of `{base}`: a gate that nothing "
                "requires blocks no merge. (Rules of the older kind, branch protection, cannot be seen from here.)"
            )
        if self._newest is None:
            self._newest = self._ask(Deed.PULLS, self._forge.last_results, base)
        if self._newest is None:
            return ""
        promotion = advise(stage, (results[context] for results in self._newest if context in results))
        return str(promotion) if promotion else ""

    # -- the soft gate ----------------------------------------------------------------------------------------------

    def opening(self, reviewers: tuple[str, ...]) -> tuple[Opening, Terms] | None:
        """Return whether reviews open a soft gate, and on which terms; None when they cannot be read."""
        number, pull = self.event.pull_request, self.look.pull_request
        if number is None or pull is None:
            return None
        if self._reviews is None:
            self._until = self._clock.now() + READS_S
            self._reviews = self._ask(Deed.REVIEWS, self._forge.reviews, number)
        if self._reviews is None:
            return None
        head = pull.head_sha if self.event.name == "merge_group" else self.event.commit
        terms = Terms(author=pull.author, head=head, reviewers=reviewers)
        needed = in_question(self._reviews, terms)
        for login in dict.fromkeys((*needed, *reviewers)):  # whoever approved first: the others are only told about
            if login not in self._permissions:
                word = self._ask(Deed.REVIEWS, self._forge.permission, login)
                if word is None and login in needed:
                    return None
                if word is None:
                    break
                self._permissions[login] = word
        terms = replace(terms, permissions=self._permissions)
        found = opening(self._reviews, terms)
        if not found.opened and terms.reviewers:
            self._waiting.append(terms)
        return found, terms

    def ask_for_reviews(self) -> None:
        """Ask the listed reviewers who can open a waiting gate and are not asked yet, one call each."""
        number = self.event.pull_request
        if number is None or not self._waiting:
            return
        asked = self._ask(Deed.ASK, self._forge.asked, number)
        if asked is None:
            return
        wanted = [login for terms in self._waiting for login in to_ask(terms, self._reviews or (), asked)]
        for login in dict.fromkeys(wanted):
            self._do(Deed.ASK, self._forge.ask_for_review, number, login)

    def remembered_fail(self, gate: Gate, fingerprint: str) -> tuple[RunResult, ...]:
        """Return the run of a `fail` that our own comment remembers for this very commit and fingerprint."""
        memory = self._memory
        for comment in _with_marker(self.look.comments, memory.marker) if memory else ():
            decided = memory.read_decided(comment.body) if memory else None
            run = decided.fail_of(gate, fingerprint, self.event.commit) if decided else None
            if run is not None:
                return (run,)
        return ()

    # -- at the end -------------------------------------------------------------------------------------------------

    def hurry(self, clock: Clock) -> None:
        """Leave only the time for one try, after a signal; `clock` is one that the signal has not interrupted."""
        self._clock = clock
        self._hasty = True

    def conclude(self, results: Sequence[GateResult]) -> None:
        """Set the decided status of each gate; from here on runs the time for effects."""
        self._until = self._clock.now() + (AFTER_SIGNAL_S if self._hasty else EFFECTS_S)
        for result in results:
            state = State.FAILURE if result.conclusion.closed else State.SUCCESS
            state = State.PENDING if result.waits_for_review else state
            remark = "waits for a review" if result.waits_for_review else ""
            remark = "not affected" if result.decision is Decision.SKIPPED else remark
            description = past.describe(past.of_gate(result), remark)
            self._set_status(result.gate.name, state, description, result.worst.run.dashboard_url)

    def comment(self, results: Sequence[GateResult], body: Callable[[str], str]) -> str:
        """Keep the one comment; return its address, '' where there is none. `body` makes the text below a marker.

        Nothing is written when the pull request has moved on to another commit, or nothing has changed.
        """
        memory = self._memory
        if memory is None or self._manner.comment is CommentMode.NEVER or self.event.skipped:
            return ""
        now = self._read(with_base=False)
        if now is None:
            return ""
        head = now.pull_request.head_sha if now.pull_request else ""
        if head != self.event.commit:
            own = "a merge group is judged on a commit of its own"
            newer = "the pull request has a newer commit, which gets a run of its own"
            unread = "" if head else "the pull request could not be read"
            self._place.line(f"no comment: {unread or (own if self.event.name == 'merge_group' else newer)}")
            return ""
        self.look = replace(self.look, comments=now.comments)  # another run may have added to the memory meanwhile
        ours = _with_marker(now.comments, memory.marker)
        sound = all(result.decision in {Decision.PASS, Decision.SKIPPED} for result in results)
        if not ours and sound and self._manner.comment is CommentMode.ON_FAILURE:
            return ""
        judged = PastCommit(
            commit=self.event.commit, results={result.gate.name: past.of_gate(result) for result in results}
        )
        prints = {result.gate.name: fingerprint(result.gate) for result in results}
        text = body(memory.write([*self.history, judged], past.decided_of(results, self.event.commit, prints)))
        return self._keep_one(ours, text, memory.marker)

    # -- one comment ------------------------------------------------------------------------------------------------

    def _keep_one(self, ours: Sequence[Comment], text: str, marker: str) -> str:
        if not ours:
            created = self._create(text, marker)
            if created is None:
                return ""
            now = self._read(with_base=False)
            found = _with_marker(now.comments, marker) if now else ()
            ours = _by_age([created, *found])
        first, *doubles = ours
        still = first.body == text or self._ask(Deed.COMMENT, self._forge.edit_comment, first, text)
        if still is False:  # deleted between the read and the edit
            return self._keep_one(doubles, text, marker)
        if still:
            for double in doubles:
                self._do(Deed.COMMENT, self._forge.delete_comment, double)
        return first.url

    def _create(self, text: str, marker: str) -> Comment | None:
        """Return the comment that was made. One whose answer was lost is looked for before it is sent again."""
        number = self.event.pull_request or 0
        for attempt in range(1, CREATE_TRIES + 1):
            try:
                return self._clock.within(self._left(), lambda: self._forge.create_comment(number, text))
            except ForgeRefused as refused:
                if refused.refusal.lasting or refused.refusal.limited or attempt == CREATE_TRIES:
                    self._warn(Deed.COMMENT, refused.refusal)
                    return None
            except OverTime:
                self._warn(Deed.COMMENT, _OVER_TIME)
                return None
            now = self._read(with_base=False)
            if now is None:
                return None
            if found := _with_marker(now.comments, marker):
                return found[0]
        return None

    # -- what all share ---------------------------------------------------------------------------------------------

    @property
    def _memory(self) -> Memory | None:
        number = self.event.pull_request
        if number is None:
            return None
        return Memory(secret=self._secret, repository=self.event.repository, pull_request=number, key=self._manner.key)

    def _set_status(self, gate: str, state: State, description: str, url: str = "") -> None:
        commit = self.event.commit
        if not (self._manner.status and commit):
            return
        self._do(
            Deed.STATUS,
            self._forge.set_status,
            commit,
            self.context_of(gate),
            state,
            description,
            url or self._manner.run_url,
        )

    def _read(self, *, with_base: bool, config: str = "") -> Look | None:
        """Return what there is, over all pages of comments."""
        look = page = self._ask(Deed.READ, self._forge.look, self.event, with_base=with_base, config=config)
        if look and look.refusal:
            partly = look.pull_request is not None or self.event.pull_request is None
            self._warn(Deed.BASE if partly else Deed.READ, look.refusal)
        comments: list[Comment] = []
        for _ in range(MOST_PAGES):
            if page is None and with_base and look:
                break  # before a write all comments have to be known; at the start the rest is worth having
            if page is None:
                return None
            comments += page.comments
            if not page.after:
                break
            page = self._ask(Deed.READ, self._forge.look, self.event, after=page.after, with_base=False)
        return look and replace(look, comments=_by_age(comments), after="")

    def _do(self, deed: Deed, work: Callable[P, None], *args: P.args, **options: P.kwargs) -> bool:
        """Return whether the work was done; a refusal is one warning."""

        def done() -> bool:
            work(*args, **options)
            return True

        return self._ask(deed, done) is True

    def _ask(self, deed: Deed, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
        """Return what the work returns, or None after one warning; what was refused for good is not tried again."""
        if deed in self._given_up:
            return None
        try:
            return self._clock.within(self._left(), lambda: work(*args, **options))
        except ForgeRefused as refused:
            self._warn(deed, refused.refusal)
        except OverTime:
            self._warn(deed, _OVER_TIME)
        return None

    def _warn(self, deed: Deed, refusal: Refusal) -> None:
        warning = explain(deed, refusal, self.event)
        if deed not in self._given_up and warning not in self._warned:
            self._warned.add(warning)
            self._place.annotate(Level.WARNING, warning, title="Sepurux gate")
        if refusal.lasting:
            self._given_up.add(deed)

    def _left(self) -> float:
        return max(0.0, self._until - self._clock.now())


_OVER_TIME = Refusal(message="GitHub took longer than the gate waits for it")


def _with_marker(comments: Iterable[Comment], marker: str) -> tuple[Comment, ...]:
    return tuple(comment for comment in comments if comment.body.startswith(marker))


def _by_age(comments: Iterable[Comment]) -> tuple[Comment, ...]:
    """Return each comment once, as it was told last, the oldest first: a double is deleted, so it must be another."""
    each = {comment.id: comment for comment in comments}
    return tuple(each[number] for number in sorted(each))


def _unsettled(event: Event) -> Event:
    """Return an event whose question got no answer: judged without a pull request, and saying so."""
    number = event.question.number if isinstance(event.question, ByNumber) else None
    what = f"pull request {number}" if number else "the pull request of this run"
    return replace(event, question=None, pull_request=None, unsettled=True, why_none=f"{what} could not be read")
