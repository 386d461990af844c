"""What earlier runs left: the decisions in the statuses of the commit.

Rules: docs/configuration.md#re-runs. The record has the statuses of a gate's context that this token's account
set, and of these only the decided ones: those whose description begins with `fail (` or `pass (`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from sepurux_action.config.settings import Gate
from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.evaluation.decision import GateDecision, of_status
from sepurux_action.github.bounded_calls import READS_S, BoundedCalls
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.commit import PublishedStatus
from sepurux_action.github.permissions import Operation
from sepurux_action.github.subject import FIRST_READ_S, Subject

FAILED = "fail ("
DECIDED = (FAILED, "pass (")
APPROVED = "; approved by "  # in the status of a `fail` that a review approved
NO_ACCOUNT = ErrorDetails(message="GitHub did not return the account of the token")


class Earlier:
    """What earlier runs left about a subject: a pull request or a merge group. Of others nothing is recorded.

    Contexts are in lower case, as GitHub ignores their case.
    """

    def __init__(self, calls: BoundedCalls, subject: Subject) -> None:
        self._calls, self._subject = calls, subject
        event, self._commit = subject.event, subject.event.commit
        proposed = event.pull_request is not None or event.name == "merge_group"
        self._counts = calls.connected and bool(event.commit) and proposed
        self.approved: frozenset[str] = frozenset()  # gates whose newest decision is a `fail` that a review approved
        self._last_id = 0  # of the statuses that were there before the evaluation

    def decided(self, gates: Sequence[Gate]) -> Mapping[str, GateDecision] | None:
        """Return the newest decision at this commit of each gate that has one, by name; None if it could not be read.

        Without statuses there is no record.
        """
        self._calls.set_timeout(FIRST_READ_S)
        by_context = self._by_context(gates)
        known = self._subject.commit.statuses
        if not self._counts or (
            known is not None and by_context.keys().isdisjoint(each.context.lower() for each in known)
        ):
            return {}
        try:
            found = self._calls.read(Operation.STATUSES, lambda github: self._newest(github, by_context.keys()))
        except GitHubError as error:
            self._calls.warn(Operation.STATUSES, error.details)
            return None
        self.approved = frozenset(by_context[each].name for each in found if APPROVED in found[each].description)
        return self._as_recorded(by_context, found)

    def forget(self) -> None:
        """Keep no record from here on, because the token may not set statuses."""
        self._counts = False

    def new_fails(self, gates: Sequence[Gate]) -> Mapping[str, GateDecision] | None:
        """Return the `fail` of each gate that another run published meanwhile, by name; None if it could not be read.

        No status is `success`, and no decision `pass`, without this read.
        """
        if not self._counts or not gates:
            return {}
        self._calls.set_timeout(READS_S)
        by_context = self._by_context(gates)
        found = self._calls.try_call(Operation.STATUSES, lambda github: self._new_fails(github, by_context.keys()))
        if found is None:
            return None
        return self._as_recorded(by_context, found)

    def _newest(self, github: GitHubClient, contexts: Collection[str]) -> Mapping[str, PublishedStatus]:
        """Return the newest decision of each context, and note which status is the newest of all."""
        found = dict[str, PublishedStatus]()
        for status in self._statuses(github):
            self._last_id = max(self._last_id, status.id)
            context = status.context.lower()
            if context in contexts and status.own and status.description.startswith(DECIDED):
                found.setdefault(context, status)
                if len(found) == len(contexts):
                    break
        return found

    def _new_fails(self, github: GitHubClient, contexts: Collection[str]) -> Mapping[str, PublishedStatus]:
        """Return the newest `fail` of each context that was not there before. This run has set none yet."""
        found = dict[str, PublishedStatus]()
        for status in self._statuses(github):
            if status.id <= self._last_id:
                break
            context = status.context.lower()
            if context in contexts and status.own and status.description.startswith(FAILED):
                found.setdefault(context, status)
        return found

    def _statuses(self, github: GitHubClient) -> Iterator[PublishedStatus]:
        """Return the statuses of the commit, the newest first; raises GitHubError."""
        if not (account := self._subject.commit.account):
            raise GitHubError(NO_ACCOUNT)
        return github.statuses(self._commit, account)

    def _by_context(self, gates: Sequence[Gate]) -> Mapping[str, Gate]:
        return {self._subject.context_of(gate.name).lower(): gate for gate in gates}

    def _as_recorded(
        self, by_context: Mapping[str, Gate], found: Mapping[str, PublishedStatus]
    ) -> Mapping[str, GateDecision]:
        """Return the decisions that statuses record, by the name of the gate. A status may link to a workflow run."""
        runs, decisions = self._subject.event.url("actions", "runs"), dict[str, GateDecision]()
        for context, status in found.items():
            gate, page = by_context[context], "" if status.url.startswith(runs) else status.url
            decisions[gate.name] = of_status(gate, status.description, status.url, page)
        return decisions
