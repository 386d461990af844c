"""Owns GitHub on loopback for the tests: REST and GraphQL over one state, each call held against GitHub's description.

Never answers a call that the description does not know but with an error, and never lets one go unnoticed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

from tests import backend as be
from tests.github_double import graphql
from tests.github_double.access import Refusal, Token, not_found
from tests.github_double.description import Operation, found
from tests.github_double.faults import (
    Step,
    as_step,
    broken,
    graphql_error,
    lost,
    moved,
    primary_limit,
    refused,
    secondary_limit,
    slow,
    through,
)
from tests.github_double.rest import CALLS, Call, Reply
from tests.github_double.state import Account, ChangedFile, Comment, PullRequest, Repository, Review, Status, World

__all__ = [
    "BOT",
    "Account",
    "ChangedFile",
    "Comment",
    "GitHub",
    "PullRequest",
    "Record",
    "Repository",
    "Review",
    "Status",
    "Undescribed",
    "broken",
    "graphql_error",
    "lost",
    "moved",
    "primary_limit",
    "refused",
    "secondary_limit",
    "slow",
    "through",
]

BOT = "github-actions[bot]"
CALLS_AN_HOUR = 1_000  # a workflow's token, per repository
JWT_LIKE = ".".join(["made-up"] * 64)  # such tokens hold dots and have some 520 characters since 2026
BY_ID: Final = re.compile(r"/repositories/(?P<id>\d+)(?P<rest>/.*)?")
BY_NAME: Final = re.compile(r"/repos/(?P<name>[^/]+/[^/]+)(?P<rest>/.*)?")


class Undescribed(AssertionError):
    """A client called what GitHub does not describe, or sent what the description forbids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request as it arrived: `operation` is its operationId, `graphql`, or empty for what nobody described."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    operation: str
    names: tuple[str, ...]

    def json(self) -> Any:  # noqa: ANN401 - a body is whatever the client sent
        """Return the parsed body; raises ValueError where it is no JSON."""
        return json.loads(self.body)

    def fits(self, pattern: str) -> bool:
        """Whether a pattern such as `issues/*` or `graphql/minimizeComment` means this request."""
        return any(fnmatchcase(name, pattern) for name in self.names)


class GitHub:
    """GitHub for the time of a `with` block; leaving it raises Undescribed for what the description does not know.

    `enterprise` puts REST under /api/v3 and GraphQL at /api/graphql. Faults and hooks name a call by its operationId,
    by `graphql`, or by `graphql/FIELD` for a query's first field; `*` stands for anything. `world` may be changed at
    any time from the test's own thread or from a hook.
    """

    def __init__(self, *, enterprise: bool = False) -> None:
        self.world = World()
        self.unknown: list[str] = []
        self._prefix = "/api" if enterprise else ""
        self._rest = "/api/v3" if enterprise else ""
        self._server = be.ScriptedBackend({"*": self._answer})
        self._tokens: dict[str, Token] = {}
        self._records: list[Record] = []
        self._faults: list[tuple[str, list[Step], bool]] = []
        self._hooks: list[tuple[str, str, Callable[[], object]]] = []

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.__exit__(kind, error, at)
        if error is None and self.unknown:
            raise Undescribed("\n".join(["GitHub's description does not know:", *self.unknown]))

    @property
    def server_url(self) -> str:
        """The address of the site, GITHUB_SERVER_URL."""
        return self._server.url

    @property
    def url(self) -> str:
        """The address of REST, GITHUB_API_URL."""
        return self._server.url + self._rest

    @property
    def graphql_url(self) -> str:
        """The address of GraphQL, GITHUB_GRAPHQL_URL."""
        return f"{self._server.url}{self._prefix}/graphql"

    @property
    def requests(self) -> tuple[Record, ...]:
        """All requests so far, in the order of their arrival."""
        with self.world.lock:
            return tuple(self._records)

    def calls(self, pattern: str) -> tuple[Record, ...]:
        """Return the requests so far that a pattern means."""
        return tuple(record for record in self.requests if record.fits(pattern))

    def repository(
        self, full_name: str = "octo/shop", *, private: bool = True, files: Mapping[str, str] | None = None
    ) -> Repository:
        """Return a new repository with one commit on `main`."""
        return self.world.repository(full_name, private=private, files=files)

    def token(self, permissions: Mapping[str, str] | None = None, *, login: str = BOT, read_only: bool = False) -> str:
        """Return a new token; `permissions` are a workflow's (`pull-requests: write`): what is not named is refused."""
        text = f"ghs_{len(self._tokens) + 1}_{JWT_LIKE}"
        self._tokens[text] = Token(self.world.user(login), permissions, read_only)
        return text

    def fault(self, pattern: str, *faults: be.Answer | Step, always: bool = False) -> None:
        """Strike the next calls that fit, one fault each and then no more; `always` repeats the last for ever."""
        self._faults.append((pattern, [as_step(fault) for fault in faults], always))

    def before(self, pattern: str, hook: Callable[[], object]) -> None:
        """Run something once, after the next call that fits has arrived and before it is worked on."""
        self._hooks.append(("before", pattern, hook))

    def after(self, pattern: str, hook: Callable[[], object]) -> None:
        """Run something once, after the next call that fits was worked on and before its answer is sent."""
        self._hooks.append(("after", pattern, hook))

    # --- One request ---------------------------------------------------------------------------------------

    def _answer(self, request: be.Request) -> be.Answer:
        path = self._named(request.path)
        meant = found(request.method, path) if path is not None else None
        names, complaints = self._looked_at(request, meant)
        record = Record(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=request.body,
            operation=names[0] if names else "",
            names=names,
        )
        with self.world.lock:
            self._records.append(record)
            self.unknown += complaints
            step = self._next_step(record)

        def work() -> be.Answer:
            self._run("before", record)
            with self.world.lock:
                reply = self._worked(request, meant, is_graphql=record.operation == "graphql", forbidden=complaints)
            self._run("after", record)
            return self._sent(reply)

        return step(work)

    def _looked_at(
        self, request: be.Request, meant: tuple[Operation, dict[str, str]] | None
    ) -> tuple[tuple[str, ...], list[str]]:
        """Return what a request is called, and what of it the description does not know."""
        if meant:
            operation, values = meant
            return (operation.name,), list(operation.complaints(values, request.query, request.body))
        if (request.method, request.path) == ("POST", f"{self._prefix}/graphql"):
            asked = _asked(request.body)
            names = graphql.roots(asked["query"]) if asked else ()
            complaints = [] if asked else ["graphql: the body has no `query`, or `variables` that are no object"]
            return ("graphql", *(f"graphql/{name}" for name in names)), complaints
        return (), [f"{request.method} {request.path}: no such call"]

    def _named(self, path: str) -> str | None:
        """Return a path of REST below its root with the repository's name in it; GitHub's links have the number."""
        if not path.startswith(f"{self._rest}/"):
            return None
        path = path.removeprefix(self._rest)
        if by_id := BY_ID.fullmatch(path):
            for repository in list(self.world.repositories.values()):
                if repository.id == int(by_id["id"]):
                    return f"/repos/{repository.full_name}{by_id['rest'] or ''}"
        return path

    def _next_step(self, record: Record) -> Step:
        for pattern, steps, always in self._faults:
            if steps and record.fits(pattern):
                return steps[0] if always and len(steps) == 1 else steps.pop(0)
        return through

    def _run(self, when: str, record: Record) -> None:
        with self.world.lock:
            due = [each for each in self._hooks if each[0] == when and record.fits(each[1])]
            self._hooks = [each for each in self._hooks if each not in due]
        for _, _, hook in due:
            hook()

    def _worked(
        self,
        request: be.Request,
        meant: tuple[Operation, dict[str, str]] | None,
        *,
        is_graphql: bool,
        forbidden: list[str],
    ) -> Reply:
        try:
            token = self._who(request)
            if is_graphql:
                return self._graphql(request, token)
            if meant is None:
                raise not_found()
            return self._rest_call(request, *meant, token, forbidden)
        except Refusal as refusal:
            payload: dict[str, object] = {"message": refusal.message, "status": str(refusal.status)}
            if refusal.errors:
                payload["errors"] = refusal.errors
            return Reply(payload, refusal.status, refusal.headers)

    def _who(self, request: be.Request) -> Token:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            raise Refusal(401, "Requires authentication")
        if scheme.lower() not in {"bearer", "token"} or text not in self._tokens:
            raise Refusal(401, "Bad credentials")
        return self._tokens[text]

    def _rest_call(
        self, request: be.Request, operation: Operation, values: dict[str, str], token: Token, forbidden: list[str]
    ) -> Reply:
        full_name = f"{values['owner']}/{values['repo']}".lower()
        path = BY_NAME.fullmatch(self._named(request.path) or "")
        rest = (path and path["rest"]) or ""
        if (repository := self.world.repositories.get(full_name)) is None:
            return self._led_on(full_name, rest, request)
        perform, permissions = CALLS[operation.name]
        token.need(*permissions)
        if forbidden:
            raise Refusal(422, "Invalid request.", errors=forbidden)
        call = Call(
            world=self.world,
            repository=repository,
            token=token,
            values=values,
            query=request.query,
            body=json.loads(request.body) if request.body else {},
            path=rest,
            api_url=self.url,
            server_url=self.server_url,
        )
        reply = perform(call)
        return Reply(operation.completed(reply.status, reply.payload), reply.status, reply.headers)

    def _led_on(self, full_name: str, rest: str, request: be.Request) -> Reply:
        if (repository := self.world.moved.get(full_name)) is None:
            raise not_found()
        query = f"?{urlencode(request.query)}" if request.query else ""
        location = f"{self.url}/repositories/{repository.id}{rest}{query}"
        status = 301 if request.method == "GET" else 307
        return Reply({"message": "Moved Permanently", "url": location}, status, {"Location": location})

    def _graphql(self, request: be.Request, token: Token) -> Reply:
        if (asked := _asked(request.body)) is None:
            raise Refusal(400, "Problems parsing JSON")
        session = graphql.Session(
            self.world, token, self.server_url, CALLS_AN_HOUR, len(self._records), int(time.time()) + 3600
        )
        answer, unknown = graphql.answered(session, asked["query"], asked["variables"], asked.get("operationName"))
        self.unknown += [f"graphql: {complaint}" for complaint in unknown]
        return Reply(answer)

    def _sent(self, reply: Reply) -> be.Answer:
        used = len(self.requests)
        headers = {
            "X-RateLimit-Limit": str(CALLS_AN_HOUR),
            "X-RateLimit-Remaining": str(max(0, CALLS_AN_HOUR - used)),
            "X-RateLimit-Used": str(used),
            "X-RateLimit-Reset": str(int(time.time()) + 3600),
            **reply.headers,
        }
        if reply.payload is None:
            return be.raw(b"", reply.status, headers)
        return be.json(reply.payload, reply.status, {"Content-Type": "application/json; charset=utf-8", **headers})


def _asked(body: bytes) -> dict[str, Any] | None:
    """Return a GraphQL request, its variables a mapping, or None where it is none."""
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
        return None
    variables = asked.get("variables") or {}
    return {**asked, "variables": variables} if isinstance(variables, dict) else None
