"""Owns what the gate says to GitHub: in which order, within which time, with one warning for a refusal.

Never a verdict: whatever GitHub answers, the results and the exit status are as without it. Source: contract,
sections 4 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ParamSpec, Protocol, TypeVar

from sepurux_action.core import past
from sepurux_action.core.event import ByNumber, Event, PullRequest, Question, settle
from sepurux_action.core.forge import MOST_PAGES, Comment, CommentMode, Deed, Look, Manner, Refusal, State, explain
from sepurux_action.core.gate import GateResult
from sepurux_action.core.past import Memory, PastCommit, PastResult
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

    def look(self, event: Event, *, after: str = "", with_base: bool = True) -> Look:
        """Return one page of what can be read at once."""

    def set_status(self, commit: str, context: str, state: State, description: str, url: str) -> None:
        """Set a commit status."""

    def create_comment(self, number: int, body: str) -> Comment:
        """Write a comment, trying once."""

    def edit_comment(self, comment: Comment, body: str) -> None:
        """Replace the body of a comment of our own."""

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

    def __init__(  # noqa: PLR0913 - who takes part
        self, forge: Forge, clock: Clock, place: Place, event: Event, *, manner: Manner, secret: str
    ) -> None:
        """Take who takes part; `secret` signs the comment's memory, '' leaves it out."""
        self.event = event
        self.look = Look()
        self._forge = forge
        self._clock = clock
        self._place = place
        self._manner = manner
        self._secret = secret
        self._hasty = False
        self._until = clock.now() + READS_S
        self._given_up: set[Deed] = set()
        self._warned: set[str] = set()

    # -- at the start -----------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Settle which pull request the run belongs to, and read what is there."""
        for _ in range(MOST_QUESTIONS):
            if (question := self.event.question) is None:
                break
            found = self._ask(Deed.FIND, self._forge.candidates, question)
            if found is None:
                self.event = _unsettled(self.event)
                break
            self.event = settle(self.event, found)
        if self.event.pull_request is None:
            self._place.line(f"no comment: {self.event.why_none}")
        if self.event.repository and not self.event.skipped:
            self.look = self._read(with_base=True) or self.look

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
            description = past.describe(past.of_gate(result))
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
            self._place.line(f"no comment: {own if self.event.name == 'merge_group' else newer}")
            return ""
        ours = _with_marker(now.comments, memory.marker)
        sound = all(result.decision in {Decision.PASS, Decision.SKIPPED} for result in results)
        if not ours and sound and self._manner.comment is CommentMode.ON_FAILURE:
            return ""
        earlier = [commit for commit in self.history if commit.commit != self.event.commit]
        judged = PastCommit(
            commit=self.event.commit, results={result.gate.name: past.of_gate(result) for result in results}
        )
        text = body(memory.write([*earlier, judged]))
        return self._keep_one(ours, text, memory.marker)

    # -- one comment ------------------------------------------------------------------------------------------------

    def _keep_one(self, ours: Sequence[Comment], text: str, marker: str) -> str:
        if not ours:
            created = self._create(text, marker)
            if created is None:
                return ""
            now = self._read(with_base=False)
            ours = _with_marker(now.comments, marker) if now else ()
            ours = ours or (created,)
        first, *doubles = ours
        if first.body == text or self._do(Deed.COMMENT, self._forge.edit_comment, first, text):
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

    def _read(self, *, with_base: bool) -> Look | None:
        """Return what there is, over all pages of comments."""
        look = page = self._ask(Deed.READ, self._forge.look, self.event, with_base=with_base)
        comments: list[Comment] = []
        for _ in range(MOST_PAGES):
            if page is None:
                return None
            comments += page.comments
            if not page.after:
                break
            page = self._ask(Deed.READ, self._forge.look, self.event, after=page.after, with_base=False)
        return look and replace(look, comments=tuple(sorted(comments, key=lambda comment: comment.id)), after="")

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


def _unsettled(event: Event) -> Event:
    """Return an event whose question got no answer: judged without a pull request, and saying so."""
    number = event.question.number if isinstance(event.question, ByNumber) else None
    what = f"pull request {number}" if number else "the pull request of this run"
    return replace(event, question=None, pull_request=None, why_none=f"{what} could not be read")
