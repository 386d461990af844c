"""A double for GitHub: a function from a request to a response, of REST and GraphQL over one state.

Each call is checked against GitHub's description; one that it does not know, or such a response, fails the test.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from types import TracebackType
from typing import NamedTuple, Self

from tests import backend as be
from tests.github_double import graphql
from tests.github_double.description import Operation, find_operation
from tests.github_double.faults import Step, as_step, through
from tests.github_double.rest import CALLS, Call
from tests.github_double.state import BOT, PullRequest, Refusal, Repository, Token, World, not_found

__all__ = ["BOT", "GitHub", "PullRequest", "Record", "Repository", "Undescribed"]
JWT_LIKE = ".".join(["made-up"] * 64)  # such tokens hold dots and have some 520 characters since 2026


class Undescribed(AssertionError):
    """A client called what GitHub does not describe, or sent what the description forbids."""


class Record(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    operation: str  # the operationId, `graphql` with the name of the query, or '' if the request is not described


class GitHub:
    """GitHub, on loopback for the time of a `with` block; leaving it raises Undescribed if a call was not described.

    `enterprise` puts REST under /api/v3 and GraphQL at /api/graphql. Faults and hooks name a call by its operationId,
    or by `graphql` and the name of the query; `*` stands for anything. `world` may be changed at any time from the
    test's own thread or from a hook. `denied` has fields of GraphQL, such as `Commit.status`, that no one may read.
    `arrived` is called with each request before it is processed, and may raise Refusal.
    """

    def __init__(self, *, enterprise: bool = False) -> None:
        self.world = World()
        self.unknown: list[str] = []
        self.denied: Collection[str] = ()
        self.arrived: Callable[[Record], None] = lambda _: None
        self.faults: list[tuple[str, list[Step], bool]] = []
        self.server_url = "https://github.com"
        self._rest, self._graphql = ("/api/v3", "/api/graphql") if enterprise else ("", "/graphql")
        self._server = be.ScriptedBackend({"*": self.respond})
        self._tokens: dict[str, Token] = {}
        self._records: list[Record] = []
        self._hooks: list[tuple[str, Callable[[], object]]] = []

    def __enter__(self) -> Self:
        self._server.__enter__()
        self.server_url = self._server.url
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.__exit__(kind, error, at)
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise Undescribed if a call or a response so far is not described."""
        if self.unknown:
            raise Undescribed("\n".join(["GitHub's description does not know:", *self.unknown]))

    @property
    def url(self) -> str:
        return self.server_url + self._rest

    @property
    def graphql_url(self) -> str:
        return self.server_url + self._graphql

    @property
    def requests(self) -> tuple[Record, ...]:
        with self.world.lock:
            return tuple(self._records)

    def calls(self, pattern: str) -> tuple[Record, ...]:
        return tuple(record for record in self.requests if fnmatchcase(record.operation, pattern))

    def repository(self, full_name: str = "octo/shop") -> Repository:
        return self.world.repository(full_name)

    def token(self, permissions: Mapping[str, str] | None = None) -> str:
        """Return a new token; `permissions` are a workflow's (`pull-requests: write`): any other is refused."""
        text = f"ghs_{len(self._tokens) + 1}_{JWT_LIKE}"
        self._tokens[text] = Token(self.world.user(BOT), permissions)
        return text

    def fault(self, pattern: str, *faults: be.Answer | Step, always: bool = False) -> None:
        """Apply one fault to each of the next calls that match; `always` repeats the last fault."""
        self.faults.append((pattern, [as_step(fault) for fault in faults], always))

    def after(self, pattern: str, hook: Callable[[], object]) -> None:
        """Run something once, after the next call that matches was processed and before its response is sent."""
        self._hooks.append((pattern, hook))

    def respond(self, request: be.Request) -> be.Answer:
        path = request.path.removeprefix(self._rest) if request.path.startswith(f"{self._rest}/") else ""
        operation, values = find_operation(request.method, path)
        if operation:
            name, complaints = operation.name, list(operation.complaints(values, request.query, request.body))
        elif (request.method, request.path) == ("POST", self._graphql):
            named = re.match(rb'\{"query": *"\s*(?:\\n)*\s*query (\w+)', request.body)
            name, complaints = f"graphql {named[1].decode()}" if named else "graphql", []
        else:
            name, complaints = "", [f"{request.method} {request.path}: no such call"]
        with self.world.lock:
            record = Record(request.method, request.path, request.headers, request.body, name)
            self._records.append(record)
            self.unknown += complaints
            step = self._next_step(name)

        def work() -> be.Answer:
            try:
                self.arrived(record)
                with self.world.lock:
                    token = self._token(request)
                    if operation:
                        answer = self._rest_answer(request, operation, values, token, complaints)
                    else:
                        answer = self._graphql_answer(json.loads(request.body), token) if name else be.json({}, 404)
            except Refusal as refusal:
                payload = {"message": refusal.message, "status": str(refusal.status), "errors": [*refusal.errors]}
                answer = be.json(payload, refusal.status, refusal.headers)
            self._run_hooks(name)
            return answer

        return step(work)

    def _next_step(self, operation: str) -> Step:
        for pattern, steps, always in self.faults:
            if steps and fnmatchcase(operation, pattern):
                return steps[0] if always and len(steps) == 1 else steps.pop(0)
        return through

    def _run_hooks(self, operation: str) -> None:
        with self.world.lock:
            due = [each for each in self._hooks if fnmatchcase(operation, each[0])]
            self._hooks = [each for each in self._hooks if each not in due]
        for _, hook in due:
            hook()

    def _token(self, request: be.Request) -> Token:
        _, _, text = request.headers.get("authorization", "").partition(" ")
        if (token := self._tokens.get(text)) is None:
            raise Refusal(401, "Bad credentials")
        return token

    def _graphql_answer(self, asked: Mapping[str, object], token: Token) -> be.Answer:
        session = graphql.Session(self.world, token, self.server_url, self.denied)
        response, unknown = graphql.execute(session, asked)
        self.unknown += [f"graphql: {complaint}" for complaint in unknown]
        return be.json(response)

    def _rest_answer(
        self, request: be.Request, operation: Operation, values: Mapping[str, str], token: Token, complaints: list[str]
    ) -> be.Answer:
        repository = self.world.repositories.get(f"{values['owner']}/{values['repo']}".lower())
        if repository is None:
            raise not_found()
        perform, status, permissions = CALLS[operation.name]
        token.need(*permissions)
        if complaints:
            raise Refusal(422, "Invalid request.", errors=complaints)
        body = json.loads(request.body) if request.body else {}
        call = Call(repository, token, values, request.query, body, self.server_url)
        payload = perform(call)
        self.unknown += operation.misfits(status, payload)
        return be.json(payload, status, call.headers) if payload is not None else be.raw(b"", status, {})
