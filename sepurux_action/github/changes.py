"""Which files the pull request of a run changes, and whether the policy file is one of them."""

from __future__ import annotations

from functools import cached_property

from sepurux_action.config.path_filter import ChangedFile, lists
from sepurux_action.config.policy import misnamed
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.commit import reads_head
from sepurux_action.github.permissions import Operation
from sepurux_action.github.subject import Subject, fetch_page


class Changes:
    """The changes of one pull request, which are read once."""

    def __init__(self, calls: BoundedCalls, subject: Subject) -> None:
        self._calls, self._subject = calls, subject

    @cached_property
    def files(self) -> tuple[ChangedFile, ...] | None:
        """Return the files that the pull request changes, None if not known; `is_current` confirms the head then."""
        number = self._subject.event.pull_request
        if number is None or not self._subject.is_at_event_commit(self._subject.snapshot):
            return None
        return self._calls.try_call(Operation.FILES, lambda github: github.changed_files(number))

    def of_policy(self, path: str) -> bool:
        """Return whether the pull request or merge group changes the policy file.

        A branch may be behind its base, so another content is a change unless the list of changed files lacks the file.
        """
        policy, head = self._subject.commit.policy, self._subject.commit.head_policy
        if policy.error or head == policy or not reads_head(self._subject.event):
            return False
        return lists(self.files, path, misnamed(path)) or not self.is_current()

    def is_current(self) -> bool:
        """Read the pull request again; return whether it still has the evaluated commit and the same base."""
        now = fetch_page(self._calls, self._subject.event)
        return now is not None and self._subject.is_at_event_commit(now)
