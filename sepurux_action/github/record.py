"""The statuses of a commit as the record of a gate's decisions on it.

Rules: docs/configuration.md#re-runs. The record has the statuses of a gate's context that this token's account
set, and of these only the decided ones: those whose description begins with `fail (` or `pass (`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.github.client import CommitState, CommitStatus, GitHubClient
from sepurux_action.github.commit import PublishedStatus

FAILED = "fail ("
DECIDED = (FAILED, "pass (")
NO_ACCOUNT = ErrorDetails(message="GitHub did not return the account of the token")
FAILED_MEANWHILE = ErrorDetails(message="another run failed in the meantime, and its status stays")
FRESH_S = 1.0  # after which the statuses are read once more before one that hides a `fail` of another run


class Record:
    """The decisions on one commit that were read, and the statuses that this step set itself.

    Contexts are in lower case, as GitHub ignores their case. Methods that get a client raise GitHubError. `account` is
    this token's.
    """

    def __init__(self, commit: str, account: str) -> None:
        self._commit, self._account = commit, account
        self._watched: frozenset[str] = frozenset()
        self._read_at = 0.0  # when their new fails were read
        self._before: dict[str, PublishedStatus | None] = {}  # the newest decision before the evaluation, by context
        self._links: set[str] = set()  # of every `fail` that this step read or set
        self._own_ids: set[int] = set()

    def note_set(self, number: int) -> None:
        """Note that this step set the status with this id."""
        self._own_ids.add(number)

    def note_link(self, description: str, url: str) -> None:
        """Note the link of a status that this step read or sets, if it is a `fail`."""
        if url and description.startswith(FAILED):
            self._links.add(url)

    def without_decision(self, contexts: Iterable[str], newest: Iterable[PublishedStatus] | None) -> tuple[str, ...]:
        """Return the contexts whose newest status does not say what the newest decision is; all if it is not known."""
        if newest is None:
            return tuple(contexts)
        found, unknown = {each.context.lower(): each for each in newest}, []
        for context in contexts:
            status = found.get(context)
            if status and not _is_decision(status):
                unknown.append(context)
            else:
                self._keep(context, status)
        return tuple(unknown)

    def read(self, github: GitHubClient, contexts: Iterable[str]) -> None:
        """Read the statuses, the newest first, up to the newest decision of each context."""
        wanted = set(contexts)
        for context, status in self._decisions(github):
            if context in wanted:
                self._keep(context, status)
                wanted.remove(context)
            if not wanted:
                break
        for context in wanted:
            self._keep(context, None)

    def is_known(self, context: str) -> bool:
        return context in self._before

    def recorded_fail(self, context: str) -> PublishedStatus | None:
        """Return the `fail` that was the newest decision before the evaluation, None if there was none."""
        status = self._before.get(context)
        return status if status and status.description.startswith(FAILED) else None

    def watch(self, contexts: Iterable[str], now: float) -> None:
        """Say whose new fails count from now on."""
        self._watched, self._read_at = frozenset(contexts), now

    def check_hides_no_fail(self, github: GitHubClient, status: CommitStatus, now: float) -> None:
        """Raise GitHubError if a status would hide a new `fail` of another run.

        Setting other statuses, or waiting until GitHub accepts this one, may take long after the record was read.
        """
        if not self._watched or not _hides_fail(status) or now - self._read_at <= FRESH_S:
            return
        found = self.new_fails(github)
        if status.context.lower() in found:
            raise GitHubError(FAILED_MEANWHILE)
        if not found:
            self._read_at = now

    def new_fails(self, github: GitHubClient) -> Mapping[str, PublishedStatus]:
        """Return each watched context's newest `fail` that was not there before, and that this step did not set.

        A status with the link of a `fail` that this step read or set repeats that one. If it is not known what was
        there before the evaluation, only the newest decision counts.
        """
        wanted, found = set(self._watched), dict[str, PublishedStatus]()
        for context, status in self._decisions(github):
            if context not in wanted or status.id in self._own_ids:
                continue
            before = self._before.get(context)
            is_known = status == before
            is_new = not is_known and status.description.startswith(FAILED) and status.url not in self._links
            if is_new:
                found[context] = status
            if is_known or is_new or context not in self._before:
                wanted.remove(context)
            if not wanted:
                break
        return found

    def _decisions(self, github: GitHubClient) -> Iterator[tuple[str, PublishedStatus]]:
        """Yield each decision with its context, the newest first."""
        if not self._account:
            raise GitHubError(NO_ACCOUNT)
        for status in github.statuses(self._commit, self._account):
            if _is_decision(status):
                yield status.context.lower(), status

    def _keep(self, context: str, status: PublishedStatus | None) -> None:
        self._before[context] = status
        if status:
            self.note_link(status.description, status.url)


def _is_decision(status: PublishedStatus) -> bool:
    return status.own and status.description.startswith(DECIDED)


def _hides_fail(status: CommitStatus) -> bool:
    success = status.state is CommitState.SUCCESS or status.description.startswith(DECIDED)
    return success and not status.description.startswith(FAILED)
