"""Calls GitHub within a deadline, and turns each rejection into one warning, which says what the token may lack.

Permissions: https://docs.github.com/rest/authentication/permissions-required-for-github-apps
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from enum import Enum
from functools import partial
from itertools import chain, repeat
from typing import cast

from sepurux_action.common import T, json_reader
from sepurux_action.common.wording import joined, optional
from sepurux_action.errors import DeadlineExceeded, Interrupted
from sepurux_action.github.event import Event
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.output import Level, Output

PAGE = 100  # entries of one page, GitHub's largest
MAX_PAGES = 30  # of a list; GitHub itself allows 2,500 comments on a pull request
FIRST_READ_S = 60.0  # for finding the pull request and the policy; the same for what decides besides
READS_S = 15.0  # for the pending statuses; the same for reviews, and for the read at the end
AFTER_SIGNAL_S = 2.0  # for all calls, because the program must exit within 5 s
MIN_RETRY_AFTER_S = 1.0  # after a rate limit, also if GitHub asks for 0 s
RETRY_PAUSES_S = (0.0, 1.0, 2.0)  # before each further request of a call
RETRY_PAUSE_S = 5.0  # between two attempts at a read that decides, after those with shorter pauses
MAX_MESSAGE_LENGTH = 200  # characters of a GitHub message that a warning repeats
FORK_READS_ONLY = (
    "The token of a pull request from a fork can only read: "
    "evaluate such pull requests in a `workflow_run` workflow, or set `comment: never`."
)
UNEXPECTED_SHAPE = "a response of an unknown shape, or a redirect"
TIMED_OUT = "GitHub did not respond in the time that the gate waits for it"
CANCELED = "the run was canceled before GitHub responded"


class Kind(Enum):
    """What a failed call means for the next one. A text is the type of such an error in GraphQL."""

    FORBIDDEN = "FORBIDDEN"  # the token lacks a permission
    RATE_LIMITED = "RATE_LIMITED"
    OVER_LIMIT = "RESOURCE_LIMITS_EXCEEDED"  # the query costs too much
    TEMPORARY = 1  # the same call may succeed later
    TIMED_OUT = 2  # no time is left to try again


class GitHubError(Exception):
    """A call to GitHub failed, which a warning repeats, and which is no decision. Without a response, `status` is 0."""

    def __init__(self, message: str, *kinds: Kind, status: int = 0, retry_after_s: float | None = None) -> None:
        self.message, self.kinds, self.status, self.retry_after_s = message, frozenset(kinds), status, retry_after_s
        # The token may not make such a call for any target.
        self.of_the_token = Kind.FORBIDDEN in kinds or status in {401, 410}
        shown = json_reader.shorten(json_reader.printable(message), MAX_MESSAGE_LENGTH).rstrip(". ")
        super().__init__(joined(" ", optional("HTTP {}", status), shown) or "no response")


class Operation(Enum):
    """What the gate does on GitHub, as it completes "Could not ...", and the permission that it needs."""

    COMMIT = "read the policy file and the commit", "contents: read"
    BASE = "read the last results of the base branch", "statuses: read"
    FILES = "read which files change", "contents: read"
    RULES = "read the branch's rules", "contents: read"
    FIND = "find the pull request of this run", "pull-requests: read"
    PULL = "read the pull request", "pull-requests: read"
    REVIEWS = "read the reviews", "pull-requests: read"
    REQUESTERS = "read who made the commit", "pull-requests: read"
    PULLS = "read the results of the last pull requests", "pull-requests: read"
    COMMENT = "write the comment", "pull-requests: write"
    REQUEST_REVIEW = "request a review", "pull-requests: write"
    STATUSES = "read the statuses of the commit", "statuses: read"
    STATUS = "set the commit status", "statuses: write"

    def __init__(self, text: str, permission: str) -> None:
        self.text = text
        self.permission = permission


def advice(operation: Operation, error: GitHubError, event: Event) -> str:
    needed, message = operation.permission, error.message.lower()
    if "locked" in message:
        return "The conversation is locked: unlock it, or set `comment: never`."
    if Kind.RATE_LIMITED in error.kinds:
        return "Re-run the job once GitHub's rate limit is reset: after some minutes, at most an hour."
    if Kind.FORBIDDEN in error.kinds:
        if needed.endswith("write") and event.fork and event.name in {"pull_request", "pull_request_review"}:
            return FORK_READS_ONLY
        whose = " (Dependabot's token reads only unless the job says so)" if event.dependabot else ""
        return f"Give the job `{needed}` under `permissions:`{whose}."
    by_status = {
        401: "`github_token` is not valid: remove that input, so that the job's own token is used.",
        404: f"The token cannot see it, or it is gone: give the job `{needed}`.",
        422: "GitHub did not accept what the gate sent.",
    }
    rerun = "Re-run the job to publish it." if needed.endswith("write") else "Re-run the job."
    return by_status.get(error.status, rerun)


class Client:
    """Sends requests to one repository, with one token; every method raises GitHubError.

    `send` takes an HTTP method, a path below the repository ('' is GraphQL), `query`, and `body`, and returns the
    response, whatever shape it has. `redact` removes secrets from all that is sent to be shown.
    """

    def __init__(self, send: Callable[..., object], repository: str, redact: Callable[[str], str] = str) -> None:
        self.send, self.redact, self._repository = send, redact, repository

    def pages(self, path: str, **parameters: str) -> Iterator[Mapping[str, object]]:
        """Yield the entries of all pages, each of which is requested when its first entry is needed."""
        for number in range(1, MAX_PAGES + 1):
            page = self.send("GET", path, query={**parameters, "per_page": str(PAGE), "page": str(number)})
            if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
                raise GitHubError(UNEXPECTED_SHAPE)
            yield from page
            if len(page) < PAGE:
                return
        raise GitHubError(f"more than {MAX_PAGES * PAGE} entries")

    def query(self, query: str, variables: Mapping[str, object] = {}, may_fail: frozenset[str] = frozenset()) -> object:
        """Return the response to a GraphQL query, or a part beyond a limit; errors are about fields that `may_fail`."""
        owner, _, name = self._repository.partition("/")
        sent = {"query": query, "variables": {"owner": owner, "name": name, **variables}}
        response = self.send("POST", "", body=sent)
        if "errors" in json_reader.as_object(response):
            errors, failed = [*json_reader.as_array(response, "errors")], failed_fields(response)
            types = {json_reader.text(each, "type") for each in errors}
            kinds = {kind for kind in Kind if kind.value in types}
            if Kind.OVER_LIMIT in kinds or not failed or failed - may_fail:
                status = 404 if "NOT_FOUND" in types else 0
                raise GitHubError(self.redact(joined_messages(errors)), *kinds, status=status)
        if not isinstance(json_reader.at(response, "data", "repository"), dict):
            raise GitHubError(UNEXPECTED_SHAPE)
        return response


def failed_fields(response: object) -> frozenset[str]:
    """Return the fields of the repository that the errors in a GraphQL response are about; '' for another error."""
    paths = ([*json_reader.as_array(error, "path")] for error in json_reader.as_array(response, "errors"))
    return frozenset(str(path[1]) if path[:1] == ["repository"] and len(path) > 1 else "" for path in paths)


def joined_messages(parts: Iterable[object]) -> str:
    messages = (json_reader.text(part, "message") for part in parts)
    return "; ".join(dict.fromkeys(filter(None, messages))).replace("`", "'")  # reports link what is between them


def check_id(made: object) -> None:
    """Raise GitHubError if the response to a write has no id, such as a proxy's page."""
    if not isinstance(json_reader.at(made, "id"), int):
        raise GitHubError(UNEXPECTED_SHAPE)


class Calls:
    """Calls GitHub, and keeps what is read once. Without a client, nothing is called, known, or warned about."""

    def __init__(self, client: Client | None, timeouts: Timeouts, output: Output, event: Event) -> None:
        self.connected = client is not None
        self.after_signal = False
        self.output = output
        self._client = cast(Client, client)  # without one, every operation is denied
        self._timeouts, self._event = timeouts, event
        self.deadline = timeouts.now()
        self._denied = set(Operation) if client is None else set[Operation]()
        self._warned: set[str] = set()
        self._read: dict[Hashable, object] = {}
        self.forbidden = set[Operation]()  # for lack of permission

    @property
    def left(self) -> float:
        return self.deadline - self._timeouts.now()

    def set_timeout(self, seconds: float) -> None:
        """Begin the time of the following calls. After a signal, they have what is left."""
        if not self.after_signal:
            self.deadline = self._timeouts.now() + seconds

    def enter_shutdown(self, timeouts: Timeouts) -> None:
        """Allow one attempt at each call, after a signal. `timeouts` are new: the signal interrupted the others."""
        self._timeouts, self.after_signal = timeouts, True
        self.deadline = timeouts.now() + AFTER_SIGNAL_S

    def once(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return what `read` returns, or what it returned for this key before: each part of GitHub is read once."""
        if key not in self._read:
            self._read[key] = read()
        return cast(T, self._read[key])

    def try_call(self, operation: Operation, work: Callable[[Client], T], *, decides: bool = False) -> T | None:
        """Return what `work` returns, or None after one warning. An operation that the token may not do is skipped."""
        if operation in self._denied:
            return None
        try:
            return self.call(work, decides=operation if decides else None)
        except GitHubError as error:
            self.warn(operation, error)
        return None

    def try_each(self, operation: Operation, calls: Mapping[str, Callable[[], None]]) -> None:
        """Make all calls, by target, up to a rejection that the next would get too; one warning for each rejection."""
        if operation in self._denied:
            return
        for target, call in calls.items():
            try:
                call()
            except GitHubError as error:
                self.warn(operation, error, target)
                if error.of_the_token or error.kinds & {Kind.RATE_LIMITED, Kind.TIMED_OUT}:
                    return

    def call(self, work: Callable[[Client], T], *, retry: bool = True, decides: Operation | None = None) -> T:
        """Return what `work` returns; raises GitHubError, also when the deadline passes first.

        A call that GitHub rejected with `Retry-After` had no effect, so it is made again after that time. With `retry`,
        this is so three times for every temporary failure. A read that `decides` is repeated while time is left and the
        error may be temporary. No retry begins after the deadline, because a late write would replace newer ones.
        """
        wait = 0.0
        for pause in chain(RETRY_PAUSES_S, repeat(RETRY_PAUSE_S)):
            try:
                self._timeouts.pause(wait)
                return self._timeouts.run(max(0.0, self.left), partial(work, self._client))
            except Interrupted:
                raise GitHubError(CANCELED, Kind.TIMED_OUT) from None
            except DeadlineExceeded:
                raise GitHubError(TIMED_OUT, Kind.TIMED_OUT) from None
            except GitHubError as error:
                next_wait, why = error.retry_after_s, str(error)
                if Kind.RATE_LIMITED in error.kinds:
                    next_wait = None if next_wait is None else max(MIN_RETRY_AFTER_S, next_wait)
                else:
                    is_final = error.of_the_token or error.status in {404, 422} or Kind.OVER_LIMIT in error.kinds
                    next_wait = RETRY_PAUSE_S if decides and not is_final else None
                    if Kind.TEMPORARY in error.kinds and retry and not self.after_signal:
                        next_wait = max(pause, error.retry_after_s or 0.0)
                is_last = pause == RETRY_PAUSE_S and decides is None
                if is_last or next_wait is None or next_wait >= self.left:
                    raise
                wait = next_wait
            if decides and wait >= RETRY_PAUSE_S:
                left = f"{wait:.0f} s, for at most {self.left:.0f} s"
                self.output.log(f"could not {decides.text} ({why}); next attempt in {left}")
        raise AssertionError  # the pauses do not end

    def warn(self, operation: Operation, error: GitHubError, target: str = "") -> None:
        """Write the warning for a rejection, once; if the token may not do the operation, it is not tried again."""
        what = f"Could not {operation.text} ({joined(': ', json_reader.printable(target), str(error))})"
        effect = " This does not change the result."
        if operation is Operation.BASE:
            effect = " Unless a gate limits a drop, this does not change the result."
        if operation is Operation.STATUSES:
            effect = ""
        warning = f"{what}. {advice(operation, error, self._event)}{effect}"
        if warning not in self._warned:
            self._warned.add(warning)
            self.output.annotate(Level.WARNING, warning, title="Sepurux gate")
        if error.of_the_token:
            self._denied.add(operation)
        if Kind.FORBIDDEN in error.kinds:
            self.forbidden.add(operation)
