"""Fakes: an hour passes in a millisecond, and nothing is patched."""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from sepurux_action.config.path_filter import ChangedFile
from sepurux_action.errors import DeadlineExceeded, ErrorDetails, GitHubError
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.github.base_branch import BaseBranch
from sepurux_action.github.client import CommitState, CommitStatus, GitHubClient, Review
from sepurux_action.github.commit import Commit, PublishedStatus
from sepurux_action.github.event import Event, Lookup, PullRequest
from sepurux_action.github.snapshot import Comment, Snapshot
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.host.output import Output
from sepurux_action.host.workflow_commands import Level

T = TypeVar("T")


def done(work: Callable[[], T]) -> Future[T]:
    """Do the work at once."""
    future = Future[T]()
    try:
        future.set_result(work())
    except (GitHubError, DeadlineExceeded) as error:
        future.set_exception(error)
    return future


@dataclass
class FakeClock(Timeouts):
    """A clock that moves only when a test or a fake moves it; work is not begun when no time is left."""

    time: float = 1_000.0

    def now(self) -> float:
        return self.time

    def run_side_by_side(self, works: Iterable[tuple[float, Callable[[], T]]]) -> list[Future[T]]:
        begun, ended, futures = self.time, self.time, []
        for seconds, work in works:
            self.time = begun
            futures.append(done(partial(self._within, seconds, work)))
            ended = max(ended, self.time)
        self.time = ended
        return futures

    def _within(self, seconds: float, work: Callable[[], T]) -> T:
        if seconds <= 0:
            raise DeadlineExceeded
        until = self.time + seconds
        result = work()
        if self.time > until:
            self.time = until
            raise DeadlineExceeded
        return result

    def pause(self, seconds: float) -> None:
        self.time += seconds


class _InstantSelector(selectors.DefaultSelector):
    """Adds up the seconds that an event loop wants to wait, and waits for none of them."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "every task waits for another one"
        self.waited += timeout
        return super().select(0)


class FakeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock starts at 1,000 and moves only when every task waits."""

    def __init__(self) -> None:
        self._instant = _InstantSelector()
        super().__init__(self._instant)

    def time(self) -> float:
        return 1_000 + self._instant.waited


class FakeApiCalls(ApiCalls):
    """Calls on a fake clock. `backend` responds to a call; each response takes `takes_s` seconds."""

    def __init__(
        self,
        backend: Callable[[ApiRequest, float], ApiResult],
        takes_s: float = 0.1,
        cancel_at: float | None = None,
        signals: Signals | None = None,
    ) -> None:
        self.signals = signals or Signals()
        super().__init__(lambda call, _: backend(call, self.time), self.signals)
        self.calls: list[tuple[float, ApiRequest]] = []
        self.max_at_once = 0
        self._takes_s = takes_s
        self._cancel_at = cancel_at
        self._loop = FakeLoop()
        self._under_way = 0

    @property
    def time(self) -> float:
        return self._loop.time()

    def until_complete(self, work: Coroutine[object, object, T]) -> T:
        if self._cancel_at is not None:
            self._loop.call_at(self._cancel_at, self.signals.receive, 15)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            return runner.run(work)

    async def in_thread(self, work: Callable[[], None]) -> None:
        work()

    def jitter(self) -> float:
        return 1.0

    async def perform(self, call: ApiRequest, seconds: float) -> ApiResult:
        self.calls.append((self.time, call))
        result = self._send(call, seconds)
        hangs = isinstance(result, TransientError) and result.reason == "hangs"
        self._under_way += 1
        self.max_at_once = max(self.max_at_once, self._under_way)
        try:
            await asyncio.sleep(seconds if hangs else self._takes_s)
        finally:
            self._under_way -= 1
        return result

    def paths(self, part: str = "") -> list[str]:
        return [f"{call.method} {call.path}" for _, call in self.calls if part in call.path]


@dataclass
class FakeOutput(Output):
    """Remembers what is said."""

    lines: list[str] = field(default_factory=list)
    waits: list[tuple[str, float]] = field(default_factory=list)
    annotations: list[tuple[Level, str]] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.lines.append(text)

    def wait(self, what: str, left_s: float) -> None:
        self.waits.append((what, left_s))

    def annotate(self, level: Level, text: str, *, title: str = "") -> None:
        self.annotations.append((level, f"{title}: {text}" if title else text))


@dataclass
class FakeGitHubClient(GitHubClient):
    """A GitHub client on a fake clock; each call takes `takes_s` seconds.

    `calls` has the time, the name, and the target of each call. `reject` returns why a call is rejected, by its name,
    its target, and the time. `shown` is the evaluated commit. `pages` are the snapshots, one page of comments each,
    with their numbers as cursors.
    `newest` are the statuses that were set, `listed` those that were there before. `comments` are added to the first
    page. The first `lose` comments are created, but the responses are lost. The
    first `late` lists of the newest comments are empty.
    """

    clock: FakeClock
    takes_s: float = 0.0
    reject: Callable[[str, str, float], ErrorDetails | None] = lambda _name, _target, _time: None
    shown: Commit = field(default_factory=Commit)
    pages: Sequence[Snapshot] = (Snapshot(),)
    given: tuple[Review, ...] = ()
    permissions: Mapping[str, str] = field(default_factory=dict)
    files: tuple[ChangedFile, ...] = ()
    required: Mapping[str, str] = field(default_factory=dict)
    calls: list[tuple[float, str, str]] = field(default_factory=list)
    newest: dict[str, tuple[CommitState, str]] = field(default_factory=dict)
    listed: tuple[PublishedStatus, ...] = ()
    comments: dict[int, Comment] = field(default_factory=dict)
    lose: int = 0
    late: int = 0

    def _log(self, name: str, target: str = "") -> None:
        self.calls.append((self.clock.time, name, target))
        self.clock.time += self.takes_s
        if details := self.reject(name, target, self.clock.time):
            raise GitHubError(details)

    def named(self, name: str) -> list[str]:
        return [target for _, called, target in self.calls if called == name]

    def find_pull_requests(self, lookup: Lookup) -> tuple[PullRequest, ...]:
        self._log("find_pull_requests", str(lookup))
        return ()

    def commit(self, event: Event, config: str) -> Commit:
        del event, config
        self._log("commit")
        return self.shown

    def base_branch(self, event: Event) -> BaseBranch:
        del event
        self._log("base_branch")
        return BaseBranch()

    def snapshot(self, number: int, after: str = "") -> Snapshot:
        del number
        self._log("snapshot", after)
        page = self.pages[int(after or 0)]
        return page if after else replace(page, comments=(*page.comments, *self.comments.values()))

    def statuses(self, commit: str, account: str) -> Iterator[PublishedStatus]:
        del account
        self._log("statuses", commit)
        return iter(self.listed)

    def changed_files(self, number: int) -> tuple[ChangedFile, ...]:
        self._log("changed_files", str(number))
        return self.files

    def reviews(self, number: int) -> tuple[Review, ...]:
        self._log("reviews", str(number))
        return self.given

    def requested_reviewers(self, number: int) -> tuple[str, ...]:
        self._log("requested_reviewers", str(number))
        return ()

    def permission(self, login: str) -> str:
        self._log("permission", login)
        return self.permissions.get(login, "read")

    def request_review(self, number: int, login: str) -> None:  # noqa: ARG002
        self._log("request_review", login)

    def required_contexts(self, branch: str) -> Mapping[str, str]:
        self._log("required_contexts", branch)
        return self.required

    def recent_results(self, base: str) -> tuple[Mapping[str, PreviousResult], ...]:
        self._log("recent_results", base)
        return ()

    def set_status(self, commit: str, status: CommitStatus) -> int:
        del commit
        self._log("set_status", f"{status.context} {status.url}".strip())
        self.newest[status.context] = (status.state, status.url)
        return len(self.calls)

    def create_comment(self, number: int, body: str) -> Comment:
        self._log("create_comment", str(number))
        comment = Comment(id=100 + len(self.calls), body=body, url=f"https://github.com/#{len(self.calls)}")
        self.comments[comment.id] = comment
        if self.lose:
            self.lose -= 1
            raise GitHubError(ErrorDetails(message="the connection to GitHub failed"))
        return comment

    def newest_comments(self, number: int, account: str) -> tuple[Comment, ...]:
        self._log("newest_comments", f"{number} {account}")
        if self.late:
            self.late -= 1
            return ()
        return tuple(self.comments.values())

    def edit_comment(self, comment: Comment, body: str) -> bool:
        self._log("edit_comment", str(comment.id))
        if comment.id not in self.comments:
            return any(comment in page.comments for page in self.pages)
        self.comments[comment.id] = replace(comment, body=body)
        return True

    def delete_comment(self, comment: Comment) -> None:
        self._log("delete_comment", str(comment.id))
        del self.comments[comment.id]


CAMPAIGN = "8c5f4f5e-0000-4000-8000-000000000001"


def backend(poll: Callable[[float], ApiResult], **others: ApiResult) -> Callable[[ApiRequest, float], ApiResult]:
    """Return a backend that responds to polls with `poll(time)`; responses to other calls may be replaced by name."""
    routes = {
        "campaigns": Success([{"campaign_id": CAMPAIGN, "name": "core"}]),
        "reliability": Success({"reliability_score": 0.9}),
        "failures": Success([]),
        **others,
    }

    made = itertools.count(1)

    def answer(call: ApiRequest, time: float) -> ApiResult:
        last = call.path.rsplit("/", 1)[-1]
        if call.method == "POST" and last not in routes:
            number = next(made)
            return Success({"batch_id": f"batch-{number}", "run_ids": [f"run-{number}"], "trace_id": f"trace-{number}"})
        if call.method == "GET" and "/v1/ci/" in call.path:
            return poll(time)
        return routes.get(last, PermanentError(reason=f"no route {call.path}", status=404))

    return answer
