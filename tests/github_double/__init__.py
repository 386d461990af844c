"""A double for GitHub on loopback: REST and GraphQL over one state. Each call is checked against GitHub's description.

A call that the description does not know gets an error, and fails the test that sent it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any, Self

from tests import backend as be
from tests.github_double import graphql
from tests.github_double.access import Refusal, Token, not_found
from tests.github_double.description import Operation, find_operation
from tests.github_double.faults import Step, as_step, through
from tests.github_double.rest import CALLS, Call
from tests.github_double.state import PullRequest, Repository, World

__all__ = ["BOT", "GitHub", "PullRequest", "Record", "Repository", "Undescribed"]

BOT = "github-actions[bot]"
JWT_LIKE = ".".join(["made-up"] * 64)  # such tokens hold dots and have some 520 characters since 2026

Reply = tuple[int, object, Mapping[str, str]]  # status, payload (None for an empty body), and headers


class Undescribed(AssertionError):
    """A client called what GitHub does not describe, or sent what the description forbids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request as it arrived: `operation` is its operationId, `graphql`, or '' if it is not described."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    operation: str


class GitHub:
    """GitHub for the time of a `with` block; leaving it raises Undescribed for what the description does not know.

    `enterprise` puts REST under /api/v3 and GraphQL at /api/graphql. Faults and hooks name a call by its operationId
    or by `graphql`; `*` stands for anything. `world` may be changed at any time from the test's own thread or from a
    hook.
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
        """Return the requests so far whose operation matches a pattern."""
        return tuple(record for record in self.requests if fnmatchcase(record.operation, pattern))

    def repository(self, full_name: str = "octo/shop", files: Mapping[str, str] | None = None) -> Repository:
        """Return a new repository with one commit on `main`."""
        return self.world.repository(full_name, files)

    def token(self, permissions: Mapping[str, str] | None = None, *, read_only: bool = False, login: str = BOT) -> str:
        """Return a new token; `permissions` are a workflow's (`pull-requests: write`): any other is refused."""
        text = f"ghs_{len(self._tokens) + 1}_{JWT_LIKE}"
        self._tokens[text] = Token(self.world.user(login), permissions, read_only)
        return text

    def fault(self, pattern: str, *faults: be.Answer | Step, always: bool = False) -> None:
        """Apply one fault to each of the next calls that match; `always` repeats the last fault."""
        self._faults.append((pattern, [as_step(fault) for fault in faults], always))

    def before(self, pattern: str, hook: Callable[[], object]) -> None:
        """Run something once, after the next call that matches has arrived and before it is processed."""
        self._hooks.append(("before", pattern, hook))

    def after(self, pattern: str, hook: Callable[[], object]) -> None:
        """Run something once, after the next call that matches was processed and before its response is sent."""
        self._hooks.append(("after", pattern, hook))

    # --- One request ---------------------------------------------------------------------------------------

    def _answer(self, request: be.Request) -> be.Answer:
        below_root = request.path.startswith(f"{self._rest}/")
        described = find_operation(request.method, request.path.removeprefix(self._rest)) if below_root else None
        asked = _graphql_request(request.body) if request.path == f"{self._prefix}/graphql" else None
        if described:
            operation, values = described
            name, complaints = operation.name, list(operation.complaints(values, request.query, request.body))
        elif asked and request.method == "POST":
            name, complaints = "graphql", []
        else:
            name, complaints = "", [f"{request.method} {request.path}: no such call"]
        record = Record(
            method=request.method, path=request.path, headers=request.headers, body=request.body, operation=name
        )
        with self.world.lock:
            self._records.append(record)
            self.unknown += complaints
            step = self._next_step(name)

        def work() -> be.Answer:
            self._run("before", name)
            with self.world.lock:
                status, payload, headers = self._reply(request, described, asked, complaints)
            self._run("after", name)
            if payload is None:
                return be.raw(b"", status, headers)
            return be.json(payload, status, {"Content-Type": "application/json; charset=utf-8", **headers})

        return step(work)

    def _next_step(self, operation: str) -> Step:
        for pattern, steps, always in self._faults:
            if steps and fnmatchcase(operation, pattern):
                return steps[0] if always and len(steps) == 1 else steps.pop(0)
        return through

    def _run(self, when: str, operation: str) -> None:
        with self.world.lock:
            due = [each for each in self._hooks if each[0] == when and fnmatchcase(operation, each[1])]
            self._hooks = [each for each in self._hooks if each not in due]
        for _, _, hook in due:
            hook()

    def _reply(
        self,
        request: be.Request,
        described: tuple[Operation, dict[str, str]] | None,
        asked: dict[str, Any] | None,
        complaints: list[str],
    ) -> Reply:
        try:
            token = self._token(request)
            if described:
                return self._rest_reply(request, *described, token, complaints)
            return self._graphql_reply(asked, token)
        except Refusal as refusal:
            payload: dict[str, object] = {"message": refusal.message, "status": str(refusal.status)}
            if refusal.errors:
                payload["errors"] = refusal.errors
            return refusal.status, payload, refusal.headers

    def _graphql_reply(self, asked: dict[str, Any] | None, token: Token) -> Reply:
        if asked is None:
            raise not_found()
        session = graphql.Session(self.world, token, self.server_url)
        response, unknown = graphql.execute(session, asked["query"], asked.get("variables") or {})
        self.unknown += [f"graphql: {complaint}" for complaint in unknown]
        return 200, response, {}

    def _token(self, request: be.Request) -> Token:
        _, _, text = request.headers.get("authorization", "").partition(" ")
        if (token := self._tokens.get(text)) is None:
            raise Refusal(401, "Bad credentials")
        return token

    def _rest_reply(
        self, request: be.Request, operation: Operation, values: dict[str, str], token: Token, complaints: list[str]
    ) -> Reply:
        repository = self.world.repositories.get(f"{values['owner']}/{values['repo']}".lower())
        if repository is None:
            raise not_found()
        perform, status, permissions = CALLS[operation.name]
        token.need(*permissions)
        if complaints:
            raise Refusal(422, "Invalid request.", errors=complaints)
        call = Call(
            world=self.world,
            repository=repository,
            token=token,
            values=values,
            query=request.query,
            body=json.loads(request.body) if request.body else {},
            server_url=self.server_url,
        )
        return status, perform(call), {}


def _graphql_request(body: bytes) -> dict[str, Any] | None:
    """Return a GraphQL request, or None if the body is none."""
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    return asked if isinstance(asked, dict) and isinstance(asked.get("query"), str) else None
