"""Calls GitHub within a deadline, and turns each rejection into one warning, which says what the token may lack.

PyGithub's requester sends the requests. Its own objects would fetch an entry of a list, and a comment, once more.
Sources: https://docs.github.com/rest/authentication/permissions-required-for-github-apps;
https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api;
https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api;
https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from enum import Enum
from functools import partial
from itertools import chain, repeat
from typing import cast

from sepurux_action import __version__
from sepurux_action.common import T, json_reader
from sepurux_action.common.secret import Secret
from sepurux_action.common.wording import joined, optional
from sepurux_action.errors import DeadlineExceeded
from sepurux_action.evaluation.api import TRANSPORT_ERRORS, failure_words, retry_after
from sepurux_action.host.deadlines import Timeouts
from sepurux_action.host.output import Level, Output

PAGE = 100  # entries of one page, GitHub's largest
MAX_PAGES = 30  # of a list; GitHub itself allows 2,500 comments on a pull request
FIRST_READ_S = 60.0  # for finding the pull request and the policy; the same for what decides besides
READS_S = 15.0  # for the pending statuses; the same for reviews, and for the read at the end
AFTER_SIGNAL_S = 2.0  # for all calls, because the program must exit within 5 s
RETRY_PAUSES_S = (0.0, 1.0, 2.0)  # before each further request of a call
RETRY_PAUSE_S = 5.0  # between two attempts at a read that decides, after those with shorter pauses
NOT_FOUND, UNAUTHORIZED = 404, 401
MAX_MESSAGE_LENGTH = 200  # characters of a GitHub message that a warning repeats
UNEXPECTED_SHAPE = "a response of an unknown shape, or a redirect"
TIMED_OUT = "GitHub did not respond in time, or before the run was canceled"
# PyGithub raises these for a response of an unexpected shape, and RuntimeError for a redirect to another host.
SHAPE_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
Texts = dict[str, str] | None


class Kind(Enum):
    """What a failed call means for the next one. A text is the type of such an error in GraphQL."""

    FORBIDDEN = "FORBIDDEN"  # the token lacks a permission
    RATE_LIMITED = "RATE_LIMITED"
    TIMED_OUT = 1  # no time is left to try again
    TOO_LONG = 2  # a list has more entries than are read


class GitHubError(Exception):
    """A call to GitHub failed, which a warning repeats, and which is no decision. Without a response, `status` is 0.

    The same call may succeed later, unless the error `is_final`.
    """

    def __init__(
        self, message: str, kind: Kind | None = None, *, status: int = 0, retry_after_s: float | None = None
    ) -> None:
        self.message, self.kind, self.status, self.retry_after_s = message, kind, status, retry_after_s
        self.is_final = kind is not None or 400 <= status < 500  # noqa: PLR2004
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
    PULLS = "read the results of the last pull requests", "pull-requests: read"
    COMMENT = "write the comment", "pull-requests: write"
    REQUEST_REVIEW = "request a review", "pull-requests: write"
    STATUSES = "read the statuses of the commit", "statuses: read"
    STATUS = "set the commit status", "statuses: write"

    def __init__(self, text: str, permission: str) -> None:
        self.text = text
        self.permission = permission


def advice(operation: Operation, error: GitHubError) -> str:
    if error.status == UNAUTHORIZED:
        return "`github_token` is not valid: remove that input, so that the job's own token is used."
    if error.kind is Kind.FORBIDDEN or error.status == NOT_FOUND:
        return f"Give the job `{operation.permission}` under `permissions:` if it lacks it."
    return "Push a commit: a re-run finds as many." if error.kind is Kind.TOO_LONG else "Re-run the job later."


class Client:
    """Sends requests to one repository, with one token; every method raises GitHubError.

    `send` takes an HTTP method, a path below the repository ('' is GraphQL), `query`, and `body`, and returns the
    response, whatever shape it has. `headers` gets those of the response. `redact` removes secrets from all that is
    sent to be shown.
    """

    def __init__(self, send: Callable[..., object], repository: str, redact: Callable[[str], str] = str) -> None:
        self.send, self.redact, self._repository = send, redact, repository

    def pages(self, path: str, **parameters: str) -> Iterator[Mapping[str, object]]:
        """Yield the entries of all pages, each of which is requested when its first entry is needed."""
        for number in range(1, MAX_PAGES + 1):
            headers, query = dict[str, str](), {**parameters, "per_page": str(PAGE), "page": str(number)}
            page = self.send("GET", path, query=query, headers=headers)
            if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
                raise GitHubError(UNEXPECTED_SHAPE)
            yield from page
            if 'rel="next"' not in headers.get("link", ""):
                return
        raise GitHubError(f"more than {MAX_PAGES * PAGE} entries", Kind.TOO_LONG)

    def query(self, query: str, variables: Mapping[str, object] = {}, may_fail: str = "") -> object:
        """Return the response to a GraphQL query; its errors are all about the field of the repository `may_fail`."""
        owner, _, name = self._repository.partition("/")
        sent = {"query": query, "variables": {"owner": owner, "name": name, **variables}}
        response = self.send("POST", "", body=sent)
        errors = [*json_reader.as_array(response, "errors")]
        others = [each for each in errors if [*json_reader.as_array(each, "path")][:2] != ["repository", may_fail]]
        if "errors" in json_reader.as_object(response) and (others or not errors):
            types = [json_reader.text(each, "type") for each in errors]
            kind = next((kind for kind in Kind if kind.value in types), None)
            status = NOT_FOUND if "NOT_FOUND" in types else 0
            raise GitHubError(self.redact(joined_messages(errors)), kind, status=status)
        if not isinstance(json_reader.at(response, "data", "repository"), dict):
            raise GitHubError(UNEXPECTED_SHAPE)
        return response


def connect(api_url: str, token: Secret, repository: str, redact: Callable[[str], str] = str) -> Client:
    """Return the client for a repository. `api_url` is https, or http on loopback, and may have a path."""
    from github import Auth, Github  # noqa: PLC0415 - takes 0.2 s, so only when needed

    make = partial(
        Github,
        auth=Auth.Token(token.reveal()),
        base_url=api_url,
        timeout=10,  # seconds of one request; PyGithub has no separate timeout for connecting
        user_agent=f"sepurux-gate-action/{__version__}",
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
    idle: list[Github] = []  # PyGithub keeps one request in its connection, so each request under way has its own

    def send(verb: str, path: str, *, query: Texts = None, body: object = None, headers: Texts = None) -> object:
        try:
            github = idle.pop()
        except IndexError:
            github = make()
        url = f"/repos/{repository}/{path}" if path else github.requester.graphql_url
        call = partial(github.requester.requestJsonAndCheck, verb, url, parameters=query, input=body)
        try:
            received, data = translate_errors(call, redact)
            if headers is not None:
                headers.update(received)
            return data
        finally:
            idle.append(github)

    return Client(send, repository, redact)


def translate_errors(call: Callable[[], T], redact: Callable[[str], str] = str) -> T:
    from github import BadAttributeException, GithubException  # noqa: PLC0415 - as in connect

    try:
        return call()
    except GithubException as error:
        rejection = error
    except TRANSPORT_ERRORS as error:  # whose text quotes addresses
        raise GitHubError(failure_words("GitHub", error)) from None
    except (BadAttributeException, *SHAPE_ERRORS):  # of any status: PyGithub parses the body first
        raise GitHubError(UNEXPECTED_SHAPE) from None
    status, data = rejection.status, json_reader.as_object(rejection.data)
    headers = {name.lower(): value for name, value in (rejection.headers or {}).items()}
    message = redact(joined_messages([data, *json_reader.as_array(data.get("errors"))]))
    kind, wait = None, retry_after(headers.get("retry-after", ""))
    exhausted = headers.get("x-ratelimit-remaining") == "0" or "rate limit" in message.lower()
    if status in {403, 429} and (exhausted or "retry-after" in headers):
        kind = Kind.RATE_LIMITED
    elif status == 403:  # noqa: PLR2004
        kind = Kind.FORBIDDEN
    raise GitHubError(message, kind, status=status, retry_after_s=wait)


def joined_messages(parts: Iterable[object]) -> str:
    messages = (json_reader.text(part, "message") for part in parts)
    return "; ".join(dict.fromkeys(filter(None, messages))).replace("`", "'")  # reports link what is between them


def check_id(made: object) -> None:
    """Raise GitHubError if the response to a write has no id, such as a proxy's page."""
    if not isinstance(json_reader.at(made, "id"), int):
        raise GitHubError(UNEXPECTED_SHAPE)


class Calls:
    """Calls GitHub, and keeps what is read once. Without a client, nothing is called, known, or warned about.

    `forbidden` are the operations that the token may not do, which are not tried again.
    """

    def __init__(self, client: Client | None, timeouts: Timeouts, output: Output) -> None:
        self.connected = client is not None
        self.output = output
        self.forbidden = set(Operation) if client is None else set[Operation]()
        self.deadline = timeouts.now()
        self._client = cast(Client, client)  # without one, every operation is forbidden
        self._timeouts, self._after_signal = timeouts, False
        self._warned: set[str] = set()
        self._read: dict[Hashable, object] = {}

    @property
    def left(self) -> float:
        return self.deadline - self._timeouts.now()

    def set_timeout(self, seconds: float) -> None:
        """Begin the time of the following calls. After a signal, they have what is left."""
        if not self._after_signal:
            self.deadline = self._timeouts.now() + seconds

    def enter_shutdown(self, timeouts: Timeouts) -> None:
        """Allow one attempt at each call, after a signal. `timeouts` are new: the signal interrupted the others."""
        self._timeouts, self._after_signal = timeouts, True
        self.deadline = timeouts.now() + AFTER_SIGNAL_S

    def once(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return what `read` returns, or what it returned for this key before: each part of GitHub is read once."""
        if key not in self._read:
            self._read[key] = read()
        return cast(T, self._read[key])

    def try_call(self, operation: Operation, work: Callable[[Client], T], *, decides: bool = False) -> T | None:
        """Return what `work` returns, or None after one warning. An operation that the token may not do is skipped."""
        if operation in self.forbidden:
            return None
        try:
            return self.call(work, decides=operation if decides else None)
        except GitHubError as error:
            self.warn(operation, error)
        return None

    def try_each(self, operation: Operation, calls: Mapping[str, Callable[[], None]]) -> None:
        """Make all calls, by target, up to a rejection that the next would get too; one warning for each rejection."""
        if operation in self.forbidden:
            return
        for target, call in calls.items():
            try:
                call()
            except GitHubError as error:
                self.warn(operation, error, target)
                if error.kind or error.status == UNAUTHORIZED:
                    return

    def call(self, work: Callable[[Client], T], *, retry: bool = True, decides: Operation | None = None) -> T:
        """Return what `work` returns; raises GitHubError, also when the deadline passes first.

        A call that GitHub rejected with `Retry-After` had no effect, so it is made again after that time. With `retry`,
        this is so for every error that is not final. It is made again three times, and a read that `decides` while time
        is left. No retry begins after the deadline, because a late write would replace newer ones.
        """
        wait = 0.0
        for pause in chain(RETRY_PAUSES_S, repeat(RETRY_PAUSE_S)):
            try:
                self._timeouts.pause(wait)
                return self._timeouts.run(max(0.0, self.left), partial(work, self._client))
            except DeadlineExceeded:
                raise GitHubError(TIMED_OUT, Kind.TIMED_OUT) from None
            except GitHubError as error:
                wait = max(pause, error.retry_after_s or 0.0)
                may_retry = retry and not error.is_final and not self._after_signal
                if error.kind is Kind.RATE_LIMITED:
                    may_retry = error.retry_after_s is not None
                is_last = pause == RETRY_PAUSE_S and decides is None
                if is_last or not may_retry or wait >= self.left:
                    raise
                if decides and wait >= RETRY_PAUSE_S:
                    left = f"{wait:.0f} s, for at most {self.left:.0f} s"
                    self.output.log(f"could not {decides.text} ({error}); next attempt in {left}")
        raise AssertionError  # the pauses do not end

    def warn(self, operation: Operation, error: GitHubError, target: str = "") -> None:
        """Write the warning for a rejection, once; if the token may not do the operation, it is not tried again."""
        what = f"Could not {operation.text} ({joined(': ', json_reader.printable(target), str(error))})"
        effect = " This does not change the result." if operation.permission.endswith("write") else ""
        warning = f"{what}. {advice(operation, error)}{effect}"
        if warning not in self._warned:
            self._warned.add(warning)
            self.output.annotate(Level.WARNING, warning, title="Sepurux gate")
        if error.kind is Kind.FORBIDDEN:
            self.forbidden.add(operation)
