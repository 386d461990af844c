"""The statuses of a commit as the record of a gate's decisions on it.

Rules: docs/configuration.md#re-runs. The record has the statuses of a gate's context that this token's account
set, and of these only the decided ones: those whose description begins with `fail (` or `pass (`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sepurux_action.errors import ErrorDetails, GitHubError
from sepurux_action.github.client import GitHubClient
from sepurux_action.github.snapshot import PublishedStatus

FAILED = "fail ("
DECIDED = (FAILED, "pass (")
NO_ACCOUNT = ErrorDetails(message="GitHub did not return the account of the token")


class Record:
    """The decisions on one commit that were read, and the statuses that this step set itself.

    Contexts are in lower case, as GitHub ignores their case. Methods that get a client raise GitHubError.
    """

    def __init__(self, commit: str) -> None:
        self._commit = commit
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
        found = None if newest is None else {each.context.lower(): each for each in newest}
        unknown = []
        for context in contexts:
            status = found.get(context) if found is not None else None
            if found is None or (status and not _is_decision(status)):
                unknown.append(context)
            else:
                self._keep(context, status)
        return tuple(unknown)

    def read(self, github: GitHubClient, contexts: Iterable[str], account: str) -> None:
        """Read the statuses, the newest first, up to the newest decision of each context."""
        wanted = set(contexts)
        for context, status in self._decisions(github, account):
            if context in wanted:
                self._keep(context, status)
                wanted.remove(context)
            if not wanted:
                break
        for context in wanted:
            self._keep(context, None)

    def is_known(self, context: str) -> bool:
        return context in self._before

    def fail(self, context: str) -> PublishedStatus | None:
        """Return the `fail` that was the newest decision before the evaluation, None if there was none."""
        status = self._before.get(context)
        return status if status and status.description.startswith(FAILED) else None

    def new_fails(self, github: GitHubClient, contexts: Iterable[str], account: str) -> Mapping[str, PublishedStatus]:
        """Return each context's newest `fail` that was not there before, and that this step did not set.

        A status with the link of a `fail` that this step read or set repeats that one. If it is not known what was
        there before the evaluation, only the newest decision counts.
        """
        wanted, found = set(contexts), dict[str, PublishedStatus]()
        for context, status in self._decisions(github, account):
            if context not in wanted or status.id in self._own_ids:
                continue
            before = self._before.get(context)
            is_known = before and replace(before, id=0) == replace(status, id=0)
            is_new = not is_known and status.description.startswith(FAILED) and status.url not in self._links
            if is_new:
                found[context] = status
            if is_known or is_new or context not in self._before:
                wanted.remove(context)
            if not wanted:
                break
        return found

    def _decisions(self, github: GitHubClient, account: str) -> Iterator[tuple[str, PublishedStatus]]:
        """Yield each decision with its context, the newest first."""
        if not account:
            raise GitHubError(NO_ACCOUNT)
        for status in github.statuses(self._commit, account):
            if _is_decision(status):
                yield status.context.lower(), status

    def _keep(self, context: str, status: PublishedStatus | None) -> None:
        self._before[context] = status
        if status:
            self.note_link(status.description, status.url)


def _is_decision(status: PublishedStatus) -> bool:
    return status.own and status.description.startswith(DECIDED)
