"""What earlier runs left: the decisions in the statuses of the commit.

Rules: docs/configuration.md#re-runs. The record has the statuses of a gate's context that this token's account
set, and of these only the decided ones: those whose description begins with `fail (` or `pass (`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from sepurux_action.config.gate import Gate
from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.evaluation.result import Evaluated, of_status
from sepurux_action.github.bounded_calls import READS_S, BoundedCalls
from sepurux_action.github.client import CommitState, CommitStatus, GitHubClient
from sepurux_action.github.commit import PublishedStatus
from sepurux_action.github.permissions import Operation
from sepurux_action.github.subject import Subject

FAILED = "fail ("
DECIDED = (FAILED, "pass (")
NO_ACCOUNT = ErrorDetails(message="GitHub did not return the account of the token")
FAILED_MEANWHILE = ErrorDetails(message="another run failed in the meantime, and its status stays")
FRESH_S = 1.0  # after which the statuses are read once more before one that hides a `fail` of another run


class Earlier:
    """What earlier runs left about a subject: a pull request or a merge group. Of others nothing is recorded.

    Contexts are in lower case, as GitHub ignores their case. `_before` has the newest decision before the evaluation,
    by context; None if there was none, and no entry if it is not known.
    """

    def __init__(self, calls: BoundedCalls, subject: Subject) -> None:
        self._calls, self._subject = calls, subject
        event, self._commit = subject.event, subject.event.commit
        proposed = event.pull_request is not None or event.name == "merge_group"
        self._counts = calls.connected and subject.settings.status and bool(event.commit) and proposed
        self._before: dict[str, PublishedStatus | None] = {}
        self._watched: frozenset[str] = frozenset()
        self._read_at = 0.0  # when their new fails were read
        self._links: set[str] = set()  # of every `fail` that this step read or set
        self._own_ids: set[int] = set()  # of the statuses that this step set

    def recorded_fails(self, gates: Sequence[Gate]) -> dict[str, Evaluated | None]:
        """Return each `fail` at this commit that an earlier run published, by gate; None if that could not be read.

        Without statuses there is no record. The reads at the start share the time that begins here.
        """
        self._calls.set_timeout(READS_S)
        found = dict[str, Evaluated | None]()
        if not self._counts:
            return found
        by_context = {self._subject.context_of(gate.name).lower(): gate for gate in gates}
        known = self._subject.commit.statuses
        newest = {each.context.lower(): each for each in known or ()}
        for context in by_context:
            status = newest.get(context)
            if known is not None and (status is None or _is_decision(status)):
                self._keep(context, status)
        if unknown := by_context.keys() - self._before.keys():
            self._calls.try_call(Operation.STATUSES, partial(self._read, wanted=unknown))
        for context, gate in by_context.items():
            status = self._before.get(context)
            failed = status is not None and status.description.startswith(FAILED)
            if context not in self._before:
                found[gate.name] = None
            elif status and failed:
                found[gate.name] = self._as_recorded(status)
        return found

    def _read(self, github: GitHubClient, wanted: set[str]) -> None:
        """Read the statuses up to the newest decision of each context."""
        for context, status in self._decisions(github, wanted):
            self._keep(context, status)
            wanted.remove(context)
        self._before |= dict.fromkeys(wanted)

    def new_fails(self, gates: Sequence[Gate]) -> Mapping[str, Evaluated] | None:
        """Return the `fail` of each gate that another run published meanwhile, by name; None if it could not be read.

        No status is `success`, and no decision `pass`, without this read, after a signal neither.
        """
        if not self._counts or not gates:
            return {}
        self._calls.set_timeout(READS_S)
        by_context = {self._subject.context_of(gate.name).lower(): gate for gate in gates}
        self._watched, self._read_at = frozenset(by_context), self._calls.now()
        found = self._calls.try_call(Operation.STATUSES, self._new_fails)
        if found is None:
            return None
        return {by_context[each].name: self._as_recorded(status) for each, status in found.items()}

    def _new_fails(self, github: GitHubClient) -> Mapping[str, PublishedStatus]:
        """Return each watched context's newest `fail` that was not there before, and that this step did not set.

        A status with the link of a `fail` that this step read or set repeats that one. If it is not known what was
        there before the evaluation, only the newest decision counts.
        """
        wanted, found = set(self._watched), dict[str, PublishedStatus]()
        for context, status in self._decisions(github, wanted):
            if status.id in self._own_ids:
                continue
            is_known = status == self._before.get(context)
            is_new = not is_known and status.description.startswith(FAILED) and status.url not in self._links
            if is_new:
                found[context] = status
            if is_known or is_new or context not in self._before:
                wanted.remove(context)
        return found

    def set_status(self, github: GitHubClient, status: CommitStatus) -> None:
        """Set a status; raises GitHubError also if it would hide a new `fail` of another run.

        Setting other statuses, or waiting until GitHub accepts this one, may take long after the record was read.
        """
        self._note_link(status)  # also if the response is lost
        is_fail, now = status.description.startswith(FAILED), self._calls.now()
        hides = not is_fail and (status.state is CommitState.SUCCESS or status.description.startswith(DECIDED))
        if self._watched and hides and now - self._read_at > FRESH_S:
            found = self._new_fails(github)
            if status.context.lower() in found:
                raise GitHubError(FAILED_MEANWHILE)
            if not found:
                self._read_at = now
        self._own_ids.add(github.set_status(self._commit, status))

    def _decisions(self, github: GitHubClient, wanted: Collection[str]) -> Iterator[tuple[str, PublishedStatus]]:
        """Yield each decision of the contexts that are still `wanted`, the newest first; raises GitHubError."""
        if not (account := self._subject.commit.account):
            raise GitHubError(NO_ACCOUNT)
        statuses = github.statuses(self._commit, account)
        while wanted and (status := next(statuses, None)):
            if _is_decision(status) and (context := status.context.lower()) in wanted:
                yield context, status

    def _keep(self, context: str, status: PublishedStatus | None) -> None:
        self._before[context] = status
        if status:
            self._note_link(status)

    def _note_link(self, status: CommitStatus | PublishedStatus) -> None:
        if status.url and status.description.startswith(FAILED):
            self._links.add(status.url)

    def _as_recorded(self, status: PublishedStatus) -> Evaluated:
        is_run = status.url.startswith(self._subject.event.url("actions", "runs"))
        return of_status(status.description, status.url, "" if is_run else status.url)


def _is_decision(status: PublishedStatus) -> bool:
    return status.own and status.description.startswith(DECIDED)
